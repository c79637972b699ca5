"""AAE: an autoencoder whose codes a discriminator can't tell from a prior (Makhzani et al. 2016, arXiv:1511.05644).

Encoder e and decoder g rebuild examples; then d learns to tell codes from draws of the prior, and e to make codes that it
takes for such draws: the adversarial loss stands where the VAE has its KL (section 2). A code is a function of its
example, the paper's deterministic encoder: `encoder`'s mean. The prior is normal; the paper's is of standard deviation 5
on MNIST (appendix A).
"""

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from ganjax import autoencoders
from ganjax import config as names
from ganjax.autoencoders import PRIOR, network, split
from ganjax.data.spec import Spec
from ganjax.errors import ConfigError
from ganjax.games.gan import seen_by_d
from ganjax.ops import across
from ganjax.translators import refuse
from ganjax.types import Array, Batch, Extras, Game, Key, Metrics, Number, Params, Scene, Turn

PLAYERS = ('g', 'e', 'd')
AVERAGED = ('g', 'e')


def game(config: ConfigDict, spec: Spec, *, prior_scale: float = 1.0, gan_weight: Number = 1.0) -> Game:
  """The game of e and g on the mean square error, then d on latents (a network for rows, 'mlp'), then e against d.

  `prior_scale` is the prior's standard deviation; `gan_weight` is of e's adversarial loss, in a turn of its own: it
  matters where e's optimiser looks at the size of gradients.
  """
  del gan_weight  # in scene.hyper
  refuse(config)
  if prior_scale <= 0:
    raise ConfigError('play.prior_scale', prior_scale, 'a number above 0')
  size, adversarial = config.latent_dim, names.loss(config)
  if config.discriminator.name != 'mlp':
    raise ConfigError('discriminator.name', config.discriminator.name, "'mlp': it judges latents, which are rows")
  g = autoencoders.decoder(config, spec)
  e = network('e', names.encoder(config, spec, {'mean': size}), spec.shape)
  d = network('d', names.discriminator(config, Spec('row', (size,)), 1, {}), (size,))
  prior = autoencoders.latents(config, prior_scale)

  def code(scene: Scene, extras: Extras) -> tuple[Array, Extras]:
    said, extras = e.forward(scene, extras, scene.batch[spec.field])
    return said[1]['mean'], extras

  def rebuilding(scene: Scene) -> tuple[Array, tuple[Extras, Metrics]]:
    latent, extras = code(scene, scene.extras)
    image, extras = g.forward(scene, extras, latent)
    loss = jnp.square(image - scene.batch[spec.field]).mean()
    return loss, (extras, {'g/loss': loss, 'e/spread': across.gather(latent, scene.axis).var(0).mean()})

  def drawn(scene: Scene) -> Array:
    return prior_scale * autoencoders.normals(split(jax.random.fold_in(scene.key, PRIOR), scene.rows), size)

  def judged(scene: Scene, extras: Extras, reals: bool) -> tuple[Array, Array, Extras]:
    """D's logits of the prior (zeros, if nobody asks) and of codes, with the rows of all devices."""
    latent, extras = code(scene, extras)
    fake, extras = d.forward(scene, extras, latent)
    real = jnp.zeros_like(fake)
    if reals:
      real, extras = d.forward(scene, extras, drawn(scene))
    return across.gather(real, scene.axis), across.gather(fake, scene.axis), extras

  def d_loss(scene: Scene) -> tuple[Array, tuple[Extras, Metrics]]:
    real, fake, extras = judged(scene, scene.extras, reals=True)
    loss = adversarial.d(real, fake).mean()
    return loss, (extras, {'d/loss': loss} | seen_by_d(real, fake))

  def e_loss(scene: Scene) -> tuple[Array, tuple[Extras, Metrics]]:
    real, fake, extras = judged(scene, scene.extras, adversarial.g_needs_real)
    loss = scene.hyper['play_gan_weight'] * adversarial.g(real, fake).mean()
    return loss, (extras, {'e/loss': loss})

  def reconstruct(params: Params, extras: Extras, batch: Batch, keys: Key | None = None) -> Batch:
    latent = e.evaluate(params, extras, batch[spec.field])[1]['mean']
    return {'latent': latent, 'rebuilt': g.evaluate(params, extras, latent)}

  return Game(
    init=autoencoders.joined({'g': g, 'e': e, 'd': d}), losses={'rebuild': rebuilding, 'd': d_loss, 'e': e_loss},
    prior=prior, generate=autoencoders.generating(g, spec.field), advance=autoencoders.advancing(g), reconstruct=reconstruct,
    turns=(Turn(('g', 'e'), 'rebuild'), Turn(('d',), 'd', fresh=False), Turn(('e',), 'e', fresh=False)),
  )  # fmt: skip
