"""Volumes of voxels, in one .npz file or in a folder of .npy, .npz and .binvox files."""

import itertools
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ganjax.data.arrays import as_labels, loaded
from ganjax.data.folder import class_names, in_threads, refuse_or_tell
from ganjax.data.images import known
from ganjax.data.spec import Source, Spec, in_memory
from ganjax.errors import ConfigError, DataError

RESOLUTIONS = (8, 16, 32, 64)
EXTENSIONS = ('.npy', '.npz', '.binvox')
KEYS = {'train': ('voxel', 'voxels', 'X_train', 'x_train', 'X', 'x', 'data', 'arr_0'), 'test': ('X_test', 'x_test')}
LABEL_KEYS = {'train': ('label', 'labels', 'y_train', 'y', 'target'), 'test': ('y_test',)}
# By the axis that points up, which axes become depth, rows, columns: the three turns that are no mirror images.
UPRIGHT = {'x': (2, 0, 1), 'y': (0, 1, 2), 'z': (1, 2, 0)}
POOLINGS = ('any', 'half')
HELD_BYTES = 512 * 2**20  # resampled sets up to this size are kept in memory


def voxels(*, split: str = 'train', path: str, test_path: str = '', resolution: int = 32, pooling: str = 'any',
           up: str = 'z') -> Source:  # fmt: skip
  """Volumes of occupied and empty voxels: a .npz of cubes [N, D, D, D], or a folder of .npy, .npz and .binvox files.

  Cubes of any side are brought to `resolution`. Smaller ones are enlarged by whole numbers, as far as they fit, and
  centred in empty voxels; larger ones are centred in the next multiple of the resolution, and then pooled. So 30 voxels
  become 32 with one empty voxel on each side, 16 from these by pooling pairs, and 64 from 60. Values are 0 and 255,
  which the training sees as -1 and 1. An axis points up, and volumes are turned so that it is up in pictures.

  Args:
    split: 'train' or 'test'. A .npz has the arrays voxel, voxels, X_train, x_train, X, x, data or arr_0 to train on,
      with label, labels, y_train, y or target [N], where there are classes; X_test or x_test, with y_test, are held out.
    path: the file; or the folder, with one volume in each file. Its sub-folders, if there are any, are the classes.
    test_path: a file or a folder of held-out volumes in the same form as `path`.
    resolution: voxels a side, 8, 16, 32 or 64.
    pooling: what becomes of a block of voxels: 'any' is occupied where one of them is, which keeps thin parts; 'half'
      where at least half of them are.
    up: the axis of the file's arrays that points up, x (the first), y or z (the last).
  """
  if resolution not in RESOLUTIONS:
    raise ConfigError('data.resolution', resolution, ', '.join(map(str, RESOLUTIONS)))
  known('data.pooling', pooling, POOLINGS)
  known('data.up', up, tuple(UPRIGHT))
  place = Path(path if split == 'train' or not test_path else test_path).expanduser()
  keys = 'train' if split == 'train' or test_path else 'test'
  if place.is_dir():
    if split == 'test' and not test_path:
      raise ConfigError('data.test_path', test_path, 'a folder of held-out volumes')
    cubes, labels, names = of_folder(place, Path(path).expanduser())
  else:
    cubes, labels = of_file(place, keys)
    names = () if labels is None else tuple(map(str, range(int(labels.max()) + 1)))
  label = {} if labels is None else {'label': labels}
  spec = Spec('voxel', (resolution,) * 3 + (1,), len(names), names, len(cubes), 'voxels')

  def get(indices: np.ndarray) -> dict[str, np.ndarray]:
    volumes = [upright(resampled(cubes[i], resolution, pooling), up) for i in indices]
    return {'voxel': np.stack(volumes)[..., None] * np.uint8(255), **{n: x[indices] for n, x in label.items()}}

  if len(cubes) * resolution**3 <= HELD_BYTES:
    return in_memory(spec, get(np.arange(len(cubes))))
  return Source(spec, get)


def of_file(file: Path, split: str) -> tuple[Sequence[np.ndarray], np.ndarray | None]:
  """Cubes bool [D, D, D] and labels int32 [N], or None, of a .npz file. Raises DataError, ConfigError without held-out ones."""
  if file.suffix != '.npz':
    raise DataError(f'{file}: no such folder; valid: a folder of {", ".join(EXTENSIONS)} files, or a .npz file')
  there = keys_of(file)
  key = next((name for name in KEYS[split] if name in there), '')
  if not key and split == 'test':
    raise ConfigError('data.test_path', '', f'held-out volumes: {file} has no {" or ".join(KEYS[split])}')
  if not key:
    raise DataError(f'{file}: holds {there}; valid: volumes as one of {", ".join(KEYS[split])}')
  x, labels = loaded(file, key, next((name for name in LABEL_KEYS[split] if name in there), ''))
  x = x[..., 0] if x.ndim == 5 and x.shape[4] == 1 else x
  if x.ndim != 4 or not x.size or len(set(x.shape[1:])) > 1:
    raise DataError(f'{file}: {key} has shape {x.shape}; valid: cubes [N, D, D, D]')
  cubes = [binary(part, f'{file}: {key}[{i}]') for i, part in enumerate(x)]
  return cubes, None if labels is None else as_labels(file, labels, len(cubes))


