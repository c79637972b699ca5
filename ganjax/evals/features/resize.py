"""The ways in which published metrics resize images, as products with matrices: pure, and the same on every device.

They differ enough to move a Fréchet distance by several points (Parmar et al. 2022, arXiv:2104.11222), so each number
is stored with its way.

| name        | filter                                                             | as in                              |
|-------------|--------------------------------------------------------------------|------------------------------------|
| tf1         | bilinear, pixel i at i * scale, no antialias                       | TensorFlow's graph, torch-fidelity |
| pytorch-fid | bilinear, half-pixel centres, no antialias                         | pytorch-fid                        |
| clean       | Pillow's bicubic with antialias on floats, clipped to [0, 255]     | clean-fid                          |
| bicubic     | bicubic (a = -.75), half-pixel centres, no antialias               | PyTorch's interpolate, CMMD        |
| crop        | Pillow's bicubic with antialias to the shorter side, rounded to    | torchvision's transforms of CLIP,  |
|             | 256 levels after each pass; the middle is cut out                  | DINOv2 and ImageNet models         |
| area        | averages by overlap                                                | torch's adaptive average pooling   |
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from ganjax.errors import unknown
from ganjax.evals.digits import area_matrix
from ganjax.types import Array

Matrix = Callable[[int, int], np.ndarray]  # (source, target) -> float32 [target, source]


class Way(NamedTuple):
  """How images are resized."""

  matrix: Matrix
  clipped: bool = False  # to [0, 255]: bicubic filters overshoot
  rounded: bool = False  # to 256 levels after each pass
  cropped: bool = False  # keeps the aspect, cuts out the middle


def tf1_matrix(source: int, target: int) -> np.ndarray:
  """Bilinear, target pixel i at i * source / target; coordinates in float32, as TensorFlow computes them."""
  return linear(np.arange(target, dtype=np.float32) * np.float32(source / target), source)


def half_pixel_matrix(source: int, target: int) -> np.ndarray:
  """Bilinear, target pixel i at (i + .5) * source / target - .5; coordinates in float32, as PyTorch computes them."""
  scale = np.float32(source) / np.float32(target)
  at = scale * (np.arange(target, dtype=np.float32) + np.float32(0.5)) - np.float32(0.5)
  return linear(np.maximum(at, 0), source)


def linear(at: np.ndarray, source: int) -> np.ndarray:
  """float32 [len(at), source]: between the two pixels around each place; the last one goes on behind the end."""
  low = at.astype(np.int64)
  share = at - low.astype(np.float32)
  return gathered(np.stack([low, low + 1], 1), np.stack([1 - share, share], 1), source)


def cubic_matrix(source: int, target: int) -> np.ndarray:
  """PyTorch's bicubic (a = -.75, Keys 1981): four pixels around (i + .5) * source / target - .5, no antialias."""
  scale = np.float32(source) / np.float32(target)
  at = scale * (np.arange(target, dtype=np.float32) + np.float32(0.5)) - np.float32(0.5)
  taps = np.floor(at)[:, None] + np.arange(-1, 3, dtype=np.float32)
  return gathered(taps.astype(np.int64), cubic(at[:, None] - taps, -0.75), source)


def pillow_matrix(source: int, target: int) -> np.ndarray:
  """Pillow's bicubic (a = -.5), as wide as a target pixel where the image shrinks; weights sum to 1."""
  scale = source / target
  spread = max(scale, 1.0)
  centre = (np.arange(target)[:, None] + 0.5) * scale
  pixels = np.arange(source) + 0.5
  first = np.floor(np.maximum(centre - 2 * spread + 0.5, 0))
  last = np.floor(np.minimum(centre + 2 * spread + 0.5, source))  # exclusive
  weights = cubic((pixels - centre) / spread, -0.5) * ((pixels > first) & (pixels < last))
  return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def cubic(t: np.ndarray, a: float) -> np.ndarray:
  """Keys's kernel at distances t."""
  t = np.abs(t)
  near = ((a + 2) * t - (a + 3)) * t * t + 1
  far = (((t - 5) * t + 8) * t - 4) * a
  return np.where(t < 1, near, np.where(t < 2, far, 0))


def gathered(taps: np.ndarray, weights: np.ndarray, source: int) -> np.ndarray:
  """float32 [target, source] from taps and weights [target, k]; those outside fall on the border."""
  matrix = np.zeros((len(taps), source), np.float32)
  np.add.at(matrix, (np.arange(len(taps))[:, None], np.clip(taps, 0, source - 1)), weights)
  return matrix


WAYS = {
  'tf1': Way(tf1_matrix),
  'pytorch-fid': Way(half_pixel_matrix),
  'clean': Way(pillow_matrix, clipped=True),
  'bicubic': Way(cubic_matrix),
  'crop': Way(pillow_matrix, rounded=True, cropped=True),
  'area': Way(area_matrix),
}


def resizer(name: str, size: int) -> Callable[[Array], Array]:
  """uint8 or float images [B, H, W, C] of levels 0 to 255 -> float32 [B, size, size, 3]; grey ones are repeated.

  Raises: ConfigError for a name that isn't in `WAYS`.
  """
  if name not in WAYS:
    raise unknown('--resize', name, WAYS)
  return functools.partial(resized, WAYS[name], size)


def resized(way: Way, size: int, images: Array) -> Array:
  """What `resizer` returns."""
  if images.ndim != 4 or images.shape[-1] not in (1, 3):
    raise ValueError(f'images: shape {images.shape} given; valid is [B, H, W, 1 or 3]')
  x = images.astype(jnp.float32)
  x = jnp.repeat(x, 3 // x.shape[-1], -1)
  height, width = x.shape[1:3]
  if (height, width) == (size, size):
    return x
  short = min(height, width)
  for axis, side in ((2, width), (1, height)):
    target = size * side // short if way.cropped else size
    matrix = way.matrix(side, target)
    start = round((target - size) / 2)
    x = jnp.tensordot(x, matrix[start : start + size], ((axis,), (1,)), precision='highest')
    x = jnp.moveaxis(jnp.clip(jnp.floor(x + 0.5), 0, 255) if way.rounded else x, -1, axis)
  return jnp.clip(x, 0, 255) if way.clipped else x
