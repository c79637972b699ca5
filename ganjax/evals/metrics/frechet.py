"""Fréchet distances between Gaussians fitted to features, and the statistics that they are made of."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy

from ganjax.evals.metrics import checked

CHUNK = 1024  # rows that are held in float64 at a time
GATHERED = 4096  # rows for which a stream waits
SMALL = 1000  # up to here singular values are taken directly, not through squares


@dataclass(frozen=True, eq=False)
class Moments:
  """Number, mean and scatter of rows seen so far: all that a Fréchet distance needs, in memory that doesn't grow.

  Sums are taken about the mean, so that none cancels (Chan et al. 1979): any order, and any division into batches,
  gives the same to rounding. Values: three arrays, to be saved as they are.
  """

  count: int
  mean: np.ndarray  # float64 [D]
  scatter: np.ndarray  # float64 [D, D], the sum of outer products of rows less the mean

  @classmethod
  def of(cls, x: np.ndarray) -> Self:
    """Of rows [N >= 1, D]. Raises ValueError for another shape or values that are not finite."""
    x = checked.rows('features', x)
    mean = x.mean(0, dtype=np.float64)
    lower = np.zeros((x.shape[1],) * 2, order='F')
    for start in range(0, len(x), CHUNK):
      part = x[start : start + CHUNK] - mean
      lower = scipy.linalg.blas.dsyrk(1, part.T, 1, lower, lower=1, overwrite_c=1)  # adds to the lower half only
    return cls(len(x), mean, lower + np.tril(lower, -1).T)

  @classmethod
  def streamed(cls, batches: Iterable[np.ndarray]) -> Self:
    """Of batches [B, D] of any sizes, gathered: each update costs a pass over D x D, however few its rows."""
    seen, waiting = None, []
    for batch in batches:
      waiting.append(np.asarray(batch))
      if sum(map(len, waiting)) >= GATHERED:
        new, waiting = cls.of(np.concatenate(waiting)), []
        seen = new if seen is None else seen.merged(new)
    if waiting:
      new = cls.of(np.concatenate(waiting))
      seen = new if seen is None else seen.merged(new)
    if seen is None:
      raise ValueError('batches: none given; at least one row is needed')
    return seen

  def updated(self, x: np.ndarray) -> Self:
    """With further rows [N, D]."""
    return self.merged(type(self).of(x))

  def merged(self, other: 'Moments') -> Self:
    """Of the rows of both."""
    if self.mean.shape != other.mean.shape:
      raise ValueError(f'features: {len(other.mean)} wide given; those before are {len(self.mean)} wide')
    count = self.count + other.count
    gap = other.mean - self.mean
    mean = self.mean + gap * (other.count / count)
    scatter = self.scatter + other.scatter
    scatter += np.outer(gap * (self.count * other.count / count), gap)
    return type(self)(count, mean, scatter)

  @property
  def covariance(self) -> np.ndarray:
    """Unbiased, float64 [D, D]. Raises ValueError for a single row."""
    if self.count < 2:
      raise ValueError(f'features: {self.count} row given; a covariance needs at least 2')
    return self.scatter / (self.count - 1)


def frechet_distance(real: np.ndarray, fake: np.ndarray) -> float:
  """|m - n|^2 + tr(A + B - 2 (AB)^(1/2)) of features [N, D], [M, D] with means m, n and covariances A, B.

  Heusel et al. 2017, https://arxiv.org/abs/1706.08500, eq. 6. With features of Inception it is the FID; with its
  `spatial` ones the sFID (Nash et al. 2021, https://arxiv.org/abs/2103.03841). Fewer rows than D give singular
  covariances: the distance is exact there too, and quick, but tells more of the number of rows than of anything else.
  Raises ValueError for fewer than two rows, differing D or values that are not finite.
  """
  real, fake = checked.pair(real, fake, 2, 'for a covariance')
  if max(len(real), len(fake)) > real.shape[1]:
    return frechet_of(Moments.of(real), Moments.of(fake))
  # Both covariances are singular: A = X'X and B = Y'Y, with rows centred and scaled, and the roots of the eigenvalues
  # of AB are the singular values of XY'.
  (mean, x), (other, y) = _centred(real), _centred(fake)
  return _distance(mean - other, (x * x).sum() + (y * y).sum(), _nuclear(x @ y.T))


def frechet_of(real: Moments, fake: Moments) -> float:
  """`frechet_distance` from statistics. Raises ValueError for differing D or a single row."""
  return frechet_of_gaussians(real.mean, real.covariance, fake.mean, fake.covariance)


def frechet_of_gaussians(
  real_mean: np.ndarray, real_covariance: np.ndarray, fake_mean: np.ndarray, fake_covariance: np.ndarray
) -> float:
  """`frechet_distance` from means [D] and covariances [D, D], such as published statistics files hold.

  The trace of (AB)^(1/2) is the sum of the roots of the eigenvalues of L'BL, with A = LL': symmetric, so that they are
  real, and a quarter of the work of those of AB. Singular matrices have a rectangular L.
  Raises ValueError for shapes that don't fit or values that are not finite.
  """
  a, b = (np.asarray(x, np.float64) for x in (real_covariance, fake_covariance))
  means = [np.asarray(x, np.float64) for x in (real_mean, fake_mean)]
  for name, mean, covariance in (('real', means[0], a), ('fake', means[1], b)):
    if mean.ndim != 1 or mean.shape != means[0].shape or covariance.shape != mean.shape * 2:
      raise ValueError(
        f'{name}: mean {mean.shape} and covariance {covariance.shape} given; [D] and [D, D] are needed, '
        f'with one D (real: {means[0].shape})'
      )
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
      raise ValueError(f'{name}: statistics with values that are not finite')
  return _distance(means[0] - means[1], np.trace(a) + np.trace(b), _root_trace(a, b))


def class_frechet(
  real: np.ndarray, real_labels: np.ndarray, fake: np.ndarray, fake_labels: np.ndarray
) -> tuple[float, dict[int, float]]:
  """Intra-class FID: the mean over classes, and by class, of the distance between features of one class.

  Miyato & Koyama 2018, https://arxiv.org/abs/1802.05637, section 4. Features [N, D], [M, D], labels [N], [M].
  Raises ValueError as `frechet_distance` does, and for classes with fewer than two rows on one side, named.
  """
  real, fake = checked.pair(real, fake, 2)
  real_labels = checked.labels('real_labels', real_labels, len(real))
  fake_labels = checked.labels('fake_labels', fake_labels, len(fake))
  classes = np.union1d(real_labels, fake_labels)
  for name, y in (('real', real_labels), ('fake', fake_labels)):
    if few := {int(c): int(n) for c in classes if (n := (y == c).sum()) < 2}:
      told = ', '.join(f'class {c} has {n}' for c, n in few.items())
      raise ValueError(f'{name}_labels: {told} of {len(y)} rows; each class needs at least 2')
  found = {int(c): frechet_distance(real[real_labels == c], fake[fake_labels == c]) for c in classes}
  return float(np.mean(list(found.values()))), found


def frechet_infinity(
  real: Moments, fake: np.ndarray, points: int = 15, fewest: int | None = None, seed: int = 0
) -> tuple[float, float]:
  """The distance for infinitely many fakes, which their number no longer biases; and the slope over 1/N.

  Chong & Forsyth 2020, https://arxiv.org/abs/1911.07023: distances of `points` random subsets of the fakes [M, D],
  with sizes spread evenly from `fewest` (default M / 10) to M, extrapolated linearly over 1/N. The real side stays.
  Raises ValueError as `frechet_distance` does, and for fewer than two points or subsets of fewer than two rows.
  """
  fake = checked.rows('fake', fake, 3, 'for two sizes of subsets')
  checked.whole('points', points, 2)
  fewest = max(2, len(fake) // 10) if fewest is None else fewest
  checked.whole('fewest', fewest, 2, len(fake) - 1, f'less than the {len(fake)} fakes')
  order = np.random.default_rng(seed)
  sizes = np.linspace(fewest, len(fake), points).astype(int)
  found = [frechet_of(real, Moments.of(fake[order.permutation(len(fake))[:size]])) for size in sizes]
  return extrapolated(sizes, found)


def extrapolated(sizes: np.ndarray, values: Iterable[float]) -> tuple[float, float]:
  """Values of a metric at numbers of samples -> (its value at infinitely many, the slope): least squares over 1/N."""
  slope, limit = np.polyfit(1 / np.asarray(sizes, np.float64), np.asarray(list(values), np.float64), 1)
  return float(limit), float(slope)


def _distance(gap: np.ndarray, traces: float, root: float) -> float:
  return max(0.0, float(gap @ gap + traces - 2 * root))


def _centred(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Rows [N, D] -> their mean, and X [N, D] with X'X their covariance."""
  mean = x.mean(0, dtype=np.float64)
  return mean, (x - mean) / np.sqrt(len(x) - 1)


def _nuclear(x: np.ndarray) -> float:
  """The sum of singular values."""
  if max(x.shape) <= SMALL:
    return float(scipy.linalg.svdvals(x, check_finite=False).sum())
  return _sum_of_roots(x @ x.T if len(x) <= x.shape[1] else x.T @ x)


def _root_trace(a: np.ndarray, b: np.ndarray) -> float:
  """tr (AB)^(1/2) of positive semidefinite matrices."""
  root, failed = scipy.linalg.lapack.dpotrf(a.T, lower=1)
  if not failed:
    return _sum_of_roots(scipy.linalg.lapack.dsygst(b.T, root, itype=2, lower=1)[0])  # L'BL, its lower half
  thin = _thin_root(a)
  return _sum_of_roots(thin.T @ b @ thin)


def _thin_root(a: np.ndarray) -> np.ndarray:
  """L [D, rank] with LL' = A, by Cholesky with pivots."""
  factor, pivots, rank, _ = scipy.linalg.lapack.dpstrf(a, lower=1)
  root = np.empty((len(a), rank))
  root[pivots - 1] = np.tril(factor)[:, :rank]
  return root


def _sum_of_roots(a: np.ndarray) -> float:
  """The sum of roots of the eigenvalues of a positive semidefinite matrix, of which the lower half is read.

  Those below zero are rounding.
  """
  if not a.size:
    return 0.0
  values = scipy.linalg.eigvalsh(a, lower=True, driver='ev', overwrite_a=True, check_finite=False)
  return float(np.sqrt(np.maximum(values, 0)).sum())
