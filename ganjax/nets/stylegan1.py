"""StyleGAN 1: a style and noise for every layer of a network that grows (Karras et al. 2019, arXiv:1812.04948).

A mapping network turns a latent into w. The synthesis network starts from a learned constant; each of its layers adds
noise and normalises every feature of every image, whose scale and bias are then learned affine functions of w (AdaIN,
section 2 and figure 1b). Each layer has a w of its own, so that styles can be mixed and truncated, as in `stylegan2`.
Both players grow as in `progan`, whose discriminator this one is but for its filter: `stage` and alpha are told there.
Where features change their size, they are filtered with (1, 2, 1) (appendix C), images of less detail are not.

Besides parameters G keeps 'averages' (the mean w, written in training), 'noise' (the constant noise images) and
'fade'. In training it draws noise and mixes styles if the caller passes `key`, row by row from fold_in(key, row), so
that any number of devices draws the same. Without it, noise is constant and styles are not mixed.
"""

from collections.abc import Mapping as Named
from collections.abc import Sequence
from math import sqrt
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.core import FrozenDict

from ganjax.nets import layers, progan
from ganjax.nets.equalized import unit_moment
from ganjax.nets.heads import Judgement
from ganjax.nets.progan import WIDTHS, Equalized, activated
from ganjax.nets.stylegan2 import Noise, condition, keep_mean, noise_inputs, styled
from ganjax.ops import across, upfirdn
from ganjax.ops.conv import conv
from ganjax.ops.resample import upsample_conv
from ganjax.types import Array, Key

FILTER = upfirdn.normalised((1.0, 2.0, 1.0))


class Mapping(nn.Module):
  """Latent [B, Z], beside which a label is put as a vector [Z] of its own -> w [B, w_dim], float32."""

  w_dim: int = 512
  depth: int = 8  # with 0 (table 4), w has the latent's size
  classes: int = 0
  lr_multiplier: float = 0.01
  w_avg_beta: float = 0.995

  @nn.compact
  def __call__(
    self,
    x: Array,
    label: Array | None = None,
    *,
    train: bool = False,
    axis: str | None = None,
    count: bool = True,  # whether the mean w advances
  ) -> Array:
    x = x.astype(jnp.float32)
    if self.classes:
      table = self.param('embed', nn.initializers.normal(1.0), (self.classes, x.shape[-1]), jnp.float32)
      x = jnp.concatenate([x, condition(label, self.classes) @ table], -1)
    w = unit_moment(x)
    for i in range(self.depth):
      w = activated(Equalized(self.w_dim, 0, lr_multiplier=self.lr_multiplier, name=f'fc{i}')(w))
    keep_mean(self, w, self.w_avg_beta, train and count, axis)
    return w


class Layer(nn.Module):
  """Convolution (none, with 0 features), noise, bias, leaky ReLU, AdaIN: x [B, H, W, C], w [B, F] -> [B, H', W', C']."""

  features: int = 0
  up: bool = False  # to twice the size, filtered
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, w: Array, noise: Array | str) -> Array:
    if self.features:
      shape = (3, 3, x.shape[-1], self.features)
      kernel = self.param('kernel', nn.initializers.normal(1.0), shape, jnp.float32) * sqrt(2 / (9 * x.shape[-1]))
      x = (upsample_conv if self.up else conv)(x.astype(self.dtype), kernel.astype(self.dtype))
    x = blurred(x) if self.up else x
    channels = x.shape[-1]
    strength = self.param('noise_strength', nn.initializers.zeros, (channels,), jnp.float32)
    const = self.variable('noise', 'const', self.draw, x.shape[1:3])
    if not isinstance(noise, str) or noise == 'const':
      image = const.value[None, ..., None] if isinstance(noise, str) else noise
      x += (image * strength).astype(x.dtype)
    x = activated(x + self.param('bias', nn.initializers.zeros, (channels,), jnp.float32).astype(x.dtype))
    return adain(x, Equalized(2 * channels, 0, 1.0, name='affine')(w))

  def draw(self, shape: tuple[int, ...]) -> Array:
    return jax.random.normal(self.make_rng('params'), shape, jnp.float32)


class Synthesis(nn.Module):
  """ws [B, num_ws, F] -> image [B, resolution, resolution, channels], float32. `noise` has an entry for each layer."""

  resolution: int
  channels: int
  stage: int
  widths: Sequence[int]
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, ws: Array, noise: Sequence[Array | str], alpha: float | Array | None) -> Array:
    alpha = progan.fade(self, alpha)
    widths, stage = progan.sized(self)
    x = self.param('const', nn.initializers.ones, (4, 4, widths[0]), jnp.float32)
    x = jnp.broadcast_to(x, (ws.shape[0], *x.shape)).astype(self.dtype)
    images: list[Array] = []
    for i, width in enumerate(widths):
      side = 4 * 2**i
      if side > stage and not self.is_initializing():
        break
      for j in range(2):
        layer = 2 * i + j  # the first one has the constant for its convolution
        module = Layer(width if layer else 0, up=i > 0 and not j, dtype=self.dtype, name=f'b{side}_conv{j}')
        x = module(x, ws[:, layer], noise[layer])
      if 2 * side >= stage or self.is_initializing():
        to_rgb = Equalized(self.channels, 1, 1.0, dtype=self.dtype, name=f'b{side}_torgb')
        images.append(to_rgb(x).astype(jnp.float32))
    return progan.shown(images, alpha, self.resolution)


