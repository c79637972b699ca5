"""Conditioning by cosines: between an image's embedding and its class's vector, and between two images of a batch.

f_i is the unit vector along the head 'embedding' of image i, v_y the one along the vector of class y. Both compare all
images of all devices with each other: B^2 cosines.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ganjax.conditioning.conditioning import Conditioning, View, label_of
from ganjax.types import Array, Metrics, Number

Cosines = tuple[Array, Array, Array]  # to the own class [B], to all images [B, B], and whether their classes agree


def contrastive(*, weight: Number = 1.0, temperature: Number = 1.0, dimension: int = 512) -> Conditioning:
  """ContraGAN's 2C loss: images and their class attract, others repel (Kang and Park 2020, arXiv:2006.12681, section 3).

  With t the temperature, the mean over i of
  -log ((exp(f_i.v_i/t) + sum_same exp(f_i.f_k/t)) / (exp(f_i.v_i/t) + sum_other exp(f_i.f_k/t))): `other` are all
  k but i, `same` those of i's class. D: weight times it, of reals; G: of fakes. `dimension` is that of the embedding.
  Defaults are those of StudioGAN's CIFAR-10.
  """

  def loss(cosines: Cosines) -> Array:
    own, images, same = cosines
    own, images = own[:, None] / temperature, images / temperature
    other = ~jnp.eye(len(images), dtype=bool)
    return (total(own, images, other) - total(own, images, other & same)).mean()

  return by_cosines(weight, dimension, loss)


def reacgan(
  *, weight: Number = 0.5, temperature: Number = 0.5, margin: Number = 0.98, dimension: int = 512
) -> Conditioning:
  """ReACGAN's D2D-CE: to the own class, away from images of others (Kang et al. 2021, arXiv:2111.01118, equation 6).

  With a_i = min(f_i.v_i - m, 0)/t and b_ik = max(f_i.f_k - (1 - m), 0)/t, m the margin and t the temperature, the mean
  over i of -log (exp(a_i) / (exp(a_i) + sum exp(b_ik))), k over images of other classes: pairs that are well off
  already don't move. D: weight times it, of reals; G: of fakes; `dimension` as in `contrastive`. Defaults are those of
  StudioGAN's CIFAR-10; its code divides exp(b_ik) by the largest of row i, which the equation doesn't.
  """

  def loss(cosines: Cosines) -> Array:
    own, images, same = cosines
    near = (jnp.minimum(own - margin, 0) / temperature)[:, None]
    apart = jnp.maximum(images - (1 - margin), 0) / temperature
    return (total(near, apart, ~same) - near[:, 0]).mean()

  return by_cosines(weight, dimension, loss)


def by_cosines(weight: Number, dimension: int, loss: Callable[[Cosines], Array]) -> Conditioning:
  """D loses weight loss(reals), G weight loss(fakes)."""

  def of(view: View, side: str) -> tuple[Array, Metrics]:
    label = label_of(view)
    embedding = unit(view.heads['embedding'])
    own = (embedding * unit(view.heads['proxy'])).sum(1)
    images = jnp.matmul(embedding, embedding.T, precision='highest')
    value = loss((own, images, label[:, None] == label))
    return weight * value, {f'class_loss_{side}': value, f'class_cosine_{side}': own.mean()}

  return Conditioning(
    'none',
    lambda classes: {'embedding': dimension},  # noqa: ARG005
    dimension,
    d=lambda real, fake: of(real, 'real'),  # noqa: ARG005
    g=lambda fake: of(fake, 'fake'),
  )


def unit(x: Array) -> Array:
  """x [B, N] over its length, float32; rows shorter than 1e-8 become 0, and have no gradient."""
  x = x.astype(jnp.float32)
  squares = jnp.square(x).sum(1, keepdims=True)
  long = squares > 1e-16
  return jnp.where(long, x * jax.lax.rsqrt(jnp.where(long, squares, 1)), 0)


def total(first: Array, others: Array, among: Array) -> Array:
  """log(exp(first) + sum of exp(others) among those marked) by rows: [B, 1], [B, B], [B, B] -> [B]."""
  return jax.nn.logsumexp(jnp.concatenate([first, jnp.where(among, others, -jnp.inf)], 1), axis=1)
