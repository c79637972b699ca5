"""Multi-layer perceptrons for rows of numbers (Goodfellow et al. 2014, arXiv:1406.2661)."""

from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
from flax.core import FrozenDict

from ganjax.nets import layers
from ganjax.nets.heads import Inside, Judgement, Minibatch, beside, judged, minibatch_std
from ganjax.types import Array


class Generator(nn.Module):
  """Latent [B, Z] (and label [B], with classes) -> row [B, features], unbounded."""

  features: int = 2
  hidden: Sequence[int] = (128, 128)
  classes: int = 0  # the label joins the latent as a one-hot vector
  initializer: layers.Initial = 'he'
  dtype: str = 'float32'

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool = False, axis: str | None = None) -> Array:  # noqa: ARG002
    common: dict[str, Any] = {'kernel_init': layers.INITIALIZERS[self.initializer], 'dtype': self.dtype}
    x = layers.concatenated(x, label, self.classes)
    for i, width in enumerate(self.hidden):
      x = nn.relu(layers.Dense(width, **common, name=f'hidden{i}')(x))
    return layers.Dense(self.features, **common, name='out')(x)


class Discriminator(nn.Module):
  """Row [B, F] (and label [B], with classes) -> logits [B], as in `judged`."""

  hidden: Sequence[int] = (128, 128)
  classes: int = 0
  inside: Inside = 'projection'  # how the label, with classes, enters the logit
  heads: Mapping[str, int] = FrozenDict()  # further linear outputs: name -> how many
  proxies: int = 0  # numbers in each class's own vector, for losses that compare with it
  minibatch: Minibatch = 'none'
  spectral: bool = False
  initializer: layers.Initial = 'he'
  dtype: str = 'float32'

  @nn.compact
  def __call__(
    self, x: Array, label: Array | None = None, *, train: bool = False, axis: str | None = None
  ) -> Judgement:
    common: dict[str, Any] = {
      'kernel_init': layers.INITIALIZERS[self.initializer],
      'spectral': self.spectral,
      'dtype': self.dtype,
    }
    if self.classes and self.inside == 'concat':
      x = beside(x, label, self.classes)
    for i, width in enumerate(self.hidden):
      x = nn.leaky_relu(layers.Dense(width, **common, name=f'hidden{i}')(x, train), 0.2)
    if self.minibatch == 'std':
      x = minibatch_std(x, axis=axis)
    return judged(self, x, label, common, train=train, axis=axis)
