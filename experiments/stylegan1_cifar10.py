"""StyleGAN 1 on CIFAR-10, grown from 8 to 32 pixels (Karras et al. 2019, arXiv:1812.04948).

ganjax train --config stylegan1_cifar10     (or with --config.data.path=FILE)

Result: not run in full yet.
Paper: no figure for CIFAR-10; settings are those of `stylegan1_ffhq1024`, R1's gamma by the number of pixels.
"""

from ml_collections import ConfigDict

from experiments import progan_celebahq1024


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.data = {'name': 'cifar10', 'flip': True}
  config.latent_dim = 512
  config.generator = {'name': 'stylegan1', 'w_dim': 512, 'mapping_layers': 8, 'style_mixing': 0.9}
  config.discriminator = {'name': 'stylegan1'}
  config.loss = {'name': 'logistic'}
  config.terms = {'d': {'r1': {'gamma': 0.1}}}  # 10 at 1024 pixels a side
  config.optimizer = {player: {'name': 'adam', 'learning_rate': 1e-3, 'b1': 0.0, 'b2': 0.99} for player in 'gd'}
  config.batch_size = 64
  config.steps = 187_500  # 12 million images
  config.ema = {'main': {'halflife_kimg': 10.0, 'rampup': 0.0}}
  config.log_every = 100
  config.sample_every = 5_000
  config.save_every = 5_000
  if size == 'full':
    return progan_celebahq1024.grown(config, (8, 16, 32), 600)
  config.latent_dim = config.generator.w_dim = 8
  config.generator.mapping_layers = 1
  config.generator.widths = config.discriminator.widths = (4, 4, 4, 4)
  config.batch_size = 8
  config.steps = 4
  return progan_celebahq1024.grown(config, (16, 32), 0.016)
