"""A small SAGAN on scikit-learn's handwritten digits at 16 pixels: SNGAN's networks, attention, spectral norm in G, classes.

ganjax train --config sagan_digits

Result: not run in full yet.
"""

from ml_collections import ConfigDict

from experiments import sngan_digits


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke."""
  config = sngan_digits.get_config(size)
  config.generator.spectral = True
  config.generator.attention = config.discriminator.attention = 8
  config.conditioning = {'name': 'projection'}
  config.optimizer.d.learning_rate = 2e-3  # two time scales; the paper's are 1 to 4
  config.schedule.d_learning_rate.end = 2e-4
  if size == 'smoke':
    config.generator.width = config.discriminator.width = 8
  return config
