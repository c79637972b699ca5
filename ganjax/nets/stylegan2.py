"""StyleGAN 2: styles that scale the features of each convolution (Karras et al. 2020, arXiv:1912.04958).

Layer for layer the authors' PyTorch networks, with classes as in StyleGAN2-ADA (arXiv:2006.06676). A mapping
network turns a latent into w; every layer of the synthesis network takes a w of its own, so that they can be
mixed and truncated. Widths are min(channel_base / resolution, channel_max).

Besides parameters G keeps 'averages' (the mean w, written in training) and 'noise' (the constant noise images).
In training it draws noise and mixes styles if the caller passes `key`, row by row from fold_in(key, row), so
that any number of devices draws the same. Without it, noise is constant and styles are not mixed.
"""

from collections.abc import Sequence
from functools import partial
from math import sqrt
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganjax.nets import layers
from ganjax.nets.equalized import Conv, Dense, activated, clamped, resampled, unit_moment
from ganjax.nets.heads import minibatch_std
from ganjax.ops import across, upfirdn
from ganjax.ops.conv import conv
from ganjax.types import Array, Key

RESOLUTIONS = tuple(2**i for i in range(2, 11))
MIX, NOISE = 0x6D78, 0x6E6F  # what the key is folded with, for each kind of draw
Architecture = Literal['skip', 'resnet', 'orig']
Noise = Literal['const', 'random', 'none'] | Sequence[Array]


class Mapping(nn.Module):
  """Latent [B, Z] and label -> w [B, w_dim], float32. Either may be absent: D maps labels alone."""

  w_dim: int = 512
  depth: int = 8
  classes: int = 0
  lr_multiplier: float = 0.01
  w_avg_beta: float | None = 0.995  # None: keeps no mean w

  @nn.compact
  def __call__(
    self,
    x: Array | None,
    label: Array | None = None,
    *,
    train: bool = False,
    axis: str | None = None,
    count: bool = True,  # whether the mean w advances
  ) -> Array:
    parts = [] if x is None else [unit_moment(x.astype(jnp.float32))]
    if self.classes:
      parts.append(unit_moment(Dense(self.w_dim, name='embed')(condition(label, self.classes))))
    w = jnp.concatenate(parts, -1)
    for i in range(self.depth):
      w = Dense(self.w_dim, activate=True, lr_multiplier=self.lr_multiplier, name=f'fc{i}')(w)
    if self.w_avg_beta is None:
      return w
    keep_mean(self, w, self.w_avg_beta, train and count, axis)
    return w


class StyledConv(nn.Module):
  """Modulated convolution, noise, bias, leaky ReLU: x [B, H, W, C], w [B, F] -> [B, H', W', features].

  The kernel scaled per input channel by an image's style, and to unit norm per output channel (equations 1
  and 3), is the same as features scaled before and after one kernel common to all images.
  """

  features: int
  up: bool = False
  taps: Sequence[float] = upfirdn.FILTER
  clamp: float | None = None
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, w: Array, noise: Array | str, gain: float = 1.0) -> Array:
    kernel = self.param('kernel', nn.initializers.normal(1.0), (3, 3, x.shape[-1], self.features), jnp.float32)
    style = Dense(x.shape[-1], bias=1.0, name='affine')(w)
    scale = jax.lax.rsqrt(jnp.square(style) @ jnp.square(kernel).sum((0, 1)) + 1e-8)
    x = x.astype(self.dtype) * style[:, None, None].astype(self.dtype)
    x = resampled(x, kernel.astype(self.dtype), self.up, False, self.taps) * scale[:, None, None].astype(self.dtype)
    strength = self.param('noise_strength', nn.initializers.zeros, (), jnp.float32)
    const = self.variable('noise', 'const', self.draw, x.shape[1:3])
    if not isinstance(noise, str) or noise == 'const':
      image = const.value[None, ..., None] if isinstance(noise, str) else noise
      x += (image * strength).astype(x.dtype)
    x += self.param('bias', nn.initializers.zeros, (self.features,), jnp.float32).astype(x.dtype)
    return activated(x, gain, self.clamp)

  def draw(self, shape: tuple[int, ...]) -> Array:
    return jax.random.normal(self.make_rng('params'), shape, jnp.float32)


