"""A small StyleGAN 1 on scikit-learn's handwritten digits at 16 pixels: styles by AdaIN, noise, mixing; no growing.

ganjax train --config stylegan_digits

Result: not run in full yet.
"""

from ml_collections import ConfigDict


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.data = {'name': 'digits', 'resolution': 16}
  config.latent_dim = 32
  widths = (64, 64, 32) if size == 'full' else (4, 4, 4)
  config.generator = {'name': 'stylegan1', 'widths': widths, 'w_dim': 32, 'mapping_layers': 4}
  config.discriminator = {'name': 'stylegan1', 'widths': widths}
  config.loss = {'name': 'non_saturating'}
  config.terms = {'d': {'r1': {'gamma': 1.0}}}  # the paper's 10 is for images of 1024 pixels
  config.optimizer = {player: {'name': 'adam', 'learning_rate': 1e-3, 'b1': 0.0, 'b2': 0.99} for player in 'gd'}
  config.batch_size = 32
  config.steps = 8_000
  config.ema = {'main': {'halflife_kimg': 10.0}}
  config.log_every = 100
  config.evaluate_every = 4_000
  config.sample_every = 4_000
  config.save_every = 4_000
  if size == 'smoke':
    config.generator.w_dim, config.generator.mapping_layers = 8, 2
    config.batch_size = 8
    config.steps = 4
    config.log_every = 2
    config.evaluate_num = 100
  return config
