"""The training loop: any game, from a config to a trained workdir, resumable to the bit."""

import logging
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from ganjax import check, parallel
from ganjax import config as configs
from ganjax.checkpoint import Checkpoints
from ganjax.data.feed import Feed, open_feed
from ganjax.data.sources import open_source
from ganjax.data.spec import Source, Spec
from ganjax.errors import ConfigError, Interrupted, TrainingError
from ganjax.evals.run import evaluator
from ganjax.log import Log, write_run
from ganjax.monitor import NOT_LOG_ODDS
from ganjax.record import NotFinite, Record
from ganjax.run import Stop, Trace
from ganjax.sample import initializer, sampler
from ganjax.state import TrainState
from ganjax.types import Game, Rules

logger = logging.getLogger(__name__)
IN_FLIGHT = 8  # calls dispatched ahead of the device: more would only delay a signal


class Setup(NamedTuple):
  """What a config comes to on this machine."""

  config: ConfigDict
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
  game = configs.game(config, source.spec)
  rules = configs.rules(config, game)
  feed = open_feed(
    source, batch=config.batch_size, seed=config.seed, process=(jax.process_index(), jax.process_count()),
    flip=config.data.flip, resident={'auto': None, 'yes': True, 'no': False}[config.data.resident],
    workers=config.data.workers, prefetch=config.data.prefetch,
  )  # fmt: skip
  play = parallel.compile(
    game, rules, mesh, config.parallel, steps=config.steps_per_call, read=feed.read,
    resident=config.batch_size if feed.resident else 0,
  )  # fmt: skip
  initial = initializer(config, source.spec, game, rules)
  resident = parallel.hold(feed.payload(0, ()), mesh, config.parallel) if feed.resident else None
  return Setup(config, source, source.spec, game, rules, mesh, feed, resident, initial, play)


def train(config: ConfigDict, workdir: str | Path, *, adopt: bool = False, profile: bool = False,
          progress: bool | None = None) -> TrainState:  # fmt: skip
  """Trains a complete config (from `ganjax.config.load`) in a workdir, from its newest checkpoint if there is one.

  Args:
    config: complete; `config.steps` is where the training ends, not how many steps are added.
    workdir: gets checkpoints/, metrics.jsonl, run.json, samples/, curves.png and TensorBoard events.
    adopt: continue from a checkpoint whose state has another shape; what no longer fits starts anew.
    profile: write a trace of a few steps to workdir/profile.
    progress: a progress bar; by default one where there is a terminal, else a line now and then.

  Raises: ConfigError, DataError, CheckpointError; TrainingError where a loss or parameter isn't finite;
  Interrupted after SIGTERM or SIGINT, with the state saved.
  """
  setup = assemble(config)
  with ExitStack() as stack:
    stack.callback(setup.feed.close)
    checkpoints = stack.enter_context(Checkpoints(workdir, keep=config.keep, **best(config)))
    n, state, meta = start(setup, checkpoints, adopt)
    run = write_run(workdir, config, resumed=n)
    log = stack.enter_context(Log(workdir, total_steps=config.steps, batch_size=config.batch_size, progress=progress,
                                  tensorboard=config.tensorboard, wandb=config.wandb, resume_step=n))  # fmt: skip
    stop = stack.enter_context(Stop())
    trace = stack.enter_context(Trace(Path(workdir) / 'profile', profile))
    record = Record(setup.game, config.log_every, meta)
    generate, evaluate = sampler(setup.game), evaluator(config, setup.spec, setup.source)

    def measure(before: int) -> dict[str, float]:
      draw, found = generate(parallel.local(state)), {}
      if evaluate and crosses(config.steps, before, n, config.evaluate_every):
        found = evaluate(draw)
        log.scalars(n, n * config.batch_size, found)
      if crosses(config.steps, before, n, config.sample_every):
        log.samples(n, draw(config.samples, config.seed), setup.spec, run)
      return found

    def save(values: dict[str, float], measured: int) -> None:
      about = {'config': config.to_dict(), 'spec': setup.spec.to_json(), 'run_id': run['run_id'], 'measured': measured}
      checkpoints.save(n, state, about | record.meta(), values)

    if n == 0 and config.on_nan == 'rollback':
      save({}, 0)
    if meta.get('measured', n) < n:  # a signal left no time for it
      measure(meta['measured'])
    while n < config.steps:
      try:
        before = n
        state, metrics = setup.play(n, state, payload(setup, n))
        n += config.steps_per_call
        crossed = partial(crosses, config.steps, before, n)
        stopping = stop.asked(crossed(config.log_every))
        pause = stopping or any(map(crossed, (config.save_every, config.sample_every, config.evaluate_every)))
        for step, values in record.settle(before, metrics, leave=0 if pause else IN_FLIGHT):
          log.scalars(step, step * config.batch_size, values)
          for message in record.warnings(values, probabilities=config.loss.name not in NOT_LOG_ODDS):
            log.say(message)
        log.progress(n, n * config.batch_size, record.latest)
        trace.call(state)
        if not pause:
          continue
        hurry = stopping and n < config.steps
        found = {} if hurry else measure(before)
        if hurry or crossed(config.save_every) or (found and config.best_metric):
          save(found, before if hurry else n)
      except NotFinite as bad:
        n, state = roll_back(bad, setup, checkpoints, record)
        log.rewind(n)
        continue
      if hurry:
        checkpoints.wait()
        raise Interrupted(f'{stopping} at step {n} of {config.steps}: saved in {workdir}; the same command continues')
    checkpoints.wait()
    log.curves()
  return state


