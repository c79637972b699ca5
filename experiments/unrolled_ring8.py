"""Unrolled GAN, k = 5, on a ring of 8 Gaussians where the plain GAN loses modes (Metz et al. 2017, section 3.1).

ganjax train --config unrolled_ring8
ganjax train --config unrolled_ring8 --config.play.unroll_steps=0   (the plain GAN)

Result (seed 0 alone, 10,000 steps, 10,000 samples): unrolled, 3 to 6 modes of 8 at each 2,000 steps and 6 at the end,
reverse KL to equal shares .32; plain, one mode at most and reverse KL 2.07 to 2.08: all samples nearest to one centre.
Both are blurred still: .02 and .04 of the samples within 3 standard deviations of a centre, the unrolled at most .11.
462 s, and 100 s plain, on two CPU cores that other work shared. The paper shows pictures of 25,000 steps, no figures;
rates and latents are those of the authors' demonstration, whose networks have tanh and two layers in D.
"""

from ml_collections import ConfigDict

from experiments import gan_ring8


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke."""
  config = gan_ring8.get_config(size)
  del config.schedule, config.ema
  config.game = 'unrolled'
  config.play = {'unroll_steps': 5}
  config.latent_dim = 256
  config.generator = {'name': 'mlp', 'hidden': (128, 128), 'initializer': 'orthogonal'}
  config.discriminator = {'name': 'mlp', 'hidden': (128,), 'initializer': 'orthogonal'}
  config.loss = {'name': 'minimax'}
  config.optimizer = {
    'g': {'name': 'adam', 'learning_rate': 1e-3, 'b1': 0.5},
    'd': {'name': 'adam', 'learning_rate': 1e-4, 'b1': 0.5, 'eps_root': 1e-12},
  }
  return config
