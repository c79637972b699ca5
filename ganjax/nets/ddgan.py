"""Networks that know of the time and of a noisy image: those of denoising diffusion GANs (Xiao et al. 2022).

arXiv:2112.07804, appendix: G is a U-Net of residual blocks (Ho et al. 2020; Song et al. 2021) that guesses a clean image
from a noisy one; time joins each block as a vector, and the latent, through a mapping network, as gain and bias of its
group norms. D sees an image and the noisier one that it is to go with, and time as G does. With `width` 128 and
`multipliers` (1, 2, 2, 2), `attention` 16, in G, and 128 and (1, 2, 4, 4) in D they are of the size of the paper's on
CIFAR-10. Up and down here are nearest neighbours and means of 2x2 pixels, the attention is SAGAN's.
"""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from flax.core import FrozenDict

from ganjax.nets import layers
from ganjax.nets.attention import SelfAttention
from ganjax.nets.heads import Inside, Judgement, Minibatch, beside, judged, minibatch_std
from ganjax.ops.resample import average_pool, upsample_nearest
from ganjax.types import Array

RESAMPLED = {'down': average_pool, 'up': upsample_nearest, '': lambda x: x}


class Generator(nn.Module):
  """Latent [B, Z], `noisy` [B, resolution, resolution, channels] and `time` int [B] -> image of that shape in [-1, 1]."""

  resolution: int = 32
  channels: int = 3
  width: int = 128
  multipliers: Sequence[int] = (1, 2, 2, 2)  # of the width, at each halving of the resolution
  blocks: int = 2  # at each size, one more on the way up
  attention: int = 0  # side of the maps with self-attention, 0: none
  style_width: int = 256
  mapping: int = 4  # layers between the latent and the style
  classes: int = 0  # the label joins time
  initializer: layers.Initial = 'he'
  dtype: str = 'float32'

  def __post_init__(self) -> None:
    check(self)
    layers.check_least(self, blocks=1, style_width=1, mapping=1)
    sides = [self.resolution >> i for i in range(len(self.multipliers))]
    if self.attention and self.attention not in sides:
      raise ValueError(f'attention: {self.attention}; valid are 0 (none), {", ".join(map(str, sides))}')
    super().__post_init__()

  @nn.compact
  def __call__(
    self,
    x: Array,
    label: Array | None = None,
    *,
    train: bool = False,  # noqa: ARG002
    axis: str | None = None,  # noqa: ARG002
    noisy: Array | None = None,
    time: Array | None = None,
  ) -> Array:
    shape = (x.shape[0], self.resolution, self.resolution, self.channels)
    noisy, time = conditioned(self, noisy, time, shape)
    common: dict[str, Any] = {'kernel_init': layers.INITIALIZERS[self.initializer], 'dtype': self.dtype}
    x = x / jnp.sqrt(jnp.square(x).mean(-1, keepdims=True) + 1e-8)
    for i in range(self.mapping):
      x = nn.silu(layers.Dense(self.style_width, **common, name=f'mapping{i}')(x))
    when = Clock(4 * self.width, self.classes, common, name='time')(time, label)

    def block(y: Array, width: int, resampled: str, name: str) -> Array:
      return Block(width, resampled, common, name=name)(y, when, x)

    def seen(y: Array, name: str) -> Array:
      return SelfAttention(dtype=self.dtype, name=name)(y) if y.shape[1] == self.attention else y

    y = layers.Conv(self.width, 3, **common, name='in')(noisy)
    maps, widths = [y], [self.width * m for m in self.multipliers]
    for i, width in enumerate(widths):
      if i:
        y = block(y, y.shape[-1], 'down', f'halved{i}')
        maps.append(y)
      for j in range(self.blocks):
        y = seen(block(y, width, '', f'down{i}_{j}'), f'down_attention{i}_{j}')
        maps.append(y)
    y = block(seen(block(y, y.shape[-1], '', 'middle0'), 'attention'), y.shape[-1], '', 'middle1')
    for i, width in reversed(list(enumerate(widths))):
      for j in range(self.blocks + 1):
        y = seen(block(jnp.concatenate([y, maps.pop()], -1), width, '', f'up{i}_{j}'), f'up_attention{i}_{j}')
      y = block(y, width, 'up', f'doubled{i}') if i else y
    y = nn.silu(Normed(common, name='norm')(y, x))
    return jnp.tanh(layers.Conv(self.channels, 3, dtype=self.dtype, name='image')(y))


class Discriminator(nn.Module):
  """Image [B, H, W, C], `noisy` of that shape and `time` int [B] -> logits [B], as in `judged`."""

  resolution: int = 32
  channels: int = 3
  width: int = 128
  multipliers: Sequence[int] = (1, 2, 4, 4)  # of the width, at each halving of the resolution
  classes: int = 0
  inside: Inside = 'projection'  # how the label, with classes, enters the logit
  heads: Mapping[str, int] = FrozenDict()  # further linear outputs: name -> how many
  proxies: int = 0  # numbers in each class's own vector, for losses that compare with it
  minibatch: Minibatch = 'std'
  spectral: bool = False
  initializer: layers.Initial = 'he'
  dtype: str = 'float32'

  def __post_init__(self) -> None:
    check(self)
    super().__post_init__()

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool = False, axis: str | None = None,
               noisy: Array | None = None, time: Array | None = None) -> Judgement:  # fmt: skip
    noisy, time = conditioned(self, noisy, time, x.shape)
    init = layers.INITIALIZERS[self.initializer]
    common: dict[str, Any] = {'kernel_init': init, 'spectral': self.spectral, 'dtype': self.dtype}
    when = Clock(self.width, 0, {'kernel_init': init, 'dtype': self.dtype}, name='time')(time)
    y = jnp.concatenate([x, noisy], -1)
    if self.classes and self.inside == 'concat':
      y = beside(y, label, self.classes)
    y = layers.Conv(self.width, 1, **common, name='in')(y, train)
    for i, multiplier in enumerate(self.multipliers):
      y = Down(self.width * multiplier, i > 0, common, name=f'block{i}')(y, when, train)
    if self.minibatch == 'std':
      y = minibatch_std(y, axis=axis)
    y = nn.leaky_relu(layers.Conv(self.width * self.multipliers[-1], 3, **common, name='last')(y, train), 0.2)
    return judged(self, y.astype(jnp.float32).sum((1, 2)), label, common, train=train, axis=axis)


