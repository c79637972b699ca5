"""Resizing against Pillow, and against PyTorch where it is installed."""

import jax
import numpy as np
import pytest
from PIL import Image

from ganjax.evals.features.resize import WAYS, resizer

SHAPES = [(41, 30), (30, 97)]


def images(shape: tuple[int, int], channels: int = 3) -> np.ndarray:
  return np.random.default_rng(0).integers(0, 256, (2, *shape, channels), np.uint8)


@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize('size', [16, 64])
def test_clean_is_pillows_bicubic_on_floats(shape: tuple[int, int], size: int) -> None:
  x = images(shape)
  ours = np.asarray(resizer('clean', size)(x))
  for image, found in zip(x, ours, strict=True):
    for c in range(3):
      channel = Image.fromarray(image[..., c].astype(np.float32), mode='F')
      wanted = np.asarray(channel.resize((size, size), Image.Resampling.BICUBIC)).clip(0, 255)
      np.testing.assert_allclose(found[..., c], wanted, atol=1e-4)


@pytest.mark.parametrize('shape', SHAPES)
def test_crop_is_pillows_bicubic_on_levels(shape: tuple[int, int]) -> None:
  x, size = images(shape), 24
  height, width = shape
  short = min(shape)
  whole = (int(size * width / short), int(size * height / short))
  left, top = (round((side - size) / 2) for side in whole)
  for image, found in zip(x, np.asarray(resizer('crop', size)(x)), strict=True):
    resized = np.asarray(Image.fromarray(image).resize(whole, Image.Resampling.BICUBIC))
    wanted = resized[top : top + size, left : left + size].astype(np.float32)
    # Pillow's weights here are whole numbers: a level may be rounded to its neighbour.
    assert np.abs(found - wanted).max() <= 1
    assert (found != wanted).mean() < 0.01


@pytest.mark.parametrize('way', sorted(WAYS))
def test_every_way(way: str) -> None:
  resize = jax.jit(resizer(way, 16))
  np.testing.assert_allclose(resize(np.full((1, 40, 24, 1), 200, np.uint8)), np.full((1, 16, 16, 3), 200), atol=1e-3)
  grey = images((20, 20), 1)
  found = np.asarray(resize(grey))
  assert found.dtype == np.float32
  assert np.array_equal(found[..., 0], found[..., 2])
  assert np.array_equal(resizer(way, 20)(grey)[..., :1], grey)  # of the size already


@pytest.mark.slow
def test_as_pytorch_interpolates() -> None:
  torch = pytest.importorskip('torch')
  x = images((41, 30))
  theirs = torch.from_numpy(x.transpose(0, 3, 1, 2)).float()
  for way, mode in (('bicubic', 'bicubic'), ('pytorch-fid', 'bilinear'), ('area', 'area')):
    for size in (16, 64):
      wanted = torch.nn.functional.interpolate(
        theirs, (size, size), mode=mode, **({} if mode == 'area' else {'align_corners': False})
      )
      if mode != 'area':  # PyTorch's areas are whole pixels
        np.testing.assert_allclose(resizer(way, size)(x), wanted.permute(0, 2, 3, 1).numpy(), atol=1e-3)


def test_refuses_other_channels() -> None:
  with pytest.raises(ValueError, match=r'images: shape \(1, 8, 8, 4\) given; valid is \[B, H, W, 1 or 3\]'):
    resizer('tf1', 16)(np.zeros((1, 8, 8, 4), np.uint8))
