"""Spectral normalisation: a weight divided by its largest singular value (Miyato et al. 2018, arXiv:1802.05957)."""

import jax
import jax.numpy as jnp
from jax import lax

from ganjax.types import Array

EPSILON = 1e-12


def unit(x: Array, epsilon: float = EPSILON) -> Array:
  """Scales x [n] to length 1, divided by `epsilon` at least."""
  return x / jnp.maximum(jnp.sqrt(jnp.sum(jnp.square(x))), epsilon)


def iterate(w: Array, u: Array, epsilon: float = EPSILON) -> tuple[Array, Array]:
  """One power iteration on w [..., O] from u [O]: the new (u [O], v [prod(...)]), without gradient."""
  w, u = lax.stop_gradient((w.reshape(-1, w.shape[-1]), u))
  v = unit(w @ u, epsilon)
  return unit(v @ w, epsilon), v


def sigma(w: Array, u: Array, v: Array) -> Array:
  """The estimate v' w u of the largest singular value of w [..., O]; its gradient holds u and v fixed."""
  u, v = lax.stop_gradient((u, v))
  return jnp.sum((v @ w.reshape(-1, w.shape[-1])) * u)


def start(w: Array, key: Array, iterations: int = 15) -> Array:
  """The vector u [O] for a fresh w [..., O], after some power iterations from a random one.

  So the very first forward already divides by nearly the largest singular value.
  """
  u = unit(jax.random.normal(key, w.shape[-1:], jnp.float32))
  return lax.fori_loop(0, iterations, lambda _, u: iterate(w, u)[0], u)
