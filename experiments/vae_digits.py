"""VAE on scikit-learn's handwritten digits at 16 pixels: decoder and encoder of DCGAN's form, a likelihood of 8-bit pixels.

ganjax train --config vae_digits

Result (seed 0; 2,500 steps, 1,000 samples, the 297 held-out digits): ELBO -801 nats, 4.51 bits per pixel (of 64 draws -789,
4.44); rebuilt to 25.5 dB; Frechet distance 11.5 (one half of the real images to the other 1.06), precision .30, coverage .16,
sure of .14 (held-out real images .89): what is likely is not what is sampled well, see docs/gan_vae.md. 19 s of CPU time on one
core of a machine of two that others used.
"""

from ml_collections import ConfigDict


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke."""
  if size not in ('full', 'smoke'):
    raise ValueError(f'{size!r}: full or smoke')
  config = ConfigDict()
  config.game = 'vae'
  config.data = {'name': 'digits', 'resolution': 16}
  config.latent_dim = 16
  common = {'name': 'dcgan', 'width': 32, 'norm': 'none', 'initializer': 'he'}
  config.generator = common | {'hidden': (256, 256)}
  config.encoder = common | {'hidden': (256,)}
  config.play = {'likelihood': 'logistic', 'scale': 0.1, 'learn_scale': True}
  # Longer, or without the decay, it learns 1,500 images by heart.
  config.optimizer = {player: {'name': 'adam', 'learning_rate': 1e-3, 'weight_decay': 1e-2} for player in 'ge'}
  config.batch_size = 32
  config.steps = 2_500
  plan = {'name': 'cosine', 'over_kimg': 80.0, 'end': 1e-4}  # the whole training
  config.schedule = {f'{player}_learning_rate': plan for player in 'ge'}
  config.ema = {'main': {'halflife_kimg': 5.0}}
  config.evaluate_metrics = ('frechet', 'prdc', 'sure', 'shares', 'nearer', 'rebuilt', 'elbo')
  config.log_every = 100
  config.evaluate_every = config.sample_every = config.save_every = 1_250
  if size == 'smoke':
    config.generator.width = config.encoder.width = 4
    config.generator.hidden, config.encoder.hidden = (16,), (16,)
    config.batch_size = 8
    config.steps = 4
    config.log_every = 2
    config.evaluate_num = 100
  return config
