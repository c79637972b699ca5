"""How a discriminator sees the label and the other rows, and what it says at its end: shared by the networks."""

from collections.abc import Mapping
from math import gcd
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganjax.nets import layers
from ganjax.ops import across
from ganjax.types import Array

Inside = Literal['none', 'concat', 'projection']  # how a discriminator's logit sees the label
Minibatch = Literal['none', 'std', 'discrimination']  # what a discriminator sees of the other rows
Judgement = Array | tuple[Array, dict[str, Array]]  # logits [B]; with heads also what each says, [B, outputs]


def beside(x: Array, label: Array | None, classes: int) -> Array:
  """Puts the one-hot label behind the channels of every pixel of x [B, ..., C]: [B, ..., C + classes]."""
  one_hot = jax.nn.one_hot(layers.required(label), classes, dtype=x.dtype).reshape(
    x.shape[0], *[1] * (x.ndim - 2), classes
  )
  return jnp.concatenate([x, jnp.broadcast_to(one_hot, (*x.shape[:-1], classes))], -1)


def judged(
  module: Any, x: Array, label: Array | None, common: Mapping[str, Any], *, train: bool, axis: str | None
) -> Judgement:
  """The end of a discriminator, from its features x [B, F]. To be called inside its compact method.

  Logits [B]: a dense layer; with `inside` 'projection' plus the product of the features with the label's embedding
  (Miyato and Koyama 2018, arXiv:1802.05637, equation 3). With `heads` or `proxies` a dict comes along: each head's
  dense layer on the features [B, outputs], the 'features' themselves [B, F], and 'proxy' [B, proxies], the row of
  the label in a table of its own.
  """
  if module.minibatch == 'discrimination':
    x = MinibatchDiscrimination(kernel_init=common['kernel_init'], dtype=module.dtype, name='minibatch')(x, axis=axis)
  logits = layers.Dense(1, **common, name='logit')(x, train)[:, 0]
  if module.classes and module.inside == 'projection':
    embedding = layers.Embed(module.classes, x.shape[-1], **common, name='embed')(layers.required(label), train)
    logits += jnp.sum(embedding * x, -1)
  if not module.heads and not module.proxies:
    return logits
  said = {
    name: layers.Dense(size, **common, name=f'head_{name}')(x, train) for name, size in module.heads.items() if size
  }
  if module.proxies:
    said['proxy'] = layers.Embed(module.classes, module.proxies, **common, name='proxy')(layers.required(label), train)
  return logits, said | {'features': x}


class MinibatchDiscrimination(nn.Module):
  """Closeness to the batch's other rows joins the features (Salimans et al. 2016, section 3.2): [B, F] -> [B, F + K].

  o(x_i)_k = sum over j of exp(-|M_ik - M_jk|_1), M_i = x_i T in K kernels of D dimensions; j runs over the global batch.
  """

  kernels: int = 32
  dimensions: int = 8
  kernel_init: layers.Initializer = layers.INITIALIZERS['normal']
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, *, axis: str | None = None) -> Array:
    m = layers.Dense(self.kernels * self.dimensions, use_bias=False, kernel_init=self.kernel_init, name='project')(x)
    m = m.astype(jnp.float32).reshape(-1, self.kernels, self.dimensions)
    distances = jnp.abs(m[:, None] - across.gather(m, axis)[None]).sum(-1)  # [B, all, K]
    near = jnp.exp(-distances).sum(1) - 1  # each is near itself
    return jnp.concatenate([x, near.astype(x.dtype)], -1)


def minibatch_std(x: Array, *, group: int = 4, channels: int = 1, axis: str | None = None) -> Array:
  """Appends to x [B, ..., C] the mean standard deviation over groups of rows: [B, ..., C + channels].

  (Karras et al. 2018, section 3.) Each of the `channels` looks at its share of the C features. Groups are strided,
  rows i, i + N/group, ... of the global batch of N, as in StyleGAN 2; a group that N can't fill is made as small as
  it must be.
  """
  everything = across.gather(x.astype(jnp.float32), axis)
  n, c = everything.shape[0], x.shape[-1]
  groups = everything.reshape(gcd(group, n), -1, *x.shape[1:-1], channels, c // channels)
  spread = jnp.sqrt(jnp.square(groups - groups.mean(0)).mean(0) + 1e-8)
  value = spread.mean((*range(1, x.ndim - 1), x.ndim))[across.rows(x.shape[0], axis) % spread.shape[0]]
  shape = (x.shape[0], *[1] * (x.ndim - 2), channels)
  return jnp.concatenate([x, jnp.broadcast_to(value.reshape(shape), (*x.shape[:-1], channels)).astype(x.dtype)], -1)
