"""DiscoGAN between scikit-learn's handwritten digits and digits in colour, 16x16, without pairs (Kim et al. 2017).

ganjax train --config discogan_digits

Result (seed 0; 2,000 steps; the 297 held-out digits, with their true counterparts): from colour to grey PSNR 19.6 dB, .976
are still seen as what they are (of the true digits .990), Frechet distance 1.70 (one half of the real images to the other
1.75); from grey to colour PSNR 22.8 dB. 5 min of CPU time on one core of a machine of two that others used. Strokes come
out too bold and unevenly grey, and the blue is a little cloudy; cyclegan_digits, with absolute errors, a pool and rates
that fall, comes nearer.
"""

from ml_collections import ConfigDict

PLAYERS = ('g_ab', 'g_ba', 'd_a', 'd_b')


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.game = 'discogan'
  config.data = {'name': 'digit_pairs', 'transform': 'coloured', 'resolution': 16, 'paired': False}
  config.generator = {'name': 'resnet_translator', 'width': 16, 'blocks': 2}
  config.discriminator = {'name': 'patchgan', 'width': 32, 'depth': 2, 'norm': 'batch'}
  config.loss = {'name': 'non_saturating'}
  config.optimizer = {player: {'name': 'adam', 'learning_rate': 2e-4, 'b1': 0.5} for player in PLAYERS}
  config.batch_size = 16
  config.steps = 2_000
  config.samples = 24
  config.log_every = 100
  config.evaluate_num = 297  # all that are held out
  config.evaluate_metrics = ('psnr', 'kept', 'frechet')
  config.evaluate_every = config.sample_every = config.save_every = 500
  if size == 'smoke':
    config.generator.width = config.discriminator.width = 4
    config.generator.blocks = 1
    config.batch_size = 4
    config.steps = 4
    config.samples = 6
    config.log_every = 2
    config.evaluate_num = 20
  return config
