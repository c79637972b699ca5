"""BigGAN of ajbrock/BigGAN-PyTorch (`BigGAN.py`, `layers.py`): Generator, Discriminator."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
from flax import traverse_util

from ganjax.interop.tensors import (
  ROW,
  SAME,
  Layout,
  Path,
  Tensors,
  by_rank,
  channels,
  fill,
  flat_output,
  most_common,
  options,
  shapes,
  size,
)
from ganjax.nets import biggan
from ganjax.ops import spectral

# Their names of sizes: widths of G and D, latent, shared embedding, classes, resolution, where attention is, whether z
# is hierarchical, the authors' own batch norm, a wide D, the norm's least length. B is the fixture's batch.
SIZES = ('gch', 'dch', 'z', 'sd', 'nc', 'res', 'attn', 'hier', 'mybn', 'wide', 'sneps', 'B')
OWN = ('dtype',)
LAYERS = {'conv0': 'conv1', 'conv1': 'conv2', 'shortcut': 'conv_sc', 'norm0': 'bn1', 'norm1': 'bn2'}
FIRST = Layout(lambda x: flat_output(4, 4).ours(x.reshape(-1)), lambda x: flat_output(4, 4).theirs(x).reshape(1, -1))


def generator(tensors: Tensors, constructor: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
  """`Generator`: shared, linear, blocks.<n>.0 and with attention blocks.<n>.1, output_layer."""
  given = options(constructor, (*SIZES, *OWN))
  resolution = resolution_of(tensors, given, {len(n) - 1: side for side, n in biggan.GENERATORS.items() if side > 16})
  multiples = biggan.GENERATORS[resolution]
  blocks = range(len(multiples) - 1)
  gains = [f'blocks.{i}.0.{bn}.gain.weight' for i in blocks for bn in ('bn1', 'bn2')]
  shared = any(name.startswith('shared.') or name.endswith('.gain.u0') for name in tensors)  # or tables of gains
  shared_dim = size(tensors, [('shared.weight', 1)], given.get('sd')) if shared else 0
  hierarchical = bool(given.get('hier', shared and size(tensors, [(name, 1) for name in gains]) != shared_dim))
  own = given.get('mybn', any(re.search(r'\.bn\.stored_(mean|var)$', name) for name in tensors))
  module = biggan.Generator(
    resolution=resolution,
    channels=channels(tensors, [('output_layer.2.bias', 0), ('output_layer.2.weight', 0), ('output_layer.2.u0', 1)]),
    classes=size(tensors, [('shared.weight', 0)] if shared else [(name, 0) for name in gains], given.get('nc')),
    width=width_of(tensors, multiples[1:], given.get('gch')), shared_dim=shared_dim, hierarchical=hierarchical,
    attention=attention_of(tensors, [8 * 2**i for i in blocks], given), unbiased=not own,
    **options_of(tensors, given),
  )  # fmt: skip
  slots = len(multiples) if hierarchical else 1
  share = given['z'] // slots if 'z' in given else size(tensors, [('linear.weight', 1)])
  wanted = shapes(module, jnp.zeros((1, share * slots)), jnp.zeros((1,), jnp.int32))
  norms = [f'blocks.{i}.0.{bn}' for i in blocks for bn in ('bn1', 'bn2')] + ['output_layer.0']

  def place(path: Path, rank: int) -> tuple[str, Layout]:
    if path[1] == 'embed':
      return 'shared.weight', SAME
    if path[1] == 'project':
      first = {'kernel': flat_output(4, 4), 'bias': flat_output(4, 4), 'u': FIRST}
      return tensor('linear', path[-1]), first[path[-1]]
    if path[1] == 'image':
      return weight('output_layer.2', path[-1], rank)
    if path[1] == 'norm':
      return norm('output_layer.0', path, own)
    if path[1].startswith('attention'):
      return weight('.'.join([f'blocks.{path[1][9:]}.1', *path[2:-1]]), path[-1], rank)
    layer = f'blocks.{path[1][5:]}.0.{LAYERS[path[2]]}'
    return norm(layer, path[1:], own) if path[2].startswith('norm') else weight(layer, path[-1], rank)

  counters = {f'{name}.bn.accumulation_counter': (1,) for name in norms} if own else {}
  return module, filled(wanted, tensors, place, counters)


def discriminator(tensors: Tensors, constructor: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
  """`Discriminator`: blocks.<n>.0 and with attention blocks.<n>.1, linear, embed."""
  given = options(constructor, (*SIZES, *OWN))
  table = biggan.DISCRIMINATORS
  resolution = resolution_of(tensors, given, {len(table[side][0]): side for side in table if side > 16})
  multiples = table[resolution][0]
  width = width_of(tensors, multiples, given.get('dch'))
  between = [('blocks.0.0.conv1.weight', 0), ('blocks.0.0.conv1.bias', 0), ('blocks.0.0.conv2.weight', 1)]
  module = biggan.Discriminator(
    resolution=resolution, channels=channels(tensors, [(f'blocks.0.0.{c}.weight', 1) for c in ('conv1', 'conv_sc')]),
    width=width, wide=bool(given.get('wide', size(tensors, between) == width * multiples[0])),
    classes=size(tensors, [('embed.weight', 0), ('embed.u0', 1)], given.get('nc')),
    attention=attention_of(tensors, [biggan.listed(resolution, i) for i in range(len(multiples))], given),
    **options_of(tensors, given),
  )  # fmt: skip
  image = jnp.zeros((1, resolution, resolution, module.channels))
  wanted = shapes(module, image, jnp.zeros((1,), jnp.int32))

  def place(path: Path, rank: int) -> tuple[str, Layout]:
    if path[1] == 'logit':
      return weight('linear', path[-1], rank)
    if path[1] == 'embed':
      return tensor('embed', path[-1]), ROW if path[-1] == 'u' else SAME
    if path[1].startswith('attention'):
      return weight('.'.join([f'blocks.{path[1][9:]}.1', *path[2:-1]]), path[-1], rank)
    return weight(f'blocks.{path[1][5:]}.0.{LAYERS[path[2]]}', path[-1], rank)

  return module, filled(wanted, tensors, place, {})


def filled(wanted: Mapping[Path, Any], tensors: Tensors, place: Any, known: Mapping[str, Any]) -> dict[str, Any]:
  """The variables. The authors keep no v, and sigma only to look at."""
  there = {path: shape for path, shape in wanted.items() if path[-1] != 'v'}
  sigmas = {place(path, 1)[0].removesuffix('u0') + 'sv0': (1,) for path in there if path[-1] == 'u'}
  variables = traverse_util.flatten_dict(fill(there, tensors, place, {**known, **sigmas}))
  for path, u in list(variables.items()):
    if path[-1] == 'u':
      layer = ('params', *path[1:-1])
      w = variables[*layer, 'kernel'] if (*layer, 'kernel') in variables else variables[*layer, 'embedding'].T
      variables[*path[:-1], 'v'] = spectral.iterate(w, u)[1]
  return traverse_util.unflatten_dict(variables)


def weight(layer: str, leaf: str, rank: int) -> tuple[str, Layout]:
  """The tensor of a layer's leaf, and its layout."""
  return tensor(layer, leaf), ROW if leaf == 'u' else by_rank(rank)


