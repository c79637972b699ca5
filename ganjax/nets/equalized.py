"""Layers with an equalised learning rate (Karras et al. 2018, arXiv:1710.10196, section 4.1), as in StyleGAN 2.

Weights start as N(0, 1) and are scaled at run time by 1 / sqrt(fan in), so that Adam's steps have the same size
relative to each weight's range. `lr_multiplier` scales weight and bias once more, and the initial weight inversely.
Activations are leaky ReLUs of slope .2 times sqrt(2), which keeps the second moment. Parameters are float32.
"""

from collections.abc import Sequence
from math import sqrt
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganjax.ops import upfirdn
from ganjax.ops.conv import conv
from ganjax.types import Array


class Dense(nn.Module):
  """Matrix product on the last axis, and activation if wanted: [..., F] -> [..., features]."""

  features: int
  activate: bool = False
  bias: float = 0.0  # at the start
  lr_multiplier: float = 1.0
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array) -> Array:
    initial = nn.initializers.normal(1 / self.lr_multiplier)
    w = self.param('kernel', initial, (x.shape[-1], self.features), jnp.float32)
    b = self.param('bias', nn.initializers.constant(self.bias), (self.features,), jnp.float32)
    w = w * (self.lr_multiplier / sqrt(x.shape[-1]))
    x = x.astype(self.dtype) @ w.astype(self.dtype) + (b * self.lr_multiplier).astype(self.dtype)
    return activated(x) if self.activate else x


class Conv(nn.Module):
  """'SAME' convolution with filtered up- or down-sampling, and activation if wanted; with `gain` at the end."""

  features: int
  kernel: int = 3
  up: bool = False
  down: bool = False
  activate: bool = True
  use_bias: bool = True
  taps: Sequence[float] = upfirdn.FILTER
  clamp: float | None = None
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, gain: float = 1.0) -> Array:
    shape = (self.kernel, self.kernel, x.shape[-1], self.features)
    w = self.param('kernel', nn.initializers.normal(1.0), shape, jnp.float32) / sqrt(self.kernel**2 * x.shape[-1])
    x = resampled(x.astype(self.dtype), w.astype(self.dtype), self.up, self.down, self.taps)
    if self.use_bias:
      x += self.param('bias', nn.initializers.zeros, (self.features,), jnp.float32).astype(x.dtype)
    return activated(x, gain, self.clamp) if self.activate else clamped(x * gain, gain, self.clamp)


def resampled(x: Array, w: Array, up: bool, down: bool, taps: Sequence[float]) -> Array:
  """'SAME' convolution of x [B, H, W, C] at twice, at half or at the same size."""
  if up:
    return upfirdn.conv_up(x, w, taps)
  return upfirdn.conv_down(x, w, taps) if down else conv(x, w)


def activated(x: Array, gain: float = 1.0, clamp: float | None = None) -> Array:
  """Leaky ReLU times sqrt(2) and `gain`, limited to `clamp` times `gain` on both sides."""
  return clamped(nn.leaky_relu(x, 0.2) * (sqrt(2) * gain), gain, clamp)


def clamped(x: Array, gain: float, clamp: float | None) -> Array:
  """Limits x to `clamp` times `gain` on both sides."""
  return x if clamp is None else jnp.clip(x, -clamp * gain, clamp * gain)


def unit_moment(x: Array) -> Array:
  """Scales x [..., F] to a mean square of 1 over F."""
  return x * jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + 1e-8)
