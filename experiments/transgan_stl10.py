"""TransGAN on STL-10 at 48 pixels: the authors' script (Jiang et al. 2021, arXiv:2102.07074).

ganjax train --config transgan_stl10 --config.data.path=FOLDER     (of the training and the unlabelled pictures)

Result: not run in full; eight GPUs, as the authors', are needed.
Paper (abstract): Inception Score 10.43, FID 18.28.
The script draws 64 latents for G's turn and 32 for D's; here both take 32. It removes parts of images in a way of its
own (`stl_erase_ratio`), here cutout. For CelebA it has other networks, with a third scale in D.
"""

from ml_collections import ConfigDict

from experiments import transgan_cifar10


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke (on digits)."""
  config = transgan_cifar10.get_config(size)
  config.generator.norm = config.discriminator.norm = 'pixel'
  config.ema.main.rampup = 0.05
  if size == 'smoke':
    config.data = {'name': 'digits', 'resolution': 16}
    config.generator.smallest = 4
    return config
  config.data = {'name': 'folder', 'resolution': 48, 'flip': True}
  config.latent_dim = 512
  config.generator.smallest, config.generator.depths, config.generator.window = 12, (7, 5, 3), 48
  config.n_critic = 5
  config.batch_size = 32
  return config
