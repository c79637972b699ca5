"""EBGAN on scikit-learn's handwritten digits, 8x8: an autoencoder as D, a margin, and codes pulled apart.

ganjax train --config ebgan_digits

Result (seed 0 alone, 4,000 steps, 1,000 samples): sure of .418 (held-out real images .923), Frechet distance 18.3 (one
half of the real images to the other 1.39), all ten classes, 1.4% to 18.7%. The grid is readable, and softer than that
of `dcgan_digits`. 222 s on two CPU cores that other work shared. The paper has no digits of this size.
"""

from ml_collections import ConfigDict

from experiments import began_digits


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke."""
  config = began_digits.get_config(size)
  config.game, config.play = 'gan', {}
  config.discriminator.distance = 'square'
  config.loss = {'name': 'energy', 'margin': 0.3}
  config.terms = {'g': {'pulling_away': {'weight': 0.1}}}
  config.optimizer.g.learning_rate = 1e-3
  if size == 'full':
    config.steps = 4_000
    for player in 'gd':
      config.schedule[f'{player}_learning_rate'].over_kimg = 128.0
    config.evaluate_every = config.sample_every = config.save_every = 1_000
  return config
