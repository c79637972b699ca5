"""Exact comparisons of Euclidean distances at the speed of float32 matrix products.

Squared distances of centred and scaled rows come from float32 products, with a proven bound on their error. What the
bound leaves open is computed again, in float64 and from the rows as given, so that results are those of float64.

With u = 2^-24 and g = n u / (1 - n u), a sum of n products in any order is off by at most g times the sum of their
magnitudes (Higham 2002, Accuracy and Stability of Numerical Algorithms, section 3.1). |x|^2 - 2 xy + |y|^2, taken as
one product of D + 2 terms, is then off by at most g (|x| + |y|)^2, and since |y| <= |x| + d at distance d, by at most
g (2 |x| + d)^2: a bound that needs to know of x only, so that outliers among the y cost nothing.

Where very many rows are nearer to each other than the bound can tell, as samples of a collapsed generator are, products
are taken in float64 instead, of rows about their own mean.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

PANEL = 2**25  # numbers in a block of products
GROUP = 16  # elements of which only the smallest is ranked
CROWD = 32  # times the neighbours that are sought: more candidates than that are looked at in float64 instead


class Cloud(NamedTuple):
  """Rows, ready for products."""

  rows: np.ndarray  # [N, D] as given
  right: np.ndarray  # float32 [N, D + 2]: centred and scaled rows, 1, their squared norms
  norms: np.ndarray  # float64 [N], of centred and scaled rows
  scale: float  # distances here = distances as given * scale


def clouds(*groups: np.ndarray) -> list[Cloud]:
  """Groups of rows [N, D], with one centre and one scale."""
  centre = groups[0].mean(0, dtype=np.float64)
  norms = [np.concatenate([_norms(x[part] - centre) for part in _parts(len(x))]) for x in groups]
  spread = max(np.sqrt((n * n).mean()) for n in norms)
  scale = 1 / spread if spread > 0 else 1.0
  return [_cloud(x, centre, scale, n * scale) for x, n in zip(groups, norms, strict=True)]


def _cloud(x: np.ndarray, centre: np.ndarray, scale: float, norms: np.ndarray) -> Cloud:
  right = np.empty((len(x), x.shape[1] + 2), np.float32)
  for part in _parts(len(x)):
    right[part, :-2] = (x[part] - centre) * scale
  right[:, -2], right[:, -1] = 1, norms * norms
  return Cloud(x, right, norms, scale)


def squares(x: Cloud, rows: slice, y: Cloud, start: int = 0) -> np.ndarray:
  """Approximate squared distances, float32: `rows` of x by the rows of y from `start` on."""
  left = x.right[rows] * np.float32(-2)
  left[:, -2], left[:, -1] = x.right[rows, -1], 1
  return left @ y.right[start:].T


def panels(rows: int, columns: int) -> Iterator[slice]:
  """Runs of rows whose block of products has about PANEL numbers."""
  step = min(1024, max(64, PANEL // max(1, columns)))
  return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


def bounds(x: Cloud, distance: np.ndarray, rows: slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
  """For distances [rows] as given: approximate squares below the first are surely smaller, above the second larger."""
  g, norm, d = _slack(x), x.norms[rows], distance * x.scale
  # The lowest that a larger distance may come out at; d^2 - g (2 |x| + d)^2 falls up to 2 g |x| / (1 - g), then rises.
  turn = np.maximum(d, 2 * g * norm / (1 - g))
  low, high = turn * turn - g * (2 * norm + turn) ** 2, d * d + g * (2 * norm + d) ** 2
  return np.nextafter(low.astype(np.float32), np.float32(-np.inf)), _above(high)


def reach(x: Cloud, value: np.ndarray, rows: slice = slice(None)) -> np.ndarray:
  """Approximate squares that no row nearer than the one that came out at `value` [rows] can exceed.

  The largest distance that comes out at `value` solves d^2 - g (2 |x| + d)^2 = value.
  """
  g, norm = _slack(x), x.norms[rows]
  c = 4 * g * norm * norm + np.maximum(value.astype(np.float64), 0)
  d = (2 * g * norm + np.sqrt(4 * g * g * norm * norm + (1 - g) * c)) / (1 - g)
  return _above(d * d + g * (2 * norm + d) ** 2)


def _slack(x: Cloud) -> float:
  n = x.right.shape[1] + 8  # and the rounding of the rows and norms themselves
  return n * 2.0**-24 / (1 - n * 2.0**-24)


def _above(x: np.ndarray) -> np.ndarray:
  return np.nextafter(x.astype(np.float32), np.float32(np.inf))


def exact(x: np.ndarray, y: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
  """float64 [P]: distances of rows i [P] of x from rows j [P] of y; the same pair of rows always gives the same."""
  found = np.empty(len(i))
  step = max(1, 2**20 // x.shape[1])
  for start in range(0, len(i), step):
    part = slice(start, start + step)
    found[part] = _norms(x[i[part]] - y[j[part]].astype(np.float64))
  return found


def where(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Rows and columns of what is true in a mask, of which little is: `np.nonzero`, quicker."""
  return np.divmod(np.flatnonzero(mask), mask.shape[1])


