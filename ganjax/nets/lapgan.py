"""The networks of LAPGAN's finer levels: from a coarse image to a finer one (Denton et al. 2015, arXiv:1506.05751).

G sees the coarse image, brought to its own size, and a plane of noise beside its channels; what its convolutions give is
added to the coarse image. On CIFAR-10 the paper's G has three layers of convolutions and its D two (section 4.1).
"""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from flax.core import FrozenDict

from ganjax.nets import layers
from ganjax.nets.heads import Inside, Judgement, Minibatch, beside, judged, minibatch_std
from ganjax.types import Array


class Generator(nn.Module):
  """Noise [B, resolution, resolution, 1] and `coarse` [B, resolution, resolution, channels] -> image of that shape."""

  resolution: int = 32
  channels: int = 3
  width: int = 64
  depth: int = 2  # hidden convolutions
  kernel: int = 5
  classes: int = 0  # the label joins the input as planes
  initializer: layers.Initial = 'he'
  dtype: str = 'float32'

  def __post_init__(self) -> None:
    layers.check_least(self, channels=1, width=1, depth=1, kernel=1)
    super().__post_init__()

  @nn.compact
  def __call__(
    self,
    x: Array,
    label: Array | None = None,
    *,
    train: bool = False,  # noqa: ARG002
    axis: str | None = None,  # noqa: ARG002
    coarse: Array | None = None,
  ) -> Array:
    if x.ndim != 4:
      raise ValueError(
        f"noise: shape {x.shape}; this network takes planes, which the game 'lapgan' gives its finer levels"
      )
    coarse = conditioned(self, coarse, x.shape[0], self.channels)
    common: dict[str, Any] = {'kernel': self.kernel, 'dtype': self.dtype}
    y = jnp.concatenate([coarse, x.astype(coarse.dtype)], -1)
    if self.classes:
      y = beside(y, label, self.classes)
    for i in range(self.depth):
      init = layers.INITIALIZERS[self.initializer]
      y = nn.relu(layers.Conv(self.width, **common, kernel_init=init, name=f'hidden{i}')(y))
    # Small at first: training starts at the coarse image.
    residual = layers.Conv(self.channels, **common, kernel_init=layers.INITIALIZERS['normal'], name='residual')(y)
    return coarse + residual.astype(coarse.dtype)


class Discriminator(nn.Module):
  """Image [B, resolution, resolution, C] and `coarse`, of that shape -> logits [B], as in `judged`."""

  resolution: int = 32
  channels: int = 3
  width: int = 64
  depth: int = 2  # convolutions, all but the first of stride 2
  kernel: int = 5
  beside: bool = True  # the coarse image is shown, too; the paper's D sees the sum of residual and coarse image alone
  classes: int = 0
  inside: Inside = 'projection'  # how the label, with classes, enters the logit
  heads: Mapping[str, int] = FrozenDict()  # further linear outputs: name -> how many
  proxies: int = 0  # numbers in each class's own vector, for losses that compare with it
  minibatch: Minibatch = 'none'
  spectral: bool = False
  initializer: layers.Initial = 'he'
  dtype: str = 'float32'

  def __post_init__(self) -> None:
    layers.check_least(self, channels=1, width=1, depth=1, kernel=1)
    super().__post_init__()

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool = False, axis: str | None = None,
               coarse: Array | None = None) -> Judgement:  # fmt: skip
    coarse = conditioned(self, coarse, x.shape[0], x.shape[-1])
    init = layers.INITIALIZERS[self.initializer]
    common: dict[str, Any] = {'kernel_init': init, 'spectral': self.spectral, 'dtype': self.dtype}
    y = jnp.concatenate([x, coarse], -1) if self.beside else x
    if self.classes and self.inside == 'concat':
      y = beside(y, label, self.classes)
    for i in range(self.depth):
      y = layers.Conv(self.width, self.kernel, 2 if i else 1, **common, name=f'hidden{i}')(y, train)
      y = nn.leaky_relu(y, 0.2)
    if self.minibatch == 'std':
      y = minibatch_std(y, axis=axis)
    return judged(self, y.reshape(y.shape[0], -1), label, common, train=train, axis=axis)


def conditioned(module: Any, coarse: Array | None, count: int, channels: int) -> Array:
  """The coarse image; nothing at initialisation, when only shapes matter. Raises ValueError where there is none."""
  if coarse is None and not module.is_initializing():
    raise ValueError("coarse: this network refines a coarse image, which the game 'lapgan' gives its finer levels")
  return jnp.zeros((count, module.resolution, module.resolution, channels)) if coarse is None else coarse
