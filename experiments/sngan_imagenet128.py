"""SNGAN with projection on ImageNet at 128 pixels, by class (Miyato et al. 2018; Miyato & Koyama 2018, arXiv:1802.05637).

ganjax train --config sngan_imagenet128 --config.data.path=FOLDER     (a sub-folder for each of the 1,000 classes)

Result: not run in full; four GPUs, as the authors', are needed.
The authors' page: Inception Score 29.7, intra-class FID 103.1 after 450,000 iterations; 36.8 and 92.4 after 850,000.
They draw 128 latents for G's turn and 64 for D's; here both take 64.
"""

from ml_collections import ConfigDict


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke (on digits)."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.data = {'name': 'folder', 'resolution': 128, 'resize': 'bilinear'}
  config.latent_dim = 128
  config.generator = {'name': 'resnet', 'width': 1024, 'upsample': 'nearest'}
  config.discriminator = {'name': 'resnet', 'width': 1024}
  config.conditioning = {'name': 'projection'}
  config.loss = {'name': 'hinge'}
  config.n_critic = 5
  config.optimizer = {player: {'name': 'adam', 'learning_rate': 2e-4, 'b1': 0.0, 'b2': 0.9} for player in 'gd'}
  config.batch_size = 64
  config.steps = 450_000  # G's; the rate falls to 0 over the last 50,000
  plan = {'name': 'linear', 'start_kimg': 25_600.0, 'over_kimg': 3_200.0, 'end': 0.0}
  config.schedule = {f'{player}_learning_rate': plan for player in 'gd'}
  config.log_every = 100
  config.sample_every = 5_000
  config.save_every = 5_000
  if size == 'smoke':
    config.data = {'name': 'digits', 'resolution': 16}
    config.generator.width = config.discriminator.width = 4
    config.n_critic = 1
    config.batch_size = 8
    config.steps = 4
    config.log_every = 2
  return config
