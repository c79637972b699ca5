"""The residual generator of CycleGAN (Zhu et al. 2017, arXiv:1703.10593, section 7.2; Johnson et al. 2016, arXiv:1603.08155).

A 7x7 convolution, two of stride 2, `blocks` residual blocks at a quarter of the size (6 for 128 pixels, 9 for 256),
two transposed convolutions and a 7x7 one. Borders are reflected.
"""

from functools import partial
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganjax.nets import layers
from ganjax.nets.pix2pix import Normalisation, bias_before, normalisation
from ganjax.ops import across
from ganjax.ops.conv import conv, on_cpu
from ganjax.ops.resample import pixel_shuffle
from ganjax.types import Array, Key

Border = Literal['reflect', 'replicate', 'zero']
MODES = {'reflect': 'reflect', 'replicate': 'edge', 'zero': 'constant'}


class Generator(nn.Module):
  """Image [B, H, W, C], H and W multiples of 4 from 8 -> image [B, H, W, channels] in [-1, 1]."""

  channels: int = 3
  width: int = 64
  blocks: int = 9
  norm: Normalisation = 'instance'
  border: Border = 'reflect'  # of the blocks' maps; the image's own is always reflected
  dropout: float = 0.0  # inside the blocks, where the caller passes `key` (pix2pix: .5)
  initializer: layers.Initial = 'normal'
  dtype: str = 'float32'

  def __post_init__(self) -> None:
    layers.check_least(self, channels=1, width=1, blocks=0)
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
    layers.check_image(x, multiple=4, least=8)
    common: dict[str, Any] = {'kernel_init': layers.INITIALIZERS[self.initializer], 'dtype': self.dtype}
    before: dict[str, Any] = {'use_bias': bias_before(self.norm, True), **common}
    norm = partial(normalisation, self.norm, self.dtype)
    rows = across.rows(x.shape[0], axis) if rows is None else rows
    x = layers.Conv(self.width, 7, convolve=from_few, **before, name='first')(bordered(x, 3))
    x = nn.relu(norm(name='first_norm')(x, train=train, axis=axis))
    for i in range(2):
      x = layers.Conv(self.width * 2 ** (i + 1), 3, 2, padding=1, **before, name=f'down{i}')(x)
      x = nn.relu(norm(name=f'down_norm{i}')(x, train=train, axis=axis))
    for i in range(self.blocks):
      block = Block(self.norm, self.border, self.dropout, before, name=f'block{i}')
      x += block(x, None if key is None else jax.random.fold_in(key, i), rows, train=train, axis=axis)
    for i in range(2):
      up = layers.ConvTranspose(self.width * 2 ** (1 - i), 3, padding=1, output_padding=1, **before, name=f'up{i}')
      x = nn.relu(norm(name=f'up_norm{i}')(up(x), train=train, axis=axis))
    return jnp.tanh(layers.Conv(self.channels, 7, convolve=to_few, **common, name='last')(bordered(x, 3)))


class Block(nn.Module):
  """What a residual block adds to x [B, H, W, C]: convolution, norm, ReLU, dropout, convolution, norm."""

  norm: Normalisation
  border: Border
  dropout: float
  before: dict[str, Any]

  @nn.compact
  def __call__(self, x: Array, key: Key | None, rows: Array, *, train: bool, axis: str | None) -> Array:
    for i in range(2):
      layer = layers.Conv(x.shape[-1], 3, convolve=inside, **self.before, name=f'conv{i}')
      norm = normalisation(self.norm, self.before['dtype'], name=f'norm{i}')
      x = norm(layer(bordered(x, 1, self.border)), train=train, axis=axis)
      if i == 0:
        x = nn.relu(x)
        if key is not None and self.dropout:
          x = layers.dropped(x, self.dropout, key, rows)
    return x


def bordered(x: Array, width: int, border: Border = 'reflect') -> Array:
  """x [B, H, W, C] with `width` more pixels on each side."""
  return jnp.pad(x, ((0, 0), (width, width), (width, width), (0, 0)), mode=MODES[border])


# Convolutions of images with borders: x [B, H + k - 1, W + k - 1, C] and w [k, k, C, O] -> [B, H, W, O]. XLA's kernel for
# the CPU takes ten times as long as its products should where few channels come out, in the gradients too.


def to_few(x: Array, w: Array) -> Array:
  """To few channels: the kernel's columns by one convolution, to a result for each of its rows, which are then added."""
  if not on_cpu():
    return conv(x, w, padding='VALID')
  k, _, c, o = w.shape
  y = conv(x, w.transpose(1, 2, 0, 3).reshape(1, k, c, k * o), padding='VALID')
  y = y.reshape(*y.shape[:3], k, o)
  height = x.shape[1] - k + 1
  return sum(y[:, i : i + height, :, i] for i in range(k))  # type: ignore[return-value]


def from_few(x: Array, w: Array) -> Array:
  """From few channels, H and W even: 2x2 results at once, with the kernel at four places. Its gradients are faster."""
  if not on_cpu():
    return conv(x, w, padding='VALID')
  k, _, c, o = w.shape
  shifted = [jnp.pad(w, ((i, 1 - i), (j, 1 - j), (0, 0), (0, 0))) for i in (0, 1) for j in (0, 1)]
  w = jnp.stack(shifted, -1).reshape(k + 1, k + 1, c, 4 * o)
  return pixel_shuffle(conv(x, w, stride=2, padding='VALID'), 2)


def inside(x: Array, w: Array) -> Array:
  """Of 3x3: one border more, and off again, gives the convolution whose products the CPU's form has fewer of."""
  return conv(x, w, padding=1)[:, 1:-1, 1:-1] if on_cpu() else conv(x, w, padding='VALID')
