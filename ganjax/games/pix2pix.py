"""pix2pix: an image from an image, learnt from pairs (Isola et al. 2017, arXiv:1611.07004).

D judges source and output together, patch by patch; G is held to the true output as well: its loss is the adversarial
one plus lambda L1 (equation 4, lambda 100). D's loss is halved, "which slows down the rate at which D learns relative
to G" (section 3.3). G's noise is its dropout, in training and in use; batch statistics in use are the running ones,
where the authors take those of the test batch. With least squares in the authors' PyTorch code, which has no halves,
d_weight is 1 and gan_weight 2 of `lsgan` here, that has them.
"""

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from ganjax import config as names
from ganjax.data.spec import Spec
from ganjax.translators import judged, translators
from ganjax.types import Array, Batch, Extras, Game, Key, Metrics, Number, Params, Scene, Turn


def game(config: ConfigDict, spec: Spec, *, l1_weight: Number = 100.0, gan_weight: Number = 1.0,
         d_weight: Number = 0.5) -> Game:  # fmt: skip
  """The game from 'source' to 'image': players g and d; D, then G on the same pairs and with the same noise."""
  del l1_weight, gan_weight, d_weight  # in scene.hyper
  adversarial, g = names.loss(config), names.generator(config, spec)
  d = names.discriminator(config, spec, 1, {})
  nets = {'g': (g, spec.source[-1] if spec.source else 0), 'd': (d, spec.shape[-1] + sum(spec.source[-1:]))}
  both = translators(config, spec, nets, noisy=getattr(g, 'dropout', 0) > 0)

  def init(key: Key, batch: Batch) -> tuple[Params, Extras]:
    params, extras = both.init(key)
    return params, {**extras, 'noise': jax.random.key_data(jax.random.fold_in(key, len(nets)))}

  def make(scene: Scene) -> tuple[Array, Extras]:
    """The same output in both turns of a step: G moves last, and the key that is kept moves with it."""
    key = jax.random.wrap_key_data(scene.extras['noise'])
    return both.forward(scene, scene.extras, 'g', scene.batch['source'], key=key)

  def judge(scene: Scene, extras: Extras, image: Array) -> tuple[Array, Extras]:
    return both.forward(scene, extras, 'd', jnp.concatenate([scene.batch['source'], image], -1))

  def d_loss(scene: Scene) -> tuple[Array, tuple[Extras, Metrics]]:
    made, _ = make(scene)  # G's statistics advance in its own turn
    fake, extras = judge(scene, scene.extras, made)
    real, extras = judge(scene, extras, scene.batch['image'])
    real, fake, metrics = judged(scene, 'd', real, fake)
    loss = scene.hyper['play_d_weight'] * adversarial.d(real, fake).mean()
    return loss, (extras, metrics | {'d/loss': loss})

  def g_loss(scene: Scene) -> tuple[Array, tuple[Extras, Metrics]]:
    made, extras = make(scene)
    fake, extras = judge(scene, extras, made)
    real = None
    if adversarial.g_needs_real:
      real, extras = judge(scene, extras, scene.batch['image'])
    gan = adversarial.g(*judged(scene, 'd', real, fake)[:2]).mean()
    l1 = jnp.abs(made - scene.batch['image']).mean()
    loss = scene.hyper['play_gan_weight'] * gan + scene.hyper['play_l1_weight'] * l1
    extras = {**extras, 'noise': jax.random.key_data(scene.key)}
    return loss, (extras, {'g/loss': loss, 'g/gan': gan, 'g/l1': l1})

  def generate(params: Params, extras: Extras, prior: Batch) -> Batch:
    return prior | {'image': both.evaluate(params, extras, 'g', prior['source'], prior.get('noise'))}

  turns = (Turn(('d',), 'd'), Turn(('g',), 'g', fresh=False))
  return Game(init=init, losses={'d': d_loss, 'g': g_loss}, prior=both.prior, generate=generate, turns=turns)
