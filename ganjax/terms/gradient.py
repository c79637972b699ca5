"""Penalties on the gradient of D with respect to its input. All take the mean over the batch, but for the maximum."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ganjax.ops import across
from ganjax.terms.draws import normal, per_row
from ganjax.types import Array, Metrics, Number, Play, Scene

BETWEEN, AROUND = 0x6770, 0x6472


def squared_norms(critic: Callable[[Array], Array], x: Array) -> Array:
  """Squared L2 norm of d sum(critic(x)) / dx per example, float32 [B]."""
  slope = jax.grad(lambda x: critic(x).astype(jnp.float32).sum())(x)
  return jnp.square(slope.astype(jnp.float32)).reshape(x.shape[0], -1).sum(1)


def penalty(norms: Array, center: Number, one_sided: bool) -> Array:
  """(norm - center)^2, of norms above the center alone if `one_sided`."""
  return jnp.square(jax.nn.relu(norms - center) if one_sided else norms - center)


def mix(share: Array, real: Array, fake: Array) -> Array:
  """Points share real + (1 - share) fake, with one share [B] per example."""
  share = share.reshape((-1,) + (1,) * (real.ndim - 1))
  return share * real + (1 - share) * fake


def between(scene: Scene, play: Play) -> Array:
  """A point on the line between each real and its fake."""
  return mix(per_row(scene, BETWEEN, jax.random.uniform, play.real.shape[0]), play.real, play.fake)


def norms_at(play: Play, x: Array) -> Array:
  """|dD(x)| per example, [B]."""
  # The norm has no derivative at 0.
  return jnp.sqrt(squared_norms(lambda x: play.critic(x, play.label), x) + 1e-12)


def gradient_penalty(
  scene: Scene, play: Play, *, weight: Number = 10.0, center: Number = 1.0, one_sided: bool = False
) -> tuple[Array, Metrics]:
  """WGAN-GP: weight E (|dD(x')| - center)^2 at x' between real and fake (Gulrajani et al. 2017, equation 3).

  `one_sided` is WGAN-LP: weight E max(0, |dD(x')| - center)^2 (Petzka et al. 2018, arXiv:1709.08894).
  `center` 0 is the zero-centred penalty at interpolates, 0-GP (Thanh-Tung et al. 2019, arXiv:1902.03984).
  """
  norms = norms_at(play, between(scene, play))
  value = weight * penalty(norms, center, one_sided).mean()
  return value, {'gradient_penalty': value, 'gradient_norm': norms.mean()}


def max_gradient_penalty(scene: Scene, play: Play, *, weight: Number = 1.0) -> tuple[Array, Metrics]:
  """MaxGP: weight max |dD(x')|^2 over the batch's x' between real and fake (Zhou et al. 2019, arXiv:1902.05687).

  The largest slope bounds the critic's Lipschitz constant from below, where a mean says little about it. The batch
  is that of all devices; with microbatches, each has its own maximum.
  """
  value = weight * across.gather(jnp.square(norms_at(play, between(scene, play))), scene.axis).max()
  return value, {'max_gradient_penalty': value}


def dragan(
  scene: Scene, play: Play, *, weight: Number = 10.0, center: Number = 1.0, sigma: Number = 0.1
) -> tuple[Array, Metrics]:
  """DRAGAN: weight E (|dD(x + e)| - center)^2 at reals, e ~ N(0, sigma^2) (Kodali et al. 2017, arXiv:1705.07215).

  `sigma` is in the units of the data. (The authors' code draws e evenly from 0 to half the batch's deviation instead.)
  """
  norms = norms_at(play, play.real + sigma * normal(scene, AROUND, play.real))
  value = weight * penalty(norms, center, False).mean()
  return value, {'dragan': value, 'gradient_norm_around_real': norms.mean()}


def r1(scene: Scene, play: Play, *, gamma: Number = 10.0) -> tuple[Array, Metrics]:
  """R1: gamma/2 E |dD(x)|^2 on reals (Mescheder et al. 2018, equation 9)."""
  value = gamma / 2 * squared_norms(lambda x: play.critic(x, play.label), play.real).mean()
  return value, {'r1': value}


def r2(scene: Scene, play: Play, *, gamma: Number = 10.0) -> tuple[Array, Metrics]:
  """R2: gamma/2 E |dD(G(z))|^2 on fakes (Mescheder et al. 2018, equation 10)."""
  value = gamma / 2 * squared_norms(lambda x: play.critic(x, play.fake_label), play.fake).mean()
  return value, {'r2': value}
