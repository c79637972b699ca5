"""Feature networks: what metrics see of images. Each is a module here that has `open(weights, resize) -> Extractor`."""

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from ganjax.errors import unknown
from ganjax.types import Array, Params

# Name -> the module here, and what opens it if that isn't `open`.
NETWORKS = {
  'digits': 'digit_classifier',
  'occupancy': 'occupancy',
  'inception': 'inception',
  'vgg16': 'vgg',
  'alexnet': 'alexnet',
  'resnet50': 'resnet',
  'swav': 'resnet:open_swav',
  'dinov2': 'vit',
  'clip': 'vit:open_clip',
  'cifar_resnet20': 'resnet:open_cifar20',
  'cifar_resnet56': 'resnet:open_cifar56',
}


class Extractor(NamedTuple):
  """A feature network with its parameters: `apply(params, images)` is a pure function that can be jitted."""

  name: str
  protocol: Mapping[str, str]  # what its numbers depend on: 'weights', a hash, 'resize', ...
  outputs: Mapping[str, int]  # widths: {'features': 2048, 'logits': 1008}
  apply: Callable[[Params, Array], dict[str, Array]]  # uint8 images [B, H, W, C] -> {output: float32 [B, width]}
  params: Params


def open_extractor(name: str, weights: str | Path | None = None, resize: str | None = None) -> Extractor:
  """The feature network of a name.

  Args:
    name: one of `NETWORKS`.
    weights: a local file instead of the published one.
    resize: how images are brought to its size; each network has a default and says what else it can.

  Raises: ConfigError for a name or a way of resizing that there isn't; DataError for weights that can't be had.
  """
  if name not in NETWORKS:
    raise unknown('--features', name, list(NETWORKS))
  module, _, opening = NETWORKS[name].partition(':')
  return getattr(importlib.import_module(f'ganjax.evals.features.{module}'), opening or 'open')(weights, resize)
