"""Large images through a network piece by piece: memory is that of a piece, and pieces are all of one size."""

from collections.abc import Callable, Iterator

import numpy as np


def tiled(run: Callable[[np.ndarray], np.ndarray], x: np.ndarray, tile: int, overlap: int, scale: int = 1,
          multiple: int = 1) -> np.ndarray:  # fmt: skip
  """`run(x)` of an image x [1, H, W, C], made of pieces: [1, scale H, scale W, C'].

  What a pixel is made of ends `overlap` pixels beyond its tile: where that is as far as the network sees, the result is
  that of the whole image.

  Args:
    run: from a piece [1, h, w, C] to [1, scale h, scale w, C'].
    x: the image, of multiples of `multiple` pixels.
    tile: pixels of x, a side, that a piece answers for.
    overlap: pixels around them that it sees, where the image has them.
    scale: how much larger the result is.
    multiple: of which pieces must begin and end.
  """
  sides = x.shape[1:3]
  height, width = (window(side, tile, overlap, multiple) for side in sides)
  result = np.zeros(0)
  for top, rows in spans(sides[0], tile, overlap, multiple):
    for left, columns in spans(sides[1], tile, overlap, multiple):
      made = run(x[:, top : top + height, left : left + width])
      if not result.size:
        result = np.zeros((1, sides[0] * scale, sides[1] * scale, made.shape[-1]), made.dtype)
      of_piece = made[:, *(enlarged(at, scale, first) for at, first in ((rows, top), (columns, left)))]
      result[:, enlarged(rows, scale), enlarged(columns, scale)] = of_piece
  return result


def enlarged(at: slice, scale: int, first: int = 0) -> slice:
  """The same pixels of the result, or of that of a piece that begins at `first`."""
  return slice((at.start - first) * scale, (at.stop - first) * scale)


def window(side: int, tile: int, overlap: int, multiple: int) -> int:
  """How many pixels of a side a piece has."""
  return min(side, -(-(tile + 2 * overlap + multiple - 1) // multiple) * multiple)


def spans(side: int, tile: int, overlap: int, multiple: int) -> Iterator[tuple[int, slice]]:
  """Of each piece: where it begins, and what it answers for."""
  last = side - window(side, tile, overlap, multiple)
  for low in range(0, side, tile):
    first = min(max(low - overlap, 0), last) // multiple * multiple
    yield first, slice(low, min(low + tile, side))
