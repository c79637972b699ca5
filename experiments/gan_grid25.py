"""The GAN of 2014 on a grid of 25 Gaussians: more modes than it likes.

ganjax train --config gan_grid25
"""

from ml_collections import ConfigDict

from experiments import gan_ring8


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke."""
  config = gan_ring8.get_config(size)
  config.data = {'name': 'mixture', 'layout': 'grid', 'modes': 25, 'std': 0.05}
  return config
