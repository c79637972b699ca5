"""Convolutions of small maps as matrix products with the kernel, for the CPU.

Where there are few results the kernel is the larger part: to read it once, as it lies in memory, is all that takes time.
So there is a product for each of the kernel's taps, which takes a kernel of swapped channels as it lies, too.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from ganjax.ops.conv_maps import Spec
from ganjax.types import Array


def forward(spec: Spec, x: Array, w: Array) -> Array:
  """Convolves x [B, H, W, C] with w [kh, kw, C, O] -> [B, H', W', O]."""
  spec, (rows, columns) = seen(spec)
  products = jnp.einsum('knc,kco->kno', taken(spec, x), w[rows, columns].reshape(-1, *w.shape[2:]))
  return products.sum(0).reshape(x.shape[0], *spec.out, -1)


def input_gradient(spec: Spec, y: Array, w: Array) -> Array:
  """Takes y [B, H', W', O] and w [kh, kw, C, O] to [B, H, W, C]."""
  spec, (rows, columns) = seen(spec)
  x = jax.ShapeDtypeStruct((y.shape[0], *spec.size, w.shape[2]), y.dtype)
  products = jnp.einsum('no,kco->knc', y.reshape(-1, y.shape[-1]), w[rows, columns].reshape(-1, *w.shape[2:]))
  return jax.linear_transpose(partial(taken, spec), x)(products)[0]


def weight_gradient(spec: Spec, x: Array, y: Array) -> Array:
  """Takes x [B, H, W, C] and y [B, H', W', O] to [kh, kw, C, O]."""
  kernel, (spec, places) = spec.kernel, seen(spec)
  w = jnp.einsum('knc,no->kco', taken(spec, x), y.reshape(-1, y.shape[-1]))
  unseen = [(place.start, count - place.stop) for place, count in zip(places, kernel, strict=True)]
  return jnp.pad(w.reshape(*spec.kernel, *w.shape[1:]), (*unseen, (0, 0), (0, 0)))


def taken(spec: Spec, x: Array) -> Array:
  """What each tap multiplies for each result: x [B, H, W, C] -> [kh kw, B H' W', C]."""
  (top, bottom), (left, right) = spec.padding
  x = lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), (top, bottom, 0), (left, right, 0), (0, 0, 0)))
  (h, w), (s, t) = spec.out, spec.stride
  kh, kw = spec.kernel
  taps = [x[:, i : i + s * (h - 1) + 1 : s, j : j + t * (w - 1) + 1 : t] for i in range(kh) for j in range(kw)]
  return jnp.stack(taps).reshape(kh * kw, -1, x.shape[-1])


def seen(spec: Spec) -> tuple[Spec, tuple[slice, slice]]:
  """The convolution without the kernel's outer rows and columns that lie on the padding alone; those that are left."""
  sides = zip(spec.size, spec.kernel, spec.stride, spec.padding, spec.out, strict=True)
  (rows, above), (columns, beside) = (side(*given) for given in sides)
  kernel = rows.stop - rows.start, columns.stop - columns.start
  return spec._replace(kernel=kernel, padding=(above, beside)), (rows, columns)


def side(size: int, taps: int, stride: int, padding: tuple[int, int], out: int) -> tuple[slice, tuple[int, int]]:
  """Of one dimension: the taps that see the image, and their padding; below 0: pixels that no tap sees."""
  before, last = padding[0], stride * (out - 1)
  used = [i for i in range(taps) if any(0 <= i - before + stride * j < size for j in range(out))] or [0]
  first, end = used[0], used[-1] + 1
  return slice(first, end), (before - first, last + end - before - size)
