import numpy as np
import pytest
from scipy.stats import binomtest, t

from ganjax.evals import metrics


def test_bootstrap_of_a_mean_is_about_the_normal_interval():
  x = np.random.default_rng(0).normal(3, 2, 400)
  found = metrics.bootstrap(np.mean, x, resamples=2000)
  assert found.value == x.mean()
  half = 1.96 * x.std() / np.sqrt(len(x))
  assert (found.low, found.high) == pytest.approx((x.mean() - half, x.mean() + half), abs=0.15 * half)
  assert metrics.bootstrap(np.mean, x, resamples=2000) == found
  assert metrics.bootstrap(np.mean, x, resamples=2000, seed=1) != found
  narrow = metrics.bootstrap(np.mean, x, resamples=2000, level=0.5)
  assert found.low < narrow.low < narrow.high < found.high


def test_sets_are_drawn_each_from_its_own():
  a, b = np.zeros((5, 2)), np.ones((9, 2))
  found = metrics.bootstrapped(lambda x, y: len(x) * 100 + len(y) + y.mean() - x.mean(), a, b, resamples=4)
  assert found.tolist() == [510] * 4
  with pytest.raises(ValueError, match=r'samples: \[5, 0\] rows given'):
    metrics.bootstrapped(np.mean, a, b[:0])


def test_over_seeds_is_students():
  values = [3.1, 2.9, 3.4]
  found = metrics.over_seeds(values)
  expected = t.interval(0.95, 2, loc=np.mean(values), scale=np.std(values, ddof=1) / np.sqrt(3))
  assert found == pytest.approx((np.mean(values), *expected))
  with pytest.raises(ValueError, match=r'values: \[1.0\] given; at least 2 finite numbers'):
    metrics.over_seeds([1.0])


@pytest.mark.parametrize(('successes', 'trials'), [(0, 10), (7, 10), (10, 10), (480, 1000)])
def test_binomial_is_wilsons(successes, trials):
  expected = binomtest(successes, trials).proportion_ci(method='wilson')
  assert metrics.binomial(successes, trials) == pytest.approx((successes / trials, *expected))


def test_levels_and_counts_are_checked():
  with pytest.raises(ValueError, match='successes: 11 given; an integer from 0 to 10 is needed'):
    metrics.binomial(11, 10)
  with pytest.raises(ValueError, match='level: 95 given'):
    metrics.binomial(1, 10, level=95)
