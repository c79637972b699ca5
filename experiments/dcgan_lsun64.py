"""DCGAN on LSUN's bedrooms at 64 pixels: the paper's own sizes (Radford et al. 2016, arXiv:1511.06434).

ganjax train --config dcgan_lsun64 --config.data.path=FOLDER     (of the pictures, a little over 3 million)

Result: not run in full; a GPU is needed.
The paper gives no figure, but samples after one epoch and after five. Its latents are uniform, here they are normal; its
kernels have 5x5 taps, here 4x4.
"""

from ml_collections import ConfigDict


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke (on digits)."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.data = {'name': 'folder', 'resolution': 64}
  config.latent_dim = 100
  config.generator = {'name': 'dcgan', 'width': 128}  # 1,024 channels at 4 pixels
  config.discriminator = {'name': 'dcgan', 'width': 128}
  config.loss = {'name': 'non_saturating'}
  config.optimizer = {player: {'name': 'adam', 'learning_rate': 2e-4, 'b1': 0.5} for player in 'gd'}
  config.batch_size = 128
  config.steps = 118_500  # five epochs
  config.log_every = 100
  config.sample_every = 5_000
  config.save_every = 5_000
  if size == 'smoke':
    config.data = {'name': 'digits', 'resolution': 8}
    config.generator.width = config.discriminator.width = 4
    config.batch_size = 8
    config.steps = 4
    config.log_every = 2
  return config
