"""Mixtures of Gaussians in the plane: unlimited draws, made on the device."""

from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from ganjax.data.images import known
from ganjax.data.order import words
from ganjax.data.spec import Source, Spec
from ganjax.errors import ConfigError
from ganjax.types import Array, Batch

LAYOUTS = ('ring', 'grid', 'centres')


def mixture(*, split: str = 'train', layout: str = 'ring', modes: int = 8, radius: float = 2.0, spacing: float = 2.0,
            std: float = 0.02, centres: Sequence[Sequence[float]] = ()) -> Source:  # fmt: skip
  """Gaussians with equal weights: a ring, a grid or centres of your own; the row's mode is its label.

  The defaults are the usual ring of 8; the usual grid is layout='grid', modes=25, std=0.05 (both as in
  the toy experiments of Gulrajani et al., Improved Training of Wasserstein GANs, 2017, unscaled).

  Args:
    split: 'train' or 'test'; each has draws of its own.
    layout: 'ring' (`modes` on a circle of `radius`), 'grid' (a square of `modes`, `spacing` apart,
      around the origin) or 'centres'.
    modes: how many, for ring and grid.
    radius: of the ring.
    spacing: of the grid.
    std: standard deviation of each Gaussian, the same in every direction.
    centres: points of one dimension, for layout='centres'.
  """
  known('data.layout', layout, LAYOUTS)
  if not 0 < std < np.inf:
    raise ConfigError('data.std', std, 'a positive number')
  points = np.asarray(located(layout, modes, radius, spacing, centres), np.float32)
  extra = {'centres': points.tolist(), 'std': float(std)}
  names = tuple(str(i) for i in range(len(points)))
  draw, fold = partial(drawn, centres=points, std=std), int(split == 'test')

  @jax.jit
  def numbered(indices: jax.Array) -> Batch:
    return draw(partial(words, jnp.full(1, -1), indices, seed=0, fold=fold))  # no training comes to position -1

  def get(indices: np.ndarray) -> dict[str, np.ndarray]:
    return {name: np.asarray(x)[0] for name, x in numbered(jnp.asarray(indices, jnp.int32)).items()}

  return Source(Spec('row', points.shape[1:], len(points), names, 0, 'mixture', extra), get, draw=draw, fold=fold)


def drawn(bits: Callable[[int], Array], centres: np.ndarray, std: float) -> Batch:
  """One draw for each row: 'row' float32 [P, B, F] and 'label' int32 [P, B], the mode.

  The bits are the same in every program; the rows are so to rounding, as compilers fuse differently.
  """
  random = bits(1 + centres.shape[1])
  mode = (random[..., 0] % np.uint32(len(centres))).astype(jnp.int32)
  uniform = ((random[..., 1:] >> 9).astype(jnp.float32) + 0.5) * 2**-22 - 1  # exact, inside (-1, 1)
  noise = np.float32(2**0.5 * std) * jax.lax.erf_inv(uniform)
  return {'row': jnp.asarray(centres)[mode] + noise, 'label': mode}


def located(layout: str, modes: int, radius: float, spacing: float, centres: Sequence[Sequence[float]]) -> np.ndarray:
  """The centres [modes, F]."""
  if layout == 'centres':
    try:
      points = np.asarray([list(point) for point in centres], float)
    except (TypeError, ValueError):
      points = np.empty(0)
    if points.ndim != 2 or not points.size or not np.isfinite(points).all():
      raise ConfigError('data.centres', centres, 'points of one dimension, such as ((0, 0), (1, 2.5))')
    return points
  if modes < 1:
    raise ConfigError('data.modes', modes, '1 or more')
  if layout == 'ring':
    angles = 2 * np.pi * np.arange(modes) / modes
    return radius * np.stack([np.cos(angles), np.sin(angles)], 1)
  side = round(modes**0.5)
  if side**2 != modes:
    raise ConfigError('data.modes', modes, 'a square number for a grid, such as 25')
  line = spacing * (np.arange(side) - (side - 1) / 2)
  return np.stack(np.meshgrid(line, line, indexing='ij'), -1).reshape(-1, 2)