def _norms(x: np.ndarray) -> np.ndarray:
  return np.sqrt(np.einsum('ij,ij->i', x, x))


def _parts(count: int) -> Iterator[slice]:
  return (slice(start, start + 2048) for start in range(0, count, 2048))


class Candidates:
  """Which rows may be among the nearest `count` of each row of x, from blocks of approximate squares."""

  def __init__(self, x: Cloud, count: int) -> None:
    self.x, self.count, self.number = x, count, 0
    self.best = np.full((len(x.rows), count), np.inf, np.float32)  # bounds the nearest, from above
    self.found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []  # row, other row, approximate square

  def see(self, block: np.ndarray, rows: slice, start: int, axis: int = 1) -> None:
    """A block of `rows` of x by other rows from `start` on; with `axis` 0 it is transposed."""
    limit = self._limit(block, rows, axis)
    hits = where(block <= (limit[:, None] if axis else limit))
    own, other = hits if axis else hits[::-1]
    self.number += len(own)
    self.found.append(((own + rows.start).astype(np.int32), (other + start).astype(np.int32), block[hits]))

  @property
  def crowded(self) -> bool:
    """Whether there are too many."""
    return self.number > CROWD * self.count * len(self.x.rows) + 2**18

  def _limit(self, block: np.ndarray, rows: slice, axis: int) -> np.ndarray:
    values = np.concatenate([self.best[rows], minima(block, axis, 4 * self.count)], 1)
    self.best[rows] = np.partition(values, self.count - 1, axis=1)[:, : self.count]
    return reach(self.x, self.best[rows].max(1), rows)

  def nearest(self, y: Cloud) -> tuple[np.ndarray, np.ndarray]:
    """Exact: distances float64 [N, count], ascending, and which rows of y they are to, int64 [N, count]."""
    own, other, value = (np.concatenate(parts) for parts in zip(*self.found, strict=True))
    keep = value <= reach(self.x, self.best.max(1))[own]
    own, other = own[keep], other[keep]
    distance = exact(self.x.rows, y.rows, own, other)
    order = np.lexsort((other, distance, own))
    first = np.searchsorted(own[order], np.arange(len(self.x.rows)))
    chosen = order[first[:, None] + np.arange(self.count)]
    return distance[chosen], other[chosen].astype(np.int64)


def minima(block: np.ndarray, axis: int, least: int) -> np.ndarray:
  """Along an axis, the smallest of each of at least `least` groups, as [the other axis, groups].

  Their k-th smallest is no smaller than that of all, and quicker to find.
  """
  long = block.shape[axis]
  size = min(GROUP, long // least)
  if size < 2:
    return block if axis else block.T
  groups = long // size
  if axis:
    parts = block[:, : groups * size].reshape(len(block), size, groups).min(1)
    return np.concatenate([parts, block[:, groups * size :]], 1)
  parts = block[: groups * size].reshape(size, groups, -1).min(0)
  return np.concatenate([parts, block[groups * size :]]).T


def nearest(x: Cloud, y: Cloud, count: int) -> tuple[np.ndarray, np.ndarray]:
  """Of each row of x [N, D] the nearest `count` of y [M, D]: distances [N, count], rows of y [N, count]."""
  candidates = Candidates(x, count)
  for rows in panels(len(x.rows), len(y.rows)):
    candidates.see(squares(x, rows, y), rows, 0)
    if candidates.crowded:
      return nearest_in_double(x.rows, y.rows, count)
  return candidates.nearest(y)


def nearest_within(x: Cloud, count: int) -> tuple[np.ndarray, np.ndarray]:
  """`nearest` of x to x, itself first (or another at distance 0): each block is computed once for both its sides."""
  candidates = Candidates(x, count)
  total = len(x.rows)
  for rows in panels(total, total):
    block = squares(x, rows, x, rows.start)
    candidates.see(block, rows, rows.start)
    if rows.stop < total:
      candidates.see(block[:, rows.stop - rows.start :], slice(rows.stop, total), rows.start, axis=0)
    if candidates.crowded:
      return nearest_in_double(x.rows, x.rows, count)
  return candidates.nearest(x)


def nearest_in_double(x: np.ndarray, y: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
  """`nearest` of rows as given, by float64 products: exact but for squares that differ by 1e-13 of the rows' own."""
  centre = y.mean(0, dtype=np.float64)
  right = y - centre
  norms = np.einsum('ij,ij->i', right, right)
  distance, index = np.empty((len(x), count)), np.empty((len(x), count), np.int64)
  for rows in panels(len(x), 2 * len(y)):
    block = (x[rows] - centre) @ right.T
    block *= -2
    block += norms  # the square of x is the same for a whole row
    chosen = np.argpartition(block, count - 1, axis=1)[:, :count]
    own = np.repeat(np.arange(rows.start, rows.stop), count)
    found = exact(x, y, own, chosen.ravel()).reshape(-1, count)
    order = np.lexsort((chosen, found))
    distance[rows], index[rows] = (np.take_along_axis(values, order, 1) for values in (found, chosen))
  return distance, index
