"""Super-resolution: RRDBNet of xinntao/ESRGAN, and MSRResNet, U-Net and VGG-style discriminators of XPixelGroup/BasicSR."""

import re
from collections.abc import Mapping
from math import isqrt
from typing import Any

import jax.numpy as jnp

from ganjax.interop.pix2pix import image_channels, own
from ganjax.interop.tensors import (
  SAME,
  Layout,
  Path,
  Tensors,
  by_rank,
  channels,
  fill,
  flat_input,
  flat_taps,
  options,
  shapes,
  size,
)
from ganjax.nets import msrresnet, rrdb, unet_sn, vgg_style

# Their names of sizes: channels in and out, width, blocks, growth; sides and scale of images; width of the U-Net and
# side of what it judges; whether that has skips.
KEYWORDS = ('ic', 'oc', 'nf', 'nb', 'gc', 'h', 'w', 'up', 'uf', 'uh', 'skip_connection', 'input_size', 'dtype')
ENDS = {'first': 'conv_first', 'trunk': 'trunk_conv', 'up0': 'upconv1', 'up1': 'upconv2', 'high': 'HRconv',
        'last': 'conv_last'}  # fmt: skip
# BasicSR's own RRDBNet, and Real-ESRGAN's
LATER = {'first': 'conv_first', 'trunk': 'conv_body', 'up0': 'conv_up1', 'up1': 'conv_up2', 'high': 'conv_hr',
         'last': 'conv_last'}  # fmt: skip


