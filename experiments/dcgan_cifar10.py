"""DCGAN on CIFAR-10: strided and transposed convolutions, batch normalisation (Radford et al. 2016).

ganjax train --config dcgan_cifar10 --config.data.path=cifar-10-binary.tar.gz
(without a path the archive, 162 MB, is downloaded once).

Result: not run in full; a GPU is needed.
The paper gives no FID. PyTorch-StudioGAN's table: 48.29; mimicry's: 28.95.
"""

from ml_collections import ConfigDict


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.data = {'name': 'cifar10', 'flip': True}
  config.latent_dim = 100
  config.generator = {'name': 'dcgan', 'width': 64}
  config.discriminator = {'name': 'dcgan', 'width': 64}
  config.loss = {'name': 'non_saturating'}
  config.optimizer = {player: {'name': 'adam', 'learning_rate': 2e-4, 'b1': 0.5} for player in 'gd'}
  config.batch_size = 128
  config.steps = 100_000
  config.log_every = 100
  config.sample_every = 5_000
  config.save_every = 5_000
  if size == 'smoke':
    config.generator.width = config.discriminator.width = 8
    config.batch_size = 8
    config.steps = 4
    config.log_every = 2
  return config
