"""Images at twice and at half their size."""

from functools import partial

import jax.numpy as jnp
from jax import lax

from ganjax.ops.conv import conv_transpose
from ganjax.types import Array


def upsample_nearest(x: Array) -> Array:
  """Repeats every pixel of x [B, H, W, C] -> [B, 2H, 2W, C]."""
  b, h, w, c = x.shape
  x = jnp.broadcast_to(x[:, :, None, :, None], (b, h, 2, w, 2, c))
  return x.reshape(b, 2 * h, 2 * w, c)


def upsample_conv(x: Array, w: Array) -> Array:
  """The 'SAME' convolution of `upsample_nearest(x)` with w [3, 3, C, O]: x [B, H, W, C] -> [B, 2H, 2W, O].

  It is one transposed convolution whose 4x4 kernel is the sum of w at four places: 16 products instead of 36 for each
  pixel of x.
  """
  if w.shape[:2] != (3, 3):
    raise ValueError(f'upsample_conv: takes 3x3 kernels, given {w.shape}')
  flipped = w[::-1, ::-1]
  shifted = [jnp.pad(flipped, ((i, 1 - i), (j, 1 - j), (0, 0), (0, 0))) for i in (0, 1) for j in (0, 1)]
  return conv_transpose(x, jnp.stack(shifted).sum(0))


def upsample_bilinear(x: Array) -> Array:
  """Interpolates x [B, H, W, C] -> [B, 2H, 2W, C]; pixels are squares, and the border's colour goes on outside.

  PyTorch's `interpolate(scale_factor=2, mode='bilinear', align_corners=False)`.
  """
  for axis in (1, 2):
    x = blend(x, axis)
  return x


def blend(x: Array, axis: int) -> Array:
  """Twice as many pixels along `axis`, each 3/4 of the nearest old one and 1/4 of the next."""
  last = x.shape[axis] - 1
  part = partial(lax.slice_in_dim, x, axis=axis)  # not `take`: a gather's gradient is a scatter, slow on the CPU
  before = jnp.concatenate([part(0, 1), part(0, last)], axis)
  after = jnp.concatenate([part(1, last + 1), part(last, last + 1)], axis)
  pairs = jnp.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis + 1)
  return pairs.reshape(*x.shape[:axis], 2 * x.shape[axis], *x.shape[axis + 1 :])


def average_pool(x: Array) -> Array:
  """Means of 2x2 pixels: x [B, 2H, 2W, C] -> [B, H, W, C]."""
  b, h, w, c = x.shape
  return x.reshape(b, h // 2, 2, w // 2, 2, c).mean((2, 4))


def pixel_shuffle(x: Array, factor: int) -> Array:
  """Channels become pixels: x [B, H, W, C factor^2] -> [B, factor H, factor W, C], as PyTorch orders them."""
  b, h, w, c = x.shape
  x = x.reshape(b, h, w, -1, factor, factor).transpose(0, 1, 4, 2, 5, 3)
  return x.reshape(b, h * factor, w * factor, c // factor**2)


def pixel_unshuffle(x: Array, factor: int) -> Array:
  """Undoes `pixel_shuffle`: x [B, factor H, factor W, C] -> [B, H, W, C factor^2]."""
  b, h, w, c = x.shape
  x = x.reshape(b, h // factor, factor, w // factor, factor, c).transpose(0, 1, 3, 5, 2, 4)
  return x.reshape(b, h // factor, w // factor, c * factor**2)
