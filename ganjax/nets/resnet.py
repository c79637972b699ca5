"""The residual networks of SNGAN (Miyato et al. 2018, arXiv:1802.05957), with projection (arXiv:1802.05637).

Layer for layer those of torch-mimicry, with which the published CIFAR-10 tables were made, to rounding:
bilinear up-sampling, sum pooling, a first D block that pools before its shortcut's convolution, and
shortcuts of later D blocks that see the rectified input. WGAN-GP takes `spectral=False, pool='mean'`.
Biases whose effect a batch norm removes are left out.

Three identities save computation: 1x1 convolutions commute with interpolation and with pooling, and a
3x3 convolution followed by 2x2 pooling is one 4x4 convolution of stride 2.
"""

from collections.abc import Mapping
from functools import partial
from math import sqrt
from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
from flax.core import FrozenDict

from ganjax.nets import layers
from ganjax.nets.heads import Inside, Judgement, Minibatch, beside, judged, minibatch_std
from ganjax.ops import resample
from ganjax.types import Array

# resolution -> side of G's first features, and by what `width` is divided there and after each block up
GENERATORS = {32: (4, (1, 1, 1, 1)), 48: (6, (1, 2, 4, 8)), 64: (4, (1, 2, 4, 8, 16)), 128: (4, (1, 1, 2, 4, 8, 16))}
# resolution -> by what `width` is divided after each block of D, and how many of the blocks halve the image
DISCRIMINATORS = {
  32: ((1, 1, 1, 1), 2), 48: ((16, 8, 4, 2, 1), 4), 64: ((16, 8, 4, 2, 1), 5), 128: ((16, 8, 4, 2, 1, 1), 5),
}  # fmt: skip


class Generator(nn.Module):
  """Latent [B, Z] (and label [B], with classes) -> image [B, resolution, resolution, channels] in [-1, 1]."""

  resolution: int = 32
  channels: int = 3
  width: int = 256  # channels of the first features
  upsample: Literal['bilinear', 'nearest'] = 'bilinear'
  classes: int = 0  # conditional batch norm
  initializer: layers.Initial = 'xavier'
  dtype: str = 'float32'

  def __post_init__(self) -> None:
    layers.check(self.resolution, self.channels, tuple(GENERATORS))
    layers.check_width(self.width, GENERATORS[self.resolution][1])
    super().__post_init__()

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool = False, axis: str | None = None) -> Array:
    side, divisors = GENERATORS[self.resolution]
    common: dict[str, Any] = {'kernel_init': layers.INITIALIZERS[self.initializer], 'dtype': self.dtype}
    widths = [self.width // divisor for divisor in divisors]
    x = layers.Dense(side * side * self.width, **common, name='project')(x).reshape(-1, side, side, self.width)
    for i, width in enumerate(widths[1:]):
      up = UpBlock(width, self.upsample, self.classes, common, name=f'block{i}')
      x = up(x, label, train=train, axis=axis)
    x = nn.relu(layers.Norm('batch', dtype=self.dtype, name='norm')(x, train=train, axis=axis))
    return jnp.tanh(layers.Conv(self.channels, 3, **common, name='image')(x))


class Discriminator(nn.Module):
  """Image [B, resolution, resolution, channels] (and label [B], with classes) -> logits [B], as in `judged`."""

  resolution: int = 32
  channels: int = 3
  width: int = 128  # channels of the last features
  spectral: bool = True
  pool: Literal['sum', 'mean'] = 'sum'
  classes: int = 0
  inside: Inside = 'projection'  # how the label, with classes, enters the logit
  heads: Mapping[str, int] = FrozenDict()  # further linear outputs: name -> how many
  proxies: int = 0  # numbers in each class's own vector, for losses that compare with it
  minibatch: Minibatch = 'none'
  initializer: layers.Initial = 'xavier'
  dtype: str = 'float32'

  def __post_init__(self) -> None:
    layers.check(self.resolution, self.channels, tuple(DISCRIMINATORS))
    layers.check_width(self.width, DISCRIMINATORS[self.resolution][0])
    super().__post_init__()

  @nn.compact
  def __call__(
    self, x: Array, label: Array | None = None, *, train: bool = False, axis: str | None = None
  ) -> Judgement:
    divisors, halvings = DISCRIMINATORS[self.resolution]
    kernel_init = layers.INITIALIZERS[self.initializer]
    common: dict[str, Any] = {'kernel_init': kernel_init, 'spectral': self.spectral, 'dtype': self.dtype}
    if self.classes and self.inside == 'concat':
      x = beside(x, label, self.classes)
    for i, divisor in enumerate(divisors):
      down = i < halvings
      x = DownBlock(self.width // divisor, down, i == 0, common, name=f'block{i}')(x, train)
    if self.minibatch == 'std':
      x = minibatch_std(x, axis=axis)
    x = nn.relu(x).astype(jnp.float32)
    x = (x.sum((1, 2)) if self.pool == 'sum' else x.mean((1, 2))).astype(self.dtype)
    return judged(self, x, label, common, train=train, axis=axis)


class UpBlock(nn.Module):
  """Norm, ReLU, up, convolution, norm, ReLU, convolution; beside it a 1x1 convolution: [B, H, W, C] -> [B, 2H, 2W, O]."""

  features: int
  upsample: str
  classes: int
  common: dict[str, Any]

  @nn.compact
  def __call__(self, x: Array, label: Array | None, *, train: bool, axis: str | None) -> Array:
    up = resample.upsample_bilinear if self.upsample == 'bilinear' else resample.upsample_nearest
    conv = partial(layers.Conv, self.features, use_bias=False, **self.common)
    norm = partial(layers.Norm, 'batch', self.classes, dtype=self.common['dtype'])
    shortcut = up(conv(kernel=1, name='shortcut')(x))
    x = nn.relu(norm(name='norm0')(x, label, train=train, axis=axis))
    x = conv(kernel=3, gain=sqrt(2), name='conv0')(up(x))
    x = nn.relu(norm(name='norm1')(x, label, train=train, axis=axis))
    return conv(kernel=3, gain=sqrt(2), name='conv1')(x) + shortcut


class DownBlock(nn.Module):
  """ReLU, convolution, ReLU, convolution, pooling; beside it a 1x1 convolution if shapes change. The first has no first ReLU."""

  features: int
  down: bool
  first: bool
  common: dict[str, Any]

  @nn.compact
  def __call__(self, x: Array, train: bool) -> Array:
    c = x.shape[-1]
    if not self.first:
      x = nn.relu(x)
    hidden = layers.Conv(self.features if self.first else c, kernel=3, gain=sqrt(2), **self.common, name='conv0')(
      x, train
    )
    second = layers.Conv(self.features, kernel=3, gain=sqrt(2), pool=self.down, **self.common, name='conv1')
    y = second(nn.relu(hidden), train)
    if not self.down and c == self.features:
      return y + x
    pooled = resample.average_pool(x) if self.down else x
    return y + layers.Conv(self.features, kernel=1, **self.common, name='shortcut')(pooled, train)
