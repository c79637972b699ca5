"""Pools as sums and maxima of shifted images: XLA's windowed reductions take several times as long on the CPU."""

import functools
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from ganjax.types import Array


def max_pool(x: Array, stride: int, window: int = 3, padding: int = 0) -> Array:
  """Maxima of x [B, H, W, C] over windows."""
  return windows(jnp.maximum, padded(x, padding, -jnp.inf), stride, window)


def average_pool(x: Array, window: int = 3) -> Array:
  """Averages of x [B, H, W, C] over windows around each pixel, of those pixels that are there."""
  counts = [
    np.minimum(np.arange(n) + window // 2, n - 1) - np.maximum(np.arange(n) - window // 2, 0) + 1 for n in x.shape[1:3]
  ]
  total = windows(jnp.add, padded(x, window // 2, 0), 1, window)
  return total / np.outer(*counts).astype(np.float32)[..., None]


def padded(x: Array, by: int, value: float) -> Array:
  """Rows and columns of a value around images."""
  return jnp.pad(x, ((0, 0), (by, by), (by, by), (0, 0)), constant_values=value)


def windows(reduce: Callable[[Array, Array], Array], x: Array, stride: int, window: int) -> Array:
  """Reduces along rows, then along columns."""
  for axis in (1, 2):
    before, span = (slice(None),) * axis, x.shape[axis] - window
    x = functools.reduce(reduce, [x[(*before, slice(i, i + span + 1, stride))] for i in range(window)])
  return x
