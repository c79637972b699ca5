"""Images of anyone's, in a folder or an array file: what `ganjax evaluate --fake --real` compares."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ganjax.data.arrays import loaded
from ganjax.data.folder import NAMED, attempt, class_names, in_threads, listed
from ganjax.data.images import Fit, opened
from ganjax.errors import DataError
from ganjax.evals.stream import Rows

RGB = Fit(1, 3)  # only how a picture is flattened; it keeps its own size


class ImageSet(NamedTuple):
  """Images that are read when they are needed; those of one size are together."""

  path: str
  size: int
  hash: str  # of the names and sizes of a folder's files, or of the arrays
  groups: list[list[str]] | np.ndarray  # files by the size of the picture, or images [N, H, W, C]
  labels: dict[str, int] | np.ndarray | None  # by file, or [N]


def open_images(path: str | Path) -> ImageSet:
  """A folder of pictures (sub-folders are classes), or a .npz or .npy file of uint8 images [N, H, W, C].

  Raises DataError for a file or folder that can't be read; a damaged picture is named.
  """
  file = Path(path).expanduser()
  if file.suffix in ('.npz', '.npy'):
    images, labels = loaded(file, '', '')
    images = images[..., None] if images.ndim == 3 else images
    if images.ndim != 4 or images.dtype != np.uint8 or images.shape[-1] not in (1, 3):
      raise DataError(f'{file}: {images.dtype} {list(images.shape)}; valid: uint8 images [N, H, W, C] with C = 1 or 3')
    found = hashlib.sha256(np.ascontiguousarray(images).data).hexdigest()[:16]
    return ImageSet(str(file), len(images), found, images, labels)
  names = listed(file)
  survey = in_threads(
    lambda name: attempt(name, lambda n: np.asarray(opened((file / n).read_bytes(), RGB, str(file / n)).size)), names
  )
  bad = [result for result in survey if isinstance(result, str)]
  if bad:
    more = [f'and {len(bad) - NAMED} more'] if len(bad) > NAMED else []
    raise DataError(
      f'{file}: {len(bad)} of {len(names)} pictures are damaged:\n  ' + '\n  '.join([*bad[:NAMED], *more])
    )
  groups: dict[tuple[int, ...], list[str]] = defaultdict(list)
  for name, size in zip(names, survey, strict=True):
    groups[tuple(map(int, size))].append(name)
  classes = class_names(names, file)
  labels = {name: classes.index(name.split('/')[0]) for name in names} if classes else None
  facts = ''.join(f'{name} {(file / name).stat().st_size}\n' for name in names)
  found = hashlib.sha256(facts.encode()).hexdigest()[:16]
  return ImageSet(str(file), len(names), found, list(groups.values()), labels)


def batches(images: ImageSet, size: int) -> Iterator[Rows]:
  """All images in batches of one size of picture: 'image' uint8 [B, H, W, C], and 'label' [B] where there are classes."""
  if isinstance(images.groups, np.ndarray):
    for first in range(0, images.size, size):
      rows = slice(first, first + size)
      label = {'label': np.asarray(images.labels[rows], np.int32)} if isinstance(images.labels, np.ndarray) else {}
      yield {'image': np.asarray(images.groups[rows])} | label
    return
  root = Path(images.path)
  for group in images.groups:
    for first in range(0, len(group), size):
      names = group[first : first + size]
      read = in_threads(lambda name: np.asarray(opened((root / name).read_bytes(), RGB, str(root / name))), names)
      label = (
        {'label': np.asarray([images.labels[name] for name in names], np.int32)}
        if isinstance(images.labels, dict)
        else {}
      )
      yield {'image': np.stack(read)} | label
