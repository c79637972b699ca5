"""pix2pix from outlines to photographs of people, 64x64, of 135 pairs: for a look (Isola et al. 2017).

ganjax train --config pix2pix_outline2people --config.data.path=FOLDER     (train and test of pictures side by side)

Pictures side by side have the photograph on the left, and the outline, which is translated, on the right.

Result (seed 0; 2,000 steps; 135 pairs to train on, every eighth of 154 held out): PSNR of the 19 held-out people 16.4 dB (of
their outlines 10.4, of white 10.2, of the mean photograph 13.6). Outlines are filled as people are, on white: dark hair
and legs, clothes in patches of orange and blue. There are no faces and no hands, a grid of 4 pixels shows in most, and
who sits or lies becomes a dappled blob: 135 photographs don't tell a network what is inside an outline. 7 min of CPU
time on one core of a machine of two that others kept busy. With batch norm, by 8, whites drift in use to patches of grey
and the PSNR falls to 11.4: instance norm, as in pix2pix_facades256, does not.
"""

from ml_collections import ConfigDict


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke (on digits)."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.game = 'pix2pix'
  config.data = {'name': 'pairs', 'resolution': 64, 'direction': 'b_to_a', 'jitter': 72, 'flip': True}
  config.generator = {'name': 'unet', 'width': 24, 'downs': 5, 'dropouts': 2, 'norm': 'instance'}
  config.discriminator = {'name': 'patchgan', 'width': 24, 'depth': 2, 'norm': 'instance'}  # a logit sees 34 pixels
  config.loss = {'name': 'non_saturating'}
  config.play = {'l1_weight': 100.0, 'd_weight': 0.5}
  config.optimizer = {player: {'name': 'adam', 'learning_rate': 2e-4, 'b1': 0.5} for player in 'gd'}
  config.batch_size = 8
  config.steps = 2_000
  plan = {'start_kimg': 8.0, 'over_kimg': 8.0, 'end': 0.0}  # the second half
  config.schedule = {f'{player}_learning_rate': plan for player in 'gd'}
  config.samples = 18
  config.log_every = 100
  config.evaluate_num = 19
  config.evaluate_metrics = ('psnr',)
  config.evaluate_every = config.sample_every = config.save_every = 500
  if size == 'smoke':
    config.data = {'name': 'digit_pairs', 'resolution': 16, 'direction': 'b_to_a', 'jitter': 18, 'flip': True}
    config.generator.width, config.generator.downs = 4, 4
    config.discriminator.width, config.discriminator.depth = 4, 1
    config.steps = 4
    config.log_every = 2
    config.evaluate_num = 8
  return config
