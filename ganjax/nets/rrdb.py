"""ESRGAN's generator of residual in residual dense blocks (Wang et al. 2018, arXiv:1809.00219, section 3.1).

`blocks` times three dense blocks of five convolutions, each of which sees all before it; what a dense block and three
of them add is scaled by .2. Nothing is normalised. Initial weights of the blocks are He's scaled by .1, the others are
PyTorch's defaults. The image is then doubled twice. For a `scale` of 2 or 1, blocks of 2x2 or 4x4 pixels first become
channels, as in BasicSR: so it costs the same at any scale.
"""

from functools import partial
from itertools import accumulate, pairwise

import flax.linen as nn
import jax.numpy as jnp

from ganjax.nets import layers
from ganjax.ops.conv import conv
from ganjax.ops.resample import pixel_unshuffle, upsample_conv
from ganjax.types import Array

SCALES = (1, 2, 4)
RESIDUAL = 0.2
DEFAULT = nn.initializers.variance_scaling(1 / 3, 'fan_in', 'uniform')  # PyTorch's, for weights


class Generator(nn.Module):
  """Image [B, H, W, C], of multiples of 4 / scale pixels -> [B, scale H, scale W, channels], unbounded; in [0, 1] or [-1, 1]."""

  channels: int = 3
  width: int = 64
  blocks: int = 23
  growth: int = 32  # channels that each convolution of a dense block adds
  scale: int = 4
  dtype: str = 'float32'

  def __post_init__(self) -> None:
    layers.check_least(self, channels=1, width=1, blocks=0, growth=1)
    check_scale(self.scale, SCALES)
    super().__post_init__()

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool = False, axis: str | None = None) -> Array:  # noqa: ARG002
    fold = 4 // self.scale
    layers.check_image(x, multiple=fold)
    layer = partial(layers.Conv, self.width, kernel_init=DEFAULT, dtype=self.dtype)
    x = layer(name='first')(pixel_unshuffle(x, fold))
    y = x
    for i in range(self.blocks):
      y = Block(self.growth, self.dtype, name=f'block{i}')(y)
    x += layer(name='trunk')(y)
    for i in range(2):
      x = nn.leaky_relu(layer(convolve=upsample_conv, name=f'up{i}')(x), 0.2)
    x = nn.leaky_relu(layer(name='high')(x), 0.2)
    return layers.Conv(self.channels, kernel_init=DEFAULT, dtype=self.dtype, name='last')(x)


class Block(nn.Module):
  """Residual in residual dense block, [B, H, W, C] -> the same."""

  growth: int
  dtype: str

  @nn.compact
  def __call__(self, x: Array) -> Array:
    y = x
    for i in range(3):
      y = Dense(self.growth, self.dtype, name=f'dense{i}')(y)
    return x + RESIDUAL * y


class Dense(nn.Module):
  """Residual dense block, [B, H, W, C] -> the same.

  A convolution of several maps is the sum of one each: so every map is convolved once, for all that see it, and
  nothing is put together but kernels.
  """

  growth: int
  dtype: str

  @nn.compact
  def __call__(self, x: Array) -> Array:
    first, grown = x.shape[-1], [self.growth] * 4
    ends = [0, *accumulate([first, *grown])]
    layer = [Weights(end, out, self.dtype, name=f'conv{i}')()
             for i, (end, out) in enumerate(zip(ends[1:], [*grown, first], strict=True))]  # fmt: skip
    kernels, sums = [w for w, _ in layer], [bias for _, bias in layer]
    y = x.astype(self.dtype)
    for i, (low, high) in enumerate(pairwise(ends)):
      w = jnp.concatenate([w[:, :, low:high] for w in kernels[i:]], -1)
      parts = jnp.split(conv(y, w), list(accumulate(grown[i:])), -1)
      sums[i:] = [total + part for total, part in zip(sums[i:], parts, strict=True)]
      y = nn.leaky_relu(sums[i], 0.2)
    return x + RESIDUAL * sums[-1]


class Weights(nn.Module):
  """Kernel [3, 3, inputs, features] and bias [features] of a convolution of a dense block."""

  inputs: int
  features: int
  dtype: str

  @nn.compact
  def __call__(self) -> tuple[Array, Array]:
    init = layers.scaled(layers.INITIALIZERS['he'], 0.1)
    w = self.param('kernel', init, (3, 3, self.inputs, self.features), jnp.float32)
    bias = self.param('bias', nn.initializers.zeros, (self.features,), jnp.float32)
    return w.astype(self.dtype), bias.astype(self.dtype)


def check_scale(scale: int, valid: tuple[int, ...]) -> None:
  """Raises ValueError for a scale that a network doesn't have."""
  if scale not in valid:
    raise ValueError(f'scale: {scale}; valid are {", ".join(map(str, valid))}')
