"""From a complete config to everything that a training of it needs on this machine."""

from dataclasses import replace
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict

from ganjax import check, fields, parallel
from ganjax import config as configs
from ganjax.data.examples import open_examples
from ganjax.data.feed import Feed, open_feed
from ganjax.data.sources import open_source
from ganjax.data.spec import Source, Spec
from ganjax.sample import initializer, with_examples
from ganjax.types import Game, Rules


class Setup(NamedTuple):
  """What a config comes to on this machine."""

  config: ConfigDict
  members: list[ConfigDict]  # the config of each lone run: [config], or the members' of a population
  source: Source
  spec: Spec
  game: Game
  rules: Rules
  mesh: jax.sharding.Mesh
  feed: Feed
  resident: Any  # the whole set on every device, or None
  initial: Any  # jitted () -> TrainState
  play: parallel.Program


def assemble(config: ConfigDict) -> Setup:
  """Data, game, rules and the (not yet compiled) program of a complete config. Raises ConfigError, DataError."""
  mesh = parallel.make_mesh(check.devices(config))
  source = open_source(config.data)
  check.check(config, source.spec, mesh.size)
  members = fields.members(config)
  game = with_examples(configs.game(config, source.spec), config, source.spec)
  if game.reconstruct and config.sample_every:  # sheets of samples show examples, too
    game = replace(game, examples=open_examples(config.data))
  rules = configs.rules(config, game)
  feed = open_feed(
    source, batch=config.batch_size, seed=[own.seed for own in members],
    process=(jax.process_index(), jax.process_count()), flip=config.data.flip,
    jitter=config.data.jitter,
    resident={'auto': None, 'yes': True, 'no': False}[config.data.resident],
    workers=config.data.workers, prefetch=config.data.prefetch,
  )  # fmt: skip
  play = parallel.compile(
    game, rules, mesh, config.parallel, steps=config.steps_per_call, read=feed.read,
    resident=config.batch_size if feed.resident else 0, members=bool(config.population), axes=feed.axes,
  )  # fmt: skip
  initial = initializer(config, source.spec, game, rules)
  resident = parallel.hold(feed.payload(0, ()), mesh, config.parallel) if feed.resident else None
  return Setup(config, members, source, source.spec, game, rules, mesh, feed, resident, initial, play)


def payload(setup: Setup, n: int) -> Any:
  """What the call that begins at step `n` reads its batches from."""
  if setup.resident is not None:
    return setup.resident
  turns, k = setup.game.turns, setup.config.steps_per_call
  steps = setup.feed.payload(parallel.position(turns, n), [parallel.plays(turns, n + i) for i in range(k)])
  placed = tuple(parallel.shard(batch, setup.mesh, setup.config.parallel) for batch in steps)
  return placed[0] if k == 1 else placed
