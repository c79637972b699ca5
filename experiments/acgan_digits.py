"""AC-GAN on scikit-learn's handwritten digits: a classifier beside D's logit, the class to be made is asked for.

ganjax train --config acgan_digits

Result (seed 0 alone, 4,000 steps, 1,000 samples): seen as the class asked for 1.000, sure of .972 (held-out real images
.923), Frechet distance 2.99 (one half of the real images to the other 1.39), nearer .69. Digits of a class are too
alike, as the paper's critics say of it: the deviation of a pixel within a class is .240, of real images .330. 183 s on
two cores that much other work shared.
"""

from ml_collections import ConfigDict

from experiments import dcgan_digits


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke."""
  config = dcgan_digits.get_config(size)
  config.conditioning = {'name': 'acgan', 'd_weight': 1.0, 'g_weight': 1.0}
  if size == 'full':
    config.steps = 4_000
    config.evaluate_every = config.sample_every = config.save_every = 2_000
    plan = {'name': 'cosine', 'over_kimg': 128.0, 'end': 2e-4}  # the whole training
    config.schedule = {f'{player}_learning_rate': plan for player in 'gd'}
  return config
