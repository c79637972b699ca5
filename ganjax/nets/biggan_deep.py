"""BigGAN-deep (Brock et al. 2019, arXiv:1809.11096, appendix B): blocks with a bottleneck, two at each resolution.

Shortcuts keep the identity: where channels become fewer, G drops the last ones, and where they become more, D makes the
further ones by a 1x1 convolution. The whole latent stands beside the class's embedding in every batch norm. Spectral
norm, batch norm and biases are as in `biggan`. G's last convolution makes the image's channels alone, as in the paper's
tables; the published weights carry further ones that are dropped.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from flax.core import FrozenDict

from ganjax.nets import layers
from ganjax.nets.attention import SelfAttention
from ganjax.nets.biggan import Norm, fixed, learns_bias, spectrally
from ganjax.nets.heads import Inside, Judgement, Minibatch, beside, judged, minibatch_std
from ganjax.nets.resnet import check_attention
from ganjax.ops import resample
from ganjax.ops.spectral import EPSILON
from ganjax.types import Array

# resolution -> what `width` is multiplied by for the first features and after each stage
GENERATORS = {
  32: (4, 4, 4, 4), 64: (16, 16, 8, 4, 2), 128: (16, 16, 8, 4, 2, 1), 256: (16, 16, 8, 8, 4, 2, 1),
  512: (16, 16, 8, 8, 4, 2, 1, 1),
}  # fmt: skip
# The same of D; every stage halves the image, but the third of 32.
DISCRIMINATORS = {
  32: (4, 4, 4, 4), 64: (1, 2, 4, 8, 16), 128: (1, 2, 4, 8, 16, 16), 256: (1, 2, 4, 8, 8, 16, 16),
  512: (1, 1, 2, 4, 8, 8, 16, 16),
}  # fmt: skip
REDUCTION = 4  # channels of a block's sum to those of its bottleneck


class Generator(nn.Module):
  """Latent [B, Z] (and label, with classes) -> image [B, resolution, resolution, channels] in [-1, 1].

  A label is a class [B] or shares of the classes [B, classes].
  """

  truncates_latents = True  # `ganjax sample --truncation` cuts off the latents' distribution
  resolution: int = 32
  channels: int = 3
  classes: int = 0
  width: int = 128  # the paper's ch
  depth: int = 2  # blocks at each resolution
  shared_dim: int = 128  # of the classes' embedding
  attention: Sequence[int] = ()  # sides of the maps with self-attention
  spectral: bool = True
  spectral_epsilon: float = EPSILON
  unbiased: bool = True
  initializer: layers.Initial = 'orthogonal'
  dtype: str = 'float32'

  def __post_init__(self) -> None:
    layers.check(self.resolution, self.channels, tuple(GENERATORS))
    check_sizes(self, GENERATORS[self.resolution])
    for side in self.attention:
      check_attention(side, {4 * 2**i: self.width * n for i, n in enumerate(GENERATORS[self.resolution]) if i})
    super().__post_init__()

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool = False, axis: str | None = None) -> Array:
    common = spectrally(self)
    if self.classes:
      table = layers.Embed(self.classes, self.shared_dim, kernel_init=common['kernel_init'], name='embed')
      x = jnp.concatenate([x, table(layers.required(label))], -1)
    condition = x
    first, *widths = (self.width * n for n in GENERATORS[self.resolution])
    x = layers.Dense(16 * first, **common, name='project')(x, train).reshape(-1, 4, 4, first)
    for i, width in enumerate(widths):
      for j in range(self.depth):
        last = j == self.depth - 1
        features, learns = width if last else x.shape[-1], learns_bias(self, 2 * x.shape[1])
        block = UpBlock(features, last, self.unbiased, learns, common, name=f'stage{i}_block{j}')
        x = block(x, condition, train=train, axis=axis)
      if x.shape[1] in self.attention:
        x = SelfAttention(**common, name=f'attention{i}')(x, train)
    x = nn.relu(layers.BatchNorm(unbiased=self.unbiased, dtype=self.dtype, name='norm')(x, train=train, axis=axis))
    return jnp.tanh(layers.Conv(self.channels, 3, **common, name='image')(x, train))


class Discriminator(nn.Module):
  """Image [B, resolution, resolution, channels] (and label, with classes) -> logits [B], as in `judged`."""

  resolution: int = 32
  channels: int = 3
  width: int = 128  # the paper's ch
  depth: int = 2  # blocks at each resolution
  attention: Sequence[int] = ()  # sides of the maps with self-attention
  spectral: bool = True
  spectral_epsilon: float = EPSILON
  classes: int = 0
  inside: Inside = 'projection'  # how the label, with classes, enters the logit
  heads: Mapping[str, int] = FrozenDict()  # further linear outputs: name -> how many
  proxies: int = 0  # numbers in each class's own vector, for losses that compare with it
  minibatch: Minibatch = 'none'
  initializer: layers.Initial = 'orthogonal'
  dtype: str = 'float32'

  def __post_init__(self) -> None:
    layers.check(self.resolution, self.channels, tuple(DISCRIMINATORS))
    multiples = DISCRIMINATORS[self.resolution]
    check_sizes(self, multiples)
    for side in self.attention:
      check_attention(side, {given(self.resolution, i): self.width * n for i, n in enumerate(multiples) if i})
    super().__post_init__()

  @nn.compact
  def __call__(
    self, x: Array, label: Array | None = None, *, train: bool = False, axis: str | None = None
  ) -> Judgement:
    common = spectrally(self)
    first, *widths = (self.width * n for n in DISCRIMINATORS[self.resolution])
    if self.classes and self.inside == 'concat':
      x = beside(x, label, self.classes)
    x = layers.Conv(first, 3, **common, name='image')(x, train)
    for i, width in enumerate(widths):
      for j in range(self.depth):
        down = j == 0 and x.shape[1] > given(self.resolution, i + 1)
        x = DownBlock(width, down, common, name=f'stage{i}_block{j}')(x, train)
      if x.shape[1] in self.attention:
        x = SelfAttention(**common, name=f'attention{i}')(x, train)
    if self.minibatch == 'std':
      x = minibatch_std(x, axis=axis)
    x = nn.relu(x).astype(jnp.float32).sum((1, 2)).astype(self.dtype)
    return judged(self, x, label, common, train=train, axis=axis)


class UpBlock(nn.Module):
  """Four times norm, ReLU and convolution, to a bottleneck and back, up in between: [B, H, W, C] -> [B, 2H, 2W, O]."""

  features: int  # C or fewer
  up: bool
  unbiased: bool
  learns: bool  # whether the bias of the sum has an effect in training
  common: dict[str, Any]

  @nn.compact
  def __call__(self, x: Array, condition: Array, *, train: bool, axis: str | None) -> Array:
    hidden = x.shape[-1] // REDUCTION
    bigger = resample.upsample_nearest if self.up else lambda x: x
    conv: Any = partial(layers.Conv, **self.common)

    def rectified(y: Array, name: str) -> Array:
      return nn.relu(Norm(0, self.unbiased, self.common, name=name)(y, condition, train=train, axis=axis))

    y = conv(hidden, 1, use_bias=fixed(train), name='conv0')(rectified(x, 'norm0'), train)
    y = conv(hidden, 3, use_bias=fixed(train), name='conv1')(bigger(rectified(y, 'norm1')), train)
    y = conv(hidden, 3, use_bias=fixed(train), name='conv2')(rectified(y, 'norm2'), train)
    y = conv(self.features, 1, use_bias=fixed(train and not self.learns), name='conv3')(rectified(y, 'norm3'), train)
    return y + bigger(x[..., : self.features])


class DownBlock(nn.Module):
  """Four times ReLU and convolution, to a bottleneck and back, pooling before the last: [B, H, W, C] -> [B, H/2, W/2, O]."""

  features: int  # C or more
  down: bool
  common: dict[str, Any]

  @nn.compact
  def __call__(self, x: Array, train: bool) -> Array:
    hidden = self.features // REDUCTION
    smaller = resample.average_pool if self.down else lambda x: x
    conv: Any = partial(layers.Conv, **self.common)
    y = conv(hidden, 1, name='conv0')(nn.relu(x), train)
    y = conv(hidden, 3, name='conv1')(nn.relu(y), train)
    y = conv(hidden, 3, name='conv2')(nn.relu(y), train)
    y = conv(self.features, 1, name='conv3')(smaller(nn.relu(y)), train)
    x = smaller(x)
    if x.shape[-1] < self.features:
      x = jnp.concatenate([x, conv(self.features - x.shape[-1], 1, name='shortcut')(x, train)], -1)
    return y + x


def given(resolution: int, stage: int) -> int:
  """The side of what a stage of D gives, counted from 1."""
  return max(resolution >> stage, 8 if resolution == 32 else 4)


def check_sizes(module: Any, multiples: Sequence[int]) -> None:
  """Raises ValueError for a width that has no bottlenecks, or without blocks."""
  if module.width < 1 or any(module.width * n % REDUCTION for n in multiples):
    raise ValueError(f'width: {module.width}; valid are multiples of {REDUCTION // min(min(multiples), REDUCTION)}')
  if module.depth < 1:
    raise ValueError(f'depth: {module.depth}; valid are numbers from 1')
