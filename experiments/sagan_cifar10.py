"""SAGAN on CIFAR-10: SNGAN's networks with self-attention at 16 pixels, spectral norm in G, classes (Zhang et al. 2019).

ganjax train --config sagan_cifar10 --config.data.path=cifar-10-binary.tar.gz
(without a path the archive, 162 MB, is downloaded once).

Result: not run in full; a GPU is needed.
The paper has no CIFAR-10. The settings are PyTorch-StudioGAN's, whose table has FID 10.35; mmgeneration's README: 9.43,
the best of 500,000 iterations with 5 D plays. Widths are torch-mimicry's.
"""

from ml_collections import ConfigDict


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.data = {'name': 'cifar10', 'flip': True}
  config.latent_dim = 128
  config.generator = {'name': 'resnet', 'width': 256, 'spectral': True, 'attention': 16}
  config.discriminator = {'name': 'resnet', 'width': 128, 'attention': 16}
  config.conditioning = {'name': 'projection'}
  config.loss = {'name': 'hinge'}
  config.n_critic = 5
  config.optimizer = {player: {'name': 'adam', 'learning_rate': 2e-4, 'b1': 0.5, 'b2': 0.999} for player in 'gd'}
  config.batch_size = 64
  config.steps = 100_000  # G's
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
