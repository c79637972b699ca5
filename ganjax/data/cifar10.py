"""CIFAR-10 (Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009), from its binary version."""

import tarfile
import zlib
from pathlib import Path

import numpy as np

from ganjax.data.arrays import arrays
from ganjax.data.download import fetch
from ganjax.data.spec import Source, Spec, in_memory
from ganjax.errors import DataError

URL = 'https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz'
CHECKSUM = 'md5:c32a1d4ab5d03f1284b67883e8d87530'
NAMES = ('airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck')
FILES = {'train': tuple(f'data_batch_{i}.bin' for i in range(1, 6)), 'test': ('test_batch.bin',)}
RECORD = 1 + 3 * 32 * 32  # a label, then the red, green and blue planes
VALID = f'cifar-10-binary.tar.gz or its folder (from {URL}), or a .npz with images and labels'


def cifar10(*, split: str = 'train', path: str = '', test_path: str = '') -> Source:
  """CIFAR-10, 32x32 RGB: downloaded once (162 MB) or from local files.

  Args:
    split: 'train' (50,000) or 'test' (10,000).
    path: cifar-10-binary.tar.gz, the folder with its data_batch_*.bin, or a .npz (uint8 images [N, 32, 32, 3]
      and labels). '' downloads into the user's cache. The pickled Python version is never opened.
    test_path: the test set, where `path` is a .npz.
  """
  file = Path(path).expanduser() if path else fetch(URL, CHECKSUM, otherwise=f'Or give data.path={VALID}')
  if file.suffix == '.npz':
    source = arrays(split=split, path=path, test_path=test_path, classes=10)
    if source.spec.shape != (32, 32, 3):
      raise DataError(f'{file}: images of shape {source.spec.shape}, CIFAR-10 has (32, 32, 3)')
    image, label = source.get(np.arange(len(source))).values()
  else:
    image, label = unpacked(file, [contents(file, name) for name in FILES[split]])
  spec = Spec('image', (32, 32, 3), 10, NAMES, len(label), 'cifar10')
  return in_memory(spec, {'image': image, 'label': label})


def contents(file: Path, name: str) -> bytes:
  """One batch file, out of the archive or the folder `file`."""
  try:
    if file.is_dir():
      nested = file / 'cifar-10-batches-bin'
      return ((nested if nested.is_dir() else file) / name).read_bytes()
    if not file.is_file():
      raise DataError(f'{file}: no such file; valid: {VALID}')
    with tarfile.open(file) as archive:
      member = archive.extractfile(f'cifar-10-batches-bin/{name}')
      return member.read() if member else b''
  except (FileNotFoundError, KeyError) as error:
    raise DataError(f'{file}: no {name} in it; valid: {VALID} (the pickled Python version is never opened)') from error
  except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
    raise DataError(f'{file}: damaged or no archive ({error}); valid: {VALID}') from error


def unpacked(file: Path, batches: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
  """Images uint8 [N, 32, 32, 3] and labels int32 [N] from the records."""
  for data in batches:
    if not data or len(data) % RECORD:
      raise DataError(f'{file}: a batch of {len(data):,} bytes is truncated; valid: records of {RECORD} bytes')
  records = np.concatenate([np.frombuffer(data, np.uint8).reshape(-1, RECORD) for data in batches])
  label = records[:, 0].astype(np.int32)
  if label.max() > 9:
    raise DataError(f'{file}: label {label.max()} in record {label.argmax()}; valid: 0 to 9')
  return np.ascontiguousarray(records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), label
