"""An encoder and a decoder from a config: what VAE, VAE-GAN and AAE have in common."""

import inspect
import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from ganjax import config as names
from ganjax.data.spec import Spec
from ganjax.types import Array, Batch, Extras, Key, Params, Scene

INSIDE, POSTERIOR, PRIOR = 0x696E, 0x706F, 0x7072  # what a play's key is folded with


class Network(NamedTuple):
  """A player that is one network. Every function is pure; those that advance extras return them."""

  init: Callable[[Key], tuple[Any, Any]]  # its parameters and extras
  forward: Callable[[Scene, Extras, Array], tuple[Any, Extras]]  # a training forward, float32
  evaluate: Callable[[Params, Extras, Array], Any]  # in evaluation mode, float32
  advance: Callable[[Params, Extras, Array], Extras]  # the extras after a training forward


def network(player: str, net: Any, example: tuple[int, ...]) -> Network:
  """The Linen module `net`, which takes [B, *example], as `player`."""

  def init(key: Key) -> tuple[Any, Any]:
    variables = dict(net.init(key, jnp.zeros((1, *example))))
    return variables.pop('params'), variables

  def training(params: Params, extras: Extras, x: Array, **given: Any) -> tuple[Any, Extras]:
    own = extras[player]
    y, moved = net.apply({'params': params[player], **own}, x, train=True, mutable=list(own), **given)
    return single(y), {**extras, player: moved}

  def forward(scene: Scene, extras: Extras, x: Array) -> tuple[Any, Extras]:
    drawing = 'key' in inspect.signature(type(net).__call__).parameters
    draws = {'key': jax.random.fold_in(scene.key, INSIDE), 'rows': scene.rows} if drawing else {}
    return training(scene.params, extras, x, axis=scene.axis, **draws)

  def evaluate(params: Params, extras: Extras, x: Array) -> Any:
    return single(net.apply({'params': params[player], **extras[player]}, x))

  return Network(init, forward, evaluate, lambda params, extras, x: training(params, extras, x)[1])


def single(y: Any) -> Any:
  """As float32."""
  return jax.tree.map(lambda y: y.astype(jnp.float32), y)


def joined(players: dict[str, Network]) -> Callable[[Key, Batch], tuple[Params, Extras]]:
  """`Game.init` of these players."""

  def init(key: Key, batch: Batch) -> tuple[Params, Extras]:
    made = {player: own.init(jax.random.fold_in(key, i)) for i, (player, own) in enumerate(players.items())}
    return {player: params for player, (params, _) in made.items()}, {
      player: extras for player, (_, extras) in made.items()
    }

  return init


def encoder(config: ConfigDict, spec: Spec) -> Network:
  """The player e: an example -> its 'mean' and 'log_variance' [B, latent_dim], in a dict."""
  size = config.latent_dim
  return network('e', names.encoder(config, spec, {'mean': size, 'log_variance': size}), spec.shape)


def decoder(config: ConfigDict, spec: Spec) -> Network:
  """The player g: a latent -> an example."""
  return network('g', names.generator(config, spec), (config.latent_dim,))


def latents(config: ConfigDict, scale: float = 1.0) -> Callable[[Key, int, Batch | None], Batch]:
  """`Game.prior`: 'latent' [B, latent_dim], normal with this standard deviation, each row by draws of its own."""

  def prior(key: Key, count: int, batch: Batch | None = None) -> Batch:
    return {'latent': scale * normals(split(key, jnp.arange(count)), config.latent_dim)}

  return prior


def generating(g: Network, field: str) -> Callable[[Params, Extras, Batch], Batch]:
  """`Game.generate` of a decoder."""
  return lambda params, extras, prior: prior | {field: g.evaluate(params, extras, prior['latent'])}


def advancing(g: Network) -> Callable[[Params, Extras, Batch], Extras]:
  """`Game.advance` of a decoder."""
  return lambda params, extras, prior: g.advance(params, extras, prior['latent'])


def split(key: Key, rows: Array) -> Key:
  """A key for each row, [B]."""
  return jax.vmap(partial(jax.random.fold_in, key))(rows)


def normals(keys: Key, size: int) -> Array:
  """Standard normal [B, size], a row of each key."""
  return jax.vmap(lambda key: jax.random.normal(key, (size,)))(keys)


class Posterior(NamedTuple):
  """q(z | x): normal, with a diagonal covariance (Kingma & Welling 2014, section 3)."""

  mean: Array  # [B, Z]
  log_variance: Array  # [B, Z]

  @classmethod
  def of(cls, said: Any) -> 'Posterior':
    """Of what `encoder` says; what it says as a discriminator is passed over."""
    return cls(said[1]['mean'], said[1]['log_variance'])

  def draw(self, keys: Key) -> Array:
    """[B, Z], by keys [B]: the reparameterisation trick (section 2.4)."""
    return self.mean + jnp.exp(self.log_variance / 2) * normals(keys, self.mean.shape[1])

  def kl(self) -> Array:
    """KL(q(z | x) || N(0, 1)) in nats, [B] (appendix B)."""
    return 0.5 * (jnp.square(self.mean) + jnp.exp(self.log_variance) - 1 - self.log_variance).sum(1)

  def log(self, latent: Array) -> Array:
    """log q(latent | x), [B]."""
    return log_normal(latent, self.mean, self.log_variance)


def log_normal(x: Array, mean: Array | float = 0.0, log_variance: Array | float = 0.0) -> Array:
  """Log density of x [B, Z] under a normal distribution with a diagonal covariance, [B]."""
  return -0.5 * (jnp.square(x - mean) / jnp.exp(log_variance) + log_variance + math.log(2 * math.pi)).sum(1)
