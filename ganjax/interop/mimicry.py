"""The networks of kwotsin/mimicry (`torch_mimicry/nets`): SNGAN, cGAN-PD, SSGAN, WGAN-GP, DCGAN and SAGAN, all residual."""

import re
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax.core import FrozenDict

from ganjax.interop.tensors import (
  ROW,
  SAME,
  Layout,
  Path,
  Tensors,
  by_rank,
  channels,
  expect,
  fill,
  flat_output,
  flat_taps,
  half,
  options,
  shapes,
  size,
)
from ganjax.nets import resnet
from ganjax.ops import spectral

SIZES = ('nz', 'ngf', 'ndf', 'bw', 'nc')  # latent, widths of G and D, G's first side, classes
FAMILIES = ('sngan', 'cgan_pd', 'ssgan', 'wgan_gp', 'dcgan', 'sagan')
CONDITIONAL = ('cgan_pd', 'sagan')
UNNORMALISED = ('wgan_gp', 'dcgan')  # no spectral norm in D
ATTENTION = {'G': 16, 'D': 8}  # side of the maps that SAGAN's attention sees
LAYERS = {'conv0': 'c1', 'conv1': 'c2', 'shortcut': 'c_sc', 'norm0': 'b1', 'norm1': 'b2'}


def generator(tensors: Tensors, constructor: Mapping[str, Any], model: str) -> tuple[Any, dict[str, Any]]:
  """`<MODEL>Generator<resolution>`; `model` is such as 'sngan32'."""
  family, resolution = parse(model)
  given = options(constructor, (*SIZES, 'dtype'))
  side, divisors = resnet.GENERATORS[resolution]
  if given.get('bw', side) != side:
    raise ValueError(f'bw: {given["bw"]}; valid is {side}, for images of {resolution} pixels')
  last, sn = len(divisors) + 1, family == 'sagan'
  weight = 'weight_orig' if sn else 'weight'
  width = size(tensors, [(f'block2.c1.{weight}', 1), (f'block2.c_sc.{weight}', 1)], given.get('ngf'))
  embeds = [(f'block{i}.{b}.embed.weight', 0) for i in range(2, last) for b in ('b1', 'b2')]
  module = resnet.Generator(
    resolution=resolution, channels=channels(tensors, [(f'c{last}.bias', 0), (f'c{last}.{weight}', 0)]), width=width,
    classes=size(tensors, embeds, given.get('nc')) if family in CONDITIONAL else 0, spectral=sn,
    attention=ATTENTION['G'] if sn else 0, **{name: given[name] for name in ('dtype',) if name in given},
  )  # fmt: skip
  latent = jnp.zeros((1, size(tensors, [(f'l1.{weight}', 1)], given.get('nz'))))
  wanted = shapes(module, latent, jnp.zeros((1,), jnp.int32) if module.classes else None)

  def place(path: Path, rank: int) -> tuple[str, Layout]:
    ends = {'project': 'l1', 'image': f'c{last}', 'norm': f'b{last}', 'attention': 'attn_block'}
    if path[1] in ends:
      layer = '.'.join([ends[path[1]], *path[2:-1]])
    else:
      layer = f'block{int(path[1][5:]) + 2}.{LAYERS[path[2]]}'
    if 'batch' in path:
      return norm(path, layer.removesuffix('.batch'), module.classes > 0)
    if layer == 'l1' and path[-1] != 'v':
      return tensor('l1', path[-1], sn), flat_output(side, side)
    return tensor(layer, path[-1], sn), flat_taps(taps(layer)) if path[-1] == 'v' and layer != 'l1' else by_rank(rank)

  unused, shifts = left_out(tensors, module, weight, last)
  counts = [f'block{i}.{b}' for i in range(2, last) for b in ('b1', 'b2')]
  counts = [f'{name}.bn' if module.classes else name for name in counts] + [f'b{last}']
  known = {f'{name}.num_batches_tracked': () for name in counts} | unused
  variables = fill(wanted, tensors, place, known)
  for layer, shift in shifts.items():
    stats = variables['batch_stats']['norm' if layer == f'b{last}' else f'block{int(layer[5]) - 2}']
    stats = stats if layer == f'b{last}' else stats[f'norm{int(layer[-1]) - 1}']
    stats = stats['batch'].get('norm', stats['batch'])
    stats['mean'] = stats['mean'] - shift
  return module, variables


