"""SAGAN on ImageNet at 128 pixels, by class: self-attention, spectral norm in both players (Zhang et al. 2019).

ganjax train --config sagan_imagenet128 --config.data.path=FOLDER     (a sub-folder for each of the 1,000 classes)

Result: not run in full; four GPUs are needed.
Paper (abstract): Inception Score 52.52, FID 18.65. Others don't get there: mmgeneration's README has 31.59 and 36.77
after 980,000 iterations.
Sizes and rates are those of PyTorch-StudioGAN's SAGAN-256 and of ajbrock/BigGAN-PyTorch's script, which agree with each
other; both have attention at 64 pixels. The paper's own settings are not checked.
"""

from ml_collections import ConfigDict


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke (on digits)."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.data = {'name': 'folder', 'resolution': 128}
  config.latent_dim = 128
  config.generator = {'name': 'resnet', 'width': 1024, 'upsample': 'nearest', 'spectral': True, 'attention': 64}
  config.discriminator = {'name': 'resnet', 'width': 1024, 'attention': 64}
  config.conditioning = {'name': 'projection'}
  config.loss = {'name': 'hinge'}
  rates = {'g': 1e-4, 'd': 4e-4}
  config.optimizer = {
    player: {'name': 'adam', 'learning_rate': rates[player], 'b1': 0.0, 'b2': 0.999} for player in 'gd'
  }
  config.batch_size = 256
  config.steps = 1_000_000
  config.log_every = 100
  config.sample_every = 5_000
  config.save_every = 5_000
  if size == 'smoke':
    config.data = {'name': 'digits', 'resolution': 16}
    config.generator.width = config.discriminator.width = 8
    config.generator.attention = config.discriminator.attention = 8
    config.batch_size = 8
    config.steps = 4
    config.log_every = 2
  return config
