"""VAE-GAN on scikit-learn's handwritten digits at 16 pixels: the networks of `vae_digits` with a discriminator.

ganjax train --config vae_gan_digits

Result (seed 0, and where there are two figures seed 1; 6,000 steps, 1,000 samples; benchmarks/games.py): Frechet distance
1.20 and 1.53 (one half of the real images to the other 1.06), precision .82, recall .96, coverage .84, sure of .67 (held-out
real images .89), nearer .41; held-out digits are rebuilt to 21.1 dB. 186 s of CPU time on one core of a machine of two that
others used.
"""

from ml_collections import ConfigDict

from experiments import vae_digits


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke."""
  config = vae_digits.get_config(size)
  config.game = 'vae_gan'
  config.discriminator = config.encoder.copy_and_resolve_references()
  config.loss = {'name': 'non_saturating'}
  config.terms = {'d': {'r1': {'gamma': 0.2}}}  # D would learn 1,500 images by heart
  config.play = {'gamma': 0.01, 'beta': 1.0}
  config.optimizer = {player: {'name': 'adam', 'learning_rate': 1e-3, 'b1': 0.0, 'b2': 0.99} for player in 'gde'}
  plan = {'name': 'cosine', 'over_kimg': 192.0, 'end': 1e-4}  # the whole training
  config.schedule = {f'{player}_learning_rate': plan for player in 'gde'}
  config.evaluate_metrics = ('frechet', 'prdc', 'sure', 'shares', 'nearer', 'rebuilt')
  if size == 'full':
    config.steps = 6_000
    config.evaluate_every = config.sample_every = config.save_every = 2_000
  return config
