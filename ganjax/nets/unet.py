"""The U-Net of pix2pix: images down to one pixel and up again, past each size's own (Isola et al. 2017, arXiv:1611.07004).

4x4 convolutions of stride 2 halve an image of any size that divides by 2^`downs`; transposed ones double it, and see
what the way down had at their size. The first map has `width` channels, the next twice as many, up to 8 times.
Dropout is the noise of this generator, the only one: the authors have it in training and in use. It is drawn where the
caller passes `key`. Neither the outermost nor the innermost way up drops anything, as in the authors' PyTorch code.
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganjax.nets import layers
from ganjax.nets.pix2pix import Normalisation, bias_before, normalisation
from ganjax.ops import across
from ganjax.types import Array, Key


class Generator(nn.Module):
  """Image [B, H, W, C], H and W divisible by 2^downs -> image [B, H, W, channels] in [-1, 1]."""

  channels: int = 3
  width: int = 64
  downs: int = 8  # 256 pixels to 1
  norm: Normalisation = 'batch'
  dropout: float = 0.5  # share of the numbers that are dropped
  dropouts: int = 3  # after so many of the ways up, from the innermost but one
  initializer: layers.Initial = 'normal'
  dtype: str = 'float32'

  def __post_init__(self) -> None:
    layers.check_least(self, channels=1, width=1, downs=2, dropouts=0)
    layers.check_dropout(self.dropout)
    super().__post_init__()

  @nn.compact
  def __call__(
    self,
    x: Array,
    label: Array | None = None,  # noqa: ARG002
    *,
    train: bool = False,
    axis: str | None = None,
    key: Key | None = None,
    rows: Array | None = None,
  ) -> Array:
    layers.check_image(x, multiple=2**self.downs)
    common: dict[str, Any] = {'kernel_init': layers.INITIALIZERS[self.initializer], 'dtype': self.dtype}
    norm = partial(normalisation, self.norm, self.dtype)
    rows = across.rows(x.shape[0], axis) if rows is None else rows
    maps: list[Array] = []
    for i in range(self.downs):
      normed = 0 < i < self.downs - 1
      x = nn.leaky_relu(x, 0.2) if i else x
      bias = bias_before(self.norm, normed)
      x = layers.Conv(self.width * 2 ** min(i, 3), 4, 2, use_bias=bias, **common, name=f'down{i}')(x)
      x = norm(name=f'down_norm{i}')(x, train=train, axis=axis) if normed else x
      maps.append(x)
    for i in range(self.downs - 1, 0, -1):
      bias, beside = bias_before(self.norm, True), maps[i - 1]
      x = layers.ConvTranspose(beside.shape[-1], use_bias=bias, **common, name=f'up{i}')(nn.relu(x))
      x = norm(name=f'up_norm{i}')(x, train=train, axis=axis)
      if key is not None and self.dropout and 0 < self.downs - 1 - i <= self.dropouts:
        x = layers.dropped(x, self.dropout, jax.random.fold_in(key, i), rows)
      x = jnp.concatenate([beside, x], -1)
    return jnp.tanh(layers.ConvTranspose(self.channels, **common, name='up0')(nn.relu(x)))
