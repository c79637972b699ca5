"""What an augmentation is, and draws that are the same on any number of devices."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from ganjax.augment.adaptive import Adaptive
from ganjax.types import Array, Key


class Augmentation(NamedTuple):
  """How the images that D looks at are changed, reals and fakes alike.

  `apply(key, rows [B], x [B, H, W, C], p []) -> x` is differentiable in x; `p` is the strength in force, 1 where
  `adaptive` is None.
  """

  apply: Callable[[Key, Array, Array, Array], Array]
  adaptive: Adaptive | None = None
  pseudo: bool = False  # in D's turns a share p of the reals is replaced by fakes


def per_row(key: Key, rows: Array, draw: Callable[[Key], Any]) -> Any:
  """draw(key) of each row, leaves [B, ...]: an image's draws depend on its row in the global batch alone."""
  return jax.vmap(lambda row: draw(jax.random.fold_in(key, row)))(rows)


def none() -> Augmentation:
  """No augmentation."""
  return Augmentation(lambda key, rows, x, p: x)