def discriminator(tensors: Tensors, constructor: Mapping[str, Any], model: str) -> tuple[Any, dict[str, Any]]:
  """`<MODEL>Discriminator<resolution>`; SSGAN's has a head 'rotation'."""
  family, resolution = parse(model)
  given = options(constructor, (*SIZES, 'dtype'))
  end = f'l{len(resnet.DISCRIMINATORS[resolution][0]) + 1}'
  sn = family not in UNNORMALISED
  own = any(name.startswith(f'{end}.sn_') for name in tensors)  # their own spectral norm, not PyTorch's
  weight = 'weight_orig' if sn else 'weight'
  module = resnet.Discriminator(
    resolution=resolution, channels=channels(tensors, [(f'block1.c1.{weight}', 1), (f'block1.c_sc.{weight}', 1)]),
    width=size(tensors, [(f'{end}.weight', 1), (f'{end}.weight_orig', 1)], given.get('ndf')),
    spectral=sn, end_iterates=own, attention=ATTENTION['D'] if family == 'sagan' else 0,
    pool='mean' if family == 'wgan_gp' else 'sum', heads=FrozenDict({'rotation': 4} if family == 'ssgan' else {}),
    classes=size(tensors, [('l_y.weight', 0), ('l_y.weight_orig', 0)], given.get('nc')) if family in CONDITIONAL else 0,
    **{name: given[name] for name in ('dtype',) if name in given},
  )  # fmt: skip
  image = jnp.zeros((1, resolution, resolution, module.channels))
  wanted = shapes(module, image, jnp.zeros((1,), jnp.int32) if module.classes else None)
  ends = {'logit': end, 'embed': 'l_y', 'head_rotation': 'l_y'}

  def place(path: Path, rank: int) -> tuple[str, Layout]:
    if path[1] in ends:
      if own and path[-1] == 'u':
        return f'{ends[path[1]]}.sn_u', ROW
      return tensor(ends[path[1]], path[-1], sn and not own), SAME if path[-1] == 'embedding' else by_rank(rank)
    if path[1] == 'attention':
      layer = '.'.join(['attn_block', *path[2:-1]])
    else:
      layer = f'block{int(path[1][5:]) + 1}.{LAYERS[path[2]]}'
    return tensor(layer, path[-1], sn), flat_taps(taps(layer)) if path[-1] == 'v' else by_rank(rank)

  without = {path for path in wanted if own and path[1] in ends and path[-1] == 'v'}
  known = {f'{ends[path[1]]}.sn_sigma': (1,) for path in without}
  variables = fill({path: shape for path, shape in wanted.items() if path not in without}, tensors, place, known)
  for _, layer, _ in without:  # their own spectral norm keeps no v
    vectors, found = variables['spectral'][layer], variables['params'][layer]
    vectors['v'] = spectral.iterate(found['kernel'] if 'kernel' in found else found['embedding'].T, vectors['u'])[1]
  return module, variables


def parse(model: str) -> tuple[str, int]:
  """'sngan32' -> 'sngan', 32."""
  found = re.fullmatch(rf'(?:mimicry_)?({"|".join(FAMILIES)})(\d+)', model)
  if not found or int(found[2]) not in resnet.GENERATORS or (found[1] == 'sagan' and found[2] != '32'):
    sides = ', '.join(map(str, resnet.GENERATORS))
    raise ValueError(f'kind: mimicry/{model}; valid are mimicry/ and one of {", ".join(FAMILIES)} at {sides}')
  return found[1], int(found[2])


def tensor(layer: str, leaf: str, sn: bool) -> str:
  """Their name of a leaf of a layer."""
  if leaf in ('kernel', 'embedding'):
    return f'{layer}.weight_orig' if sn else f'{layer}.weight'
  return f'{layer}.{ {"u": "weight_u", "v": "weight_v"}.get(leaf, leaf) }'


def taps(layer: str) -> int:
  """Side of a layer's kernel."""
  return 1 if layer.endswith('c_sc') or layer.startswith('attn') else 3


def norm(path: Path, layer: str, conditional: bool) -> tuple[str, Layout]:
  """A leaf of a batch norm. Gains and biases for each class are the halves of one embedding."""
  conditional = conditional and layer.startswith('block')
  if path[0] == 'batch_stats':
    return f'{layer}{".bn" if conditional else ""}.running_{path[-1]}', SAME
  if conditional:
    return f'{layer}.embed.weight', half(('scale', 'bias').index(path[-1]))
  return f'{layer}.{"weight" if path[-1] == "scale" else path[-1]}', SAME


def left_out(
  tensors: Tensors, module: resnet.Generator, weight: str, last: int
) -> tuple[dict[str, tuple[int, ...]], dict[str, Any]]:
  """Biases of theirs that a batch norm removes, with their shapes; and what they add to the means of which norms.

  A bias of a block's sum passes through the next block's shortcut. In front of attention they have a place.
  """
  side, divisors = resnet.GENERATORS[module.resolution]
  unused: dict[str, tuple[int, ...]] = {}
  shifts: dict[str, Any] = {}
  passed: Any = 0.0
  for i in range(2, last):
    width = module.width // divisors[i - 1]
    names = ['c1'] if side * 2 ** (i - 2) < module.attention else ['c1', 'c2', 'c_sc']
    unused |= {f'block{i}.{name}.bias': (width,) for name in names}
    needed: dict[str, tuple[int, ...]] = {f'block{i}.{name}.bias': (width,) for name in names}
    needed[f'block{i}.c_sc.{weight}'] = (width, module.width // divisors[i - 2], 1, 1)
    if not needed.keys() <= tensors.keys():
      continue  # refused later, with all that is missing
    for name, shape in needed.items():
      expect(name, tensors[name], shape)
    bias = {name: tensors[f'block{i}.{name}.bias'] for name in names}
    shifts |= {f'block{i}.b1': passed, f'block{i}.b2': bias['c1']}
    if 'c2' in names:
      shortcut = tensors[f'block{i}.c_sc.{weight}'][:, :, 0, 0]
      passed = bias['c2'] + bias['c_sc'] + shortcut @ np.broadcast_to(passed, shortcut.shape[1])
  return unused, shifts | {f'b{last}': passed}
