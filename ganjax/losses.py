"""Adversarial losses: pairs of pure functions from logits to per-example losses.

Each is a function of its constants that returns an `Adversarial(d, g)`; `d(real, fake)` and
`g(real, fake)` take logits [B, ...] and return losses of the same shape, to be averaged by the caller.
`relativistic_average` alone looks across the batch: it wants the logits of all devices (`across.gather`).
"""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp

from ganjax.types import Adversarial, Array

__all__ = ['energy', 'f_divergence', 'hinge', 'logistic', 'lsgan', 'minimax', 'non_saturating', 'relativistic',
           'relativistic_average', 'wasserstein']  # fmt: skip

Function = Callable[[Array], Array]
Outer = Literal['softplus', 'hinge', 'square', 'identity']
Divergence = Literal['kl', 'reverse_kl', 'pearson', 'squared_hellinger', 'jensen_shannon']

relu, softplus = jax.nn.relu, jax.nn.softplus


def additive(real: Function, fake: Function, g: Function) -> Adversarial:
  """The pair whose D loss is real(logit of a real) + fake(logit of a fake), and whose G loss is g(logit of a fake)."""
  return Adversarial(
    d=lambda r, f: real(r) + fake(f),
    g=lambda r, f: g(f),  # noqa: ARG005
    parts=lambda r, f: (real(r), fake(f)),
  )


def cross_entropy(label: float) -> Function:
  """-label log sigmoid(x) - (1 - label) log(1 - sigmoid(x)): the label is the probability of real."""
  return lambda x: label * softplus(-x) + (1 - label) * softplus(x)


def minimax(*, real_label: float = 1.0, fake_label: float = 0.0) -> Adversarial:
  """Saturating GAN: G descends E log(1 - D(G(z))) (Goodfellow et al. 2014, equation 1).

  D: -E log D(x) - E log(1 - D(G(z))). Labels in D other than 1 and 0 smooth it: real_label .9 alone is
  one-sided smoothing (Salimans et al. 2016, section 3.4), with fake_label .1 two-sided (Szegedy et al. 2016).
  """
  fake = cross_entropy(fake_label)
  return additive(cross_entropy(real_label), fake, lambda f: -fake(f))


def non_saturating(*, real_label: float = 1.0, fake_label: float = 0.0) -> Adversarial:
  """Non-saturating GAN: G ascends E log D(G(z)) (Goodfellow et al. 2014, section 3).

  D as in `minimax`, with its smoothing; G aims at the label 1 in any case.
  """
  return additive(cross_entropy(real_label), cross_entropy(fake_label), cross_entropy(1.0))


def logistic() -> Adversarial:
  """Logistic: softplus(-D(x)) + softplus(D(G(z))), G softplus(-D(G(z))), StyleGAN's name of `non_saturating`."""
  return non_saturating()


def lsgan(*, a: float = 0.0, b: float = 1.0, c: float = 1.0) -> Adversarial:
  """Least squares: D aims at b on reals and a on fakes, G at c (Mao et al. 2017, equation 2).

  D: (D(x) - b)^2 / 2 + (D(G(z)) - a)^2 / 2, G: (D(G(z)) - c)^2 / 2.
  """
  half_square = lambda x: 0.5 * jnp.square(x)  # noqa: E731
  return additive(lambda r: half_square(r - b), lambda f: half_square(f - a), lambda f: half_square(f - c))


def wasserstein(*, drift: float = 0.0) -> Adversarial:
  """Wasserstein critic (Arjovsky et al. 2017, equation 2); needs a gradient penalty or weight clipping.

  D: -E D(x) + E D(G(z)) + drift E D(x)^2, G: -E D(G(z)). ProGAN's drift of .001 keeps the critic,
  which is free up to a constant, near 0 (Karras et al. 2018, appendix A.1).
  """
  return additive(lambda r: drift * jnp.square(r) - r, lambda f: f, lambda f: -f)


