"""A projection discriminator on scikit-learn's handwritten digits: D's logit sees the class, G is asked for it.

ganjax train --config projection_digits

Result (seed 0 alone, 4,000 steps, 1,000 samples): seen as the class asked for .995, sure of .962 (held-out real images
.923), Frechet distance 1.03 (one half of the real images to the other 1.39), nearer .66. The deviation of a pixel within
a class is .312, of real images .330. 266 s on two cores that much other work shared.
"""

from ml_collections import ConfigDict

from experiments import acgan_digits


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke."""
  config = acgan_digits.get_config(size)
  config.conditioning = {'name': 'projection'}
  return config
