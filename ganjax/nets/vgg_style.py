"""SRGAN's discriminator in the style of VGG, as BasicSR has it (Ledig et al. 2017, arXiv:1609.04802, figure 4).

Pairs of convolutions, the second of 4x4 and stride 2, with batch norm after all but the first, down to 4x4 pixels;
`width` channels double with each halving, up to 8 times; two dense layers.
"""

from functools import partial

import flax.linen as nn

from ganjax.nets import layers
from ganjax.nets.rrdb import DEFAULT
from ganjax.types import Array

RESOLUTIONS = (8, 16, 32, 64, 128, 256)  # the authors' are 128 and 256


class Discriminator(nn.Module):
  """Image [B, resolution, resolution, channels] -> logits [B]."""

  resolution: int = 128
  channels: int = 3
  width: int = 64
  hidden: int = 100  # numbers between the dense layers
  dtype: str = 'float32'

  def __post_init__(self) -> None:
    layers.check(self.resolution, self.channels, RESOLUTIONS)
    layers.check_least(self, width=1, hidden=1)
    super().__post_init__()

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool = False, axis: str | None = None) -> Array:  # noqa: ARG002
    if x.shape[1:3] != (self.resolution, self.resolution):
      side = self.resolution
      raise ValueError(f'image: {" x ".join(map(str, x.shape[1:3]))} pixels; valid are {side} x {side}, the resolution')
    conv = partial(layers.Conv, kernel_init=DEFAULT, dtype=self.dtype)
    dense = partial(layers.Dense, kernel_init=DEFAULT, dtype=self.dtype)
    norm = partial(layers.BatchNorm, dtype=self.dtype)
    for i in range((self.resolution // 4).bit_length() - 1):
      width = self.width * 2 ** min(i, 3)
      x = conv(width, use_bias=i == 0, name=f'conv{i}_0')(x)
      x = norm(name=f'norm{i}_0')(x, train=train, axis=axis) if i else x
      x = conv(width, 4, 2, use_bias=False, name=f'conv{i}_1')(nn.leaky_relu(x, 0.2))
      x = nn.leaky_relu(norm(name=f'norm{i}_1')(x, train=train, axis=axis), 0.2)
    x = nn.leaky_relu(dense(self.hidden, name='hidden')(x.reshape(x.shape[0], -1)), 0.2)
    return dense(1, name='logit')(x)[:, 0]
