"""LAPGAN on CIFAR-10, from 8 by way of 16 to 32 pixels (Denton et al. 2015, arXiv:1506.05751, section 4.1).

ganjax train --config lapgan_cifar10 --config.data.path=cifar-10-binary.tar.gz
(without a path the archive, 162 MB, is downloaded once). Told the classes: --config.conditioning.name=concat

Result: not trained here; a GPU is needed. The paper reports that people took 40% of the samples for real, and 10% of a
plain GAN's. Its finer levels are of 14 and 28 pixels, and the kernels of G are 7, 7 and 5 wide, as in the authors' code.
"""

from ml_collections import ConfigDict


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.game = 'lapgan'
  config.data = {'name': 'cifar10'}
  config.latent_dim = 100
  config.play = {'levels': 2, 'width': 128, 'd_width': 128, 'kernel': 5, 'show_coarse': False}
  config.generator = {'name': 'dense', 'hidden': (1200, 1200)}  # of 8 x 8 pixels
  config.discriminator = {'name': 'dense', 'hidden': (600, 600), 'dropout': 0.5}
  config.loss = {'name': 'non_saturating'}
  config.optimizer = {player: {'name': 'sgd', 'learning_rate': 0.02, 'momentum': 0.5} for player in 'gd'}
  # By .0008 every epoch.
  config.schedule = {f'{player}_momentum': {'over_kimg': 18_750.0, 'end': 0.8} for player in 'gd'}
  config.batch_size = 128
  config.steps = 200_000
  config.log_every = 100
  config.sample_every = config.save_every = 5_000
  if size == 'smoke':
    config.play.width = config.play.d_width = 4
    config.generator.hidden = config.discriminator.hidden = (8,)
    config.batch_size = 8
    config.steps = 4
    config.log_every = 2
  return config
