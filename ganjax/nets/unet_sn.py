"""The U-Net discriminator with spectral norm of Real-ESRGAN (Wang et al. 2021, arXiv:2107.10833, section 3.3).

It judges every pixel, seeing its surroundings. Neither the first nor the last convolution is spectrally normalised.
"""

from functools import partial

import flax.linen as nn

from ganjax.nets import layers
from ganjax.nets.rrdb import DEFAULT
from ganjax.ops.resample import upsample_bilinear
from ganjax.types import Array


class Discriminator(nn.Module):
  """Image [B, H, W, C], H and W multiples of 8 -> logits [B, H, W]."""

  width: int = 64
  skips: bool = True  # maps on the way up are added to those on the way down
  dtype: str = 'float32'

  def __post_init__(self) -> None:
    layers.check_least(self, width=1)
    super().__post_init__()

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool = False, axis: str | None = None) -> Array:  # noqa: ARG002
    layers.check_image(x, multiple=8)
    end = partial(layers.Conv, kernel_init=DEFAULT, dtype=self.dtype)
    conv = partial(end, use_bias=False, spectral=True)
    maps = [nn.leaky_relu(end(self.width, name='conv0')(x), 0.2)]
    for i in range(3):
      down = conv(self.width * 2 ** (i + 1), 4, 2, name=f'conv{i + 1}')
      maps.append(nn.leaky_relu(down(maps[-1], train), 0.2))
    x = maps.pop()
    for i, beside in enumerate(maps[::-1]):
      x = conv(beside.shape[-1], name=f'conv{i + 4}')(upsample_bilinear(x), train)
      x = nn.leaky_relu(x, 0.2) + (beside if self.skips else 0)
    for i in (7, 8):
      x = nn.leaky_relu(conv(self.width, name=f'conv{i}')(x, train), 0.2)
    return end(1, name='conv9')(x)[..., 0]