class Generator(nn.Module):
  """Latent [B, Z] (and label [B], or a vector [B, classes]) -> image [B, resolution, resolution, channels], float32.

  `styles` and `synthesize` are its two halves, for `apply(..., method='styles')`. Options at call:

  alpha: the weight of the newest layers, see `progan`.
  truncation_psi, truncation_cutoff: pulls the first `cutoff` w (all, if None) to their mean, by 1 - psi.
  noise: 'const', 'random' (needs `key`), 'none', or an array [B or 1, H, W, 1] for each layer (`noise_sides`).
  key, rows: for random draws, and the rows' numbers in the global batch (counted, if None).
  """

  resolution: int = 32
  channels: int = 3
  classes: int = 0
  stage: int = 0  # side of the images that are learned now; 0: `resolution`
  w_dim: int = 512
  mapping_layers: int = 8
  widths: Sequence[int] = WIDTHS  # channels at 4 pixels a side, 8, ...; those that aren't needed are left out
  style_mixing: float = 0.9  # probability, in training with a key
  w_avg_beta: float = 0.995
  dtype: str = 'float32'

  def __post_init__(self) -> None:
    progan.check(self)
    if self.w_dim < 1:
      raise ValueError(f'w_dim: {self.w_dim}; valid are numbers from 1')
    super().__post_init__()

  @property
  def num_ws(self) -> int:
    """How many layers take a style, and noise: two for each resolution."""
    return 2 * (self.resolution.bit_length() - 2)

  @property
  def noise_sides(self) -> tuple[int, ...]:
    """The side of each layer's noise image."""
    return tuple(4 * 2 ** (i // 2) for i in range(self.num_ws))

  def setup(self) -> None:
    self.mapping = Mapping(self.w_dim, self.mapping_layers, self.classes, w_avg_beta=self.w_avg_beta)
    self.synthesis = Synthesis(self.resolution, self.channels, self.stage, self.widths, self.dtype)

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
    alpha: float | Array | None = None,
  ) -> Array:
    if rows is None:
      rows = across.rows(x.shape[0], axis)
    draws: dict[str, Any] = {'key': key, 'rows': rows}
    options: dict[str, Any] = {'truncation_psi': truncation_psi, 'truncation_cutoff': truncation_cutoff}
    ws = self.styles(x, label, train=train, axis=axis, **draws, **options)
    noise = noise or ('random' if train and key is not None else 'const')
    return self.synthesize(ws, noise=noise, alpha=alpha, **draws)

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
    """The w of every layer: [B, num_ws, w_dim]. In training with a key, those of the layers in use are mixed."""
    used = 2 * ((self.stage or self.resolution).bit_length() - 2)
    return styled(self, used, x, label, train=train, axis=axis, key=key, rows=rows,
                  psi=truncation_psi, cutoff=truncation_cutoff)  # fmt: skip

  def synthesize(
    self, ws: Array, *, noise: Noise = 'const', key: Key | None = None, rows: Array | None = None,
    alpha: float | Array | None = None
  ) -> Array:  # fmt: skip
    """The image of the layers' w [B, num_ws, w_dim]."""
    return self.synthesis(ws, noise_inputs(noise, self.noise_sides, ws.shape[0], key, rows), alpha)


class Discriminator(nn.Module):
  """Image [B, resolution, resolution, channels] (and label [B], with classes) -> logits [B], float32.

  With `heads` also a dict: what each says [B, outputs], and the 'features' [B, F].
  """

  resolution: int = 32
  channels: int = 3
  classes: int = 0  # a logit for each, of which the label's counts
  heads: Named[str, int] = FrozenDict()  # further linear outputs: name -> how many
  stage: int = 0  # side of the images that are looked at now; 0: `resolution`
  widths: Sequence[int] = WIDTHS
  mbstd_group_size: int = 4  # 0: it doesn't see how much a minibatch varies
  dtype: str = 'float32'

  def __post_init__(self) -> None:
    progan.check(self)
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
    x = progan.features(self, x, alpha, lambda layer, x: activated(layer(pool=True)(blurred(x))), axis=axis)
    logits = Equalized(max(self.classes, 1), 0, 1.0, name='logit')(x)
    if self.classes:
      logits *= jax.nn.one_hot(layers.required(label), self.classes)
    return progan.with_heads(logits.sum(-1), x, self.heads, Equalized)


def adain(x: Array, style: Array) -> Array:
  """Features of mean 0 and deviation 1 over each image's pixels, times 1 + scale, plus bias (equation 1).

  x [B, H, W, C], style [B, 2 C]: scales, then biases. Statistics are float32.
  """
  scale, bias = jnp.split(style[:, None, None].astype(jnp.float32), 2, -1)
  y = x.astype(jnp.float32)
  y -= y.mean((1, 2), keepdims=True)
  y *= jax.lax.rsqrt(jnp.square(y).mean((1, 2), keepdims=True) + 1e-8)
  return (y * (1 + scale) + bias).astype(x.dtype)


def blurred(x: Array) -> Array:
  """x [B, H, W, C] filtered with (1, 2, 1) / 4 along both axes."""
  return upfirdn.upfirdn(x, FILTER, pad=(1, 1))
