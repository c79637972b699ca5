"""pix2pix from labels to facades at 256 pixels: the paper's own training (Isola et al. 2017, arXiv:1611.07004, section 6.2).

ganjax train --config pix2pix_facades256 --config.data.path=FOLDER     (train, val and test of pictures side by side)

Result: not run in full; a GPU is needed.
The paper shows facades and gives no figure of them. MMEditing's table has FID 119.1 of the authors' network on facades,
and 127.8 of its own training. Pictures side by side have the photo on the left, and the labels that are translated on the
right. 200 epochs of 400 pairs, one at a time, at a constant rate. With batches of one the paper normalises by the image's
own statistics, in use, too: that is instance norm, but for the innermost map, a single pixel, which is not normalised.
"""

from ml_collections import ConfigDict


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke (on digits)."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.game = 'pix2pix'
  config.data = {'name': 'pairs', 'resolution': 256, 'direction': 'b_to_a', 'jitter': 286, 'flip': True}
  config.generator = {'name': 'unet', 'width': 64, 'downs': 8, 'dropouts': 3, 'norm': 'instance'}
  config.discriminator = {'name': 'patchgan', 'width': 64, 'depth': 3, 'norm': 'instance'}  # a logit sees 70 pixels
  config.loss = {'name': 'non_saturating'}
  config.play = {'l1_weight': 100.0, 'd_weight': 0.5}
  config.optimizer = {player: {'name': 'adam', 'learning_rate': 2e-4, 'b1': 0.5} for player in 'gd'}
  config.batch_size = 1
  config.steps = 80_000
  config.samples = 8
  config.log_every = 100
  config.sample_every = 2_000
  config.save_every = 4_000
  if size == 'smoke':
    config.data = {'name': 'digit_pairs', 'resolution': 16, 'direction': 'b_to_a', 'jitter': 18, 'flip': True}
    config.generator.width, config.generator.downs = 4, 4
    config.discriminator.width, config.discriminator.depth = 4, 1
    config.steps = 4
    config.log_every = 2
  return config
