import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist

from ganjax.evals import metrics
from ganjax.evals.metrics import distances


def rows(count, width=6, seed=0):
  return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


def by_definition(real, fake, k, inclusive=False):
  """From all distances, in float64."""
  real, fake = real.astype(np.float64), fake.astype(np.float64)
  radius, other = (np.sort(cdist(x, x), 1)[:, k] for x in (real, fake))
  between = cdist(real, fake)
  less = np.less_equal if inclusive else np.less
  inside = less(between, radius[:, None])
  recall = less(between, other).any(1).mean()
  return {
    'precision': inside.any(0).mean(),
    'recall': recall,
    'density': inside.sum() / (k * len(fake)),
    'coverage': inside.any(1).mean(),
  }


@pytest.mark.parametrize(('n', 'm', 'width', 'k'), [(300, 200, 6, 5), (6, 40, 1, 5), (150, 400, 90, 1), (7, 7, 3, 6)])
def test_prdc_and_precision_recall_are_as_defined(n, m, width, k):
  real, fake = rows(n, width), rows(m, width, seed=1) * 0.7 + 0.2
  assert metrics.prdc(real, fake, k) == pytest.approx(by_definition(real, fake, k), rel=1e-12)
  expected = by_definition(real, fake, k, inclusive=True)
  assert metrics.precision_recall(real, fake, k) == pytest.approx({x: expected[x] for x in ('precision', 'recall')})