class ToRGB(nn.Module):
  """Modulated 1x1 convolution without demodulation: x [B, H, W, C], w [B, F] -> [B, H, W, features], float32."""

  features: int
  clamp: float | None = None
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, w: Array) -> Array:
    kernel = self.param('kernel', nn.initializers.normal(1.0), (1, 1, x.shape[-1], self.features), jnp.float32)
    style = Dense(x.shape[-1], bias=1.0, name='affine')(w) / sqrt(x.shape[-1])
    x = conv(x.astype(self.dtype) * style[:, None, None].astype(self.dtype), kernel.astype(self.dtype))
    x = x.astype(jnp.float32) + self.param('bias', nn.initializers.zeros, (self.features,), jnp.float32)
    return clamped(x, 1.0, self.clamp)


class Synthesis(nn.Module):
  """ws [B, num_ws, F] -> image [B, resolution, resolution, channels], float32. `noise` has an entry for each layer."""

  resolution: int
  channels: int
  widths: Sequence[int]  # for 4 pixels, 8, ...
  architecture: Architecture = 'skip'
  taps: Sequence[float] = upfirdn.FILTER
  clamp: float | None = None
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, ws: Array, noise: Sequence[Array | str]) -> Array:
    skip, resnet = self.architecture == 'skip', self.architecture == 'resnet'
    x = self.param('const', nn.initializers.normal(1.0), (4, 4, self.widths[0]), jnp.float32)
    x = jnp.broadcast_to(x, (ws.shape[0], *x.shape)).astype(self.dtype)
    styled = partial(StyledConv, taps=self.taps, clamp=self.clamp, dtype=self.dtype)
    shortcut = partial(Conv, kernel=1, up=True, activate=False, use_bias=False, taps=self.taps, dtype=self.dtype)
    image = jnp.zeros((), jnp.float32)
    each = iter(range(ws.shape[1]))
    for i, width in enumerate(self.widths):
      block = f'b{4 * 2**i}'
      before = x
      if i:
        layer = next(each)
        x = styled(width, up=True, name=f'{block}_conv0')(x, ws[:, layer], noise[layer])
      layer = next(each)
      gain = sqrt(0.5) if resnet and i else 1.0
      x = styled(width, name=f'{block}_conv1')(x, ws[:, layer], noise[layer], gain)
      if resnet and i:
        x += shortcut(width, name=f'{block}_skip')(before, gain)
      if skip and i:
        image = upfirdn.upsample(image, self.taps)
      if skip or i == len(self.widths) - 1:
        image += ToRGB(self.channels, self.clamp, self.dtype, name=f'{block}_torgb')(x, ws[:, layer + 1])
    return image


