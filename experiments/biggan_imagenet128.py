"""BigGAN on ImageNet at 128 pixels, by class: the authors' script for PyTorch (Brock et al. 2019, arXiv:1809.11096).

ganjax train --config biggan_imagenet128 --config.data.path=FOLDER     (a sub-folder for each of the 1,000 classes)

Result: not run in full; eight GPUs are needed.
Paper (abstract): Inception Score 166.5, FID 7.4 at 128 pixels; of which of its networks and truncations is not checked.
The script, `launch_BigGAN_bs256x8.sh`, adds up the gradients of eight batches of 256, as here, with one D play to a play
of G's. Its average starts at step 20,000, and it says no end: here that of mmgeneration's, 1.5 million batches of 256.
"""

from ml_collections import ConfigDict


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke (on digits)."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.data = {'name': 'folder', 'resolution': 128}
  config.latent_dim = 120  # 20 for each of the five blocks and the first layer
  common = {'name': 'biggan', 'width': 96, 'attention': (64,), 'spectral_epsilon': 1e-6}
  config.generator = common | {'shared_dim': 128}
  config.discriminator = common
  config.conditioning = {'name': 'projection'}
  config.loss = {'name': 'hinge'}
  rates = {'g': 1e-4, 'd': 4e-4}
  config.optimizer = {
    player: {'name': 'adam', 'learning_rate': rates[player], 'b1': 0.0, 'b2': 0.999, 'eps': 1e-6} for player in 'gd'
  }
  config.batch_size = 2_048
  config.microbatches = 8
  config.steps = 187_500
  config.ema = {'main': {'decay': 0.9999}}
  config.standing_statistics = 100
  config.log_every = 100
  config.sample_every = 1_000
  config.save_every = 1_000
  if size == 'smoke':
    config.data = {'name': 'digits', 'resolution': 16}
    config.latent_dim = 12
    config.generator.width = config.discriminator.width = 2
    config.generator.attention = config.discriminator.attention = (8,)
    config.generator.shared_dim = 8
    config.batch_size = 8
    config.microbatches = 1
    config.steps = 2
    config.standing_statistics = 2
    config.log_every = 1
  return config
