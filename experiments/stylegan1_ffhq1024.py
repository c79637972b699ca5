"""StyleGAN 1 on FFHQ, grown from 8 to 1024 pixels (Karras et al. 2019, arXiv:1812.04948).

ganjax train --config stylegan1_ffhq1024 --config.data.path=FOLDER     (of the 70,000 pictures)

Result: not run in full; eight GPUs, as the authors', are needed (of theirs, V100, for a week).
Paper: FID 4.40 (table 1, mixing regularisation; 50,000 images without truncation).
The authors' batches are larger while images are small (256 at 8 pixels, 128 at 16, 64 at 32), here always 32. A stage
lasts as many images as theirs: 600,000 to fade in and as many on its own.
"""

from ml_collections import ConfigDict

from experiments import progan_celebahq1024

RATES = {128: 1.5e-3, 256: 2e-3, 512: 3e-3, 1024: 3e-3}  # of both players; below, 1e-3
HALF = 600  # thousands of images to fade in, and to learn before the next stage


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke (on digits)."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.data = {'name': 'folder', 'resolution': 1024, 'flip': True}
  config.latent_dim = 512
  config.generator = {'name': 'stylegan1', 'w_dim': 512, 'mapping_layers': 8, 'style_mixing': 0.9}
  config.discriminator = {'name': 'stylegan1'}
  config.loss = {'name': 'logistic'}
  config.terms = {'d': {'r1': {'gamma': 10.0}}}
  config.batch_size = 32
  config.steps = 781_250  # 25 million images
  config.ema = {'main': {'halflife_kimg': 10.0, 'rampup': 0.0}}
  config.log_every = 100
  config.sample_every = 5_000
  config.save_every = 5_000
  kimg, sides = HALF, (8, 16, 32, 64, 128, 256, 512, 1024)
  if size == 'smoke':
    config.data = {'name': 'digits', 'resolution': 8}
    config.latent_dim = config.generator.w_dim = 8
    config.generator.mapping_layers = 1
    config.generator.widths = config.discriminator.widths = (4, 4)
    config.batch_size = 8
    config.steps = 4
    config.log_every = 2
    kimg, sides = 0.016, (4, 8)
  rate = {side: RATES.get(side, 1e-3) for side in sides}
  config.optimizer = {
    player: {'name': 'adam', 'learning_rate': rate[sides[-1]], 'b1': 0.0, 'b2': 0.99} for player in 'gd'
  }
  config = progan_celebahq1024.grown(config, sides, kimg)
  for phase, side in zip(config.phases, sides, strict=False):  # the last side's rates are the config's
    for player in 'gd':
      phase[f'optimizer.{player}.learning_rate'] = rate[side]
  return config
