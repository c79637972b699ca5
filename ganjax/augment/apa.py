"""Adaptive pseudo augmentation, APA (Jiang et al. 2021, arXiv:2111.06849): D is deceived with fakes among its reals."""

import jax
import jax.numpy as jnp

from ganjax.augment.adaptive import Adaptive, Heuristic
from ganjax.augment.augmentation import Augmentation, per_row, unchanged
from ganjax.types import Array, Key, Number

Pair = tuple[Array, Array | None]  # images, labels


def apa(
  *, p: float = 0.0, target: Number = 0.6, kimg: Number = 500.0, interval: int = 4, heuristic: Heuristic = 'real'
) -> Augmentation:
  """APA: a share p of D's reals are fakes, p by the sign of D (Jiang et al. 2021, arXiv:2111.06849, section 3).

  heuristic: what tells overfitting, lambda_r = E sign(D(x)), lambda_f = -E sign(D(G(z))) or half their sum.
  p (at the start), target, kimg and interval are as in `ada`. Costs a second forward of G in D's turns.
  """
  return Augmentation(unchanged, Adaptive(p, target, kimg, interval, heuristic), pseudo=True)


def mixed(key: Key, rows: Array, p: Array, real: Pair, fake: Pair) -> Pair:
  """Images [B, ...] and labels [B] of reals, each replaced by its fake with probability p."""
  replaced = per_row(key, rows, jax.random.uniform) < p

  def choose(real: Array, fake: Array) -> Array:
    return jnp.where(replaced.reshape((-1,) + (1,) * (real.ndim - 1)), fake, real)

  return jax.tree.map(choose, real, fake)
