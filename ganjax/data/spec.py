"""What a game must know of its data, and what a source of data is."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ganjax.types import Array, Batch


@dataclass(frozen=True)
class Spec:
  """The facts about a data set that a game is built from; saved with the checkpoint as JSON."""

  field: str  # the batch key that the adversary judges: 'image', 'voxel' or 'row'
  shape: tuple[int, ...]  # (H, W, C) of images, (D, H, W, C) of volumes, (F,) of rows
  classes: int = 0  # 0: no labels
  class_names: tuple[str, ...] = ()
  count: int = 0  # examples, 0: unlimited (a distribution)
  name: str = ''  # of the source
  extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # JSON-able facts, such as a mixture's centres
  source: tuple[int, ...] = ()  # (H, W, C) of the images 'source', to be translated into 'image'; (): there are none

  def example(self, size: int = 1) -> dict[str, np.ndarray]:
    """A batch of nothing, [size, ...]: its shapes are what `Game.init` looks at."""
    batch: dict[str, np.ndarray] = {self.field: np.zeros((size, *self.shape), np.float32)}
    batch |= {'source': np.zeros((size, *self.source), np.float32)} if self.source else {}
    return batch | ({'label': np.zeros(size, np.int32)} if self.classes else {})

  def to_json(self) -> dict[str, Any]:
    """A dict that `json` can write."""
    return dataclasses.asdict(self)

  @classmethod
  def from_json(cls, values: Mapping[str, Any]) -> 'Spec':
    """The spec that `to_json` wrote, also after a round trip through text."""
    tuples = {name: tuple(values.get(name, ())) for name in ('shape', 'class_names', 'source')}
    return cls(**{**values, **tuples})


@dataclass(frozen=True)
class Source:
  """Examples by number.

  `get(indices [N])` returns NumPy arrays [N, ...]: 'image' uint8 NHWC, or float32 in [-1, 1]; 'voxel' [N, D, H, W, C],
  of the same types; or 'row' float32 [N, F]; and 'label' int32 [N] where there are labels, 'source', like 'image', where there are pairs. It may
  be called from several threads.

  A distribution has `draw(bits)` too, pure and jittable: `bits(count)` are random words uint32 [P, B, count],
  what it returns has leaves [P, B, ...].
  """

  spec: Spec
  get: Callable[[np.ndarray], dict[str, np.ndarray]]
  arrays: dict[str, np.ndarray] | None = None  # the whole set, in memory or mapped
  draw: Callable[[Callable[[int], Array]], Batch] | None = None  # of a distribution: see below
  fold: int = 0  # of a distribution: other folds have other draws
  beside: 'Source | None' = None  # the other of two unpaired domains, in an order of its own

  def __len__(self) -> int:
    """How many examples; 0 for a distribution."""
    return self.spec.count


def in_memory(spec: Spec, arrays: dict[str, np.ndarray]) -> Source:
  """The source whose whole set is `arrays` [N, ...]."""
  return Source(spec, lambda indices: {name: x[indices] for name, x in arrays.items()}, arrays)
