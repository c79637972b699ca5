"""Layers that several networks share.

Parameters are float32 and computation is in `dtype`. What a layer keeps besides parameters is written only
where the caller made it mutable: collection 'batch_stats' (running mean and variance) and 'spectral'
(power iteration vectors u, v). `train` says which statistics are used, `axis` is the pmap axis or None.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganjax.ops import across, spectral
from ganjax.ops.conv import Padding, conv, conv_pool, conv_transpose, pair
from ganjax.ops.spectral import EPSILON
from ganjax.types import Array, Key

Initializer = Callable[..., Array]
Initial = Literal['normal', 'orthogonal', 'xavier', 'he']
Spectral = bool | Literal['always']  # 'always': at evaluation, too, a power iteration is taken, and not kept
Bias = bool | Literal['fixed']  # 'fixed': it is there, but doesn't learn

INITIALIZERS: dict[str, Initializer] = {
  'normal': nn.initializers.normal(0.02),  # DCGAN, pix2pix
  'orthogonal': nn.initializers.orthogonal(),  # BigGAN
  'xavier': nn.initializers.xavier_uniform(),  # SNGAN
  'he': nn.initializers.he_normal(),
}


class Conv(nn.Module):
  """Convolution [B, H, W, C] -> [B, H', W', features]; `padding`, `groups` as in `ops.conv.conv`.

  With `pool`, followed by means over 2x2 pixels, at less than half of the computation. `convolve(x, kernel)`, if there
  is one, takes the place of `ops.conv.conv`, for a convolution with a faster form.
  """

  features: int
  kernel: int = 3
  stride: int = 1
  padding: Padding = 'SAME'
  groups: int = 1
  use_bias: Bias = True
  spectral: Spectral = False
  epsilon: float = EPSILON  # the least length that a vector of its power iteration is divided by
  kernel_init: Initializer = INITIALIZERS['normal']
  gain: float = 1.0  # of the initial kernel
  pool: bool = False
  dtype: Any = jnp.float32
  convolve: Callable[[Array, Array], Array] | None = None

  @nn.compact
  def __call__(self, x: Array, train: bool = False) -> Array:
    shape = (*pair(self.kernel), x.shape[-1] // self.groups, self.features)
    w = self.param('kernel', scaled(self.kernel_init, self.gain), shape, jnp.float32)
    if self.spectral:
      w = normalized(self, w, train)
    x, w = x.astype(self.dtype), w.astype(self.dtype)
    if self.convolve or self.pool:
      return biased(self, (self.convolve or conv_pool)(x, w))
    return biased(self, conv(x, w, stride=self.stride, padding=self.padding, groups=self.groups))


class ConvTranspose(nn.Module):
  """Transposed convolution [B, H, W, C] -> [B, H', W', features], as in `ops.conv.conv_transpose`."""

  features: int
  kernel: int = 4
  stride: int = 2
  padding: Padding = 'SAME'
  output_padding: int = 0
  use_bias: Bias = True
  spectral: Spectral = False
  epsilon: float = EPSILON
  kernel_init: Initializer = INITIALIZERS['normal']
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, train: bool = False) -> Array:
    w = self.param('kernel', self.kernel_init, (*pair(self.kernel), x.shape[-1], self.features), jnp.float32)
    if self.spectral:
      w = normalized(self, w, train)
    x, w = x.astype(self.dtype), w.astype(self.dtype)
    options: dict[str, Any] = {'stride': self.stride, 'padding': self.padding, 'output_padding': self.output_padding}
    return biased(self, conv_transpose(x, w, **options))


class Dense(nn.Module):
  """Matrix product on the last axis: [..., F] -> [..., features]."""

  features: int
  use_bias: Bias = True
  spectral: Spectral = False
  epsilon: float = EPSILON
  kernel_init: Initializer = INITIALIZERS['normal']
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, train: bool = False) -> Array:
    w = self.param('kernel', self.kernel_init, (x.shape[-1], self.features), jnp.float32)
    if self.spectral:
      w = normalized(self, w, train)
    return biased(self, x.astype(self.dtype) @ w.astype(self.dtype))


class Embed(nn.Module):
  """A vector for each class: int [B] -> [B, features]; of shares [B, classes] the mixture."""

  classes: int
  features: int
  spectral: Spectral = False
  epsilon: float = EPSILON
  kernel_init: Initializer = INITIALIZERS['normal']
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, label: Array, train: bool = False) -> Array:
    w = self.param('embedding', self.kernel_init, (self.classes, self.features), jnp.float32)
    if self.spectral:
      w = normalized(self, w.T, train).T  # u over the classes, as elsewhere
    w = w.astype(self.dtype)
    return label.astype(self.dtype) @ w if jnp.issubdtype(label.dtype, jnp.floating) else w[label]


class BatchNorm(nn.Module):
  """Batch normalisation over all axes but the last (Ioffe and Szegedy 2015, arXiv:1502.03167).

  In training, mean and variance of the global batch, over all devices of `axis`, in two passes and in
  float32; the running ones are kept as PyTorch keeps them: `momentum` is the weight of the new value,
  and the variance is the unbiased one (normalisation uses the biased one). Both start as in PyTorch, 0 and 1.
  """

  momentum: float = 0.1
  epsilon: float = 1e-5
  affine: bool = True
  unbiased: bool = True  # the variance that is kept
  scale_init: Initializer = nn.initializers.ones
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, *, train: bool = False, axis: str | None = None) -> Array:
    c = x.shape[-1]
    running_mean = self.variable('batch_stats', 'mean', jnp.zeros, (c,), jnp.float32)
    running_var = self.variable('batch_stats', 'var', jnp.ones, (c,), jnp.float32)
    x = x.astype(jnp.float32)
    if train:
      axes = tuple(range(x.ndim - 1))
      mean = across.mean(x.mean(axes), axis)
      x = x - mean
      var = across.mean(jnp.square(x).mean(axes), axis)
      if self.is_mutable_collection('batch_stats') and not self.is_initializing():
        count = x.size // c * (1 if axis is None else jax.lax.axis_size(axis))
        kept = var * (count / max(count - 1, 1)) if self.unbiased else var
        running_mean.value += self.momentum * (jax.lax.stop_gradient(mean) - running_mean.value)
        running_var.value += self.momentum * (jax.lax.stop_gradient(kept) - running_var.value)
    else:
      x, var = x - running_mean.value, running_var.value
    scale = jax.lax.rsqrt(var + self.epsilon)
    if not self.affine:
      return (x * scale).astype(self.dtype)
    scale *= self.param('scale', self.scale_init, (c,), jnp.float32)
    return (x * scale + self.param('bias', nn.initializers.zeros, (c,), jnp.float32)).astype(self.dtype)


class ConditionalBatchNorm(nn.Module):
  """Batch normalisation with a gain and a bias for each class (de Vries et al. 2017, arXiv:1707.00683)."""

  classes: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, label: Array, *, train: bool = False, axis: str | None = None) -> Array:
    x = BatchNorm(affine=False, dtype=jnp.float32, name='norm')(x, train=train, axis=axis)
    shape = (self.classes, x.shape[-1])
    rows = (label.shape[0], *[1] * (x.ndim - 2), x.shape[-1])
    scale = self.param('scale', nn.initializers.ones, shape, jnp.float32)[label].reshape(rows)
    bias = self.param('bias', nn.initializers.zeros, shape, jnp.float32)[label].reshape(rows)
    return (x * scale + bias).astype(self.dtype)


class Norm(nn.Module):
  """Normalisation by name: over the batch, over an image ('layer'), over a channel of an image, or none."""

  kind: Literal['batch', 'layer', 'instance', 'none'] = 'batch'
  classes: int = 0  # gains and biases for each class, with 'batch'
  scale_init: Initializer = nn.initializers.ones
  dtype: Any = jnp.float32
  affine: bool = True  # with 'instance': a gain and a bias, which image translation does without

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool = False, axis: str | None = None) -> Array:
    if self.kind == 'none':
      return x
    if self.kind == 'instance' and not self.affine:
      return instance_norm(x).astype(self.dtype)
    if self.kind == 'batch' and self.classes:
      return ConditionalBatchNorm(self.classes, dtype=self.dtype, name='batch')(
        x, required(label), train=train, axis=axis
      )
    if self.kind == 'batch':
      return BatchNorm(scale_init=self.scale_init, dtype=self.dtype, name='batch')(x, train=train, axis=axis)
    groups: dict[str, Any] = {'num_groups': 1} if self.kind == 'layer' else {'num_groups': None, 'group_size': 1}
    return nn.GroupNorm(**groups, epsilon=1e-5, dtype=self.dtype, scale_init=self.scale_init, name=self.kind)(x)


def instance_norm(x: Array, epsilon: float = 1e-5) -> Array:
  """Every channel of every image of x [B, H, W, C] with mean 0 and variance 1, float32 (arXiv:1607.08022)."""
  x = x.astype(jnp.float32)
  x = x - x.mean((1, 2), keepdims=True)
  return x * jax.lax.rsqrt(jnp.square(x).mean((1, 2), keepdims=True) + epsilon)


def dropped(x: Array, rate: float, key: Key, rows: Array) -> Array:
  """Dropout: x [B, ...] with about `rate` of its numbers at 0 and the others scaled up, row by row from fold_in(key, row)."""
  keep = jax.vmap(lambda row: jax.random.bernoulli(jax.random.fold_in(key, row), 1 - rate, x.shape[1:]))(rows)
  return jnp.where(keep, x / (1 - rate), 0).astype(x.dtype)


def scaled(init: Initializer, gain: float) -> Initializer:
  """`init` times `gain`."""
  return init if gain == 1 else lambda *args: gain * init(*args)


def biased(module: Any, y: Array) -> Array:
  """Adds to y [..., C] the module's bias, if it has one. To be called inside its compact method."""
  if not module.use_bias:
    return y
  bias = module.param('bias', nn.initializers.zeros, y.shape[-1:], jnp.float32).astype(y.dtype)
  return y + (jax.lax.stop_gradient(bias) if module.use_bias == 'fixed' else bias)


