"""The networks of junyanz/pytorch-CycleGAN-and-pix2pix (`models/networks.py`), which pix2pix and CycleGAN share."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp

from ganjax.interop.tensors import SAME, Layout, Path, Shape, Tensors, by_rank, fill, options, shapes, size
from ganjax.nets import patchgan, pixelgan, resnet_translator, unet

# Their names of sizes: channels in and out; halvings of the U-Net; widths of U-Net (of CycleGAN: ResNet), ResNet and D;
# layers of D, blocks of the ResNet, sides of images, norm, loss, batch. And of options that leave no trace in weights.
KEYWORDS = ('ic', 'oc', 'nd', 'ngf', 'rngf', 'ndf', 'nl', 'nb', 'h', 'w', 'norm', 'mode', 'B', 'use_dropout',
            'padding_type', 'dtype')  # fmt: skip
NORMS = ('batch', 'instance', 'none')
TRANSPOSED = Layout(
  lambda x: x.transpose(2, 3, 0, 1), lambda x: x.transpose(2, 3, 0, 1)
)  # [I, O, h, w] -> [h, w, I, O]
DROPOUT = 0.5


def generator(tensors: Tensors, constructor: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
  """Whichever of the two it is: a U-Net's modules are nested."""
  return (unet_generator if any(name.startswith('model.model.') for name in tensors) else resnet)(tensors, constructor)


