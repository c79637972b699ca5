"""TransGAN: players of transformer blocks alone (Jiang et al. 2021, arXiv:2102.07074).

Layer for layer the authors' pair for CIFAR-10: `ViT_custom_rp` as G, `ViT_custom_scale2_rp_noise` as D. G's tokens
are pixels; each growth shuffles a quarter of a token's numbers to each of four new ones (section 3.1). D sees
patches at two scales (3.2). Attention knows relative positions (3.4), and maps larger than `window` attend in squares
of that side, the grid self-attention of section 3.3.

D adds noise to what each attention sees: row by row from fold_in(key, row), if the caller passes `key`; or the
arrays `noise`, [B, tokens, 1] for each attention in order; or else none.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from math import isqrt, sqrt
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.core import FrozenDict

from ganjax.nets import layers
from ganjax.nets.equalized import unit_moment
from ganjax.nets.heads import Inside, Judgement, Minibatch, beside, judged
from ganjax.nets.stylegan2 import per_row
from ganjax.ops import across
from ganjax.ops.resample import average_pool
from ganjax.types import Array, Key

NOISE = 0x746E  # what the key is folded with
NormKind = Literal['layer', 'batch', 'instance', 'pixel', 'none']
Activation = Literal['gelu', 'leaky_relu']
ACTIVATIONS = {'gelu': partial(nn.gelu, approximate=False), 'leaky_relu': partial(nn.leaky_relu, negative_slope=0.2)}
SMALL = layers.INITIALIZERS['normal']
EVEN = nn.initializers.variance_scaling(1 / 3, 'fan_in', 'uniform')  # PyTorch's own


class Generator(nn.Module):
  """Latent [B, Z] (and label [B], with classes) -> image [B, resolution, resolution, channels], unbounded, float32."""

  resolution: int = 32
  channels: int = 3
  classes: int = 0  # the label joins the latent as a one-hot vector
  smallest: int = 8  # side of the first map
  width: int = 1024  # numbers in a token of the first map; a quarter after each growth
  depths: Sequence[int] = (5, 4, 2)  # blocks at each size
  attention_heads: int = 4
  window: int = 32  # larger maps attend in squares of this side
  mlp_ratio: float = 4.0
  norm: NormKind = 'layer'
  activation: Activation = 'gelu'
  latent_norm: bool = False  # latents are scaled to the length sqrt(Z)
  dtype: str = 'float32'

  def __post_init__(self) -> None:
    count = len(self.depths)
    layers.check(self.resolution, self.channels, [self.smallest * 2 ** max(count - 1, 0)])
    quarters = 4 ** (count - 1)
    if self.width % quarters or any(self.width // 4**i % self.attention_heads for i in range(count)):
      raise ValueError(f'width: {self.width}; valid are multiples of {quarters * self.attention_heads}, so that '
                       f'{count} sizes have tokens for {self.attention_heads} heads')  # fmt: skip
    for i in range(count):
      check_window(self.window, self.smallest * 2**i)
    super().__post_init__()

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool = False, axis: str | None = None) -> Array:
    if self.latent_norm:
      x *= jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True))
    x = layers.concatenated(x, label, self.classes)
    side, width = self.smallest, self.width
    project = layers.Dense(side**2 * width, kernel_init=EVEN, dtype=self.dtype, name='project')
    x = project(x).reshape(-1, side**2, width)
    for i, depth in enumerate(self.depths):
      if i:
        x, side, width = pixel_shuffle(x), 2 * side, width // 4
      x += position(self, f'position{i}', (1, side**2, width)).astype(x.dtype)
      for j in range(depth):
        block = Block(self.attention_heads, min(self.window, side), self.mlp_ratio, self.norm, self.activation,
                      kernel_init=EVEN, dtype=self.dtype, name=f'stage{i}_block{j}')  # fmt: skip
        x = block(x, train=train, axis=axis)
    x = x.reshape(-1, side, side, width)
    image = layers.Conv(self.channels, 1, kernel_init=layers.INITIALIZERS['xavier'], dtype=self.dtype, name='image')
    return image(x).astype(jnp.float32)


class Discriminator(nn.Module):
  """Image [B, resolution, resolution, channels] (and label [B], with classes) -> logits [B], as in `judged`."""

  resolution: int = 32
  channels: int = 3
  classes: int = 0
  inside: Inside = 'projection'  # how the label, with classes, enters the logit
  heads: Mapping[str, int] = FrozenDict()  # further linear outputs: name -> how many
  proxies: int = 0  # numbers in each class's own vector, for losses that compare with it
  minibatch: Minibatch = 'none'
  patch: int = 2  # side of the patches; of those that join later it is twice that
  width: int = 384  # numbers in a token at the end; three quarters at first
  depth: int = 3  # blocks at each of the two sizes
  attention_heads: int = 4
  window: int = 32  # larger maps attend in squares of this side
  mlp_ratio: float = 4.0
  norm: NormKind = 'layer'
  activation: Activation = 'gelu'
  dtype: str = 'float32'

  def __post_init__(self) -> None:
    if self.patch < 1 or self.resolution < 1 or self.resolution % (2 * self.patch):
      raise ValueError(f'resolution: {self.resolution}; valid are multiples of {2 * self.patch}, two patches')
    if self.width % (4 * self.attention_heads):
      raise ValueError(f'width: {self.width}; valid are multiples of {4 * self.attention_heads}, 4 x attention_heads')
    if self.minibatch == 'std':
      raise ValueError("minibatch: 'std'; valid are 'none', 'discrimination': tokens are no maps")
    for scale in (1, 2):
      check_window(self.window, self.resolution // (scale * self.patch))
    super().__post_init__()

  @nn.compact
  def __call__(
    self,
    x: Array,
    label: Array | None = None,
    *,
    train: bool = False,
    axis: str | None = None,
    key: Key | None = None,
    rows: Array | None = None,
    noise: Sequence[Array] | None = None,
  ) -> Judgement:
    side = self.resolution // self.patch
    lengths = [side**2] * self.depth + [side**2 // 4] * self.depth + [side**2 // 4 + 1]
    noises = iter(drawn(lengths, key, across.rows(x.shape[0], axis) if rows is None else rows, noise))
    if self.classes and self.inside == 'concat':
      x = beside(x, label, self.classes)
    gain = sqrt(0.5) if self.norm == 'none' else 1.0
    block = partial(Block, self.attention_heads, mlp_ratio=self.mlp_ratio, norm=self.norm, activation=self.activation,
                    noisy=True, gain=gain, dtype=self.dtype)  # fmt: skip
    patches = [patched(self, x, scale * self.patch, features, f'patches{scale - 1}')
               for scale, features in ((1, self.width // 4 * 3), (2, self.width // 4))]  # fmt: skip
    x = patches[0]
    for i in range(2):
      if i:
        x = average_pool(x.reshape(-1, side, side, x.shape[-1])).reshape(*patches[1].shape[:2], -1)
        x, side = jnp.concatenate([x, patches[1]], -1), side // 2
      x += position(self, f'position{i}', (1, *x.shape[1:])).astype(x.dtype)
      for j in range(self.depth):
        x = block(min(self.window, side), name=f'stage{i}_block{j}')(x, next(noises), train=train, axis=axis)
    cls = position(self, 'cls', (1, 1, self.width)).astype(x.dtype)
    x = jnp.concatenate([jnp.broadcast_to(cls, (x.shape[0], 1, self.width)), x], 1)
    x = block(0, name='last')(x, next(noises), train=train, axis=axis)
    x = TokenNorm(self.norm, self.dtype, name='norm')(x, train=train, axis=axis)[:, 0]
    return judged(self, x, label, {'kernel_init': SMALL, 'dtype': self.dtype}, train=train, axis=axis)


class Block(nn.Module):
  """x + attention(norm(x)), then x + mlp(norm(x)), tokens [B, N, C]; each sum times `gain`."""

  attention_heads: int
  window: int
  mlp_ratio: float
  norm: NormKind
  activation: Activation
  noisy: bool = False
  gain: float = 1.0
  kernel_init: layers.Initializer = SMALL
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, noise: Array | None = None, *, train: bool, axis: str | None) -> Array:
    norm = partial(TokenNorm, self.norm, self.dtype)
    dense = partial(layers.Dense, kernel_init=self.kernel_init, dtype=self.dtype)
    attention = Attention(self.attention_heads, self.window, self.noisy, self.kernel_init, self.dtype, name='attention')
    x = (x + attention(norm(name='norm1')(x, train=train, axis=axis), noise)) * self.gain
    y = dense(int(x.shape[-1] * self.mlp_ratio + 1e-6), name='fc1')(norm(name='norm2')(x, train=train, axis=axis))
    return (x + dense(x.shape[-1], name='fc2')(ACTIVATIONS[self.activation](y))) * self.gain


class Attention(nn.Module):
  """Self-attention of tokens [B, N, C], in squares of `window` pixels a side that know relative positions.

  With `window` 0 every token sees every other, and none knows where it is. Noise [B, N, 1] joins, by a learned strength.
  """

  attention_heads: int
  window: int
  noisy: bool
  kernel_init: layers.Initializer = SMALL
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, noise: Array | None = None) -> Array:
    b, n, c = x.shape
    heads, w = self.attention_heads, self.window
    if self.noisy:
      strength = self.param('noise_strength', nn.initializers.zeros, (), jnp.float32)
      x = x if noise is None else x + (noise * strength).astype(x.dtype)
    dense = partial(layers.Dense, kernel_init=self.kernel_init, dtype=self.dtype)
    qkv = dense(3 * c, use_bias=False, name='qkv')(x)
    qkv = squares(qkv, w) if w else qkv
    q, k, v = jnp.moveaxis(qkv.reshape(*qkv.shape[:2], 3, heads, c // heads), 2, 0)
    seen = jnp.einsum('bqhc,bkhc->bhqk', q, k).astype(jnp.float32) / sqrt(c // heads)
    if w:
      table = self.param('relative', nn.initializers.normal(0.02), ((2 * w - 1) ** 2, heads), jnp.float32)
      seen += relative(table)
    y = jnp.einsum('bhqk,bkhc->bqhc', jax.nn.softmax(seen).astype(v.dtype), v).reshape(*qkv.shape[:2], c)
    return dense(c, name='proj')(whole(y, b, n, w) if w else y)


class TokenNorm(nn.Module):
  """Normalisation of tokens [B, N, C] by name: each token's numbers ('layer', 'pixel' without mean and affine map),
  a number over an image's tokens ('instance'), or over all ('batch').
  """

  kind: NormKind = 'layer'
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, *, train: bool = False, axis: str | None = None) -> Array:
    if self.kind == 'layer':
      return nn.LayerNorm(epsilon=1e-5, use_fast_variance=False, dtype=self.dtype, name='layer')(x)
    if self.kind == 'batch':
      return layers.BatchNorm(dtype=self.dtype, name='batch')(x, train=train, axis=axis)
    if self.kind == 'none':
      return x
    wide = x.astype(jnp.float32)
    if self.kind == 'pixel':
      return unit_moment(wide).astype(self.dtype)
    wide -= wide.mean(1, keepdims=True)
    return (wide * jax.lax.rsqrt(jnp.square(wide).mean(1, keepdims=True) + 1e-5)).astype(self.dtype)


def position(module: nn.Module, name: str, shape: tuple[int, ...]) -> Array:
  """A learned array. To be called inside a compact method."""
  return module.param(name, nn.initializers.normal(0.02), shape, jnp.float32)


def patched(module: Any, x: Array, side: int, features: int, name: str) -> Array:
  """Tokens [B, N, features] of the squares of x [B, H, W, C]. To be called inside a compact method."""
  init = layers.INITIALIZERS['xavier']
  conv = layers.Conv(features, side, side, 'VALID', kernel_init=init, dtype=module.dtype, name=name)
  return conv(x).reshape(x.shape[0], -1, features)


def pixel_shuffle(x: Array) -> Array:
  """Four tokens of each: [B, H W, 4 C] -> [B, 2H 2W, C], the c-th number of the (i, j)-th of four is 4 c + 2 i + j."""
  b, n, c = x.shape
  side = isqrt(n)
  x = x.reshape(b, side, side, c // 4, 2, 2).transpose(0, 1, 4, 2, 5, 3)
  return x.reshape(b, 4 * n, c // 4)


def squares(x: Array, w: int) -> Array:
  """The tokens [B, H W, C] of each square of w x w: [B (H / w) (W / w), w w, C]."""
  b, n, c = x.shape
  count = isqrt(n) // w
  if count == 1:
    return x
  return x.reshape(b, count, w, count, w, c).transpose(0, 1, 3, 2, 4, 5).reshape(-1, w * w, c)


def whole(x: Array, b: int, n: int, w: int) -> Array:
  """The opposite of `squares`: [B (H / w) (W / w), w w, C] -> [B, H W, C]."""
  count = isqrt(n) // w
  if count == 1:
    return x
  return x.reshape(b, count, count, w, w, -1).transpose(0, 1, 3, 2, 4, 5).reshape(b, n, -1)


def relative(table: Array) -> Array:
  """A bias for every pair of a square's tokens, [heads, w w, w w], from one for each distance [(2 w - 1)^2, heads].

  Row (dy + w - 1)(2 w - 1) + dx + w - 1 is for a query dy below and dx right of its key.
  """
  w = (isqrt(table.shape[0]) + 1) // 2
  grid = jnp.moveaxis(table.reshape(2 * w - 1, 2 * w - 1, -1), 2, 0)  # [heads, dy, dx]
  columns = differences(grid)  # [heads, dy, qx, kx]
  both = differences(jnp.moveaxis(columns, 1, -1))  # [heads, qx, kx, qy, ky]
  return both.transpose(0, 3, 1, 4, 2).reshape(-1, w * w, w * w)


def differences(x: Array) -> Array:
  """x [..., 2 w - 1] by difference -> [..., w, w], the (i, j)-th is the one for i - j, at i - j + w - 1.

  Repeated rows, read with a length one shorter, are shifted rows: no gather, whose gradient is slow.
  """
  w = (x.shape[-1] + 1) // 2
  rows = jnp.pad(x[..., ::-1], [(0, 0)] * (x.ndim - 1) + [(0, 1)])
  rows = jnp.broadcast_to(rows[..., None, :], (*x.shape[:-1], w, 2 * w)).reshape(*x.shape[:-1], -1)
  return rows[..., : w * (2 * w - 1)].reshape(*x.shape[:-1], w, 2 * w - 1)[..., w - 1 :]


def drawn(
  lengths: Sequence[int], key: Key | None, rows: Array, noise: Sequence[Array] | None
) -> Sequence[Array | None]:
  """Noise [B, tokens, 1] for each attention: what is given, what the key says, or none."""
  if noise is not None:
    if len(noise) != len(lengths):
      raise ValueError(f'noise: {len(noise)} arrays; valid are {len(lengths)}, of {lengths} tokens')
    return noise
  if key is None:
    return [None] * len(lengths)
  key = jax.random.fold_in(key, NOISE)
  return [
    per_row(jax.random.fold_in(key, i), rows, partial(jax.random.normal, shape=(length, 1)))
    for i, length in enumerate(lengths)
  ]


def check_window(window: int, side: int) -> None:
  """Raises ValueError for windows that a map can't be divided into."""
  if window < 1 or (side > window and side % window):
    raise ValueError(f'window: {window}; valid are divisors of {side}, the side of a map, and larger numbers')
