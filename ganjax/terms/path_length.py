"""Path length regularisation: a step in w should move the image by a fixed distance (Karras et al. 2020, section 3.2)."""

from collections.abc import Callable
from math import sqrt

import jax
import jax.numpy as jnp

from ganjax.types import Array


def path_lengths(synthesize: Callable[[Array], Array], w: Array, noise: Array) -> Array:
  """|J_w' y| for a random image y (equation 4), root mean square over layers: float32 [B].

  Args:
    synthesize: w [B, L, F] -> images [B, H, W, C].
    w: a style for each of L layers.
    noise: y, standard normal [B, H, W, C]; it is divided by sqrt(H W) here.
  """
  y = noise.astype(jnp.float32) / sqrt(noise.shape[1] * noise.shape[2])
  slope = jax.grad(lambda w: (synthesize(w).astype(jnp.float32) * y).sum())(w)
  return jnp.sqrt(jnp.square(slope.astype(jnp.float32)).sum(2).mean(1))


def path_penalty(lengths: Array, mean: Array, decay: float | Array = 0.01) -> tuple[Array, Array]:
  """Squared distances of the lengths [B] to their running mean: (penalty [B], new mean []).

  The mean moves by `decay` first, and the penalty's gradient flows through that, as in the authors' code; callers
  keep the new mean with `stop_gradient`. On several devices `lengths` are all devices' (`ops.across.gather`).
  """
  mean = mean + decay * (lengths.mean() - mean)
  return jnp.square(lengths - mean), mean
