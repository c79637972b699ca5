"""CycleGAN between scikit-learn's handwritten digits and digits in colour, 16x16, without pairs (Zhu et al. 2017).

ganjax train --config cyclegan_digits

Result (seed 0; 3,000 steps; the 297 held-out digits, with their true counterparts): from colour to grey PSNR 22.8 dB,
.990 are still seen as what they are (of the true digits .990), Frechet distance 1.43 (one half of the real images to the
other 1.75); from grey to colour PSNR 25.8 dB. 4 min 45 s on one core of a machine of two that others used. Strokes come
out a little too bold. Outlines instead of colours (--config.data.transform=edges) are far harder: after 1,000 steps
.562 were kept, PSNR 14.1 and 7.2 dB, and D had won over the outlines, which are black and white alone.
"""

from ml_collections import ConfigDict

PLAYERS = ('g_ab', 'g_ba', 'd_a', 'd_b')


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.game = 'cyclegan'
  config.data = {'name': 'digit_pairs', 'transform': 'coloured', 'resolution': 16, 'paired': False}
  config.generator = {'name': 'resnet_translator', 'width': 16, 'blocks': 2}
  config.discriminator = {'name': 'patchgan', 'width': 32, 'depth': 1, 'norm': 'instance'}
  config.loss = {'name': 'lsgan'}
  config.play = {'cycle_weight': 10.0, 'identity_weight': 0.0, 'gan_weight': 2.0, 'd_weight': 1.0, 'pool_size': 50}
  config.optimizer = {player: {'name': 'adam', 'learning_rate': 2e-4, 'b1': 0.5} for player in PLAYERS}
  config.batch_size = 8
  config.steps = 3_000
  plan = {'start_kimg': 12.0, 'over_kimg': 12.0, 'end': 0.0}  # the second half
  config.schedule = {f'{player}_learning_rate': plan for player in PLAYERS}
  config.samples = 24
  config.log_every = 100
  config.evaluate_num = 297  # all that are held out
  config.evaluate_metrics = ('psnr', 'kept', 'frechet')
  config.evaluate_every = config.sample_every = config.save_every = 1_000
  if size == 'smoke':
    config.generator.width = config.discriminator.width = 4
    config.generator.blocks = 1
    config.batch_size = 4
    config.steps = 4
    config.samples = 6
    config.log_every = 2
    config.evaluate_num = 20
  return config
