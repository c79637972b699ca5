"""Pictures of any kind to uint8 arrays of one size."""

import io
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from ganjax.errors import ConfigError, DataError, unknown

FILTERS = ('lanczos', 'bicubic', 'bilinear', 'box', 'nearest')  # Pillow's, all but nearest antialiased
FITS = ('crop', 'pad', 'stretch')
BACKGROUNDS = {'white': (255, 255, 255), 'grey': (128, 128, 128), 'black': (0, 0, 0)}


def known(field: str, given: str, names: Collection[str]) -> None:
  """Raises ConfigError where `given` isn't among `names`."""
  if given not in names:
    raise unknown(field, given, names)


@dataclass(frozen=True)
class Fit:
  """How a picture becomes a square of `resolution` pixels with 1 (grey) or 3 (RGB) channels.

  fit: crop the centre, pad with the background, or stretch. resize: the filter. background: under
  transparent pixels and in the padding.
  """

  resolution: int
  channels: int
  fit: str = 'crop'
  resize: str = 'lanczos'
  background: str = 'white'

  def __post_init__(self) -> None:
    if self.resolution < 1:
      raise ConfigError('data.resolution', self.resolution, 'pixels, 1 or more')
    if self.channels not in (1, 3):
      raise ConfigError('data.channels', self.channels, '1 (grey) or 3 (RGB)')
    known('data.fit', self.fit, FITS)
    known('data.resize', self.resize, FILTERS)
    known('data.background', self.background, BACKGROUNDS)

  @property
  def shape(self) -> tuple[int, int, int]:
    """(H, W, C) of what comes out."""
    return self.resolution, self.resolution, self.channels


def decode(data: bytes, fit: Fit, name: str) -> np.ndarray:
  """Encoded bytes (PNG, JPEG, WebP, ...) -> uint8 [H, W, C]. Raises DataError naming `name` if they are damaged."""
  return np.asarray(squared(opened(data, fit, name), fit)).reshape(fit.shape)


def opened(data: bytes, fit: Fit, name: str) -> Any:
  """Encoded bytes as a flat Pillow image in its own size. Raises DataError naming `name` if they are damaged."""
  from PIL import Image, ImageOps

  try:
    with Image.open(io.BytesIO(data)) as image:
      image.load()
      return flattened(ImageOps.exif_transpose(image), fit)
  except Exception as error:  # Pillow's decoders raise many kinds: OSError, SyntaxError, ValueError, struct.error
    raise DataError(f'{name}: damaged or no image ({type(error).__name__}: {error})') from error


def flattened(image: Any, fit: Fit) -> Any:
  """A Pillow image in mode L or RGB, transparency over the background."""
  from PIL import Image

  if image.mode.startswith('I'):  # 16-bit grey; Pillow would clip it to 255
    image = Image.fromarray((np.asarray(image).astype(np.int64).clip(0, 65535) // 257).astype(np.uint8))
  if 'A' in image.mode or 'a' in image.mode or 'transparency' in image.info:
    image = image.convert('RGBA')
    image = Image.alpha_composite(Image.new('RGBA', image.size, (*BACKGROUNDS[fit.background], 255)), image)
  return image.convert('L' if fit.channels == 1 else 'RGB')


def squared(image: Any, fit: Fit) -> Any:
  """A Pillow image of `resolution` x `resolution` pixels."""
  from PIL import Image, ImageOps

  size, method = (fit.resolution, fit.resolution), Image.Resampling[fit.resize.upper()]
  if image.size == size:
    return image
  if fit.fit == 'crop':
    return ImageOps.fit(image, size, method)
  if fit.fit == 'pad':
    background = BACKGROUNDS[fit.background]
    return ImageOps.pad(image, size, method, color=background[0] if image.mode == 'L' else background)
  return image.resize(size, method)


def resized(grey: np.ndarray, resolution: int, resize: str) -> np.ndarray:
  """Float grey values [H, W] in 0..255 -> uint8 [resolution, resolution], rounded once, at the end."""
  from PIL import Image

  if grey.shape != (resolution, resolution):
    grey = np.asarray(Image.fromarray(grey).resize((resolution, resolution), Image.Resampling[resize.upper()]))
  return np.rint(grey).clip(0, 255).astype(np.uint8)
