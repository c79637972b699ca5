"""R1 and R2 by finite differences: no second derivative of D, so they serve networks that have none.

|dD(x)|^2 = E (e . dD(x))^2 for e ~ N(0, 1), and e . dD(x) is the limit of (D(x + sigma e) - D(x)) / sigma
(approximated R1: Lin et al. 2025, arXiv:2501.08316, where the 1 / sigma^2 is part of the weight). One e per example
and step. The mean is off by sigma^2/4 ((tr H)^2 + 2 |H|^2) + ..., H the second derivative of D; one draw
scatters about it by a factor with deviation sqrt(2), a batch by sqrt(2 / B).
"""

from collections.abc import Callable

import jax.numpy as jnp

from ganjax.terms.draws import normal
from ganjax.types import Array, Metrics, Number, Play, Scene

REAL, FAKE = 0x6631, 0x6632


def squared_slopes(critic: Callable[[Array], Array], x: Array, noise: Array, sigma: Number) -> Array:
  """((D(x + sigma noise) - D(x)) / sigma)^2 per example, [B], the logits of patches summed."""
  change = (critic(x + sigma * noise) - critic(x)) / sigma
  return jnp.square(change.reshape(x.shape[0], -1).sum(1))


def r1_finite_difference(
  scene: Scene, play: Play, *, gamma: Number = 10.0, sigma: Number = 0.01
) -> tuple[Array, Metrics]:
  """R1 by finite differences: gamma/2 E ((D(x + sigma e) - D(x)) / sigma)^2 on reals, e ~ N(0, 1) (Lin et al. 2025)."""
  noise = normal(scene, REAL, play.real)
  value = gamma / 2 * squared_slopes(lambda x: play.critic(x, play.label), play.real, noise, sigma).mean()
  return value, {'r1_finite_difference': value}


def r2_finite_difference(
  scene: Scene, play: Play, *, gamma: Number = 10.0, sigma: Number = 0.01
) -> tuple[Array, Metrics]:
  """R2 by finite differences: as `r1_finite_difference`, on fakes (Lin et al. 2025)."""
  noise = normal(scene, FAKE, play.fake)
  value = gamma / 2 * squared_slopes(lambda x: play.critic(x, play.fake_label), play.fake, noise, sigma).mean()
  return value, {'r2_finite_difference': value}
