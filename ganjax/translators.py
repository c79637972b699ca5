"""Networks from images to images, from a config: what pix2pix, CycleGAN and DiscoGAN have in common.

Batches have 'source' [B, H, W, C'] and 'image' [B, H, W, C], of a pair or of two domains that know nothing of each other.
"""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from ganjax import config as names
from ganjax.data.spec import Spec
from ganjax.errors import ConfigError
from ganjax.nets import layers
from ganjax.ops import across
from ganjax.types import Array, Batch, Extras, Key, Metrics, Params, Scene

NOISE = 0x6E6F  # what a key is folded with for dropout


class Translators(NamedTuple):
  """Every function is pure; those that advance extras return them."""

  init: Callable[[Key], tuple[Params, Extras]]
  forward: Callable[..., tuple[Array, Extras]]  # scene, extras, player, x, call, key -> a training forward, float32
  looked: Callable[..., tuple[Array, list[Array], Extras]]  # the same, and what its convolutions gave, by name
  evaluate: Callable[..., Array]  # params, extras, player, x, noise -> in evaluation mode, float32
  prior: Callable[[Key, int, Batch | None], Batch]


def translators(
  config: ConfigDict, spec: Spec, nets: Mapping[str, tuple[Any, int]], noisy: bool = False
) -> Translators:
  """The players `nets`: Linen modules, each with the number of channels of the images that it takes.

  With `noisy`, samples have the noise that the networks draw for themselves (dropout), from 'noise' [B] in the prior.
  """
  check(config, spec)

  def init(key: Key) -> tuple[Params, Extras]:
    params, extras = {}, {}
    for i, (player, (net, channels)) in enumerate(nets.items()):
      variables = dict(net.init(jax.random.fold_in(key, i), jnp.zeros((1, *spec.shape[:2], channels))))
      params[player], extras[player] = variables.pop('params'), variables
    return params, extras

  def draws(player: str, key: Key, rows: Array) -> dict[str, Any]:
    """The key of a network that draws for itself, the rows' own."""
    drawing = 'key' in inspect.signature(type(nets[player][0]).__call__).parameters
    return {'key': jax.random.fold_in(key, NOISE), 'rows': rows} if drawing else {}

  def forward(scene: Scene, extras: Extras, player: str, x: Array, call: int = 0,
              key: Key | None = None) -> tuple[Array, Extras]:  # fmt: skip
    """Each `call` of a network in a play draws for itself, from `key` or the play's."""
    y, kept, _ = applied(scene, extras, player, x, call, key)
    return y, kept

  def looked(scene: Scene, extras: Extras, player: str, x: Array, call: int = 0) -> tuple[Array, list[Array], Extras]:
    """As `forward`, with the maps [B, H, W, C] after each convolution."""
    y, kept, seen = applied(scene, extras, player, x, call, None, lambda module, _: isinstance(module, layers.Conv))
    return y, [x.astype(jnp.float32) for x in jax.tree.leaves(seen)], kept

  def applied(scene: Scene, extras: Extras, player: str, x: Array, call: int, key: Key | None,
              capture: Callable[..., bool] | bool = False) -> tuple[Array, Extras, Any]:  # fmt: skip
    own = extras[player]
    given = draws(player, jax.random.fold_in(scene.key if key is None else key, call), scene.rows)
    variables = {'params': scene.params[player], **own}
    given |= {'train': True, 'axis': scene.axis, 'capture_intermediates': capture}
    y, moved = nets[player][0].apply(variables, x, mutable=[*own, *['intermediates'] * bool(capture)], **given)
    kept = {name: values for name, values in moved.items() if name in own}
    return y.astype(jnp.float32), {**extras, player: kept}, moved.get('intermediates', {})

  def evaluate(params: Params, extras: Extras, player: str, x: Array, noise: Array | None = None) -> Array:
    given = {} if noise is None else draws(player, jax.random.key(0), noise)
    return nets[player][0].apply({'params': params[player], **extras[player]}, x, **given).astype(jnp.float32)

  def prior(key: Key, count: int, batch: Batch | None = None) -> Batch:
    """'source' and 'target' of the batch (of nothing, where there is none), and its labels; with 'noise' of their own."""
    given = jax.tree.map(jnp.asarray, spec.example(count) if batch is None else dict(batch))
    kept = {'source': given['source'], 'target': given['image']}
    kept |= {'label': given['label']} if 'label' in given else {}
    rows = jax.vmap(lambda row: jax.random.bits(jax.random.fold_in(key, row), dtype=jnp.uint32))(jnp.arange(count))
    return kept | ({'noise': rows} if noisy else {})

  return Translators(init, forward, looked, evaluate, prior)


def two_domains(config: ConfigDict, spec: Spec) -> Translators:
  """The players g_ab and g_ba between A ('source') and B ('image'), and d_a and d_b, who judge images of A and of B."""
  back = dataclasses.replace(spec, shape=spec.source or spec.shape)
  a, b = back.shape[-1], spec.shape[-1]
  nets = {
    'g_ab': (names.generator(config, spec), a), 'g_ba': (names.generator(config, back), b),
    'd_a': (names.discriminator(config, back, 1, {}), a), 'd_b': (names.discriminator(config, spec, 1, {}), b),
  }  # fmt: skip
  return translators(config, spec, nets)


def both_ways(four: Translators) -> Callable[[Params, Extras, Batch], Batch]:
  """`Game.generate` of two domains: 'source' to 'image' and back ('rebuilt'), and 'target' to 'reverse' and back."""
  ways = (('source', 'image', 'rebuilt', 'g_ab', 'g_ba'), ('target', 'reverse', 'reverse_rebuilt', 'g_ba', 'g_ab'))

  def generate(params: Params, extras: Extras, prior: Batch) -> Batch:
    found = dict(prior)
    for given, made, again, there, back in ways:
      if given in prior:
        found[made] = four.evaluate(params, extras, there, prior[given])
        found[again] = four.evaluate(params, extras, back, found[made])
    return found

  return generate


def check(config: ConfigDict, spec: Spec) -> None:
  """Raises ConfigError for data of one domain, and for what these games have no place for."""
  if not spec.source:
    raise ConfigError('data.name', config.data.name, "data of two domains: 'pairs', 'domains' or 'digit_pairs'")
  refuse(config)


def refuse(config: ConfigDict) -> None:
  """Raises ConfigError for what games have no place for whose players look at images in no more ways than their own."""
  here = f'the game {config.game!r} has no place for it'
  for section in ('terms', 'stabilizers'):
    for name, fields in config[section].items():
      if section == 'stabilizers' or fields:
        raise ConfigError(f'{section}.{name}', 'in force', f'nothing: {here}')
  for section in ('augment', 'conditioning'):
    if config[section].name != 'none':
      raise ConfigError(f'{section}.name', config[section].name, f"'none': {here}")
  if config.n_critic != 1:
    raise ConfigError('n_critic', config.n_critic, f'1: {here}')


def judged(scene: Scene, player: str, real: Array | None, fake: Array) -> tuple[Array, Array, Metrics]:
  """D's maps of logits [B, h, w] with the rows of all devices, and what it takes for what; without reals, zeros."""
  real, fake = (
    across.gather(jnp.zeros_like(fake) if real is None else real, scene.axis),
    across.gather(fake, scene.axis),
  )
  right = ((real > 0).mean() + (fake < 0).mean()) / 2
  seen = {'real_prob': jax.nn.sigmoid(real).mean(), 'fake_prob': jax.nn.sigmoid(fake).mean(), 'accuracy': right}
  return real, fake, {f'{player}/{name}': value for name, value in seen.items()}
