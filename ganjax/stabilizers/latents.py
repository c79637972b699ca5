"""What happens to latents on their way to G."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ganjax.types import Array, Number


def latent_optimization(
  score: Callable[[Array], Array], latent: Array, *, rate: Number = 0.9, damping: Number = 5.0, weight: Number = 0.0
) -> tuple[Array, Array]:
  """LOGAN: latents take a step up D's score before both players' losses (Wu et al. 2019, arXiv:1912.00953).

  z' = z + rate g / (damping + |g|^2), g = d D(G(z)) / dz: a natural gradient step with the damped empirical Fisher
  matrix (equation 12); players differentiate through it. `score` maps latents [B, Z] to logits [B]. Returns z' and
  weight E |z' - z|^2, which is added to G's loss (the paper's R_z; in its experiments with BigGAN, weight 300 on
  latents of another scale). Costs a forward and a backward pass of both players, and those of its derivative.
  """
  g = jax.grad(lambda z: score(z).sum())(latent)
  step = rate * g / (damping + jnp.square(g).sum(-1, keepdims=True))
  return latent + step, weight * jnp.square(step).sum(-1).mean()
