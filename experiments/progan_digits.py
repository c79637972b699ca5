"""A small ProGAN on scikit-learn's handwritten digits, grown from 8 to 16 pixels.

ganjax train --config progan_digits

Result: not run in full yet.
"""

from ml_collections import ConfigDict


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.game = 'growing'
  config.data = {'name': 'digits', 'resolution': 16}
  config.latent_dim = 16
  widths = (64, 64, 32) if size == 'full' else (4, 4, 4)
  config.generator = config.discriminator = {'name': 'progan', 'widths': widths}
  config.loss = {'name': 'wasserstein'}
  config.terms = {'d': {'gradient_penalty': {}, 'drift': {}}}
  config.optimizer = {player: {'name': 'adam', 'learning_rate': 1e-3, 'b1': 0.0, 'b2': 0.99} for player in 'gd'}
  config.batch_size = 32 if size == 'full' else 8
  config.steps = 12_000 if size == 'full' else 6
  grown = config.steps // 3  # then 16 pixels fade in, for as long again, and stay
  kimg = grown * config.batch_size / 1000
  config.play = {'alpha': 0.0}
  config.schedule = {'play_alpha': {'start_kimg': kimg, 'over_kimg': kimg, 'end': 1.0}}
  config.phases = ({'until': grown, 'generator.stage': 8, 'discriminator.stage': 8, 'play.alpha': 1.0},)
  config.ema = {'main': {'halflife_kimg': 10.0}}
  config.log_every = 100
  config.evaluate_every = 4_000
  config.sample_every = 4_000
  config.save_every = 4_000
  if size == 'smoke':
    config.log_every = 2
    config.evaluate_num = 100
  return config
