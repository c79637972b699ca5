"""ProGAN: networks that grow with the images, a resolution at a time (Karras et al. 2018, arXiv:1710.10196).

One tree of parameters has the layers of every resolution up to `resolution`; those above the current `stage` wait.
A new stage fades in: alpha, the weight of the new layers, goes from 0 to 1 while the old way into and out of RGB goes
from 1 to 0 (section 2, figure 2). Images keep their full size: G's are up-sampled to it, D pools what it is given, so
that with alpha 0 a stage is the stage before, up-sampled.

alpha is given at call. The last one that was is kept in the collection 'fade', where it is mutable, and is in force
where none is given: samples of a half-grown G are drawn with the alpha that it was trained with.

Weights start as N(0, 1) and are scaled at run time (section 4.1); G normalises each pixel (4.2), D sees how much a
minibatch varies (section 3). `version='gan_zoo'` is facebookresearch/pytorch_GAN_zoo, which differs in what is scaled.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import sqrt
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.core import FrozenDict

from ganjax.nets import layers
from ganjax.nets.equalized import unit_moment
from ganjax.nets.heads import Judgement, minibatch_std
from ganjax.nets.stylegan2 import RESOLUTIONS
from ganjax.ops import across
from ganjax.ops.conv import conv, conv_pool
from ganjax.ops.resample import average_pool, upsample_conv, upsample_nearest
from ganjax.types import Array

WIDTHS = (512, 512, 512, 512, 256, 128, 64, 32, 16)  # at 4 pixels a side, 8, ... 1024 (table 2)
Version = Literal['paper', 'gan_zoo']


class Generator(nn.Module):
  """Latent [B, Z] (and label [B], with classes) -> image [B, resolution, resolution, channels], float32."""

  resolution: int = 32
  channels: int = 3
  classes: int = 0  # the label joins the latent as a one-hot vector
  stage: int = 0  # side of the images that are learned now; 0: `resolution`
  widths: Sequence[int] = WIDTHS  # channels at 4 pixels a side, 8, ...; those that aren't needed are left out
  version: Version = 'paper'
  dtype: str = 'float32'

  def __post_init__(self) -> None:
    check(self)
    super().__post_init__()

  @nn.compact
  def __call__(
    self,
    x: Array,
    label: Array | None = None,
    *,
    train: bool = False,  # noqa: ARG002
    axis: str | None = None,  # noqa: ARG002
    alpha: float | Array | None = None,
  ) -> Array:
    alpha = fade(self, alpha)
    layer = partial(Equalized, version=self.version, dtype=self.dtype)
    normalized = lambda x: unit_moment(activated(x).astype(jnp.float32)).astype(self.dtype)  # noqa: E731
    widths, stage = sized(self)
    x = unit_moment(layers.concatenated(x.astype(jnp.float32), label, self.classes))
    shared = 16 if self.version == 'paper' else 1  # a bias for a channel, or for each of its 4x4 pixels
    x = layer(16 * widths[0], 0, sqrt(2) / 4, shared=shared, name='project')(x).reshape(-1, 4, 4, widths[0])
    x = normalized(layer(widths[0], name='b4_conv')(normalized(x)))
    images: list[Array] = []
    for i, width in enumerate(widths):
      side = 4 * 2**i
      if side > stage and not self.is_initializing():
        break
      for j in range(2 if i else 0):
        x = normalized(layer(width, up=not j, name=f'b{side}_conv{j}')(x))
      if 2 * side >= stage or self.is_initializing():
        images.append(layer(self.channels, 1, 1.0, name=f'b{side}_torgb')(x).astype(jnp.float32))
    return shown(images, alpha, self.resolution)


class Discriminator(nn.Module):
  """Image [B, resolution, resolution, channels] (and label [B], with classes) -> logits [B], float32.

  With `heads` also a dict: what each says [B, outputs], and the 'features' [B, F].
  """

  resolution: int = 32
  channels: int = 3
  classes: int = 0  # features times the label's vector join the logit (projection)
  heads: Mapping[str, int] = FrozenDict()  # further linear outputs: name -> how many
  stage: int = 0  # side of the images that are looked at now; 0: `resolution`
  widths: Sequence[int] = WIDTHS
  mbstd_group_size: int = 4  # 0: it doesn't see how much a minibatch varies
  version: Version = 'paper'
  dtype: str = 'float32'

  def __post_init__(self) -> None:
    check(self)
    super().__post_init__()

  @nn.compact
  def __call__(
    self,
    x: Array,
    label: Array | None = None,
    *,
    train: bool = False,  # noqa: ARG002
    axis: str | None = None,
    alpha: float | Array | None = None,
  ) -> Judgement:
    x = features(self, x, alpha, lambda layer, x: average_pool(activated(layer()(x))), version=self.version, axis=axis)
    layer = partial(Equalized, version=self.version)
    logits = layer(1, 0, 1.0, name='logit')(x)[:, 0]
    if self.classes:
      one_hot = jax.nn.one_hot(layers.required(label), self.classes)
      logits += (x * unit_moment(layer(x.shape[-1], 0, 1.0, name='embed')(one_hot))).sum(-1) / sqrt(x.shape[-1])
    return with_heads(logits, x, self.heads, layer)


class Equalized(nn.Module):
  """'SAME' convolution [B, H, W, C] -> [B, H, W, features]; with kernel 0 a product [B, F] -> [B, features].

  Weights are scaled by `gain` / sqrt(fan in). pytorch_GAN_zoo takes sqrt(2) for every gain, and scales biases, too.
  """

  features: int
  kernel: int = 3
  gain: float = sqrt(2)  # He's, of a layer before a rectifier
  version: Version = 'paper'
  dtype: Any = jnp.float32
  lr_multiplier: float = 1.0  # of weights and biases; weights start larger by as much as it is smaller
  up: bool = False  # on pixels repeated 2x2
  pool: bool = False  # followed by means over 2x2 pixels
  shared: int = 1  # so many features, a stride apart, have one bias

  @nn.compact
  def __call__(self, x: Array) -> Array:
    sides = (self.kernel, self.kernel) if self.kernel else ()
    initial = nn.initializers.normal(1 / self.lr_multiplier)
    w = self.param('kernel', initial, (*sides, x.shape[-1], self.features), jnp.float32)
    b = self.param('bias', nn.initializers.zeros, (self.features // self.shared,), jnp.float32)
    b = jnp.tile(b, self.shared) if self.shared > 1 else b
    zoo = self.version == 'gan_zoo'
    scale = (sqrt(2) if zoo else self.gain) / sqrt(w.size // self.features)
    x, w = x.astype(self.dtype), (w * (scale * self.lr_multiplier)).astype(self.dtype)
    convolve = upsample_conv if self.up else conv_pool if self.pool else conv
    return (convolve(x, w) if self.kernel else x @ w) + (b * (scale if zoo else self.lr_multiplier)).astype(self.dtype)


def features(module: Any, x: Array, alpha: float | Array | None, halved: Callable[..., Array], *,
             version: Version = 'paper', axis: str | None = None) -> Array:  # fmt: skip
  """D up to its last layer: image [B, H, H, C] -> [B, widths[0]], float32. To be called inside its compact method.

  `halved(layer, x)` calls layer(), a block's second convolution, and makes its result half as large.
  """
  alpha = fade(module, alpha)
  layer = partial(Equalized, version=version, dtype=module.dtype)
  widths, stage = sized(module)
  top = module.resolution if module.is_initializing() else stage
  image = pooled(x, top)
  x = activated(layer(widths[top.bit_length() - 3], 1, name=f'b{top}_fromrgb')(image))
  for i in reversed(range(1, top.bit_length() - 2)):
    side = 4 * 2**i
    x = activated(layer(widths[i], name=f'b{side}_conv0')(x))
    x = halved(partial(layer, widths[i - 1], name=f'b{side}_conv1'), x)
    # pytorch_GAN_zoo forgets to blend at the first growth.
    blends = side == stage and not (version == 'gan_zoo' and side == 8)
    if blends or module.is_initializing():
      old = layer(widths[i - 1], 1, name=f'b{side // 2}_fromrgb')(pooled(image, side // 2))
      x = blend(alpha, x, activated(old))
  x = x.astype(jnp.float32)
  if module.mbstd_group_size:
    spread = minibatch_std if version == 'paper' else unbiased_std
    x = spread(x, group=module.mbstd_group_size, axis=axis)
  layer = partial(Equalized, version=version)
  x = activated(layer(widths[0], name='b4_conv')(x)).reshape(x.shape[0], -1)
  return activated(layer(widths[0], 0, name='b4_fc')(x))


def with_heads(logits: Array, x: Array, heads: Mapping[str, int], layer: Callable[..., Equalized]) -> Judgement:
  """The logits [B], and what each head says of the features x [B, F], if there are any."""
  said = {name: layer(size, 0, 1.0, name=f'head_{name}')(x) for name, size in heads.items() if size}
  return (logits, said | {'features': x}) if said else logits


def activated(x: Array) -> Array:
  """Leaky ReLU of slope .2."""
  return nn.leaky_relu(x, 0.2)


def fade(module: nn.Module, alpha: float | Array | None) -> Array:
  """The weight [] of the newest layers: the one given, which is kept, or else the kept one, 1 at the start."""
  kept = module.variable('fade', 'alpha', jnp.ones, (), jnp.float32)
  if alpha is None:
    return kept.value
  alpha = jnp.asarray(alpha, jnp.float32)
  if module.is_mutable_collection('fade') and not module.is_initializing():
    kept.value = alpha
  return alpha


def blend(alpha: Array, new: Array, old: Array) -> Array:
  """`alpha` of the new and the rest of the old, [B, H, W, C] both."""
  alpha = alpha.astype(new.dtype)
  return alpha * new + (1 - alpha) * old


def shown(images: Sequence[Array], alpha: Array, side: int) -> Array:
  """The largest of `images` and half of its size, the one before, as one of full size [B, side, side, C]."""
  image = images[-1]
  if len(images) > 1:
    image = blend(alpha, image, upsample_nearest(images[-2]))
  while image.shape[1] < side:
    image = upsample_nearest(image)
  return image


def faded(x: Array, stage: int, alpha: float | Array) -> Array:
  """Reals [B, H, W, C] as they are to be while a stage fades in: no more detail than the fakes have.

  `stage` pixels a side, blended with the images at half of that as G blends its own, and at their full size again.
  """
  small = pooled(x, stage)
  y = blend(jnp.asarray(alpha, x.dtype), small, upsample_nearest(average_pool(small))) if stage > 4 else small
  while y.shape[1] < x.shape[1]:
    y = upsample_nearest(y)
  return y


def pooled(x: Array, side: int) -> Array:
  """Means of square pixels: x [B, H, H, C] -> [B, side, side, C]."""
  while x.shape[1] > side:
    x = average_pool(x)
  return x


def unbiased_std(x: Array, *, group: int = 4, axis: str | None = None) -> Array:
  """`heads.minibatch_std` as in pytorch_GAN_zoo: variances over n - 1, groups of rows that follow one another.

  A batch that groups don't fill is one group; of one row, the value is 0.
  """
  everything = across.gather(x, axis)
  n = everything.shape[0]
  size = group if n % group == 0 else n
  groups = everything.reshape(-1, size, *x.shape[1:])
  variance = jnp.square(groups - groups.mean(1, keepdims=True)).sum(1) / max(size - 1, 1)
  spread = jnp.sqrt(variance + 1e-8).mean((1, 2, 3)) * (size > 1)
  value = spread[across.rows(x.shape[0], axis) // size].reshape(-1, 1, 1, 1)
  return jnp.concatenate([x, jnp.broadcast_to(value, (*x.shape[:-1], 1))], -1)


def sized(module: Any) -> tuple[tuple[int, ...], int]:
  """Channels at each resolution, and the side of the images that are learned now."""
  return tuple(module.widths[: module.resolution.bit_length() - 2]), module.stage or module.resolution


def check(module: Any) -> None:
  """Raises ValueError for what can't be made or grown."""
  layers.check(module.resolution, module.channels, RESOLUTIONS)
  sides = [side for side in RESOLUTIONS if side <= module.resolution]
  if module.stage and module.stage not in sides:
    raise ValueError(f'stage: {module.stage}; valid are 0 (all), {", ".join(map(str, sides))}')
  if len(module.widths) < len(sides) or min(module.widths) < 1:
    raise ValueError(f'widths: {tuple(module.widths)}; valid are {len(sides)} numbers from 1, or more')