def discriminator(tensors: Tensors, constructor: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
  """Whichever of the two it is: a `PixelDiscriminator` calls its modules net."""
  return (pixel if any(name.startswith('net.') for name in tensors) else patch)(tensors, constructor)


def unet_generator(tensors: Tensors, constructor: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
  """`UnetGenerator`: modules within modules, each a way down, the next, and a way up."""
  given = options(constructor, KEYWORDS)
  found = [re.match(r'model\.model\.1((?:\.model\.3)*)\.model\.\d+\.\w+$', name) for name in tensors]
  downs = max((2 + match[1].count('.3') for match in found if match), default=max(given.get('nd', 0), 5))
  inside = ['model'] + ['model.model.1' + '.model.3' * i for i in range(downs - 1)]  # from the outermost
  last = downs - 1
  places = {'down0': f'{inside[0]}.model.0', 'up0': f'{inside[0]}.model.3'}
  for i in range(1, downs):
    end = 3 if i == last else 5  # the innermost has no norm on its way down, and nothing inside
    places |= {f'down{i}': f'{inside[i]}.model.1', f'up{i}': f'{inside[i]}.model.{end}',
               f'up_norm{i}': f'{inside[i]}.model.{end + 1}'}  # fmt: skip
    places |= {f'down_norm{i}': f'{inside[i]}.model.2'} if i < last else {}
  widths = [(f'{places["down0"]}.weight', 0), (f'{places["down1"]}.weight', 1), (f'{places["up1"]}.weight', 1),
            (f'{places["up1"]}.bias', 0), *((f'{places["up_norm1"]}.{leaf}', 0) for leaf in ('weight', 'bias'))]  # fmt: skip
  normed = [places[name] for name in places if name not in ('down0', f'down{last}', 'up0') and 'norm' not in name]
  norm = norm_of(tensors, given, normed, [place for name, place in places.items() if 'norm' in name])
  module = unet.Generator(
    channels=image_channels(tensors, [('model.model.3.weight', 1), ('model.model.3.bias', 0)], given.get('oc')),
    width=size(tensors, widths), downs=downs, norm=norm, dropout=DROPOUT if given.get('use_dropout') else 0.0,
    dropouts=max(downs - 5, 0), **own(given),
  )  # fmt: skip
  image = jnp.zeros((1, 2**downs, 2**downs, size(tensors, [('model.model.0.weight', 1)], given.get('ic'))))
  return module, filled(shapes(module, image), tensors, places, norm)


def resnet(tensors: Tensors, constructor: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
  """`ResnetGenerator`: model.1, 4, 7, blocks from model.10 on, two transposed convolutions, the last one."""
  given = options(constructor, KEYWORDS)
  found = [re.match(r'model\.(\d+)\.conv_block\.(\d+)\.', name) for name in tensors]
  blocks = max((int(match[1]) - 9 for match in found if match), default=0)
  inner = {int(match[2]) for match in found if match}
  border: Any = 'zero' if 0 in inner else given.get('padding_type', 'reflect')
  if border not in resnet_translator.MODES:
    raise ValueError(f'padding_type: {border!r}; valid are {", ".join(resnet_translator.MODES)}')
  pad, drop = border != 'zero', dropout_in(inner, border, given)
  up = 10 + blocks
  places = {'first': 'model.1', 'down0': 'model.4', 'down1': 'model.7', 'up0': f'model.{up}', 'up1': f'model.{up + 3}',
            'last': f'model.{up + 7}'}  # fmt: skip
  places |= {'first_norm': 'model.2', 'down_norm0': 'model.5', 'down_norm1': 'model.8', 'up_norm0': f'model.{up + 1}',
             'up_norm1': f'model.{up + 4}'}  # fmt: skip
  for i in range(blocks):
    scope, second = f'model.{10 + i}.conv_block', 3 + 2 * pad + drop
    places |= {f'block{i}/conv0': f'{scope}.{int(pad)}', f'block{i}/norm0': f'{scope}.{1 + pad}',
               f'block{i}/conv1': f'{scope}.{second}', f'block{i}/norm1': f'{scope}.{second + 1}'}  # fmt: skip
  widths = [('model.1.weight', 0), ('model.1.bias', 0), ('model.4.weight', 1), ('model.2.weight', 0),
            (f'{places["up1"]}.weight', 1), (f'{places["last"]}.weight', 1)]  # fmt: skip
  normed = [place for name, place in places.items() if 'norm' not in name and name != 'last']
  norm = norm_of(tensors, given, normed, [place for name, place in places.items() if 'norm' in name])
  ends = [(f'{places["last"]}.{leaf}', 0) for leaf in ('weight', 'bias')]
  module = resnet_translator.Generator(
    channels=image_channels(tensors, ends, given.get('oc')), width=size(tensors, widths), blocks=blocks, norm=norm,
    border=border, dropout=DROPOUT if drop else 0.0, **own(given),
  )  # fmt: skip
  image = jnp.zeros((1, 8, 8, size(tensors, [('model.1.weight', 1)], given.get('ic'))))
  return module, filled(shapes(module, image), tensors, places, norm)


def patch(tensors: Tensors, constructor: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
  """`NLayerDiscriminator`: model.0, model.2, 5, 8 and so on, the last of which gives the logits."""
  given = options(constructor, KEYWORDS)
  found = [int(match[1]) for name in tensors if (match := re.match(r'model\.(\d+)\.', name))]
  depth = given['nl'] if 'nl' in given else max((max(found, default=5) - 2) // 3, 1)
  places = {'conv0': 'model.0', 'logit': f'model.{3 * depth + 2}'}
  for i in range(1, depth + 1):
    places |= {f'conv{i}': f'model.{3 * i - 1}', f'norm{i}': f'model.{3 * i}'}
  norms = [place for name, place in places.items() if name.startswith('norm')]
  norm = norm_of(tensors, given, [places[f'conv{i}'] for i in range(1, depth + 1)], norms)
  width = size(tensors, [('model.0.weight', 0), ('model.0.bias', 0), ('model.2.weight', 1)])
  module = patchgan.Discriminator(width=width, depth=depth, norm=norm, **own(given))
  side = 3 * 2**depth
  image = jnp.zeros((1, side, side, size(tensors, [('model.0.weight', 1)], channels_of(given))))
  return module, filled(shapes(module, image), tensors, places, norm)


def pixel(tensors: Tensors, constructor: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
  """`PixelDiscriminator`: net.0, 2 and 5."""
  given = options(constructor, KEYWORDS)
  norm = norm_of(tensors, given, ['net.2', 'net.5'], ['net.3'])
  width = size(tensors, [('net.0.weight', 0), ('net.0.bias', 0), ('net.2.weight', 1)])
  module = pixelgan.Discriminator(width=width, norm=norm, **own(given))
  wanted = shapes(module, jnp.zeros((1, 2, 2, size(tensors, [('net.0.weight', 1)], channels_of(given)))))
  places = {'conv0': 'net.0', 'conv1': 'net.2', 'norm1': 'net.3', 'logit': 'net.5'}
  return module, filled(wanted, tensors, places, norm)


def filled(wanted: Mapping[Path, Shape], tensors: Tensors, places: Mapping[str, str], norm: str) -> dict[str, Any]:
  """The variables; `places` are their modules by ours. Counts of batches have no place here.

  So have statistics that instance norms once kept: checkpoints of old have them in every norm.
  """
  names = [place for layer, place in places.items() if 'norm' in layer]
  known: dict[str, Shape | None] = {f'{name}.num_batches_tracked': () for name in names} if norm == 'batch' else {}
  kept = [f'{name}.running_{statistic}' for name in names for statistic in ('mean', 'var')]
  if norm == 'instance' and all(name in tensors for name in kept):
    counts = [f'{name}.num_batches_tracked' for name in names]
    known = dict.fromkeys([*kept, *(name for name in counts if name in tensors)])

  def place(path: Path, rank: int) -> tuple[str, Layout]:
    layer = '/'.join(part for part in path[1:-1] if part != 'batch')
    if path[0] == 'batch_stats':
      return f'{places[layer]}.running_{path[-1]}', SAME
    leaf = {'kernel': 'weight', 'scale': 'weight'}.get(path[-1], path[-1])
    transposed = rank == 4 and layer.startswith('up')
    return f'{places[layer]}.{leaf}', TRANSPOSED if transposed else by_rank(rank)

  return fill(wanted, tensors, place, known)


def norm_of(tensors: Tensors, given: Mapping[str, Any], convs: Sequence[str], norms: Sequence[str]) -> Any:
  """Which norm there is: batch norm has weights, and in front of instance norm alone convolutions have biases."""
  if given.get('norm', 'none') not in NORMS:
    raise ValueError(f'norm: {given["norm"]!r}; valid are {", ".join(NORMS)}')
  if 'norm' in given:
    return given['norm']
  if any(f'{name}.{leaf}' in tensors for name in norms for leaf in ('weight', 'bias')):
    return 'batch'
  return 'instance' if any(f'{name}.bias' in tensors for name in convs) else 'none'


def dropout_in(inner: set[int], border: str, given: Mapping[str, Any]) -> bool:
  """Whether the blocks drop: a module between moves the second convolution on by one."""
  second = 3 if border == 'zero' else 5
  if 'use_dropout' in given:
    return bool(given['use_dropout'])
  return second not in inner and second + 1 in inner


def image_channels(tensors: Tensors, places: Sequence[tuple[str, int]], given: int | None) -> int:
  """The channels of images that are made, as in `size`: of two tensors that disagree, the one that says 1 or 3."""
  usual = [place for place in places if place[0] in tensors and size(tensors, [place]) in (1, 3)]
  return size(tensors, usual or places, given)


def channels_of(given: Mapping[str, Any]) -> int | None:
  """D's channels: of an image, or of two that are judged together."""
  return given['ic'] + given['oc'] if 'ic' in given and 'oc' in given else None


def own(given: Mapping[str, Any]) -> dict[str, Any]:
  """The keywords that are our fields."""
  return {'dtype': given['dtype']} if 'dtype' in given else {}