@pytest.mark.parametrize('change', ['far', 'tiny', 'huge', 'outliers', 'near'])
def test_prdc_stays_exact_where_single_precision_fails(change):
  real, fake = rows(200, 40).astype(np.float64), rows(150, 40, seed=1) * 0.8
  if change == 'far':  # the squared norms dwarf the distances
    real, fake = real + 1e7, fake + 1e7
  elif change == 'tiny':
    real, fake = real * 1e-30, fake * 1e-30
  elif change == 'huge':
    real, fake = real * 1e30, fake * 1e30
  elif change == 'outliers':
    real[0], fake[0] = 1e7, -1e9
  else:  # all distances from each other alike, to 1e-7
    real = np.eye(200) * (1 + 1e-7 * np.arange(200)[:, None])
    fake = np.eye(200)[::-1] * (1 + 3e-8)
  assert metrics.prdc(real, fake, 5) == pytest.approx(by_definition(real, fake, 5), rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(
  arrays(np.float32, (12, 3), elements=st.integers(-2, 2).map(np.float32)),
  arrays(np.float32, (9, 3), elements=st.integers(-2, 2).map(np.float32)),
  st.integers(1, 8),
)
def test_ties_are_told_from_less(real, fake, k):
  # On a lattice there are many equal distances and equal rows, and float64 has all of their squares.
  assert metrics.prdc(real, fake, k) == pytest.approx(by_definition(real, fake, k), rel=1e-12)
  assert metrics.precision_recall(real, fake, k)['recall'] == by_definition(real, fake, k, inclusive=True)['recall']


def test_copies_lie_in_no_sphere_of_radius_zero():
  real = np.repeat(rows(5), 4, axis=0)  # each row has three copies: radius 0
  assert metrics.prdc(real, real, 3)['precision'] == 0
  assert metrics.precision_recall(real, real, 3)['precision'] == 1


@pytest.mark.parametrize('width', [1e-2, 1e-5, 0])
def test_collapsed_samples_are_told_apart(width, monkeypatch):
  called = []
  inner = distances.nearest_in_double
  monkeypatch.setattr(distances, 'nearest_in_double', lambda *args: called.append(1) or inner(*args))
  real, modes = rows(300, 40), rows(2, 40, seed=1)
  fake = np.repeat(modes, 600, axis=0).astype(np.float64) + width * rows(1200, 40, seed=2)
  assert metrics.prdc(real, fake, 5) == pytest.approx(by_definition(real, fake, 5), rel=1e-12)
  near, index = metrics.nearest(fake[:700], fake, 3)
  expected = np.sort(cdist(fake[:700], fake), 1)[:, :3]
  np.testing.assert_allclose(near, expected, rtol=1e-9)
  np.testing.assert_allclose(np.linalg.norm(fake[:700, None] - fake[index], axis=2), near, rtol=1e-9)
  assert len(called) == 2 * (width < 1e-2)


def test_blocks_and_order_change_nothing(monkeypatch):
  real, fake = rows(500, 8), rows(300, 8, seed=1) * 0.9
  expected = metrics.prdc(real, fake, 3)
  near, index = metrics.nearest(fake, real, 4)
  monkeypatch.setattr(distances, 'PANEL', 1)  # blocks of 64 rows
  assert metrics.prdc(real, fake, 3) == expected
  again = metrics.nearest(fake, real, 4)
  assert (again[0] == near).all()
  assert (again[1] == index).all()
  assert metrics.prdc(real[::-1], fake[::-1], 3) == pytest.approx(expected, rel=1e-12)


@settings(max_examples=80, deadline=None)
@given(st.floats(-3, 3), st.floats(-3, 3), st.integers(0, 2**32 - 1))
def test_the_bound_on_the_error_of_products_holds(log_far, log_scale, seed):
  rng = np.random.default_rng(seed)
  x = rng.normal(size=(20, 30)) * 10**log_scale + 10**log_far
  (cloud,) = distances.clouds(x)
  squares = distances.squares(cloud, slice(0, 20), cloud)
  true = cdist(x, x)
  for j in range(20):
    low, high = distances.bounds(cloud, true[:, j])
    assert not (squares < low[:, None])[true >= true[:, [j]]].any()
    assert not (squares > high[:, None])[true <= true[:, [j]]].any()
    reach = distances.reach(cloud, squares[:, j])
    assert not (squares > reach[:, None])[true <= true[:, [j]]].any()


@pytest.mark.parametrize(
  ('real', 'fake', 'k', 'match'),
  [
    (rows(5), rows(20), 5, r'real: shape \(5, 6\) given; \[N >= 6, D\] is needed \(more than k = 5\)'),
    (rows(20), rows(3), 5, r'fake: shape \(3, 6\) given; \[N >= 6, D\]'),
    (rows(20), rows(20, 7), 5, r'fake: shape \(20, 7\) given, real: \(20, 6\)'),
    (rows(20) * np.nan, rows(20), 5, r'real: shape \(20, 6\) with values that are not finite'),
    (rows(20), rows(20), 0, 'k: 0 given; an integer from 1 on'),
    (rows(20)[0], rows(20), 5, r'real: shape \(6,\) given'),
  ],
)
def test_what_cannot_be_compared_is_named(real, fake, k, match):
  for function in (metrics.prdc, metrics.precision_recall):
    with pytest.raises(ValueError, match=match):
      function(real, fake, k)


def test_nearest_are_as_sorted():
  points, others = rows(25), rows(30, seed=1)
  found, index = metrics.nearest(points.reshape(25, 2, 3), others, 3)
  expected = cdist(points.astype(np.float64), others.astype(np.float64))
  np.testing.assert_allclose(found, np.sort(expected, 1)[:, :3], rtol=1e-12)
  assert (index == np.argsort(expected, 1)[:, :3]).all()
  np.testing.assert_allclose(metrics.nearest_distance(points, others), expected.min(1), rtol=1e-12)
  with pytest.raises(ValueError, match=r'others: shape \(30, 6\) given; \[N >= 31, D\] is needed \(k = 31\)'):
    metrics.nearest(points, others, 31)


def test_nearer_share_tells_copies_from_new_samples():
  train, held_out, new = (rows(1000, 6, seed) for seed in range(3))
  assert metrics.nearer_share(train[:300], train, held_out) == 1
  assert metrics.nearer_share(new, train, held_out) == pytest.approx(0.5, abs=0.06)
  assert metrics.nearer_share(new + 9, train, held_out) == 0


def test_authenticity_and_copying_score_tell_copies():
  train, held_out, new = (rows(1000, 6, seed) for seed in range(3))
  copies = train[:500] + rows(500, seed=5) * 0.01
  assert metrics.authenticity(train, new) == pytest.approx(0.5, abs=0.06)
  assert metrics.authenticity(train, copies) == 0
  assert metrics.authenticity(train, new + 9) == 1
  assert abs(metrics.copying_score(new, train, held_out)) < 3
  assert metrics.copying_score(copies, train, held_out) < -20
  assert metrics.copying_score(new + 9, train, held_out) > 20


def test_copying_score_is_the_mann_whitney_z():
  from scipy.stats import mannwhitneyu

  train, held_out, new = rows(50, 2), rows(40, 2, seed=1), rows(30, 2, seed=2) * 1.5
  far, real = (metrics.nearest_distance(x, train) for x in (new, held_out))
  p = mannwhitneyu(far, real, alternative='less', method='asymptotic', use_continuity=False).pvalue
  from scipy.stats import norm

  assert norm.cdf(metrics.copying_score(new, train, held_out)) == pytest.approx(p, rel=1e-9)


@pytest.mark.slow
def test_memory_is_linear_in_the_rows():
  code = """
import resource, numpy as np
from ganjax.evals import metrics
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
real, fake = (np.random.default_rng(seed).normal(size=(30_000, 8)).astype(np.float32) for seed in (0, 1))
metrics.prdc(real[:100], fake[:100])
before = peak()
metrics.prdc(real, fake)
print(peak() - before)
"""
  done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
  assert int(done.stdout) < 700_000  # KiB; all distances of one kind alone would be 3.5 million
