"""StyleGAN 2, configuration F, on FFHQ at 1024 pixels (Karras et al. 2020, arXiv:1912.04958).

ganjax train --config stylegan2_ffhq1024 --config.data.path=FOLDER     (of the 70,000 pictures)

Result: not run in full; eight GPUs, as the authors', are needed (of theirs, V100, for 9 days and 18 hours).
Paper: FID 2.84 (table 1; the mean of ten times 50,000 images without truncation).
The numbers are those of the authors' base configuration `stylegan2` for PyTorch, without augmentation. That computes in
float16 where maps are large, and clamps; here float32, or --config.dtype=bfloat16.
"""

from ml_collections import ConfigDict


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke (on digits)."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.data = {'name': 'folder', 'resolution': 1024, 'flip': True}
  config.latent_dim = 512
  common = {'name': 'stylegan2', 'channel_base': 32768, 'channel_max': 512}
  config.generator = common | {'w_dim': 512, 'mapping_layers': 8, 'style_mixing': 0.9}
  config.discriminator = common | {'mbstd_group_size': 4}
  config.loss = {'name': 'logistic'}
  config.terms = {
    'd': {'r1': {'gamma': 10.0, 'every': 16}},
    'g': {'path_length': {'weight': 2.0, 'every': 4}},
  }
  config.optimizer = {player: {'name': 'adam', 'learning_rate': 2e-3, 'b1': 0.0, 'b2': 0.99} for player in 'gd'}
  config.batch_size = 32
  config.steps = 781_250  # 25 million images
  config.ema = {'main': {'halflife_kimg': 10.0, 'rampup': 0.0}}
  config.log_every = 100
  config.sample_every = 5_000
  config.save_every = 5_000
  if size == 'smoke':
    config.data = {'name': 'digits', 'resolution': 8}
    config.generator.channel_max = config.discriminator.channel_max = 4
    config.latent_dim = config.generator.w_dim = 8
    config.batch_size = 8
    config.steps = 4
    config.log_every = 2
  return config
