"""The fields of a config: every one with its default, and the check of what an experiment gives.

An experiment gives the fields that matter to it; `complete` fills in the rest, so that the config that is
saved with a run says everything. Sections with a `name` take the keywords of the function or module named; the
section `play` takes those of the game.
"""

import ast
import functools
import importlib
import inspect
import operator
import typing
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ml_collections import ConfigDict

from ganjax import population
from ganjax.errors import ConfigError, nearest
from ganjax.lookup import member_of, module_of, target
from ganjax.schema import Field, fill, fit, keywords, mapping, one_of
from ganjax.types import Number


def defaults() -> ConfigDict:
  """Every plain field with its default."""
  config = ConfigDict()
  config.name = ''
  config.seed = 0
  config.game = 'gan'  # a module of ganjax.games, or a dotted module of your own
  config.latent_dim = 64
  config.n_critic = 1  # D's plays per G's, each on fresh data
  config.dtype = 'float32'  # of the networks' computation; parameters stay float32
  config.batch_size = 64  # over all devices
  config.microbatches = 1  # the batch in so many parts, one after the other
  config.steps = 1000
  config.steps_per_call = 1
  config.parallel = 'jit'  # or 'pmap'
  config.devices = 0  # 0: all
  config.log_every = 50  # all in steps; 0: never, or only at the end
  config.sample_every = 0
  config.evaluate_every = 0
  config.save_every = 0
  config.ema_snapshot_every = 0  # of the averages with sigma_rel, for `ganjax ema`
  config.samples = 64  # in a grid
  config.evaluate_num = 1000  # samples
  config.evaluate_metrics = ()  # names that `ganjax list` shows; (): what suits the data, if anything does
  config.evaluate_features = ''  # the feature network: 'inception', ...; '': what suits the data
  config.evaluate_weights = ''  # its weights in a file of yours
  config.evaluate_resize = ''  # how images are brought to its size; '': as the network's published code does
  config.evaluate_lpips = ''  # a file of LPIPS's linear layers for VGG16
  config.evaluate_lpips_weights = ''  # a file of VGG16, instead of torchvision's published weights
  config.evaluate_split = ''  # of the real data: 'train', 'test' or 'all'
  config.standing_statistics = (
    0  # batches that G's batch statistics are taken from anew for samples; 0: the running ones
  )
  config.keep = 3  # last checkpoints
  config.best_metric = ''  # the checkpoint that is best by it is kept too; lower is better, or -name for higher
  config.on_nan = 'stop'  # 'rollback' to the last checkpoint, with another key; 'drop' a population's member
  config.max_rollbacks = 3
  config.tensorboard = True
  config.wandb = ''  # a project's name
  return config


NAMED = ('data', 'generator', 'discriminator', 'loss', 'conditioning', 'augment')  # sections with a `name`
DEFAULT_NAMES = {'data': 'digits', 'generator': 'dcgan', 'discriminator': 'dcgan', 'encoder': 'dcgan', 'loss': 'non_saturating',
                 'conditioning': 'none', 'augment': 'none'}  # fmt: skip
GROUPS = ('optimizer', 'terms', 'stabilizers', 'balance', 'ema', 'schedule')  # sections of sections
CHOICES = {'dtype': ('float32', 'bfloat16'), 'parallel': ('jit', 'pmap'), 'on_nan': ('stop', 'rollback', 'drop')}
DATA_FIELDS = {'flip': Field(bool, False), 'jitter': Field(int, 0), 'resident': Field(typing.Literal['auto', 'yes', 'no'], 'auto'),
               'workers': Field(int, 0), 'prefetch': Field(int, 8), 'labels': Field(Sequence[int], ()), 'scores': Field(str, ''),
               'easiest': Field(float, 1.0), 'blur': Field(float, 0.0)}  # of every source  # fmt: skip