def keys_of(file: Path) -> list[str]:
  """The arrays in a .npz file."""
  if not file.is_file():
    raise DataError(f'{file}: no such file')
  try:
    with np.load(file, allow_pickle=False) as archive:
      return sorted(archive.files)
  except (OSError, EOFError, ValueError) as error:
    raise DataError(f'{file}: damaged, or no .npz file ({error})') from error


def of_folder(root: Path, named: Path) -> tuple[Sequence[np.ndarray], np.ndarray | None, tuple[str, ...]]:
  """Cubes bool [D, D, D], labels or None, and the classes, which are those of the folder `named`."""
  names, files = class_names(listed(named), named), listed(root)
  strangers = set(class_names(files, root)) - set(names)
  if strangers:
    raise DataError(f'{root}: sub-folders {sorted(strangers)} are no classes of {named}, which has {list(names)}')

  def read(file: str) -> np.ndarray | str:
    try:
      return cube(root / file)
    except DataError as error:
      return str(error)

  found = dict(zip(files, in_threads(read, files), strict=True))
  refuse_or_tell(root, {file: x for file, x in found.items() if isinstance(x, str)}, len(files), 'refuse')
  labels = np.asarray([names.index(file.split('/')[0]) for file in files], np.int32) if names else None
  return [found[file] for file in files], labels, names  # type: ignore[misc]


def listed(root: Path) -> list[str]:
  """All volumes below `root` as sorted relative paths with '/'."""
  if not root.is_dir():
    raise DataError(f'{root}: no such folder')
  found = [
    (Path(where) / name).relative_to(root).as_posix()
    for where, _, names in os.walk(root, followlinks=True)
    for name in names
    if name.lower().endswith(EXTENSIONS) and not name.startswith('.')
  ]
  if not found:
    raise DataError(f'{root}: no volumes in it; valid: {", ".join(EXTENSIONS)}')
  return sorted(found)


def cube(file: Path) -> np.ndarray:
  """The volume of one file, bool [D, D, D]. Raises DataError."""
  if file.suffix.lower() == '.binvox':
    x = binvox(file)
  else:
    key = keys_of(file)[0] if file.suffix.lower() == '.npz' else ''
    x, _ = loaded(file, key, '')
  if x.ndim != 3 or not x.size or len(set(x.shape)) > 1:
    raise DataError(f'{file}: shape {x.shape}; valid: a cube [D, D, D]')
  return binary(x, str(file))


def binvox(file: Path) -> np.ndarray:
  """A .binvox file (Patrick Min) as uint8 [X, Y, Z]: a header in lines of text, then pairs of bytes, a value and its run.

  Values are written with y fastest, then z, then x. Raises DataError where runs don't fill the volume.
  """
  header, mark, data = file.read_bytes().partition(b'\ndata\n')
  lines = header.split(b'\n')
  dim = next((line.split()[1:] for line in lines if line.startswith(b'dim ')), [])
  if not mark or not lines[0].startswith(b'#binvox') or len(dim) != 3 or not all(n.isdigit() for n in dim):
    raise DataError(f'{file}: damaged, or no .binvox file: no header with #binvox, dim and data')
  depth, height, width = (int(n) for n in dim)
  size, runs = depth * height * width, np.frombuffer(data, np.uint8)
  if len(runs) % 2 or int(runs[1::2].sum(dtype=np.int64)) != size:
    raise DataError(f'{file}: damaged: runs of {int(runs[1::2].sum(dtype=np.int64))} voxels in all, dim says {size}')
  return np.repeat(runs[::2], runs[1::2]).reshape(depth, height, width).transpose(0, 2, 1)


def binary(x: np.ndarray, name: str) -> np.ndarray:
  """A volume of 0 and 1, of any type, as bool."""
  occupied = np.asarray(x) == 1
  if not (occupied | (np.asarray(x) == 0)).all():
    strange = np.asarray(x)[~(occupied | (np.asarray(x) == 0))].flat[0]
    raise DataError(f'{name}: holds {strange}; valid: 0 (empty) and 1 (occupied)')
  return occupied


def resampled(volume: np.ndarray, resolution: int, pooling: str) -> np.ndarray:
  """A cube bool [D, D, D] as bool [resolution, resolution, resolution]: see `voxels`."""
  times = max(1, resolution // len(volume))
  volume = volume.repeat(times, 0).repeat(times, 1).repeat(times, 2)
  n = len(volume)
  factor = -(-n // resolution)
  room = factor * resolution - n
  volume = np.pad(volume, (room // 2, room - room // 2))
  if factor == 1:
    return volume
  # Slices, not a mean over six axes: several times as fast.
  parts = [volume[i::factor, j::factor, k::factor] for i, j, k in itertools.product(range(factor), repeat=3)]
  return np.any(parts, 0) if pooling == 'any' else np.sum(parts, 0) * 2 >= len(parts)


def upright(volume: np.ndarray, up: str) -> np.ndarray:
  """A volume [x, y, z] as [depth, row, column], with the axis `up` towards the first row."""
  return np.flip(volume.transpose(UPRIGHT[up]), 1)
