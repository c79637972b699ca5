"""Standing statistics: batch statistics taken anew for the parameters that are drawn from (Brock et al. 2019,
arXiv:1809.11096). Running means lag behind the parameters, and an average of the parameters has none of its own.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from ganjax.types import Array, Extras, Game, Key, Params

KEY = 0x7374  # what the key of seed 0 is folded with: the same statistics each time

Settle = Callable[[Params, Extras], Extras]


def settler(game: Game, batches: int, size: int) -> Settle | None:
  """`recalibrate` with so many batches of `size` latents, compiled; None for 0."""
  if not batches:
    return None
  key = jax.random.fold_in(jax.random.key(0), KEY)
  return jax.jit(partial(recalibrate, game, key=key, batches=batches, size=size))


def recalibrate(game: Game, params: Params, extras: Extras, *, key: Key, batches: int, size: int) -> Extras:
  """`extras` with the generator's batch statistics as the means over `batches` training forwards from the prior.

  What a training forward does not advance (D's statistics) and what is no 'batch_stats' stays as it is.
  """
  if game.advance is None:
    return extras
  running = [leaf for path, leaf in leaves(extras) if is_running(path)]

  def of_batch(number: Array) -> list[tuple[Array, Array]]:
    prior = game.prior(jax.random.fold_in(key, number), size, None)

    def moved(values: list[Array]) -> list[Array]:
      return [leaf for path, leaf in leaves(game.advance(params, filled(extras, values), prior)) if is_running(path)]  # type: ignore[misc]

    # A running value moves to slope * old + (1 - slope) * the batch's; the forward itself doesn't look at it.
    zeros, ones = [jnp.zeros_like(x) for x in running], [jnp.ones_like(x) for x in running]
    new, slopes = jax.jvp(moved, (zeros,), (ones,))
    return [(x / jnp.where(s < 1, 1 - s, 1), s < 1) for x, s in zip(new, slopes, strict=True)]

  seen = jax.lax.map(of_batch, jnp.arange(batches))
  means = [jnp.where(advanced[0], x.mean(0), old) for (x, advanced), old in zip(seen, running, strict=True)]
  return filled(extras, means)


def has_statistics(extras: Any) -> bool:
  """Whether there is anything to take anew."""
  return any(is_running(path) for path, _ in leaves(extras))


def leaves(extras: Any) -> list[tuple[Any, Array]]:
  """Paths and leaves."""
  return jax.tree_util.tree_flatten_with_path(extras)[0]


def is_running(path: Any) -> bool:
  """Whether a leaf is a running mean or variance."""
  return any(getattr(entry, 'key', None) == 'batch_stats' for entry in path)


def filled(extras: Extras, values: list[Array]) -> Extras:
  """`extras` with its running values replaced."""
  waiting = iter(values)
  return jax.tree_util.tree_map_with_path(lambda path, leaf: next(waiting) if is_running(path) else leaf, extras)
