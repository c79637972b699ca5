"""Which examples of a source, and how sharp: what a curriculum changes from phase to phase."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ganjax.data.spec import Source
from ganjax.errors import ConfigError, DataError

CHUNK = 10_000  # labels read at once


def selected(source: Source, *, labels: Sequence[int] = (), scores: str = '', easiest: float = 1.0,
             blur: float = 0.0) -> Source:  # fmt: skip
  """`source` with fewer examples, or blurred ones.

  Args:
    source: of images or rows; a distribution has no examples to select.
    labels: only examples of these classes; their numbers and the spec's classes stay as they are.
    scores: a .npy file with a difficulty for each example of the source, low is easy.
    easiest: the share with the lowest scores that is kept, of the examples with these labels.
    blur: standard deviation in pixels of a Gaussian over each image, mirrored at the border.

  Raises: ConfigError, DataError.
  """
  if (labels or scores) and source.draw is not None:
    raise ConfigError(
      'data.labels' if labels else 'data.scores', labels or scores, 'nothing: this data is a distribution'
    )
  if bool(scores) != (easiest != 1) or not 0 < easiest <= 1:
    raise ConfigError('data.easiest', easiest, 'a share above 0 and below 1, with data.scores; 1 without')
  rows = np.arange(len(source))
  if labels:
    rows = with_labels(source, labels)
  if scores:
    difficulty = read_scores(scores, len(source))[rows]
    rows = np.sort(rows[np.argsort(difficulty, kind='stable')[: max(1, round(easiest * len(rows)))]])
  if len(rows) < len(source):
    source = subset(source, rows)
  return blurred(source, blur) if blur else source


def with_labels(source: Source, labels: Sequence[int]) -> np.ndarray:
  """The rows of a source with one of these labels."""
  for label in labels:
    if label not in range(source.spec.classes):
      raise ConfigError('data.labels', label, f'labels from 0 to {source.spec.classes - 1}' if source.spec.classes else
                        f'nothing: the data {source.spec.name!r} has no labels')  # fmt: skip
  if source.arrays is not None:
    found = source.arrays['label']
  else:
    parts = range(0, len(source), CHUNK)
    found = np.concatenate([source.get(np.arange(i, min(i + CHUNK, len(source))))['label'] for i in parts])
  rows = np.flatnonzero(np.isin(found, labels))
  if not len(rows):
    raise DataError(
      f'data.labels: no example of {source.spec.name!r} has one of the labels {", ".join(map(str, labels))}'
    )
  return rows


def read_scores(path: str, count: int) -> np.ndarray:
  """A difficulty for each of `count` examples."""
  try:
    found = np.load(Path(path).expanduser(), allow_pickle=False)
  except (OSError, ValueError) as error:
    raise DataError(f'{path}: no .npy file of scores ({error})') from error
  if not isinstance(found, np.ndarray) or found.shape != (count,) or not np.isfinite(found).all():
    raise DataError(f'{path}: scores of shape {np.shape(found)}, valid: {count} finite numbers, one for each example')
  return found


def subset(source: Source, rows: np.ndarray) -> Source:
  """The source of some of the rows."""
  arrays = None if source.arrays is None else {name: x[rows] for name, x in source.arrays.items()}
  spec = replace(source.spec, count=len(rows))
  return replace(source, spec=spec, get=lambda indices: source.get(rows[indices]), arrays=arrays)


def blurred(source: Source, sigma: float) -> Source:
  """The source with every image blurred."""
  if source.spec.field != 'image':
    raise ConfigError('data.blur', sigma, f'0: the data {source.spec.name!r} has no images')

  def soften(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    from scipy.ndimage import gaussian_filter

    image = batch['image']
    soft = gaussian_filter(image.astype(np.float32), (0, sigma, sigma, 0), mode='reflect')
    return batch | {'image': np.rint(soft).astype(np.uint8) if image.dtype == np.uint8 else soft}

  arrays = None if source.arrays is None else soften(source.arrays)
  return replace(source, get=lambda indices: soften(source.get(indices)), arrays=arrays)
