"""The training loop: any game, from a config to a trained workdir, resumable to the bit."""

import logging
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from ganjax import config as configs
from ganjax import parallel, population, posthoc, standing
from ganjax.assemble import Setup, assemble, payload
from ganjax.checkpoint import Checkpoints
from ganjax.errors import ConfigError, Interrupted, TrainingError
from ganjax.evals.run import evaluator
from ganjax.log import Log, write_run
from ganjax.monitor import NOT_LOG_ODDS
from ganjax.record import NotFinite, Record
from ganjax.run import Stop, Trace
from ganjax.sample import sampler
from ganjax.state import TrainState

logger = logging.getLogger(__name__)
IN_FLIGHT = 8  # calls dispatched ahead of the device: more would only delay a signal


def train(config: ConfigDict, workdir: str | Path, *, adopt: bool = False, profile: bool = False,
          progress: bool | None = None) -> TrainState:  # fmt: skip
  """Trains a complete config (from `ganjax.config.load`) in a workdir, from its newest checkpoint if there is one.

  Args:
    config: complete; `config.steps` is where the training ends, not how many steps are added.
    workdir: gets checkpoints/, metrics.jsonl, run.json, samples/, ema/, curves.png and TensorBoard events.
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
    posthoc.forget(workdir, after=n)
    run = write_run(workdir, config, resumed=n)
    log = stack.enter_context(Log(workdir, total_steps=config.steps, batch_size=config.batch_size, progress=progress,
                                  tensorboard=config.tensorboard, wandb=config.wandb, resume_step=n))  # fmt: skip
    stop = stack.enter_context(Stop())
    trace = stack.enter_context(Trace(Path(workdir) / 'profile', profile))
    record = Record(setup.game, config, meta)
    settle = standing.settler(setup.game, config.standing_statistics, config.batch_size)
    generate, evaluate = sampler(setup.game, settle=settle), evaluator(config, setup.spec, setup.source)
    powers = posthoc.powers(config.ema)

    def measure(before: int) -> dict[str, float]:
      found = []
      for member, view in population.views(parallel.local(state)):
        if member in record.lost:
          continue
        own, draw = setup.members[member or 0], generate(view)
        if evaluate and crosses(config.steps, before, n, config.evaluate_every):
          found.append(evaluate(draw))
          log.scalars(n, n * config.batch_size, found[-1], member)
        if crosses(config.steps, before, n, config.sample_every):
          about = run | {'config': own.to_dict(), 'config_hash': configs.fingerprint(own)}
          log.samples(n, draw(config.samples, own.seed), setup.spec, about, member)
      return population.best(found, **best(config))

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
        times = config.save_every, config.sample_every, config.evaluate_every, config.ema_snapshot_every
        pause = stopping or any(map(crossed, times))
        for step, member, values in record.settle(before, metrics, leave=0 if pause else IN_FLIGHT):
          log.scalars(step, step * config.batch_size, values, member)
          for message in record.warnings(values, member, probabilities=config.loss.name not in NOT_LOG_ODDS):
            log.say(message)
        log.progress(n, n * config.batch_size, record.latest)
        trace.call(state)
        if not pause:
          continue
        hurry = stopping and n < config.steps
        found = {} if hurry else measure(before)
        if powers and crossed(config.ema_snapshot_every) and parallel.first():
          posthoc.store(workdir, parallel.local(state), powers, run['run_id'])  # before the checkpoint: none is missed
        if hurry or crossed(config.save_every) or (found and config.best_metric):
          save(found, before if hurry else n)
      except NotFinite as bad:
        n, state = roll_back(bad, setup, checkpoints, record)
        posthoc.forget(workdir, after=n)
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
  numbers = population.joined(config.population, [configs.hyper(own) for own in setup.members])
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
  return n, state.replace(key=population.fold(state.key, record.rollbacks))
