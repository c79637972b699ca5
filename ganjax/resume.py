"""Where a training goes on: from the newest checkpoint, into the phase that it is in, or back after a failure."""

import logging
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ml_collections import ConfigDict

from ganjax import check, fields, parallel, population
from ganjax import config as configs
from ganjax import state as states
from ganjax.assemble import Setup, assemble
from ganjax.checkpoint import Checkpoints
from ganjax.data.sources import open_source
from ganjax.errors import CheckpointError, ConfigError, TrainingError
from ganjax.record import NotFinite, Record
from ganjax.sample import described
from ganjax.state import TrainState

logger = logging.getLogger(__name__)


def current(phases: list[ConfigDict], checkpoints: Checkpoints) -> int:
  """The index of the phase that goes on."""
  n = parallel.told(checkpoints.latest()) or 0
  return next((i for i, phase in enumerate(phases) if n < phase.steps), len(phases) - 1)


def enter(phases: list[ConfigDict], index: int, checkpoints: Checkpoints,
          adopt: bool = False) -> tuple[Setup, int, int, TrainState, dict[str, Any]]:  # fmt: skip
  """A phase set up, the step after which it begins, and the step, state and meta to go on from.

  What comes later is checked first. Raises ConfigError, DataError, CheckpointError.
  """
  for i in range(index + 1, len(phases)):
    with named(phases, i):
      check.check(phases[i], open_source(phases[i].data).spec, check.devices(phases[i]))
  with named(phases, index):
    setup = assemble(phases[index])
  after = phases[index - 1].steps if index else 0
  return setup, after, *begin(setup, after, checkpoints, adopt)


def named(phases: list[ConfigDict], index: int) -> AbstractContextManager[None]:
  """Errors name the field as one of the phase's; what is wrong in the last one is in the config itself."""
  return fields.within(f'phases[{index}]') if index < len(phases) - 1 else nullcontext()


def begin(
  setup: Setup, after: int, checkpoints: Checkpoints, adopt: bool = False
) -> tuple[int, TrainState, dict[str, Any]]:
  """Step, state and meta to go on from: the newest intact checkpoint's, or new ones.

  A phase begins after step `after` with what fits of the phase before, whose last state is a checkpoint. The
  optimiser of a player that is another network in it starts anew.
  """
  config = setup.config
  latest = parallel.told(checkpoints.latest())
  if latest is None:
    return 0, parallel.place(setup.initial(), setup.mesh), {}
  if after and latest == after:
    like = described(checkpoints.meta(latest))[-1]
    n, old, meta = checkpoints.restore(like, latest, sharding=parallel.whole(setup.mesh))
    fresh = parallel.place(setup.initial(), setup.mesh)
    state = states.adopt(fresh, old)
    others = other_networks(config, ConfigDict(meta['config']))
    # What Adam knows of a network at another stage is of other gradients.
    state = state.replace(opt={player: (fresh if player in others else state).opt[player] for player in state.opt})
  else:
    tell_changes(config, ConfigDict(checkpoints.meta()['config']))
    fresh = parallel.place(setup.initial(), setup.mesh) if adopt else setup.initial.eval_shape()
    n, state, meta = checkpoints.restore(fresh, sharding=parallel.whole(setup.mesh), strict=not adopt)
  if n < after:
    raise CheckpointError(f'step {after}, where a phase begins, is damaged in {checkpoints.directory}: move away what is '
                          f'newer than step {n}, and the same command continues from there')  # fmt: skip
  left = max(config.steps - n, 0)
  if left % config.steps_per_call:
    raise ConfigError('steps_per_call', config.steps_per_call, f'a divisor of the {left} steps that are left')
  # Rates and gammas are the config's to say, also of a run that is continued.
  numbers = population.joined(config.population, [configs.hyper(own) for own in setup.members])
  return n, state.replace(hyper=parallel.place(numbers, setup.mesh)), meta


def other_networks(config: ConfigDict, before: ConfigDict) -> list[str]:
  """The players that are another network than before, if only one of another stage."""
  sections = {'g': 'generator', 'd': 'discriminator', 'e': 'encoder'}
  there = {p: section for p, section in sections.items() if section in config and section in before}
  return [p for p, section in there.items() if configs.flat(config[section]) != configs.flat(before[section])]


def tell_changes(config: ConfigDict, before: ConfigDict) -> None:
  """Warns of every field that was another in the checkpoint. Raises ConfigError for a population of another size."""
  population.check_size(config.population, before.get('population', {}))
  was, now = configs.flat(before), configs.flat(config)
  for name in sorted(was.keys() | now.keys()):
    if was.get(name) != now.get(name):
      logger.warning('config.%s was %r in the checkpoint, and is %r now', name, was.get(name), now.get(name))


def roll_back(
  bad: NotFinite, setup: Setup, after: int, checkpoints: Checkpoints, record: Record
) -> tuple[int, TrainState]:
  """The last good checkpoint, with another key. Raises TrainingError where there is none, or not the right to."""
  checkpoints.wait()
  config, latest = setup.config, parallel.told(checkpoints.latest())
  kept = 'no checkpoint was saved before' if latest is None else f'the last good checkpoint is step {latest}'
  if config.on_nan == 'stop' or latest is None or record.rollbacks >= config.max_rollbacks:
    tried = f' after {record.rollbacks} rollbacks' if record.rollbacks else ''
    raise TrainingError(f'{bad}{tried}; {kept}') from bad
  n, state, meta = begin(setup, after, checkpoints)
  record.rewind(meta)
  record.rollbacks += 1
  logger.warning('%s: back to step %d (rollback %d of %d)', bad, n, record.rollbacks, config.max_rollbacks)
  return n, state.replace(key=population.fold(state.key, record.rollbacks))
