"""Tensors in the files of torch.save, of both its formats, without PyTorch and without running what is pickled.

Since PyTorch 1.6: a zip archive with the pickle `<name>/data.pkl` and each storage's bytes in `<name>/data/<key>`.
Before: five pickles in a row (a magic number, the format, facts of the machine, the object, the storages' keys), then
each storage's length and bytes. The pickles name storages by persistent ids.
"""

import mmap
import struct
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from ganjax.interop import pickled

Choose = Callable[[Iterable[str]], Mapping[str, str]]  # names in a file -> those that are wanted: what to call them

MAGIC = 0x1950A86A20F9469CFC6C
LAYOUT = 1001
DEPTH = 6  # dicts within dicts that are looked into
MOST = 1_000_000  # tensors


class Storage(NamedTuple):
  """Numbers in a row, on which tensors are views."""

  dtype: np.dtype[Any]
  key: str
  size: int


class Tensor(NamedTuple):
  """A view of a storage: strides and offset count numbers."""

  storage: Storage
  offset: int
  shape: tuple[int, ...]
  strides: tuple[int, ...]


def tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Tensor:
  """A tensor, if it lies in its storage."""
  if not (isinstance(storage, Storage) and isinstance(shape, tuple) and isinstance(strides, tuple)):
    raise ValueError('a tensor without a storage, shape or strides')
  counts = (offset, *shape, *strides)
  last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
  if any(type(x) is not int or x < 0 for x in counts) or (0 not in shape and last >= storage.size):
    raise ValueError(f'a tensor of shape {shape} and strides {strides} in a storage of {storage.size} numbers')
  return Tensor(storage, offset, shape, strides)


TYPES = {'Float': np.float32, 'Double': np.float64, 'Half': np.float16, 'BFloat16': ml_dtypes.bfloat16, 'Int': np.int32,
         'Long': np.int64, 'Short': np.int16, 'Char': np.int8, 'Byte': np.uint8, 'Bool': np.bool_}  # fmt: skip
NAMES: dict[str, Any] = {
  'collections.OrderedDict': pickled.Function(dict),
  'torch._utils._rebuild_tensor_v2': pickled.Function(tensor),
  'torch._utils._rebuild_parameter': pickled.Function(lambda data, *_: data),
  **{f'torch.{name}Storage': np.dtype(dtype).newbyteorder('<') for name, dtype in TYPES.items()},
}


def read(path: Path, choose: Choose) -> dict[str, np.ndarray]:
  """The chosen tensors by their new names; bfloat16 as float32. What is below dicts has a name such as 'g_ema/w'.

  Raises: pickled.Refused, ValueError, OSError, zipfile.BadZipFile.
  """
  return (read_zip if zipfile.is_zipfile(path) else read_stream)(path, choose)


def read_zip(path: Path, choose: Choose) -> dict[str, np.ndarray]:
  """Of the format with an archive."""
  with zipfile.ZipFile(path) as archive:
    pickles = [name for name in archive.namelist() if name.endswith('/data.pkl')]
    if len(pickles) != 1:
      raise ValueError('an archive without data.pkl: not written by torch.save')
    root = pickles[0].removesuffix('data.pkl')
    if f'{root}byteorder' in archive.namelist() and stored(archive, f'{root}byteorder') != b'little':
      raise ValueError('bytes in big-endian order')
    found = tensors(pickled.read(BytesIO(stored(archive, pickles[0])), NAMES, storage))
    data = cache(lambda key: stored(archive, f'{root}data/{key}'))  # several tensors may share a storage
    return {new: array(found[name], data(found[name].storage.key)) for name, new in choose(found).items()}


def stored(archive: zipfile.ZipFile, name: str) -> bytes:
  """A file of an archive; none is compressed, so none is larger than the archive."""
  if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
    raise ValueError(f'{name} is compressed: not written by torch.save')
  return archive.read(name)


def read_stream(path: Path, choose: Choose) -> dict[str, np.ndarray]:
  """Of the format before."""
  with path.open('rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as stream:
    first: Any = pickled.read(stream, NAMES, storage)
    if first != MAGIC:
      raise ValueError('a pickle that was not written by torch.save')
    layout, machine = (pickled.read(stream, {}, storage) for _ in range(2))
    if layout != LAYOUT or not machine['little_endian']:
      raise ValueError(f'format {layout} of {machine}')
    storages: dict[str, Storage] = {}

    def remembered(given: Any) -> Storage:
      found = storage(given)
      return storages.setdefault(found.key, found)

    found = tensors(pickled.read(stream, NAMES, remembered))
    places = dict(positions(stream, pickled.read(stream, {}, storage), storages))
    data = cache(lambda key: stream[places[key][0] : sum(places[key])])
    return {new: array(found[name], data(found[name].storage.key)) for name, new in choose(found).items()}


def positions(stream: mmap.mmap, keys: Any, storages: Mapping[str, Storage]) -> Iterator[tuple[str, tuple[int, int]]]:
  """Each storage's key, and where its bytes begin and how many there are."""
  for key in keys:
    (size,) = struct.unpack('<q', stream.read(8))
    if key not in storages or size != storages[key].size:
      raise ValueError(f'storage {key!r} of {size} numbers, which no tensor speaks of')
    length = size * storages[key].dtype.itemsize
    yield key, (stream.tell(), length)
    stream.seek(length, 1)


def storage(given: Any) -> Storage:
  """What a persistent id stands for: ('storage', type, key, device, numbers), and a view, which is None, in old files."""
  kind, dtype, key, _, size, *view = given
  if kind != 'storage' or any(x is not None for x in view):
    raise pickled.Refused(f'a persistent object {kind!r:.80}')
  if not isinstance(dtype, np.dtype) or not isinstance(key, str) or type(size) is not int or size < 0:
    raise ValueError('a storage without a type, key or size')
  return Storage(dtype, key, size)


def tensors(tree: Any) -> dict[str, Tensor]:
  """The tensors in dicts within dicts by name, 'outer/inner'."""
  found: dict[str, Tensor] = {}

  def walk(prefix: str, node: Any, depth: int) -> None:
    for name, value in node.items() if isinstance(node, dict) else ():
      if isinstance(value, Tensor):
        found[f'{prefix}{name}'] = value
      elif depth:
        walk(f'{prefix}{name}/', value, depth - 1)
      if len(found) > MOST:
        raise ValueError(f'more than {MOST:,} tensors')

  walk('', tree, DEPTH)
  return found


def array(found: Tensor, data: bytes) -> np.ndarray:
  """The numbers of a tensor."""
  flat = np.frombuffer(data, found.storage.dtype)
  if len(flat) != found.storage.size:
    raise ValueError(f'storage {found.storage.key!r} has {len(flat)} numbers, expected {found.storage.size}')
  if flat.dtype == ml_dtypes.bfloat16:
    flat = flat.astype(np.float32)
  if prod(found.shape) == 0:
    return np.zeros(found.shape, flat.dtype)
  strides = [stride * flat.itemsize for stride in found.strides]
  return np.lib.stride_tricks.as_strided(flat[found.offset :], found.shape, strides, writeable=False)
