"""PixelGAN: every pixel of an image is judged by its colour alone (Isola et al. 2017, arXiv:1611.07004, section 6.1.2)."""

from typing import Any

import flax.linen as nn

from ganjax.nets import layers
from ganjax.nets.pix2pix import Normalisation, bias_before, normalisation
from ganjax.types import Array


class Discriminator(nn.Module):
  """Image [B, H, W, C] -> logits [B, H, W]."""

  width: int = 64
  norm: Normalisation = 'batch'
  initializer: layers.Initial = 'normal'
  dtype: str = 'float32'

  def __post_init__(self) -> None:
    layers.check_least(self, width=1)
    super().__post_init__()

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool = False, axis: str | None = None) -> Array:  # noqa: ARG002
    layers.check_image(x)
    common: dict[str, Any] = {'kernel_init': layers.INITIALIZERS[self.initializer], 'dtype': self.dtype}
    x = nn.leaky_relu(layers.Conv(self.width, 1, **common, name='conv0')(x), 0.2)
    x = layers.Conv(2 * self.width, 1, use_bias=bias_before(self.norm, True), **common, name='conv1')(x)
    x = nn.leaky_relu(normalisation(self.norm, self.dtype, name='norm1')(x, train=train, axis=axis), 0.2)
    return layers.Conv(1, 1, use_bias=bias_before(self.norm, False), **common, name='logit')(x)[..., 0]
