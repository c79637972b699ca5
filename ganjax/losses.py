"""Adversarial losses: pairs of pure functions from logits to per-example losses.

Each is a function of its constants that returns an `Adversarial(d, g)`; `d(real, fake)` and
`g(real, fake)` take logits [B, ...] and return losses of the same shape, to be averaged by the caller.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ganjax.types import Adversarial, Array

__all__ = ['hinge', 'lsgan', 'minimax', 'non_saturating', 'relativistic', 'wasserstein']

softplus = jax.nn.softplus


def additive(
  real: Callable[[Array], Array], fake: Callable[[Array], Array], g: Callable[[Array], Array]
) -> Adversarial:
  """The pair whose D loss is real(logit of a real) + fake(logit of a fake), and whose G loss is g(logit of a fake)."""
  return Adversarial(
    d=lambda r, f: real(r) + fake(f),
    g=lambda r, f: g(f),  # noqa: ARG005
    parts=lambda r, f: (real(r), fake(f)),
  )


def minimax() -> Adversarial:
  """Saturating GAN: G descends E log(1 - D(G(z))) (Goodfellow et al. 2014, equation 1)."""
  return additive(lambda r: softplus(-r), softplus, lambda f: -softplus(f))


def non_saturating() -> Adversarial:
  """Non-saturating GAN: G ascends E log D(G(z)) (Goodfellow et al. 2014, section 3)."""
  return additive(lambda r: softplus(-r), softplus, lambda f: softplus(-f))


def lsgan(*, a: float = 0.0, b: float = 1.0, c: float = 1.0) -> Adversarial:
  """Least squares: D aims at b on reals and a on fakes, G at c (Mao et al. 2017, equation 2)."""
  half_square = lambda x: 0.5 * jnp.square(x)  # noqa: E731
  return additive(lambda r: half_square(r - b), lambda f: half_square(f - a), lambda f: half_square(f - c))


def wasserstein() -> Adversarial:
  """Wasserstein critic (Arjovsky et al. 2017, equation 2); needs a gradient penalty or weight clipping."""
  return additive(lambda r: -r, lambda f: f, lambda f: -f)


def hinge() -> Adversarial:
  """Hinge (Lim & Ye 2017; Miyato et al. 2018, equations 16 and 17)."""
  return additive(lambda r: jax.nn.relu(1 - r), lambda f: jax.nn.relu(1 + f), lambda f: -f)


def relativistic() -> Adversarial:
  """Relativistic pairing, RpGAN: softplus(D(G(z)) - D(x)) (Jolicoeur-Martineau 2019; Huang et al. 2024, equation 2)."""
  return Adversarial(d=lambda r, f: softplus(f - r), g=lambda r, f: softplus(r - f), g_needs_real=True)
