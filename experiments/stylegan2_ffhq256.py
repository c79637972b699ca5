"""StyleGAN 2 on FFHQ at 256 pixels: the authors' base configuration `paper256` (Karras et al. 2020, arXiv:2006.06676).

ganjax train --config stylegan2_ffhq256 --config.data.path=FOLDER     (of the 70,000 pictures, of any size)

Result: not run in full; eight GPUs, as the authors', are needed.
R3GAN's paper compares with FID 3.78; mmgeneration's README has 3.99 for configuration F, whose networks are wider.
Without augmentation; with ADA: --config.augment.name=ada.
"""

from ml_collections import ConfigDict

from experiments import stylegan2_ffhq1024


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke (on digits)."""
  config = stylegan2_ffhq1024.get_config(size)
  config.terms.d.r1.gamma = 1.0
  for player in 'gd':
    config.optimizer[player].learning_rate = 2.5e-3
  config.ema.main.halflife_kimg = 20.0
  config.discriminator.mbstd_group_size = 8
  if size == 'full':
    config.data.resolution = 256
    config.generator.channel_base = config.discriminator.channel_base = 16384
    config.batch_size = 64
    config.steps = 390_625  # 25 million images
  return config
