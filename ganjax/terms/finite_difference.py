"""R1 and R2 by finite differences: no second derivative of D, so they serve networks that have none.

The slope of D along a direction v is (D(x + sigma v) - D(x)) / sigma, and its square is |dD(x)|^2 where v is the
unit vector along dD(x) (kept constant), or on average where v ~ N(0, 1) in every component (approximated R1, Lin et
al. 2025, arXiv:2501.08316, where 1 / sigma^2 is part of the weight).

Cost, as multiplications beside those of a D loss of 1 on reals and fakes, three layers of convolution: with silu
.85 exact, .82 with v random, 1.00 along the gradient; with a leaky ReLU, whose second derivative is nothing, .53, .82
and 1.00. Time on two CPU cores: 24, 15 and 20 ms with silu, 5, 10 and 12 ms with a leaky ReLU, beside 20 and 13. This
is where the term looks at x by itself: under an augmentation or instance noise, with a D that keeps statistics or
spectral vectors, in a lazy turn. Else it takes over the loss's look at x, and saves a forward and a backward pass.
Error of its gradient for D's parameters (16 x 16 x 3, batch 16, sigma .01): with silu along the gradient 2e-4 (cosine
.9999999); with v random the mean of 1,024 steps has cosine .995, one step .27. With a leaky ReLU it is not small: each
kink of D between x and x + sigma v adds a jump / sigma, and one step has cosine .17 (along the gradient) and .04
(random). There, take the exact penalty; or v random with a large sigma (.1 or more), as Lin et al. do over long runs.
"""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp

from ganjax.terms.draws import normal
from ganjax.types import Array, Metrics, Number, Play, Scene

Along = Literal['gradient', 'noise']
REAL, FAKE = 0x6631, 0x6632


def direction(critic: Callable[[Array], Array], x: Array) -> Array:
  """The unit vector along dD(x) per example, a constant; 0 where there is no slope."""
  slope = jax.lax.stop_gradient(jax.grad(lambda x: critic(x).astype(jnp.float32).sum())(x))
  squares = jnp.square(slope).sum(range(1, x.ndim), keepdims=True)
  return slope * jax.lax.rsqrt(jnp.maximum(squares, 1e-30))


def squared_slopes(critic: Callable[[Array], Array], x: Array, v: Array, sigma: Number) -> Array:
  """((D(x + sigma v) - D(x)) / sigma)^2 per example, [B], the logits of patches summed."""
  change = (critic(x + sigma * v) - critic(x)) / sigma
  return jnp.square(change.reshape(x.shape[0], -1).sum(1))


def r1_finite_difference(
  scene: Scene, play: Play, *, gamma: Number = 10.0, sigma: Number = 0.01, along: Along = 'gradient'
) -> tuple[Array, Metrics]:
  """R1 by finite differences: gamma/2 E ((D(x + sigma v) - D(x)) / sigma)^2 on reals (Lin et al. 2025).

  v is the unit vector along D's gradient, or standard normal noise; the file's head has cost and error of both.
  """
  critic = lambda x: play.critic(x, play.label)  # noqa: E731
  v = direction(critic, play.real) if along == 'gradient' else normal(scene, REAL, play.real)
  value = gamma / 2 * squared_slopes(critic, play.real, v, sigma).mean()
  return value, {'r1_finite_difference': value}


def r2_finite_difference(
  scene: Scene, play: Play, *, gamma: Number = 10.0, sigma: Number = 0.01, along: Along = 'gradient'
) -> tuple[Array, Metrics]:
  """R2 by finite differences: gamma/2 E ((D(y + sigma v) - D(y)) / sigma)^2 on fakes y (Lin et al. 2025).

  v as in `r1_finite_difference`.
  """
  critic = lambda x: play.critic(x, play.fake_label)  # noqa: E731
  v = direction(critic, play.fake) if along == 'gradient' else normal(scene, FAKE, play.fake)
  value = gamma / 2 * squared_slopes(critic, play.fake, v, sigma).mean()
  return value, {'r2_finite_difference': value}
