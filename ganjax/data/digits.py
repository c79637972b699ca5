"""The UCI handwritten digits that scikit-learn carries: real data without a download."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from ganjax.data.images import FILTERS, known, resized
from ganjax.data.order import shuffled
from ganjax.data.spec import Source, Spec, in_memory
from ganjax.errors import ConfigError

HELD_OUT = 297  # of 1,797: 1,500 stay for training
SIZES = (8, 16, 32)


def digits(*, split: str = 'train', resolution: int = 8, resize: str = 'bicubic') -> Source:
  """1,797 handwritten digits, 8x8 grey (UCI, in scikit-learn), 1,500 to train on; no download.

  Grey values 0..16 become 0..255. A fixed split, stratified by class, holds out 297.

  Args:
    split: 'train' or 'test'.
    resolution: 8 as scanned, or 16 or 32 by interpolation.
    resize: the interpolation, one of lanczos, bicubic, bilinear, box, nearest.
  """
  if resolution not in SIZES:
    raise ConfigError('data.resolution', resolution, ', '.join(map(str, SIZES)))
  known('data.resize', resize, FILTERS)
  scans, labels = table()
  chosen = held_out(labels) if split == 'test' else np.setdiff1d(np.arange(len(labels)), held_out(labels))
  grey = scans[chosen] * np.float32(255 / 16)
  image = np.stack([resized(x, resolution, resize) for x in grey])[..., None]
  spec = Spec('image', (resolution, resolution, 1), 10, tuple('0123456789'), len(chosen), 'digits')
  return in_memory(spec, {'image': image, 'label': labels[chosen]})


def table() -> tuple[Any, Any]:
  """All scans, float32 [1797, 8, 8] in 0..16, and labels, int32 [1797]."""
  found = importlib.util.find_spec('sklearn')  # its own loader takes a second, to import what isn't needed here
  folder = Path(found.submodule_search_locations[0]) if found and found.submodule_search_locations else Path()
  file = folder / 'datasets' / 'data' / 'digits.csv.gz'
  if file.is_file():
    values = np.loadtxt(file, delimiter=',', dtype=np.float32)
    pixels, labels = values[:, :-1], values[:, -1]
  else:
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
  return pixels.reshape(-1, 8, 8).astype(np.float32), labels.astype(np.int32)


def held_out(labels: np.ndarray) -> np.ndarray:
  """The same numbers for ever, in order: each class gives its share of 297, by largest remainders."""
  sizes = np.bincount(labels)
  shares = sizes * HELD_OUT / len(labels)
  quota = np.floor(shares).astype(int)
  quota[np.argsort(quota - shares, kind='stable')[: HELD_OUT - quota.sum()]] += 1
  picked = [
    np.flatnonzero(labels == c)[shuffled(np.arange(n), int(n), 0, c)[:q]]
    for c, (n, q) in enumerate(zip(sizes, quota, strict=True))
  ]
  return np.sort(np.concatenate(picked))