def generator(tensors: Tensors, constructor: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
  """`RRDBNet`, by ESRGAN's names or BasicSR's. A scale below 4 shows in the channels of the first convolution."""
  given = options(constructor, KEYWORDS)
  later = any(name.startswith(('body.', 'conv_body.')) for name in tensors)
  ends, block = (LATER, 'body.{}.rdb{}.conv{}') if later else (ENDS, 'RRDB_trunk.{}.RDB{}.conv{}')
  blocks = given.get('nb', count(tensors, block.partition('.')[0]))
  outputs = image_channels(tensors, [('conv_last.weight', 0), ('conv_last.bias', 0)], given.get('oc'))
  inputs = size(tensors, [('conv_first.weight', 1)])
  scale = {4: 2, 16: 1}.get(inputs // given.get('ic', outputs), 4) if later else 4
  fold = 4 // scale
  ic = given.get('ic', inputs // fold**2)
  if ic not in (1, 3) and 'ic' not in given:
    shape = tensors['conv_first.weight'].shape
    raise ValueError(f'conv_first.weight: shape {shape}; valid are images of 1 or 3 channels, or `ic`')
  inner = [block.format(0, j, k) for j in (1, 2, 3) for k in (1, 2, 3, 4)] if blocks else []
  grown = [(f'{name}.{leaf}', 0) for name in inner for leaf in ('weight', 'bias')]
  module = rrdb.Generator(
    channels=outputs, width=width_of(tensors, ends, given), blocks=blocks, scale=scale,
    growth=size(tensors, grown, given.get('gc')) if blocks else 32, **own(given),
  )  # fmt: skip
  wanted = shapes(module, jnp.zeros((1, fold, fold, ic)))

  def place(path: Path, rank: int) -> tuple[str, Layout]:
    if path[1] in ends:
      return tensor(ends[path[1]], path[-1]), by_rank(rank)
    i, j, k = numbers('/'.join(path[1:-1]))
    return tensor(block.format(i, j + 1, k + 1), path[-1]), by_rank(rank)

  return module, fill(wanted, tensors, place)


def residual(tensors: Tensors, constructor: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
  """`MSRResNet`: conv_first, body, upconv1 and for a scale of 4 upconv2, conv_hr, conv_last."""
  given = options(constructor, KEYWORDS)
  ends = {'first': 'conv_first', 'up0': 'upconv1', 'up1': 'upconv2', 'high': 'conv_hr', 'last': 'conv_last'}
  width = width_of(tensors, ends, given)
  twice = any(name.startswith('upconv2.') for name in tensors)
  grown = size(tensors, [('upconv1.weight', 0), ('upconv1.bias', 0)], 4 * width if twice else None)
  module = msrresnet.Generator(
    channels=image_channels(tensors, [('conv_last.weight', 0), ('conv_last.bias', 0)], given.get('oc')), width=width,
    blocks=given.get('nb', count(tensors, 'body')),
    scale=given.get('up', 4 if twice else isqrt(grown // width)), **own(given),
  )  # fmt: skip
  wanted = shapes(module, jnp.zeros((1, 2, 2, channels(tensors, [('conv_first.weight', 1)], given.get('ic')))))

  def place(path: Path, rank: int) -> tuple[str, Layout]:
    if path[1] in ends:
      return tensor(ends[path[1]], path[-1]), by_rank(rank)
    i, j = numbers(path[1])
    return tensor(f'body.{i}.conv{j + 1}', path[-1]), by_rank(rank)

  return module, fill(wanted, tensors, place)


def unet_discriminator(tensors: Tensors, constructor: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
  """`UNetDiscriminatorSN`: conv0 to conv9, those between with PyTorch's spectral norm."""
  given = options(constructor, KEYWORDS)
  widths = [
    ('conv0.weight', 0),
    ('conv0.bias', 0),
    ('conv1.weight_orig', 1),
    ('conv9.weight', 1),
    ('conv8.weight_u', 0),
  ]
  module = unet_sn.Discriminator(
    width=size(tensors, widths, given.get('uf')), skips=bool(given.get('skip_connection', True)), **own(given)
  )
  wanted = shapes(module, jnp.zeros((1, 8, 8, channels(tensors, [('conv0.weight', 1)], given.get('ic')))))

  def place(path: Path, rank: int) -> tuple[str, Layout]:
    layer = path[1]
    if layer in ('conv0', 'conv9'):
      return tensor(layer, path[-1]), by_rank(rank)
    leaf = {'kernel': 'weight_orig', 'u': 'weight_u', 'v': 'weight_v'}[path[-1]]
    taps = 4 if layer in ('conv1', 'conv2', 'conv3') else 3
    return f'{layer}.{leaf}', flat_taps(taps) if path[-1] == 'v' else by_rank(rank)

  return module, fill(wanted, tensors, place)


def vgg_discriminator(tensors: Tensors, constructor: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
  """`VGGStyleDiscriminator`: conv<i>_<j>, bn<i>_<j>, linear1, linear2. How many there are tells the image's side."""
  given = options(constructor, KEYWORDS)
  found = [int(match[1]) + 1 for name in tensors if (match := re.match(r'(?:conv|bn)(\d+)_\d\.', name))]
  if not found:
    raise ValueError('missing tensors: none is called conv<i>_<j>.weight')
  widths = [('conv0_0.weight', 0), ('conv0_0.bias', 0), ('conv0_1.weight', 0), ('bn0_1.weight', 0), ('bn0_1.bias', 0)]
  module = vgg_style.Discriminator(
    resolution=given.get('input_size', 4 * 2 ** max(found)), width=size(tensors, widths, given.get('nf')),
    channels=channels(tensors, [('conv0_0.weight', 1)], given.get('ic')),
    hidden=size(tensors, [('linear1.weight', 0), ('linear1.bias', 0), ('linear2.weight', 1)]), **own(given),
  )  # fmt: skip
  wanted = shapes(module, jnp.zeros((1, module.resolution, module.resolution, module.channels)))
  ends = {'hidden': 'linear1', 'logit': 'linear2'}

  def place(path: Path, rank: int) -> tuple[str, Layout]:
    layer = ends.get(path[1], path[1].replace('norm', 'bn'))
    if path[0] == 'batch_stats':
      return f'{layer}.running_{path[-1]}', SAME
    return tensor(layer, path[-1]), flat_input(4, 4) if layer == 'linear1' and rank == 2 else by_rank(rank)

  norms = {path[1].replace('norm', 'bn') for path in wanted if path[0] == 'batch_stats'}
  return module, fill(wanted, tensors, place, {f'{name}.num_batches_tracked': () for name in norms})


def tensor(layer: str, leaf: str) -> str:
  """Their name of a leaf of a layer."""
  return f'{layer}.{"weight" if leaf in ("kernel", "scale") else leaf}'


def count(tensors: Tensors, scope: str) -> int:
  """How many blocks there are."""
  return max((int(found[1]) + 1 for name in tensors if (found := re.match(rf'{scope}\.(\d+)\.', name))), default=0)


def numbers(name: str) -> list[int]:
  """Those in a name: 'block1/dense0/conv4' -> 1, 0, 4."""
  return [int(digits) for digits in re.findall(r'\d+', name)]


def width_of(tensors: Tensors, ends: Mapping[str, str], given: Mapping[str, Any]) -> int:
  """The channels inside."""
  places = [('conv_first.weight', 0), ('conv_first.bias', 0), ('conv_last.weight', 1), (f'{ends["high"]}.weight', 0)]
  return size(tensors, places, given.get('nf'))
