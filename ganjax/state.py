"""The state of a training: arrays only, so that it can be saved, averaged, mapped and donated."""

from collections.abc import Mapping
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from ganjax.types import Array, Extras, Game, Hyper, Key, Params, Rules


class TrainState(flax.struct.PyTreeNode):
  """`ema[name][player]` are averages of `params[player]`; `opt[player]` its optimiser state."""

  step: Array  # int32 []
  images: Array  # int32 [], images shown: the global batch size for every step
  key: Key
  hyper: Hyper
  params: Params
  extras: Extras
  opt: dict[str, Any]
  ema: dict[str, Params]


def create(game: Game, rules: Rules, key: Key, batch: Any, hyper: Mapping[str, float]) -> TrainState:
  """A state at step 0. `batch` is one play's batch ([B, ...] leaves), only its shapes matter."""
  params, extras = game.init(jax.random.fold_in(key, 0), batch)
  numbers = {name: jnp.asarray(value, jnp.float32) for name, value in hyper.items()}
  zero = jnp.zeros((), jnp.int32)
  optimizers = rules.optimizers(rules.schedule(numbers, zero))
  return TrainState(
    step=zero,
    images=jnp.zeros((), jnp.int32),  # a buffer of its own: the state is donated
    key=jax.random.fold_in(key, 1),
    hyper=numbers,
    params=params,
    extras=extras,
    opt={player: optimizers[player].init(params[player]) for player in params},
    # Copies: two leaves of a donated state must not share a buffer.
    ema={name: jax.tree.map(jnp.copy, {p: params[p] for p in rules.averaged}) for name in rules.averages},
  )


def adopt(new: TrainState, old: TrainState) -> TrainState:
  """`new` with every leaf of `old` that still has its place (same path, shape and dtype).

  The optimiser of a player that is not wholly as it was starts anew: new moments under an old count of Adam's would
  make first steps of ten times the rate.
  """
  kept = dict(jax.tree_util.tree_flatten_with_path(old)[0])

  def choose(path: Any, leaf: Array) -> Array:
    other = kept.get(path)
    fits = other is not None and other.shape == leaf.shape and other.dtype == leaf.dtype
    return other if fits else leaf  # type: ignore[return-value]

  merged = jax.tree_util.tree_map_with_path(choose, new)
  shapes = lambda state, player: jax.tree.map(  # noqa: E731
    lambda x: (x.shape, x.dtype), (state.params.get(player), state.opt.get(player))
  )
  opt = {p: merged.opt[p] if shapes(new, p) == shapes(old, p) else new.opt[p] for p in new.opt}
  return merged.replace(opt=opt)
