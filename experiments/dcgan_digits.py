"""DCGAN on scikit-learn's handwritten digits: the default experiment.

ganjax train
"""

from ml_collections import ConfigDict


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.data = {'name': 'digits', 'resolution': 8}
  config.latent_dim = 32
  config.generator = {'name': 'dcgan', 'width': 64}
  config.discriminator = {'name': 'dcgan', 'width': 64}
  config.loss = {'name': 'non_saturating'}
  config.ema = {'main': {'halflife_kimg': 5.0}}
  config.batch_size = 64
  config.steps = 2_000
  config.log_every = 50
  config.evaluate_every = 500
  config.sample_every = 500
  config.save_every = 500
  if size == 'smoke':
    config.generator.width = config.discriminator.width = 8
    config.batch_size = 16
    config.steps = 20
    config.log_every = 5
    config.evaluate_num = 100
  return config
