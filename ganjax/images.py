"""Pictures of samples that say where they come from."""

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ganjax import __version__
from ganjax.errors import DataError
from ganjax.volumes import rendered

CELL = 64  # pixels: what is smaller is enlarged to at least this
GAP_COLOR = 128
TRANSLATED = ('source', 'image', 'rebuilt', 'target', 'reverse', 'reverse_rebuilt')  # as they stand in a row


def to_uint8(images: np.ndarray) -> np.ndarray:
  """Floats in [-1, 1] -> uint8, rounded; what is outside is clipped, NaN is black. uint8 stays as it is."""
  if images.dtype == np.uint8:
    return images
  values = np.clip(np.nan_to_num(np.asarray(images, np.float32), nan=-1), -1, 1)
  return np.rint((values + 1) * 127.5).astype(np.uint8)


def grid(images: np.ndarray, columns: int | None = None, scale: int | None = None, gap: int = 4) -> np.ndarray:
  """Images [N, H, W, C] (uint8, or floats in [-1, 1]) on one sheet, row by row -> uint8 [H', W', C].

  C is 1 or 3. Without `columns` the sheet is about square; without `scale` small images are enlarged
  until the shorter side has 64 pixels. `gap`: grey pixels around each image.
  """
  if images.ndim != 4 or not len(images) or images.shape[-1] not in (1, 3):
    raise ValueError(f'images: given {list(images.shape)}, valid: [N, H, W, C] with N > 0 and C = 1 or 3')
  count, height, width, channels = images.shape
  scale = scale or max(1, math.ceil(CELL / min(height, width)))
  large = enlarged(to_uint8(images), scale)
  height, width = height * scale + gap, width * scale + gap
  columns = min(columns or math.ceil(math.sqrt(count * height / width)), count)
  rows = math.ceil(count / columns)
  sheet = np.full((rows * height + gap, columns * width + gap, channels), GAP_COLOR, np.uint8)
  for i, image in enumerate(large):
    y, x = i // columns * height + gap, i % columns * width + gap
    sheet[y : y + height - gap, x : x + width - gap] = image
  return sheet


def enlarged(images: np.ndarray, scale: int) -> np.ndarray:
  """Images uint8 [N, H, W, C] times `scale`, bicubic: the eye reads 8 x 8 digits better than as blocks."""
  if scale == 1:
    return images
  from PIL import Image

  count, height, width, channels = images.shape
  planes = np.moveaxis(images, -1, 1).reshape(-1, height, width)
  size = (width * scale, height * scale)
  large = np.stack([np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC)) for plane in planes])
  return np.moveaxis(large.reshape(count, channels, *large.shape[1:]), 1, -1)


