"""Convolution of volumes that halves them, and its transpose, fast on the CPU forward, backward and twice differentiated.

XLA's own 3-D convolution is the right one on GPU and TPU. On the CPU its derivatives have no fast kernel: they take a
hundred times as long as the convolution. There a convolution of volumes is written as what is fast: with few channels as
one matrix product of all 64 taps, with more as a 2-D convolution in which the four taps along the depth are channels. Both
are made of slices, products and `ops.conv`, so they may be differentiated any number of times.
"""

import jax
import jax.numpy as jnp
from jax import lax

from ganjax.ops.conv import conv, on_cpu
from ganjax.types import Array

FEW = 8  # channels: with fewer a matrix product of all taps costs little memory
DIMENSIONS = ('NDHWC', 'DHWIO', 'NDHWC')


def conv3d(x: Array, w: Array) -> Array:
  """Convolution of volumes x [B, D, H, W, C] with w [4, 4, 4, C, O], stride 2, padding 1 -> [B, D/2, H/2, W/2, O].

  PyTorch's Conv3d(C, O, 4, 2, 1) with weight W [O, C, 4, 4, 4] is `conv3d(x, W.transpose(2, 3, 4, 1, 0))`.

  Raises ValueError for other kernels, odd sides, or channels that do not fit.
  """
  check('conv3d', x, w)
  if any(n % 2 for n in x.shape[1:4]):
    raise ValueError(f'conv3d: takes volumes of even sides, given {x.shape}')
  if not on_cpu():
    return lax.conv_general_dilated(x, w, (2, 2, 2), [(1, 1)] * 3, dimension_numbers=DIMENSIONS)
  return (by_patches if x.shape[4] < FEW else by_depth)(x, w)


def conv3d_transpose(x: Array, w: Array) -> Array:
  """Transposed convolution of x [B, D, H, W, C] with w [4, 4, 4, C, O], stride 2, padding 1 -> [B, 2D, 2H, 2W, O].

  It is the gradient, with respect to its input, of the `conv3d` that takes O channels to C with the kernel w with its
  last two axes swapped. PyTorch's ConvTranspose3d(C, O, 4, 2, 1) with weight W [C, O, 4, 4, 4] is
  `conv3d_transpose(x, W.transpose(2, 3, 4, 0, 1))`.

  Raises ValueError for other kernels, or channels that do not fit.
  """
  check('conv3d_transpose', x, w)
  b, d, h, v, _ = x.shape
  larger = jnp.zeros((b, 2 * d, 2 * h, 2 * v, w.shape[4]), x.dtype)  # only its shape counts
  _, gradient = jax.vjp(lambda y: conv3d(y, w.swapaxes(3, 4)), larger)
  return gradient(x)[0]


def check(name: str, x: Array, w: Array) -> None:
  """Raises ValueError for what isn't a volume or a kernel for it."""
  if x.ndim != 5 or w.ndim != 5 or w.shape[:3] != (4, 4, 4) or x.shape[4] != w.shape[3]:
    raise ValueError(
      f'{name}: takes volumes [B, D, H, W, C] and kernels [4, 4, 4, C, O], given {x.shape} and {w.shape}'
    )


def by_depth(x: Array, w: Array) -> Array:
  """`conv3d` as a 2-D convolution of slices: what its four taps along the depth see are channels."""
  b, d, h, v, c = x.shape
  x = jnp.pad(x, ((0, 0), (1, 1), (0, 0), (0, 0), (0, 0)))
  taps = jnp.concatenate([x[:, i : i + d - 1 : 2] for i in range(4)], -1)  # [B, D/2, H, W, 4C]
  kernel = jnp.moveaxis(w, 0, 2).reshape(4, 4, 4 * c, -1)
  y = conv(taps.reshape(-1, h, v, 4 * c), kernel, stride=2, padding=1)
  return y.reshape(b, d // 2, *y.shape[1:])


def by_patches(x: Array, w: Array) -> Array:
  """`conv3d` as one product with all that a result sees: two blocks of 2 voxels each way."""
  b, *sides, c = x.shape
  d, h, v = (n // 2 for n in sides)
  x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (1, 1), (0, 0))).reshape(b, d + 1, 2, h + 1, 2, v + 1, 2, c)
  blocks = x.transpose(0, 1, 3, 5, 2, 4, 6, 7).reshape(b, d + 1, h + 1, v + 1, 8 * c)
  two = [(i, j, k) for i in (0, 1) for j in (0, 1) for k in (0, 1)]
  patches = jnp.concatenate([blocks[:, i : i + d, j : j + h, k : k + v] for i, j, k in two], -1)
  kernel = w.reshape(2, 2, 2, 2, 2, 2, c, -1).transpose(0, 2, 4, 1, 3, 5, 6, 7)
  return patches @ kernel.reshape(64 * c, -1)
