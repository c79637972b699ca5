"""A term that keeps the codes of fakes apart."""

import jax.numpy as jnp

from ganjax.ops import across
from ganjax.types import Array, Metrics, Number, Play, Scene


def pulling_away(scene: Scene, play: Play, *, weight: Number = 0.1) -> tuple[Array, Metrics]:
  """Pulling-away term, for G: weight E (cosine of s_i and s_j)^2 over pairs i != j (Zhao et al. 2017, equation 4).

  s are D's features of the fakes of all devices, the code of an autoencoder in the paper (arXiv:1609.03126).
  """
  features = (play.fake_heads or play.inspect(play.fake, play.fake_label)[1])['features']
  s = across.gather(features.astype(jnp.float32), scene.axis)
  n = len(s)
  s = s / jnp.sqrt(jnp.square(s).sum(1, keepdims=True) + 1e-12)
  value = weight * (jnp.square(s @ s.T).sum() - jnp.square(jnp.square(s).sum(1)).sum()) / (n * (n - 1))
  return value, {'pulling_away': value}
