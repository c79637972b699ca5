"""Frozen networks that perceptual losses look through: their weights come from a file and never move.

They are constants of the losses, so that they are neither differentiated nor kept with every checkpoint; samples need no
such file.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from ganjax.errors import ConfigError, DataError
from ganjax.evals.features import resnet
from ganjax.evals.features.layers import Conv, max_pool, torch_name
from ganjax.evals.features.published import MEAN, STD
from ganjax.evals.features.vgg import WIDTHS
from ganjax.evals.features.weights import Source, opened
from ganjax.interop.tensors import Tensors, by_rank, fill, shapes, size
from ganjax.types import Array

Maps = Callable[[Array], Array]  # images [B, H, W, 3] in [-1, 1] -> maps [B, h, w, F]

VGG19 = Source(
  "torchvision's vgg19 (vgg19-dcbb9e9d.pth)",
  'https://download.pytorch.org/models/vgg19-dcbb9e9d.pth',
  'sha256:dcbb9e9d',
)
CIFAR20 = Source('a ResNet-20 for CIFAR-10 with the names conv1, bn1, layer1.0.conv1 ... linear')
STAGES = ((0, 2), (5, 7), (10, 12, 14, 16), (19, 21, 23, 25), (28, 30, 32, 34))  # places in torchvision's `features`
SEEN = 'layer2_2'  # of the ResNet: the last block at half the size


class VGG(nn.Module):
  """VGG19 (Simonyan and Zisserman 2015, arXiv:1409.1556): images [B, H, W, 3] -> conv5_4 before its activation."""

  widths: tuple[int, ...] = WIDTHS

  @nn.compact
  def __call__(self, x: Array) -> Array:
    for i, (width, places) in enumerate(zip(self.widths, STAGES, strict=True)):
      x = max_pool(x, 2, 2) if i else x
      for place in places:
        x = Conv(width, (3, 3), padding=(1, 1), relu=place != STAGES[-1][-1], name=f'features_{place}')(x)
    return x


@cache
def open(name: str, weights: str) -> Maps:  # noqa: A001
  """The maps of a network: 'vgg19', those of conv5_4 before the activation, or 'cifar_resnet20', those of its second stage.

  weights: a file; '' fetches the published one. Raises ConfigError naming the field where they can't be had.
  """
  source, convert, seen = NETWORKS[name]
  try:
    with jax.ensure_compile_time_eval():  # a loss may ask for it while it is traced
      (module, variables), _ = opened(source, weights or None, convert)
  except (OSError, DataError, ConfigError) as error:
    raise ConfigError('play.feature_weights', weights, f'a file with {source.what} ({error})') from error
  variables = jax.device_get(variables)

  def maps(image: Array) -> Array:
    x = (image + 1) / 2
    return seen(module, variables, (x - np.asarray(MEAN, np.float32)) / np.asarray(STD, np.float32))

  return maps


def vgg(tensors: Tensors) -> tuple[VGG, dict]:
  """torchvision's state dict, whose classifier may be left out; its widths may be others."""
  used = {name: x for name, x in tensors.items() if not name.startswith('classifier.')}
  module = VGG(tuple(size(used, [(f'features.{places[0]}.weight', 0)]) for places in STAGES))
  wanted = shapes(module, jnp.zeros((1, 32, 32, 3)))
  return module, fill(wanted, used, lambda path, rank: (torch_name(path), by_rank(rank)))


def last(module: nn.Module, variables: dict, x: Array) -> Array:
  """What a network gives."""
  return module.apply(variables, x)  # type: ignore[return-value]


small = partial(resnet.of_depth, wanted=(3, 3, 3), small=True)


def captured(module: nn.Module, variables: dict, x: Array) -> Array:
  """The maps inside a residual network."""
  _, kept = module.apply(
    variables, x, capture_intermediates=lambda part, _: part.name == SEEN, mutable=['intermediates']
  )
  return kept['intermediates'][SEEN]['__call__'][0]  # type: ignore[index]


NETWORKS: dict[str, tuple[Source, Callable[[Tensors], Any], Callable[[Any, dict, Array], Array]]] = {
  'vgg19': (VGG19, vgg, last),
  'cifar_resnet20': (CIFAR20, small, captured),
}