def tensor(layer: str, leaf: str) -> str:
  """Their name of a layer's leaf."""
  return f'{layer}.{ {"kernel": "weight", "embedding": "weight", "u": "u0"}.get(leaf, leaf) }'


def norm(layer: str, path: Path, own: bool) -> tuple[str, Layout]:
  """The tensor of a leaf of a batch norm at `layer`, whose path in ours ends so."""
  if path[-1] in ('mean', 'var'):
    return f'{layer}{".bn" if own else ""}.stored_{path[-1]}', SAME
  if path[-2] in ('gain', 'bias'):  # what makes them of the condition
    layout = {'kernel': by_rank(2), 'u': ROW}.get(path[-1], SAME)
    return tensor(f'{layer}.{path[-2]}', path[-1]), layout
  return f'{layer}.{"gain" if path[-1] == "scale" else path[-1]}', SAME


def resolution_of(tensors: Tensors, given: Mapping[str, Any], sides: Mapping[int, int]) -> int:
  """The images' side, from how many blocks there are."""
  if 'res' in given:
    if given['res'] not in sides.values():
      raise ValueError(f'res: {given["res"]}; valid are {", ".join(map(str, sides.values()))}')
    return int(given['res'])
  found = {int(match[1]) for name in tensors if (match := re.match(r'blocks\.(\d+)\.', name))}
  if max(found, default=-1) + 1 not in sides:
    raise ValueError(f'missing tensors: blocks.0. to blocks.{max(found, default=-1)}.; valid are '
                     f'{", ".join(map(str, sides))} blocks')  # fmt: skip
  return sides[max(found) + 1]


def width_of(tensors: Tensors, multiples: Sequence[int], given: int | None) -> int:
  """What the channels of all blocks' results are multiples of."""
  if given is not None:
    return given
  places = [(f'blocks.{i}.0.conv2.{leaf}', n) for i, n in enumerate(multiples) for leaf in ('weight', 'bias')]
  found = [tensors[name].shape[0] // n for name, n in places if name in tensors and tensors[name].ndim]
  if not found:
    raise ValueError(f'missing tensors: {", ".join(name for name, _ in places)}')
  return most_common(found)


def attention_of(tensors: Tensors, sides: Sequence[int], given: Mapping[str, Any]) -> tuple[int, ...]:
  """The sides with attention: '8_16', as the authors write it, or those whose block has one."""
  if 'attn' in given:
    asked = {int(side) for side in str(given['attn']).split('_')}
  else:
    asked = {side for i, side in enumerate(sides) if any(name.startswith(f'blocks.{i}.1.') for name in tensors)}
  return tuple(sorted(asked & set(sides)))


def options_of(tensors: Tensors, given: Mapping[str, Any]) -> dict[str, Any]:
  """Options that both players have."""
  normalised = any(name.endswith('.u0') for name in tensors)
  epsilon = given.get('sneps', spectral.EPSILON)
  return {'spectral': normalised, 'spectral_epsilon': epsilon, **{name: given[name] for name in OWN if name in given}}
