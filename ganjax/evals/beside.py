"""Pictures beside the true ones of the same name: what super-resolution is measured by, in folders of anyone's."""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from ganjax.data.arrays import loaded
from ganjax.data.bicubic import resized
from ganjax.data.folder import in_threads
from ganjax.data.images import Fit, opened
from ganjax.data.pairs import matched
from ganjax.errors import DataError
from ganjax.evals import metrics

LIKENESS = {'psnr_y': metrics.psnr_y, 'ssim_y': metrics.ssim_y}
BORDER = 4  # pixels
LOST = 8  # pixels: less than this a scale may have left out at an edge
RGB = Fit(1, 3)  # only how a picture is flattened; it keeps its own size


def beside(fake: str, real: str, names: Collection[str], border: int) -> dict[str, dict[str, float]]:
  """Each of `names` in LIKENESS, by picture, of two folders or two .npz files of as many images.

  A picture that is smaller than the true one by a whole number is enlarged, bicubic: so a folder of small pictures gives
  the figures to compare with. The true one loses what a scale does not divide, fewer than 8 pixels at its right and
  lower edge. border: pixels at each edge that aren't looked at.

  Raises DataError naming the pictures that don't go together.
  """
  places = [Path(place).expanduser() for place in (fake, real)]
  arrays = [place.suffix in ('.npz', '.npy') for place in places]
  if all(arrays):
    both = [loaded(place, '', '')[0] for place in places]
    for place, images in zip(places, both, strict=True):
      if images.ndim != 4 or images.dtype != np.uint8 or images.shape[-1] not in (1, 3) or len(images) != len(both[0]):
        raise DataError(f'{place}: {images.dtype} {list(images.shape)}; valid: uint8 images [N, H, W, C] with C = 1 or 3, as '
                        f'many as in {places[0]}')  # fmt: skip
    return {
      f'{i}': likeness(pair, (f'{fake} {i}', f'{real} {i}'), names, border)
      for i, pair in enumerate(zip(*both, strict=True))
    }
  if any(arrays):
    raise DataError(f'{fake} and {real}: valid: two folders, or two files of as many images')
  files = matched(*places)

  def measured(files: tuple[Path, ...]) -> dict[str, float]:
    pair = [np.asarray(opened(file.read_bytes(), RGB, str(file))) for file in files]
    return likeness(pair, [str(file) for file in files], names, border)

  found = in_threads(measured, files)
  return {file.relative_to(places[1]).as_posix(): values for (_, file), values in zip(files, found, strict=True)}


def likeness(
  pair: Collection[np.ndarray], names: Collection[str], wanted: Collection[str], border: int
) -> dict[str, float]:
  """Of one picture and the true one, uint8 [H, W, C]."""
  fake, real = pair
  (height, width), sides = fake.shape[:2], real.shape[:2]
  times = max(sides[0] // height, sides[1] // width, 1)
  kept = height * times, width * times
  what = [f'{name}: {x.shape[1]} x {x.shape[0]} pixels' for name, x in zip(names, pair, strict=True)]
  if not all(0 <= side - own < LOST for side, own in zip(sides, kept, strict=True)):
    raise DataError(f'{what[0]}, and {what[1]}; valid: the same size, or one smaller by a whole number')
  if min(kept) < 2 * border + metrics.images.WINDOW:
    raise DataError(f'{what[0]}; valid: at least {2 * border + metrics.images.WINDOW} a side, with --border {border}')
  made = resized(fake, *kept) if times > 1 else fake
  return {name: float(LIKENESS[name](made[None], real[None, : kept[0], : kept[1]], border)[0]) for name in wanted}
