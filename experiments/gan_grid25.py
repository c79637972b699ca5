"""The GAN of 2014 on a grid of 25 Gaussians: more modes than it likes.

ganjax train --config gan_grid25

Result (3 seeds, 10,000 steps, 10,000 samples): 25, 25 and 21 modes of 25, but only .07 to .13 of the samples within
3 standard deviations of a centre; reverse KL to equal shares .06 to .07. 47 to 66 s on 2 busy CPU cores. The plain GAN
does not settle here: samples lie on the lines between centres. The paper has no such figure.
"""

from ml_collections import ConfigDict

from experiments import gan_ring8


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke."""
  config = gan_ring8.get_config(size)
  config.data = {'name': 'mixture', 'layout': 'grid', 'modes': 25, 'std': 0.05}
  return config
