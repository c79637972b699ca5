"""ESRGAN for the CPU at a scale of 4: a small residual network, by pixels first and then in the game (Wang et al. 2018).

ganjax train --config esrgan_set5 --config.data.path=PHOTOS --config.data.test_path=SET5

Result (seed 0; trained on 153 cut-out photographs of people, 4.6 megapixels; Set5, whole, of Y with a border of 4):

                                 baby   bird   butterfly  head   woman   mean PSNR, SSIM   spectrum
  bicubic                        31.79  30.19  22.10      31.62  26.47   28.43 dB, .811    2.94 dB
  by pixels, step 1,500          33.08  32.19  25.72      32.60  29.33   30.59 dB, .871    1.81 dB
  after the game, step 1,900     31.29  29.04  24.28      31.76  26.80   28.63 dB, .851     .39 dB

`spectrum` is how far mean power spectra of patches are from those of the true ones: the game brings back what pixels alone
leave blurred. Seen: edges as hard as the true ones, at times with a seam or a speck beside them; skin and feathers stay
smooth, as the people's photographs have little texture. About 9 minutes of CPU time, 25 on a machine of two cores that
others used. There is no perceptual loss here, since its network must be given: --config.play.perceptual_weight=0.1
--config.play.features=cifar_resnet20 --config.play.feature_weights=FILE, or vgg19. Without `data.path` it learns from a
photograph that comes with scikit-learn, which is too little: on patches of Set5 it was .7 dB above bicubic at step 500 and
.7 dB below at step 1,000. Whole pictures are compared as docs/evaluation.md says.
"""

from ml_collections import ConfigDict


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.game = 'super_resolution'
  config.data = {'name': 'super_resolution', 'path': '', 'test_path': '', 'resolution': 64, 'scale': 4, 'flip': True}
  config.generator = {'name': 'msrresnet', 'width': 32, 'blocks': 8, 'scale': 4}
  config.discriminator = {'name': 'vgg_style', 'width': 16}
  config.loss = {'name': 'relativistic_average'}
  config.play = {'pixel_weight': 1.0, 'perceptual_weight': 0.0, 'gan_weight': 0.05}
  config.optimizer = {p: {'name': 'adam', 'learning_rate': 1e-4, 'b1': 0.9, 'b2': 0.99} for p in 'gd'}
  config.phases = ({'until': 1_500, 'play.gan_weight': 0.0, 'optimizer.g.learning_rate': 1e-3},)
  config.ema = {'main': {'decay': 0.99}}
  config.batch_size = 16
  config.steps = 1_900
  config.samples = 12
  config.log_every = 50
  config.evaluate_num = 100
  config.evaluate_metrics = ('psnr_y', 'ssim_y')
  config.evaluate_every = config.sample_every = config.save_every = 500
  if size == 'smoke':
    config.data.resolution = 32
    config.generator.width, config.generator.blocks = 4, 1
    config.discriminator.width = 2
    config.phases = ({'until': 2, 'play.gan_weight': 0.0},)
    config.batch_size = 4
    config.steps = 4
    config.samples = 4
    config.evaluate_num = 8
    config.log_every = 2
  return config
