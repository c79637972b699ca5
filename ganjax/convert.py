"""Weights from elsewhere into a workdir that samples, and out of a workdir into a file."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from ganjax import __version__, fields, images
from ganjax import config as configs
from ganjax import state as states
from ganjax.card import card
from ganjax.checkpoint import Checkpoints
from ganjax.data.spec import Spec
from ganjax.errors import CheckpointError, ConfigError, DataError
from ganjax.interop import from_torch, safetensors
from ganjax.interop.files import read_tensors
from ganjax.log import write_run
from ganjax.lookup import FROM_SPEC
from ganjax.sample import averaged, load, with_average
from ganjax.schema import keywords
from ganjax.snapshot import flatten, nest
from ganjax.state import TrainState

OWN = 'ganjax'  # the kind of a file that `export_run` wrote
PLAYERS = {'G': 'g', 'D': 'd'}
PROBE = 5040  # a latent's length that parts of any number from 1 to 10 divide


class Network(NamedTuple):
  """A network to import, as flags describe it."""

  kind: str
  file: str
  key: str = ''
  options: Mapping[str, Any] = {}


class Found(NamedTuple):
  """What files come to: fields of a config, the data that networks are for, and variables by player."""

  given: dict[str, Any]
  spec: Spec
  variables: dict[str, dict[str, Any]]


def import_run(flags: Sequence[tuple[str, str]], workdir: str | Path,
               overrides: Mapping[str, Any] | None = None) -> str:  # fmt: skip
  """Makes a workdir whose checkpoint, of step 0, samples with published weights; says what it made.

  Args:
    flags: ('kind' | 'file' | 'key' | 'set', value) in their order, see `networks`. Kinds are those of
      `interop.from_torch` that are a generator and, if there is one, a discriminator; or 'ganjax', alone.
    workdir: without checkpoints.
    overrides: fields of the config. What the networks are follows from the weights; without a discriminator's there is
      a small new one, and without `data` a training or an evaluation must first be told of some.

  Raises: ConfigError, DataError, CheckpointError.
  """
  wanted = networks(flags)
  with Checkpoints(workdir, keep=1, lock=False) as there:
    if there.latest() is not None:
      raise CheckpointError(f'{workdir}: has checkpoints already; import into a new folder')
  found = read_own(wanted[0]) if wanted[0].kind == OWN else read_published(wanted)
  config = configs.complete(found.given, overrides)
  if config.population or config.phases:
    raise ConfigError(
      'population', config.population.to_dict(), 'nothing: weights are imported as a lone run of one phase'
    )
  state = initial(config, found, wanted)
  run = write_run(workdir, config)
  about = {'config': config.to_dict(), 'spec': found.spec.to_json(), 'run_id': run['run_id'], 'measured': 0,
           'imported': [described(network) for network in wanted]}  # fmt: skip
  with Checkpoints(workdir, keep=config.keep) as checkpoints:
    checkpoints.save(0, state, about, wait=True)
  count = sum(leaf.size for leaf in jax.tree.leaves(state.params['g']))
  return (f'{workdir}: {config.name}, a generator of {count:,} parameters, latents of {config.latent_dim}, images of '
          f'{"x".join(map(str, found.spec.shape))}; `ganjax sample --workdir {workdir}` draws from it')  # fmt: skip


def networks(flags: Sequence[tuple[str, str]]) -> list[Network]:
  """The networks of --kind, --file, --key and --set: one begins where a flag comes that the one before has already."""
  groups: list[dict[str, Any]] = []
  for flag, value in flags:
    if not groups or (flag != 'set' and flag in groups[-1]):
      groups.append({})
    if flag == 'set':
      name, equals, text = value.partition('=')
      if not equals:
        raise ConfigError('--set', value, 'NAME=VALUE, a keyword of the official constructor')
      groups[-1].setdefault('options', {})[name] = fields.parse(text)
    else:
      groups[-1][flag] = value
  for group in groups or [{}]:
    for flag in ('kind', 'file'):
      if flag not in group:
        raise ConfigError(
          f'--{flag}', None, f'one for each network: --kind KIND --file FILE; this has {group or "neither"}'
        )
  found = [Network(**group) for group in groups]
  roles = [network.kind.rpartition('.')[2] if network.kind != OWN else 'G' for network in found]
  for network, role in zip(found, roles, strict=True):
    if role not in PLAYERS or roles.count(role) > 1 or (network.kind == OWN and len(found) > 1):
      raise ConfigError('--kind', network.kind, f"one generator, 'FAMILY.G', and at most one discriminator, 'FAMILY.D'; or "
                        f'{OWN!r} alone, for a file of `ganjax export`')  # fmt: skip
  if 'G' not in roles:
    raise ConfigError('--kind', found[0].kind, "also a generator, 'FAMILY.G'")
  return sorted(found, key=lambda network: network.kind.endswith('.D'))


def read_published(wanted: Sequence[Network]) -> Found:
  """Networks in a published form: the generator, and the discriminator if there is one."""
  modules, variables = {}, {}
  for network in wanted:
    player = PLAYERS[network.kind[-1]]
    modules[player], variables[player] = read_network(network)
  g = modules['g']
  if not hasattr(g, 'resolution'):
    raise ConfigError('--kind', wanted[0].kind, 'a generator of latents; `ganjax.interop.from_torch` takes this one')
  sides, classes = (g.resolution, g.resolution, g.channels), g.classes
  small = {'name': 'stylegan2', 'channel_base': 16 * g.resolution, 'channel_max': 64}
  given = {
    'name': wanted[0].kind.removesuffix('.G'),
    'data': {'name': 'arrays', 'path': ''},  # to be given
    'latent_dim': latent_dim(g, variables['g']['params']),
    'generator': section(g),
    'discriminator': section(modules['d']) if 'd' in modules else small,
    'conditioning': {'name': 'projection' if classes else 'none'},
    'dtype': g.dtype,
  }
  return Found(given, Spec('image', sides, classes, tuple(map(str, range(classes))), name='imported'), variables)


def read_network(network: Network) -> tuple[Any, dict[str, Any]]:
  """The module and its variables. Raises DataError that names the file."""
  tensors = read_tensors(network.file, network.key)
  try:
    return from_torch(network.kind, tensors, **network.options)
  except ConfigError as error:
    raise ConfigError('--kind', error.given, error.valid, error.nearest) from error
  except (ValueError, TypeError, AttributeError) as error:  # of an option of another type, too
    raise DataError(f'{network.file}: no {network.kind}: {error}') from error


def section(module: Any) -> dict[str, Any]:
  """The section of a config that makes a module, but for what its data decide."""
  own = {name: getattr(module, name) for name in keywords(type(module)) if name not in FROM_SPEC}
  return {'name': type(module).__module__.rpartition('.')[2]} | own


def latent_dim(module: Any, params: Any) -> int:
  """The latent's length that a generator's parameters are for: the sides of some of them grow with it."""
  label = jnp.zeros((1,), jnp.int32) if module.classes else None
  few, more = (flatten(jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, size)), label)['params'])
               for size in (PROBE, 2 * PROBE))  # fmt: skip
  for path, leaf in flatten(params).items():
    for own, short, long in zip(leaf.shape, few[path].shape, more[path].shape, strict=True):
      if short != long:
        return PROBE + (own - short) * PROBE // (long - short)
  raise DataError('this generator takes no latent')


def initial(config: ConfigDict, found: Found, wanted: Sequence[Network]) -> TrainState:
  """The state at step 0 with the variables that were found. Raises ConfigError where the config makes other networks."""
  game = configs.game(config, found.spec)

  def init(given: Any, key: Any, batch: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    params, extras = game.init(key, batch)
    for player, variables in given.items():
      own = {name: x for name, x in variables.items() if name != 'params'}
      params, extras = params | {player: variables['params']}, extras | {player: own}
    return params, extras

  def create(given: Any) -> TrainState:
    playing = replace(game, init=partial(init, given))
    rules, hyper = configs.rules(config, playing), configs.hyper(config)
    return states.create(playing, rules, jax.random.key(config.seed), found.spec.example(), hyper)

  makers = game.init, partial(init, found.variables)
  theirs, ours = ({path: leaf.shape for path, leaf in flatten(dict(zip(('params', 'extras'), jax.eval_shape(
    make, jax.random.key(0), found.spec.example()), strict=True))).items()} for make in makers)  # fmt: skip
  if differ := sorted(path for path in theirs.keys() | ours.keys() if theirs.get(path) != ours.get(path)):
    kinds, first = ' and '.join(network.kind for network in wanted), differ[0]
    raise ConfigError('--kind', kinds, f'networks that this config makes: {len(differ)} arrays differ, such as {first}: '
                      f'{theirs.get(first, "none")} by the config, {ours.get(first, "none")} in the file')  # fmt: skip
  return jax.jit(create)(found.variables)


def described(network: Network) -> dict[str, Any]:
  """Where a network came from, for the checkpoint."""
  with Path(network.file).open('rb') as file:
    checksum = hashlib.file_digest(file, 'sha256').hexdigest()
  return {'kind': network.kind, 'file': Path(network.file).name, 'key': network.key, 'sha256': checksum}


def export_run(workdir: str | Path, out: str | Path, *, checkpoint: int | None = None, member: int | None = None,
               ema: str | None = None) -> str:  # fmt: skip
  """Writes the players' parameters and their extras (batch statistics, ...) to a .safetensors file; says what it wrote.

  Parameters are those that samples are drawn with: `ema` chooses as in `sample.with_average`. Arrays are called
  'params/g/...' and 'extras/g/...'; the file's metadata have config, spec, provenance and the
  model card, so that it is complete.
  """
  path = Path(out)
  if path.suffix != '.safetensors':
    raise ConfigError('--out', str(out), 'a file name that ends in .safetensors')
  trained = with_average(load(workdir, checkpoint, member), ema)
  params = averaged(trained.state)
  extras = {player: trained.state.extras[player] for player in params if player in trained.state.extras}
  arrays = {name: np.asarray(leaf) for name, leaf in flatten({'params': params, 'extras': extras}).items()}
  about = {
    'format': OWN, 'software': f'ganjax {__version__}', 'run_id': trained.meta['run_id'], 'step': str(trained.step),
    'config_hash': configs.fingerprint(trained.config), 'average': next(iter(trained.state.ema), 'none'),
    'config': json.dumps(trained.config.to_dict()), 'spec': json.dumps(trained.spec.to_json()),
    **({'card': card(workdir, trained.step)} if (Path(workdir) / 'run.json').exists() else {}),
  }  # fmt: skip
  with images.replacing(path) as file:
    safetensors.write(file, arrays, about)
  return f'{path}: {len(arrays)} arrays of {trained.config.name}, step {trained.step}, average {about["average"]}'


def read_own(network: Network) -> Found:
  """What `export_run` wrote. Raises DataError."""
  path = Path(network.file)
  if path.suffix != '.safetensors' or network.key or network.options:
    raise ConfigError('--kind', OWN, 'with a --file of `ganjax export`, .safetensors, without --key and --set')
  tree = nest(read_tensors(path, None))
  try:
    with path.open('rb') as file:
      about = safetensors.header(file)[1]
    given, spec = json.loads(about['config']), Spec.from_json(json.loads(about['spec']))
    extras = tree.get('extras', {})
    return Found(
      given, spec, {player: {'params': own} | extras.get(player, {}) for player, own in tree['params'].items()}
    )
  except (KeyError, ValueError) as error:
    raise DataError(f'{path}: not written by `ganjax export` ({error})') from error
