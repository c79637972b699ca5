"""Images or rows in one .npz or .npy file."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ganjax.data.images import known
from ganjax.data.spec import Source, Spec
from ganjax.errors import ConfigError, DataError

IMAGE_KEYS = ('image', 'images', 'x', 'data', 'X', 'x_train', 'arr_0')
LABEL_KEYS = ('label', 'labels', 'y', 'target', 'targets', 'y_train')
FLOAT_BYTES = 2**29  # floats up to this size are converted once
RANGES = ('', '0..1', '-1..1')


def arrays(*, split: str = 'train', path: str, test_path: str = '', image_key: str = '', label_key: str = '',
           value_range: str = '', classes: int = 0) -> Source:  # fmt: skip
  """Your own images [N, H, W, C] or [N, H, W] (uint8 or float), or rows [N, F], in a .npz or .npy file.

  Files are never unpickled. A .npy larger than memory is mapped, not read.

  Args:
    split: 'train' reads `path`, 'test' reads `test_path`.
    path: the file.
    test_path: a file of held-out examples in the same form.
    image_key: the array in the .npz; '' takes the first of image, images, x, data, X, x_train, arr_0.
    label_key: the labels; '' takes the first of label, labels, y, target, targets, y_train, if there is one.
    value_range: of float images, '0..1' or '-1..1'.
    classes: how many classes there must be; 0 takes what the labels say.
  """
  known('data.value_range', value_range, RANGES)
  field, chosen = ('data.path', path) if split == 'train' else ('data.test_path', test_path)
  if not chosen:
    raise ConfigError(field, chosen, 'a .npz or .npy file')
  file = Path(chosen).expanduser()
  x, labels = loaded(file, image_key, label_key)
  x = as_images(file, x, value_range) if x.ndim != 2 else as_rows(file, x)
  held = {'image' if x.ndim == 4 else 'row': x}
  if labels is not None:
    held['label'] = as_labels(file, labels, len(x))
    classes = counted(file, held['label'], classes)
  elif classes:
    raise DataError(f'{file}: data.classes={classes} asks for labels, and there are none')
  spec = Spec(next(iter(held)), x.shape[1:], classes, tuple(map(str, range(classes))), len(x), 'arrays')
  zero_to_one = value_range == '0..1' and x.dtype != np.uint8 and x.ndim == 4

  def get(indices: np.ndarray) -> dict[str, np.ndarray]:
    batch = {name: array[indices] for name, array in held.items()}
    if x.dtype != np.uint8:
      batch[spec.field] = batch[spec.field].astype(np.float32)
      if zero_to_one:
        batch[spec.field] = batch[spec.field] * 2 - 1
    return batch

  small = x.nbytes <= FLOAT_BYTES
  return Source(spec, get, held if x.dtype == np.uint8 else get(np.arange(len(x))) if small else None)


def loaded(file: Path, image_key: str, label_key: str) -> tuple[Any, Any]:
  """The examples and the labels or None, as they are in the file."""
  if not file.is_file():
    raise DataError(f'{file}: no such file')
  try:
    opened = np.load(file, mmap_mode='r' if file.suffix == '.npy' else None, allow_pickle=False)
    if isinstance(opened, np.ndarray):
      return opened, None
    with opened as archive:
      x, y = chosen(file, archive, image_key, IMAGE_KEYS), chosen(file, archive, label_key, LABEL_KEYS)
      if x is None:
        raise DataError(f'{file}: holds {sorted(archive)}; name the images with data.image_key')
      return archive[x], None if y is None else archive[y]
  except DataError:
    raise
  except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
    raise DataError(f'{file}: damaged, not an array file, or pickled, which is refused ({error})') from error


def chosen(file: Path, archive: Mapping[str, Any], key: str, usual: tuple[str, ...]) -> str | None:
  """The key asked for, or the first usual one that is there."""
  if key and key not in archive:
    raise DataError(f'{file}: no array {key!r}; there are {sorted(archive)}')
  return key or next((name for name in usual if name in archive), None)


def as_images(file: Path, x: Any, value_range: str) -> Any:
  """[N, H, W, C] or [N, H, W] -> [N, H, W, C], checked."""
  if x.ndim == 3:
    x = x[..., None]
  shape = f'{file}: images have shape {x.shape}'
  if x.ndim != 4 or not x.size:
    raise DataError(f'{shape}; valid: [N, H, W, C] or [N, H, W], and rows [N, F], none of them empty')
  if x.shape[-1] > 4:
    swapped = '; this looks like [N, C, H, W]: move the channels last' if x.shape[1] <= 4 else ''
    raise DataError(f'{shape}; valid: 1 to 4 channels, in the last axis{swapped}')
  if x.dtype == np.uint8:
    return x
  if not np.issubdtype(x.dtype, np.floating):
    raise DataError(f'{file}: images are {x.dtype}; valid: uint8 or float')
  if not value_range:
    raise ConfigError('data.value_range', '', f'0..1 or -1..1: the images in {file} are {x.dtype}')
  low, high = float(x.min()), float(x.max())
  if not (float(value_range.split('..')[0]) <= low <= high <= 1):  # false for NaN, too
    raise DataError(f'{file}: values from {low:g} to {high:g} are outside data.value_range={value_range}')
  return x


def as_rows(file: Path, x: Any) -> Any:
  """Float rows [N, F], finite."""
  if not x.size or not np.issubdtype(x.dtype, np.floating):
    raise DataError(f'{file}: shape {x.shape}, {x.dtype}; valid: rows [N, F] of floats, or images [N, H, W, C]')
  if not np.isfinite(x).all():
    raise DataError(f'{file}: row {int(np.argmin(np.isfinite(x).all(1)))} holds a value that is not finite')
  return x


def as_labels(file: Path, labels: Any, count: int) -> np.ndarray:
  """Int32 [N], from integers [N] or [N, 1]."""
  if labels.shape not in ((count,), (count, 1)):
    raise DataError(f'{file}: {count} examples, but labels of shape {labels.shape}; valid: [{count}]')
  if not np.issubdtype(labels.dtype, np.integer):
    raise DataError(f'{file}: labels are {labels.dtype}; valid: integers from 0')
  if labels.min() < 0:
    raise DataError(f'{file}: label {labels.min()} at {int(labels.argmin())}; valid: integers from 0')
  return labels.reshape(count).astype(np.int32)


def counted(file: Path, labels: np.ndarray, classes: int) -> int:
  """How many classes: what was asked for, if all labels fit, or what the labels say."""
  found = int(labels.max()) + 1
  if classes and found > classes:
    raise DataError(f'{file}: label {found - 1} at {int(labels.argmax())}, but data.classes={classes}')
  return classes or found
