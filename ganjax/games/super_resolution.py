"""Super-resolution: SRGAN (Ledig et al. 2017, arXiv:1609.04802) and ESRGAN (Wang et al. 2018, arXiv:1809.00219).

G makes 'image' of 'source', scale times smaller. Its loss is pixel_weight times the distance to the true image, plus
perceptual_weight times that of what a frozen network sees of both, plus gan_weight times the adversarial loss (ESRGAN,
equation 3; SRGAN, equation 3). A weight of 0 leaves its part out: without gan_weight D is neither looked at nor trained,
which is how both papers begin, in a phase of their own. Distances are of images in [0, 1], as the papers' are. SRGAN
takes squares (`distance`) and the loss `non_saturating`; ESRGAN absolute differences and `relativistic_average`, whose
two sides BasicSR halves. As there, G moves first, and D looks at what it made before.
"""

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from ganjax import config as names
from ganjax import perceptual
from ganjax.data.spec import Spec
from ganjax.errors import ConfigError
from ganjax.ops import across
from ganjax.translators import judged, translators
from ganjax.types import Array, Batch, Extras, Game, Metrics, Number, Params, Scene, Turn


def game(config: ConfigDict, spec: Spec, *, pixel_weight: Number = 0.01, perceptual_weight: Number = 1.0,
         gan_weight: Number = 0.005, distance: Literal['l1', 'l2'] = 'l1',
         features: Literal['vgg19', 'cifar_resnet20'] = 'vgg19', feature_weights: str = '') -> Game:  # fmt: skip
  """The game from 'source' to 'image': players g and d; G, then D on what G made.

  `features` is the network that the perceptual loss looks through, `feature_weights` a file with its weights; '' fetches
  VGG19's published ones.
  """
  if not spec.source or spec.source[-1] != spec.shape[-1] or spec.shape[0] % spec.source[0]:
    raise ConfigError('data.name', config.data.name, "data with images at two sizes: 'super_resolution'")
  scale = spec.shape[0] // spec.source[0]
  if perceptual_weight and spec.shape[-1] != 3:
    raise ConfigError('play.perceptual_weight', perceptual_weight, '0: feature networks look at images of 3 channels')
  if not (pixel_weight or perceptual_weight or gan_weight):
    raise ConfigError('play.pixel_weight', pixel_weight, 'above 0, or another weight: nothing is left to learn from')
  g, d = names.generator(config, spec), names.discriminator(config, spec, 1, {})
  if getattr(g, 'scale', scale) != scale:
    raise ConfigError('generator.scale', g.scale, f'{scale}, as the data have it')
  both = translators(config, spec, {'g': (g, spec.source[-1]), 'd': (d, spec.shape[-1])})
  adversarial = names.loss(config)
  maps = partial(perceptual.open, features, feature_weights)  # called late: samples need no weights
  measure = {'l1': jnp.abs, 'l2': jnp.square}[distance]

  def init(key: Array, batch: Batch) -> tuple[Params, Extras]:
    params, extras = both.init(key)
    return params, extras | ({'shown': jnp.zeros((config.batch_size, *spec.shape))} if gan_weight else {})

  def g_loss(scene: Scene) -> tuple[Array, tuple[Extras, Metrics]]:
    real, weights, metrics = scene.batch['image'], scene.hyper, Metrics()
    made, extras = both.forward(scene, scene.extras, 'g', scene.batch['source'])
    loss = jnp.float32(0)
    if pixel_weight:
      metrics['g/pixel'] = measure((made - real) / 2).mean()
      loss += weights['play_pixel_weight'] * metrics['g/pixel']
    if perceptual_weight:
      metrics['g/perceptual'] = measure(maps()(made) - maps()(real)).mean()
      loss += weights['play_perceptual_weight'] * metrics['g/perceptual']
    if gan_weight:
      of_fake, extras = both.forward(scene, extras, 'd', made)
      of_real = None
      if adversarial.g_needs_real:
        of_real, extras = both.forward(scene, extras, 'd', real)
      metrics['g/gan'] = adversarial.g(*judged(scene, 'd', of_real, of_fake)[:2]).mean()
      loss += weights['play_gan_weight'] * metrics['g/gan']
      rows, shown = (across.gather(x, scene.axis) for x in (scene.rows, jax.lax.stop_gradient(made)))
      extras = {**extras, 'shown': extras['shown'].at[rows].set(shown)}
    return loss, (extras, metrics | {'g/loss': loss})

  def d_loss(scene: Scene) -> tuple[Array, tuple[Extras, Metrics]]:
    real, extras = both.forward(scene, scene.extras, 'd', scene.batch['image'])
    fake, extras = both.forward(scene, extras, 'd', scene.extras['shown'][scene.rows])
    real, fake, seen = judged(scene, 'd', real, fake)
    loss = adversarial.d(real, fake).mean()
    return loss, (extras, seen | {'d/loss': loss})

  def generate(params: Params, extras: Extras, prior: Batch) -> Batch:
    return prior | {'image': both.evaluate(params, extras, 'g', prior['source'])}

  turns = (Turn(('g',), 'g'), *([Turn(('d',), 'd', fresh=False)] if gan_weight else []))
  return Game(init=init, losses={'g': g_loss, 'd': d_loss}, prior=both.prior, generate=generate, turns=turns,
              ready=maps if perceptual_weight else None)  # fmt: skip
