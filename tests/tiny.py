"""The smallest games that have everything: shared by the tests of step, devices and loop."""

import functools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict, FrozenConfigDict

from ganjax import config as configs
from ganjax import parallel, state
from ganjax.data.spec import Spec
from ganjax.types import Game, Rules

ROWS = Spec('row', (2,), classes=3, name='mixture')
IMAGES = Spec('image', (8, 8, 1), classes=10, count=1500, name='digits')


def complete(**fields: Any) -> ConfigDict:
  """A complete config of a tiny game on rows, with `fields` changed ('a__b' is a.b)."""
  given = {
    'data': {'name': 'mixture'}, 'generator': {'name': 'mlp', 'hidden': (8,)}, 'latent_dim': 3, 'batch_size': 16,
    'discriminator': {'name': 'mlp', 'hidden': (8,)},
    'optimizer': {player: {'learning_rate': 1e-2} for player in 'gd'},
  }  # fmt: skip
  return configs.complete(given, {name.replace('__', '.'): value for name, value in fields.items()})


def images(**fields: Any) -> ConfigDict:
  """A complete config of a tiny DCGAN on 8 x 8 images: batch statistics in G, spectral vectors in D."""
  given = {
    'data': {'name': 'digits'}, 'generator': {'name': 'dcgan', 'width': 4}, 'latent_dim': 3, 'batch_size': 16,
    'discriminator': {'name': 'dcgan', 'width': 4, 'spectral': True},
  }  # fmt: skip
  return configs.complete(given, {name.replace('__', '.'): value for name, value in fields.items()})


def game(config: ConfigDict) -> tuple[Spec, Game, Rules]:
  """The spec, game and rules of a tiny config."""
  spec = ROWS if config.data.name == 'mixture' else IMAGES
  playing = configs.game(config, spec)
  return spec, playing, configs.rules(config, playing)


def batch(spec: Spec, n: int, plays: int, size: int = 16) -> dict[str, jax.Array]:
  """Batches [plays, size, ...] that depend on `n`."""
  rng = np.random.default_rng([99, n])  # NumPy: every operation of JAX's would be compiled for each shape
  x = np.tanh(rng.normal(size=(plays, size, *spec.shape)))
  return {
    spec.field: jnp.asarray(x, jnp.float32),
    'label': jnp.asarray(rng.integers(spec.classes, size=(plays, size)), jnp.int32),
  }


def initial(config: ConfigDict, spec: Spec, playing: Game, rules: Rules) -> state.TrainState:
  """The state at step 0."""
  one = jax.tree.map(lambda x: x[0], batch(spec, 0, 1))
  return state.create(playing, rules, jax.random.key(config.seed), one, configs.hyper(config))


@functools.lru_cache(4)  # of a test: it plays the same game more than once
def compiled(config: FrozenConfigDict, how: str, devices: int, per_call: int, unroll: bool | None) -> Any:
  _, playing, rules = game(config)
  return parallel.compile(playing, rules, parallel.make_mesh(devices), how, steps=per_call, unroll=unroll)


def play(config: ConfigDict, steps: int, *, how: str = 'jit', devices: int = 1, per_call: int = 1,
         unroll: bool | None = None, begin: Any = None, first: int = 0) -> tuple[Any, list[dict[str, float]]]:  # fmt: skip
  """State and metrics by step after `steps` steps."""
  spec, playing, rules = game(config)
  mesh = parallel.make_mesh(devices)
  program = compiled(FrozenConfigDict(config), how, devices, per_call, unroll)
  now = parallel.place(initial(config, spec, playing, rules) if begin is None else begin, mesh)
  seen = []
  for n in range(first, first + steps, per_call):
    parts = [batch(spec, n + i, parallel.plays(playing.turns, n + i), config.batch_size) for i in range(per_call)]
    placed = tuple(parallel.shard(jax.device_get(part), mesh, how) for part in parts)
    now, metrics = program(n, now, placed[0] if per_call == 1 else placed)
    seen += parallel.unstack(metrics)
  return jax.device_get(now), seen


def each(config: ConfigDict, steps: int) -> Iterator[tuple[Any, dict[str, float]]]:
  """State and metrics after each step."""
  spec, playing, rules = game(config)
  mesh = parallel.make_mesh(1)
  program = parallel.compile(playing, rules, mesh)
  now = parallel.place(initial(config, spec, playing, rules), mesh)
  for n in range(steps):
    part = batch(spec, n, parallel.plays(playing.turns, n), config.batch_size)
    now, metrics = program(n, now, parallel.shard(jax.device_get(part), mesh, 'jit'))
    yield jax.device_get(now), parallel.unstack(metrics)[0]


def difference(a: Any, b: Any) -> float:
  """The largest absolute difference between two trees of arrays (keys: 0 if equal)."""

  def one(x: Any, y: Any) -> float:
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
      x, y = jax.random.key_data(x), jax.random.key_data(y)
    return float(abs(np.float32(x) - np.float32(y)).max()) if x.size else 0.0

  return max(jax.tree.leaves(jax.tree.map(one, a, b)))
