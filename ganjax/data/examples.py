"""Examples for a game that samples from sources: held-out ones, or those of the training where none are held out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ganjax.data.order import shuffled
from ganjax.data.sources import open_source
from ganjax.data.spec import Source
from ganjax.errors import ConfigError


@dataclass(frozen=True)
class Examples:
  """`examples(number, seed)` gives so many, [number, ...], as the training is fed them: images float32 in [-1, 1]."""

  source: Source
  split: str  # 'test', or 'train' where none are held out

  def __call__(self, number: int, seed: int) -> dict[str, Any]:
    domains = [self.source] if self.source.beside is None else [self.source, self.source.beside]
    return {name: x for domain in domains for name, x in chosen(domain, number, seed).items()}


def open_examples(config: Mapping[str, Any]) -> Examples:
  """The examples of `config.data`. Raises ConfigError, DataError."""
  try:
    return Examples(open_source(config, split='test'), 'test')
  except ConfigError:
    return Examples(open_source(config), 'train')


def chosen(source: Source, number: int, seed: int) -> dict[str, Any]:
  """Rows of a source in an order of the seed's own; one comes again only after all others."""
  rows, count = np.arange(number), len(source)
  batch = source.get(shuffled(rows % count, count, seed % 2**32, rows // count))
  return {name: scaled(x) if name in ('image', 'source') else x for name, x in batch.items()}


def scaled(image: np.ndarray) -> np.ndarray:
  """uint8 images as float32 in [-1, 1]; others are."""
  return (2 * image.astype(np.float32) - 255) / np.float32(255) if image.dtype == np.uint8 else image
