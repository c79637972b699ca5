"""Affine maps of images without aliasing (Karras et al. 2020, appendix B.2).

x is mirrored at its borders, sampled up by 2 with the lowpass filter of an orthogonal wavelet, resampled bilinearly
and sampled down again. All of it is linear in x, so that penalties may differentiate twice.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ganjax.types import Array

# Symlet of 6 vanishing moments (Daubechies 1992), scaled to sum 1.
SYM6 = np.array([0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633,
                   0.4910559419267466, 0.787641141030194, 0.3379294217276218, -0.07263752278646252,
                   -0.021060292512300564, 0.04472490177066578, 0.0017677118642428036, -0.007800708325034148], np.float32)  # fmt: skip
SYM6 /= SYM6.sum()
BORDER = len(SYM6) // 4  # pixels resampled around the image, which sampling down uses up

Matrix = Array  # [B, 3, 3], acts on (x, y, 1)


# Matrices. Arguments are [B]; x runs along the columns.


def matrix(*rows: list[Array | int]) -> Matrix:
  """A matrix per example from its entries."""
  like = jnp.zeros(next(np.shape(entry) for row in rows for entry in row if np.ndim(entry)))
  return jnp.stack([jnp.stack([entry + like for entry in row], -1) for row in rows], -2)


def scale(x: Array, y: Array) -> Matrix:
  """Scales by x and y."""
  return matrix([x, 0, 0], [0, y, 0], [0, 0, 1])


def translate(x: Array, y: Array) -> Matrix:
  """Moves by x and y."""
  return matrix([1, 0, x], [0, 1, y], [0, 0, 1])


def rotate(angle: Array) -> Matrix:
  """Rotates by `angle` from x towards y."""
  sin, cos = jnp.sin(angle), jnp.cos(angle)
  return matrix([cos, -sin, 0], [sin, cos, 0], [0, 0, 1])


def multiply(*matrices: Array | np.ndarray) -> Array:
  """The product, in full precision on every platform."""
  product = jnp.asarray(matrices[0])
  for other in matrices[1:]:
    product = jnp.matmul(product, other, precision='highest')
  return product


# Resampling.


def affine(x: Array, inverse: Matrix) -> Array:
  """x [B, H, W, C] moved about its centre: the output's pixel q shows x at `inverse` q, in pixels.

  Mirroring ends where the published code's does: 2 BORDER pixels beyond the farthest image of a corner, and at most
  after one whole mirror image; beyond that is grey (0). There the ends come from the whole batch, here from each
  image, so that a result depends on no other image; the two differ only where sampled points lie beyond the ends.
  The shapes are those of the largest mirrored image, so that one program serves all draws.
  """
  b, h, w, c = x.shape
  ends = mirrored(inverse, h, w)
  rows, columns = (upsampling(n, ends[:, 0, axis], ends[:, 1, axis]) for axis, n in ((1, h), (0, w)))
  # The small product first, and the large one with many columns: three times as fast on the CPU as the other way.
  x = jnp.einsum('bjw,bwhc->bjhc', columns, x.swapaxes(1, 2), precision='highest').swapaxes(1, 2)
  x = multiply(rows, x.reshape(b, h, -1)).reshape(b, rows.shape[1], -1, c)
  y = bilinear(x, *source(inverse, h, w))
  y = jnp.einsum('hi,bijc->bhjc', downsampling(h), y, precision='highest')
  return jnp.einsum('wj,bhjc->bhwc', downsampling(w), y, precision='highest')


def mirrored(inverse: Matrix, h: int, w: int) -> Array:
  """How many pixels to mirror at the near and the far ends of x and y, int32 [B, 2 (near, far), 2 (x, y)]."""
  half = np.array([(w - 1) / 2, (h - 1) / 2], np.float32)
  corners = np.array([[sx * half[0], sy * half[1], 1] for sx in (-1, 1) for sy in (-1, 1)], np.float32)
  reached = multiply(inverse, corners.T)[:, :2]  # [B, (x, y), corner]
  needed = jnp.stack([-reached.min(2), reached.max(2)], 1) - half + 2 * BORDER
  # As whole numbers: rounding must not decide about an end.
  return jnp.ceil(jnp.clip(needed, 0, 2 * half)).astype(jnp.int32)


def upsampling(size: int, near: Array, far: Array) -> Array:
  """Mirrors `near` and `far` [B] pixels and samples up by 2, as matrices [B, 2 (3 size - 2) + 2, size].

  The first and last row stay 0, and stand for all that lies outside.
  """
  most = size - 1
  n = jnp.arange(-1, 2 * (size + 2 * most) + 1)[:, None] - 2 * most  # sampled up, 0 at the image's first pixel
  near, far = near[:, None, None], far[:, None, None]
  total = jnp.zeros((1, 1, 1))
  for tap in range(len(SYM6) // 2):  # y[n] = 2 sum_j f[n - 2j + 5] x[j]
    odd = (n + 1) % 2
    j = (n + 5 - odd) // 2 - tap
    weight = jnp.where(odd == 1, 2 * SYM6[2 * tap + 1], 2 * SYM6[2 * tap])
    source = jnp.where(j < 0, -j, jnp.where(j > most, 2 * most - j, j))
    total += jnp.where((source == jnp.arange(size)) & (j >= -near) & (j < size + far), weight, 0)
  return jnp.where((n >= -2 * near) & (n < 2 * (size + far)), total, 0)


def downsampling(size: int) -> np.ndarray:
  """Samples down by 2 from 2 (size + 2 BORDER) pixels: a matrix [size, ...]."""
  found = np.zeros((size, 2 * (size + 2 * BORDER)), np.float32)
  for m in range(size):
    found[m, 2 * m + 1 : 2 * m + 1 + len(SYM6)] = SYM6
  return found


def source(inverse: Matrix, h: int, w: int) -> tuple[Array, Array]:
  """Where in the sampled-up image, with its row and column of zeros, each resampled pixel lies: y, x [B, I, J]."""
  i, j = (jnp.arange(2 * (n + 2 * BORDER)) + 0.5 - (n + 2 * BORDER) + 0.5 for n in (h, w))
  v, u = i[:, None] / 2, j[None, :] / 2  # in pixels about the image's centre
  a = inverse[:, :2, :, None, None]
  x, y = (2 * (a[:, k, 0] * u + a[:, k, 1] * v + a[:, k, 2]) - 0.5 for k in range(2))
  return y + (3 * h - 2) + 0.5, x + (3 * w - 2) + 0.5


class Places(NamedTuple):
  """Where points lie among the pixels: the pixel above and to the left, and how far beyond it."""

  top: Array  # int32 [B, I, J]
  left: Array
  below: Array  # float32 [B, I, J, 1], from 0 to 1
  right: Array


def bilinear(x: Array, rows: Array, columns: Array) -> Array:
  """x [B, H, W, C], 0 at its border, at points [B, I, J] in pixels; 0 outside. -> [B, I, J, C]

  The points are constants: no derivative is taken for them.
  """
  h, w = x.shape[1:3]
  rows, columns = jnp.clip(rows, 0, h - 1), jnp.clip(columns, 0, w - 1)
  top, left = (jnp.minimum(jnp.floor(at), n - 2) for at, n in ((rows, h), (columns, w)))
  fractions = ((rows - top)[..., None], (columns - left)[..., None])
  return sample((h, w), x, Places(top.astype(jnp.int32), left.astype(jnp.int32), *fractions))


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def sample(size: tuple[int, int], x: Array, at: Places) -> Array:
  """x [B, H, W, C] of `size` (H, W) at places [B, I, J] -> [B, I, J, C]."""
  image = jnp.arange(x.shape[0])[:, None, None]
  pixel = lambda i, j: x.at[image, at.top + i, at.left + j].get(mode='promise_in_bounds')  # noqa: E731
  line = lambda i: pixel(i, 0) * (1 - at.right) + pixel(i, 1) * at.right  # noqa: E731
  return line(0) * (1 - at.below) + line(1) * at.below


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def spread(size: tuple[int, int], y: Array, at: Places) -> Array:
  """The transpose of `sample`: y [B, I, J, C] -> [B, H, W, C].

  On the CPU a scatter costs by the number of its updates, so that the four pixels about a point are one: half the time
  of the transpose that JAX writes down.
  """
  (h, w), c = size, y.shape[3]
  parts = [y * row * column for row in (1 - at.below, at.below) for column in (1 - at.right, at.right)]
  squares = jnp.stack(parts, 3).reshape(*y.shape[:3], 2, 2 * c)
  dimensions = jax.lax.ScatterDimensionNumbers(
    update_window_dims=(3, 4), inserted_window_dims=(), scatter_dims_to_operand_dims=(1, 2),
    operand_batching_dims=(0,), scatter_indices_batching_dims=(0,),
  )  # fmt: skip
  index = jnp.stack([at.top, at.left * c], -1)
  zeros = jnp.zeros((y.shape[0], h, w * c), y.dtype)
  x = jax.lax.scatter_add(zeros, index, squares, dimensions, mode=jax.lax.GatherScatterMode.PROMISE_IN_BOUNDS)
  return x.reshape(-1, h, w, c)


sample.defvjp(lambda size, x, at: (sample(size, x, at), at), lambda size, at, g: (spread(size, g, at), None))
spread.defvjp(lambda size, y, at: (spread(size, y, at), at), lambda size, at, g: (sample(size, g, at), None))
