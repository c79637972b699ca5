"""ProGAN on CelebA-HQ, grown from 4 to 1024 pixels (Karras et al. 2018, arXiv:1710.10196).

ganjax train --config progan_celebahq1024 --config.data.path=FOLDER     (of the 30,000 pictures)

Result: not run in full; eight GPUs are needed.
Paper: FID 7.3 (which number of images it is of was not checked). Stages as in mmgeneration's pggan_1024: 600,000 images
to fade in and as many on its own, 12 million in all. Here the batch is 16 throughout.
"""

from collections.abc import Sequence

from ml_collections import ConfigDict


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke (on digits)."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.data = {'name': 'folder', 'resolution': 1024, 'flip': True}
  config.latent_dim = 512
  config.generator = {'name': 'progan'}
  config.discriminator = {'name': 'progan'}
  config.loss = {'name': 'wasserstein'}
  config.terms = {'d': {'gradient_penalty': {'weight': 10.0}, 'drift': {'weight': 0.001}}}
  config.optimizer = {player: {'name': 'adam', 'learning_rate': 1e-3, 'b1': 0.0, 'b2': 0.99} for player in 'gd'}
  config.batch_size = 16
  config.steps = 750_000  # 12 million images
  config.ema = {'main': {'decay': 0.999}}
  config.log_every = 100
  config.sample_every = 5_000
  config.save_every = 5_000
  sides, kimg = (4, 8, 16, 32, 64, 128, 256, 512, 1024), 600
  if size == 'smoke':
    config.data = {'name': 'digits', 'resolution': 8}
    config.latent_dim = 8
    config.generator.widths = config.discriminator.widths = (4, 4)
    config.batch_size = 8
    config.steps = 4
    config.log_every = 2
    sides, kimg = (4, 8), 0.016
  return grown(config, sides, kimg)


def grown(config: ConfigDict, sides: Sequence[int], kimg: float) -> ConfigDict:
  """`config` played as `growing`: `kimg` for the first side, then for each side to fade in, and again to stay."""
  config.game = 'growing'
  config.play = {'alpha': 0.0}
  config.schedule = {'play_alpha': {'start_kimg': (2 * len(sides) - 3) * kimg, 'over_kimg': kimg, 'end': 1.0}}
  phases = []
  for i, side in enumerate(sides[:-1]):
    until = round((2 * i + 1) * kimg * 1000 / config.batch_size)
    phase = {'until': until, 'generator.stage': side, 'discriminator.stage': side}
    # The first side has none to fade in from; the others begin where the one before ends.
    phases.append(phase | ({'schedule.play_alpha.start_kimg': (2 * i - 1) * kimg} if i else {'play.alpha': 1.0}))
  config.phases = tuple(phases)
  return config
