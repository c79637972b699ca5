"""AAE on MNIST, fully connected: the paper's of its likelihood table (Makhzani et al. 2016, arXiv:1511.05644).

ganjax train --config aae_mnist --config.data.path=FILE     (.npz with the images as x_train)

Result: not trained here in full.
The paper reports a log-likelihood of 340 (2) nats by Parzen windows on 10,000 samples, which says little about samples
(Theis et al. 2016) and is not among the metrics here. Encoder, decoder and discriminator have two layers of 1,000 units each,
codes of 8 numbers and a prior of standard deviation 5, as there; the optimiser is Adam, where the paper's is gradient
descent with momentum.
"""

from ml_collections import ConfigDict


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke (on digits)."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.game = 'aae'
  config.data = {'name': 'arrays'}
  config.latent_dim = 8
  config.generator = {'name': 'dense', 'hidden': (1000, 1000)}
  config.encoder = {'name': 'dense', 'hidden': (1000, 1000)}
  config.discriminator = {'name': 'mlp', 'hidden': (1000, 1000)}
  config.loss = {'name': 'non_saturating'}
  config.play = {'prior_scale': 5.0, 'gan_weight': 0.01}
  config.optimizer = {player: {'name': 'adam', 'learning_rate': 2e-4, 'b1': 0.5} for player in 'gde'}
  config.batch_size = 100
  config.steps = 600_000  # 1,000 epochs
  config.log_every = 1_000
  config.sample_every = config.save_every = 50_000
  if size == 'smoke':
    config.data = {'name': 'digits', 'resolution': 8}
    for section in ('generator', 'encoder', 'discriminator'):
      config[section].hidden = (8,)
    config.batch_size = 8
    config.steps = 4
    config.log_every = 2
    config.evaluate_num = 100
  return config
