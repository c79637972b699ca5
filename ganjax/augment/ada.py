"""Adaptive discriminator augmentation, ADA (Karras et al. 2020, arXiv:2006.06676, section 2 and appendix B).

Each operation has probability p; as long as p is below about .8, G can tell what images look like without them.
Draws and their application are apart: draws are values by operation, and where one isn't applied its value does nothing.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erfinv

from ganjax.augment import geometric, pixels
from ganjax.augment.adaptive import Adaptive
from ganjax.augment.augmentation import Augmentation, per_row
from ganjax.errors import ConfigError, nearest
from ganjax.types import Array, Key, Number

Draws = dict[str, Array]  # operation -> [B, ...]


class Sizes(NamedTuple):
  """How far the operations go: shares of the image, of pi or of the value range; deviations of log2 factors."""

  xint_max: float = 0.125
  scale_std: float = 0.2
  rotate_max: float = 1.0
  aniso_std: float = 0.2
  xfrac_std: float = 0.125
  brightness_std: float = 0.2
  contrast_std: float = 0.5
  hue_max: float = 1.0
  saturation_std: float = 1.0
  imgfilter_std: float = 1.0
  noise_std: float = 0.1
  cutout_size: float = 0.5


class Operation(NamedTuple):
  """`value` of a uniform or normal draw; `idle` is the value that does nothing."""

  value: Callable[[Array, Sizes], Array]
  idle: float = 0.0
  number: int = 1  # of draws per image
  normal: bool = False
  apart: bool = False  # each draw has a chance of its own


OPERATIONS = {
  'xflip': Operation(lambda u, _: jnp.floor(2 * u)),
  'rotate90': Operation(lambda u, _: jnp.floor(4 * u)),
  'xint': Operation(lambda u, s: (2 * u - 1) * s.xint_max, number=2),  # rounded to pixels later
  'scale': Operation(lambda n, s: jnp.exp2(n * s.scale_std), idle=1, normal=True),
  'rotate': Operation(lambda u, s: (2 * u - 1) * np.pi * s.rotate_max, number=2, apart=True),  # before and after aniso
  'aniso': Operation(lambda n, s: jnp.exp2(n * s.aniso_std), idle=1, normal=True),
  'xfrac': Operation(lambda n, s: n * s.xfrac_std, number=2, normal=True),
  'brightness': Operation(lambda n, s: n * s.brightness_std, normal=True),
  'contrast': Operation(lambda n, s: jnp.exp2(n * s.contrast_std), idle=1, normal=True),
  'lumaflip': Operation(lambda u, _: jnp.floor(2 * u)),
  'hue': Operation(lambda u, s: (2 * u - 1) * np.pi * s.hue_max),
  'saturation': Operation(lambda n, s: jnp.exp2(n * s.saturation_std), idle=1, normal=True),
  # One for each octave.
  'imgfilter': Operation(lambda n, s: jnp.exp2(n * s.imgfilter_std), idle=1, number=4, normal=True, apart=True),
  'noise': Operation(lambda n, s: jnp.abs(n) * s.noise_std, normal=True),
  'cutout': Operation(lambda u, _: u, idle=9, number=2),  # the centre: 9 is far outside
}
KINDS = {
  'blit': ('xflip', 'rotate90', 'xint'),
  'geometric': ('scale', 'rotate', 'aniso', 'xfrac'),
  'color': ('brightness', 'contrast', 'lumaflip', 'hue', 'saturation'),
  'filter': ('imgfilter',),
}
DEFAULT = Sizes()
TOTAL = sum(operation.number for operation in OPERATIONS.values())


def ada(*, operations: tuple[str, ...] = ('blit', 'geometric', 'color'), p: float = 0.0, target: Number = 0.6,
        kimg: Number = 500.0, interval: int = 4, growth_kimg: float = 0.0, color_share: float = 1.0, xint_max: float = 0.125, scale_std: float = 0.2,
        rotate_max: float = 1.0, aniso_std: float = 0.2, xfrac_std: float = 0.125, brightness_std: float = 0.2,
        contrast_std: float = 0.5, hue_max: float = 1.0, saturation_std: float = 1.0, imgfilter_std: float = 1.0,
        noise_std: float = 0.1, cutout_size: float = 0.5) -> Augmentation:  # fmt: skip
  """ADA: operations with a probability p that follows the sign of D on reals (Karras et al. 2020, arXiv:2006.06676).

  operations: kinds (blit, geometric, color, filter) or single ones, also noise and cutout.
  p: at the start. Every `interval` steps it goes up if the mean of sign(D(x)) is above `target`, else down (not below
    0), by the images shown since in units of `kimg` thousand. interval 0 keeps it as it is.
  growth_kimg: above 0, p is no start but an end: from 0 to it along half a cosine in so many thousand images, whatever
    D says (Huang et al. 2024, arXiv:2501.05441).
  color_share: of p, the probability of the operations of kind color.
  """
  chosen = expanded(operations)
  sizes = Sizes(xint_max, scale_std, rotate_max, aniso_std, xfrac_std, brightness_std, contrast_std, hue_max,
                saturation_std, imgfilter_std, noise_std, cutout_size)  # fmt: skip

  def apply(key: Key, rows: Array, x: Array, p: Array) -> Array:
    draws = draw(key, rows, p, chosen, sizes, color_share)
    if 'noise' in chosen:
      grain = per_row(jax.random.fold_in(key, 1), rows, lambda k: jax.random.normal(k, x.shape[1:]))
      draws['noise'] = draws['noise'][..., None, None] * grain
    return augment(x, draws, sizes)

  return Augmentation(apply, Adaptive(p, target, kimg, interval, growth_kimg=growth_kimg))


def expanded(operations: Sequence[str]) -> tuple[str, ...]:
  """Operations by name, kinds spelt out, in the order in which they are applied."""
  valid = (*KINDS, *OPERATIONS)
  for name in operations:
    if name not in valid:
      raise ConfigError('augment.operations', name, 'of ' + ', '.join(valid), nearest(str(name), valid))
  found = {single for name in operations for single in KINDS.get(name, (name,))}
  return tuple(name for name in OPERATIONS if name in found)


# Draws.


def draw(key: Key, rows: Array, p: Array, chosen: Sequence[str], sizes: Sizes, color_share: float = 1.0) -> Draws:
  """Values of the chosen operations for each row, [B, count]; each is idle with probability 1 - p, colours with more."""

  def one(key: Key) -> tuple[Array, ...]:
    of_uniform, of_normal, of_chance = jax.random.split(key, 3)
    uniform = lambda key: jax.random.uniform(key, (TOTAL,))  # noqa: E731
    return uniform(of_uniform), jax.random.normal(of_normal, (TOTAL,)), uniform(of_chance)

  # All are drawn, whatever is chosen: another choice leaves the draws of the rest as they are.
  uniform, normal, chance = per_row(key, rows, one)
  draws, start = {}, 0
  for name, operation in OPERATIONS.items():
    part = slice(start, start + operation.number)
    start += operation.number
    if name in chosen:
      value = operation.value((normal if operation.normal else uniform)[:, part], sizes)
      # Two rotations: one of them happens with probability p.
      limit = 1 - jnp.sqrt(jnp.clip(1 - p, 0, 1)) if name == 'rotate' else p
      limit *= color_share if name in KINDS['color'] else 1.0
      happens = chance[:, part] if operation.apart else chance[:, part.start, None]
      draws[name] = jnp.where(happens < limit, value, operation.idle)
  return draws


def fixed(percentile: float, count: int, chosen: Sequence[str], sizes: Sizes = DEFAULT) -> Draws:
  """Draws for `count` images that are all at one percentile, for tests against the published code.

  Of normals it takes erfinv(2q - 1), as that code does: the deviation's quantile but for a factor of sqrt(2).
  """
  q = jnp.float32(percentile)
  draws = {}
  for name in chosen:
    operation = OPERATIONS[name]
    base = erfinv(q if name == 'noise' else 2 * q - 1) if operation.normal else q
    value = operation.value(jnp.full((count, operation.number), base), sizes)
    draws[name] = value.at[:, 1].set(0) if name == 'rotate' else value
  return draws


# Application.


def augment(x: Array, draws: Draws, sizes: Sizes = DEFAULT) -> Array:
  """Applies draws to x [B, H, W, C] in [-1, 1], C 3 or 1 (which leaves hue and saturation out). 'noise' is an image here."""
  if draws.keys() & {*KINDS['blit'], *KINDS['geometric']}:
    x = geometric.affine(x, inverse(draws, *x.shape[1:3]))
  if draws.keys() & {*KINDS['color']}:
    x = pixels.recolor(x, colors(draws, grey=x.shape[3] == 1))
  if 'imgfilter' in draws:
    x = pixels.filtered(x, draws['imgfilter'])
  if 'noise' in draws:
    x = x + draws['noise']
  if 'cutout' in draws:
    x = pixels.cutout(x, draws['cutout'], sizes.cutout_size)
  return x


def inverse(draws: Draws, h: int, w: int) -> Array:
  """The one map of all geometric operations, from the output's pixels to the input's, [B, 3, 3]."""
  g = geometric
  one = lambda name: draws[name][:, 0]  # noqa: E731
  both = lambda name: (draws[name][:, 0], draws[name][:, 1])  # noqa: E731
  steps = {
    'xflip': lambda: g.scale(1 - 2 * one('xflip'), jnp.ones_like(one('xflip'))),
    'rotate90': lambda: g.rotate(np.pi / 2 * one('rotate90')),
    'xint': lambda: g.translate(*(-jnp.round(t * n) for t, n in zip(both('xint'), (w, h), strict=True))),
    'scale': lambda: g.scale(1 / one('scale'), 1 / one('scale')),
    'rotate': lambda: g.rotate(both('rotate')[0]),
    'aniso': lambda: g.scale(1 / one('aniso'), one('aniso')),
    'after': lambda: g.rotate(both('rotate')[1]),
    'xfrac': lambda: g.translate(*(-t * n for t, n in zip(both('xfrac'), (w, h), strict=True))),
  }
  return g.multiply(*(make() for name, make in steps.items() if ('rotate' if name == 'after' else name) in draws))


def colors(draws: Draws, grey: bool) -> Array:
  """The one map of all colour operations, [B, 4, 4]."""
  steps = {
    'brightness': pixels.brighten,
    'contrast': pixels.contrast,
    'lumaflip': pixels.flip_luma,
    'hue': pixels.turn_hue,
    'saturation': pixels.saturate,
  }
  wanted = [name for name in steps if name in draws and not (grey and name in ('hue', 'saturation'))]
  made = [steps[name](draws[name][:, 0]) for name in reversed(wanted)]
  return geometric.multiply(*made) if made else jnp.eye(4)[None]
