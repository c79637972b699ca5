"""WGAN-GP on scikit-learn's handwritten digits: a critic with five moves to G's one.

ganjax train --config wgan_gp_digits
"""

from ml_collections import ConfigDict

from experiments import dcgan_digits


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke."""
  config = dcgan_digits.get_config(size)
  config.discriminator.norm = 'none'  # the penalty is per example: no statistics across the batch
  config.loss = {'name': 'wasserstein'}
  config.terms = {'d': {'gradient_penalty': {'weight': 10.0}}}
  config.n_critic = 5
  config.optimizer = {player: {'name': 'adam', 'learning_rate': 2e-4, 'b1': 0.0, 'b2': 0.9} for player in 'gd'}
  return config
