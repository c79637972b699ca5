"""Filtered up- and down-sampling, alone and together with a convolution (StyleGAN 2, R3GAN).

Enlarging or reducing an image aliases unless a low-pass filter goes with it (Zhang 2019, arXiv:1904.11486;
Karras et al. 2020, arXiv:1912.04958, appendix B). A filter is given by its taps along one axis, such as
(1, 3, 3, 1), normalised here to sum 1 and applied along rows, then along columns, as sums of shifted
images: XLA's depthwise convolution is many times slower on the CPU. The derivative of each pass is the pass
with up and down exchanged, so that any order of reverse differentiation stays on this path.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from ganjax.ops.conv import conv, conv_transpose
from ganjax.types import Array

FILTER = (1.0, 3.0, 3.0, 1.0)


class Pass(NamedTuple):
  """Zeros between the pixels of an axis (`up`), padding, correlation with `taps`, then every `down`-th pixel."""

  axis: int
  taps: tuple[float, ...]
  up: int
  down: int
  pad: tuple[int, int]  # negative: cropped

  def size(self, n: int) -> int:
    """Pixels that come of n."""
    return (n * self.up + sum(self.pad) - len(self.taps)) // self.down + 1

  def transposed(self, n: int) -> 'Pass':
    """The pass that takes a cotangent of the result back to the n pixels."""
    k, low = len(self.taps), len(self.taps) - 1 - self.pad[0]
    high = (n - 1) * self.up + k - self.size(n) * self.down - low
    return Pass(self.axis, self.taps[::-1], self.down, self.up, (low, high))


def upfirdn(x: Array, taps: Sequence[float], *, up: int = 1, down: int = 1, pad: tuple[int, int] = (0, 0)) -> Array:
  """Zeros between pixels, padding, convolution with `taps`, every `down`-th pixel, along both axes of x [B, H, W, C].

  `pad` are the pixels of zeros before and behind, after `up`. Either `up` or `down` is 1. Taps are used as given.
  """
  if min(up, down) != 1:
    raise ValueError(f'upfirdn: up {up} and down {down}; one of them must be 1')
  for axis in (1, 2):
    x = along(Pass(axis, tuple(taps)[::-1], up, down, pad), x)
  return x


def normalised(taps: Sequence[float], gain: float = 1.0) -> tuple[float, ...]:
  """`taps` scaled to the sum `gain`."""
  return tuple(gain * tap / sum(taps) for tap in taps)


def upsample(x: Array, taps: Sequence[float] = FILTER) -> Array:
  """Twice the size, filtered: x [B, H, W, C] -> [B, 2H, 2W, C]."""
  k = len(taps)
  return upfirdn(x, normalised(taps, 2), up=2, pad=((k + 1) // 2, (k - 2) // 2))


def downsample(x: Array, taps: Sequence[float] = FILTER) -> Array:
  """Filtered, half the size: x [B, 2H, 2W, C] -> [B, H, W, C]."""
  k = len(taps)
  return upfirdn(x, normalised(taps), down=2, pad=((k - 1) // 2, (k - 2) // 2))


def conv_up(x: Array, w: Array, taps: Sequence[float] = FILTER) -> Array:
  """Transposed convolution of stride 2, then the filter: x [B, H, W, C], w [k, k, C, O] -> [B, 2H, 2W, O].

  So in StyleGAN 2: filtering first and convolving then differs at the border. A 1x1 kernel goes first.
  """
  k, n = w.shape[0], len(taps)
  if k == 1:
    return upsample(conv(x, w), taps)
  x = conv_transpose(x, w, stride=2, padding='VALID')
  pad = (k // 2 + (n + 1) // 2 - (k - 1), k // 2 + (n - 2) // 2 - (k - 2))
  return upfirdn(x, normalised(taps, 2), pad=pad)


def conv_down(x: Array, w: Array, taps: Sequence[float] = FILTER) -> Array:
  """The filter, then a convolution of stride 2: x [B, 2H, 2W, C], w [k, k, C, O] -> [B, H, W, O]."""
  k, n = w.shape[0], len(taps)
  if k == 1:
    return conv(downsample(x, taps), w)
  x = upfirdn(x, normalised(taps), pad=(k // 2 + (n - 1) // 2, k // 2 + (n - 2) // 2))
  return conv(x, w, stride=2, padding='VALID')


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def along(spec: Pass, x: Array) -> Array:
  """One pass over x [B, H, W, C]."""
  return (reduce if spec.up == 1 else enlarge)(spec, x)


along.defvjp(
  lambda spec, x: (along(spec, x), x.shape[spec.axis]),
  lambda spec, n, g: (along(spec.transposed(n), g),),
)


def reduce(spec: Pass, x: Array) -> Array:
  """A pass without `up`."""
  x = padded(x, spec.axis, *spec.pad)
  last = (spec.size(x.shape[spec.axis] - sum(spec.pad)) - 1) * spec.down + 1
  parts = [tap * lax.slice_in_dim(x, i, i + last, spec.down, spec.axis) for i, tap in enumerate(spec.taps)]
  return sum(parts[1:], parts[0])


def enlarge(spec: Pass, x: Array) -> Array:
  """A pass without `down`: every phase of the result sees its own taps."""
  size = spec.size(x.shape[spec.axis])
  each = -(-size // spec.up)
  phases = []
  for phase in range(spec.up):
    seen = [(tap, (phase + i - spec.pad[0]) // spec.up) for i, tap in enumerate(spec.taps)
            if (phase + i - spec.pad[0]) % spec.up == 0]  # fmt: skip
    low, high = min(o for _, o in seen), max(o for _, o in seen)
    own = padded(x, spec.axis, -low, each + high - x.shape[spec.axis])
    parts = [tap * lax.slice_in_dim(own, o - low, o - low + each, axis=spec.axis) for tap, o in seen]
    phases.append(sum(parts[1:], parts[0]))
  y = jnp.stack(phases, spec.axis + 1)
  y = y.reshape(*x.shape[: spec.axis], spec.up * each, *x.shape[spec.axis + 1 :])
  return lax.slice_in_dim(y, 0, size, axis=spec.axis)


def padded(x: Array, axis: int, low: int, high: int) -> Array:
  """Zeros before and behind along an axis; negative numbers crop."""
  config = [(0, 0, 0)] * x.ndim
  config[axis] = (low, high, 0)
  return lax.pad(x, jnp.zeros((), x.dtype), config)
