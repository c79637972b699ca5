"""Penalties on the gradient of D with respect to its input. All take the mean over the batch."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ganjax.types import Array, Metrics, Number, Play, Scene


def squared_norms(critic: Callable[[Array], Array], x: Array) -> Array:
  """Squared L2 norm of d sum(critic(x)) / dx per example, float32 [B]."""
  slope = jax.grad(lambda x: critic(x).astype(jnp.float32).sum())(x)
  return jnp.square(slope.astype(jnp.float32)).reshape(x.shape[0], -1).sum(1)


def gradient_penalty(scene: Scene, play: Play, *, weight: Number = 10.0, center: Number = 1.0) -> tuple[Array, Metrics]:
  """WGAN-GP: weight E (|dD(x')| - center)^2 at x' between real and fake (Gulrajani et al. 2017, equation 3)."""
  draw = lambda row: jax.random.uniform(jax.random.fold_in(jax.random.fold_in(scene.key, 0x6770), row))  # noqa: E731
  share = jax.vmap(draw)(scene.rows).reshape((-1,) + (1,) * (play.real.ndim - 1))  # one per example
  between = share * play.real + (1 - share) * play.fake
  # The norm has no derivative at 0.
  norms = jnp.sqrt(squared_norms(lambda x: play.critic(x, play.label), between) + 1e-12)
  value = weight * jnp.square(norms - center).mean()
  return value, {'gradient_penalty': value, 'gradient_norm': norms.mean()}


def r1(scene: Scene, play: Play, *, gamma: Number = 10.0) -> tuple[Array, Metrics]:
  """R1: gamma/2 E |dD(x)|^2 on reals (Mescheder et al. 2018, equation 9)."""
  value = gamma / 2 * squared_norms(lambda x: play.critic(x, play.label), play.real).mean()
  return value, {'r1': value}


def r2(scene: Scene, play: Play, *, gamma: Number = 10.0) -> tuple[Array, Metrics]:
  """R2: gamma/2 E |dD(G(z))|^2 on fakes (Mescheder et al. 2018, equation 10)."""
  value = gamma / 2 * squared_norms(lambda x: play.critic(x, play.fake_label), play.fake).mean()
  return value, {'r2': value}
