"""Walks through latents, and what can be done between the layers of a style-based generator: pure functions.

Styles are the w [B, L, F] that `nets.stylegan2.Generator.styles` gives each of L layers; `synthesize` makes images of
them. `truncated`, which pulls them to their mean, is defined with the network.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
from jax.scipy.special import ndtr, ndtri

from ganjax.nets.stylegan2 import noise_images, truncated
from ganjax.types import Array, Key

__all__ = ['along', 'crossed', 'layer_noise', 'linear', 'mixed', 'spherical', 'truncated', 'truncated_normal', 'walk']

Between = Callable[[Array, Array, Array], Array]


def linear(a: Array, b: Array, t: Array) -> Array:
  """From a [..., Z] at t = 0 to b at t = 1, on a straight line; t broadcasts against them. For w, as in StyleGAN."""
  return a + t * (b - a)


def spherical(a: Array, b: Array, t: Array) -> Array:
  """From a [..., Z] at t = 0 to b at t = 1, on a great circle (Shoemake 1985; White 2016, arXiv:1609.04468).

  For normal latents, whose lengths hardly differ: between them on a straight line lie latents that are too short. Where
  a and b lie on a line, or one is 0, this is `linear`.
  """
  lengths = jnp.linalg.norm(a, axis=-1, keepdims=True) * jnp.linalg.norm(b, axis=-1, keepdims=True)
  cosine = (a * b).sum(-1, keepdims=True) / jnp.where(lengths > 0, lengths, 1)
  angle = jnp.arccos(jnp.clip(cosine, -1, 1))
  sine = jnp.sin(angle)
  bent = (jnp.sin((1 - t) * angle) * a + jnp.sin(t * angle) * b) / jnp.where(sine > 1e-3, sine, 1)
  return jnp.where((sine > 1e-3) & (lengths > 0), bent, linear(a, b, t))


def walk(points: Array, frames: int, between: Between = spherical) -> Array:
  """Points [K, ..., Z] -> [K frames, ..., Z]: from each to the next in so many frames, and from the last to the first.

  The point k is the frame k * frames.
  """
  t = (jnp.arange(frames) / frames).reshape(1, frames, *[1] * (points.ndim - 1))
  path = between(points[:, None], jnp.roll(points, -1, 0)[:, None], t)
  return path.reshape(-1, *points.shape[1:])


def along(prior: Mapping[str, Any], frames: int, between: Between = spherical) -> dict[str, Any]:
  """What `Game.prior` drew, [K, ...] leaves, as a `walk` through its latents; the first label is everyone's."""
  path = walk(jnp.asarray(prior['latent']), frames, between)
  return {name: path if name == 'latent' else jnp.repeat(x[:1], len(path), 0) for name, x in prior.items()}


def truncated_normal(latent: Array, threshold: float) -> Array:
  """Normal latents made those of a normal distribution cut off at +-threshold, which keeps their order and signs.

  The truncation trick (Brock et al. 2019, arXiv:1809.11096, section 3.1) draws again what lies outside; this has the
  same distribution, and a sample stays the same sample while the threshold changes.
  """
  outside = ndtr(jnp.float32(-threshold))
  return jnp.clip(ndtri(outside + ndtr(latent) * (1 - 2 * outside)), -threshold, threshold)


def mixed(ws: Array, other: Array, layers: Sequence[int]) -> Array:
  """Styles [B, L, F] with those of `other` in some layers (Karras et al. 2019, arXiv:1812.04948, section 3.1)."""
  taken = jnp.isin(jnp.arange(ws.shape[-2]), jnp.asarray(layers, jnp.int32))
  return jnp.where(taken[:, None], other, ws)


def crossed(rows: Array, columns: Array, layers: Sequence[int]) -> Array:
  """Styles of rows [R, L, F] with those of columns [C, L, F] in some layers -> [R C, L, F]: figure 3 there."""
  return mixed(rows[:, None], columns[None], layers).reshape(-1, *rows.shape[1:])


def layer_noise(sides: Sequence[int], choices: Sequence[str], key: Key | None = None,
                rows: Array | None = None) -> list[Any]:  # fmt: skip
  """For `synthesize(ws, noise=...)`, each layer's own: 'const', 'none', or 'random' from (key, row).

  Args:
    sides: `Generator.noise_sides`.
    choices: one for each layer.
    key: for 'random', as in training: what a row gets does not depend on the others.
    rows: the rows' numbers.

  Raises: ValueError.
  """
  if len(choices) != len(sides) or set(choices) - {'const', 'none', 'random'}:
    raise ValueError(f"choices: {list(choices)}; valid are {len(sides)} of 'const', 'none' and 'random'")
  if 'random' not in choices:
    return list(choices)
  if key is None or rows is None:
    raise ValueError("choices: 'random' needs a key and rows")
  drawn = noise_images(key, rows, sides)
  return [image if choice == 'random' else choice for image, choice in zip(drawn, choices, strict=True)]
