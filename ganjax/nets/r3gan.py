"""R3GAN: residual networks without normalisation or tricks, for the relativistic loss with R1 and R2.

(Huang et al. 2024, "The GAN is dead; long live the GAN!", arXiv:2501.05441, section 3 and appendix.) Layer for layer
the authors' networks. Stages are listed from 4 pixels a side up in both players; one number stands for all stages.
Biases are in the activations alone; the last convolution of each residual branch starts at zero and the others are
scaled down by the number of blocks to the power 1/4 (Fixup), which stands in for normalisation.
"""

from collections.abc import Sequence
from math import sqrt
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from ganjax.nets import layers
from ganjax.nets.stylegan2 import RESOLUTIONS, condition
from ganjax.ops import upfirdn
from ganjax.ops.conv import conv
from ganjax.types import Array

GAIN = sqrt(2 / (1 + 0.2**2))  # of a leaky ReLU of slope .2; in the initial weights only


class Generator(nn.Module):
  """Latent [B, Z] (and label [B], or a vector [B, classes]) -> image [B, resolution, resolution, channels], float32."""

  resolution: int = 32
  channels: int = 3
  classes: int = 0
  widths: Sequence[int] = (768,)  # channels of each stage
  cardinalities: Sequence[int] = (96,)  # groups of the 3x3 convolutions
  blocks: Sequence[int] = (2,)
  expansion: int = 2  # channels inside a block per channel outside
  kernel: int = 3
  embedding: int = 256  # numbers that stand for a class
  resample_filter: Sequence[float] = upfirdn.FILTER
  dtype: str = 'float32'

  def __post_init__(self) -> None:
    check(self)
    super().__post_init__()

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool = False, axis: str | None = None) -> Array:  # noqa: ARG002
    x = x.astype(jnp.float32)
    if self.classes:
      vector = condition(label, self.classes)
      x = jnp.concatenate([x, linear(self, 'embed', vector, self.embedding)], -1)
    count = sum(per_stage(self, self.blocks))
    for i, width, groups, blocks in stages(self):
      side = 4 * 2**i
      if i == 0:
        basis = self.param('basis', nn.initializers.normal(1.0), (4, 4, width), jnp.float32)
        x = (basis * linear(self, 'project', x, width)[:, None, None]).astype(self.dtype)
      else:
        if x.shape[-1] != width:
          x = Conv(width, 1, dtype=self.dtype, name=f'b{side}_transition')(x)
        x = upfirdn.upsample(x, self.resample_filter)
      for j in range(blocks):
        x = Residual(groups, self.expansion, self.kernel, count, self.dtype, name=f'b{side}_block{j}')(x)
    return Conv(self.channels, 1, dtype=self.dtype, name='image')(x).astype(jnp.float32)


class Discriminator(nn.Module):
  """Image [B, resolution, resolution, channels] (and label [B], or a vector [B, classes]) -> logits [B], float32."""

  resolution: int = 32
  channels: int = 3
  classes: int = 0
  widths: Sequence[int] = (768,)  # channels of each stage, from 4 pixels up
  cardinalities: Sequence[int] = (96,)  # groups of the 3x3 convolutions
  blocks: Sequence[int] = (2,)
  expansion: int = 2  # channels inside a block per channel outside
  kernel: int = 3
  embedding: int = 256  # numbers that stand for a class
  resample_filter: Sequence[float] = upfirdn.FILTER
  dtype: str = 'float32'

  def __post_init__(self) -> None:
    check(self)
    super().__post_init__()

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool = False, axis: str | None = None) -> Array:  # noqa: ARG002
    every = stages(self)[::-1]
    count = sum(per_stage(self, self.blocks))
    x = Conv(every[0][1], 1, dtype=self.dtype, name='image')(x)
    for (i, _, groups, blocks), after in zip(every, [*every[1:], None], strict=True):
      side = 4 * 2**i
      for j in range(blocks):
        x = Residual(groups, self.expansion, self.kernel, count, self.dtype, name=f'b{side}_block{j}')(x)
      if after is None:
        break
      x = upfirdn.downsample(x, self.resample_filter)
      if x.shape[-1] != after[1]:
        x = Conv(after[1], 1, dtype=self.dtype, name=f'b{side}_transition')(x)
    basis = self.param('basis', nn.initializers.normal(1 / 4), (4, 4, x.shape[-1]), jnp.float32)
    x = (x.astype(jnp.float32) * basis).sum((1, 2))
    if not self.classes:
      return linear(self, 'project', x, 1)[:, 0]
    vector = linear(self, 'embed', condition(label, self.classes), self.embedding, 1 / sqrt(self.embedding))
    return (linear(self, 'project', x, self.embedding) * vector).sum(-1)


