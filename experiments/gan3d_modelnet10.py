"""3D-GAN on the chairs of ModelNet10 at 16 voxels (Wu et al. 2016, arXiv:1610.07584).

ganjax train --config gan3d_modelnet10 --config.data.path=modelnet10.npz

The file has X_train [N, 30, 30, 30] of 0 and 1 and labels y_train, which follow the alphabet; a folder of .binvox files
with sub-folders for classes does as well.

Result (seed 0; 1,600 steps; 1,000 samples; features: occupancy and surface of 64 parts): Frechet distance 4.84 to the 889
chairs (one half of these to the other 1.55), precision .57, recall .87, density .28, coverage .60 (of one half of the
chairs for the other .90, .95, .98, .97). Most have seat, back and legs, many with voxels that hang in the air; all kinds
are there. 1,200 steps are as good. 8 min of CPU time on one core of a machine of two that others kept busy, where
alone it makes 6 steps a second. With the paper's rate for D, 1e-5, G has left it behind after 100 steps.
"""

from ml_collections import ConfigDict


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.data = {'name': 'voxels', 'resolution': 16, 'labels': (2,)}  # chairs
  config.latent_dim = 200
  config.generator = {'name': 'voxgan', 'width': 32}
  config.discriminator = {'name': 'voxgan', 'width': 32}
  config.loss = {'name': 'non_saturating'}
  config.balance = {'d': {'name': 'accuracy_below', 'bound': 0.8}}  # D waits while it is right about more
  rates = {'g': 2.5e-3, 'd': 2e-4}
  config.optimizer = {player: {'name': 'adam', 'learning_rate': rate, 'b1': 0.5} for player, rate in rates.items()}
  config.batch_size = 64
  config.steps = 1_600
  plan = {'start_kimg': 51.2, 'over_kimg': 51.2, 'end': 0.0}  # the second half
  config.schedule = {f'{player}_learning_rate': plan for player in 'gd'}
  config.standing_statistics = 16
  config.ema = {'main': {'halflife_kimg': 5.0}}
  config.samples = 36
  config.log_every = 50
  config.evaluate_num = 1_000
  config.evaluate_every = config.sample_every = config.save_every = 400
  if size == 'smoke':
    config.data.labels = ()
    config.generator.width = config.discriminator.width = 4
    config.batch_size = 8
    config.steps = 4
    config.samples = 4
    config.log_every = 2
    config.evaluate_num = 20
  return config
