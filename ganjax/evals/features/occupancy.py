"""What there is in each part of a volume: the eyes of metrics on volumes, without a trained network."""

from pathlib import Path

import jax.numpy as jnp

from ganjax.errors import ConfigError
from ganjax.evals.features import Extractor
from ganjax.types import Array, Params

PARTS = 4  # each way
SCALE = 10.0  # shares of surface and volume are small numbers


def open(weights: str | Path | None = None, resize: str | None = None) -> Extractor:  # noqa: A001
  """Volumes by what is in each of 4x4x4 parts: the share of voxels that is occupied, and the share of surface.

  No network: numbers compare with those of other work only where it measures the same. Raises ConfigError for weights or
  a way of resizing.
  """
  for flag, given in (('--weights', weights), ('--resize', resize)):
    if given:
      raise ConfigError(flag, str(given), 'nothing: occupancy has no weights, and volumes keep their size')
  protocol = {'parts': str(PARTS), 'scale': str(SCALE)}
  return Extractor('occupancy', protocol, {'features': 2 * PARTS**3}, apply, {})


def apply(params: Params, volumes: Array) -> dict[str, Array]:
  """uint8 volumes [B, D, H, W, 1] -> features [B, 128]: ten times the shares, above 127 is occupied.

  First of voxels that are occupied; then of the faces towards the next voxel along each axis that have matter on one
  side alone.
  """
  del params
  x = (volumes[..., 0] > 127).astype(jnp.float32)  # [B, D, H, W]
  edges = ((0, 0), *[(0, 1)] * 3)
  beyond = jnp.pad(x, edges)
  ahead = (beyond[:, 1:, :-1, :-1], beyond[:, :-1, 1:, :-1], beyond[:, :-1, :-1, 1:])
  surface = sum(jnp.abs(x - other) for other in ahead) / 3
  found = jnp.concatenate([pooled(x), pooled(jnp.asarray(surface))], 1)
  return {'features': SCALE * found}


def pooled(x: Array) -> Array:
  """Means over PARTS x PARTS x PARTS parts of x [B, D, H, W] -> [B, PARTS**3]."""
  b, *sides = x.shape
  blocks = [n for side in sides for n in (PARTS, side // PARTS)]
  return x.reshape(b, *blocks).mean((2, 4, 6)).reshape(b, -1)