class Clock(nn.Module):
  """Steps of time, int [B] (and labels) -> [B, width]: sines and cosines (Vaswani et al. 2017), and two dense layers."""

  width: int
  classes: int
  common: dict[str, Any]

  @nn.compact
  def __call__(self, time: Array, label: Array | None = None) -> Array:
    turns = time[:, None] * 10_000.0 ** -(jnp.arange(self.width // 2) / (self.width // 2))
    x = jnp.concatenate([jnp.sin(turns), jnp.cos(turns)], -1)
    x = layers.Dense(self.width, **self.common, name='dense0')(x)
    if self.classes:
      x += layers.Embed(self.classes, self.width, **self.common, name='label')(layers.required(label))
    return layers.Dense(self.width, **self.common, name='dense1')(nn.silu(x))


class Normed(nn.Module):
  """Group norm (Wu and He 2018) whose gain and bias a style [B, F] decides: x [B, H, W, C] -> the same."""

  common: dict[str, Any]

  @nn.compact
  def __call__(self, x: Array, style: Array) -> Array:
    c = x.shape[-1]
    groups = max(n for n in range(1, max(min(32, c // 4), 1) + 1) if c % n == 0)
    x = nn.GroupNorm(groups, epsilon=1e-6, use_bias=False, use_scale=False, dtype=self.common['dtype'], name='norm')(x)
    said = layers.Dense(2 * c, **self.common, name='style')(style)[:, None, None]
    return x * (1 + said[..., :c]) + said[..., c:]


class Block(nn.Module):
  """Norm, SiLU, convolution, time, norm, SiLU, convolution, and the shortcut: [B, H, W, C] -> [B, H', W', features]."""

  features: int
  resampled: str  # 'up', 'down' or ''
  common: dict[str, Any]

  @nn.compact
  def __call__(self, x: Array, time: Array, style: Array) -> Array:
    resample = RESAMPLED[self.resampled]
    y = nn.silu(Normed(self.common, name='norm0')(x, style))
    y = layers.Conv(self.features, 3, **self.common, name='conv0')(resample(y))
    y += layers.Dense(self.features, **self.common, name='time')(nn.silu(time))[:, None, None]
    y = nn.silu(Normed(self.common, name='norm1')(y, style))
    y = layers.Conv(self.features, 3, dtype=self.common['dtype'], name='conv1')(y)  # small at first
    x = resample(x)
    if x.shape[-1] != self.features:
      x = layers.Conv(self.features, 1, **self.common, name='shortcut')(x)
    return (x + y) / sqrt(2)


class Down(nn.Module):
  """Leaky ReLU, convolution, time, leaky ReLU, convolution, pooling, and the shortcut: [B, H, W, C] -> [B, H', W', features]."""

  features: int
  halved: bool
  common: dict[str, Any]

  @nn.compact
  def __call__(self, x: Array, time: Array, train: bool) -> Array:
    y = layers.Conv(self.features, 3, **self.common, name='conv0')(nn.leaky_relu(x, 0.2), train)
    y += layers.Dense(self.features, **self.common, name='time')(nn.leaky_relu(time, 0.2), train)[:, None, None]
    second = layers.Conv(self.features, 3, pool=self.halved, **self.common, name='conv1')
    y = second(nn.leaky_relu(y, 0.2), train)
    x = average_pool(x) if self.halved else x
    if x.shape[-1] != self.features:
      x = layers.Conv(self.features, 1, use_bias=False, **self.common, name='shortcut')(x, train)
    return (x + y) / sqrt(2)


def check(module: Any) -> None:
  """Raises ValueError for sizes that a network can't be of."""
  layers.check_least(module, channels=1, width=4)
  if not module.multipliers or min(module.multipliers) < 1:
    raise ValueError(f'multipliers: {tuple(module.multipliers)}; valid are numbers from 1, at least one')
  if module.width % 2 or module.resolution % 2 ** (len(module.multipliers) - 1):
    raise ValueError(f'width, multipliers: {module.width}, {tuple(module.multipliers)}; valid are an even width and no more '
                     f'multipliers than halvings of {module.resolution} pixels allow')  # fmt: skip


def conditioned(module: Any, noisy: Array | None, time: Array | None, shape: Sequence[int]) -> tuple[Array, Array]:
  """The noisy image and time; zeros at initialisation, when only shapes matter. Raises ValueError without them."""
  if noisy is not None and time is not None:
    return noisy, time
  if not module.is_initializing():
    raise ValueError("noisy, time: this network undoes a diffusion, of which the game 'ddgan' tells it")
  return jnp.zeros(shape), jnp.zeros(shape[0], jnp.int32)
