"""Denoising diffusion GAN on CIFAR-10, four steps (Xiao et al. 2022, arXiv:2112.07804; the authors' published command).

ganjax train --config ddgan_cifar10 --config.data.path=cifar-10-binary.tar.gz
(without a path the archive, 162 MB, is downloaded once).

Result: not trained here; a GPU is needed. The paper reports FID 3.75, IS 9.63 and recall .57 with four passes of G.
"""

from ml_collections import ConfigDict


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.game = 'ddgan'
  config.data = {'name': 'cifar10', 'flip': True}
  config.latent_dim = 100
  config.play = {'diffusion_steps': 4, 'beta_min': 0.1, 'beta_max': 20.0}
  config.generator = {
    'name': 'ddgan',
    'width': 128,
    'multipliers': (1, 2, 2, 2),
    'blocks': 2,
    'attention': 16,
    'mapping': 4,
  }
  config.discriminator = {'name': 'ddgan', 'width': 128, 'multipliers': (1, 2, 4, 4)}
  config.loss = {'name': 'non_saturating'}
  # .02 in the paper, which doesn't weigh it 15 times as much for coming so rarely.
  config.terms = {'d': {'r1': {'gamma': 0.02 / 15, 'every': 15}}}
  rates = {'g': 1.6e-4, 'd': 1.25e-4}
  config.optimizer = {player: {'name': 'adam', 'learning_rate': rates[player], 'b1': 0.5, 'b2': 0.9} for player in 'gd'}
  config.batch_size = 256
  config.steps = 350_000  # 1,800 epochs
  plan = {'name': 'cosine', 'over_kimg': 89_600.0, 'end': 1e-5}  # the whole training
  config.schedule = {f'{player}_learning_rate': plan for player in 'gd'}
  config.ema = {'main': {'decay': 0.9999}}
  config.log_every = 100
  config.sample_every = config.save_every = 10_000
  if size == 'smoke':
    config.generator = {'name': 'ddgan', 'width': 8, 'multipliers': (1, 1), 'blocks': 1, 'attention': 16, 'mapping': 1}
    config.generator.style_width = 4
    config.discriminator = {'name': 'ddgan', 'width': 4, 'multipliers': (1, 1)}
    config.batch_size = 8
    config.steps = 4
    config.log_every = 2
  return config
