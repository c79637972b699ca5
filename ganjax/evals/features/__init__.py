"""Feature networks: what metrics see of images. Each is a module here that has `open(weights, resize) -> Extractor`."""

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from ganjax.errors import unknown
from ganjax.types import Array, Params

NETWORKS = {'digits': 'digit_classifier', 'inception': 'inception'}  # name -> module


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
  return importlib.import_module(f'ganjax.evals.features.{NETWORKS[name]}').open(weights, resize)
