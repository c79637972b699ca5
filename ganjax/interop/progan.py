"""ProGAN of facebookresearch/pytorch_GAN_zoo (`models/networks/progressive_conv_net.py`): GNet, DNet.

How far a network has grown is in its tensors. `alpha` is theirs, the weight of the old layers, 1 - ours.
"""

import re
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from ganjax.interop.tensors import (
  SAME,
  Layout,
  Path,
  Tensors,
  by_rank,
  channels,
  fill,
  flat_input,
  flat_output,
  options,
  shapes,
  size,
)
from ganjax.nets import progan

KEYWORDS = ('z', 'w', 'alpha', 'B', 'dtype')  # latent, widths from 4 pixels up, weight of the old layers, batch


def generator(tensors: Tensors, constructor: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
  """`GNet`: formatLayer, groupScale0, scaleLayers, toRGBLayers."""
  given = options(constructor, KEYWORDS)
  count = grown(tensors, 'toRGBLayers', given)
  rgbs = [f'toRGBLayers.{i}.module' for i in range(count)]
  ends = {0: 'groupScale0.0'} | {i: f'scaleLayers.{i - 1}.1' for i in range(1, count)}
  widths = sizes(given, count, lambda i: size(tensors, [
    (f'{rgbs[i]}.weight', 1), (f'{ends[i]}.module.weight', 0), (f'{ends[i]}.module.weight', 1),
    (f'{ends[i]}.module.bias', 0)]))  # fmt: skip
  module = progan.Generator(
    resolution=2 ** (count + 1), widths=widths, version='gan_zoo', **own(given),
    channels=channels(tensors, [(f'{rgb}.{leaf}', 0) for rgb in rgbs for leaf in ('weight', 'bias')]),
  )  # fmt: skip
  latent = size(tensors, [('formatLayer.module.weight', 1)], given.get('z'))
  wanted = shapes(module, jnp.zeros((1, latent)))

  def place(path: Path, rank: int) -> tuple[str, Layout]:
    scope, _, layer = path[1].partition('_')
    i = int(scope[1:]).bit_length() - 3 if layer else 0
    if not layer:
      return named('formatLayer', path), flat_output(4, 4)
    names = {'torgb': f'toRGBLayers.{i}', 'conv': 'groupScale0.0'}
    return named(names.get(layer, f'scaleLayers.{i - 1}.{layer[-1]}'), path), by_rank(rank)

  return module, filled(wanted, tensors, place, given)


def discriminator(tensors: Tensors, constructor: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
  """`DNet`: fromRGBLayers, scaleLayers, groupScaleZero, decisionLayer."""
  given = options(constructor, KEYWORDS)
  count = grown(tensors, 'fromRGBLayers', given)
  rgbs = [f'fromRGBLayers.{i}.module' for i in range(count)]
  first = {0: 'groupScaleZero.0'} | {i: f'scaleLayers.{i - 1}.0' for i in range(1, count)}
  widths = sizes(given, count, lambda i: size(tensors, [
    (f'{rgbs[i]}.weight', 0), (f'{rgbs[i]}.bias', 0), (f'{first[i]}.module.weight', 0),
    (f'{first[i]}.module.bias', 0)]))  # fmt: skip
  inputs = size(tensors, [('groupScaleZero.0.module.weight', 1)])
  module = progan.Discriminator(
    resolution=2 ** (count + 1), widths=widths, version='gan_zoo', **own(given),
    mbstd_group_size=0 if inputs == widths[0] else 4,
    channels=channels(tensors, [(f'{rgb}.weight', 1) for rgb in rgbs]),
  )  # fmt: skip
  side = module.resolution
  wanted = shapes(module, jnp.zeros((1, side, side, module.channels)))

  def place(path: Path, rank: int) -> tuple[str, Layout]:
    if path[1] == 'b4_fc':
      return named('groupScaleZero.1', path), flat_input(4, 4) if path[-1] == 'kernel' else SAME
    scope, _, layer = path[1].partition('_')
    if not layer:
      return named('decisionLayer', path), by_rank(rank)
    i = int(scope[1:]).bit_length() - 3
    names = {'fromrgb': f'fromRGBLayers.{i}', 'conv': 'groupScaleZero.0'}
    return named(names.get(layer, f'scaleLayers.{i - 1}.{layer[-1]}'), path), by_rank(rank)

  return module, filled(wanted, tensors, place, given)


def grown(tensors: Tensors, layer: str, given: Mapping[str, Any]) -> int:
  """How many resolutions there are layers for, from 4 pixels up; at most those that `w` has widths for."""
  found = [int(match[1]) for name in tensors if (match := re.match(rf'{layer}\.(\d+)\.', name))]
  found += [int(match[1]) + 1 for name in tensors if (match := re.match(r'scaleLayers\.(\d+)\.', name))]
  if not found:
    raise ValueError(f'missing tensors: none is called {layer}.<scale>.')
  count = max(found) + 1
  return min(count, len(given['w'])) if 'w' in given else count


def sizes(given: Mapping[str, Any], count: int, found: Any) -> tuple[int, ...]:
  """The widths: `w`, or what is found."""
  return tuple(given['w'][:count]) if 'w' in given else tuple(found(i) for i in range(count))


def own(given: Mapping[str, Any]) -> dict[str, Any]:
  """The keywords that are our fields."""
  return {'dtype': given['dtype']} if 'dtype' in given else {}


def named(layer: str, path: Path) -> str:
  """Their name of a leaf of a layer."""
  return f'{layer}.module.{"weight" if path[-1] == "kernel" else path[-1]}'


def filled(wanted: Any, tensors: Tensors, place: Any, given: Mapping[str, Any]) -> dict[str, Any]:
  """The variables, with our alpha."""
  alpha = given.get('alpha', 0.0)
  if not 0 <= alpha <= 1:
    raise ValueError(f'alpha: {alpha}; valid are numbers from 0 to 1, the weight of the old layers')
  variables = fill({path: shape for path, shape in wanted.items() if path[0] == 'params'}, tensors, place)
  return variables | {'fade': {'alpha': jnp.float32(1 - alpha)}}
