"""Laplacian pyramids of images (Burt and Adelson 1983), as LAPGAN takes them apart (arXiv:1506.05751, section 2.2).

Down is the mean of 2x2 pixels, a box blur and its decimation; up is bilinear interpolation. Both keep pixels where they
are, at the border too. A level is what going down and up again has lost of an image, so whatever the two operators are,
adding it back gives the image.
"""

from collections.abc import Sequence
from itertools import pairwise

import jax.numpy as jnp

from ganjax.errors import ConfigError
from ganjax.ops.resample import average_pool, upsample_bilinear
from ganjax.types import Array

down, up = average_pool, upsample_bilinear


def check(field: str, levels: int, shape: Sequence[int]) -> None:
  """Raises ConfigError, naming `field`, for images (H, W, C) that can't be halved so many times."""
  most = min((n & -n).bit_length() - 1 for n in shape[:2])  # how often 2 divides both sides
  if levels > most:
    raise ConfigError(
      field, levels, f'at most {most}: images of {shape[0]} x {shape[1]} pixels can be halved no more often'
    )


def gaussian(x: Array, levels: int) -> list[Array]:
  """x [B, H, W, C] and its halvings, the finest first: levels + 1 images, the last [B, H / 2^levels, ..., C]."""
  found = [x]
  for _ in range(levels):
    found.append(down(found[-1]))
  return found


def decompose(x: Array, levels: int) -> tuple[list[Array], Array]:
  """What each level lost, the finest first, and the coarsest image. H and W are divisible by 2^levels."""
  images = gaussian(x, levels)
  return [fine - up(coarse) for fine, coarse in pairwise(images)], images[-1]


def compose(residuals: Sequence[Array], coarsest: Array) -> Array:
  """The image that `decompose` took apart, to rounding."""
  x = jnp.asarray(coarsest)
  for residual in reversed(residuals):
    x = up(x) + residual
  return x
