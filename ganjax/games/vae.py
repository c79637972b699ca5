"""VAE: a decoder and an encoder that raise a bound on the likelihood of data (Kingma & Welling 2014, arXiv:1312.6114).

The encoder says where an example's latent may be, a normal distribution q(z | x); the decoder what the example is likely
to be, p(x | z). Both ascend E log p(x | z) - beta KL(q(z | x) || p(z)), with the KL in closed form (equation 10, and
appendix B; one draw of z). For beta = 1 that is a bound on log p(x), the ELBO; other weights are those of Higgins et al.
2017. Rezende et al. 2014 (arXiv:1401.4082) found the same at the same time. Samples are the means of p(x | z): what is
likely, without the noise of each pixel.
"""

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from ganjax import autoencoders
from ganjax.autoencoders import POSTERIOR, Posterior, log_normal, split
from ganjax.data.spec import Spec
from ganjax.errors import ConfigError
from ganjax.likelihoods import LIKELIHOODS, Likelihood
from ganjax.translators import refuse
from ganjax.types import Array, Batch, Extras, Game, Key, Metrics, Number, Params, Scene, Turn

PLAYERS = ('g', 'e')
AVERAGED = ('g', 'e')


def game(config: ConfigDict, spec: Spec, *, likelihood: Likelihood = 'normal', scale: float = 0.1, learn_scale: bool = True,
         beta: Number = 1.0) -> Game:  # fmt: skip
  """The game of g, the decoder, and e, the encoder: one turn, both at once. There is no discriminator and no `loss`.

  `likelihood` is one of `likelihoods`: of images in 256 levels, so that the bound is one for 8-bit data; 'bernoulli'
  takes them for black and white. `scale` is its own one, for all pixels, of a range from -1 to 1; with `learn_scale`
  it only starts there, and is one of g's parameters.
  """
  del beta  # in scene.hyper
  refuse(config)
  if scale <= 0:
    raise ConfigError('play.scale', scale, 'a number above 0')
  g, e = autoencoders.decoder(config, spec), autoencoders.encoder(config, spec)
  learnt = learn_scale and likelihood != 'bernoulli'
  plain = autoencoders.joined({'g': g, 'e': e})

  def init(key: Key, batch: Batch) -> tuple[Params, Extras]:
    params, extras = plain(key, batch)
    own = {'log_scale': jnp.log(jnp.float32(scale))} if learnt else {}
    return {**params, 'g': {**params['g'], **own}}, extras

  def log_likelihood(params: Params, x: Array, mean: Array) -> Array:
    return LIKELIHOODS[likelihood](x, mean, jnp.exp(params['g']['log_scale']) if learnt else jnp.float32(scale))

  def loss(scene: Scene) -> tuple[Array, tuple[Extras, Metrics]]:
    x = scene.batch[spec.field]
    said, extras = e.forward(scene, scene.extras, x)
    posterior = Posterior.of(said)
    latent = posterior.draw(split(jax.random.fold_in(scene.key, POSTERIOR), scene.rows))
    mean, extras = g.forward(scene, extras, latent)
    fit, kl = log_likelihood(scene.params, x, mean).mean(), posterior.kl().mean()
    loss = scene.hyper['play_beta'] * kl - fit
    metrics = {'g/loss': loss, 'g/log_likelihood': fit, 'e/kl': kl, 'g/elbo': fit - kl}
    return loss, (extras, metrics | ({'g/scale': jnp.exp(scene.params['g']['log_scale'])} if learnt else {}))

  def reconstruct(params: Params, extras: Extras, batch: Batch, keys: Key | None = None) -> Batch:
    x = batch[spec.field]
    posterior = Posterior.of(e.evaluate(params, extras, x))
    latent = posterior.mean if keys is None else posterior.draw(keys)
    found = {'latent': latent, 'rebuilt': g.evaluate(params, extras, latent)}
    if keys is None:
      return found
    joint = log_likelihood(params, x, found['rebuilt']) + log_normal(latent)
    return found | {'log_weight': joint - posterior.log(latent)}

  return Game(
    init=init, losses={'elbo': loss}, prior=autoencoders.latents(config), generate=autoencoders.generating(g, spec.field),
    turns=(Turn(('g', 'e'), 'elbo'),), advance=autoencoders.advancing(g), reconstruct=reconstruct,
  )  # fmt: skip
