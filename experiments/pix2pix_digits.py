"""pix2pix from the outlines of scikit-learn's handwritten digits to the digits, 16x16, in pairs (Isola et al. 2017).

ganjax train --config pix2pix_digits

Result (seed 0; 3,000 steps; the 297 held-out digits): PSNR to the true digit 24.6 dB (of the outlines themselves 9.0);
.980 are still seen as what they are (of the true digits .990, of the outlines .832); Frechet distance .85 (one half of the
real images to the other 1.06). 3 min 50 s on one core of a machine of two that others used.
"""

from ml_collections import ConfigDict


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.game = 'pix2pix'
  config.data = {'name': 'digit_pairs', 'transform': 'edges', 'resolution': 16}
  config.generator = {'name': 'unet', 'width': 32, 'downs': 4, 'dropouts': 1}
  config.discriminator = {'name': 'patchgan', 'width': 32, 'depth': 1}  # a logit sees 16 pixels
  config.loss = {'name': 'non_saturating'}
  config.play = {'l1_weight': 100.0}
  config.optimizer = {player: {'name': 'adam', 'learning_rate': 2e-4, 'b1': 0.5} for player in 'gd'}
  config.batch_size = 16
  config.steps = 3_000
  plan = {'start_kimg': 24.0, 'over_kimg': 24.0, 'end': 0.0}  # the second half
  config.schedule = {f'{player}_learning_rate': plan for player in 'gd'}
  config.samples = 48
  config.log_every = 100
  config.evaluate_num = 297  # all that are held out
  config.evaluate_metrics = ('psnr', 'kept', 'frechet')
  config.evaluate_every = config.sample_every = config.save_every = 1_000
  if size == 'smoke':
    config.generator.width = config.discriminator.width = 4
    config.batch_size = 8
    config.steps = 4
    config.samples = 6
    config.log_every = 2
    config.evaluate_num = 20
  return config
