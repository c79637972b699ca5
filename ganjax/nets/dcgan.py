"""DCGAN: strided convolutions down, transposed ones up (Radford et al. 2016, arXiv:1511.06434).

With the paper's guidelines: batch normalisation except in G's last and D's first layer, ReLU in G, leaky
ReLU of slope .2 in D, initial weights N(0, .02), 4x4 kernels of stride 2, and no hidden dense layers unless
`hidden` asks for them. `width` is the number of channels at half the resolution and doubles with each halving,
down to maps of `smallest` pixels a side. Layers before a norm have no bias.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
from flax.core import FrozenDict

from ganjax.nets import layers
from ganjax.nets.heads import Inside, Judgement, Minibatch, beside, judged, minibatch_std
from ganjax.types import Array

RESOLUTIONS = (8, 16, 32, 64, 128)
SMALLEST = (2, 4)
scale_init = lambda key, shape, dtype: 1 + 0.02 * nn.initializers.normal(1.0)(key, shape, dtype)  # noqa: E731


class Generator(nn.Module):
  """Latent [B, Z] (and label [B], with classes) -> image [B, resolution, resolution, channels] in [-1, 1]."""

  resolution: int = 32
  channels: int = 3
  width: int = 64
  smallest: int = 4  # side of the smallest map, 2 or 4 (the paper)
  hidden: Sequence[int] = ()  # dense layers before the first map (the paper: none)
  norm: Literal['batch', 'layer', 'instance', 'none'] = 'batch'
  classes: int = 0  # the label joins the latent as a one-hot vector
  initializer: layers.Initial = 'normal'
  dtype: str = 'float32'

  def __post_init__(self) -> None:
    layers.check(self.resolution, self.channels, RESOLUTIONS)
    if self.smallest not in SMALLEST:
      raise ValueError(f'smallest: {self.smallest}; valid are {", ".join(map(str, SMALLEST))}')
    super().__post_init__()

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool = False, axis: str | None = None) -> Array:
    ups = (self.resolution // self.smallest).bit_length() - 1
    common: dict[str, Any] = {'kernel_init': layers.INITIALIZERS[self.initializer], 'dtype': self.dtype}
    norm = partial(layers.Norm, self.norm, scale_init=scale_init, dtype=self.dtype)
    bias = self.norm == 'none'
    c = self.width * 2 ** (ups - 1)
    x = layers.concatenated(x, label, self.classes)
    for i, units in enumerate(self.hidden):
      x = layers.Dense(units, use_bias=bias, **common, name=f'hidden{i}')(x)
      x = nn.relu(norm(name=f'hidden_norm{i}')(x, train=train, axis=axis))
    side = self.smallest
    x = layers.Dense(side * side * c, use_bias=bias, **common, name='project')(x).reshape(-1, side, side, c)
    for i in range(ups):
      x = nn.relu(norm(name=f'norm{i}')(x, train=train, axis=axis))
      last = i == ups - 1
      features = self.channels if last else c // 2 ** (i + 1)
      x = layers.ConvTranspose(features, 4, 2, use_bias=bias or last, **common, name=f'up{i}')(x)
    return jnp.tanh(x)


class Discriminator(nn.Module):
  """Image [B, resolution, resolution, channels] (and label [B], with classes) -> logits [B], as in `judged`."""

  resolution: int = 32
  channels: int = 3
  width: int = 64
  smallest: int = 4  # side of the smallest map, 2 or 4 (the paper)
  hidden: Sequence[int] = ()  # dense layers after the last map (the paper: none)
  norm: Literal['batch', 'layer', 'instance', 'none'] = 'batch'
  spectral: bool = False
  classes: int = 0
  inside: Inside = 'projection'  # how the label, with classes, enters the logit
  heads: Mapping[str, int] = FrozenDict()  # further linear outputs: name -> how many
  proxies: int = 0  # numbers in each class's own vector, for losses that compare with it
  minibatch: Minibatch = 'none'
  initializer: layers.Initial = 'normal'
  dtype: str = 'float32'

  def __post_init__(self) -> None:
    layers.check(self.resolution, self.channels, RESOLUTIONS)
    if self.smallest not in SMALLEST:
      raise ValueError(f'smallest: {self.smallest}; valid are {", ".join(map(str, SMALLEST))}')
    super().__post_init__()

  @nn.compact
  def __call__(
    self, x: Array, label: Array | None = None, *, train: bool = False, axis: str | None = None
  ) -> Judgement:
    downs = (self.resolution // self.smallest).bit_length() - 1
    common: dict[str, Any] = {
      'kernel_init': layers.INITIALIZERS[self.initializer],
      'spectral': self.spectral,
      'dtype': self.dtype,
    }
    if self.classes and self.inside == 'concat':
      x = beside(x, label, self.classes)
    for i in range(downs):
      bias = i == 0 or self.norm == 'none'
      x = layers.Conv(self.width * 2**i, 4, 2, use_bias=bias, **common, name=f'down{i}')(x, train)
      if i > 0:
        norm = layers.Norm(self.norm, scale_init=scale_init, dtype=self.dtype, name=f'norm{i}')
        x = norm(x, train=train, axis=axis)
      x = nn.leaky_relu(x, 0.2)
    if self.minibatch == 'std':
      x = minibatch_std(x, axis=axis)
    x = x.reshape(x.shape[0], -1)
    for i, units in enumerate(self.hidden):
      x = nn.leaky_relu(layers.Dense(units, **common, name=f'hidden{i}')(x, train), 0.2)
    return judged(self, x, label, common, train=train, axis=axis)
