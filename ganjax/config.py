"""Configs: every field with its default, and names -> objects with errors that name the field.

An experiment gives the fields that matter to it; `complete` fills in the rest, so that the config that is
saved with a run says everything. Sections with a `name` take the keywords of the function or module named; the
section `play` takes those of the game.
"""

import ast
import hashlib
import importlib
import importlib.util
import inspect
import json
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from ganjax.errors import ConfigError, nearest
from ganjax.lookup import member_of, module_of, target
from ganjax.schema import Field, fill, fit, keywords, mapping, one_of
from ganjax.types import Adversarial, Array, Game, Metrics, Number, Play, Rules, Scene


def defaults() -> ConfigDict:
  """Every plain field with its default."""
  config = ConfigDict()
  config.name = ''
  config.seed = 0
  config.game = 'gan'  # a module of ganjax.games, or a dotted module of your own
  config.conditional = False  # labels go to both networks
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
  config.samples = 64  # in a grid
  config.evaluate_num = 1000
  config.keep = 3  # last checkpoints
  config.best_metric = ''  # the checkpoint that is best by it is kept too; lower is better, or -name for higher
  config.on_nan = 'stop'  # or 'rollback' to the last checkpoint, with another key
  config.max_rollbacks = 3
  config.tensorboard = True
  config.wandb = ''  # a project's name
  return config


NAMED = ('data', 'generator', 'discriminator', 'loss', 'augment')  # sections with a `name`
DEFAULT_NAMES = {'data': 'digits', 'generator': 'dcgan', 'discriminator': 'dcgan', 'loss': 'non_saturating',
                 'augment': 'none'}  # fmt: skip
GROUPS = ('optimizer', 'terms', 'ema', 'schedule')  # sections of sections
CHOICES = {'dtype': ('float32', 'bfloat16'), 'parallel': ('jit', 'pmap'), 'on_nan': ('stop', 'rollback')}
DATA_FIELDS = {'flip': Field(bool, False), 'resident': Field(typing.Literal['auto', 'yes', 'no'], 'auto'),
               'workers': Field(int, 0), 'prefetch': Field(int, 8)}  # of every source  # fmt: skip


# Completing a config.


