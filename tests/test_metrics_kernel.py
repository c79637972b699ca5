from itertools import combinations

import numpy as np
import pytest

from ganjax.evals import metrics
from ganjax.evals.metrics import kernel


def rows(count, width=6, seed=0):
  return np.random.default_rng(seed).normal(size=(count, width))


def by_definition(x, y, k):
  """The unbiased estimator, pair by pair."""
  within = [np.mean([k(a, b) for a, b in combinations(z, 2)]) for z in (x, y)]
  return sum(within) - 2 * np.mean([k(a, b) for a in x for b in y])


def cubic(a, b):
  return (a @ b / len(a) + 1) ** 3


def test_the_whole_is_as_defined():
  real, fake = rows(9) + 3, rows(7, seed=1) * 2
  expected = by_definition(real, fake, cubic)
  assert metrics.kernel_distance_full(real, fake) == pytest.approx(expected, rel=1e-12)
  # All rows as one subset.
  assert metrics.kernel_distance(real[:7], fake, 3, 7) == pytest.approx((by_definition(real[:7], fake, cubic), 0))


def test_estimators():
  real, fake = rows(9) + 3, rows(9, seed=1) * 2
  k = [np.array([[cubic(a, b) for b in y] for a in x]) for x, y in ((real, real), (fake, fake), (real, fake))]
  biased = k[0].mean() + k[1].mean() - 2 * k[2].mean()
  assert metrics.kernel_distance_full(real, fake, 'biased') == pytest.approx(biased, rel=1e-12)
  off = [(x.sum() - np.trace(x)) / (9 * 8) for x in k]
  assert metrics.kernel_distance_full(real, fake, 'paired') == pytest.approx(off[0] + off[1] - 2 * off[2], rel=1e-12)
  with pytest.raises(ValueError, match="estimator: 'plain' given; valid are 'unbiased', 'biased', 'paired'"):
    metrics.kernel_distance_full(real, fake, 'plain')
  with pytest.raises(ValueError, match='the paired estimator needs one number of rows'):
    metrics.kernel_distance_full(real, fake[:5], 'paired')


def test_it_is_unbiased():
  draws = [metrics.kernel_distance_full(rows(8, 3, 2 * seed), rows(8, 3, 2 * seed + 1)) for seed in range(400)]
  assert abs(np.mean(draws)) < 3 * np.std(draws) / np.sqrt(len(draws))
  biased = metrics.kernel_distance_full(rows(8, 3), rows(8, 3, 1), 'biased')
  assert biased > metrics.kernel_distance_full(rows(8, 3), rows(8, 3, 1))


def test_subsets_are_the_same_both_ways(monkeypatch):
  real, fake = rows(200, 60) + 1, rows(160, 60, seed=1)
  all_at_once = metrics.kernel_distances(real, fake, 50, 150)
  with monkeypatch.context() as patch:
    patch.setattr(kernel, '_sums_of_all', None)  # not worth it for one subset
    one = metrics.kernel_distances(real, fake, 1, 150)
  assert all_at_once[0] == pytest.approx(one[0], rel=1e-11)
  rng = np.random.RandomState(2020)
  chosen = [x[rng.choice(len(x), 150, replace=False)] for x in (fake, real)]
  assert all_at_once[0] == pytest.approx(metrics.kernel_distance_full(*chosen), rel=1e-11)
  monkeypatch.setattr(kernel, '_sums_of_each', None)
  monkeypatch.setattr(kernel, 'PANEL', 2000)
  np.testing.assert_allclose(metrics.kernel_distances(real, fake, 50, 150), all_at_once, rtol=1e-11)


@pytest.mark.parametrize('shift', [0, 0.02])
def test_single_precision_products_change_nothing_of_note(shift, monkeypatch):
  # Features of a rectified network: their mean is larger than their deviation.
  real, fake = (np.abs(rows(500, 300, seed)).astype(np.float32) + 2 + shift * seed for seed in (0, 1))
  exact = metrics.kernel_distances(real, fake, 20, 200)
  whole = metrics.kernel_distance_full(real, fake)
  monkeypatch.setattr(kernel, 'LONG', 0)
  spread = exact.std() + abs(exact.mean())
  np.testing.assert_allclose(metrics.kernel_distances(real, fake, 20, 200), exact, atol=1e-6 * spread)
  assert metrics.kernel_distance_full(real, fake) == pytest.approx(whole, abs=1e-6 * spread)


def test_gaussian_mmd_is_as_defined():
  real, fake = rows(9) / 3, rows(7, seed=1) / 3 + 1

  def k(x, y):
    return np.exp(-((x[:, None] - y) ** 2).sum(-1) / (2 * 0.5**2)).mean()

  expected = 1000 * (k(real, real) + k(fake, fake) - 2 * k(real, fake))
  assert metrics.gaussian_mmd(real, fake, sigma=0.5) == pytest.approx(expected, rel=1e-12)
  assert metrics.gaussian_mmd(real, real) == pytest.approx(0, abs=1e-10)
  with pytest.raises(ValueError, match='sigma: 0 given; a positive number'):
    metrics.gaussian_mmd(real, fake, sigma=0)


def test_too_few_rows_are_named():
  with pytest.raises(ValueError, match=r'fake: shape \(9, 6\) given; \[N >= 10, D\] is needed \(subset_size 10\)'):
    metrics.kernel_distance(rows(20), rows(9), 5, 10)
  with pytest.raises(ValueError, match='subset_size: 1 given; an integer from 2 on is needed'):
    metrics.kernel_distance(rows(20), rows(9), 5, 1)
