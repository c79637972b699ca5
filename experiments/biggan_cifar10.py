"""BigGAN on CIFAR-10: the authors' published script for 32 pixels (Brock et al. 2019).

ganjax train --config biggan_cifar10 --config.data.path=cifar-10-binary.tar.gz
(without a path the archive, 162 MB, is downloaded once).

Result: not run in full; a GPU is needed.
PyTorch-StudioGAN's table: FID 4.16. The paper's own figures are not repeated here: unchecked.
mmgeneration, with this script's numbers: FID 9.78, Inception Score 8.70 at 390,000 iterations.
"""

from ml_collections import ConfigDict


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.data = {'name': 'cifar10'}
  config.latent_dim = 128
  # For CIFAR-10 the authors leave out attention, the shared embedding and the latent's hierarchy.
  config.generator = {
    'name': 'biggan', 'width': 64, 'shared_dim': 0, 'hierarchical': False, 'initializer': 'normal'
  }  # fmt: skip
  config.discriminator = {'name': 'biggan', 'width': 64, 'initializer': 'normal'}
  config.conditioning = {'name': 'projection'}
  config.loss = {'name': 'hinge'}
  config.n_critic = 4
  config.optimizer = {player: {'name': 'adam', 'learning_rate': 2e-4, 'b1': 0.0, 'b2': 0.999} for player in 'gd'}
  config.batch_size = 50
  config.steps = 125_000  # G's: 500 epochs of D's
  config.ema = {'main': {'decay': 0.9999}}  # the authors' starts at step 1,000
  config.standing_statistics = 100
  config.log_every = 100
  config.sample_every = 5_000
  config.save_every = 5_000
  if size == 'smoke':
    config.generator.width = config.discriminator.width = 2
    config.n_critic = 1
    config.batch_size = 8
    config.steps = 4
    config.standing_statistics = 2
    config.log_every = 2
  return config
