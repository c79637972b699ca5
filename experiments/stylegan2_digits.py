"""A small StyleGAN 2 on scikit-learn's handwritten digits at 16 pixels: styles, noise, path length, lazy R1.

ganjax train --config stylegan2_digits

Result (seed 0, 8,000 steps, 1,000 samples): Frechet distance 2.69 (56.9 after the first step; one half of the real images
to the other 1.06), sure of .53 (held-out real images .89), classes 3.9% to 13.7%, nearer .16. About 14 minutes of one CPU
core. Readable, but blurrier than what `r3gan_digits` makes.
"""

from ml_collections import ConfigDict


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.data = {'name': 'digits', 'resolution': 16}
  config.latent_dim = 32
  common = {'name': 'stylegan2', 'channel_base': 512, 'channel_max': 32}
  config.generator = common | {'w_dim': 32, 'mapping_layers': 2}
  config.discriminator = common
  config.loss = {'name': 'logistic'}
  config.terms = {
    'd': {'r1': {'gamma': 0.2, 'every': 16}},  # D would learn 1,500 images by heart
    'g': {'path_length': {'weight': 2.0, 'every': 4}},
  }
  config.optimizer = {player: {'name': 'adam', 'learning_rate': 2.5e-3, 'b1': 0.0, 'b2': 0.99} for player in 'gd'}
  config.batch_size = 32
  config.steps = 8_000
  plan = {'name': 'cosine', 'over_kimg': 256.0, 'end': 2.5e-4}  # the whole training
  config.schedule = {f'{player}_learning_rate': plan for player in 'gd'}
  config.ema = {'main': {'halflife_kimg': 10.0}}
  config.log_every = 100
  config.evaluate_every = 4_000
  config.sample_every = 4_000
  config.save_every = 4_000
  if size == 'smoke':
    config.generator.channel_max = config.discriminator.channel_max = 4
    config.generator.w_dim = 8
    config.batch_size = 8
    config.steps = 4
    config.log_every = 2
    config.evaluate_num = 100
  return config
