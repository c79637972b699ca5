"""A small R3GAN on scikit-learn's handwritten digits at 16 pixels: no normalisation, relativistic loss, R1 and R2.

ganjax train --config r3gan_digits

Result (seed 0, 8,000 steps, 1,000 samples): Frechet distance .93 (54.8 after the first step; one half of the real images
to the other, which is of fewer images, 1.06), sure of .66 (held-out real images .89), classes 7.8% to 11.5%, nearer .35.
About 19 minutes of one CPU core.
"""

from ml_collections import ConfigDict


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.data = {'name': 'digits', 'resolution': 16}
  config.latent_dim = 32
  common = {'name': 'r3gan', 'widths': (64, 32, 16), 'cardinalities': (8, 4, 2), 'blocks': (1,)}
  config.generator = common
  config.discriminator = common
  config.loss = {'name': 'relativistic'}
  config.terms = {'d': {'r1': {'gamma': 2.0}, 'r2': {'gamma': 2.0}}}  # D would learn 1,500 images by heart
  config.optimizer = {player: {'name': 'adam', 'learning_rate': 1e-3, 'b1': 0.0, 'b2': 0.9} for player in 'gd'}
  config.batch_size = 32
  config.steps = 8_000
  # Of the paper's kind: rates and gammas fall and b2 rises along half a cosine, in images shown.
  over = {'name': 'cosine', 'over_kimg': 256.0}  # the whole training
  rates = {f'{player}_learning_rate': over | {'end': 1e-4} for player in 'gd'}
  memories = {f'{player}_b2': over | {'end': 0.99} for player in 'gd'}
  config.schedule = rates | memories | {f'd_{term}_gamma': over | {'end': 0.2} for term in ('r1', 'r2')}
  config.ema = {'main': {'halflife_kimg': 10.0}}
  config.log_every = 100
  config.evaluate_every = 4_000
  config.sample_every = 4_000
  config.save_every = 4_000
  if size == 'smoke':
    config.generator.widths = config.discriminator.widths = (8,)
    config.generator.cardinalities = config.discriminator.cardinalities = (2,)
    config.batch_size = 8
    config.steps = 4
    config.log_every = 2
    config.evaluate_num = 100
  return config
