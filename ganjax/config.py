"""Complete configs -> objects; experiment files -> complete configs. Errors name the field."""

import hashlib
import importlib
import importlib.util
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from ganjax import balance
from ganjax.errors import ConfigError, nearest
from ganjax.fields import complete
from ganjax.fields import hyper as hyper  # part of what a config comes to
from ganjax.lookup import member_of, module_of, target
from ganjax.schema import keywords
from ganjax.types import Adversarial, Array, Game, Metrics, Number, Play, Rules, Scene


class ConfiguredTerm(NamedTuple):
  """A term of a player's loss: `value(scene, play, state) -> (value [], metrics, state)`."""

  name: str
  value: Callable[[Scene, Play, Any], tuple[Array, Metrics, Any]]
  every: int
  initial: Any  # its state at step 0, a dict of arrays, or None


def generator(config: ConfigDict, spec: Any) -> Any:
  """G's Linen module for data of `spec`."""
  return network(config, 'generator', spec, {'classes': spec.classes if config.conditioning.name != 'none' else 0})


def discriminator(config: ConfigDict, spec: Any, packing: int, heads: Mapping[str, int]) -> Any:
  """D's Linen module for packs of data of `spec`, with the heads that game, conditioning and terms ask for."""
  method = conditioning(config)(hyper(config))
  wanted = dict(heads) | method.heads(spec.classes)
  for group in config.terms.values():
    for name in group:
      wanted |= importlib.import_module('ganjax.terms').HEADS.get(name, {})
  classes = spec.classes if method.inside != 'none' or method.proxies else 0
  asked = {'classes': classes, 'inside': method.inside, 'heads': wanted, 'proxies': method.proxies}
  own = keywords(target('discriminator', config.discriminator.name)[0])
  for field, value in asked.items():
    # A network without the field `inside` has its own way with labels, which is a projection.
    if value and field not in own and value not in ('none', 'projection'):
      raise ConfigError('discriminator.name', config.discriminator.name, f'a network that takes {field}={value!r}: '
                        f'conditioning {config.conditioning.name!r} or a term asks for it')  # fmt: skip
  channels = dict.fromkeys(('channels', 'features'), spec.shape[-1] * packing)
  return network(config, 'discriminator', spec, asked | channels)


def encoder(config: ConfigDict, spec: Any, heads: Mapping[str, int]) -> Any:
  """The Linen module that reads `heads` (name -> size) from data of `spec`: a discriminator's, whose logit nobody asks for."""
  section = config.encoder
  if 'heads' not in keywords(target('encoder', section.name)[0]):
    raise ConfigError('encoder.name', section.name, "a network whose discriminator has heads: 'dcgan', 'mlp'")
  if section.get('minibatch', 'none') != 'none':
    raise ConfigError('encoder.minibatch', section.minibatch, "'none': a code is of one example")
  return network(config, 'encoder', spec, {'heads': heads})


def network(config: ConfigDict, role: str, spec: Any, decided: Mapping[str, Any]) -> Any:
  """The Linen module of a role, with those of the `decided` fields that it has."""
  section = config[role].to_dict()
  module, _ = target(role, section.pop('name'))
  known = {'dtype': config.dtype, 'resolution': spec.shape[0], 'channels': spec.shape[-1], 'features': spec.shape[-1]}
  own = keywords(module)
  try:
    return module(**section, **{name: value for name, value in (known | dict(decided)).items() if name in own})
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
  return from_numbers(config, 'augment')


def conditioning(config: ConfigDict) -> Callable[[Mapping[str, Any]], Any]:
  """How labels enter the losses, made from the hyperparameters in force."""
  return from_numbers(config, 'conditioning')


def from_numbers(config: ConfigDict, section: str) -> Callable[[Mapping[str, Any]], Any]:
  """What a section names, as a function of the hyperparameters in force."""
  fixed = config[section].to_dict()
  function, _ = target(section, fixed.pop('name'))
  return lambda hyper: function(**fixed | numbers_of(function, section, hyper))


def numbers_of(function: Callable[..., Any], prefix: str, hyper: Mapping[str, Any]) -> dict[str, Any]:
  """Those of a function's fields that are hyperparameters, as they are in force."""
  fields = keywords(function).items()
  return {field: hyper[f'{prefix}_{field}'] for field, (annotation, _) in fields if annotation is Number}


def stabilizers(config: ConfigDict) -> dict[str, Callable[[Mapping[str, Any]], Callable[..., Any]]]:
  """Those in force: name -> a function of the hyperparameters that gives the stabiliser with its fields filled in."""

  def bind(name: str, fields: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], Callable[..., Any]]:
    function = member_of('stabilizers', name, 'stabilizers')
    return lambda hyper: partial(function, **dict(fields) | numbers_of(function, name, hyper))

  return {name: bind(name, fields) for name, fields in config.stabilizers.to_dict().items()}


def terms(config: ConfigDict, player: str) -> list[ConfiguredTerm]:
  """The terms of a player's loss: their numbers come from the scene's hyperparameters, the rest is fixed here."""
  states = importlib.import_module('ganjax.terms').STATES

  def bind(name: str, fields: dict[str, Any]) -> ConfiguredTerm:
    function = member_of('terms', name, f'terms.{player}')
    every = fields.pop('every')
    if 'player' in keywords(function):
      fields['player'] = player

    def value(scene: Scene, play: Play, state: Any) -> tuple[Array, Metrics, Any]:
      chosen = fields | numbers_of(function, f'{player}_{name}', scene.hyper)
      return function(scene, play, state, **chosen) if name in states else (*function(scene, play, **chosen), None)

    return ConfiguredTerm(name, value, every, states.get(name))

  return [bind(name, fields) for name, fields in config.terms.to_dict().get(player, {}).items()]


def game(config: ConfigDict, spec: Any) -> Game:
  """The game. Its keywords are the section `play`; one that is a `Number` is to be read in `scene.hyper` instead."""
  playing = module_of('games', config.game, 'game').game(config, spec, **config.play.to_dict())
  return balance.balanced(playing, balancing(config)) if config.balance else playing


def balancing(config: ConfigDict) -> dict[str, balance.Rule]:
  """The rules that hold players, by owner."""
  sections = {owner: dict(fields) for owner, fields in config.balance.to_dict().items()}
  return {
    owner: partial(target(f'balance.{owner}', fields.pop('name'))[0], **fields) for owner, fields in sections.items()
  }


def rules(config: ConfigDict, playing: Game) -> Rules:
  """How the game is trained."""
  optim, averages = importlib.import_module('ganjax.optim'), importlib.import_module('ganjax.averages')

  def build(player: str) -> Callable[..., Any]:
    section = config.optimizer[player].to_dict()
    function, _ = target(f'optimizer.{player}', section.pop('name'))
    fixed = {f: value for f, value in section.items() if keywords(function)[f].annotation is not Number}
    return lambda numbers: function(**fixed, **{f: numbers[f] for f in section if f not in fixed})

  return optim.make_rules(
    playing,
    optimizer={player: build(player) for player in config.optimizer},
    schedule=config.schedule.to_dict(),
    averages={name: averages.average(**fields) for name, fields in config.ema.to_dict().items()},
    micro=config.microbatches,
    averaged=getattr(module_of('games', config.game, 'game'), 'AVERAGED', ('g',)),
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
