"""Reductions over the whole batch, wherever its rows are: `axis` is the pmap axis, or None under jit."""

import jax
import jax.numpy as jnp

from ganjax.types import Array


def rows(count: int, axis: str | None) -> Array:
  """Row numbers in the global batch, int32 [count], of this device's `count` rows."""
  first = 0 if axis is None else jax.lax.axis_index(axis) * count
  return first + jnp.arange(count, dtype=jnp.int32)


def mean(x: Array, axis: str | None) -> Array:
  """Mean over devices of `x`; differentiable, the gradient flows to every device's share."""
  return x if axis is None else jax.lax.pmean(x, axis)


def gather(x: Array, axis: str | None) -> Array:
  """All devices' rows of `x` [B, ...] in global order: [devices * B, ...]."""
  return x if axis is None else jax.lax.all_gather(x, axis, tiled=True)
