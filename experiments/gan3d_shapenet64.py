"""3D-GAN on a class of ShapeNet at 64 voxels: the paper's own sizes (Wu et al. 2016, arXiv:1610.07584, section 3.1).

ganjax train --config gan3d_shapenet64 --config.data.path=FOLDER     (of .binvox, .npy or .npz files)

Result: not run in full; a GPU is needed.
The paper shows chairs, cars, sofas and tables, one network each, and gives no figure of them; D's features, of networks
trained on seven classes, classify ModelNet10 with an accuracy of .910 and ModelNet40 with .833. Its latents are uniform,
here they are normal. Volumes of ShapeNet have y up; those that are given with z up need --config.data.up=z.
"""

from ml_collections import ConfigDict


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke (at 16 voxels)."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.data = {'name': 'voxels', 'resolution': 64, 'up': 'y'}
  config.latent_dim = 200
  config.generator = {'name': 'voxgan', 'width': 64}  # 512 channels at 4 voxels
  config.discriminator = {'name': 'voxgan', 'width': 64}
  config.loss = {'name': 'non_saturating'}
  config.balance = {'d': {'name': 'accuracy_below', 'bound': 0.8}}  # D waits while it is right about more
  rates = {'g': 2.5e-3, 'd': 1e-5}
  config.optimizer = {player: {'name': 'adam', 'learning_rate': rate, 'b1': 0.5} for player, rate in rates.items()}
  config.batch_size = 100
  config.steps = 100_000
  config.samples = 16
  config.log_every = 100
  config.sample_every = 2_000
  config.save_every = 5_000
  if size == 'smoke':
    config.data.resolution = 16
    config.generator.width = config.discriminator.width = 4
    config.batch_size = 8
    config.steps = 4
    config.log_every = 2
  return config
