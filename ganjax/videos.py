"""Videos of samples that say where they come from."""

import importlib.util
import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ganjax import images
from ganjax.errors import ConfigError
from ganjax.volumes import rendered

SIDE = 128  # pixels: what is smaller is enlarged to at least this
FPS = 25
SUFFIXES = ('.gif', '.mp4')


def check(path: Path) -> None:
  """Raises ConfigError if no such video can be written here."""
  if path.suffix == '.mp4' and importlib.util.find_spec('imageio_ffmpeg') is None:
    raise ConfigError('--out', str(path), 'a .gif, or after `pip install ganjax[video]` an .mp4')


def save(path: Path, frames: np.ndarray, about: Mapping[str, str]) -> None:
  """Writes frames [T, H, W, C] (uint8, or floats in [-1, 1]; C is 1 or 3) as .gif or .mp4, `about` as its comment.

  Of volumes [T, D, H, W, 1], views of them.
  """
  frames = rendered(frames) if frames.ndim == 5 else frames
  if frames.ndim != 4 or frames.shape[-1] not in (1, 3):
    raise ConfigError('--out', str(path), f'an .npz file: samples of shape {frames.shape[1:]} make no video')
  large = images.enlarged(images.to_uint8(frames), max(1, math.ceil(SIDE / min(frames.shape[1:3]))))
  (save_gif if path.suffix == '.gif' else save_mp4)(path, large, json.dumps(dict(about)))


def save_gif(path: Path, frames: np.ndarray, comment: str) -> None:
  """Frames uint8 [T, H, W, C], for ever again."""
  from PIL import Image

  first, *rest = [Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame) for frame in frames]
  with images.replacing(path) as file:
    first.save(file, 'gif', save_all=True, append_images=rest, duration=1000 // FPS, loop=0, comment=comment.encode())


def save_mp4(path: Path, frames: np.ndarray, comment: str) -> None:
  """Frames uint8 [T, H, W, C] as H.264; sides are made even."""
  from imageio_ffmpeg import write_frames

  path.parent.mkdir(parents=True, exist_ok=True)
  part = path.with_name(f'{path.stem}.part.mp4')
  height, width = frames.shape[1:3]
  try:
    writer = write_frames(part, (width, height), fps=FPS, macro_block_size=2, quality=8,
                          output_params=['-metadata', f'comment={comment}'])  # fmt: skip
    writer.send(None)
    for frame in np.broadcast_to(frames, (*frames.shape[:3], 3)):
      writer.send(np.ascontiguousarray(frame))
    writer.close()
    part.replace(path)
  finally:
    part.unlink(missing_ok=True)
