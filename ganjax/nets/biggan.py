"""BigGAN (Brock et al. 2019, arXiv:1809.11096): residual networks whose every block sees the class and a share of the latent.

Layer for layer the authors' PyTorch networks (ajbrock/BigGAN-PyTorch): nearest up-sampling, mean pooling, a first D
block that doesn't rectify its input, shortcuts that see it unrectified, and gains 1 + W y in the batch norms. Spectral
norm takes a power iteration in every forward, at evaluation too, and keeps it in training. 16 pixels are ours: the
authors' networks for 32 without one block.

1x1 convolutions commute with nearest up-sampling and with pooling, so shortcuts convolve the smaller maps. Biases whose
effect a batch norm removes have a place, as in the authors' weights, but don't learn: their gradient would be rounding.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from flax.core import FrozenDict

from ganjax.nets import layers
from ganjax.nets.attention import SelfAttention
from ganjax.nets.heads import Inside, Judgement, Minibatch, beside, judged, minibatch_std
from ganjax.nets.resnet import check_attention
from ganjax.ops import resample
from ganjax.ops.spectral import EPSILON
from ganjax.types import Array

# resolution -> what `width` is multiplied by for the first features and after each block up
GENERATORS = {
  16: (4, 4, 4), 32: (4, 4, 4, 4), 64: (16, 16, 8, 4, 2), 128: (16, 16, 8, 4, 2, 1), 256: (16, 16, 8, 8, 4, 2, 1),
  512: (16, 16, 8, 8, 4, 2, 1, 1),
}  # fmt: skip
# resolution -> what `width` is multiplied by after each block of D, and how many of the blocks halve the image
DISCRIMINATORS = {
  16: ((4, 4, 4, 4), 2), 32: ((4, 4, 4, 4), 2), 64: ((1, 2, 4, 8, 16), 4), 128: ((1, 2, 4, 8, 16, 16), 5),
  256: ((1, 2, 4, 8, 8, 16, 16), 6), 512: ((1, 1, 2, 4, 8, 8, 16, 16), 7),
}  # fmt: skip


class Generator(nn.Module):
  """Latent [B, Z] (and label, with classes) -> image [B, resolution, resolution, channels] in [-1, 1].

  A label is a class [B] or shares of the classes [B, classes]. With `hierarchical`, Z is a multiple of the blocks plus
  one: each takes its share.
  """

  truncates_latents = True  # `ganjax sample --truncation` cuts off the latents' distribution
  resolution: int = 32
  channels: int = 3
  classes: int = 0
  width: int = 64  # the paper's ch
  shared_dim: int = 128  # of the embedding that all batch norms see; 0: a table of gains and biases in each
  hierarchical: bool = True
  attention: Sequence[int] = ()  # sides of the maps with self-attention
  spectral: bool = True
  spectral_epsilon: float = EPSILON
  unbiased: bool = True  # the running variance, as PyTorch's; the authors' own batch norm (mybn) keeps the biased one
  initializer: layers.Initial = 'orthogonal'
  dtype: str = 'float32'

  def __post_init__(self) -> None:
    layers.check(self.resolution, self.channels, tuple(GENERATORS))
    layers.check_width(self.width, (1,))
    for side in self.attention:
      check_attention(side, {4 * 2**i: self.width * n for i, n in enumerate(GENERATORS[self.resolution]) if i})
    if self.hierarchical and self.classes and not self.shared_dim:
      raise ValueError(f'shared_dim: 0; valid are numbers from 1 for {self.classes} classes with a hierarchical latent')
    super().__post_init__()

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool = False, axis: str | None = None) -> Array:
    first, *widths = (self.width * n for n in GENERATORS[self.resolution])
    common = spectrally(self)
    tables = self.classes if not self.shared_dim else 0
    x, conditions = self.shares(x, self.embedded(label, common), len(widths))
    x = layers.Dense(16 * first, **common, name='project')(x, train).reshape(-1, 4, 4, first)
    for i, (width, condition) in enumerate(zip(widths, conditions, strict=True)):
      up = UpBlock(width, tables, self.unbiased, learns_bias(self, 2 * x.shape[1]), common, name=f'block{i}')
      x = up(x, condition, train=train, axis=axis)
      if x.shape[1] in self.attention:
        x = SelfAttention(**common, name=f'attention{i}')(x, train)
    x = nn.relu(layers.BatchNorm(unbiased=self.unbiased, dtype=self.dtype, name='norm')(x, train=train, axis=axis))
    return jnp.tanh(layers.Conv(self.channels, 3, **common, name='image')(x, train))

  def embedded(self, label: Array | None, common: Mapping[str, Any]) -> Array | None:
    """What batch norms see of the label: the shared embedding [B, shared_dim], the label itself, or nothing."""
    if not self.classes:
      return None
    if not self.shared_dim:
      return layers.required(label)
    table = layers.Embed(self.classes, self.shared_dim, kernel_init=common['kernel_init'], name='embed')
    return table(layers.required(label))  # float32, without spectral norm

  def shares(self, x: Array, y: Array | None, blocks: int) -> tuple[Array, list[Array | None]]:
    """What the first layer sees of the latent, and the condition of each block."""
    if not self.hierarchical:
      return x, [y] * blocks
    if x.shape[-1] % (blocks + 1):
      raise ValueError(
        f'latent_dim: {x.shape[-1]}; valid are multiples of {blocks + 1}, a share for each block and one'
      )
    first, *rest = jnp.split(x, blocks + 1, -1)
    return first, list(rest) if y is None else [jnp.concatenate([y, share], -1) for share in rest]


class Discriminator(nn.Module):
  """Image [B, resolution, resolution, channels] (and label, with classes) -> logits [B], as in `judged`.

  Like the authors we give all blocks at 32 pixels the side 16: `attention` (16,) puts one behind each of them.
  """

  resolution: int = 32
  channels: int = 3
  width: int = 64  # the paper's ch
  wide: bool = True  # a block's first convolution widens, as in SAGAN; False: its second, as in SNGAN
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
    layers.check_width(self.width, (1,))
    for side in self.attention:
      check_attention(side, {listed(self.resolution, i): self.width * n for i, n in self.blocks()})
    super().__post_init__()

  def blocks(self) -> Sequence[tuple[int, int]]:
    """Number of each block and what `width` is multiplied by after it."""
    return list(enumerate(DISCRIMINATORS[self.resolution][0]))

  @nn.compact
  def __call__(
    self, x: Array, label: Array | None = None, *, train: bool = False, axis: str | None = None
  ) -> Judgement:
    common = spectrally(self)
    halvings = DISCRIMINATORS[self.resolution][1]
    if self.classes and self.inside == 'concat':
      x = beside(x, label, self.classes)
    for i, multiple in self.blocks():
      hidden = self.width * multiple if self.wide else x.shape[-1]
      x = DownBlock(self.width * multiple, hidden, i < halvings, i == 0, common, name=f'block{i}')(x, train)
      if listed(self.resolution, i) in self.attention:
        x = SelfAttention(**common, name=f'attention{i}')(x, train)
    if self.minibatch == 'std':
      x = minibatch_std(x, axis=axis)
    x = nn.relu(x).astype(jnp.float32).sum((1, 2)).astype(self.dtype)
    return judged(self, x, label, common, train=train, axis=axis)


class UpBlock(nn.Module):
  """Norm, ReLU, up, convolution, norm, ReLU, convolution; beside it a 1x1 convolution: [B, H, W, C] -> [B, 2H, 2W, O]."""

  features: int
  tables: int
  unbiased: bool
  learns: bool  # whether the bias of the sum has an effect in training
  common: dict[str, Any]

  @nn.compact
  def __call__(self, x: Array, condition: Array | None, *, train: bool, axis: str | None) -> Array:
    up, conv = resample.upsample_nearest, partial(layers.Conv, self.features, **self.common)
    norm = partial(Norm, self.tables, self.unbiased, self.common)
    bias, removed = fixed(train and not self.learns), fixed(train)
    shortcut = up(conv(kernel=1, use_bias=bias, name='shortcut')(x, train))
    x = up(nn.relu(norm(name='norm0')(x, condition, train=train, axis=axis)))
    x = conv(kernel=3, use_bias=removed, name='conv0')(x, train)
    x = nn.relu(norm(name='norm1')(x, condition, train=train, axis=axis))
    return conv(kernel=3, use_bias=bias, name='conv1')(x, train) + shortcut


class DownBlock(nn.Module):
  """ReLU, convolution, ReLU, convolution, pooling; beside it a 1x1 convolution if shapes change. The first has no first ReLU."""

  features: int
  hidden: int
  down: bool
  first: bool
  common: dict[str, Any]

  @nn.compact
  def __call__(self, x: Array, train: bool) -> Array:
    conv: Any = partial(layers.Conv, **self.common)
    y = conv(self.hidden, 3, name='conv0')(x if self.first else nn.relu(x), train)
    y = conv(self.features, 3, pool=self.down, name='conv1')(nn.relu(y), train)
    if not self.down and x.shape[-1] == self.features:
      return y + x
    return y + conv(self.features, 1, name='shortcut')(resample.average_pool(x) if self.down else x, train)


class Norm(nn.Module):
  """Batch norm of x [B, H, W, C] with gains 1 + W y and biases V y of the condition y [B, F], or its own without one.

  With `tables` the condition is a label among so many classes, which has its rows of W and V.
  """

  tables: int
  unbiased: bool
  common: Mapping[str, Any]

  @nn.compact
  def __call__(self, x: Array, condition: Array | None, *, train: bool, axis: str | None) -> Array:
    dtype, c = self.common['dtype'], x.shape[-1]
    if condition is None:
      return layers.BatchNorm(unbiased=self.unbiased, dtype=dtype, name='norm')(x, train=train, axis=axis)
    x = layers.BatchNorm(affine=False, unbiased=self.unbiased, name='norm')(x, train=train, axis=axis)
    linear: Any = partial(layers.Dense, c, use_bias=False, **dict(self.common) | {'dtype': jnp.float32})
    if self.tables:
      linear = partial(layers.Embed, self.tables, c, kernel_init=self.common['kernel_init'])
    gain, bias = (linear(name=name)(condition, train)[:, None, None] for name in ('gain', 'bias'))
    return (x * (1 + gain) + bias).astype(dtype)


def spectrally(module: Any) -> dict[str, Any]:
  """The keywords that all layers of a player share."""
  return {
    'kernel_init': layers.INITIALIZERS[module.initializer], 'spectral': 'always' if module.spectral else False,
    'epsilon': module.spectral_epsilon, 'dtype': module.dtype,
  }  # fmt: skip


def fixed(removed: bool) -> layers.Bias:
  """A bias that learns, unless a batch norm removes its effect."""
  return 'fixed' if removed else True


def learns_bias(module: Any, side: int) -> bool:
  """Whether the bias of a block that gives maps of `side` has an effect: attention sees it, a batch norm removes it."""
  return side <= max(module.attention, default=0)


def listed(resolution: int, block: int) -> int:
  """The side of what a block of D gives, as the authors list it."""
  return resolution // 2 if resolution <= 32 else max(resolution >> block + 1, 4)
