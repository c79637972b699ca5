"""Numbers about samples, as pure functions of arrays: float64 inside, floats out."""

import numpy as np


def frechet_distance(real: np.ndarray, fake: np.ndarray) -> float:
  """|m - n|^2 + tr(A + B - 2 (AB)^(1/2)) of features [N, D], [M, D] with means m, n and covariances A, B.

  Heusel et al. 2017, https://arxiv.org/abs/1706.08500, eq. 6. The trace of the root is taken through the
  symmetric A^(1/2) B A^(1/2), whose eigenvalues are those of AB: real, and exact where A or B is singular.
  Raises ValueError for fewer than two rows, differing D or values that are not finite.
  """
  real, fake = np.asarray(real, np.float64), np.asarray(fake, np.float64)
  for name, x in (('real', real), ('fake', fake)):
    if x.ndim != 2 or len(x) < 2 or x.shape[1] != real.shape[1]:
      raise ValueError(f'{name}: shape {x.shape} given; [N >= 2, D] is needed, with one D (real: {real.shape})')
    if not np.isfinite(x).all():
      raise ValueError(f'{name}: features that are not finite')
  a, b = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (real, fake))
  values, vectors = np.linalg.eigh(a)
  root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
  cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ b @ root), 0)).sum()
  gap = real.mean(0) - fake.mean(0)
  return max(0.0, float(gap @ gap + np.trace(a) + np.trace(b) - 2 * cross))


def class_shares(logits: np.ndarray) -> np.ndarray:
  """Logits [N, K] -> float64 [K], the share of rows whose largest logit is each class's."""
  logits = np.asarray(logits)
  return np.bincount(logits.argmax(1), minlength=logits.shape[1]) / len(logits)


def sure_share(logits: np.ndarray, above: float = 0.9) -> float:
  """The share of rows of logits [N, K] whose largest softmax probability is above `above`."""
  logits = np.asarray(logits, np.float64)
  largest = 1 / np.exp(logits - logits.max(1, keepdims=True)).sum(1)
  return float((largest > above).mean())


def nearer_share(fake: np.ndarray, train: np.ndarray, held_out: np.ndarray) -> float:
  """The share of fakes that lie nearer to a training row than real held-out rows do.

  Nearer: the distance to the nearest training row is below the median over `held_out` of that same distance.
  Samples as new as held-out data give about .5, copies of training data 1, samples off the data less than .5.
  All are [N, ...], flattened to rows; distances are Euclidean.
  """
  limit = np.median(nearest_distance(held_out, train))
  return float((nearest_distance(fake, train) < limit).mean())


def nearest_distance(points: np.ndarray, others: np.ndarray, chunk: int = 1000) -> np.ndarray:
  """Euclidean distance of each of `points` [N, ...] to its nearest of `others` [M, ...]: float64 [N]."""
  points, others = (np.asarray(x, np.float64).reshape(len(x), -1) for x in (points, others))
  return np.concatenate([_distances(points[i : i + chunk], others).min(1) for i in range(0, len(points), chunk)])


def mode_coverage(points: np.ndarray, centres: np.ndarray, std: float) -> tuple[int, float, float]:
  """Of points [N, D] from a mixture of equal Gaussians at centres [K, D]: modes covered, good share, reverse KL.

  A point is good within 3 `std` of its nearest centre; a mode is covered if it has a good point; the reverse KL is
  KL(shares of points by nearest centre || uniform) in nats (Srivastava et al. 2017, https://arxiv.org/abs/1705.07761).
  """
  points, centres = np.asarray(points, np.float64), np.asarray(centres, np.float64)
  distances = _distances(points, centres)
  mode = distances.argmin(1)
  good = distances.min(1) <= 3 * std
  shares = np.bincount(mode, minlength=len(centres)) / len(points)
  some = shares[shares > 0]
  return len(np.unique(mode[good])), float(good.mean()), float((some * np.log(some * len(centres))).sum())


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
  """[N, D], [M, D] -> [N, M]."""
  squares = (a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * a @ b.T
  return np.sqrt(np.maximum(squares, 0))
