"""VAE-GAN: an autoencoder that is good where a discriminator's features say so (Larsen et al. 2016, arXiv:1512.09300).

In the place of the VAE's likelihood of pixels stands that of D's features: normal of unit variance around those of the
reconstruction (equation 7). Encoder e descends beta KL(q(z | x) || p(z)) and minus that likelihood; decoder g gamma times
minus that likelihood and the GAN's loss on what it makes of the prior and of codes; d tells examples from both
(algorithm 1, with each player's gradient of its own loss alone). Features are those of D's last layer before its logit.
The paper moves all three at once; here d, g and e move in turn on the same batch.
"""

import dataclasses

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from ganjax import autoencoders
from ganjax import config as names
from ganjax.autoencoders import POSTERIOR, Posterior, split
from ganjax.data.spec import Spec
from ganjax.errors import ConfigError
from ganjax.games import gan
from ganjax.ops import across
from ganjax.players import players
from ganjax.types import Array, Batch, Extras, Game, Key, Metrics, Number, Params, Scene, Turn

PLAYERS = ('g', 'd', 'e')
AVERAGED = ('g', 'e')
REBUILT, METRIC = 4, 5  # what D looks at, beside what `players` names


def game(config: ConfigDict, spec: Spec, *, gamma: Number = 0.01, beta: Number = 1.0) -> Game:
  """The game of `gan` with an encoder; terms, augmentation and stabilisers join in as there.

  `gamma` weighs g's likelihood of features against its adversarial losses: it is a sum over all features.
  """
  del gamma, beta  # in scene.hyper
  if config.conditioning.name != 'none':
    raise ConfigError('conditioning.name', config.conditioning.name, "'none': the encoder knows no labels")
  adversarial = names.loss(config)
  if adversarial.g_needs_real:
    raise ConfigError('loss.name', config.loss.name, 'a loss whose shares of reals and of fakes stand alone')
  both = players(config, spec, heads={'features': 0})
  if both.score is None:
    raise ConfigError('stabilizers.packing', config.stabilizers.packing.to_dict(), 'nothing: e codes single examples')
  e, plain = autoencoders.encoder(config, spec), gan.between(config, spec, both)

  def init(key: Key, batch: Batch) -> tuple[Params, Extras]:
    params, extras = both.init(key, batch)
    own, kept = e.init(jax.random.fold_in(key, 2))
    return {**params, 'e': own}, {**extras, 'e': kept}

  def rebuild(scene: Scene, extras: Extras) -> tuple[Posterior, Array, Extras]:
    """Where the latents may be, and what one of them becomes."""
    said, extras = e.forward(scene, extras, scene.batch[spec.field])
    posterior = Posterior.of(said)
    latent = posterior.draw(split(jax.random.fold_in(scene.key, POSTERIOR), scene.rows))
    image, extras = both.forward(scene, extras, 'g', latent, None, call=1)
    return posterior, image, extras

  def distance(scene: Scene, extras: Extras, image: Array) -> tuple[Array, Array, Extras]:
    """Minus the log-likelihood of features, up to a constant, []; and the logits of the reconstructions."""
    (_, real), extras = both.judge(scene, extras, scene.batch[spec.field], None, METRIC)
    (logits, fake), extras = both.judge(scene, extras, image, None, METRIC)  # augmented alike: they are compared
    off = 0.5 * jnp.square(real['features'] - fake['features']).sum(1).mean()
    return off, across.gather(logits, scene.axis), extras

  def d_loss(scene: Scene) -> tuple[Array, tuple[Extras, Metrics]]:
    loss, (moved, metrics) = plain.losses['d'](scene)
    _, image, extras = rebuild(scene, {**scene.extras, **moved})
    (logits, _), extras = both.judge(scene, extras, image, None, REBUILT)
    assert adversarial.parts is not None
    logits = across.gather(logits, scene.axis)
    loss += adversarial.parts(logits, logits)[1].mean()
    return loss, (extras, metrics | {'d/loss': loss, 'd/rebuilt_prob': jax.nn.sigmoid(logits).mean()})

  def g_loss(scene: Scene) -> tuple[Array, tuple[Extras, Metrics]]:
    loss, (moved, metrics) = plain.losses['g'](scene)
    _, image, extras = rebuild(scene, {**scene.extras, **moved})
    off, logits, extras = distance(scene, extras, image)
    loss += adversarial.g(logits, logits).mean() + scene.hyper['play_gamma'] * off
    return loss, (extras, metrics | {'g/loss': loss, 'g/distance': off})

  def e_loss(scene: Scene) -> tuple[Array, tuple[Extras, Metrics]]:
    posterior, image, extras = rebuild(scene, scene.extras)
    off, _, extras = distance(scene, extras, image)
    kl = posterior.kl().mean()
    loss = scene.hyper['play_beta'] * kl + off
    return loss, (extras, {'e/loss': loss, 'e/kl': kl, 'e/distance': off})

  def reconstruct(params: Params, extras: Extras, batch: Batch, keys: Key | None = None) -> Batch:
    posterior = Posterior.of(e.evaluate(params, extras, batch[spec.field]))
    latent = posterior.mean if keys is None else posterior.draw(keys)
    return {'latent': latent, 'rebuilt': both.generate(params, extras, {'latent': latent})[spec.field]}

  losses = {**plain.losses, 'd': d_loss, 'g': g_loss, 'e': e_loss}
  turns = (*plain.turns, Turn(('e',), 'e', fresh=False))
  return dataclasses.replace(plain, init=init, losses=losses, turns=turns, reconstruct=reconstruct)
