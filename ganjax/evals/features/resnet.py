"""Residual networks (He et al. 2016, arXiv:1512.03385): ResNet-50 for ImageNet and SwAV, and those for CIFAR-10."""

import re
from functools import partial
from pathlib import Path

import flax.linen as nn
import jax.numpy as jnp

from ganjax.evals.features import Extractor
from ganjax.evals.features.layers import Conv, all_folded, max_pool, torch_name
from ganjax.evals.features.published import module_extractor
from ganjax.evals.features.weights import Source
from ganjax.interop.tensors import Tensors, by_rank, fill, shapes, size
from ganjax.types import Array

BN_EPSILON = 1e-5


class Bottleneck(nn.Module):
  """Three convolutions and a shortcut, stride in the second one, as torchvision has it."""

  width: int
  stride: int

  @nn.compact
  def __call__(self, x: Array) -> Array:
    y = Conv(self.width, (1, 1), name='conv1')(x)
    y = Conv(self.width, (3, 3), self.stride, (1, 1), name='conv2')(y)
    y = Conv(4 * self.width, (1, 1), relu=False, name='conv3')(y)
    if x.shape != y.shape:
      x = Conv(4 * self.width, (1, 1), self.stride, relu=False, name='downsample_0')(x)
    return nn.relu(x + y)


class Basic(nn.Module):
  """Two convolutions and a shortcut without parameters: every other pixel, new channels of zeros (option A)."""

  width: int
  stride: int

  @nn.compact
  def __call__(self, x: Array) -> Array:
    y = Conv(self.width, (3, 3), self.stride, (1, 1), name='conv1')(x)
    y = Conv(self.width, (3, 3), padding=(1, 1), relu=False, name='conv2')(y)
    missing = self.width - x.shape[-1]
    if missing or self.stride > 1:
      x = x[:, :: self.stride, :: self.stride]
      x = jnp.pad(x, ((0, 0), (0, 0), (0, 0), (missing // 2, missing - missing // 2)))
    return nn.relu(x + y)


class ResNet(nn.Module):
  """Images [B, size, size, 3] -> features, the mean over pixels, and logits where there are classes."""

  depths: tuple[int, ...]  # blocks of each stage
  width: int  # channels of the first stage, doubled at every further one
  classes: int  # 0: none
  small: bool = False  # the form for CIFAR-10

  @property
  def size(self) -> int:
    """Of the images."""
    return 32 if self.small else 224

  @nn.compact
  def __call__(self, x: Array) -> dict[str, Array]:
    if self.small:
      x = Conv(self.width, (3, 3), padding=(1, 1), name='conv1')(x)
    else:
      x = max_pool(Conv(self.width, (7, 7), 2, (3, 3), name='conv1')(x), 2, padding=1)
    block = Basic if self.small else Bottleneck
    for i, depth in enumerate(self.depths):
      for j in range(depth):
        x = block(self.width * 2**i, 2 if i and not j else 1, name=f'layer{i + 1}_{j}')(x)
    x = x.mean((1, 2))
    head = 'linear' if self.small else 'fc'
    return {'features': x} | ({'logits': nn.Dense(self.classes, name=head)(x)} if self.classes else {})


def converted(tensors: Tensors, *, small: bool = False) -> tuple[ResNet, dict]:
  """torchvision's state dict of a ResNet-50, or that of a ResNet for CIFAR-10 in the usual names; widths may be others."""
  head = 'linear' if small else 'fc'
  depths = tuple(depth(tensors, f'layer{i + 1}') for i in range(3 if small else 4))
  classes = size(tensors, [(f'{head}.weight', 0)]) if f'{head}.weight' in tensors else 0
  module = ResNet(depths, size(tensors, [('conv1.weight', 0)]), classes, small)
  wanted = shapes(module, jnp.zeros((1, module.size, module.size, 3)))
  convolutions = {torch_name(path).removesuffix('.weight') for path, shape in wanted.items() if len(shape) == 4}
  norms = {name: name.replace('conv', 'bn').replace('downsample.0', 'downsample.1') for name in convolutions}
  return module, fill(
    wanted, all_folded(tensors, norms, BN_EPSILON), lambda path, rank: (torch_name(path), by_rank(rank))
  )


def depth(tensors: Tensors, stage: str) -> int:
  """How many blocks a stage has."""
  found = [int(match[1]) for name in tensors if (match := re.match(rf'{stage}\.(\d+)\.', name))]
  if not found:
    raise ValueError(f'missing tensors: none is called {stage}.<block>.')
  return max(found) + 1


def fifty(tensors: Tensors) -> tuple[ResNet, dict]:
  """A ResNet-50 by its depth."""
  return of_depth(tensors, (3, 4, 6, 3), small=False)


def swav(tensors: Tensors) -> tuple[ResNet, dict]:
  """SwAV's checkpoint: a ResNet-50 whose projection and prototypes are left out."""
  own = {name.removeprefix('module.'): x for name, x in tensors.items()}
  own = {name: x for name, x in own.items() if not name.startswith(('projection_head.', 'prototypes.'))}
  return of_depth(own, (3, 4, 6, 3), small=False)


def of_depth(tensors: Tensors, wanted: tuple[int, ...], small: bool) -> tuple[ResNet, dict]:
  """Converts; refuses another depth."""
  own = {name.removeprefix('module.'): x for name, x in tensors.items()}  # of DataParallel
  found = tuple(depth(own, f'layer{i + 1}') for i in range(len(wanted)))
  if found != wanted:
    raise ValueError(f'blocks of the stages: {found}; valid are {wanted}')
  return converted(own, small=small)


SOURCE = Source(
  "torchvision's resnet50 (resnet50-0676ba61.pth; resnet50-11ad3fa6.pth has the same names)",
  'https://download.pytorch.org/models/resnet50-0676ba61.pth',
  'sha256:0676ba61',
)
SWAV = Source(
  'a ResNet-50 trained by SwAV, such as https://dl.fbaipublicfiles.com/deepcluster/swav_800ep_pretrain.pth.tar renamed '
  'to end in .pth (its authors publish no checksum)'
)


def open(weights: str | Path | None = None, resize: str | None = None) -> Extractor:  # noqa: A001
  """ImageNet's ResNet-50. `resize` is 'crop' by default, as torchvision evaluates it."""
  return module_extractor('resnet50', SOURCE, weights, fifty, resize or 'crop')


def open_swav(weights: str | Path | None = None, resize: str | None = None) -> Extractor:
  """ResNet-50 trained without labels by SwAV (Caron et al. 2020, arXiv:2006.09882; for FID: arXiv:2203.06026)."""
  return module_extractor('swav', SWAV, weights, swav, resize or 'crop')


def open_cifar(blocks: int, weights: str | Path | None = None, resize: str | None = None) -> Extractor:
  """A ResNet for CIFAR-10 of 6 * blocks + 2 layers; its images are scaled by ImageNet's mean and deviation."""
  layers = 6 * blocks + 2
  source = Source(f'a ResNet-{layers} for CIFAR-10 with the names conv1, bn1, layer1.0.conv1 ... linear')
  convert = partial(of_depth, wanted=(blocks,) * 3, small=True)
  return module_extractor(f'cifar_resnet{layers}', source, weights, convert, resize or 'clean')


open_cifar20, open_cifar56 = partial(open_cifar, 3), partial(open_cifar, 9)
