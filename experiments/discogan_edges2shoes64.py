"""DiscoGAN between edges and shoes at 64 pixels: the paper's sizes (Kim et al. 2017, arXiv:1703.05192, section 4).

ganjax train --config discogan_edges2shoes64 --config.data.path=FOLDER     (trainA, trainB, testA and testB)

Result: not run in full; a GPU is needed.
The paper shows these translations and gives no figure of them. Its generators have no way past their narrowest maps,
which are of 4 pixels; here they are U-Nets of that depth. In the authors' code rebuilding weighs .01 in the first 10,000
steps, here .5 from the first, and D and the generators move in turns of one step and two, here both in each step.
"""

from ml_collections import ConfigDict

PLAYERS = ('g_ab', 'g_ba', 'd_a', 'd_b')


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke (on digits)."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.game = 'discogan'
  config.data = {'name': 'domains', 'resolution': 64}
  config.generator = {'name': 'unet', 'width': 64, 'downs': 4, 'dropouts': 0}
  config.discriminator = {'name': 'patchgan', 'width': 64, 'depth': 3, 'norm': 'batch'}
  config.loss = {'name': 'non_saturating'}
  config.optimizer = {player: {'name': 'adam', 'learning_rate': 2e-4, 'b1': 0.5} for player in PLAYERS}
  config.batch_size = 64
  config.steps = 100_000
  config.samples = 16
  config.log_every = 100
  config.sample_every = 2_000
  config.save_every = 10_000
  if size == 'smoke':
    config.data = {'name': 'digit_pairs', 'resolution': 16, 'paired': False}
    config.generator.width, config.generator.downs = 4, 3
    config.discriminator.width, config.discriminator.depth = 4, 1
    config.batch_size = 4
    config.steps = 4
    config.log_every = 2
  return config
