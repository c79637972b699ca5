"""TransGAN on CIFAR-10: transformer blocks alone, WGAN-GP and DiffAugment (Jiang et al. 2021).

ganjax train --config transgan_cifar10 --config.data.path=cifar-10-binary.tar.gz
(without a path the archive, 162 MB, is downloaded once).

Result: not run in full; a GPU is needed.
Paper: FID 9.26, Inception Score 9.02 (with DiffAugment, table 1).
The authors' script draws 128 latents for G's turn and 64 for D's; here both take 64. Their drift is the square of D's
mean, here the mean of its squares.
"""

from ml_collections import ConfigDict


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.data = {'name': 'cifar10', 'flip': True}
  config.latent_dim = 256
  config.generator = {'name': 'transgan', 'width': 1024, 'depths': (5, 4, 2), 'smallest': 8}
  config.discriminator = {'name': 'transgan', 'width': 384, 'depth': 3, 'patch': 2}
  config.loss = {'name': 'wasserstein', 'drift': 1e-3}
  config.terms = {'d': {'gradient_penalty': {'weight': 10.0}}}
  config.augment = {'name': 'diffaugment', 'policy': ('translation', 'cutout', 'color')}
  config.n_critic = 4
  config.optimizer = {
    player: {'name': 'adam', 'learning_rate': 1e-4, 'b1': 0.0, 'b2': 0.99, 'clip_norm': 5.0} for player in 'gd'
  }
  config.batch_size = 64
  config.steps = 500_000  # G's
  config.ema = {'main': {'halflife_kimg': 500.0, 'rampup': 0.1}}
  config.log_every = 100
  config.sample_every = 5_000
  config.save_every = 5_000
  if size == 'smoke':
    config.generator.width, config.generator.depths = 64, (1, 1, 1)
    config.discriminator.width, config.discriminator.depth = 16, 1
    config.n_critic = 1
    config.batch_size = 4
    config.steps = 2
    config.log_every = 1
  return config