class Conv(nn.Module):
  """Convolution without bias: [B, H, W, C] -> [B, H, W, features]; starts at `gain` / sqrt(fan in)."""

  features: int
  kernel: int = 3
  groups: int = 1
  gain: float = 1.0
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array) -> Array:
    shape = (self.kernel, self.kernel, x.shape[-1] // self.groups, self.features)
    initial = nn.initializers.normal(self.gain / sqrt(self.kernel**2 * shape[2]))
    w = self.param('kernel', initial, shape, jnp.float32).astype(self.dtype)
    return conv(x.astype(self.dtype), w, groups=self.groups)


class Residual(nn.Module):
  """x + a branch of 1x1, grouped and 1x1 convolution, with leaky ReLUs between: [B, H, W, C] -> the same."""

  groups: int
  expansion: int
  kernel: int
  count: int  # of such blocks in the network
  dtype: Any

  @nn.compact
  def __call__(self, x: Array) -> Array:
    inside, gain = x.shape[-1] * self.expansion, GAIN * self.count**-0.25
    y = Conv(inside, 1, gain=gain, dtype=self.dtype, name='conv1')(x)
    y = Conv(inside, self.kernel, self.groups, gain, self.dtype, name='conv2')(self.activated(y, 'bias1'))
    return x + Conv(x.shape[-1], 1, gain=0.0, dtype=self.dtype, name='conv3')(self.activated(y, 'bias2'))

  def activated(self, x: Array, name: str) -> Array:
    bias = self.param(name, nn.initializers.zeros, x.shape[-1:], jnp.float32)
    return nn.leaky_relu(x + bias.astype(x.dtype), 0.2)


def linear(module: nn.Module, name: str, x: Array, features: int, gain: float = 1.0) -> Array:
  """x [B, F] times the module's parameter `name`: [B, features]. To be called inside its compact method."""
  initial = nn.initializers.normal(gain / sqrt(x.shape[-1]))
  return x @ module.param(name, initial, (x.shape[-1], features), jnp.float32)


def per_stage(module: Any, values: Sequence[int]) -> tuple[int, ...]:
  """A number for each stage."""
  count = module.resolution.bit_length() - 2
  return tuple(values) * count if len(values) == 1 else tuple(values)


def stages(module: Any) -> list[tuple[int, int, int, int]]:
  """(index, width, groups, blocks) of each stage, from 4 pixels up."""
  lists = [per_stage(module, values) for values in (module.widths, module.cardinalities, module.blocks)]
  return [(i, *numbers) for i, numbers in enumerate(zip(*lists, strict=True))]


def check(module: Any) -> None:
  """Raises ValueError for stages that don't make the resolution, or can't be divided into their groups."""
  layers.check(module.resolution, module.channels, RESOLUTIONS)
  count = module.resolution.bit_length() - 2
  for field in ('widths', 'cardinalities', 'blocks'):
    if len(getattr(module, field)) not in (1, count):
      raise ValueError(f'{field}: {tuple(getattr(module, field))}; valid are 1 or {count} numbers')
  for _, width, groups, _ in stages(module):
    if width < 1 or groups < 1 or width * module.expansion % groups:
      raise ValueError(
        f'cardinalities: {groups} groups for width {width}; {module.expansion} x width must divide by it'
      )
