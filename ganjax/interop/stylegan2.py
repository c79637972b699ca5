"""StyleGAN 2 of NVlabs/stylegan2-ada-pytorch (`training/networks.py`): Generator, Discriminator, MappingNetwork."""

import re
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from ganjax.interop.tensors import (
  IMAGE,
  SAME,
  Layout,
  Path,
  Tensors,
  by_rank,
  channels,
  fill,
  flat_input,
  options,
  shapes,
  size,
  taps_of,
)
from ganjax.nets import stylegan2
from ganjax.ops.upfirdn import FILTER

# Their names of sizes: latent, label, w, resolution, image channels, channel base and maximum, mapping layers. Gamma
# is the loss's.
SIZES = ('z', 'cd', 'w', 'res', 'ic', 'cb', 'cm', 'map_layers', 'gamma')
OWN = ('conv_clamp', 'dtype')


def generator(tensors: Tensors, constructor: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
  """`Generator`: mapping.*, synthesis.*."""
  given = options(constructor, (*SIZES, *OWN, 'w_avg_beta', 'style_mixing'))
  sides = resolutions(tensors, r'synthesis\.b(\d+)\.', given)
  block = 'synthesis.b{}.{}'.format
  found = {side: size(tensors, [(block(side, 'conv1.bias'), 0), (block(side, 'conv1.weight'), 0),
                                (block(side, 'conv1.weight'), 1), (block(side, 'conv1.affine.bias'), 0)])
           for side in sides} if 'cb' not in given or 'cm' not in given else {}  # fmt: skip
  base, most = law(found, given)
  top = sides[-1]
  w_dim = size(tensors, [(block(side, 'conv1.affine.weight'), 1) for side in sides], given.get('w'))
  classes, depth = mapped(tensors, 'mapping.', given)
  latent = size(tensors, [('mapping.fc0.weight', 1)]) - (w_dim if classes else 0)
  rgbs = holders(tensors, 'torgb')
  architecture: stylegan2.Architecture = (
    'resnet' if residual(tensors) else 'skip' if len(rgbs) > 1 or top == 4 else 'orig'
  )
  places = [(block(side, name), 0) for side in rgbs for name in ('torgb.bias', 'torgb.weight')]
  filters = [f'{name.removesuffix(".weight")}.resample_filter' for name in convolutions(tensors)]
  filters += [block(side, 'resample_filter') for side in sides]
  module = stylegan2.Generator(
    resolution=top, channels=channels(tensors, places, given.get('ic')), classes=classes, w_dim=w_dim,
    mapping_layers=depth, channel_base=base, channel_max=most, architecture=architecture,
    resample_filter=taps_of(tensors, filters, FILTER), **own(given),
  )  # fmt: skip
  wanted = shapes(module, jnp.zeros((1, given.get('z', latent))), label(classes))
  return module, fill(wanted, tensors, place, dict.fromkeys(filters))


def discriminator(tensors: Tensors, constructor: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
  """`Discriminator`: b<resolution>.*, mapping.*."""
  given = options(constructor, (*SIZES, *OWN, 'mbstd_group_size', 'mbstd_channels'))
  given.setdefault('mbstd_channels', int(size(tensors, [('b4.conv.weight', 1)]) > size(tensors, [('b4.conv.bias', 0)])))
  *sides, top = resolutions(tensors, r'b(\d+)\.', given)
  found: dict[int, int] = {}
  if 'cb' not in given or 'cm' not in given:
    found = {side: size(tensors, [(f'b{side}.conv0.bias', 0), (f'b{side}.conv0.weight', 0),
                                  (f'b{side}.conv0.weight', 1)]) for side in [*sides, top][1:]}  # fmt: skip
    found[4] = size(tensors, [('b4.conv.bias', 0), ('b4.conv.weight', 0), ('b4.fc.bias', 0), ('b4.fc.weight', 0)])
  base, most = law(found, given)
  last = stylegan2.widths(top, base, most)[0]
  classes, depth = mapped(tensors, 'mapping.', given)
  cmap = size(tensors, [('b4.out.bias', 0), ('b4.out.weight', 0), (f'mapping.fc{depth - 1}.bias', 0)]) if classes else 0
  rgbs = holders(tensors, 'fromrgb')
  architecture: stylegan2.Architecture = 'resnet' if residual(tensors) else 'skip' if len(rgbs) > 1 else 'orig'
  filters = [f'{name.removesuffix(".weight")}.resample_filter' for name in convolutions(tensors)]
  filters += [f'b{side}.resample_filter' for side in (*sides, top) if side > 4]
  module = stylegan2.Discriminator(
    resolution=top, channels=channels(tensors, [(f'b{side}.fromrgb.weight', 1) for side in rgbs], given.get('ic')),
    classes=classes, channel_base=base, channel_max=most, architecture=architecture, mapping_layers=depth,
    cmap_dim=0 if cmap == last else cmap,
    resample_filter=taps_of(tensors, filters, FILTER), **own(given),
  )  # fmt: skip
  wanted = shapes(module, jnp.zeros((1, top, top, module.channels)), label(classes))
  return module, fill(wanted, tensors, place, dict.fromkeys(filters))


def mapping(tensors: Tensors, constructor: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
  """`MappingNetwork` alone, latent -> w [B, w_dim]: embed.*, fc*.*, w_avg."""
  given = options(constructor, (*SIZES, 'w_avg_beta'))
  classes, depth = mapped(tensors, '', given)
  w_dim = size(tensors, [(f'fc{i}.bias', 0) for i in range(depth)], given.get('w'))
  latent = size(tensors, [('fc0.weight', 1)]) - (w_dim if classes else 0)
  module = stylegan2.Mapping(w_dim, depth, classes, **own(given))
  wanted = shapes(module, jnp.zeros((1, given.get('z', latent))), label(classes))
  return module, fill(wanted, tensors, place)


def place(path: Path, rank: int) -> tuple[str, Layout]:
  """Our path -> their name and the layout."""
  *parts, leaf = (part.replace('_', '.', 1) if part[0] == 'b' else part for part in path[1:])
  scope = ''.join(f'{part}.' for part in parts)
  if path[0] == 'averages':
    return f'{scope}w_avg', SAME
  if path[0] == 'noise':
    return f'{scope}noise_const', SAME
  if leaf == 'const':
    return f'{scope}b4.const', IMAGE
  layout = flat_input(4, 4) if scope == 'b4.fc.' and leaf == 'kernel' else by_rank(rank)
  return scope + {'kernel': 'weight'}.get(leaf, leaf), layout


def convolutions(tensors: Tensors) -> list[str]:
  """The weights of convolutions that come with a filter."""
  return [name for name in tensors if re.search(r'b\d+\.(conv\d?|skip|fromrgb)\.weight$', name)]


def residual(tensors: Tensors) -> bool:
  """Whether blocks have shortcuts."""
  return any('.skip.' in name for name in tensors)


def holders(tensors: Tensors, layer: str) -> list[int]:
  """The resolutions of blocks with such a layer."""
  return sorted({int(found[1]) for name in tensors if (found := re.search(rf'b(\d+)\.{layer}\.', name))})


def resolutions(tensors: Tensors, pattern: str, given: Mapping[str, Any]) -> list[int]:
  """4, 8, ... up to the largest block's."""
  sides = [int(found[1]) for name in tensors if (found := re.match(pattern, name))]
  if not sides:
    raise ValueError(f'missing tensors: none is called {pattern}')
  return [2**i for i in range(2, given.get('res', max(sides)).bit_length())]


def law(widths: Mapping[int, int], given: Mapping[str, Any]) -> tuple[int, int]:
  """The channel base and maximum that give these widths at these resolutions."""
  base = given.get('cb', max((side * width for side, width in widths.items()), default=0))
  return base, given.get('cm', max(widths.values(), default=0))


def mapped(tensors: Tensors, scope: str, given: Mapping[str, Any]) -> tuple[int, int]:
  """Numbers in a label (0: none) and layers of a mapping network."""
  layers = [int(found[1]) for name in tensors if (found := re.match(rf'{scope}fc(\d+)\.', name))]
  conditional = any(name.startswith(f'{scope}embed.') for name in tensors)
  classes = size(tensors, [(f'{scope}embed.weight', 1)], given.get('cd')) if conditional else 0
  return classes, max(layers, default=-1) + 1 or given.get('map_layers', 8)


def label(classes: int) -> Any:
  """A label for a network with classes."""
  return jnp.zeros((1,), jnp.int32) if classes else None


def own(given: Mapping[str, Any]) -> dict[str, Any]:
  """The keywords that are our fields."""
  return {name: value for name, value in given.items() if name not in SIZES}
