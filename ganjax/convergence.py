"""Where a training has got to, in plain words: which measurement was best, whether it improves, how D and G stand."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ganjax import monitor

Curve = tuple[np.ndarray, np.ndarray]  # images shown, values

# Metrics by the first words of their name, so that 'frechet_infinity' and 'class_frechet' need no entry of their own.
LOWER = ('frechet', 'class_frechet', 'fid', 'sfid', 'kid', 'cmmd', 'reverse_kl', 'path_length', 'ppl', 'swd', 'spectrum',
         'neighbour_ratio')  # fmt: skip
HIGHER = ('inception_score', 'precision', 'recall', 'prdc_precision', 'prdc_recall', 'density', 'coverage', 'modes',
          'high_quality', 'sure', 'as_asked', 'accuracy', 'authenticity', 'classification_accuracy', 'neighbour_share',
          'neighbour_correlation', 'psnr', 'reverse_psnr')  # fmt: skip
BESIDE = ('_floor', '_real', '_std')  # of real data, or of the measuring: nothing that a training improves
FIRST = ('frechet', 'fid', 'kid', 'reverse_kl', 'high_quality', 'modes')  # whose course is told, the first there is

# Losses by which D's output alone says nothing of how likely an image is to be real.
NO_PROBABILITY = (*monitor.NOT_LOG_ODDS, 'energy', 'relativistic', 'relativistic_average', 'f_divergence')

RECENT = 0.25  # the share of a training that is looked at for whether it still improves
SMALL = 0.02  # a relative change that is no change
BALANCED = 0.1  # D's probabilities this near to .5


class Best(NamedTuple):
  """The best point of a curve."""

  images: float
  value: float


def short(name: str) -> str:
  """A metric's name without where it was logged: 'eval/frechet' -> 'frechet'."""
  return name.removeprefix('eval/')


def direction(name: str, best_metric: str = '') -> str | None:
  """'min' where less is better, 'max' where more is; None where neither is known.

  best_metric: the config's, which is believed: 'eval/x', or '-eval/x' where more is better.
  """
  if best_metric.lstrip('-') == name and best_metric:
    return 'max' if best_metric.startswith('-') else 'min'
  own = short(name)
  if own.endswith(BESIDE):
    return None
  for way, names in (('min', LOWER), ('max', HIGHER)):
    if any(own == known or own.startswith(f'{known}_') for known in names):
      return way
  return None


def best(curve: Curve, way: str) -> Best | None:
  """The best finite point, the first of equals; None where there is none. `way`: 'min' or 'max'."""
  x, y = curve
  known = np.isfinite(y)
  if not known.any():
    return None
  place = int(np.flatnonzero(known)[(np.argmin if way == 'min' else np.argmax)(y[known])])
  return Best(float(x[place]), float(y[place]))


def main_metric(found: Mapping[str, Curve], best_metric: str = '') -> str | None:
  """The measurement whose course tells most: the config's `best_metric`, or the first known one that there is."""
  names = [best_metric.lstrip('-'), *(f'eval/{name}' for name in FIRST)]
  return next((name for name in names if name in found), None)


def told(found: Mapping[str, Curve], config: Mapping[str, Any]) -> list[str]:
  """Sentences on a training by its curves: when the best was reached, whether it improves still, whether D wins."""
  preferred = config.get('best_metric', '')
  name = main_metric(found, preferred)
  said = [] if name is None else course(short(name), found[name], direction(name, preferred) or 'min')
  return said + (balance(found) if log_odds(config) else [])


def log_odds(config: Mapping[str, Any]) -> bool:
  """Whether D's outputs are log-odds, so that probabilities mean something; a Wasserstein critic's are not."""
  return config.get('loss', {}).get('name') not in NO_PROBABILITY


def course(name: str, curve: Curve, way: str) -> list[str]:
  """On one measurement: its best, and what became of it since."""
  x, y = curve[0][np.isfinite(curve[1])], curve[1][np.isfinite(curve[1])]
  top = best(curve, way)
  if top is None:
    return [f'{name} was never finite.']
  reached = f'{name} was best, {top.value:.4g}, at {top.images:,.0f} of {x[-1]:,.0f} images'
  if len(x) < 3:
    return [f'{reached}; too few measurements ({len(x)}) to say whether it still improves.']
  late = x > x[-1] - RECENT * x[-1]
  before = best((x[~late], y[~late]), way)
  if before is None:
    return [f'{reached}; all were made late, so that nothing can be said of how it changes.']
  gain = gained(before.value, top.value, way)
  loss = abs(float(y[-1]) - top.value) / (abs(top.value) or 1.0)
  if loss > 5 * SMALL and top.images < x[-1]:
    return [f'{reached}, and is worse by {loss:.0%} at the end ({y[-1]:.4g}): an earlier checkpoint is the better one.']
  if gain > SMALL:
    return [f'{reached}, and still improves: by {gain:.0%} in the last quarter, so that more steps may help.']
  return [f'{reached}, and is level: the last quarter brought {gain:.0%}.']


def gained(old: float, new: float, way: str) -> float:
  """How much better `new` is than `old`, relative to `old`; 0 where it isn't."""
  by = old - new if way == 'min' else new - old
  return 0.0 if by <= 0 else by / abs(old) if old else math.inf


def balance(found: Mapping[str, Curve]) -> list[str]:
  """On D's probabilities over the last quarter, and whether they came nearer to .5."""
  if 'd/real_prob' not in found or 'd/fake_prob' not in found:
    return []
  (real, early_real), (fake, early_fake) = (ends(found[name]) for name in ('d/real_prob', 'd/fake_prob'))
  if not all(map(math.isfinite, (real, fake))):
    return []
  now = f'D takes real images for real with probability {real:.2f}, generated ones with {fake:.2f}'
  gap, early = real - fake, early_real - early_fake
  if real > 0.95 and fake < 0.05:
    verdict = 'D wins, and G learns little from it.'
  elif gap < -BALANCED / 2:
    verdict = 'D is worse than chance: it does not keep up with G.'
  elif max(abs(real - 0.5), abs(fake - 0.5)) <= BALANCED:
    verdict = 'near to .5, where neither wins.'
  else:
    verdict = 'D tells them apart, but does not win.'
  if math.isfinite(early) and abs(gap - early) > BALANCED / 2:
    verdict = f'{verdict[:-1]}; the gap has {"grown" if gap > early else "closed"} from {early:.2f} to {gap:.2f}.'
  return [f'{now}: {verdict}']


def ends(curve: Curve) -> tuple[float, float]:
  """Means over the last and the first quarter; NaN where nothing is finite."""
  x, y = curve[0][np.isfinite(curve[1])], curve[1][np.isfinite(curve[1])]
  if not len(x):
    return math.nan, math.nan
  late, early = x > (1 - RECENT) * x[-1], x <= RECENT * x[-1]
  return float(y[late].mean()), float(y[early].mean()) if early.any() else math.nan
