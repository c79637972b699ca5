"""SRGAN on DIV2K at a scale of 4: the paper's training (Ledig et al. 2017, arXiv:1609.04802, section 3.2).

ganjax train --config srgan_div2k --config.data.path=DIV2K_train_HR --config.data.test_path=SET5

Result: not trained here; a GPU is needed. The paper's tables have, on Set5 (of Y), 32.05 dB and SSIM .9019 after the first
million steps (SRResNet), and 29.40 dB and .8472 after the game. MMEditing's, of RGB and this network, 30.23 dB and
.8491, and 27.95 dB and .7846. `esrgan_set5` is such a game at a size for the CPU.

A million steps by squared pixels; then 100,000 at 1e-4 and 100,000 at 1e-5 by what VGG19 sees (the paper's maps divided
by 12.75, so that their squares weigh .006; here before the activation) and the game with weight .001. Of the paper differ
the data (350,000 pictures of ImageNet), the generator, which has BasicSR's form without batch norm, and patches of 128
pixels in place of 96. VGG19 is fetched from torchvision, or --config.play.feature_weights=FILE.
"""

from ml_collections import ConfigDict


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke (on a photograph that comes with scikit-learn)."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  pixels = {'play.pixel_weight': 1.0, 'play.perceptual_weight': 0.0, 'play.gan_weight': 0.0}
  config = ConfigDict()
  config.game = 'super_resolution'
  config.data = {'name': 'super_resolution', 'path': 'DIV2K_train_HR', 'resolution': 128, 'scale': 4, 'flip': True}
  config.generator = {'name': 'msrresnet', 'width': 64, 'blocks': 16, 'scale': 4}
  config.discriminator = {'name': 'vgg_style', 'width': 64}
  config.loss = {'name': 'non_saturating'}
  config.play = {'distance': 'l2', 'pixel_weight': 0.0, 'perceptual_weight': 0.006, 'gan_weight': 0.001}
  config.optimizer = {p: {'name': 'adam', 'learning_rate': 1e-5, 'b1': 0.9, 'b2': 0.999} for p in 'gd'}
  rates = {f'optimizer.{p}.learning_rate': 1e-4 for p in 'gd'}
  config.phases = ({'until': 1_000_000} | rates | pixels, {'until': 1_100_000} | rates)
  config.batch_size = 16
  config.steps = 1_200_000
  config.samples = 16
  config.log_every = 100
  config.evaluate_num = 100
  config.evaluate_metrics = ('psnr_y', 'ssim_y')
  config.evaluate_every = config.sample_every = config.save_every = 10_000
  if size == 'smoke':
    config.data.path, config.data.resolution = '', 32
    config.generator.width, config.generator.blocks = 4, 1
    config.discriminator.width = 2
    config.play.pixel_weight, config.play.perceptual_weight = 1.0, 0.0
    config.phases = ({'until': 2} | rates | pixels,)
    config.batch_size = 4
    config.steps = 4
    config.samples = 4
    config.evaluate_num = 8
    config.log_every = 2
  return config
