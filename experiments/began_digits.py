"""BEGAN on scikit-learn's handwritten digits, 8x8: an autoencoder as D, its balance held by k.

ganjax train --config began_digits

Result (seed 0 alone, 1,500 steps, 1,000 samples): k, the balance and the measure of convergence do what the paper
says, the samples are blurs: Frechet distance 133, 123 and 103 after 500, 1,000 and 1,500 steps (one half of the real
images to the other 1.39), sure of .003, all ten classes, .3% to 28.7%. A diversity ratio of .7 with equal rates
collapsed to one or two shapes (4,000 steps, 161 to 199), one of .9 with squared distances to sevens. 174 s on two CPU
cores that other work shared. The paper has faces only; `ebgan_digits`, with the same networks, is readable.
"""

from ml_collections import ConfigDict


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.game = 'began'
  config.play = {'diversity_ratio': 1.0, 'balance_rate': 0.01}
  config.data = {'name': 'digits', 'resolution': 8}
  config.latent_dim = 16
  common = {'name': 'autoencoder', 'width': 16, 'smallest': 4}
  config.generator = common
  config.discriminator = common | {'code': 16}
  rates = {'g': 3e-4, 'd': 1e-3}
  config.optimizer = {player: {'name': 'adam', 'learning_rate': rates[player], 'b1': 0.5} for player in 'gd'}
  config.batch_size = 32
  config.steps = 1_500
  plan = {'name': 'cosine', 'over_kimg': 48.0, 'end': 1e-4}  # the whole training
  config.schedule = {f'{player}_learning_rate': plan for player in 'gd'}
  config.ema = {'main': {'halflife_kimg': 5.0}}
  config.log_every = 100
  config.evaluate_every = config.sample_every = config.save_every = 500
  if size == 'smoke':
    config.generator.width = config.discriminator.width = 4
    config.batch_size = 16
    config.steps = 20
    config.log_every = 5
    config.evaluate_num = 100
  return config
