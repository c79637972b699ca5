"""The GAN of 2014 on a ring of 8 Gaussians: the smallest test of mode coverage.

ganjax train --config gan_ring8

Result (3 seeds, 10,000 steps, 10,000 samples): 8 modes of 8 with two seeds and 7 with one; .93 to .94 of the samples
within 3 standard deviations of a centre; reverse KL to equal shares .004, .017, .147. 45 to 52 s on 2 busy CPU cores.
The paper has no such figure; that a GAN may drop a mode here is the point of the test.
"""

from ml_collections import ConfigDict


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.data = {'name': 'mixture', 'layout': 'ring', 'modes': 8, 'std': 0.02}
  config.latent_dim = 2
  config.generator = {'name': 'mlp', 'hidden': (128, 128)}
  config.discriminator = {'name': 'mlp', 'hidden': (128, 128)}
  config.loss = {'name': 'non_saturating'}
  config.optimizer = {player: {'name': 'adam', 'learning_rate': 1e-3, 'b1': 0.5} for player in 'gd'}
  config.schedule = {f'{player}_learning_rate': {'name': 'linear', 'over_kimg': 5_120.0} for player in 'gd'}
  config.ema = {'main': {'halflife_kimg': 50.0}}
  config.batch_size = 512
  config.steps = 10_000
  config.steps_per_call = 20
  config.log_every = 200
  config.evaluate_every = 2_000
  config.sample_every = 2_000
  config.save_every = 2_000
  config.samples = 1_000
  config.evaluate_num = 10_000
  if size == 'smoke':
    config.batch_size = 32
    config.steps = 40
    config.log_every = 20
    config.evaluate_num = config.samples = 200
  return config
