"""VAE on MNIST, fully connected, with black and white pixels: the paper's (Kingma & Welling 2014, arXiv:1312.6114).

ganjax train --config vae_mnist --config.data.path=FILE     (.npz with the images as x_train; test_path: of held-out ones)

Result: not trained here in full. After 12,000 steps (seed 0, about three minutes of one CPU core; --config.steps=12000,
evaluate_metrics of 'elbo' and 'rebuilt') 3,000 held-out images have an ELBO of -106.4 nats, with 64 draws -100.9, and are
rebuilt to 20.6 dB.
The paper shows curves of the bound (figure 2), for latents of 3 to 200 numbers, and no table. Its hidden layers are of 500
tanh units, here they rectify; its optimiser was Adagrad, here it is Adam.
"""

from ml_collections import ConfigDict


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke (on digits)."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.game = 'vae'
  config.data = {'name': 'arrays'}
  config.latent_dim = 20
  config.generator = {'name': 'dense', 'hidden': (500,)}
  config.encoder = {'name': 'dense', 'hidden': (500,)}
  config.play = {'likelihood': 'bernoulli'}
  config.optimizer = {player: {'name': 'adam', 'learning_rate': 1e-3} for player in 'ge'}
  config.batch_size = 100
  config.steps = 1_000_000  # 10^8 images, where the paper's curves end
  config.evaluate_split = 'test'
  config.log_every = 1_000
  config.sample_every = config.save_every = 50_000
  if size == 'smoke':
    config.data = {'name': 'digits', 'resolution': 8}
    config.generator.hidden = config.encoder.hidden = (8,)
    config.batch_size = 8
    config.steps = 4
    config.log_every = 2
    config.evaluate_num = 100
  return config
