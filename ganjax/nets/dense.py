"""Fully connected networks for small images (Goodfellow et al. 2014, arXiv:1406.2661, section 5).

LAPGAN has them at its coarsest level: 1200 units in two layers of G, 600 in two of D, with dropout there.
"""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.core import FrozenDict

from ganjax.nets import layers
from ganjax.nets.heads import Inside, Judgement, Minibatch, beside, judged, minibatch_std
from ganjax.ops import across
from ganjax.types import Array, Key


class Generator(nn.Module):
  """Latent [B, Z] (and label [B], with classes) -> image [B, resolution, resolution, channels] in [-1, 1]."""

  resolution: int = 8
  channels: int = 3
  hidden: Sequence[int] = (1200, 1200)
  classes: int = 0  # the label joins the latent as a one-hot vector
  initializer: layers.Initial = 'he'
  dtype: str = 'float32'

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool = False, axis: str | None = None) -> Array:  # noqa: ARG002
    common: dict[str, Any] = {'kernel_init': layers.INITIALIZERS[self.initializer], 'dtype': self.dtype}
    x = layers.concatenated(x, label, self.classes)
    for i, width in enumerate(self.hidden):
      x = nn.relu(layers.Dense(width, **common, name=f'hidden{i}')(x))
    shape = (self.resolution, self.resolution, self.channels)
    return jnp.tanh(layers.Dense(prod(shape), **common, name='image')(x)).reshape(-1, *shape)


class Discriminator(nn.Module):
  """Image [B, H, W, C] (and label [B], with classes) -> logits [B], as in `judged`."""

  hidden: Sequence[int] = (600, 600)
  dropout: float = 0.0  # share of the units of each hidden layer that are dropped in training
  classes: int = 0
  inside: Inside = 'projection'  # how the label, with classes, enters the logit
  heads: Mapping[str, int] = FrozenDict()  # further linear outputs: name -> how many
  proxies: int = 0  # numbers in each class's own vector, for losses that compare with it
  minibatch: Minibatch = 'none'
  spectral: bool = False
  initializer: layers.Initial = 'he'
  dtype: str = 'float32'

  def __post_init__(self) -> None:
    layers.check_dropout(self.dropout)
    super().__post_init__()

  @nn.compact
  def __call__(
    self,
    x: Array,
    label: Array | None = None,
    *,
    train: bool = False,
    axis: str | None = None,
    key: Key | None = None,
    rows: Array | None = None,
  ) -> Judgement:
    init = layers.INITIALIZERS[self.initializer]
    common: dict[str, Any] = {'kernel_init': init, 'spectral': self.spectral, 'dtype': self.dtype}
    rows = across.rows(x.shape[0], axis) if rows is None else rows
    x = x.reshape(x.shape[0], -1)
    if self.classes and self.inside == 'concat':
      x = beside(x, label, self.classes)
    for i, width in enumerate(self.hidden):
      x = nn.leaky_relu(layers.Dense(width, **common, name=f'hidden{i}')(x, train), 0.2)
      if key is not None and self.dropout:
        x = layers.dropped(x, self.dropout, jax.random.fold_in(key, i), rows)
    if self.minibatch == 'std':
      x = minibatch_std(x, axis=axis)
    return judged(self, x, label, common, train=train, axis=axis)
