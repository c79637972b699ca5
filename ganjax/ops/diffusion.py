"""Diffusion in few steps: how an image becomes noise, and the way back where the image is known.

x_0 is the image and x_t what t of T steps leave of it: x_t = sqrt(1 - beta_t) x_(t-1) + sqrt(beta_t) e, e standard
normal. Where the product of 1 - beta_s up to t is `signal[t]`, the share of x_0's variance that is left,
q(x_t | x_0) = N(sqrt(signal[t]) x_0, 1 - signal[t]). `t` below are int [...] from 1 (0 with `marginal`) to T.
"""

import jax.numpy as jnp
import numpy as np

from ganjax.types import Array


def variance_preserving(steps: int, beta_min: float = 0.1, beta_max: float = 20.0) -> np.ndarray:
  """`signal`, float64 [steps + 1], of the variance preserving process (Song et al. 2021, arXiv:2011.13456) in so many steps.

  Its beta(s), from beta_min to beta_max over s in [0, 1] in a straight line, integrated up to t / T: with it
  beta_t = 1 - exp(-beta_min / T - (beta_max - beta_min) (2t - 1) / (2 T^2)) (arXiv:2112.07804, appendix).
  """
  s = np.arange(steps + 1) / steps
  return np.exp(-beta_min * s - (beta_max - beta_min) * s**2 / 2)


def marginal(signal: np.ndarray, t: Array) -> tuple[Array, Array]:
  """Factor of x_0 and standard deviation of q(x_t | x_0), float32 [...]: 1 and 0 at t = 0."""
  return at(np.sqrt(signal), t), at(np.sqrt(1 - signal), t)


def transition(signal: np.ndarray, t: Array) -> tuple[Array, Array]:
  """Factor of x_(t-1) and standard deviation of q(x_t | x_(t-1)), float32 [...]."""
  alpha = steps(signal)
  return at(np.sqrt(alpha), t), at(np.sqrt(1 - alpha), t)


def posterior(signal: np.ndarray, t: Array) -> tuple[Array, Array, Array]:
  """Factors of x_0 and x_t, and the standard deviation, of q(x_(t-1) | x_t, x_0), float32 [...]: 1, 0, 0 at t = 1.

  (Ho et al. 2020, arXiv:2006.11239, equations 6 and 7.)
  """
  alpha, before = steps(signal), np.append(1, signal[:-1])
  left = np.where(signal < 1, 1 - signal, 1)  # at t = 0, of which nobody asks, nothing is divided by 0
  clean = np.sqrt(before) * (1 - alpha) / left
  noisy = np.sqrt(alpha) * (1 - before) / left
  return at(clean, t), at(noisy, t), at(np.sqrt((1 - alpha) * (1 - before) / left), t)


def steps(signal: np.ndarray) -> np.ndarray:
  """1 - beta_t, float64 [T + 1], 1 at t = 0."""
  return signal / np.append(1, signal[:-1])


def at(table: np.ndarray, t: Array) -> Array:
  """The entries of steps t, float32."""
  return jnp.asarray(table, jnp.float32)[t]
