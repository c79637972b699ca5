"""LAPGAN on scikit-learn's handwritten digits, from 4 by way of 8 to 16 pixels, all levels at once (Denton et al. 2015).

ganjax train --config lapgan_digits

Result (seed 0; 3,000 steps; 1,000 samples): Frechet distance 2.8 (one half of the real images to the other 1.06), still
falling by a seventh over the last quarter; sure of .50 (held-out real images .89), precision .60, recall .83, classes 7.6%
to 13.1%. 2 minutes on a machine of two cores that others used, 190 s of one core.
"""

from ml_collections import ConfigDict


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.game = 'lapgan'
  config.data = {'name': 'digits', 'resolution': 16}
  config.latent_dim = 32
  config.play = {'levels': 2, 'width': 32, 'depth': 3, 'd_width': 32, 'kernel': 3}
  config.generator = {'name': 'dense', 'hidden': (256, 256)}  # of 4 x 4 pixels
  config.discriminator = {'name': 'dense', 'hidden': (256, 256)}
  config.loss = {'name': 'relativistic'}
  config.terms = {'d': {'r1': {'gamma': 0.05}, 'r2': {'gamma': 0.05}}}  # D would learn 1,500 images by heart
  config.optimizer = {player: {'name': 'adam', 'learning_rate': 2e-3, 'b1': 0.0, 'b2': 0.99} for player in 'gd'}
  config.batch_size = 32
  config.steps = 3_000
  plan = {'name': 'cosine', 'over_kimg': 96.0, 'end': 2e-4}  # the whole training
  config.schedule = {f'{player}_learning_rate': plan for player in 'gd'}
  config.ema = {'main': {'halflife_kimg': 10.0}}
  config.log_every = 100
  config.evaluate_metrics = ('frechet', 'sure', 'shares', 'prdc')
  config.evaluate_every = config.sample_every = config.save_every = 1_000
  if size == 'smoke':
    config.play.width = config.play.d_width = 4
    config.generator.hidden = config.discriminator.hidden = (8,)
    config.batch_size = 8
    config.steps = 4
    config.log_every = 2
    config.evaluate_num = 100
  return config
