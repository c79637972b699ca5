"""StyleGAN 2 with ADA on CIFAR-10, by class: the authors' base configuration `cifar` (Karras et al. 2020, arXiv:2006.06676).

ganjax train --config stylegan2_cifar10 --config.data.path=cifar-10-binary.tar.gz
(without a path the archive, 162 MB, is downloaded once).

Result: not run in full; a GPU is needed.
Paper (abstract): FID 2.42. PyTorch-StudioGAN's table: 2.31 with ADA, 3.78 without (--config.augment.name=none).
The configuration leaves out path lengths, mixed styles and D's residual connections. The authors compute in float16
where maps are large, and clamp; here float32, or --config.dtype=bfloat16.
"""

from ml_collections import ConfigDict


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.data = {'name': 'cifar10'}
  config.latent_dim = 512
  common = {'name': 'stylegan2', 'channel_base': 32768, 'channel_max': 512}
  config.generator = common | {'w_dim': 512, 'mapping_layers': 2, 'style_mixing': 0.0}
  config.discriminator = common | {'architecture': 'orig', 'mbstd_group_size': 32}
  config.conditioning = {'name': 'projection'}
  config.loss = {'name': 'logistic'}
  config.terms = {'d': {'r1': {'gamma': 0.01, 'every': 16}}}
  config.augment = {'name': 'ada'}
  config.optimizer = {player: {'name': 'adam', 'learning_rate': 2.5e-3, 'b1': 0.0, 'b2': 0.99} for player in 'gd'}
  config.batch_size = 64
  config.steps = 1_562_500  # 100 million images
  config.ema = {'main': {'halflife_kimg': 500.0, 'rampup': 0.05}}
  config.log_every = 100
  config.sample_every = 5_000
  config.save_every = 5_000
  if size == 'smoke':
    config.generator.channel_max = config.discriminator.channel_max = 4
    config.latent_dim = config.generator.w_dim = 8
    config.discriminator.mapping_layers = 1
    config.augment.operations = ('color',)
    config.batch_size = 8
    config.steps = 4
    config.log_every = 2
  return config
