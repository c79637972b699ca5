"""Fréchet distances and scores of classifiers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from ganjax.evals import metrics
from ganjax.evals.metrics import frechet


def normal(count, mean, std, seed=0):
  return np.asarray(mean) + np.asarray(std) * np.random.default_rng(seed).normal(size=(count, len(mean)))


def by_scipy(a, b):
  cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
  return ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a + cov_b - 2 * sqrtm(cov_a @ cov_b).real)


def test_frechet_of_gaussians_is_the_closed_form():
  a, b = normal(200_000, (0, 1), (1, 2)), normal(200_000, (3, 1), (2, 2), seed=1)
  assert metrics.frechet_distance(a, b) == pytest.approx(3**2 + (1 - 2) ** 2, rel=0.02)
  # Commuting covariances: squared differences of deviations, exactly.
  turn = np.linalg.qr(normal(5, [0] * 5, 1))[0]
  first, second = np.arange(1, 6), np.array([2, 0, 1, 4, 0.5])
  covariances = (turn @ np.diag(x**2) @ turn.T for x in (first, second))
  found = metrics.frechet_of_gaussians(np.zeros(5), next(covariances), np.full(5, 2), next(covariances))
  assert found == pytest.approx(5 * 4 + ((first - second) ** 2).sum(), rel=1e-12)


def test_frechet_equals_the_root_of_the_product():
  a, b = normal(60, [0] * 8, range(1, 9)), normal(50, [0.5] * 8, 2, seed=1) @ np.triu(np.ones((8, 8)))
  assert metrics.frechet_distance(a, b) == pytest.approx(by_scipy(a, b), rel=1e-9)
  assert metrics.frechet_distance(b, a) == pytest.approx(by_scipy(a, b), rel=1e-9)


@pytest.mark.filterwarnings('ignore')  # SciPy warns of singular matrices
@pytest.mark.parametrize(('n', 'm'), [(12, 20), (20, 12), (12, 200), (200, 12), (41, 40), (2, 3)])
def test_frechet_with_singular_covariances_equals_scipy(n, m, monkeypatch):
  a, b = normal(n, [0] * 40, 1), normal(m, [0.1] * 40, np.linspace(0.5, 2, 40), seed=1)
  expected = by_scipy(a, b)
  assert metrics.frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)
  assert metrics.frechet_of(metrics.Moments.of(a), metrics.Moments.of(b)) == pytest.approx(expected, rel=1e-6)
  monkeypatch.setattr(frechet, 'SMALL', 0)  # as for more rows: through squares
  assert metrics.frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)


@pytest.mark.filterwarnings('ignore')
def test_frechet_of_constant_and_equal_features():
  few = normal(5, [0] * 20, 1).astype(np.float32)
  assert metrics.frechet_distance(few, few) == pytest.approx(0, abs=1e-12)
  assert metrics.frechet_distance(few, few + 2) == pytest.approx(20 * 4, rel=1e-6)
  assert metrics.frechet_distance(np.ones((3, 2)), np.zeros((4, 2))) == pytest.approx(2)
  # A feature that never fires, in one set, in both.
  a, b = normal(50, [0] * 4, (1, 0, 2, 0)), normal(50, [0] * 4, (1, 1, 2, 0), seed=1)
  assert metrics.frechet_distance(a, b) == pytest.approx(by_scipy(a, b), rel=1e-6)


@pytest.mark.parametrize(
  ('real', 'fake', 'match'),
  [
    (np.zeros((5, 3)), np.zeros((5, 4)), r'fake: shape \(5, 4\) given, real: \(5, 3\)'),
    (np.zeros((1, 3)), np.zeros((5, 3)), r'real: shape \(1, 3\) given; \[N >= 2, D\]'),
    (np.zeros((5, 3)), np.full((5, 3), np.nan), r'fake: shape \(5, 3\) with values that are not finite'),
  ],
)
def test_frechet_refuses(real, fake, match):
  with pytest.raises(ValueError, match=match):
    metrics.frechet_distance(real, fake)


def test_statistics_that_do_not_fit_are_refused():
  with pytest.raises(ValueError, match=r'fake: mean \(3,\) and covariance \(3, 3\) given; .* \(real: \(2,\)\)'):
    metrics.frechet_of_gaussians(np.zeros(2), np.eye(2), np.zeros(3), np.eye(3))
  with pytest.raises(ValueError, match='real: statistics with values that are not finite'):
    metrics.frechet_of_gaussians(np.zeros(2), np.full((2, 2), np.inf), np.zeros(2), np.eye(2))
  with pytest.raises(ValueError, match='1 row given; a covariance needs at least 2'):
    _ = metrics.Moments.of(np.zeros((1, 3))).covariance
  with pytest.raises(ValueError, match='4 wide given; those before are 3 wide'):
    metrics.Moments.of(np.zeros((2, 3))).updated(np.zeros((2, 4)))


@settings(max_examples=50, deadline=None)
@given(
  st.lists(st.integers(1, 30), min_size=1, max_size=6), st.randoms(use_true_random=False), st.sampled_from([0, 1, 1e6])
)
def test_moments_do_not_depend_on_batches_or_order(sizes, random, far):
  x = normal(sum(sizes), [far] * 3, (1, 2, 1e-2))  # the mean dwarfs the deviations
  batches = np.split(x, np.cumsum(sizes)[:-1])
  random.shuffle(batches)
  whole, seen = metrics.Moments.of(x), metrics.Moments.of(batches[0])
  for batch in batches[1:]:
    seen = seen.updated(batch)
  for found in (seen, metrics.Moments.streamed(iter(batches))):
    assert found.count == len(x)
    np.testing.assert_allclose(found.mean, whole.mean, rtol=1e-12, atol=1e-12)
    scale = np.sqrt(np.outer(*[np.diag(whole.scatter)] * 2))
    np.testing.assert_allclose(found.scatter, whole.scatter, atol=1e-12 * (1 + far * 1e-3) * scale.max())
  if len(x) > 1:
    np.testing.assert_allclose(whole.covariance, np.cov(x, rowvar=False), rtol=1e-8, atol=1e-12)


def test_many_rows_are_summed_in_parts(monkeypatch):
  x = normal(100, [0] * 3, 1).astype(np.float32)
  expected = metrics.Moments.of(x)
  monkeypatch.setattr(frechet, 'CHUNK', 7)
  monkeypatch.setattr(frechet, 'GATHERED', 7)
  for found in (metrics.Moments.of(x), metrics.Moments.streamed([x[:3], x[3:20], x[20:]])):
    np.testing.assert_allclose(found.scatter, expected.scatter, rtol=1e-12)
  with pytest.raises(ValueError, match='batches: none given'):
    metrics.Moments.streamed([])


def test_class_frechet_is_of_each_class():
  real, fake = normal(60, [0] * 4, 1), normal(90, [0] * 4, 1, seed=1)
  real_labels, fake_labels = np.arange(60) % 3, np.arange(90) % 3
  fake[fake_labels == 2] += 5
  mean, each = metrics.class_frechet(real, real_labels, fake, fake_labels)
  assert list(each) == [0, 1, 2]
  for c, value in each.items():
    assert value == metrics.frechet_distance(real[real_labels == c], fake[fake_labels == c])
  assert mean == pytest.approx(np.mean(list(each.values())))
  with pytest.raises(ValueError, match='fake_labels: class 2 has 0 of 60 rows; each class needs at least 2'):
    metrics.class_frechet(real, real_labels, fake[fake_labels < 2], fake_labels[fake_labels < 2])
  with pytest.raises(ValueError, match=r'real_labels: float64 of shape \(60,\) given; one integer for each of 60 rows'):
    metrics.class_frechet(real, real_labels / 2, fake, fake_labels)


def test_frechet_infinity_takes_off_the_bias_of_few_samples():
  real = metrics.Moments.of(normal(100_000, [0] * 20, 1))
  fake = normal(2000, [0] * 20, 1, seed=1)
  limit, slope = metrics.frechet_infinity(real, fake, points=10, fewest=200)
  assert abs(limit) < metrics.frechet_of(real, metrics.Moments.of(fake)) / 3
  assert slope > 0
  assert metrics.extrapolated(np.array([10, 20, 50]), [5 + 3 / 10, 5 + 3 / 20, 5 + 3 / 50]) == pytest.approx((5, 3))
  with pytest.raises(ValueError, match='fewest: 2000 given; an integer from 2 to 1999 is needed'):
    metrics.frechet_infinity(real, fake, fewest=2000)


def test_inception_score_of_known_shares():
  sure = np.eye(5)[np.arange(100) % 5] * 1e4
  assert metrics.inception_score(sure, splits=4) == pytest.approx((5, 0))
  assert metrics.inception_score(np.zeros((10, 7)), splits=1) == pytest.approx((1, 0))
  # Rows in their order: the first split sees one class, the second two.
  ordered = np.eye(3)[[0] * 6 + [1, 2] * 3] * 1e4
  assert metrics.inception_score(ordered, splits=2) == pytest.approx((1.5, 0.5))
  assert metrics.inception_score(ordered, splits=2, shuffle=0)[0] > 1.6
  with pytest.raises(ValueError, match=r'logits: shape \(3, 2\) given; \[N >= 10, D\] is needed \(10 splits\)'):
    metrics.inception_score(np.zeros((3, 2)), splits=10)


def test_class_and_sure_shares():
  logits = np.log([[0.95, 0.04, 0.01], [0.2, 0.7, 0.1], [0.01, 0.01, 0.98], [0.92, 0.04, 0.04]])
  assert metrics.class_shares(logits).tolist() == [0.5, 0.25, 0.25]
  assert metrics.sure_share(logits) == 0.75
  assert metrics.sure_share(logits, above=0.97) == 0.25
  assert metrics.sure_share(logits + 1e4) == 0.75  # no overflow


def test_mode_counts():
  assert metrics.mode_counts(np.arange(8) % 4, np.ones(4)) == (4, 0)
  covered, divergence = metrics.mode_counts(np.array([0, 0, 0, 1]), np.array([50, 25, 25]))
  assert (covered, divergence) == (2, pytest.approx(0.75 * np.log(0.75 / 0.5)))
  assert metrics.mode_counts(np.array([0, 1]), np.array([1, 0]))[1] == np.inf
  with pytest.raises(ValueError, match='modes: 2 given; at least one is needed, all from 0 to 3'):
    metrics.mode_counts(np.array([0, 4]), np.ones(4))
  with pytest.raises(ValueError, match='real_shares'):
    metrics.mode_counts(np.array([0]), np.zeros(4))


def test_mode_coverage():
  centres = np.array([[0, 0], [10, 0], [0, 10], [10, 10]])
  points = np.concatenate([normal(500, c, 0.1, seed) for seed, c in enumerate(centres)])
  modes, good, divergence = metrics.mode_coverage(points, centres, 0.1)
  assert (modes, divergence) == (4, 0)
  assert good == pytest.approx(1 - np.exp(-4.5), abs=0.01)  # Rayleigh: within 3 std
  assert metrics.mode_coverage(points[:1000], centres, 0.1)[::2] == (2, pytest.approx(np.log(2)))
  # Far from every centre: counted with the nearest mode, but covers none.
  assert metrics.mode_coverage(np.full((10, 2), 4.0), centres, 0.1) == (0, 0, pytest.approx(np.log(4)))
