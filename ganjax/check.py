"""Refuses configs that can't be trained, before anything is compiled."""

from typing import Any

import jax
import jax.numpy as jnp
from flax.errors import FlaxError
from ml_collections import ConfigDict

from ganjax import config as configs
from ganjax import terms
from ganjax.errors import ConfigError, nearest
from ganjax.monitor import NOT_LOG_ODDS
from ganjax.standing import has_statistics
from ganjax.types import Game


def devices(config: ConfigDict) -> int:
  """How many devices the mesh has."""
  if config.devices > jax.device_count():
    raise ConfigError('devices', config.devices, f'at most {jax.device_count()}, all that JAX sees; 0 takes them all')
  return config.devices or jax.device_count()


def check(config: ConfigDict, spec: Any, device_count: int) -> None:
  """Refuses combinations that can't be trained, before anything is compiled."""
  parts = device_count * config.microbatches
  if config.batch_size % parts:
    raise ConfigError(
      'batch_size', config.batch_size, f'a multiple of {device_count} devices x {config.microbatches} microbatches'
    )
  if config.steps % config.steps_per_call:
    raise ConfigError('steps_per_call', config.steps_per_call, f'a divisor of steps ({config.steps})')
  if config.conditioning.name != 'none' and not spec.classes:
    raise ConfigError(
      'conditioning.name', config.conditioning.name, f"'none': the data {config.data.name!r} has no labels"
    )
  check_packing(config, parts)
  check_alone(config)
  for player, chosen in config.terms.items():
    for name in set(chosen) & set(terms.OF_IMAGES):
      if spec.field != 'image':
        raise ConfigError(
          f'terms.{player}.{name}', 'in force', f'no such term: the data {config.data.name!r} has no images'
        )
  if config.data.flip and spec.field == 'row':
    raise ConfigError('data.flip', True, f'false: the data {config.data.name!r} has no images')
  if config.augment.name not in ('none', 'apa') and (len(spec.shape) != 3 or spec.shape[-1] not in (1, 3)):
    raise ConfigError(
      'augment.name', config.augment.name, f"'none' or 'apa': data of shape {spec.shape} are no grey or RGB images"
    )
  if len(spec.shape) == 3 and spec.shape[0] != spec.shape[1]:
    raise ConfigError('data', spec.shape, 'square images: `resize` and `crop` of the data make them so')
  playing = configs.game(config, spec)
  check_shapes(config, spec, playing)
  if playing.ready:
    playing.ready()
  # All there are, also those without a turn in this phase.
  players = set(jax.eval_shape(playing.init, jax.random.key(0), spec.example(2))[0])
  for section in ('optimizer', 'terms', 'balance'):
    for player in config[section]:
      if player not in players:
        raise ConfigError(section, player, 'the players ' + ', '.join(sorted(players)), nearest(player, players))
  if config.standing_statistics and not (playing.advance and statistics(spec, playing)):
    raise ConfigError('standing_statistics', config.standing_statistics, '0: this generator has no batch statistics')
  if config.ema_snapshot_every and not any(fields.sigma_rel for fields in config.ema.values()):
    raise ConfigError('ema_snapshot_every', config.ema_snapshot_every, '0, or averages to store: ema.<name>.sigma_rel')
  check_balance(config)
  check_frozen(config, spec, playing)


def statistics(spec: Any, playing: Game) -> bool:
  """Whether the generator's training forward advances batch statistics."""
  _, extras = jax.eval_shape(playing.init, jax.random.key(0), spec.example(2))
  return has_statistics(extras.get('g', {}))


def check_packing(config: ConfigDict, parts: int) -> None:
  """Refuses packs that the batch doesn't fill, or that would have several labels."""
  size = config.stabilizers.to_dict().get('packing', {}).get('size', 1)
  if config.batch_size // parts % size:
    raise ConfigError(
      'stabilizers.packing.size', size, f'a divisor of the {config.batch_size // parts} rows of a device and microbatch'
    )
  if size > 1 and config.conditioning.name != 'none':
    raise ConfigError('stabilizers.packing.size', size, f"1 with conditioning {config.conditioning.name!r}: a pack has "
                      'no label of its own')  # fmt: skip


