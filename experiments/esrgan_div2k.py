"""ESRGAN on DIV2K at a scale of 4: the paper's own training (Wang et al. 2018, arXiv:1809.00219, section 4.1).

ganjax train --config esrgan_div2k --config.data.path=DIV2K_train_HR --config.data.test_path=SET5

Result: not trained here; a GPU is needed. The authors' README has 32.73 dB and SSIM .9011 on Set5 (of Y) for the network
of the first million steps, trained on DF2K. MMEditing's table, of RGB, has 30.64 dB and .8559 after them on DIV2K, and
28.27 dB and .7778 after the game. `esrgan_set5` is this game at a size for the CPU.

A million steps by pixels, at 2e-4 halved every 200,000; then 400,000 with VGG19's conv5_4 before its activation (fetched
from torchvision, or --config.play.feature_weights=FILE) and the relativistic average, at 1e-4 halved four times. The
paper's quarter turns of patches are left out. Folders of pictures: DIV2K_train_HR (or DF2K) and Set5.
"""

from ml_collections import ConfigDict

HALVED = (1_050_000, 1_100_000, 1_200_000, 1_300_000)  # steps where the game's rates are


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke (on a photograph that comes with scikit-learn)."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  pixels = {'play.pixel_weight': 1.0, 'play.perceptual_weight': 0.0, 'play.gan_weight': 0.0}
  config = ConfigDict()
  config.game = 'super_resolution'
  config.data = {'name': 'super_resolution', 'path': 'DIV2K_train_HR', 'resolution': 128, 'scale': 4, 'flip': True}
  config.generator = {'name': 'rrdb', 'width': 64, 'blocks': 23, 'growth': 32, 'scale': 4}
  config.discriminator = {'name': 'vgg_style', 'width': 64}
  config.loss = {'name': 'relativistic_average'}
  config.play = {'pixel_weight': 0.01, 'perceptual_weight': 1.0, 'gan_weight': 0.005}
  config.optimizer = {p: {'name': 'adam', 'learning_rate': 1e-4 / 16, 'b1': 0.9, 'b2': 0.999} for p in 'gd'}
  by_pixels = [{'until': 200_000 * (i + 1), 'optimizer.g.learning_rate': 2e-4 / 2**i} | pixels for i in range(5)]
  game = [
    {'until': step} | {f'optimizer.{p}.learning_rate': 1e-4 / 2**i for p in 'gd'} for i, step in enumerate(HALVED)
  ]
  config.phases = (*by_pixels, *game)
  config.batch_size = 16
  config.steps = 1_400_000
  config.samples = 16
  config.log_every = 100
  config.evaluate_num = 100
  config.evaluate_metrics = ('psnr_y', 'ssim_y')
  config.evaluate_every = config.sample_every = config.save_every = 10_000
  if size == 'smoke':
    config.data.path, config.data.resolution = '', 32
    config.generator.width, config.generator.blocks, config.generator.growth = 4, 1, 2
    config.discriminator.width = 2
    config.play.perceptual_weight = 0.0
    config.phases = ({'until': 2} | pixels,)
    config.batch_size = 4
    config.steps = 4
    config.samples = 4
    config.evaluate_num = 8
    config.log_every = 2
  return config
