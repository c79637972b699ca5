"""A term that keeps D's logits near 0."""

import jax.numpy as jnp

from ganjax.types import Array, Metrics, Number, Play, Scene


def drift(scene: Scene, play: Play, *, weight: Number = 0.001) -> tuple[Array, Metrics]:
  """Drift, for D: weight E D(x)^2 over reals x (Karras et al. 2018, arXiv:1710.10196, appendix A.1).

  Losses of differences, such as Wasserstein's, leave open where the logits are; this keeps them from wandering off.
  """
  logits = play.critic(play.real, play.label) if play.real_logits is None else play.real_logits
  value = weight * jnp.square(logits.astype(jnp.float32)).mean()
  return value, {'drift': value}