def normalized(module: Any, w: Array, train: bool) -> Array:
  """Divides w [..., O] by its spectral norm. A training forward takes one power iteration first and keeps it."""
  u = module.variable('spectral', 'u', lambda: spectral.start(w, module.make_rng('params')))
  v = module.variable('spectral', 'v', lambda: spectral.iterate(w, u.value, module.epsilon)[1])
  if not train and module.spectral != 'always':
    return w / spectral.sigma(w, u.value, v.value)
  vectors = spectral.iterate(w, u.value, module.epsilon)
  if train and module.is_mutable_collection('spectral') and not module.is_initializing():
    u.value, v.value = vectors
  return w / spectral.sigma(w, *vectors)


def concatenated(x: Array, label: Array | None, classes: int) -> Array:
  """Puts the one-hot label, if there are classes, behind x [B, F]: [B, F + classes]."""
  if not classes:
    return x
  return jnp.concatenate([x, jax.nn.one_hot(required(label), classes, dtype=x.dtype)], -1)


def required(label: Array | None) -> Array:
  """The label of a conditional network."""
  if label is None:
    raise ValueError('label: a conditional network (classes > 0) needs one')
  return label


def check(resolution: int, channels: int, sizes: Sequence[int]) -> None:
  """Raises ValueError for images that a network can't make."""
  if resolution not in sizes:
    raise ValueError(f'resolution: {resolution}; valid are {", ".join(map(str, sizes))}')
  if channels < 1:
    raise ValueError(f'channels: {channels}; valid are numbers from 1')


