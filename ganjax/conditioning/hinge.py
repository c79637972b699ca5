"""Conditioning by one classifier of K + 1 classes that is the whole of D."""

import jax
import jax.numpy as jnp

from ganjax.conditioning.conditioning import Conditioning, View, accuracy, label_of, picked
from ganjax.types import Array, Metrics, Number


def multi_hinge(*, g_weight: Number = 1.0) -> Conditioning:
  """Multi-hinge: the hinge loss of K classes and a class of fakes, K + 1 (Kavalerov et al. 2021, arXiv:1912.04216).

  With h(x, y) = max(0, 1 + max over k != y of C_k(x) - C_y(x)) (Crammer and Singer 2001) D: E h(x, y) + E h(G(z), K + 1),
  G: g_weight E h(G(z), y). Head 'class', K + 1 outputs; the adversarial loss is not used. StudioGAN's MHGAN takes
  g_weight .05 and adds feature matching to G's loss: the term `feature_matching`.
  """

  def d(real: View, fake: View) -> tuple[Array, Metrics]:
    said, label = real.heads['class'], label_of(real)
    rejected = jnp.full_like(label_of(fake), said.shape[1] - 1)
    value = hinge(said, label) + hinge(fake.heads['class'], rejected)
    return value, {
      'class_accuracy_real': accuracy(said, label), 'rejected_fake': accuracy(fake.heads['class'], rejected),
    }  # fmt: skip

  def g(fake: View) -> tuple[Array, Metrics]:
    said, label = fake.heads['class'], label_of(fake)
    return g_weight * hinge(said, label), {'class_accuracy_fake': accuracy(said, label)}

  return Conditioning('none', lambda classes: {'class': classes + 1}, 0, d, g, alone=True)


def hinge(x: Array, label: Array) -> Array:
  """E max(0, 1 + the largest of the other entries - the label's own) of x [B, K] and label [B], []."""
  own = jnp.arange(x.shape[1]) == label[:, None]
  wrong = jnp.where(own, -jnp.inf, x.astype(jnp.float32)).max(1)
  return jax.nn.relu(1 + wrong - picked(x, label)).mean()
