"""Numbers about nearest neighbours of features: precision and recall, density and coverage, memorisation.

All are exact: what they count is what float64 distances give. Memory is linear in the number of rows.
"""

from typing import NamedTuple

import numpy as np
import scipy

from ganjax.evals.metrics import checked, distances
from ganjax.evals.metrics.distances import Cloud


def prdc(real: np.ndarray, fake: np.ndarray, k: int = 5) -> dict[str, float]:
  """Precision, recall, density and coverage of features [N, D], [M, D].

  Naeem et al. 2020, https://arxiv.org/abs/2002.09797, as the package prdc: a row lies within another's
  sphere if it is nearer (strictly) than that one's `k`-th neighbour, itself not counted.
  Raises ValueError unless both have more than `k` rows and one D.
  """
  found = _spheres(real, fake, k, inclusive=False)
  return {
    'precision': float((found.real_around > 0).mean()),
    'recall': float(found.fake_around.mean()),
    'density': float(found.real_around.mean() / k),
    'coverage': float(found.covered.mean()),
  }


def precision_recall(real: np.ndarray, fake: np.ndarray, k: int = 3) -> dict[str, float]:
  """Improved precision and recall of features [N, D], [M, D].

  Kynkäänniemi et al. 2019, https://arxiv.org/abs/1904.06991, eqs. 1 and 2, as torch-fidelity and StyleGAN: a row as
  far away as the `k`-th neighbour is within the sphere. StyleGAN2-ADA rounds distances to half precision, which may
  move recall by some .002. Raises ValueError unless both have more than `k` rows and one D.
  """
  found = _spheres(real, fake, k, inclusive=True)
  return {'precision': float((found.real_around > 0).mean()), 'recall': float(found.fake_around.mean())}


class _Spheres(NamedTuple):
  real_around: np.ndarray  # int [M]: in how many real spheres a fake lies
  fake_around: np.ndarray  # bool [N]: whether a real lies in some fake sphere
  covered: np.ndarray  # bool [N]: whether some fake lies in a real's own sphere


def _spheres(real: np.ndarray, fake: np.ndarray, k: int, inclusive: bool) -> _Spheres:
  """Who lies in whose sphere, of the radius of the `k`-th neighbour."""
  checked.whole('k', k, 1)
  real, fake = checked.pair(real, fake, k + 1, f'more than k = {k}')
  x, y = distances.clouds(real, fake)
  radius, other = (distances.nearest_within(cloud, k + 1)[0][:, k] for cloud in (x, y))
  fake_bounds = distances.bounds(y, other)
  real_around, fake_around = np.zeros(len(fake), np.int64), np.zeros(len(real), bool)
  covered = np.zeros(len(real), bool)
  for rows in distances.panels(len(real), len(fake)):
    block = distances.squares(x, rows, y)
    low, high = distances.bounds(x, radius[rows], rows)
    inside = _within(block, low[:, None], high[:, None], x, y, rows, radius[rows][:, None], inclusive)
    real_around += inside.sum(0)
    covered[rows] = inside.any(1)
    fake_around[rows] = _within(block, *fake_bounds, x, y, rows, other[None], inclusive).any(1)
  return _Spheres(real_around, fake_around, covered)


def _within(
  block: np.ndarray, low: np.ndarray, high: np.ndarray, x: Cloud, y: Cloud, rows: slice, radius: np.ndarray,
  inclusive: bool,
) -> np.ndarray:  # fmt: skip
  """Which distances of a block are below `radius` [rows, 1] or [1, M]: approximate ones where they decide it."""
  inside = block < low
  i, j = distances.where((block <= high) ^ inside)
  distance = distances.exact(x.rows, y.rows, i + rows.start, j)
  limit = np.broadcast_to(radius, block.shape)[i, j]
  inside[i, j] = distance <= limit if inclusive else distance < limit
  return inside


def nearest(points: np.ndarray, others: np.ndarray, k: int = 1) -> tuple[np.ndarray, np.ndarray]:
  """Of each of `points` [N, ...], the nearest `k` of `others` [M, ...].

  Returns Euclidean distances, float64 [N, k], ascending, and the indices of the others, int64 [N, k]. Raises
  ValueError for fewer than `k` others, or rows that aren't as wide.
  """
  checked.whole('k', k, 1)
  points, others = checked.flat('points', points), checked.flat('others', others, k, f'k = {k}')
  checked.same_width('others', others, 'points', points)
  y, x = distances.clouds(others, points)
  return distances.nearest(x, y, k)


def nearest_distance(points: np.ndarray, others: np.ndarray) -> np.ndarray:
  """Euclidean distance of each of `points` [N, ...] to its nearest of `others` [M, ...]: float64 [N]."""
  return nearest(points, others)[0][:, 0]


def nearer_share(fake: np.ndarray, train: np.ndarray, held_out: np.ndarray) -> float:
  """The share of fakes that lie nearer to a training row than real held-out rows do.

  Nearer: the distance to the nearest training row is below the median over `held_out` of that same distance.
  Samples as new as held-out data give about .5, copies of training data 1, samples off the data less than .5.
  All are [N, ...], flattened to rows; distances are Euclidean.
  """
  limit = np.median(nearest_distance(held_out, train))
  return float((nearest_distance(fake, train) < limit).mean())


def authenticity(train: np.ndarray, fake: np.ndarray) -> float:
  """The share of fakes that are no copies: [N, ...], [M, ...] flattened to rows.

  A fake is authentic unless it lies nearer to its nearest training row than any other training row does. Alaa et al.
  2022, https://arxiv.org/abs/2102.08921. New samples of a dense distribution give about .5, copies 0.
  """
  train, fake = checked.flat('train', train, 2, 'each with another'), checked.flat('fake', fake)
  checked.same_width('train', train, 'fake', fake)
  x, y = distances.clouds(train, fake)
  own = distances.nearest_within(x, 2)[0][:, 1]
  distance, index = distances.nearest(y, x, 1)
  return float((distance[:, 0] > own[index[:, 0]]).mean())


def copying_score(fake: np.ndarray, train: np.ndarray, held_out: np.ndarray) -> float:
  """z of the Mann-Whitney test that fakes lie as far from training rows as held-out rows do: copies are below -3.

  Meehan et al. 2020, https://arxiv.org/abs/2004.05675, the statistic Z_U, over all space as one cell.
  All are [N, ...], flattened to rows. Above 3: fakes lie farther off, so underfit.
  """
  far, real = nearest_distance(fake, train), nearest_distance(held_out, train)
  n, m = len(far), len(real)
  u = scipy.stats.rankdata(np.concatenate([far, real]))[:n].sum() - n * (n + 1) / 2
  return float((u - n * m / 2) / np.sqrt(n * m * (n + m + 1) / 12))
