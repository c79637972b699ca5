"""PatchGAN: every patch of an image is judged for itself (Isola et al. 2017, arXiv:1611.07004, section 3.2.2).

`depth` 4x4 convolutions of stride 2 and two of stride 1: a logit sees 16, 34, 70 (the papers'), 142 or 286 pixels for a
depth of 1 to 5. pix2pix shows it input and output as one image of all their channels.
"""

from typing import Any

import flax.linen as nn

from ganjax.nets import layers
from ganjax.nets.pix2pix import Normalisation, bias_before, normalisation
from ganjax.types import Array


class Discriminator(nn.Module):
  """Image [B, H, W, C] of at least 3 * 2^depth pixels a side -> logits [B, h, w]."""

  width: int = 64
  depth: int = 3
  norm: Normalisation = 'batch'
  initializer: layers.Initial = 'normal'
  dtype: str = 'float32'

  def __post_init__(self) -> None:
    layers.check_least(self, width=1, depth=1)
    super().__post_init__()

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool = False, axis: str | None = None) -> Array:  # noqa: ARG002
    layers.check_image(x, least=3 * 2**self.depth)
    common: dict[str, Any] = {
      'padding': 1, 'kernel_init': layers.INITIALIZERS[self.initializer], 'dtype': self.dtype
    }  # fmt: skip
    for i in range(self.depth + 1):
      stride, bias = 1 if i == self.depth else 2, True if i == 0 else bias_before(self.norm, True)
      x = layers.Conv(self.width * 2 ** min(i, 3), 4, stride, use_bias=bias, **common, name=f'conv{i}')(x)
      if i:
        x = normalisation(self.norm, self.dtype, name=f'norm{i}')(x, train=train, axis=axis)
      x = nn.leaky_relu(x, 0.2)
    return layers.Conv(1, 4, **common, name='logit')(x)[..., 0]
