"""Images at another size, bicubic, as MATLAB's `imresize` has it: figures of super-resolution rest on it.

Keys' cubic with a = -1/2, stretched by the scale where an image is reduced, which keeps it from aliasing. Beyond its edge
an image is mirrored. All is done in float64, and rounded once.

python -m ganjax.data.bicubic FOLDER OUT SCALE     (pictures reduced by a whole number, for `ganjax sample --input OUT`)
"""

import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from ganjax.data.folder import in_threads, listed
from ganjax.data.images import Fit, opened
from ganjax.errors import DataError, GanjaxError


def resized(image: np.ndarray, height: int, width: int) -> np.ndarray:
  """uint8 [..., H, W, C] -> uint8 [..., height, width, C]."""
  rows, columns = weights(image.shape[-3], height), weights(image.shape[-2], width)
  x = np.einsum('ih,...hwc->...iwc', rows, image.astype(np.float64), optimize=True)
  return np.rint(np.einsum('jw,...iwc->...ijc', columns, x, optimize=True).clip(0, 255)).astype(np.uint8)


def cropped(image: np.ndarray, scale: int) -> np.ndarray:
  """An image [H, W, C] without what `scale` does not divide, at its right and lower edge."""
  height, width = image.shape[:2]
  return image[: height - height % scale, : width - width % scale]


def reduced(image: np.ndarray, scale: int) -> np.ndarray:
  """uint8 [H, W, C] -> uint8 [H / scale, W / scale, C]; what `scale` does not divide is left out."""
  image = cropped(image, scale)
  return resized(image, image.shape[0] // scale, image.shape[1] // scale)


@lru_cache
def weights(size: int, new: int) -> np.ndarray:
  """float64 [new, size]: row i says how much of each pixel is in the i-th of the other size."""
  scale = new / size
  stretch = min(scale, 1.0)
  centre = (np.arange(new) + 0.5) / scale - 0.5
  reach = int(np.ceil(2 / stretch)) + 1
  index = np.floor(centre).astype(int)[:, None] + np.arange(-reach, reach + 1)  # [new, taps]
  share = cubic(stretch * (centre[:, None] - index))
  share /= share.sum(1, keepdims=True)
  index = index % (2 * size)
  index = np.where(index < size, index, 2 * size - 1 - index)
  found = np.zeros((new, size))
  np.add.at(found, (np.arange(new)[:, None], index), share)
  return found


def cubic(x: np.ndarray) -> np.ndarray:
  """Keys 1981, equation 15."""
  x = np.abs(x)
  near, far = (1.5 * x - 2.5) * x**2 + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
  return np.where(x <= 1, near, np.where(x <= 2, far, 0))


def reduce_folder(folder: str, out: str, scale: int) -> str:
  """Writes the pictures of a folder, reduced, as .png files of the same names. Raises DataError naming the file."""
  from PIL import Image

  root, names = Path(folder).expanduser(), listed(Path(folder).expanduser())

  def write(name: str) -> None:
    image = np.asarray(opened((root / name).read_bytes(), Fit(1, 3), str(root / name)))
    if min(image.shape[:2]) < scale:
      raise DataError(f'{root / name}: {image.shape[1]} x {image.shape[0]} pixels; valid: at least {scale} a side')
    target = (Path(out) / name).with_suffix('.png')
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and target.samefile(root / name):
      raise DataError(f'{target}: the picture itself would be overwritten; valid: another folder')
    Image.fromarray(reduced(image, scale)).save(target)

  in_threads(write, names)
  return f'{out}: {len(names)} pictures of {folder} at 1/{scale} of their size'


def main(arguments: Sequence[str] | None = None) -> int:
  """The command; returns its exit code."""
  given = sys.argv[1:] if arguments is None else list(arguments)
  if len(given) != 3 or not given[2].isdigit() or int(given[2]) < 2:
    print('python -m ganjax.data.bicubic FOLDER OUT SCALE, with a whole SCALE of at least 2', file=sys.stderr)
    return 2
  try:
    print(reduce_folder(given[0], given[1], int(given[2])))
  except GanjaxError as error:
    print(f'ganjax: {error}', file=sys.stderr)
    return error.code
  return 0


if __name__ == '__main__':
  sys.exit(main())
