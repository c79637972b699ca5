"""SRGAN's residual generator without batch norm, as BasicSR has it (Ledig et al. 2017, arXiv:1609.04802, figure 4).

`blocks` residual blocks at the small size, then channels become pixels. The bilinearly enlarged image is added, so the
network makes what that lacks. Initial weights are He's scaled by .1.
"""

from functools import partial

import flax.linen as nn
import jax

from ganjax.nets import layers
from ganjax.nets.rrdb import check_scale
from ganjax.ops.resample import pixel_shuffle
from ganjax.types import Array

STEPS = {2: (2,), 3: (3,), 4: (2, 2)}  # scale -> by what the image grows, one after the other


class Generator(nn.Module):
  """Image [B, H, W, C] -> [B, scale H, scale W, channels], unbounded; C is `channels` or 1."""

  channels: int = 3
  width: int = 64
  blocks: int = 16
  scale: int = 4
  dtype: str = 'float32'

  def __post_init__(self) -> None:
    layers.check_least(self, channels=1, width=1, blocks=0)
    check_scale(self.scale, tuple(STEPS))
    super().__post_init__()

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool = False, axis: str | None = None) -> Array:  # noqa: ARG002
    layers.check_image(x)
    if x.shape[-1] not in (1, self.channels):
      raise ValueError(
        f'image: {x.shape[-1]} channels; valid are 1 and {self.channels}, since it is part of the result'
      )
    b, h, w, c = x.shape
    conv = partial(layers.Conv, kernel_init=layers.INITIALIZERS['he'], gain=0.1, dtype=self.dtype)
    y = nn.leaky_relu(conv(self.width, name='first')(x), 0.1)
    for i in range(self.blocks):
      hidden = nn.relu(conv(self.width, name=f'block{i}_conv0')(y))
      y += conv(self.width, name=f'block{i}_conv1')(hidden)
    for i, factor in enumerate(STEPS[self.scale]):
      y = pixel_shuffle(conv(self.width * factor**2, name=f'up{i}')(y), factor)
      y = nn.leaky_relu(y, 0.1)
    y = nn.leaky_relu(conv(self.width, name='high')(y), 0.1)
    base = jax.image.resize(x, (b, h * self.scale, w * self.scale, c), 'bilinear')
    return conv(self.channels, name='last')(y) + base.astype(self.dtype)