def scatter(rows: np.ndarray, centres: Sequence[Sequence[float]] | None = None,
            reference: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
  """Points [N, 2] in the plane -> uint8 [H, W, 3], over the `centres` of a mixture or `reference` rows [M, 2].

  The limits follow from what is underneath, where there is something, so that pictures of a training compare.
  """
  from matplotlib.backends.backend_agg import FigureCanvasAgg
  from matplotlib.figure import Figure

  under = [np.asarray(x, np.float64).reshape(-1, 2) for x in (centres, reference) if x is not None]
  span = np.concatenate(under or [rows[np.isfinite(rows).all(1)], np.zeros((1, 2))])
  middle, reach = (span.max(0) + span.min(0)) / 2, (np.ptp(span, axis=0).max() / 2 or 1.0) * (1.3 if under else 1.05)
  figure = Figure(figsize=(6, 6), dpi=100, layout='constrained')
  canvas = FigureCanvasAgg(figure)
  axes = figure.subplots()
  if reference is not None:
    axes.scatter(reference[:, 0], reference[:, 1], s=6, color='0.75', linewidths=0, label='real')
  axes.scatter(rows[:, 0], rows[:, 1], s=6, color='tab:blue', alpha=0.5, linewidths=0, label='generated')
  if centres is not None:
    x, y = np.asarray(centres, np.float64).T
    axes.scatter(x, y, s=60, marker='+', color='tab:red', linewidths=1, label='centre')
  axes.set(xlim=(middle[0] - reach, middle[0] + reach), ylim=(middle[1] - reach, middle[1] + reach), aspect='equal')
  outside = int((~(np.abs(rows - middle) <= reach).all(1)).sum())
  axes.set_title(f'{len(rows)} samples' + (f', {outside} of them outside' if outside else ''))
  axes.legend(loc='upper right')
  canvas.draw()
  return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def picture(samples: np.ndarray, extra: Mapping[str, Any]) -> np.ndarray | None:
  """What shows these samples: a grid of images [N, H, W, C] or of views of volumes, a plot of rows [N, 2]; None for others.

  extra: the spec's, with the centres of a mixture.
  """
  if samples.ndim == 4 and samples.shape[-1] in (1, 3):
    return grid(samples)
  if samples.ndim == 5 and samples.shape[-1] == 1:
    return grid(rendered(samples))
  if samples.ndim == 2 and samples.shape[1] == 2:
    return scatter(samples, extra.get('centres'))
  return None


def sheet(drawn: Mapping[str, np.ndarray], field: str, extra: Mapping[str, Any]) -> np.ndarray | None:
  """What shows samples: see `picture`; of translations, each beside its source and what it is compared with.

  Of a game that encodes, samples on the left; on the right half as many examples, each before its reconstruction.
  """
  if 'source' not in drawn:
    shown = picture(drawn[field], extra)
    return shown if shown is None or 'real' not in drawn else beside(shown, drawn)
  parts = [to_uint8(drawn[name]) for name in TRANSLATED if name in drawn]
  largest = max(part.shape[1] for part in parts)  # sources of super-resolution are smaller
  parts = [enlarged(part, largest // part.shape[1]) for part in parts]
  channels = max(part.shape[-1] for part in parts)
  parts = [np.broadcast_to(part, (*part.shape[:3], channels)) for part in parts]
  columns = max(1, round(math.sqrt(len(parts[0]) / len(parts)))) * len(parts)
  return grid(np.stack(parts, 1).reshape(-1, *parts[0].shape[1:]), columns)


def beside(shown: np.ndarray, drawn: Mapping[str, np.ndarray]) -> np.ndarray:
  """A sheet with another to its right: examples and their reconstructions, in pairs."""
  count = max(1, len(drawn['real']) // 2)
  pairs = np.stack([to_uint8(drawn[name][:count]) for name in ('real', 'rebuilt')], 1)
  columns = math.ceil(math.sqrt(2 * count))
  other = grid(pairs.reshape(-1, *pairs.shape[2:]), columns + columns % 2)
  height = max(shown.shape[0], other.shape[0])
  gap = np.full((height, CELL // 2, shown.shape[2]), GAP_COLOR, np.uint8)
  filled = [np.pad(x, ((0, height - len(x)), (0, 0), (0, 0)), constant_values=GAP_COLOR) for x in (shown, other)]
  return np.concatenate([filled[0], gap, filled[1]], 1)


def provenance(run_id: str, config_hash: str, step: int, seed: int, member: int | None = None) -> dict[str, str]:
  """What a file of samples says of itself; of a population's member, with the hash of the member's own config."""
  return {
    'run_id': run_id,
    'config_hash': config_hash,
    'step': str(step),
    'seed': str(seed),
    **({} if member is None else {'member': str(member)}),
    'synthetic': 'true',
    'software': f'ganjax {__version__}',
  }


def save_png(path: str | os.PathLike[str], image: np.ndarray, about: Mapping[str, str]) -> None:
  """Writes uint8 [H, W, C] with `about` as text chunks."""
  from PIL import Image, PngImagePlugin

  text = PngImagePlugin.PngInfo()
  for name, value in about.items():
    text.add_text(name, value)
  with replacing(path) as file:
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, 'png', pnginfo=text)


def save_npz(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], about: Mapping[str, str]) -> None:
  """Writes arrays by name, with `about` as fields of text."""
  clash = arrays.keys() & about.keys()
  if clash:
    raise ValueError(f'{", ".join(sorted(clash))}: names of arrays and of the provenance')
  with replacing(path) as file:
    np.savez_compressed(file, **arrays, **{name: np.array(value) for name, value in about.items()})  # type: ignore[arg-type]


def read_provenance(path: str | os.PathLike[str]) -> dict[str, str]:
  """What `save_png`, `save_npz` or `videos.save` (.gif) wrote beside the samples. Raises DataError for other files."""
  from PIL import Image

  try:
    if Path(path).suffix == '.npz':
      with np.load(path, allow_pickle=False) as file:
        return {name: str(file[name]) for name in file.files if file[name].dtype.kind == 'U'}
    with Image.open(path) as image:
      if image.format == 'GIF':
        return dict(json.loads(image.info['comment']))
      return {str(name): str(value) for name, value in getattr(image, 'text', {}).items()}
  except FileNotFoundError:
    raise
  except (OSError, ValueError, SyntaxError, KeyError) as error:
    raise DataError(f'{path}: neither a PNG, an NPZ nor a GIF file of ours ({error})') from error


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
  """A file that takes its name when it is whole; makes the folder."""
  path = Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  part = path.with_name(f'{path.name}.part')
  try:
    with part.open('wb') as file:
      yield file
    part.replace(path)
  finally:
    part.unlink(missing_ok=True)
