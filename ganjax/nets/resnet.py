"""The residual networks of SNGAN (Miyato et al. 2018, arXiv:1802.05957), with projection (arXiv:1802.05637).

With `attention` in both players and `spectral` in G, too, they are SAGAN's (Zhang et al. 2019, arXiv:1805.08318).

Layer for layer those of torch-mimicry, with which the published CIFAR-10 tables were made, to rounding:
bilinear up-sampling, sum pooling, a first D block that pools before its shortcut's convolution, and
shortcuts of later D blocks that see the rectified input. WGAN-GP takes `spectral=False, pool='mean'`.
16 pixels are ours: the networks for 32 without a block.
Biases whose effect a batch norm removes are left out (in front of attention it doesn't).

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
from ganjax.nets.attention import SelfAttention
from ganjax.nets.heads import Inside, Judgement, Minibatch, beside, judged, minibatch_std
from ganjax.ops import resample
from ganjax.types import Array

# resolution -> side of G's first features, and by what `width` is divided there and after each block up
GENERATORS = {
  16: (4, (1, 1, 1)), 32: (4, (1, 1, 1, 1)), 48: (6, (1, 2, 4, 8)), 64: (4, (1, 2, 4, 8, 16)),
  128: (4, (1, 1, 2, 4, 8, 16)),
}  # fmt: skip
# resolution -> by what `width` is divided after each block of D, and how many of the blocks halve the image
DISCRIMINATORS = {
  16: ((1, 1, 1), 2), 32: ((1, 1, 1, 1), 2), 48: ((16, 8, 4, 2, 1), 4), 64: ((16, 8, 4, 2, 1), 5), 128: ((16, 8, 4, 2, 1, 1), 5),
}  # fmt: skip


class Generator(nn.Module):
  """Latent [B, Z] (and label [B], with classes) -> image [B, resolution, resolution, channels] in [-1, 1]."""

  resolution: int = 32
  channels: int = 3
  width: int = 256  # channels of the first features
  upsample: Literal['bilinear', 'nearest'] = 'bilinear'
  spectral: bool = False
  attention: int = 0  # side of the maps with self-attention, 0: none
  classes: int = 0  # conditional batch norm
  initializer: layers.Initial = 'xavier'
  dtype: str = 'float32'

  def __post_init__(self) -> None:
    layers.check(self.resolution, self.channels, tuple(GENERATORS))
    side, divisors = GENERATORS[self.resolution]
    layers.check_width(self.width, divisors)
    check_attention(self.attention, {side * 2**i: self.width // d for i, d in enumerate(divisors) if i})
    super().__post_init__()

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool = False, axis: str | None = None) -> Array:
    side, divisors = GENERATORS[self.resolution]
    common: dict[str, Any] = {
      'kernel_init': layers.INITIALIZERS[self.initializer], 'spectral': self.spectral, 'dtype': self.dtype
    }  # fmt: skip
    x = layers.Dense(side * side * self.width, **common, name='project')(x, train)
    x = x.reshape(-1, side, side, self.width)
    for i, divisor in enumerate(divisors[1:]):
      bias = x.shape[1] < self.attention
      up = UpBlock(self.width // divisor, self.upsample, self.classes, bias, common, name=f'block{i}')
      x = up(x, label, train=train, axis=axis)
      if x.shape[1] == self.attention:
        x = SelfAttention(**common, name='attention')(x, train)
    x = nn.relu(layers.Norm('batch', dtype=self.dtype, name='norm')(x, train=train, axis=axis))
    return jnp.tanh(layers.Conv(self.channels, 3, **common, name='image')(x, train))


class Discriminator(nn.Module):
  """Image [B, resolution, resolution, channels] (and label [B], with classes) -> logits [B], as in `judged`."""

  resolution: int = 32
  channels: int = 3
  width: int = 128  # channels of the last features
  spectral: bool = True
  end_iterates: bool = False  # the last layers' power iteration also runs at evaluation, as torch-mimicry's own
  attention: int = 0  # side of the maps with self-attention, 0: none
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
    divisors, halvings = DISCRIMINATORS[self.resolution]
    layers.check_width(self.width, divisors)
    check_attention(self.attention, {self.resolution >> i + 1: self.width // divisors[i] for i in range(halvings)})
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
      if down and self.resolution >> i + 1 == self.attention:
        x = SelfAttention(**common, name='attention')(x, train)
    if self.minibatch == 'std':
      x = minibatch_std(x, axis=axis)
    x = nn.relu(x).astype(jnp.float32)
    x = (x.sum((1, 2)) if self.pool == 'sum' else x.mean((1, 2))).astype(self.dtype)
    if self.spectral and self.end_iterates:
      common['spectral'] = 'always'
    return judged(self, x, label, common, train=train, axis=axis)


def check_attention(side: int, widths: Mapping[int, int]) -> None:
  """Raises ValueError for attention to maps that there aren't, or of too few channels; `widths` are by side."""
  if side and widths.get(side, 0) < 8:
    valid = ', '.join(str(n) for n, width in widths.items() if width >= 8)
    raise ValueError(f'attention: {side}; valid are 0 (none), {valid or "and with at least 8 channels more"}')


class UpBlock(nn.Module):
  """Norm, ReLU, up, convolution, norm, ReLU, convolution; beside it a 1x1 convolution: [B, H, W, C] -> [B, 2H, 2W, O]."""

  features: int
  upsample: str
  classes: int
  bias: bool
  common: dict[str, Any]

  @nn.compact
  def __call__(self, x: Array, label: Array | None, *, train: bool, axis: str | None) -> Array:
    up = resample.upsample_bilinear if self.upsample == 'bilinear' else resample.upsample_nearest
    conv = partial(layers.Conv, self.features, **self.common)
    norm = partial(layers.Norm, 'batch', self.classes, dtype=self.common['dtype'])
    shortcut = up(conv(kernel=1, use_bias=self.bias, name='shortcut')(x, train))
    x = nn.relu(norm(name='norm0')(x, label, train=train, axis=axis))
    x = conv(kernel=3, gain=sqrt(2), use_bias=False, name='conv0')(up(x), train)
    x = nn.relu(norm(name='norm1')(x, label, train=train, axis=axis))
    return conv(kernel=3, gain=sqrt(2), use_bias=self.bias, name='conv1')(x, train) + shortcut


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
