"""Regularisers of weights."""

from typing import Any, Literal

import jax
import jax.numpy as jnp

from ganjax.types import Array, Metrics, Number, Play, Scene


def kernels(params: Any) -> list[Array]:
  """The kernels of a parameter tree, each as [inputs, outputs]. Embeddings, gains and biases are left out."""
  leaves = jax.tree_util.tree_flatten_with_path(params)[0]
  return [leaf.reshape(-1, leaf.shape[-1]) for path, leaf in leaves if getattr(path[-1], 'key', None) == 'kernel']


def orthogonal(
  scene: Scene, play: Play, *, weight: Number = 1e-4, diagonal: bool = False, player: Literal['g', 'd'] = 'g'
) -> tuple[Array, Metrics]:
  """Orthogonal regularisation of a player's kernels: weight/2 |W W^T * (1 - I)|_F^2, summed over kernels W [out, in].

  Off the diagonal filters become orthogonal but keep their lengths (Brock et al. 2019, equation 3); with `diagonal`
  it is weight/2 |W W^T - I|_F^2, and they become orthonormal (Brock et al. 2017, 2019 equation 2). The half makes
  the gradient that of the authors' code, 2 weight (W W^T * (1 - I)) W. `player` is the one whose loss it is added to, `terms.<player>.orthogonal`.
  """
  total = jnp.float32(0)
  for w in kernels(scene.params[player]):
    gram = jnp.matmul(w.T, w, precision='highest')
    eye = jnp.eye(gram.shape[0])
    total += jnp.square(gram - eye if diagonal else gram * (1 - eye)).sum()
  value = weight / 2 * total
  return value, {'orthogonal': value}
