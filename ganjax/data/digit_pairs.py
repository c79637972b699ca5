"""Handwritten digits and a known transformation of them: translation that can be measured, without a download."""

from dataclasses import replace

import numpy as np

from ganjax.data.digits import digits
from ganjax.data.images import known
from ganjax.data.pairs import DIRECTIONS, apart, turned
from ganjax.data.spec import Source, in_memory

PAPER, INK = np.array([24, 32, 96]), np.array([255, 200, 64])  # RGB: dark blue, yellow
THRESHOLD = 128  # what is lighter is of a stroke


def digit_pairs(*, split: str = 'train', transform: str = 'edges', paired: bool = True, direction: str = 'a_to_b',
                resolution: int = 16) -> Source:  # fmt: skip
  """Digits of scikit-learn (domain B) and their edges, colours or rotations (domain A), in pairs or without.

  Without pairs the training set has the transforms of one half of the digits and the other half as they are. Held-out
  examples are pairs in any case, so that translations are measured.

  Args:
    split: 'train' (1,500 digits) or 'test' (297).
    transform: 'edges', white on black; 'coloured', yellow on blue, RGB; or 'rotated' by a quarter to the left.
    paired: whether the training knows which belong together.
    direction: 'a_to_b', from the transformed digits to the plain ones, or 'b_to_a'.
    resolution: pixels a side, 8, 16 or 32.
  """
  known('data.transform', transform, TRANSFORMS)
  known('data.direction', direction, DIRECTIONS)
  plain = digits(split=split, resolution=resolution)
  assert plain.arrays is not None
  image, label = plain.arrays['image'], plain.arrays['label']
  source, image = turned((TRANSFORMS[transform](image), image), direction)
  about = {'name': 'digit_pairs', 'extra': {'counterparts': True}, 'source': source.shape[1:]}
  spec = replace(plain.spec, shape=image.shape[1:], **about)
  if paired or split == 'test':
    return in_memory(spec, {'source': source, 'image': image, 'label': label})
  half = len(image) // 2
  first = in_memory(replace(plain.spec, shape=source.shape[1:], count=half), {'image': source[:half]})
  second = in_memory(replace(spec, count=len(image) - half), {'image': image[half:], 'label': label[half:]})
  return apart(first, second)


def edges(image: np.ndarray) -> np.ndarray:
  """Outlines, uint8 [N, H, W, 1]: pixels of a stroke with a neighbour that isn't."""
  ink = np.pad(image[..., 0] >= THRESHOLD, ((0, 0), (1, 1), (1, 1)))
  inner = ink[:, :-2, 1:-1] & ink[:, 2:, 1:-1] & ink[:, 1:-1, :-2] & ink[:, 1:-1, 2:]
  return ((ink[:, 1:-1, 1:-1] & ~inner)[..., None] * 255).astype(np.uint8)


def coloured(image: np.ndarray) -> np.ndarray:
  """Grey values between two colours, uint8 [N, H, W, 3]."""
  share = image / 255
  return np.rint(PAPER + share * (INK - PAPER)).astype(np.uint8)


def rotated(image: np.ndarray) -> np.ndarray:
  """A quarter to the left."""
  return np.ascontiguousarray(np.rot90(image, axes=(1, 2)))


TRANSFORMS = {'edges': edges, 'coloured': coloured, 'rotated': rotated}
