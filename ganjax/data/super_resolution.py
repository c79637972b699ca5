"""Patches of pictures, and the same at a fraction of their size: pairs for super-resolution."""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ganjax.data.arrays import as_images, loaded
from ganjax.data.bicubic import cropped, reduced
from ganjax.data.folder import NAMED, attempt, in_threads, listed
from ganjax.data.images import Fit, opened
from ganjax.data.spec import Source, Spec
from ganjax.errors import ConfigError, DataError

PHOTOGRAPHS = {'train': 'china.jpg', 'test': 'flower.jpg'}


class Picture(NamedTuple):
  """One that patches are cut from."""

  image: np.ndarray  # uint8 [H, W, C]
  source: np.ndarray  # uint8 [H / scale, W / scale, C]


def super_resolution(*, split: str = 'train', path: str = '', test_path: str = '', resolution: int = 128, scale: int = 4,
                     channels: int = 3, stride: int = 0) -> Source:  # fmt: skip
  """Patches of pictures ('image'), and the same reduced by `scale` ('source'), from a folder or a .npz of images.

  Every picture is reduced as a whole once, as MATLAB's antialiased `imresize` does it (see `data/bicubic.py`), and
  patches are cut from both alike. An example is a place in a picture, one every `stride` pixels: so an epoch has all
  crops that there are, each once. Pictures stay in memory, decoded (those of DIV2K take 7 GB); edges that `scale` does
  not divide are left out.

  Args:
    split: 'train' reads `path`, 'test' reads `test_path`.
    path: a folder of pictures of any size, at any depth, or a .npz of uint8 images [N, H, W, C]; '' is one of the two
      photographs that come with scikit-learn, of 640 x 427 pixels.
    test_path: held-out pictures in the same form; their patches stand side by side. '' is the other photograph, where
      `path` is the first.
    resolution: of the patches, pixels a side; `scale` divides it.
    scale: how many times larger images become.
    channels: 1 (grey) or 3 (RGB).
    stride: pixels from a patch to the next, a multiple of `scale`; 0: `scale`.
  """
  form = Fit(resolution, channels)
  if scale < 2 or resolution % scale:
    raise ConfigError('data.scale', scale, f'a number of at least 2 that divides data.resolution ({resolution})')
  if stride % scale:
    raise ConfigError('data.stride', stride, f'a multiple of data.scale ({scale})')
  if split == 'test' and path and not test_path:
    raise ConfigError('data.test_path', test_path, 'a folder or .npz file of held-out pictures')
  step = resolution if split == 'test' else stride or scale
  place = path if split == 'train' else test_path
  pictures = read_all(Path(place).expanduser(), form, scale) if place else [photograph(split, form, scale)]
  places = [tuple((side - resolution) // step + 1 for side in picture.image.shape[:2]) for picture in pictures]
  ends = np.cumsum([rows * columns for rows, columns in places])
  if ends[-1] >= 2**31:
    raise ConfigError(
      'data.stride', step, f'a larger multiple of {scale}: there are {ends[-1]} places, more than 2**31'
    )

  def patch(example: int) -> tuple[np.ndarray, np.ndarray]:
    number = int(np.searchsorted(ends, example, 'right'))
    _, columns = places[number]
    row, column = divmod(example - (int(ends[number - 1]) if number else 0), columns)
    y, x, small = row * step, column * step, resolution // scale
    image = pictures[number].image[y : y + resolution, x : x + resolution]
    return pictures[number].source[y // scale :, x // scale :][:small, :small], image

  def get(indices: np.ndarray) -> dict[str, np.ndarray]:
    source, image = zip(*map(patch, indices.tolist()), strict=True)
    return {'source': np.stack(source), 'image': np.stack(image)}

  spec = Spec('image', form.shape, count=int(ends[-1]), name='super_resolution',
              extra={'counterparts': True, 'scale': scale},
              source=(resolution // scale, resolution // scale, channels))  # fmt: skip
  return Source(spec, get)


def read_all(place: Path, form: Fit, scale: int) -> list[Picture]:
  """The pictures of a folder or file. Raises DataError naming those that can't be used."""
  if place.suffix == '.npz':
    images, _ = loaded(place, '', '')
    images = as_images(place, images, '')
    if images.dtype != np.uint8 or images.shape[-1] != form.channels:
      raise DataError(f'{place}: {images.dtype} images of {images.shape[-1]} channels; valid: uint8, '
                      f'data.channels={form.channels}')  # fmt: skip
    return [prepared(f'{place}: image {i}', image, form, scale) for i, image in enumerate(images)]

  def read(name: str) -> Picture:
    image = np.asarray(opened((place / name).read_bytes(), form, str(place / name)))
    return prepared(str(place / name), image.reshape(*image.shape[:2], form.channels), form, scale)

  names = listed(place)
  found = in_threads(partial(attempt, read=read), names)  # type: ignore[arg-type]
  bad = [each for each in found if isinstance(each, str)]
  if bad:
    more = [f'and {len(bad) - NAMED} more'] if len(bad) > NAMED else []
    told = '\n  '.join([*bad[:NAMED], *more])
    raise DataError(f"{place}: {len(bad)} of {len(names)} pictures can't be used:\n  {told}")
  return found  # type: ignore[return-value]


def photograph(split: str, form: Fit, scale: int) -> Picture:
  """One that comes with scikit-learn."""
  from sklearn.datasets import load_sample_image

  name = PHOTOGRAPHS[split]
  image = load_sample_image(name)
  if form.channels == 1:
    image = np.rint(image @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)[..., None]
  return prepared(f"scikit-learn's {name}", image, form, scale)


def prepared(name: str, image: np.ndarray, form: Fit, scale: int) -> Picture:
  """A picture at both sizes. Raises DataError where no patch fits in."""
  image = cropped(image, scale)
  height, width = image.shape[:2]
  if min(height, width) < form.resolution:
    raise DataError(f'{name}: {width} x {height} pixels; valid: at least {form.resolution} a side (data.resolution)')
  return Picture(image, reduced(image, scale))
