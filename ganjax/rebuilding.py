"""Examples through a game that encodes them: how well they come back, and how likely its likelihood says they are."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ganjax import parallel
from ganjax.data.examples import scaled
from ganjax.evals.reals import Reals, batches
from ganjax.evals.stream import Rows
from ganjax.evals.view import Rebuilt
from ganjax.types import Array, Batch, Game, Key

KEY = 0x7265  # what a seed's key is folded with

Compare = Callable[[Array, Array], Array]  # images [B, H, W, C] in [-1, 1], rebuilt and real -> [B]


def rebuild(game: Game, reals: Reals, mesh: jax.sharding.Mesh, size: int, held: Any, key: Key, draws: int,
            compare: Compare) -> Rebuilt:  # fmt: skip
  """Held-out examples, or all where none are held out, rebuilt.

  Args:
    game: has `reconstruct`.
    reals: the examples.
    mesh: the devices.
    size: of a batch.
    held: parameters and extras, and whatever else.
    key: of the posterior's draws: an example has its own.
    draws: so many log-weights of each; 0: none.
    compare: says how near they came.
  """
  first = reals.train if reals.train < len(reals.source) else 0
  program = partial(parallel.over_rows(partial(coded, game, draws, compare), mesh, size), held)
  keys = np.asarray(jax.random.key_data(jax.vmap(partial(jax.random.fold_in, key))(np.arange(len(reals.source)))))
  found: list[Rows] = []
  done = 0
  for batch in batches(reals.source, size):
    count = len(batch['image'])
    rows: Any = {'image': scaled(batch['image']), 'key': keys[done : done + count]}
    done += count
    if done > first:
      kept = {name: np.asarray(x)[:count] for name, x in program(rows).items()}
      found.append({name: x[max(0, first - done + count) :] for name, x in kept.items()})
  whole = {name: np.concatenate([part[name] for part in found]) for name in found[0]}
  return Rebuilt(whole['compared'], whole.get('weights'), int(np.prod(reals.source.spec.shape)))


def coded(game: Game, draws: int, compare: Compare, held: Any, rows: Batch) -> Batch:
  """Of images [B, H, W, C]: 'compared' [B] with what comes back from the means of their codes, and 'weights' [B, draws]."""
  params, extras, *_ = held
  assert game.reconstruct is not None
  again = game.reconstruct(params, extras, {'image': rows['image']}, None)['rebuilt']
  found = {'compared': compare(again, rows['image'])}
  if not draws:
    return found
  own = jax.random.wrap_key_data(rows['key'])

  def weight(number: Array) -> Array:
    keys = jax.vmap(partial(jax.random.fold_in, data=number))(own)
    return game.reconstruct(params, extras, {'image': rows['image']}, keys)['log_weight']  # type: ignore[misc]

  return found | {'weights': jax.lax.map(weight, jnp.arange(draws)).T}


def bounds(game: Game, example: Batch) -> bool:
  """Whether a game has a likelihood: log-weights of examples [1, ...]."""
  if game.reconstruct is None:
    return False
  params, extras = jax.eval_shape(game.init, jax.random.key(0), example)
  return 'log_weight' in jax.eval_shape(
    game.reconstruct, params, extras, example, jax.random.split(jax.random.key(0), 1)
  )
