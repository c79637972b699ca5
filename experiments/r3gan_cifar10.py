"""R3GAN on CIFAR-10, by class: the authors' preset, schedules in images shown (Huang et al. 2024, arXiv:2501.05441).

ganjax train --config r3gan_cifar10 --config.data.path=cifar-10-binary.tar.gz
(without a path the archive, 162 MB, is downloaded once).

Result: not run in full; a GPU is needed.
Paper: FID 1.96.
The training ends with the schedules, after 20 million images; the authors' goes on until it is stopped. They compute in
float16 where maps are large; here float32, or --config.dtype=bfloat16.
"""

from ml_collections import ConfigDict


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.data = {'name': 'cifar10', 'flip': True}
  config.latent_dim = 64
  common = {'name': 'r3gan', 'widths': (768,), 'cardinalities': (96,), 'blocks': (2,)}
  config.generator = common | {'embedding': 64}
  config.discriminator = common | {'embedding': 768}
  config.conditioning = {'name': 'projection'}
  config.loss = {'name': 'relativistic'}
  config.terms = {'d': {'r1': {'gamma': 0.05}, 'r2': {'gamma': 0.05}}}
  config.augment = {
    'name': 'ada', 'operations': ('blit', 'geometric', 'color', 'cutout'), 'color_share': 0.5,
    'p': 0.55, 'growth_kimg': 20_000.0,
  }  # fmt: skip
  config.optimizer = {player: {'name': 'adam', 'learning_rate': 2e-4, 'b1': 0.0, 'b2': 0.9} for player in 'gd'}
  over = {'name': 'cosine', 'over_kimg': 20_000.0}
  rates = {f'{player}_learning_rate': over | {'end': 5e-5} for player in 'gd'}
  memories = {f'{player}_b2': over | {'end': 0.99} for player in 'gd'}
  config.schedule = rates | memories | {f'd_{term}_gamma': over | {'end': 0.005} for term in ('r1', 'r2')}
  config.ema = {'main': {'halflife_kimg': 5_000.0, 'rampup': 0.0, 'growth_kimg': 20_000.0}}
  config.batch_size = 512
  config.steps = 39_063
  config.log_every = 100
  config.sample_every = 1_000
  config.save_every = 1_000
  if size == 'smoke':
    config.generator.widths = config.discriminator.widths = (8,)
    config.generator.cardinalities = config.discriminator.cardinalities = (2,)
    config.generator.blocks = config.discriminator.blocks = (1,)
    config.generator.embedding = config.discriminator.embedding = 8
    config.augment.operations = ('color',)
    config.batch_size = 8
    config.steps = 4
    config.log_every = 2
  return config