def hinge() -> Adversarial:
  """Hinge (Lim & Ye 2017; Miyato et al. 2018, equations 16 and 17).

  D: E max(0, 1 - D(x)) + E max(0, 1 + D(G(z))), G: -E D(G(z)).
  """
  return additive(lambda r: relu(1 - r), lambda f: relu(1 + f), lambda f: -f)


def energy(*, margin: float = 1.0) -> Adversarial:
  """EBGAN: low energy for data, at least `margin` for samples (Zhao et al. 2017, equations 1 and 2, arXiv:1609.03126).

  The energy is minus the logit, as of `nets/autoencoder.py`: D: L(x) + max(0, margin - L(G(z))), G: L(G(z)).
  """
  return additive(lambda r: -r, lambda f: relu(margin + f), lambda f: -f)


# Relativistic losses: what a player wants high enters an outer function that falls.

OUTER: dict[Outer, Function] = {
  'softplus': lambda x: softplus(-x),
  'hinge': lambda x: relu(1 - x),
  'square': lambda x: jnp.square(1 - x),
  'identity': lambda x: -x,
}


def against_mean(h: Function) -> Callable[[Array, Array], tuple[Array, Array]]:
  """The losses of what is to be high and of what is to be low, each against the mean of the other."""
  return lambda up, down: (h(up - down.mean()), h(up.mean() - down))


def relativistic(*, outer: Outer = 'softplus') -> Adversarial:
  """Relativistic pairing, RpGAN (Jolicoeur-Martineau 2019; Huang et al. 2024, equation 2).

  D: E h(D(x) - D(G(z))), G: E h(D(G(z)) - D(x)) with h(t) = log(1 + e^-t), max(0, 1 - t), (1 - t)^2 or -t.
  A pair's loss has no halves: its `parts` are each side against the other's mean, and not what D descends.
  """
  h = OUTER[outer]
  return Adversarial(d=lambda r, f: h(r - f), g=lambda r, f: h(f - r), g_needs_real=True, parts=against_mean(h))


def relativistic_average(*, outer: Outer = 'softplus') -> Adversarial:
  """Relativistic average, RaGAN (Jolicoeur-Martineau 2019, arXiv:1807.00734).

  D: E h(D(x) - E D(G(z))) + E h(E D(x) - D(G(z))), h as in `relativistic`; G: the same with x and G(z) exchanged.
  The inner means are over the batch that is given, patches included.
  """
  parts = against_mean(OUTER[outer])
  d = lambda r, f: jnp.add(*parts(r, f))  # noqa: E731
  return Adversarial(d=d, g=lambda r, f: d(f, r), g_needs_real=True, parts=parts)


# f-divergences by T = g_f(v) and f*(T) of the critic's output v (Nowozin et al. 2016, tables 1 and 2), simplified:
# in exponentials of v alone, so that T's nearness to the edge of f*'s domain costs no precision.

DIVERGENCES: dict[Divergence, tuple[Function, Function]] = {
  'kl': (lambda v: v, lambda v: jnp.exp(v - 1)),
  'reverse_kl': (lambda v: -jnp.exp(-v), lambda v: v - 1),
  'pearson': (lambda v: v, lambda v: jnp.square(v) / 4 + v),
  'squared_hellinger': (lambda v: -jnp.expm1(-v), jnp.expm1),
  'jensen_shannon': (lambda v: jnp.log(2.0) - softplus(-v), lambda v: softplus(v) - jnp.log(2.0)),
}


def f_divergence(*, divergence: Divergence = 'pearson', saturating: bool = False) -> Adversarial:
  """f-GAN: minus D's loss is a lower bound of D_f(data | G), tight at the best D (Nowozin et al. 2016, equation 6).

  D: -E T(x) + E f*(T(G(z))), T = g_f(D). G: -E f*(T(G(z))) if saturating (the saddle point of algorithm 1),
  else -E T(G(z)), the trick of section 3.2. The exponentials of KL, reverse KL and Hellinger overflow
  float32 beyond logits of 88.
  """
  activated, conjugate = DIVERGENCES[divergence]
  g = conjugate if saturating else activated
  return additive(lambda r: -activated(r), conjugate, lambda f: -g(f))