def best(config: ConfigDict) -> dict[str, Any]:
  """How the best checkpoint is told: '-name' in `best_metric` is a metric where more is better."""
  return {
    'best_metric': config.best_metric.lstrip('-') or None,
    'best_mode': 'max' if config.best_metric[:1] == '-' else 'min',
  }


def crosses(last: int, before: int, n: int, every: int) -> bool:
  """Whether a multiple of `every` lies in the steps from `before` to `n`, or these are the last."""
  return n == last or bool(every and n // every > before // every)


def start(setup: Setup, checkpoints: Checkpoints, adopt: bool) -> tuple[int, TrainState, dict[str, Any]]:
  """Step, state and meta to go on from: the newest intact checkpoint's, or new ones."""
  config = setup.config
  if parallel.told(checkpoints.latest()) is None:
    return 0, parallel.place(setup.initial(), setup.mesh), {}
  was, now = configs.flat(ConfigDict(checkpoints.meta()['config'])), configs.flat(config)
  for name in sorted(was.keys() | now.keys()):
    if was.get(name) != now.get(name):
      logger.warning('config.%s was %r in the checkpoint, and is %r now', name, was.get(name), now.get(name))
  template = parallel.place(setup.initial(), setup.mesh) if adopt else setup.initial.eval_shape()
  n, state, meta = checkpoints.restore(template, sharding=parallel.whole(setup.mesh), strict=not adopt)
  left = max(config.steps - n, 0)
  if left % config.steps_per_call:
    raise ConfigError('steps_per_call', config.steps_per_call, f'a divisor of the {left} steps that are left')
  # Rates and gammas are the config's to say, also of a run that is continued.
  numbers = {name: np.float32(value) for name, value in configs.hyper(config).items()}
  return n, state.replace(hyper=parallel.place(numbers, setup.mesh)), meta


def roll_back(bad: NotFinite, setup: Setup, checkpoints: Checkpoints, record: Record) -> tuple[int, TrainState]:
  """The last good checkpoint, with another key. Raises TrainingError where there is none, or not the right to."""
  checkpoints.wait()
  config, latest = setup.config, parallel.told(checkpoints.latest())
  kept = 'no checkpoint was saved before' if latest is None else f'the last good checkpoint is step {latest}'
  if config.on_nan == 'stop' or latest is None or record.rollbacks >= config.max_rollbacks:
    tried = f' after {record.rollbacks} rollbacks' if record.rollbacks else ''
    raise TrainingError(f'{bad}{tried}; {kept}') from bad
  n, state, meta = checkpoints.restore(setup.initial.eval_shape(), sharding=parallel.whole(setup.mesh))
  record.rewind(meta)
  record.rollbacks += 1
  logger.warning('%s: back to step %d (rollback %d of %d)', bad, n, record.rollbacks, config.max_rollbacks)
  return n, state.replace(key=jax.random.fold_in(state.key, record.rollbacks))


def payload(setup: Setup, n: int) -> Any:
  """What the call that begins at step `n` reads its batches from."""
  if setup.resident is not None:
    return setup.resident
  turns, k = setup.game.turns, setup.config.steps_per_call
  steps = setup.feed.payload(parallel.position(turns, n), [parallel.plays(turns, n + i) for i in range(k)])
  placed = tuple(parallel.shard(batch, setup.mesh, setup.config.parallel) for batch in steps)
  return placed[0] if k == 1 else placed
