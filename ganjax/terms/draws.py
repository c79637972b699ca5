"""Random draws that are the same on any number of devices."""

from collections.abc import Callable
from functools import partial

import jax

from ganjax.types import Array, Key, Scene


def per_row(scene: Scene, kind: int, sample: Callable[[Key], Array], count: int | None = None) -> Array:
  """sample(key) [...] of each row of this play, [B, ...]. `kind` keeps the draws of different terms apart.

  With packing a play has fewer examples than rows: `count` of them draw as the first row of each pack.
  """
  key = jax.random.fold_in(scene.key, kind)
  rows = scene.rows[:: scene.rows.size // count] if count else scene.rows
  return jax.vmap(lambda row: sample(jax.random.fold_in(key, row)))(rows)


def normal(scene: Scene, kind: int, like: Array) -> Array:
  """Standard normal draws of the shape of `like` [B, ...], float32."""
  return per_row(scene, kind, partial(jax.random.normal, shape=like.shape[1:]), like.shape[0])
