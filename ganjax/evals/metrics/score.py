"""Numbers about what a classifier sees in samples: Inception Score, class shares, modes."""

from itertools import pairwise

import numpy as np

from ganjax.evals.metrics import checked

ROWS = 4096  # of logits that are held in float64 at a time


def inception_score(logits: np.ndarray, splits: int = 10, shuffle: int | None = None) -> tuple[float, float]:
  """exp(mean KL(p(y|x) || p(y))) of logits [N, K]: mean and standard deviation (of all, ddof 0) over `splits`.

  Salimans et al. 2016, https://arxiv.org/abs/1606.03498, section 4. Splits are runs of rows in their order, as in
  StyleGAN2-ADA, or in the order of `numpy.random.RandomState(shuffle)`: torch-fidelity shuffles with 2020.
  Raises ValueError for fewer rows than splits or logits that are not finite.
  """
  checked.whole('splits', splits, 1)
  logits = checked.rows('logits', logits, splits, f'{splits} splits')
  count = len(logits)
  order = np.arange(count) if shuffle is None else np.random.RandomState(shuffle).permutation(count)
  edges = [i * count // splits for i in range(splits + 1)]
  found = [_score(logits, order[low:high]) for low, high in pairwise(edges)]
  return float(np.mean(found)), float(np.std(found))


def _score(logits: np.ndarray, chosen: np.ndarray) -> float:
  """exp of: mean sum p log p, less sum q log q for the mean q of p. Rows go by in parts."""
  own, total = 0.0, np.zeros(logits.shape[1])
  for start in range(0, len(chosen), ROWS):
    log = log_softmax(logits[chosen[start : start + ROWS]])
    p = np.exp(log)
    own += (p * log).sum()
    total += p.sum(0)
  mean = total / len(chosen)
  some = mean[mean > 0]
  return float(np.exp(own / len(chosen) - (some * np.log(some)).sum()))


def log_softmax(logits: np.ndarray) -> np.ndarray:
  """float64 [N, K]."""
  logits = np.asarray(logits, np.float64)
  logits = logits - logits.max(1, keepdims=True)
  return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def class_shares(logits: np.ndarray) -> np.ndarray:
  """Logits [N, K] -> float64 [K], the share of rows whose largest logit is each class's."""
  logits = checked.rows('logits', logits)
  return np.bincount(logits.argmax(1), minlength=logits.shape[1]) / len(logits)


def sure_share(logits: np.ndarray, above: float = 0.9) -> float:
  """The share of rows of logits [N, K] whose largest softmax probability is above `above`."""
  largest = np.exp(log_softmax(checked.rows('logits', logits)).max(1))
  return float((largest > above).mean())


def mode_counts(modes: np.ndarray, real_shares: np.ndarray) -> tuple[int, float]:
  """Modes [N] of samples, numbers below K -> number of modes that occur, KL(their shares || real_shares [K]) in nats.

  Stacked MNIST: three digits that a classifier sees are one of 1,000 modes (Metz et al. 2016,
  https://arxiv.org/abs/1611.02163; Srivastava et al. 2017, https://arxiv.org/abs/1705.07761). Real shares are
  normalised; counts will do. Samples of a mode that no real has make the divergence infinite.
  Raises ValueError for modes that are not integers from 0 to K - 1, or shares that are negative or all zero.
  """
  modes = checked.labels('modes', modes, len(np.asarray(modes)))
  real = np.asarray(real_shares, np.float64)
  if real.ndim != 1 or not (np.isfinite(real).all() and real.min(initial=0) >= 0 and real.sum() > 0):
    raise ValueError(f'real_shares: shape {real.shape} given; [K] of numbers from 0 on, not all 0, is needed')
  if not len(modes) or modes.min() < 0 or modes.max() >= len(real):
    raise ValueError(f'modes: {len(modes)} given; at least one is needed, all from 0 to {len(real) - 1}')
  shares = np.bincount(modes, minlength=len(real)) / len(modes)
  some = shares > 0
  with np.errstate(divide='ignore'):
    divergence = (shares[some] * np.log(shares[some] / (real / real.sum())[some])).sum()
  return int(some.sum()), float(divergence)


def mode_coverage(points: np.ndarray, centres: np.ndarray, std: float) -> tuple[int, float, float]:
  """Of points [N, D] from a mixture of equal Gaussians at centres [K, D]: modes covered, good share, reverse KL.

  A point is good within 3 `std` of its nearest centre; a mode is covered if it has a good point; the reverse KL is
  KL(shares of points by nearest centre || uniform) in nats (Srivastava et al. 2017, https://arxiv.org/abs/1705.07761).
  """
  points, centres = np.asarray(points, np.float64), np.asarray(centres, np.float64)
  squares = np.stack([((points - centre) ** 2).sum(1) for centre in centres], 1)
  mode = squares.argmin(1)
  good = squares.min(1) <= (3 * std) ** 2
  return len(np.unique(mode[good])), float(good.mean()), mode_counts(mode, np.ones(len(centres)))[1]
