"""SNGAN on CIFAR-10: residual networks, hinge loss, spectral normalisation in D (Miyato et al. 2018).

ganjax train --config sngan_cifar10 --config.data.path=cifar-10-binary.tar.gz
(without a path the archive, 162 MB, is downloaded once).

Result: not run in full; a GPU is needed.
Paper: FID 21.7 (residual networks, hinge, 5 D plays, table 2). PyTorch-StudioGAN's table: 9.01; mimicry's: 23.90.
"""

from ml_collections import ConfigDict


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.data = {'name': 'cifar10', 'flip': True}
  config.latent_dim = 128
  config.generator = {'name': 'resnet', 'width': 256}
  config.discriminator = {'name': 'resnet', 'width': 128}
  config.loss = {'name': 'hinge'}
  config.n_critic = 5
  config.optimizer = {player: {'name': 'adam', 'learning_rate': 2e-4, 'b1': 0.0, 'b2': 0.9} for player in 'gd'}
  config.batch_size = 64
  config.steps = 100_000  # G's; the rate falls to 0 over all of them
  config.schedule = {f'{player}_learning_rate': {'name': 'linear', 'over_kimg': 6_400.0, 'end': 0.0} for player in 'gd'}
  config.log_every = 100
  config.sample_every = 5_000
  config.save_every = 5_000
  if size == 'smoke':
    config.generator.width = config.discriminator.width = 8
    config.n_critic = 1
    config.batch_size = 8
    config.steps = 4
    config.log_every = 2
  return config