def complete(given: Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> ConfigDict:
  """The full config: `given` fields, then `overrides` ('a.b' -> value), then defaults, all checked."""
  fields = ConfigDict(given).to_dict()
  for path, value in (overrides or {}).items():
    override(fields, path, value)
  config = defaults()
  valid = {*config, *NAMED, *GROUPS, 'play'}
  for name, value in fields.items():
    if name not in valid:
      raise ConfigError(name, value, 'one of the fields ' + ', '.join(sorted(valid)), nearest(name, valid))
    if name in config:
      config[name] = (
        one_of(name, value, CHOICES[name]) if name in CHOICES else fit(name, value, type(config[name]), None)
      )
  for section in NAMED:
    config[section] = named(section, mapping(section, fields.get(section, {})), DEFAULT_NAMES[section])
  config.play = fill('play', fields.get('play', {}), keywords(module_of('games', config.game, 'game').game))
  players = {'g': {}, 'd': {}} | mapping('optimizer', fields.get('optimizer', {}))
  config.optimizer = {
    p: named(f'optimizer.{p}', mapping(f'optimizer.{p}', chosen), 'adam') for p, chosen in players.items()
  }
  config.terms = {player: term_fields(player, mapping(f'terms.{player}', found))
                  for player, found in mapping('terms', fields.get('terms', {})).items()}  # fmt: skip
  config.ema = {name: fill(f'ema.{name}', chosen, keywords(importlib.import_module('ganjax.optim').average))
                for name, chosen in mapping('ema', fields.get('ema', {})).items()}  # fmt: skip
  config.schedule = schedules(mapping('schedule', fields.get('schedule', {})), hyper(config))
  return config.lock()


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
  """The terms of one player's loss."""
  filled = {}
  for name, fields in given.items():
    function = member_of('terms', name, f'terms.{player}')
    filled[name] = fill(f'terms.{player}.{name}', fields, keywords(function) | {'every': Field(int, 1)})
  return filled


def schedules(given: Mapping[str, Any], numbers: Mapping[str, float]) -> dict[str, Any]:
  """Schedules by the name of the hyperparameter that they move."""
  fields = {'name': Field(typing.Literal['linear', 'cosine'], 'linear'), 'start_kimg': Field(float, 0.0),
            'over_kimg': Field(float, inspect.Parameter.empty), 'end': Field(float, 0.0)}  # fmt: skip
  for name, value in given.items():
    if name not in numbers:
      raise ConfigError(f'schedule.{name}', value, 'one of ' + ', '.join(numbers), nearest(name, numbers))
  return {name: fill(f'schedule.{name}', plan, fields) for name, plan in given.items()}


def parse(text: str) -> Any:
  """The value of `--config.field=text`: a Python literal, true or false, or else the text."""
  try:
    return {'true': True, 'false': False}[text] if text in ('true', 'false') else ast.literal_eval(text)
  except (ValueError, SyntaxError, RecursionError, MemoryError):
    return text


# A complete config -> objects.


class ConfiguredTerm(NamedTuple):
  value: Callable[[Scene, Play], tuple[Array, Metrics]]
  every: int


def network(config: ConfigDict, role: str, spec: Any) -> Any:
  """The Linen module of a role ('generator', 'discriminator') for data of `spec`."""
  section = config[role].to_dict()
  module, _ = target(role, section.pop('name'))
  decided = {'dtype': config.dtype, 'classes': spec.classes if config.conditional else 0, 'channels': spec.shape[-1],
             'resolution': spec.shape[0], 'features': spec.shape[-1]}  # fmt: skip
  own = keywords(module)
  try:
    return module(**section, **{name: value for name, value in decided.items() if name in own})
  except ValueError as error:  # a network says itself what it can make
    raise ConfigError(
      f'{role}.name', config[role].name, f'a network for data of shape {spec.shape}: {error}'
    ) from error


def loss(config: ConfigDict) -> Adversarial:
  """The adversarial pair."""
  section = config.loss.to_dict()
  return target('loss', section.pop('name'))[0](**section)


def augmentation(config: ConfigDict) -> Callable[[Mapping[str, Any]], Any]:
  """The augmentation, made from the hyperparameters in force."""
  section = config.augment.to_dict()
  function, _ = target('augment', section.pop('name'))
  numbers = [field for field, (annotation, _) in keywords(function).items() if annotation is Number]
  return lambda hyper: function(**section | {field: hyper[f'augment_{field}'] for field in numbers})


def terms(config: ConfigDict, player: str) -> list[ConfiguredTerm]:
  """The terms of a player's loss: their numbers come from the scene's hyperparameters, the rest is fixed here."""

  def bind(name: str, section: dict[str, Any]) -> ConfiguredTerm:
    function = member_of('terms', name, f'terms.{player}')
    every = section.pop('every')
    numbers = [field for field, (annotation, _) in keywords(function).items() if annotation is Number]
    fixed = {field: value for field, value in section.items() if field not in numbers}

    def value(scene: Scene, play: Play) -> tuple[Array, Metrics]:
      return function(scene, play, **fixed, **{field: scene.hyper[f'{player}_{name}_{field}'] for field in numbers})

    return ConfiguredTerm(value, every)

  return [bind(name, section) for name, section in config.terms.to_dict().get(player, {}).items()]


def hyper(config: ConfigDict) -> dict[str, float]:
  """The numbers that live in the state: `<player>_<field>`, `<player>_<term>_<field>`, `augment_<field>`, `play_<field>`."""
  found: dict[str, float] = {}
  sections = [
    (player, fields, target(f'optimizer.{player}', fields.name)[0]) for player, fields in config.optimizer.items()
  ]
  sections += [(f'{player}_{name}', fields, member_of('terms', name, f'terms.{player}'))
               for player, group in config.terms.items() for name, fields in group.items()]  # fmt: skip
  sections.append(('augment', config.augment, target('augment', config.augment.name)[0]))
  sections.append(('play', config.play, module_of('games', config.game, 'game').game))
  for prefix, fields, function in sections:
    found |= {
      f'{prefix}_{name}': fields[name] for name, field in keywords(function).items() if field.annotation is Number
    }
  return found


def game(config: ConfigDict, spec: Any) -> Game:
  """The game. Its keywords are the section `play`; one that is a `Number` is to be read in `scene.hyper` instead."""
  return module_of('games', config.game, 'game').game(config, spec, **config.play.to_dict())


def rules(config: ConfigDict, playing: Game) -> Rules:
  """How the game is trained."""
  optim = importlib.import_module('ganjax.optim')

  def build(player: str) -> Callable[..., Any]:
    section = config.optimizer[player].to_dict()
    function, _ = target(f'optimizer.{player}', section.pop('name'))
    fixed = {f: value for f, value in section.items() if keywords(function)[f].annotation is not Number}
    return lambda numbers: function(**fixed, **{f: numbers[f] for f in section if f not in fixed})

  return optim.make_rules(
    playing,
    optimizer={player: build(player) for player in config.optimizer},
    schedule=config.schedule.to_dict(),
    averages={name: optim.average(**fields) for name, fields in config.ema.to_dict().items()},
    micro=config.microbatches,
  )


# Experiments.


def load(reference: str, overrides: Mapping[str, Any] | None = None) -> ConfigDict:
  """The complete config of `experiments/X.py`, `X`, or either with `:variant`."""
  name, _, variant = reference.partition(':')
  path = Path(name)
  if not path.is_file():
    known = experiments()
    if path.stem not in known or (path.suffix not in ('', '.py')):
      raise ConfigError(
        '--config', reference, 'an experiment file, or one of ' + ', '.join(known), nearest(path.stem, known)
      )
    path = known[path.stem]
  spec = importlib.util.spec_from_file_location(path.stem, path)
  if spec is None or spec.loader is None:
    raise ConfigError('--config', reference, 'a Python file with get_config()')
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  if not hasattr(module, 'get_config'):
    raise ConfigError('--config', reference, 'a Python file with get_config()')
  try:
    given = module.get_config(variant) if variant else module.get_config()
  except (ValueError, TypeError) as error:
    raise ConfigError('--config', reference, f'a variant that get_config takes ({error})') from error
  return complete({'name': path.stem + (variant and f':{variant}')} | given.to_dict(), overrides)


def experiments() -> dict[str, Path]:
  """The experiments that come with ganjax, by name."""
  found = importlib.util.find_spec('experiments')
  folders = list(found.submodule_search_locations or []) if found else []
  return {
    path.stem: path for folder in folders for path in sorted(Path(folder).glob('*.py')) if path.stem != '__init__'
  }


def fingerprint(config: ConfigDict) -> str:
  """A short hash of the whole config."""
  return hashlib.sha256(json.dumps(config.to_dict(), sort_keys=True).encode()).hexdigest()[:12]


def flat(config: ConfigDict) -> dict[str, Any]:
  """'section.field' -> value."""

  def walk(prefix: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, (list, tuple)):  # JSON knows only one of them
      value = tuple(value)
    if isinstance(value, Mapping):
      return [item for name, inner in value.items() for item in walk(f'{prefix}.{name}' if prefix else name, inner)]
    return [(prefix, value)]

  return dict(walk('', config.to_dict()))