def check_balance(config: ConfigDict) -> None:
  """Refuses rules that would hold everybody, or look at what the losses don't tell."""
  owners = {fields.name: owner for owner, fields in config.balance.items()}
  warming = [owner for owner, fields in config.balance.items() if fields.name == 'warmup']
  if len(warming) > 1:
    raise ConfigError(f'balance.{warming[1]}.name', 'warmup', f'another rule: {warming[0]} has its warm-up already')
  if 'accuracy_below' in owners and (
    config.loss.name in NOT_LOG_ODDS or configs.conditioning(config)(configs.hyper(config)).alone
  ):
    raise ConfigError(f'balance.{owners["accuracy_below"]}.name', 'accuracy_below', "'loss_above' or 'warmup': with this "
                      'loss or conditioning D has no logit that is above 0 for reals')  # fmt: skip
  if 'loss_above' in owners:
    logits = jnp.linspace(-4, 4, 17)
    pair = configs.loss(config)
    lowest = min(float(side(r, logits).min()) for side in (pair.d, pair.g) for r in (logits, logits[::-1], 0 * logits))
    if lowest < -1e-6:
      raise ConfigError(f'balance.{owners["loss_above"]}.name', 'loss_above', f"another rule: the loss {config.loss.name!r} "
                        'can be negative, and a ratio of such losses says nothing')  # fmt: skip


def check_frozen(config: ConfigDict, spec: Any, playing: Game) -> None:
  """Refuses to freeze modules that a player doesn't have."""
  asked = {player: fields.freeze for player, fields in config.optimizer.items() if fields.get('freeze')}
  if not asked:
    return
  params, _ = jax.eval_shape(playing.init, jax.random.key(0), spec.example(2))
  for player, names in asked.items():
    paths = jax.tree_util.tree_flatten_with_path(params[player])[0]
    leaves = [jax.tree_util.keystr(path, simple=True, separator='.').split('.') for path, _ in paths]
    modules = {'.'.join(leaf[:depth]) for leaf in leaves for depth in range(1, len(leaf) + 1)}
    for name in names:
      if name not in modules:
        top = ', '.join(sorted(params[player]))
        raise ConfigError(
          f'optimizer.{player}.freeze', name, f'modules of {player}, or parts of them: {top}', nearest(name, modules)
        )


def check_alone(config: ConfigDict) -> None:
  """Refuses what reads D's logit where a conditioning has put its own losses in the place of the adversarial pair."""
  if not configs.conditioning(config)(configs.hyper(config)).alone:
    return
  readers = {f'augment.{config.augment.name}': config.augment.name in ('ada', 'apa')}
  readers |= {
    f'stabilizers.{name}': name in config.stabilizers for name in ('top_k', 'label_flipping', 'latent_optimization')
  }
  for field, reads in readers.items():
    if reads:
      name = config.conditioning.name
      raise ConfigError(field, 'in force', f"nothing of the kind with conditioning {name!r}: D's logit is not trained")


def check_shapes(config: ConfigDict, spec: Any, playing: Game) -> None:
  """Refuses networks that don't fit the data or each other, by tracing them: nothing is computed."""
  batch = spec.example(2)
  try:
    params, extras = jax.eval_shape(playing.init, jax.random.key(0), batch)
    drawn = jax.eval_shape(lambda: playing.prior(jax.random.key(0), 2, None))
    made = jax.eval_shape(playing.generate, params, extras, drawn)[spec.field].shape[1:]
    logits = jax.eval_shape(playing.score, params, extras, batch).shape if playing.score else (2,)
  except (TypeError, ValueError, FlaxError) as error:
    first = str(error).partition('\n')[0]
    raise ConfigError('generator, discriminator', config.generator.name + ', ' + config.discriminator.name,
                      f'networks for data of shape {spec.shape} ({first})') from error  # fmt: skip
  if made != spec.shape:
    raise ConfigError(
      'generator.name', config.generator.name, f'a network that makes {spec.shape}; this one makes {made}'
    )
  if logits != (2,):
    raise ConfigError(
      'discriminator.name', config.discriminator.name, f'a network for data of shape {spec.shape}: one logit each'
    )
