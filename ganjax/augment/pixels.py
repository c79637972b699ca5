"""Colour, filtering by frequency and cutout of ADA (Karras et al. 2020, appendix B.2): deterministic, linear in x."""

import jax.numpy as jnp
import numpy as np

from ganjax.types import Array

AXIS = np.array([1, 1, 1, 0], np.float32) / np.sqrt(3, dtype=np.float32)  # of the greys, in homogeneous colours
GREY = np.outer(AXIS, AXIS)

# Scaling filter with 2 vanishing moments (Daubechies 1992).
SYM2 = np.array([-0.12940952255092145, 0.22414386804185735, 0.836516303737469, 0.48296291314469025], np.float64)
POWER = np.array([10, 1, 1, 1], np.float32) / 13  # of natural images by octave, from the lowest: about 1/f


# Colours are (r, g, b, 1): matrices [B, 4, 4].


def brighten(amount: Array) -> Array:
  """Adds `amount` [B] to all channels."""
  return jnp.eye(4) + amount[:, None, None] * np.outer([1, 1, 1, 0], [0, 0, 0, 1])


def contrast(factor: Array) -> Array:
  """Multiplies all channels by `factor` [B]."""
  return jnp.eye(4) + (factor - 1)[:, None, None] * np.diag([1, 1, 1, 0])


def flip_luma(flips: Array) -> Array:
  """Mirrors the greys, keeping hue and saturation, where `flips` [B] is 1."""
  return jnp.eye(4) - 2 * flips[:, None, None] * GREY


def turn_hue(angle: Array) -> Array:
  """Rotates by `angle` [B] about the axis of the greys (Rodrigues' formula)."""
  x, y, z, _ = AXIS
  cross = np.array([[0, -z, y, 0], [z, 0, -x, 0], [-y, x, 0, 0], [0, 0, 0, 0]], np.float32)
  around = np.diag([1, 1, 1, 0]).astype(np.float32) - GREY
  sin, cos = jnp.sin(angle)[:, None, None], jnp.cos(angle)[:, None, None]
  return jnp.eye(4) - around + cos * around + sin * cross


def saturate(factor: Array) -> Array:
  """Multiplies the distance from the greys by `factor` [B]."""
  return jnp.eye(4) + (factor - 1)[:, None, None] * (np.diag([1, 1, 1, 0]) - GREY)


def recolor(x: Array, matrices: Array) -> Array:
  """Applies matrices [B, 4, 4] to the colours of x [B, H, W, 3]; to greys [B, H, W, 1], their mean over channels."""
  if x.shape[3] == 1:
    greys = matrices[:, :3].mean(1)  # [B, 4]
    return x * greys[:, :3].sum(1)[:, None, None, None] + greys[:, 3, None, None, None]
  entries = matrices[:, None, None]
  # Channel by channel: a product with 3 rows, and its gradient, are far slower on the CPU.
  mixed = [sum(x[..., i] * entries[..., k, i] for i in range(3)) + entries[..., k, 3] for k in range(3)]
  return jnp.stack(mixed, -1)


# Frequencies.


def filter_bank() -> np.ndarray:
  """Taps [4, 43] of zero-phase filters for four octaves, lowest first; they sum to the identity."""
  high = SYM2 * (-1.0) ** np.arange(len(SYM2))
  low2, high2 = (np.convolve(f, f[::-1]) / 2 for f in (SYM2, high))
  bands = [np.ones(1)]
  for _ in range(3):  # to twice the rate: each band is stretched, and the new top octave joins them
    stretched = []
    for taps in bands:
      wide = np.zeros(2 * len(taps) - 1)
      wide[::2] = taps
      stretched.append(np.convolve(wide, low2))
    top = np.pad(high2, (len(stretched[0]) - len(high2)) // 2)
    bands = [*stretched, top]
  return np.array(bands, np.float32)


def band_matrices(size: int) -> np.ndarray:
  """The filter bank over `size` pixels, mirrored at the ends: [4, size, size]."""
  bank = filter_bank()
  radius = bank.shape[1] // 2
  mirrored = np.pad(np.arange(size), radius, mode='reflect')
  found = np.zeros((4, size, size), np.float32)
  for i in range(size):
    for tap in range(2 * radius + 1):
      found[:, i, mirrored[i + tap]] += bank[:, tap]
  return found


def normalized(amplify: Array) -> Array:
  """Total gains [B, 4] of four amplifications [B, 4], one band after the other, each keeping the expected power."""
  gains = jnp.ones_like(amplify)
  for band in range(4):
    one = jnp.where(jnp.arange(4) == band, amplify, 1)
    gains *= one / jnp.sqrt((POWER * jnp.square(one)).sum(1, keepdims=True))
  return gains


def filtered(x: Array, amplify: Array) -> Array:
  """Multiplies the four octaves of x [B, H, W, C] by `amplify` [B, 4], normalised in power, along rows and columns."""
  gains = normalized(amplify)
  for axis, spec in ((1, 'bih,bhwc->biwc'), (2, 'bjw,bhwc->bhjc')):
    kernel = jnp.einsum('bk,kij->bij', gains, band_matrices(x.shape[axis]), precision='highest')
    x = jnp.einsum(spec, kernel, x, precision='highest')
  return x


# Corruptions.


def cutout(x: Array, center: Array, size: float) -> Array:
  """Zeros in a box of `size` about center [B, 2] (x, y), both as shares of the image."""
  _, h, w, _ = x.shape
  column, row = ((jnp.arange(n) + 0.5) / n for n in (w, h))
  right = jnp.abs(column - center[:, :1]) >= size / 2
  below = jnp.abs(row - center[:, 1:]) >= size / 2
  return x * (right[:, None, :, None] | below[:, :, None, None])
