"""Adversarial losses: pairs of pure functions from logits to per-example losses.

Each is a function of its constants that returns an `Adversarial(d, g)`; `d(real, fake)` and
`g(real, fake)` take logits [B, ...] and return losses of the same shape, to be averaged by the caller.
"""

import jax
import jax.numpy as jnp

from ganjax.types import Adversarial

softplus = jax.nn.softplus


def minimax() -> Adversarial:
  """Saturating GAN: G descends E log(1 - D(G(z))) (Goodfellow et al. 2014, equation 1)."""
  return Adversarial(d=lambda real, fake: softplus(-real) + softplus(fake), g=lambda real, fake: -softplus(fake))


def non_saturating() -> Adversarial:
  """Non-saturating GAN: G ascends E log D(G(z)) instead (Goodfellow et al. 2014, section 3)."""
  return Adversarial(d=lambda real, fake: softplus(-real) + softplus(fake), g=lambda real, fake: softplus(-fake))


def lsgan(*, a: float = 0.0, b: float = 1.0, c: float = 1.0) -> Adversarial:
  """Least squares: D aims at `b` on reals and `a` on fakes, G at `c` (Mao et al. 2017, equation 2)."""
  return Adversarial(
    d=lambda real, fake: 0.5 * jnp.square(real - b) + 0.5 * jnp.square(fake - a),
    g=lambda real, fake: 0.5 * jnp.square(fake - c),
  )


def wasserstein() -> Adversarial:
  """Wasserstein: the critic's difference (Arjovsky et al. 2017, equation 2); needs a penalty or clipping."""
  return Adversarial(d=lambda real, fake: fake - real, g=lambda real, fake: -fake)


def hinge() -> Adversarial:
  """Hinge (Lim & Ye 2017; Miyato et al. 2018, equations 16 and 17)."""
  return Adversarial(
    d=lambda real, fake: jax.nn.relu(1 - real) + jax.nn.relu(1 + fake), g=lambda real, fake: -fake
  )


def relativistic() -> Adversarial:
  """Relativistic pairing, RpGAN: f(D(G(z)) - D(x)) (Jolicoeur-Martineau 2019; Huang et al. 2024, equation 2)."""
  return Adversarial(
    d=lambda real, fake: softplus(fake - real), g=lambda real, fake: softplus(real - fake), g_needs_real=True
  )
