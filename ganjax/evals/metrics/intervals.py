"""How far chance moves a number: over samples, over seeds, of a share."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import scipy

from ganjax.evals.metrics import checked


class Interval(NamedTuple):
  """A number and the confidence interval about it."""

  value: float
  low: float
  high: float


def bootstrapped(
  function: Callable[..., float], *samples: np.ndarray, resamples: int = 1000, seed: int = 0
) -> np.ndarray:
  """float64 [resamples]: the function of samples [N, ...], each drawn anew from its own rows, with replacement.

  Efron 1979. Repeated rows are no new ones: distances that depend on the number of rows (Fréchet) or on neighbours
  (prdc) come out biased; their spread is of use, the place of their middle is not.
  """
  checked.whole('resamples', resamples, 2)
  if not samples or not all(len(x) for x in samples):
    raise ValueError(f'samples: {[len(x) for x in samples]} rows given; at least one set of at least one is needed')
  rng = np.random.default_rng(seed)
  return np.array([function(*(x[rng.integers(len(x), size=len(x))] for x in samples)) for _ in range(resamples)], float)


def bootstrap(
  function: Callable[..., float], *samples: np.ndarray, resamples: int = 1000, level: float = 0.95, seed: int = 0
) -> Interval:
  """The function of the samples, and the percentile interval of `bootstrapped`."""
  tail = _tail(level)
  low, high = np.quantile(bootstrapped(function, *samples, resamples=resamples, seed=seed), (tail, 1 - tail))
  return Interval(float(function(*samples)), float(low), float(high))


def over_seeds(values: Sequence[float], level: float = 0.95) -> Interval:
  """The mean of independent runs' numbers, and Student's t interval for it. Raises ValueError for fewer than two."""
  found = np.asarray(values, np.float64)
  if found.ndim != 1 or len(found) < 2 or not np.isfinite(found).all():
    raise ValueError(f'values: {values!r} given; at least 2 finite numbers are needed')
  half = scipy.special.stdtrit(len(found) - 1, 1 - _tail(level)) * found.std(ddof=1) / np.sqrt(len(found))
  return Interval(float(found.mean()), float(found.mean() - half), float(found.mean() + half))


def binomial(successes: int, trials: int, level: float = 0.95) -> Interval:
  """The share of successes, and the interval of Wilson 1927 for it, which stays within 0 and 1."""
  checked.whole('trials', trials, 1)
  checked.whole('successes', successes, 0, trials)
  z, share = scipy.special.ndtri(1 - _tail(level)), successes / trials
  middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
  half = z / (1 + z * z / trials) * np.sqrt(share * (1 - share) / trials + (z / (2 * trials)) ** 2)
  return Interval(share, max(0.0, float(middle - half)), min(1.0, float(middle + half)))


def _tail(level: float) -> float:
  if not 0 < level < 1:
    raise ValueError(f'level: {level} given; a share between 0 and 1 is needed')
  return (1 - level) / 2