def complete(given: Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> ConfigDict:
  """The full config: `given` fields, then `overrides` ('a.b' -> value), then defaults, all checked."""
  fields = apart(ConfigDict(given).to_dict())
  for path, value in (overrides or {}).items():
    override(fields, path, value)
  config = defaults()
  valid = {*config, *NAMED, *GROUPS, 'encoder', 'play', 'population', 'phases'}
  for name, value in fields.items():
    if name not in valid:
      raise ConfigError(name, value, 'one of the fields ' + ', '.join(sorted(valid)), nearest(name, valid))
    if name in config:
      config[name] = (
        one_of(name, value, CHOICES[name]) if name in CHOICES else fit(name, value, type(config[name]), None)
      )
  module = module_of('games', config.game, 'game')
  encodes = 'e' in getattr(module, 'PLAYERS', 'gd')
  if 'encoder' in fields and not encodes:
    raise ConfigError('encoder', fields['encoder'], f'nothing: the game {config.game!r} has no encoder')
  for section in (*NAMED, *['encoder'] * encodes):
    config[section] = named(section, mapping(section, fields.get(section, {})), DEFAULT_NAMES[section])
  config.play = fill('play', fields.get('play', {}), keywords(module.game))
  players: dict[str, Any] = {player: {} for player in getattr(module, 'PLAYERS', 'gd')} | mapping(
    'optimizer', fields.get('optimizer', {})
  )
  config.optimizer = {
    p: named(f'optimizer.{p}', mapping(f'optimizer.{p}', chosen), 'adam') for p, chosen in players.items()
  }
  config.terms = {player: term_fields(player, mapping(f'terms.{player}', found))
                  for player, found in mapping('terms', fields.get('terms', {})).items()}  # fmt: skip
  config.stabilizers = {name: fill(f'stabilizers.{name}', chosen, keywords(member_of('stabilizers', name, 'stabilizers')))
                        for name, chosen in mapping('stabilizers', fields.get('stabilizers', {})).items()}  # fmt: skip
  config.balance = {player: named(f'balance.{player}', mapping(f'balance.{player}', chosen), '')
                    for player, chosen in mapping('balance', fields.get('balance', {})).items()}  # fmt: skip
  config.ema = {name: averaging(name, chosen) for name, chosen in mapping('ema', fields.get('ema', {})).items()}
  config.schedule = schedules(mapping('schedule', fields.get('schedule', {})), hyper(config))
  config.population = population.checked(fields.get('population', {}), varied(config))
  if config.on_nan == 'drop' and not config.population:
    raise ConfigError('on_nan', 'drop', "'stop' or 'rollback': a lone run has no other members that go on")
  config.phases = phased(fields.get('phases', ()))
  phases(config)
  return config.lock()


def apart(section: Mapping[str, Any]) -> dict[str, Any]:
  """A copy in which no two sections are one and the same dict: an override of one is not to change the other."""
  return {name: apart(value) if isinstance(value, Mapping) else value for name, value in section.items()}


def override(given: dict[str, Any], path: str, value: Any) -> None:
  """Sets the field at a dotted path. Another `name` for a section, or `game`, drops the old one's own fields."""
  *sections, last = path.split('.')
  place = given
  if path == 'game' and given.get('game', value) != value:
    given.pop('play', None)
  for i, section in enumerate(sections):
    place = place.setdefault(section, {})
    if not isinstance(place, dict):
      raise ConfigError('.'.join(sections[: i + 1]), place, 'a section with fields')
  if last == 'name' and sections and place.get('name', DEFAULT_NAMES.get(sections[0])) != value:
    place.clear()
  place[last] = value


def named(section: str, given: dict[str, Any], default: str) -> dict[str, Any]:
  """A section with a `name`, filled with the defaults of what the name stands for."""
  name = fit(f'{section}.name', given.pop('name', default), str, None)
  function, without = target(section, name)
  fields = keywords(function, without) | (DATA_FIELDS if section == 'data' else {})
  return {'name': name} | fill(section, given, fields)


def term_fields(player: str, given: Mapping[str, Any]) -> dict[str, Any]:
  """The terms of one player's loss. Whose it is they are told, if they ask for `player`."""
  filled = {}
  for name, fields in given.items():
    function = member_of('terms', name, f'terms.{player}')
    only = importlib.import_module('ganjax.terms').ONLY.get(name, player)
    if player != only:
      raise ConfigError(
        f'terms.{player}.{name}', fields, f'terms.{only}.{name}: it does not depend on what {player} does'
      )
    filled[name] = fill(f'terms.{player}.{name}', fields, keywords(function, ('player',)) | {'every': Field(int, 1)})
  return filled


def averaging(name: str, given: Any) -> dict[str, Any]:
  """One average of the parameters."""
  averages = importlib.import_module('ganjax.averages')
  filled = fill(f'ema.{name}', given, keywords(averages.average))
  if filled['sigma_rel'] > averages.WIDEST:
    raise ConfigError(f'ema.{name}.sigma_rel', filled['sigma_rel'], f'at most {averages.WIDEST:.4f}, the plain mean')
  if filled['sigma_rel'] and filled['decay']:
    raise ConfigError(f'ema.{name}.decay', filled['decay'], '0 beside sigma_rel: an average has one or the other')
  return filled


def schedules(given: Mapping[str, Any], numbers: Mapping[str, float]) -> dict[str, Any]:
  """Schedules by the name of the hyperparameter that they move."""
  shapes = importlib.import_module('ganjax.optim').SCHEDULES
  own = {
    'name': Field(str, 'linear'),
    'start_kimg': Field(float, 0.0),
    'over_kimg': Field(float, inspect.Parameter.empty),
  }
  filled = {}
  for number, plan in given.items():
    section = f'schedule.{number}'
    if number not in numbers:
      raise ConfigError(section, plan, 'one of ' + ', '.join(numbers), nearest(number, numbers))
    name = one_of(f'{section}.name', mapping(section, plan).get('name', 'linear'), tuple(shapes))
    filled[number] = fill(section, plan, own | keywords(shapes[name]))
    if name == 'exponential' and min(filled[number]['end'], numbers[number]) <= 0:
      raise ConfigError(
        f'{section}.end', filled[number]['end'], f'above 0, as {number} ({numbers[number]}) must be too'
      )
  return filled


def parse(text: str) -> Any:
  """The value of `--config.field=text`: a Python literal, true or false, or else the text."""
  try:
    return {'true': True, 'false': False}[text] if text in ('true', 'false') else ast.literal_eval(text)
  except (ValueError, SyntaxError, RecursionError, MemoryError):
    return text


def hyper(config: ConfigDict) -> dict[str, float]:
  """The numbers that live in the state, by name (see `places`)."""
  return {name: functools.reduce(operator.getitem, place.split('.'), config) for name, place in places(config).items()}


def places(config: ConfigDict) -> dict[str, str]:
  """The field of each number that lives in the state, by the number's name.

  `<player>_<field>` of optimisers, `<player>_<term>_<field>` of terms, `<stabilizer>_<field>`, and `augment_<field>`,
  `conditioning_<field>`, `play_<field>`.
  """
  sections = [(player, f'optimizer.{player}', target(f'optimizer.{player}', fields.name)[0])
              for player, fields in config.optimizer.items()]  # fmt: skip
  sections += [(f'{player}_{name}', f'terms.{player}.{name}', member_of('terms', name, f'terms.{player}'))
               for player, group in config.terms.items() for name in group]  # fmt: skip
  sections += [
    (name, f'stabilizers.{name}', member_of('stabilizers', name, 'stabilizers')) for name in config.stabilizers
  ]
  sections += [(name, name, target(name, config[name].name)[0]) for name in ('augment', 'conditioning')]
  sections.append(('play', 'play', module_of('games', config.game, 'game').game))
  return {
    f'{prefix}_{name}': f'{place}.{name}'
    for prefix, place, function in sections
    for name, field in keywords(function).items()
    if field.annotation is Number
  }


def varied(config: ConfigDict) -> dict[str, str]:
  """What a population may vary, by the name of its list: seeds, the state's numbers, and those of schedules."""
  plans = [(name, part) for name, plan in config.schedule.items() for part in plan if part != 'name']
  return {'seeds': 'seed'} | places(config) | {f'{name}_{part}': f'schedule.{name}.{part}' for name, part in plans}


# What every phase of a training shares.
SHARED = ('name', 'seed', 'batch_size', 'steps', 'steps_per_call', 'parallel', 'devices', 'log_every', 'keep', 'best_metric',
          'on_nan', 'max_rollbacks', 'tensorboard', 'wandb', 'population', 'phases')  # fmt: skip


def phased(given: Any) -> tuple[dict[str, Any], ...]:
  """The field `phases`: what is different until some step, and then until a later one."""
  if not isinstance(given, (list, tuple)):
    raise ConfigError('phases', given, "a list such as ({'until': 1000, 'loss.name': 'hinge'},)")
  checked, before = [], 0
  for i, overrides in enumerate(given):
    filled = mapping(f'phases[{i}]', overrides)
    until = filled['until'] = fit(f'phases[{i}].until', filled.get('until'), int, None)
    if until <= before:
      raise ConfigError(f'phases[{i}].until', until, f'a step after {before}')
    for path in filled:
      if path.partition('.')[0] in SHARED:
        raise ConfigError(f'phases[{i}].{path}', filled[path], f'anything but {", ".join(SHARED)}')
    checked.append(filled)
    before = until
  return tuple(checked)


def phases(config: ConfigDict) -> list[ConfigDict]:
  """A complete config for each phase, whose `steps` is where it ends; the last is `config` itself, if it has its turn."""
  found: list[ConfigDict] = []
  for i, given in enumerate(config.phases):
    if found and found[-1].steps == config.steps:
      break
    overrides = {path: value for path, value in given.items() if path != 'until'}
    with within(f'phases[{i}]'):
      found.append(complete(config, overrides | {'phases': (), 'steps': min(given['until'], config.steps)}))
  if found and found[-1].steps == config.steps:
    return found
  return [*found, complete(config, {'phases': ()}) if config.phases else config]


@contextmanager
def within(place: str) -> Iterator[None]:
  """Errors name the field as one of `place`."""
  try:
    yield
  except ConfigError as error:
    raise ConfigError(f'{place}.{error.field}', error.given, error.valid, error.nearest) from None


def members(config: ConfigDict) -> list[ConfigDict]:
  """The configs of the lone runs that the members of a population are; [config] where there is none."""
  where = varied(config)
  own = [
    {where[name]: value for name, value in values.items()} for values in population.combinations(config.population)
  ]
  alone: dict[str, Any] = {'population': {}} | ({'on_nan': 'stop'} if config.on_nan == 'drop' else {})
  return [complete(config, alone | values) for values in own] or [config]
