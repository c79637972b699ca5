"""Path length regularisation: a step in w should move the image by a fixed distance (Karras et al. 2020, section 3.2)."""

from collections.abc import Callable
from math import prod, sqrt

import jax
import jax.numpy as jnp
import numpy as np

from ganjax.ops import across
from ganjax.terms.draws import normal
from ganjax.types import Array, Metrics, Number, Play, Scene

IMAGE = 0x706C
PATH_LENGTH_STATE = {'mean': np.zeros((), np.float32)}  # the lengths' running mean


def path_length(
  scene: Scene, play: Play, state: dict[str, Array], *, weight: Number = 2.0, decay: float = 0.01
) -> tuple[Array, Metrics, dict[str, Array]]:
  """Path length, for G: weight E (|J_w' y| - a)^2 over random images y, a its running mean (Karras et al. 2020).

  arXiv:1912.04958, section 3.2, equation 4. On every other row, as in StyleGAN 2, where it is lazy (`every` 4). Of a G
  without styles, J is the derivative with respect to the latent.
  """
  half = scene._replace(rows=scene.rows[::2])
  label = None if play.fake_label is None else play.fake_label[::2]
  styles, synthesize = play.halves(half, play.latent[::2], label)
  noise = normal(half, IMAGE, jax.eval_shape(synthesize, styles))
  lengths = across.gather(path_lengths(synthesize, styles, noise), scene.axis)
  penalty, mean = path_penalty(lengths, state['mean'], decay)
  value = weight * penalty.mean()
  return value, {'path_length': value, 'path_length_mean': mean}, {'mean': jax.lax.stop_gradient(mean)}


def path_lengths(synthesize: Callable[[Array], Array], w: Array, noise: Array) -> Array:
  """|J_w' y| for a random image y (equation 4), root mean square over layers: float32 [B].

  Args:
    synthesize: w [B, L, F] -> images [B, H, W, C].
    w: a style for each of L layers.
    noise: y, standard normal [B, H, W, C]; it is divided by sqrt(H W) here. Of rows [B, F] it stays.
  """
  y = noise.astype(jnp.float32) / sqrt(prod(noise.shape[1:-1]))
  slope = jax.grad(lambda w: (synthesize(w).astype(jnp.float32) * y).sum())(w)
  return jnp.sqrt(jnp.square(slope.astype(jnp.float32)).sum(2).mean(1))


def path_penalty(lengths: Array, mean: Array, decay: float | Array = 0.01) -> tuple[Array, Array]:
  """Squared distances of the lengths [B] to their running mean: (penalty [B], new mean []).

  The mean moves by `decay` first, and the penalty's gradient flows through that, as in the authors' code; callers
  keep the new mean with `stop_gradient`. On several devices `lengths` are all devices' (`ops.across.gather`).
  """
  mean = mean + decay * (lengths.mean() - mean)
  return jnp.square(lengths - mean), mean
