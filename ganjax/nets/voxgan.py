"""3D-GAN: volumes through strided convolutions down and transposed ones up (Wu et al. 2016, arXiv:1610.07584, section 3.1).

As in the paper G has batch normalisation and ReLU, D mirrors it with leaky ReLU of slope .2, and kernels have 4x4x4 taps
of stride 2, from and to maps of 4 voxels a side. `width` is the number of channels at half the resolution and doubles
with each halving: the paper's 64 voxels have 64, 128, 256 and 512. Layers before a norm have no bias; D's first layer has
no norm. Occupancy goes from -1 to 1 here: G ends in tanh, which is the paper's sigmoid on that scale.
"""

from collections.abc import Mapping
from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
from flax.core import FrozenDict

from ganjax.nets import layers
from ganjax.nets.heads import Inside, Judgement, Minibatch, beside, judged, minibatch_std
from ganjax.ops.conv3d import conv3d, conv3d_transpose
from ganjax.types import Array

RESOLUTIONS = (8, 16, 32, 64)
SMALLEST = 4  # side of the smallest map


class Conv3d(nn.Module):
  """Halves volumes [B, D, H, W, C] -> [B, D/2, H/2, W/2, features], or, with `up`, doubles them, as in `ops.conv3d`."""

  features: int
  up: bool = False
  use_bias: bool = True
  spectral: bool = False
  epsilon: float = layers.EPSILON
  kernel_init: layers.Initializer = layers.INITIALIZERS['normal']
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, train: bool = False) -> Array:
    w = self.param('kernel', self.kernel_init, (4, 4, 4, x.shape[-1], self.features), jnp.float32)
    if self.spectral:
      w = layers.normalized(self, w, train)
    return layers.biased(self, (conv3d_transpose if self.up else conv3d)(x.astype(self.dtype), w.astype(self.dtype)))


class Generator(nn.Module):
  """Latent [B, Z] (and label [B], with classes) -> volume [B, resolution, resolution, resolution, channels] in [-1, 1]."""

  resolution: int = 32
  channels: int = 1
  width: int = 64
  norm: Literal['batch', 'layer', 'none'] = 'batch'
  classes: int = 0  # the label joins the latent as a one-hot vector
  initializer: layers.Initial = 'normal'
  dtype: str = 'float32'

  def __post_init__(self) -> None:
    layers.check(self.resolution, self.channels, RESOLUTIONS)
    super().__post_init__()

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool = False, axis: str | None = None) -> Array:
    ups = (self.resolution // SMALLEST).bit_length() - 1
    common: dict[str, Any] = {'kernel_init': layers.INITIALIZERS[self.initializer], 'dtype': self.dtype}
    bias = self.norm == 'none'
    c = self.width * 2 ** (ups - 1)
    x = layers.concatenated(x, label, self.classes)
    x = layers.Dense(SMALLEST**3 * c, use_bias=bias, **common, name='project')(x)
    x = x.reshape(-1, SMALLEST, SMALLEST, SMALLEST, c)
    for i in range(ups):
      x = nn.relu(layers.Norm(self.norm, dtype=self.dtype, name=f'norm{i}')(x, train=train, axis=axis))
      last = i == ups - 1
      features = self.channels if last else c // 2 ** (i + 1)
      x = Conv3d(features, True, use_bias=bias or last, **common, name=f'up{i}')(x)
    return jnp.tanh(x)


class Discriminator(nn.Module):
  """Volume [B, resolution, resolution, resolution, channels] (and label [B], with classes) -> logits [B], as in `judged`."""

  resolution: int = 32
  channels: int = 1
  width: int = 64
  norm: Literal['batch', 'layer', 'none'] = 'batch'
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
    super().__post_init__()

  @nn.compact
  def __call__(
    self, x: Array, label: Array | None = None, *, train: bool = False, axis: str | None = None
  ) -> Judgement:
    if x.ndim != 5:
      raise ValueError(f'shape {x.shape}; valid are volumes [B, D, H, W, C]')
    downs = (self.resolution // SMALLEST).bit_length() - 1
    initializer = layers.INITIALIZERS[self.initializer]
    common: dict[str, Any] = {'kernel_init': initializer, 'spectral': self.spectral, 'dtype': self.dtype}
    if self.classes and self.inside == 'concat':
      x = beside(x, label, self.classes)
    for i in range(downs):
      bias = i == 0 or self.norm == 'none'
      x = Conv3d(self.width * 2**i, use_bias=bias, **common, name=f'down{i}')(x, train)
      if i > 0:
        x = layers.Norm(self.norm, dtype=self.dtype, name=f'norm{i}')(x, train=train, axis=axis)
      x = nn.leaky_relu(x, 0.2)
    if self.minibatch == 'std':
      x = minibatch_std(x, axis=axis)
    return judged(self, x.reshape(x.shape[0], -1), label, common, train=train, axis=axis)
