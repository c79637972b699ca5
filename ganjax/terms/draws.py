"""Random draws that are the same on any number of devices."""

from collections.abc import Callable
from functools import partial

import jax

from ganjax.types import Array, Key, Scene


def per_row(scene: Scene, kind: int, sample: Callable[[Key], Array]) -> Array:
  """sample(key) [...] of each row of this play, [B, ...]. `kind` keeps the draws of different terms apart."""
  key = jax.random.fold_in(scene.key, kind)
  return jax.vmap(lambda row: sample(jax.random.fold_in(key, row)))(scene.rows)


def normal(scene: Scene, kind: int, like: Array) -> Array:
  """Standard normal draws of the shape of `like` [B, ...], float32."""
  return per_row(scene, kind, partial(jax.random.normal, shape=like.shape[1:]))
