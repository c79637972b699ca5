"""ProGAN on CIFAR-10, grown from 4 to 32 pixels (Karras et al. 2018, arXiv:1710.10196).

ganjax train --config progan_cifar10     (or with --config.data.path=FILE)

Result: not run in full yet.
Paper: Inception Score 8.80, unconditional (abstract; the best of its runs, which and of how many images was not checked).
Stages and settings are those of `progan_celebahq1024`; the paper's for CIFAR-10 differ in what was not checked.
"""

from ml_collections import ConfigDict

from experiments import progan_celebahq1024


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke."""
  config = progan_celebahq1024.get_config(size)
  config.data = {'name': 'cifar10'}
  config.batch_size = 64
  config.steps = 187_500  # 12 million images
  config.ema = {'main': {'decay': 0.999}}
  if size == 'full':
    return progan_celebahq1024.grown(config, (4, 8, 16, 32), 600)
  config.generator.widths = config.discriminator.widths = (4, 4, 4, 4)
  config.batch_size = 8
  config.steps = 4
  return progan_celebahq1024.grown(config, (16, 32), 0.016)
