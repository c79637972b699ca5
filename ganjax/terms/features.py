"""Terms on D's features, those that its logit is a linear function of."""

import jax.numpy as jnp

from ganjax.ops import across
from ganjax.types import Array, Metrics, Number, Play, Scene


def feature_matching(scene: Scene, play: Play, *, weight: Number = 1.0) -> tuple[Array, Metrics]:
  """Feature matching, for G: weight |E f(x) - E f(G(z))|^2, f D's features (Salimans et al. 2016, section 3.1).

  Means are over the batch of all devices. Costs a forward of D on the reals. It is added to G's adversarial loss, which
  in the paper it replaces (arXiv:1606.03498); StudioGAN's multi-hinge takes the mean absolute difference instead.
  """
  real = play.inspect(play.real, play.label)[1]['features']
  fake = (play.fake_heads or play.inspect(play.fake, play.fake_label)[1])['features']
  means = [across.mean(side.astype(jnp.float32).mean(0), scene.axis) for side in (real, fake)]
  value = weight * jnp.square(means[0] - means[1]).sum()
  return value, {'feature_matching': value}
