"""AAE on scikit-learn's handwritten digits at 16 pixels: the networks of `vae_digits`, and a discriminator of codes.

ganjax train --config aae_digits

Result (seed 0, and where there are two figures seed 1; 6,000 steps, 1,000 samples; benchmarks/games.py): Frechet distance
4.33 and 3.67 (one half of the real images to the other 1.06), precision .51, recall .95, coverage .44 and .37, sure of .38
(held-out real images .89), nearer .14; held-out digits are rebuilt to 24.0 dB. 74 s of CPU time on one core of a machine of
two that others used.
"""

from ml_collections import ConfigDict

from experiments import vae_digits


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke."""
  config = vae_digits.get_config(size)
  config.game = 'aae'
  config.discriminator = {'name': 'mlp', 'hidden': (256, 256) if size == 'full' else (16,)}
  config.loss = {'name': 'non_saturating'}
  config.play = {'prior_scale': 1.0, 'gan_weight': 0.05}
  config.optimizer = {player: {'name': 'adam', 'learning_rate': 1e-3, 'b1': 0.5} for player in 'gde'}
  plan = {'name': 'cosine', 'over_kimg': 192.0, 'end': 1e-4}  # the whole training
  config.schedule = {f'{player}_learning_rate': plan for player in 'gde'}
  config.evaluate_metrics = ('frechet', 'prdc', 'sure', 'shares', 'nearer', 'rebuilt')
  if size == 'full':
    config.steps = 6_000
    config.evaluate_every = config.sample_every = config.save_every = 2_000
  return config
