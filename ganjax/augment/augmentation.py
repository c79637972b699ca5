"""What an augmentation is, and draws that are the same on any number of devices."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ganjax.augment import adaptive
from ganjax.types import Array, Extras, Key, Metrics, Scene


class Augmentation(NamedTuple):
  """How the images that D looks at are changed, reals and fakes alike.

  `apply(key, rows [B], x [B, H, W, C], p []) -> x` is differentiable in x; p is the strength in force, 1 where
  `rule` is None. With a rule its state is `extras['augment']`.
  """

  apply: Callable[[Key, Array, Array, Array], Array]
  rule: adaptive.Adaptive | None = None
  pseudo: bool = False  # in D's turns a share p of the reals is replaced by fakes


def per_row(key: Key, rows: Array, draw: Callable[[Key], Any]) -> Any:
  """draw(key) of each row, leaves [B, ...]: an image's draws depend on its row in the global batch alone."""
  return jax.vmap(lambda row: draw(jax.random.fold_in(key, row)))(rows)


def initial(augmentation: Augmentation) -> Extras:
  """What it adds to the extras."""
  return {} if augmentation.rule is None else {'augment': adaptive.initial(augmentation.rule)}


def strength(augmentation: Augmentation, scene: Scene) -> Array:
  """p in force, []."""
  rule = augmentation.rule
  return jnp.float32(1) if rule is None else adaptive.current(rule, scene)['p']


def observe(augmentation: Augmentation, scene: Scene, real: Array, fake: Array) -> tuple[Extras, Metrics]:
  """Extras and metrics of D's turn, in which it gave these logits."""
  if augmentation.rule is None:
    return {}, {}
  state = adaptive.observe(augmentation.rule, scene, real, fake)
  return {'augment': state}, {'d/augment_p': state['p']}


def unchanged(key: Key, rows: Array, x: Array, p: Array) -> Array:
  """x."""
  return x


def none() -> Augmentation:
  """No augmentation."""
  return Augmentation(unchanged)
