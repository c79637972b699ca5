"""How likely an example is around what a decoder makes: log densities, and probabilities of 8-bit pixels.

Each is (x [B, ...], mean [B, ...], scale []) -> nats [B], summed over an example. Images are in [-1, 1], where 256 levels
lie 2/255 apart: a level has the probability of what lies nearer to it than to others, the first and the last that of
the whole tail, so that all 256 sum to 1 (Salimans et al. 2017, arXiv:1701.05517, section 2.1), and a bound on it is one
on the log-likelihood of 8-bit data.
"""

import math
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from jax.scipy.special import log_ndtr

from ganjax.types import Array

Likelihood = Literal['normal', 'logistic', 'bernoulli']
HALF = 1 / 255  # of the distance between two levels
EPSILON = 1e-6  # the least probability of a Bernoulli pixel


def normal(x: Array, mean: Array, scale: Array) -> Array:
  """Levels of a normal distribution of standard deviation `scale`; of rows [B, F], which have no levels, its density."""
  if x.ndim < 4:
    return summed(-0.5 * jnp.square((x - mean) / scale) - jnp.log(scale) - 0.5 * math.log(2 * math.pi))
  return summed(levels(x, mean, scale, between_normal, log_ndtr))


def logistic(x: Array, mean: Array, scale: Array) -> Array:
  """Levels of a logistic distribution, whose standard deviation is pi / sqrt 3 times `scale`; of rows its density."""
  if x.ndim < 4:
    z = (x - mean) / scale
    return summed(jax.nn.log_sigmoid(z) + jax.nn.log_sigmoid(-z) - jnp.log(scale))
  return summed(levels(x, mean, scale, between_logistic, jax.nn.log_sigmoid))


def bernoulli(x: Array, mean: Array, scale: Array) -> Array:
  """Pixels that are 1 or -1, with a mean: minus the cross-entropy. Grey ones weigh both, as draws of them would."""
  share, p = (1 + x) / 2, jnp.clip((1 + mean) / 2, EPSILON, 1 - EPSILON)
  return summed(share * jnp.log(p) + (1 - share) * jnp.log1p(-p))


def levels(x: Array, mean: Array, scale: Array, between: Callable[[Array, Array], Array],
           below: Callable[[Array], Array]) -> Array:  # fmt: skip
  """The log-probability of each pixel's level, [B, ...]; `below` is the log of a symmetric distribution function."""
  above, under = (x + HALF - mean) / scale, (x - HALF - mean) / scale
  inside = between(above, under)
  return jnp.where(x < HALF - 1, below(above), jnp.where(x > 1 - HALF, below(-under), inside))


def between_normal(a: Array, b: Array) -> Array:
  """log(Phi(a) - Phi(b)), a > b: in the lower tail, where it can be told from 0."""
  flip = a + b > 0
  a, b = jnp.where(flip, -b, a), jnp.where(flip, -a, b)
  high, low = log_ndtr(a), log_ndtr(b)
  return high + jnp.log(-jnp.expm1(low - high))


def between_logistic(a: Array, b: Array) -> Array:
  """log(sigmoid(a) - sigmoid(b)), a > b: sigmoid(a) sigmoid(-b) (1 - e^(b - a))."""
  return jax.nn.log_sigmoid(a) + jax.nn.log_sigmoid(-b) + jnp.log(-jnp.expm1(b - a))


def summed(x: Array) -> Array:
  """[B, ...] -> [B]."""
  return x.reshape(len(x), -1).sum(1)


LIKELIHOODS: dict[str, Callable[[Array, Array, Array], Array]] = {
  'normal': normal, 'logistic': logistic, 'bernoulli': bernoulli,
}  # fmt: skip
