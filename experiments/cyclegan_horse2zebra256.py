"""CycleGAN between horses and zebras at 256 pixels: the paper's own training (Zhu et al. 2017, arXiv:1703.10593, section 7).

ganjax train --config cyclegan_horse2zebra256 --config.data.path=FOLDER     (trainA, trainB, testA and testB)

Result: not run in full; a GPU is needed.
The paper shows horses and zebras and gives no figure of them. MMEditing's table has FID 62.1 (horse to zebra) and 138.6
(zebra to horse) of the authors' networks, and 63.8 and 139.3 of its own training. 200 epochs of 1,334 images, one of each
domain at a time; the rate falls to 0 over the second hundred.
"""

from ml_collections import ConfigDict

PLAYERS = ('g_ab', 'g_ba', 'd_a', 'd_b')


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke (on digits)."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.game = 'cyclegan'
  config.data = {'name': 'domains', 'resolution': 256, 'jitter': 286, 'flip': True}
  config.generator = {'name': 'resnet_translator', 'width': 64, 'blocks': 9}
  config.discriminator = {'name': 'patchgan', 'width': 64, 'depth': 3, 'norm': 'instance'}  # a logit sees 70 pixels
  config.loss = {'name': 'lsgan'}
  # As the authors' squares have no halves: twice G's, and D's as it is, for they halve that.
  config.play = {'cycle_weight': 10.0, 'identity_weight': 0.5, 'gan_weight': 2.0, 'd_weight': 1.0, 'pool_size': 50}
  config.optimizer = {player: {'name': 'adam', 'learning_rate': 2e-4, 'b1': 0.5} for player in PLAYERS}
  config.batch_size = 1
  config.steps = 266_800
  plan = {'start_kimg': 133.4, 'over_kimg': 133.4, 'end': 0.0}
  config.schedule = {f'{player}_learning_rate': plan for player in PLAYERS}
  config.samples = 4
  config.log_every = 100
  config.sample_every = 5_000
  config.save_every = 10_000
  if size == 'smoke':
    config.data = {'name': 'digit_pairs', 'resolution': 16, 'paired': False, 'jitter': 18, 'flip': True}
    config.generator.width, config.generator.blocks = 4, 1
    config.discriminator.width, config.discriminator.depth = 4, 1
    config.steps = 4
    config.log_every = 2
  return config