class Generator(nn.Module):
  """Latent [B, Z] (and label [B], or a vector [B, classes]) -> image [B, resolution, resolution, channels].

  `styles` and `synthesize` are its two halves, for `apply(..., method='styles')`. Options at call:

  truncation_psi, truncation_cutoff: pulls the first `cutoff` w (all, if None) to their mean, by 1 - psi.
  noise: 'const', 'random' (needs `key`), 'none', or an array [B or 1, H, W, 1] for each layer (`noise_sides`).
  key, rows: for random draws, and the rows' numbers in the global batch (counted, if None).
  """

  resolution: int = 32
  channels: int = 3
  classes: int = 0
  w_dim: int = 512
  mapping_layers: int = 8
  channel_base: int = 32768
  channel_max: int = 512
  architecture: Architecture = 'skip'
  style_mixing: float = 0.9  # probability, in training with a key
  w_avg_beta: float = 0.995
  resample_filter: Sequence[float] = upfirdn.FILTER
  conv_clamp: float | None = None
  dtype: str = 'float32'

  def __post_init__(self) -> None:
    layers.check(self.resolution, self.channels, RESOLUTIONS)
    super().__post_init__()

  @property
  def noise_sides(self) -> tuple[int, ...]:
    """The side of each layer's noise image."""
    return tuple(4 * 2 ** ((i + 1) // 2) for i in range(self.num_ws - 1))

  @property
  def num_ws(self) -> int:
    """How many layers take a style: the convolutions and the last ToRGB."""
    return 2 * (self.resolution.bit_length() - 2)

  def setup(self) -> None:
    self.mapping = Mapping(self.w_dim, self.mapping_layers, self.classes, w_avg_beta=self.w_avg_beta)
    self.synthesis = Synthesis(
      self.resolution, self.channels, widths(self.resolution, self.channel_base, self.channel_max),
      self.architecture, self.resample_filter, self.conv_clamp, self.dtype,
    )  # fmt: skip

  def __call__(
    self,
    x: Array,
    label: Array | None = None,
    *,
    train: bool = False,
    axis: str | None = None,
    key: Key | None = None,
    rows: Array | None = None,
    truncation_psi: float | Array = 1.0,
    truncation_cutoff: int | None = None,
    noise: Noise | None = None,
  ) -> Array:
    if rows is None:
      rows = across.rows(x.shape[0], axis)
    draws: dict[str, Any] = {'key': key, 'rows': rows}
    options: dict[str, Any] = {'truncation_psi': truncation_psi, 'truncation_cutoff': truncation_cutoff}
    ws = self.styles(x, label, train=train, axis=axis, **draws, **options)
    return self.synthesize(ws, noise=noise or ('random' if train and key is not None else 'const'), **draws)

  def styles(
    self,
    x: Array,
    label: Array | None = None,
    *,
    train: bool = False,
    axis: str | None = None,
    key: Key | None = None,
    rows: Array | None = None,
    truncation_psi: float | Array = 1.0,
    truncation_cutoff: int | None = None,
  ) -> Array:
    """The w of every layer: [B, num_ws, w_dim]. In training with a key, styles are mixed."""
    return styled(self, self.num_ws, x, label, train=train, axis=axis, key=key, rows=rows,
                  psi=truncation_psi, cutoff=truncation_cutoff)  # fmt: skip

  def synthesize(
    self, ws: Array, *, noise: Noise = 'const', key: Key | None = None, rows: Array | None = None
  ) -> Array:
    """The image of the layers' w [B, num_ws, w_dim]."""
    return self.synthesis(ws, noise_inputs(noise, self.noise_sides, ws.shape[0], key, rows))


class Discriminator(nn.Module):
  """Image [B, resolution, resolution, channels] (and label [B], or a vector [B, classes]) -> logits [B], float32."""

  resolution: int = 32
  channels: int = 3
  classes: int = 0  # features times the mapped label are the logit (projection)
  channel_base: int = 32768
  channel_max: int = 512
  architecture: Architecture = 'resnet'
  mapping_layers: int = 8
  cmap_dim: int = 0  # of the mapped label; 0: as many as the last features
  mbstd_group_size: int = 4
  mbstd_channels: int = 1
  resample_filter: Sequence[float] = upfirdn.FILTER
  conv_clamp: float | None = None
  dtype: str = 'float32'

  def __post_init__(self) -> None:
    layers.check(self.resolution, self.channels, RESOLUTIONS)
    super().__post_init__()

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool = False, axis: str | None = None) -> Array:  # noqa: ARG002
    skip, resnet = self.architecture == 'skip', self.architecture == 'resnet'
    *sizes, last = reversed(widths(self.resolution, self.channel_base, self.channel_max))
    layer = partial(Conv, taps=self.resample_filter, clamp=self.conv_clamp)
    image, side = x, self.resolution
    x = jnp.zeros((), self.dtype)
    for width, after in zip(sizes, [*sizes[1:], last], strict=True):
      common = partial(layer, dtype=self.dtype)
      if skip or side == self.resolution:
        x += common(width, 1, name=f'b{side}_fromrgb')(image)
      if skip:
        image = upfirdn.downsample(image, self.resample_filter)
      gain = sqrt(0.5) if resnet else 1.0
      y = common(after, down=True, name=f'b{side}_conv1')(common(width, name=f'b{side}_conv0')(x), gain)
      if resnet:
        y += common(after, 1, down=True, activate=False, use_bias=False, name=f'b{side}_skip')(x, gain)
      x, side = y, side // 2
    x = x.astype(jnp.float32)
    if skip or self.resolution == 4:
      x += layer(last, 1, name='b4_fromrgb')(image)
    if self.mbstd_channels:
      x = minibatch_std(x, group=self.mbstd_group_size, channels=self.mbstd_channels, axis=axis)
    x = layer(last, name='b4_conv')(x)
    x = Dense(last, activate=True, name='b4_fc')(x.reshape(x.shape[0], -1))
    if not self.classes:
      return Dense(1, name='b4_out')(x)[:, 0]
    dim = self.cmap_dim or last
    mapped = Mapping(dim, self.mapping_layers, self.classes, w_avg_beta=None, name='mapping')(None, label)
    return (Dense(dim, name='b4_out')(x) * mapped).sum(-1) / sqrt(dim)


def widths(resolution: int, base: int, most: int) -> tuple[int, ...]:
  """Channels at 4 pixels a side, 8, ... `resolution`."""
  found = tuple(min(base // 2**i, most) for i in range(2, resolution.bit_length()))
  if min(found) < 1:
    raise ValueError(f'channel_base: {base}; valid are numbers from {resolution}, one channel at full size')
  return found


def condition(label: Array | None, classes: int) -> Array:
  """A label int [B] as a one-hot vector; a vector [B, classes] as it is."""
  label = layers.required(label)
  if not jnp.issubdtype(label.dtype, jnp.floating):
    return jax.nn.one_hot(label, classes)
  if label.ndim != 2 or label.shape[1] != classes:
    raise ValueError(f'label: vectors of shape {label.shape}; valid are [B, {classes}]')
  return label.astype(jnp.float32)


def keep_mean(module: nn.Module, w: Array, beta: float, advance: bool, axis: str | None) -> None:
  """Keeps the running mean of w [B, F] in the module's collection 'averages', and advances it if asked to."""
  average = module.variable('averages', 'w', jnp.zeros, (w.shape[-1],), jnp.float32)
  if advance and module.is_mutable_collection('averages') and not module.is_initializing():
    mean = across.mean(jax.lax.stop_gradient(w).mean(0), axis)
    average.value = mean + beta * (average.value - mean)


def styled(module: Any, mixable: int, x: Array, label: Array | None, *, train: bool, axis: str | None, key: Key | None,
           rows: Array | None, psi: float | Array, cutoff: int | None) -> Array:  # fmt: skip
  """`Generator.styles`: ws [B, num_ws, w_dim] of latents; a second style rules from one of the `mixable` layers."""
  w = module.mapping(x, label, train=train, axis=axis)
  ws = jnp.broadcast_to(w[:, None], (w.shape[0], module.num_ws, w.shape[-1]))
  if train and key is not None and module.style_mixing:
    rows = across.rows(x.shape[0], axis) if rows is None else rows
    other, first = mixing(jax.random.fold_in(key, MIX), rows, x.shape[1], mixable, module.style_mixing)
    w = module.mapping(other, label, train=train, axis=axis, count=False)
    ws = jnp.where((jnp.arange(module.num_ws) < first[:, None])[..., None], ws, w[:, None])
  if isinstance(psi, float | int) and psi == 1:
    return ws
  return truncated(ws, module.mapping.get_variable('averages', 'w'), psi, cutoff)


def noise_inputs(
  noise: Noise, sides: Sequence[int], n: int, key: Key | None, rows: Array | None
) -> Sequence[Array | str]:
  """What each layer's noise is, drawn for n rows if it is 'random'. Raises ValueError."""
  if isinstance(noise, str) and noise == 'random':
    if key is None:
      raise ValueError("noise: 'random' needs a key")
    return noise_images(key, jnp.arange(n) if rows is None else rows, sides)
  named = isinstance(noise, str) and noise in ('const', 'none')
  images: Sequence[Array | str] = [str(noise)] * len(sides) if named else noise
  if isinstance(images, str) or len(images) != len(sides):
    raise ValueError(f"noise: valid are 'const', 'random', 'none', or {len(sides)} arrays of sides {tuple(sides)}")
  return images


def per_row(key: Key, rows: Array, sample: Any) -> Array:
  """sample(key) [...] for each row [B] -> [B, ...], whatever the other rows are."""
  return jax.vmap(lambda row: sample(jax.random.fold_in(key, row)))(rows)


def noise_images(key: Key, rows: Array, sides: Sequence[int]) -> list[Array]:
  """Normal noise [B, side, side, 1] for layers of these sides."""
  return [
    per_row(jax.random.fold_in(key, NOISE + i), rows, partial(jax.random.normal, shape=(side, side, 1)))
    for i, side in enumerate(sides)
  ]


def mixing(key: Key, rows: Array, latent_dim: int, num_ws: int, probability: float) -> tuple[Array, Array]:
  """Latents [B, Z] of the second style, and the layer [B] from which it rules; num_ws where styles aren't mixed."""

  def draw(key: Key) -> tuple[Array, Array]:
    latent, layer, mixed = jax.random.split(key, 3)
    first = jax.random.randint(layer, (), 1, num_ws)
    return jax.random.normal(latent, (latent_dim,)), jnp.where(jax.random.bernoulli(mixed, probability), first, num_ws)

  return per_row(key, rows, draw)  # type: ignore[return-value]


def truncated(ws: Array, mean: Array, psi: float | Array, cutoff: int | None = None) -> Array:
  """ws [B, L, F] with the first `cutoff` layers (all, if None) pulled to the mean w [F], by 1 - psi."""
  near = mean + psi * (ws - mean)
  if cutoff is None:
    return near
  return jnp.where((jnp.arange(ws.shape[1]) < cutoff)[:, None], near, ws)
