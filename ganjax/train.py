"""The training loop: any game, from a config to a trained workdir, resumable to the bit."""

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from ganjax import config as configs
from ganjax import fields, parallel, population, posthoc, standing
from ganjax.assemble import Setup, payload
from ganjax.checkpoint import Checkpoints
from ganjax.errors import Interrupted
from ganjax.log import Log, write_run
from ganjax.measure import SEED, Options, measurer
from ganjax.monitor import NOT_LOG_ODDS
from ganjax.record import NotFinite, Record
from ganjax.resume import current, enter, roll_back
from ganjax.run import Stop, Trace
from ganjax.sample import sampler
from ganjax.state import TrainState

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
  phases = fields.phases(config)
  with ExitStack() as stack:
    checkpoints = stack.enter_context(Checkpoints(workdir, keep=config.keep, **best(config)))
    first = current(phases, checkpoints)
    setup, after, n, state, meta = enter(phases, first, checkpoints, adopt)
    stack.callback(setup.feed.close)
    posthoc.forget(workdir, after=n)
    run = write_run(workdir, config, resumed=n)
    log = stack.enter_context(Log(workdir, total_steps=config.steps, batch_size=config.batch_size, progress=progress,
                                  tensorboard=config.tensorboard, wandb=config.wandb, resume_step=n))  # fmt: skip
    stop = stack.enter_context(Stop())
    trace = stack.enter_context(Trace(Path(workdir) / 'profile', profile))
    room = Room(Path(workdir), config.steps, run, checkpoints, log, stop, trace)
    state = play(room, setup, after, n, state, meta)
    for index in range(first + 1, len(phases)):
      setup, after, n, state, meta = enter(phases, index, checkpoints)
      stack.callback(setup.feed.close)
      log.say(f'step {n}: phase {index + 1} of {len(phases)} begins')
      state = play(room, setup, after, n, state, meta)
    log.curves()
  return state


class Room(NamedTuple):
  """What all phases of a training share."""

  workdir: Path
  steps: int  # of the whole training
  run: dict[str, Any]
  checkpoints: Checkpoints
  log: Log
  stop: Stop
  trace: Trace


def play(room: Room, setup: Setup, after: int, n: int, state: TrainState, meta: dict[str, Any]) -> TrainState:
  """Plays a phase, which began after step `after`, from step n to its end, where its state is saved."""
  config = setup.config
  record = Record(setup.game, config, meta)
  settle = standing.settler(setup.game, config.standing_statistics, config.batch_size)
  generate = sampler(setup.game, settle=settle)
  evaluate = measurer(config, setup.spec, setup.game, Options.of(config))
  powers = posthoc.powers(config.ema)

  def measure(before: int) -> dict[str, float]:
    found = []
    for member, view in population.views(parallel.local(state)):
      if member in record.lost:
        continue
      own, draw = setup.members[member or 0], generate(view)
      if evaluate and crosses(config.steps, before, n, config.evaluate_every):
        found.append(evaluate(view, SEED).values)
        room.log.scalars(n, n * config.batch_size, found[-1], member)
      if crosses(config.steps, before, n, config.sample_every):
        about = room.run | {'config': own.to_dict(), 'config_hash': configs.fingerprint(own)}
        room.log.samples(n, draw(config.samples, own.seed), setup.spec, about, member)
    return population.best(found, **best(config))

  def save(values: dict[str, float], measured: int) -> None:
    about = {
      'config': config.to_dict(),
      'spec': setup.spec.to_json(),
      'run_id': room.run['run_id'],
      'measured': measured,
    }
    room.checkpoints.save(n, state, about | record.meta(), values)

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
      stopping = room.stop.asked(crossed(config.log_every))
      times = config.save_every, config.sample_every, config.evaluate_every, config.ema_snapshot_every
      pause = stopping or any(map(crossed, times))
      for step, member, values in record.settle(before, metrics, leave=0 if pause else IN_FLIGHT):
        room.log.scalars(step, step * config.batch_size, values, member)
        for message in record.warnings(values, member, probabilities=config.loss.name not in NOT_LOG_ODDS):
          room.log.say(message)
      room.log.progress(n, n * config.batch_size, record.latest)
      room.trace.call(state)
      if not pause:
        continue
      hurry = stopping and n < config.steps
      found = {} if hurry else measure(before)
      if powers and crossed(config.ema_snapshot_every) and parallel.first():
        posthoc.store(
          room.workdir, parallel.local(state), powers, room.run['run_id']
        )  # before the checkpoint: none is missed
      if hurry or crossed(config.save_every) or (found and config.best_metric):
        save(found, before if hurry else n)
    except NotFinite as bad:
      n, state = roll_back(bad, setup, after, room.checkpoints, record)
      posthoc.forget(room.workdir, after=n)
      room.log.rewind(n)
      continue
    if stopping and n < room.steps:
      room.checkpoints.wait()
      raise Interrupted(f'{stopping} at step {n} of {room.steps}: saved in {room.workdir}; the same command continues')
  room.checkpoints.wait()
  setup.feed.close()
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
