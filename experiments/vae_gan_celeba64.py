"""VAE-GAN on CelebA's faces at 64 pixels, about the paper's sizes (Larsen et al. 2016, arXiv:1512.09300, table 1).

ganjax train --config vae_gan_celeba64 --config.data.path=FOLDER     (of the aligned pictures, 202,599)

Result: not trained here; a GPU is needed.
The paper shows samples and reconstructions, and reports no distance between distributions. Rate, batch and optimiser are the paper's. Networks are DCGAN's, with 4x4
kernels where the paper's are 5x5, one more halving, and features from D's last convolution; gamma is ours, and untuned.
"""

from ml_collections import ConfigDict


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke (on digits)."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.game = 'vae_gan'
  config.data = {'name': 'folder', 'resolution': 64}
  config.latent_dim = 128
  config.generator = {'name': 'dcgan', 'width': 64}
  config.encoder = {'name': 'dcgan', 'width': 64, 'norm': 'batch', 'hidden': (2048,)}
  config.discriminator = {'name': 'dcgan', 'width': 32}
  config.loss = {'name': 'non_saturating'}
  config.play = {'gamma': 1e-3, 'beta': 1.0}
  config.optimizer = {player: {'name': 'rmsprop', 'learning_rate': 3e-4, 'decay': 0.9} for player in 'gde'}
  config.batch_size = 64
  config.steps = 80_000  # 25 epochs
  config.standing_statistics = 16
  config.log_every = 100
  config.sample_every = config.save_every = 5_000
  if size == 'smoke':
    config.data = {'name': 'digits', 'resolution': 8}
    for section in ('generator', 'encoder', 'discriminator'):
      config[section].width = 4
    config.encoder.hidden = (16,)
    config.batch_size = 8
    config.steps = 4
    config.standing_statistics = 2
    config.log_every = 2
    config.evaluate_num = 100
  return config
