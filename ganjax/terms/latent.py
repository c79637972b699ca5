"""Terms that compare what G makes of two latents."""

import jax.numpy as jnp

from ganjax.ops import across
from ganjax.terms.draws import normal
from ganjax.types import Array, Metrics, Number, Play, Scene

OTHER, NEAR = 0x6D73, 0x7A63


def mode_seeking(scene: Scene, play: Play, *, weight: Number = 1.0) -> tuple[Array, Metrics]:
  """Mode seeking, for G: weight / (E|G(z) - G(z')| / E|z - z'|), z' drawn anew (Mao et al. 2019, arXiv:1903.05628).

  The paper asks for the largest ratio of the two distances; like its code this takes the smallest inverse, of means
  over the batch of all devices. z' is standard normal and has z's label. Costs a second forward of G.
  """
  latent = normal(scene, OTHER, play.latent)
  images = across.mean(jnp.abs(play.fake - play.generator(latent, play.fake_label)).mean(), scene.axis)
  latents = across.mean(jnp.abs(play.latent - latent).mean(), scene.axis)
  value = weight / (images / latents + 1e-5)
  return value, {'mode_seeking': value}


def latent_consistency(
  scene: Scene, play: Play, *, weight: Number = 5.0, sigma: Number = 0.05
) -> tuple[Array, Metrics]:
  """zCR, for D: weight E (D(G(z)) - D(G(z + e)))^2, e ~ N(0, sigma^2) (Zhao et al. 2020, arXiv:2002.04724).

  Goes with `latent_diversity` for G; it alone is D's half of latent consistency. Costs a forward of G and two of D.
  """
  change = play.critic(play.fake, play.fake_label) - play.critic(nearby(scene, play, sigma), play.fake_label)
  value = weight * jnp.square(change).mean()
  return value, {'latent_consistency': value}


def latent_diversity(scene: Scene, play: Play, *, weight: Number = 0.5, sigma: Number = 0.05) -> tuple[Array, Metrics]:
  """zCR, for G: -weight E (G(z) - G(z + e))^2, mean over pixels (Zhao et al. 2020, arXiv:2002.04724)."""
  value = -weight * jnp.square(play.fake - nearby(scene, play, sigma)).mean()
  return value, {'latent_diversity': value}


def nearby(scene: Scene, play: Play, sigma: Number) -> Array:
  """G(z + e)."""
  return play.generator(play.latent + sigma * normal(scene, NEAR, play.latent), play.fake_label)
