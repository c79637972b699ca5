"""Averages of parameters: how fast each forgets, and averages of other lengths composed after the training.

A power-function average (Karras et al. 2024, arXiv:2312.02696, section 3) at step t weighs the parameters of
step s <= t by (s / t)^gamma; its length is named by `sigma_rel`, the width of that profile as a share of t.
"""

from collections.abc import Callable, Sequence

import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from ganjax.types import Array

WIDEST = float(1 / np.sqrt(12))  # sigma_rel of the plain mean, gamma 0


def average(*, halflife_kimg: float = 10.0, rampup: float = 0.05, growth_kimg: float = 0.0, decay: float = 0.0,
            sigma_rel: float = 0.0) -> Callable[[Array, Array], Array]:  # fmt: skip
  """The decay of an average in the move from `before` to `after` images shown: int32 [] -> float32 [].

  Args:
    halflife_kimg: half-life in thousands of images.
    rampup: the half-life is at most this share of the images shown (Karras et al. 2020); 0 leaves that out. With
      it the first decay is 0: the average starts at the first move's result.
    growth_kimg: above 0, the half-life grows from 0 along half a cosine, for so long (Huang et al. 2024).
    decay: above 0, the decay itself, instead of a half-life.
    sigma_rel: above 0, the length of a power-function average, instead of either.
  """
  if sigma_rel:
    power = gamma(sigma_rel) + 1
    # Karras et al. 2024, equation 2, (1 - 1/t)^(gamma + 1), t in moves; by its logarithm, or 1/t drowns in rounding.
    return lambda before, after: jnp.exp(power * jnp.log1p(-(after - before) / after))
  if decay:
    return lambda *_: jnp.float32(decay)

  def by_halflife(before: Array, after: Array) -> Array:
    halflife = jnp.float32(halflife_kimg * 1000)
    if growth_kimg:
      halflife *= risen(before, growth_kimg)
    halflife = jnp.minimum(halflife, before * rampup) if rampup else halflife
    return 0.5 ** ((after - before) / jnp.maximum(halflife, 1e-8))

  return by_halflife


def risen(images: Array, kimg: float) -> Array:
  """From 0 to 1 along half a cosine, over `kimg` thousand images."""
  return 0.5 * (1 - jnp.cos(jnp.pi * jnp.clip(images / (kimg * 1000), 0, 1)))


def gamma(sigma_rel: float) -> float:
  """The exponent of the power function whose width is `sigma_rel`, from above 0 to WIDEST.

  The largest root of (gamma + 2)^2 (gamma + 3) sigma_rel^2 = gamma + 1 (Karras et al. 2024, equation 3).
  """
  if not 0 < sigma_rel <= WIDEST:
    raise ValueError(f'sigma_rel: given {sigma_rel}, valid: above 0, at most {WIDEST:.4f}')
  square = sigma_rel**-2
  return float(max(np.roots([1, 7, 16 - square, 12 - square]).real))


def width(gamma: float) -> float:
  """sigma_rel of the power function s^gamma: the inverse of `gamma`."""
  return float(np.sqrt(gamma + 1) / ((gamma + 2) * np.sqrt(gamma + 3)))


def weights(times: Sequence[float], gammas: Sequence[float], time: float, exponent: float) -> tuple[np.ndarray, float]:
  """How to add up stored averages to another one: float64 weights [N], and the relative error of its profile.

  Least squares between the profiles as functions of time (Karras et al. 2024, appendix C.3), among the weights whose
  sum is 1: too few averages then don't shrink the parameters. The error is the norm of what is left, in shares of
  the wanted profile's norm.

  Args:
    times: of the stored averages, in images or steps, above 0.
    gammas: their exponents.
    time: of the wanted average.
    exponent: its gamma.
  """
  t, g = np.asarray(times, np.float64), np.asarray(gammas, np.float64)
  stored = (t == time) & np.isclose(g, exponent, rtol=1e-9)
  if stored.any():
    return np.eye(len(t))[int(stored.argmax())], 0.0
  norm = np.sqrt(overlap(t, g, t, g))  # in units of it the profiles, flatter the later, are of one size
  products = overlap(t[:, None], g[:, None], t, g) / np.outer(norm, norm)
  own = float(overlap(time, exponent, time, exponent))
  wanted = overlap(t, g, time, exponent) / norm
  sums = norm.min() / norm
  system = np.block([[products, sums[:, None]], [sums, np.zeros(1)]])
  found = np.linalg.lstsq(system, np.append(wanted, norm.min()), rcond=1e-13)[0][:-1]
  left = own - 2 * found @ wanted + found @ products @ found
  return found / norm, float(np.sqrt(max(left, 0) / own))


def overlap(t: ArrayLike, g: ArrayLike, u: ArrayLike, h: ArrayLike) -> np.ndarray:
  """The integral of the product of two profiles, (g + 1) s^g / t^(g + 1) up to t and that of (u, h); they broadcast."""
  t, g, u, h = np.broadcast_arrays(*(np.asarray(x, np.float64) for x in (t, g, u, h)))
  # Up to the earlier of the two times: that profile is in it whole, of the other only the beginning.
  share = np.where(t < u, (t / u) ** h, (u / t) ** g)
  return (g + 1) * (h + 1) / (g + h + 1) * share / np.maximum(t, u)
