"""R3GAN of brownvc/R3GAN (`R3GAN/Networks.py`): Generator, Discriminator."""

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
  options,
  shapes,
  size,
  taps_of,
)
from ganjax.nets import r3gan
from ganjax.ops.upfirdn import FILTER

# Their names of sizes: latent, widths, cardinalities and blocks per stage (the generator's order), expansion, label,
# embedding. Gamma is the loss's.
SIZES = ('z', 'w', 'card', 'blocks', 'exp', 'cd', 'ce', 'gamma')
OWN = ('dtype',)
BASIS = Layout(
  lambda x: x[:, 0].transpose(1, 2, 0), lambda x: x.transpose(2, 0, 1)[:, None]
)  # [C, 1, h, w] -> [h, w, C]


def generator(tensors: Tensors, constructor: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
  """`Generator`: MainLayers from 4 pixels up, each a transition and blocks; AggregationLayer, EmbeddingLayer."""
  given = options(constructor, (*SIZES, *OWN))
  count = stage_count(tensors)
  sizes = stage_sizes(tensors, given, range(count), first=1)
  project = 'MainLayers.0.Layers.0.LinearLayer.weight'
  inputs = size(tensors, [(project, 1)])
  classes, embedding = labels(tensors, given, project, inputs != given.get('z', inputs))
  module = r3gan.Generator(
    resolution=2 ** (count + 1), channels=channels(tensors, [('AggregationLayer.Layer.weight', 0)]), classes=classes,
    embedding=embedding, **sizes, **{name: given[name] for name in OWN if name in given},
  )  # fmt: skip
  filters = [f'MainLayers.{i}.Layers.0.Resampler.Kernel' for i in range(1, count)]
  module = module.clone(resample_filter=taps_of(tensors, filters, FILTER))
  latent = jnp.zeros((1, given.get('z', inputs - (embedding if classes else 0))))
  wanted = shapes(module, latent, jnp.zeros((1,), jnp.int32) if classes else None)

  def place(path: Path, rank: int) -> tuple[str, Layout]:
    scope = {'basis': 'MainLayers.0.Layers.0.Basis', 'project': project, 'embed': 'EmbeddingLayer.weight',
             'image': 'AggregationLayer.Layer.weight'}  # fmt: skip
    if path[1] in scope:
      return scope[path[1]], IMAGE if path[1] == 'basis' else by_rank(rank)
    side, part = path[1][1:].split('_')
    stage = int(side).bit_length() - 3
    return inside(stage, 0 if part == 'transition' else int(part[5:]) + 1, path[2:], rank)

  return module, fill(wanted, tensors, place, dict.fromkeys(filters))


def discriminator(tensors: Tensors, constructor: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
  """`Discriminator`: ExtractionLayer; MainLayers down to 4 pixels, each blocks and a transition; EmbeddingLayer."""
  given = options(constructor, (*SIZES, *OWN))
  count = stage_count(tensors)
  sizes = stage_sizes(tensors, given, range(count)[::-1], first=0)
  blocks = sizes['blocks']
  end = f'MainLayers.{count - 1}.Layers.{blocks[0]}'
  project = f'{end}.LinearLayer.weight'
  classes, embedding = labels(tensors, given, project, size(tensors, [(project, 0)]) != 1)
  module = r3gan.Discriminator(
    resolution=2 ** (count + 1), channels=channels(tensors, [('ExtractionLayer.Layer.weight', 1)]), classes=classes,
    embedding=embedding, **sizes, **{name: given[name] for name in OWN if name in given},
  )  # fmt: skip
  filters = [f'MainLayers.{count - 1 - i}.Layers.{blocks[i]}.Resampler.Kernel' for i in range(1, count)]
  module = module.clone(resample_filter=taps_of(tensors, filters, FILTER))
  image = jnp.zeros((1, module.resolution, module.resolution, module.channels))
  wanted = shapes(module, image, jnp.zeros((1,), jnp.int32) if classes else None)

  def place(path: Path, rank: int) -> tuple[str, Layout]:
    scope = {'basis': f'{end}.Basis.weight', 'project': project, 'embed': 'EmbeddingLayer.weight',
             'image': 'ExtractionLayer.Layer.weight'}  # fmt: skip
    if path[1] in scope:
      return scope[path[1]], BASIS if path[1] == 'basis' else by_rank(rank)
    side, part = path[1][1:].split('_')
    i = int(side).bit_length() - 3
    return inside(count - 1 - i, blocks[i] if part == 'transition' else int(part[5:]), path[2:], rank)

  return module, fill(wanted, tensors, place, dict.fromkeys(filters))


def inside(stage: int, layer: int, rest: Path, rank: int) -> tuple[str, Layout]:
  """The tensor of one layer of one of their stages."""
  scope = f'MainLayers.{stage}.Layers.{layer}'
  if rest[0].startswith('bias'):
    return f'{scope}.NonLinearity{rest[0][4:]}.Bias', SAME
  which = rest[0][4:] if rest[0].startswith('conv') else ''
  return f'{scope}.LinearLayer{which}.Layer.weight', by_rank(rank)


def stage_count(tensors: Tensors) -> int:
  """How many stages there are."""
  stages = [int(found[1]) for name in tensors if (found := re.match(r'MainLayers\.(\d+)\.', name))]
  if not stages:
    raise ValueError('missing tensors: none is called MainLayers.<stage>.')
  return max(stages) + 1


def stage_sizes(tensors: Tensors, given: Mapping[str, Any], order: range, first: int) -> dict[str, Any]:
  """Widths, groups and blocks of the stages, in our order; `first` is the index of a stage's first block."""
  sizes: dict[str, Any] = {'widths': [], 'cardinalities': [], 'blocks': []}
  for i, stage in enumerate(order):
    pattern = rf'MainLayers\.{stage}\.Layers\.(\d+)\.(?:LinearLayer\d|NonLinearity\d)\.'
    last = max((int(found[1]) for name in tensors if (found := re.match(pattern, name))), default=first - 1)
    blocks = [f'MainLayers.{stage}.Layers.{j}' for j in range(first, last + 1)]
    weight = '{}.LinearLayer{}.Layer.weight'.format
    listed = lambda name, i=i: given[name][i] if name in given else None  # noqa: E731
    width = size(tensors, [(weight(b, n), axis) for b in blocks for n, axis in ((1, 1), (3, 0))], listed('w'))
    wide = size(tensors, [(weight(b, n), axis) for b in blocks for n, axis in ((1, 0), (2, 0), (3, 1))]
                + [(f'{b}.NonLinearity{n}.Bias', 0) for b in blocks for n in (1, 2)])  # fmt: skip
    group = size(tensors, [(weight(b, 2), 1) for b in blocks])
    sizes['widths'].append(width)
    sizes['cardinalities'].append(listed('card') or wide // group)
    sizes['blocks'].append(len(blocks) if listed('blocks') is None else listed('blocks'))
    sizes['expansion'] = given.get('exp', wide // width)
    sizes['kernel'] = size(tensors, [(weight(b, 2), 2) for b in blocks] + [(weight(b, 2), 3) for b in blocks])
  return {name: tuple(value) if isinstance(value, list) else value for name, value in sizes.items()}


def labels(tensors: Tensors, given: Mapping[str, Any], project: str, needed: bool) -> tuple[int, int]:
  """Numbers in a label (0: none) and in its embedding. `needed`: the shape of `project` speaks of an embedding."""
  name = 'EmbeddingLayer.weight'
  if name not in tensors:
    if needed:
      raise ValueError(f'missing tensors: {name}; or {project}: shape {tensors[project].shape} without labels')
    return 0, 0
  return size(tensors, [(name, 1)], given.get('cd')), size(tensors, [(name, 0)], given.get('ce'))
