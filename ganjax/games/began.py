"""BEGAN: an autoencoder as D, and a balance between how well it rebuilds reals and fakes (Berthelot et al. 2017).

arXiv:1703.10717, section 3.4, with L the energy of an image, minus D's logit (`nets/autoencoder.py`):
L_D = L(x) - k L(G(z)), L_G = L(G(z)), and after G's turn k <- k + lambda_k (gamma L(x) - L(G(z))), kept in [0, 1].
gamma, the diversity ratio, is what E L(G(z)) / E L(x) is held at: lower is sharper and less diverse. k and the last
L(x) are the extras 'balance'. The convergence measure M = L(x) + |gamma L(x) - L(G(z))| falls as both get better.
"""

import dataclasses

import jax.numpy as jnp
from ml_collections import ConfigDict

from ganjax.data.spec import Spec
from ganjax.errors import ConfigError
from ganjax.games import gan
from ganjax.ops import across
from ganjax.players import players
from ganjax.types import Array, Batch, Extras, Game, Key, Metrics, Number, Params, Scene


def game(config: ConfigDict, spec: Spec, *, diversity_ratio: Number = 0.5, balance_rate: Number = 0.001) -> Game:
  """The game between `gan`'s players; terms join in as there, `loss` is of no concern. `balance_rate` is lambda_k."""
  del diversity_ratio, balance_rate  # in scene.hyper
  if config.microbatches > 1:
    raise ConfigError('microbatches', config.microbatches, '1: k moves once a step, with the whole batch')
  both = players(config, spec)
  plain = gan.between(config, spec, both)

  def init(key: Key, batch: Batch) -> tuple[Params, Extras]:
    params, extras = plain.init(key, batch)
    return params, {**extras, 'balance': {'k': jnp.float32(0), 'real': jnp.float32(0)}}

  def d_loss(scene: Scene) -> tuple[Array, tuple[Extras, Metrics]]:
    found, extras = both.judged(scene, *both.play(scene, 'd'), reals=True)
    extra, kept, metrics = both.added('d', scene, found)
    k = scene.extras['balance']['k']
    real, fake = -found.real_logits.mean(), -found.fake_logits.mean()
    loss = real - k * fake + extra
    metrics |= {'d/loss': loss, 'd/energy_real': real, 'd/energy_fake': fake}
    return loss, (extras | kept | {'balance': {'k': k, 'real': across.mean(real, scene.axis)}}, metrics)

  def g_loss(scene: Scene) -> tuple[Array, tuple[Extras, Metrics]]:
    found, extras = both.judged(scene, *both.play(scene, 'g'), reals=False)
    extra, kept, metrics = both.added('g', scene, found)
    loss = -found.fake_logits.mean()
    fake, real, k = across.mean(loss, scene.axis), scene.extras['balance']['real'], scene.extras['balance']['k']
    gap = scene.hyper['play_diversity_ratio'] * real - fake
    k = jnp.clip(k + scene.hyper['play_balance_rate'] * gap, 0, 1)
    metrics |= {'g/loss': loss + extra, 'g/convergence': real + jnp.abs(gap), 'd/k': k}
    return loss + extra, (extras | kept | {'balance': {'k': k, 'real': real}}, metrics)

  losses = {**plain.losses, 'd': d_loss, 'g': g_loss}
  turns = tuple(turn._replace(fresh=False) if turn.loss == 'g' else turn for turn in plain.turns)
  return dataclasses.replace(plain, init=init, losses=losses, turns=turns)
