"""Self-attention over the pixels of a feature map."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganjax.nets import layers
from ganjax.ops.spectral import EPSILON
from ganjax.types import Array


class SelfAttention(nn.Module):
  """x + gamma * attention(x), gamma starting at 0: [B, H, W, C] -> the same (SAGAN, arXiv:1805.08318, section 3).

  As the authors have it, keys and values are the largest of 2x2 pixels, queries and keys have C / 8 channels, values
  C / 2, and products are not divided by sqrt(C / 8). H and W are even.
  """

  spectral: layers.Spectral = False
  epsilon: float = EPSILON
  kernel_init: layers.Initializer = layers.INITIALIZERS['xavier']
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, train: bool = False) -> Array:
    b, h, w, c = x.shape
    if c < 8 or h % 2 or w % 2:
      raise ValueError(f'attention: maps of shape {x.shape[1:]}; valid are even sides and at least 8 channels')
    options: dict[str, Any] = {'spectral': self.spectral, 'epsilon': self.epsilon, 'kernel_init': self.kernel_init}
    conv: Any = partial(layers.Conv, kernel=1, use_bias=False, dtype=self.dtype, **options)
    query = conv(c // 8, name='theta')(x, train).reshape(b, h * w, -1)
    key = largest(conv(c // 8, name='phi')(x, train)).reshape(b, h * w // 4, -1)
    value = largest(conv(c // 2, name='g')(x, train)).reshape(b, h * w // 4, -1)
    seen = jax.nn.softmax(jnp.einsum('bqc,bkc->bqk', query, key).astype(jnp.float32)).astype(value.dtype)
    y = conv(c, name='o')((seen @ value).reshape(b, h, w, -1), train)
    gamma = self.param('gamma', nn.initializers.zeros, (), jnp.float32)
    return x + gamma.astype(y.dtype) * y


def largest(x: Array) -> Array:
  """The largest of 2x2 pixels, by channel: [B, 2H, 2W, C] -> [B, H, W, C]."""
  b, h, w, c = x.shape
  return x.reshape(b, h // 2, 2, w // 2, 2, c).max((2, 4))