def check_width(width: int, divisors: Sequence[int]) -> None:
  """Raises ValueError for a width that a network can't divide."""
  if width < 1 or width % max(divisors):
    raise ValueError(f'width: {width}; valid are multiples of {max(divisors)}')


def check_image(x: Array, *, multiple: int = 1, least: int = 1) -> None:
  """Raises ValueError for images [B, H, W, C] of a size that a network can't take."""
  if x.ndim != 4:
    raise ValueError(f'image: shape {x.shape}; valid are images [B, H, W, C]')
  if any(n % multiple or n < least for n in x.shape[1:3]):
    raise ValueError(f'image: {x.shape[1]} x {x.shape[2]} pixels; valid are {fitting(multiple, least)} each way')


def fitting(multiple: int, least: int) -> str:
  """Which sizes fit, in words."""
  if multiple == 1:
    return f'numbers from {least}'
  first = -(-least // multiple) * multiple
  return f'multiples of {multiple}' + (f' from {first}' if first > multiple else '')


def check_dropout(rate: float) -> None:
  """Raises ValueError for a share that can't be dropped."""
  if not 0 <= rate < 1:
    raise ValueError(f'dropout: {rate}; valid are numbers from 0 up to, but not, 1')


def check_least(module: Any, **least: int) -> None:
  """Raises ValueError for fields of a module below their least value."""
  for name, value in least.items():
    if getattr(module, name) < value:
      raise ValueError(f'{name}: {getattr(module, name)}; valid are numbers from {value}')
