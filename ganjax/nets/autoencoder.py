"""Autoencoders as discriminators, and G as their decoder (Berthelot et al. 2017, arXiv:1703.10717, section 3.5).

What D's autoencoder rebuilds well is real to it: its logit is minus the energy, how far the image is from its
reconstruction. Convolutions are 3x3 with ELU, two for each resolution; the encoder's filters grow by `width` at each
strided step down to maps of `smallest` pixels a side, a dense layer makes the code, and the decoder of `width` filters
doubles the pixels back up. G is that decoder, with weights of its own. Nothing is normalised.
"""

from collections.abc import Mapping
from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
from flax.core import FrozenDict

from ganjax.nets import layers
from ganjax.nets.heads import Judgement
from ganjax.types import Array

RESOLUTIONS = (8, 16, 32, 64, 128)
SMALLEST = (2, 4, 8)


class Generator(nn.Module):
  """Latent [B, Z] -> image [B, resolution, resolution, channels], unbounded."""

  resolution: int = 32
  channels: int = 3
  width: int = 64
  smallest: int = 8  # side of the smallest map, 2, 4 or 8 (the paper)
  initializer: layers.Initial = 'he'
  dtype: str = 'float32'

  def __post_init__(self) -> None:
    check(self.resolution, self.channels, self.smallest)
    super().__post_init__()

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool = False, axis: str | None = None) -> Array:  # noqa: ARG002
    common: dict[str, Any] = {'kernel_init': layers.INITIALIZERS[self.initializer], 'dtype': self.dtype}
    side = self.smallest
    x = layers.Dense(side * side * self.width, **common, name='project')(x).reshape(-1, side, side, self.width)
    while True:
      for i in range(2):
        x = nn.elu(layers.Conv(self.width, 3, **common, name=f'conv{side}_{i}')(x))
      if side == self.resolution:
        return layers.Conv(self.channels, 3, **common, name='out')(x)
      x, side = x.repeat(2, 1).repeat(2, 2), side * 2


class Discriminator(nn.Module):
  """Image [B, resolution, resolution, channels] -> logits [B] = -mean |image - reconstruction|^(1 or 2).

  With `heads` a dict comes along: 'features' is the code [B, code].
  """

  resolution: int = 32
  channels: int = 3
  width: int = 64
  smallest: int = 8  # side of the smallest map, 2, 4 or 8 (the paper)
  code: int = 64
  distance: Literal['absolute', 'square'] = 'absolute'  # of pixels: BEGAN's, EBGAN's
  heads: Mapping[str, int] = FrozenDict()  # only 'features'
  initializer: layers.Initial = 'he'
  dtype: str = 'float32'

  def __post_init__(self) -> None:
    check(self.resolution, self.channels, self.smallest)
    if set(self.heads) - {'features'}:
      raise ValueError(f'heads: {", ".join(self.heads)}; an autoencoder has no others than its features')
    super().__post_init__()

  @nn.compact
  def __call__(  # the label and the others are of no concern here
    self,
    x: Array,
    label: Array | None = None,  # noqa: ARG002
    *,
    train: bool = False,  # noqa: ARG002
    axis: str | None = None,  # noqa: ARG002
  ) -> Judgement:
    common: dict[str, Any] = {'kernel_init': layers.INITIALIZERS[self.initializer], 'dtype': self.dtype}
    y = nn.elu(layers.Conv(self.width, 3, **common, name='in')(x))
    side, wide = self.resolution, 1
    while True:
      for i in range(2):
        y = nn.elu(layers.Conv(self.width * wide, 3, **common, name=f'conv{side}_{i}')(y))
      if side == self.smallest:
        break
      side, wide = side // 2, wide + 1
      y = nn.elu(layers.Conv(self.width * wide, 3, 2, **common, name=f'down{side}')(y))
    code = layers.Dense(self.code, **common, name='code')(y.reshape(y.shape[0], -1))
    same = {
      name: getattr(self, name) for name in ('resolution', 'channels', 'width', 'smallest', 'initializer', 'dtype')
    }
    off = jnp.abs(Generator(**same, name='decoder')(code).astype(jnp.float32) - x)
    energy = (off if self.distance == 'absolute' else jnp.square(off)).mean((1, 2, 3))
    return (-energy, {'features': code}) if self.heads else -energy


def check(resolution: int, channels: int, smallest: int) -> None:
  """Raises ValueError for images that the networks can't make."""
  layers.check(resolution, channels, RESOLUTIONS)
  if smallest not in SMALLEST or smallest > resolution:
    raise ValueError(f'smallest: {smallest}; valid are those of {", ".join(map(str, SMALLEST))} up to the resolution')
