from pathlib import Path

import numpy as np
import pytest

from ganjax.evals import metrics

REFERENCE = Path(__file__).parents[2] / 'shared' / 'parity' / 'metrics.npz'


def normal(count, mean, std, seed=0):
  return np.asarray(mean) + np.asarray(std) * np.random.default_rng(seed).normal(size=(count, len(mean)))


def test_frechet_of_gaussians_is_the_closed_form():
  a, b = normal(200_000, (0, 1), (1, 2)), normal(200_000, (3, 1), (2, 2), seed=1)
  assert metrics.frechet_distance(a, b) == pytest.approx(3**2 + (1 - 2) ** 2, rel=0.02)


def test_frechet_equals_the_root_of_the_product():
  from scipy.linalg import sqrtm

  a, b = normal(60, [0] * 8, range(1, 9)), normal(50, [0.5] * 8, 2, seed=1) @ np.triu(np.ones((8, 8)))
  cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
  expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a + cov_b - 2 * sqrtm(cov_a @ cov_b).real)
  assert metrics.frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)
  assert metrics.frechet_distance(b, a) == pytest.approx(expected, rel=1e-9)


def test_frechet_with_singular_covariances():
  few = normal(5, [0] * 20, 1).astype(np.float32)
  assert metrics.frechet_distance(few, few) == pytest.approx(0, abs=1e-5)
  assert metrics.frechet_distance(few, few + 2) == pytest.approx(20 * 4, rel=1e-5)
  assert metrics.frechet_distance(np.ones((3, 2)), np.zeros((4, 2))) == pytest.approx(2)


@pytest.mark.skipif(not REFERENCE.exists(), reason='the reference values are not here')
@pytest.mark.parametrize('name', ['torch_fidelity_f64', 'pytorch_fid_f64'])
def test_frechet_equals_published_code(name):
  stored = np.load(REFERENCE, allow_pickle=False)
  found = metrics.frechet_distance(stored['in/real'], stored['in/fake'])
  assert found == pytest.approx(float(stored[f'out/fid_{name}']), abs=1e-6)


@pytest.mark.parametrize(
  ('real', 'fake', 'match'),
  [
    (np.zeros((5, 3)), np.zeros((5, 4)), r'fake: shape \(5, 4\)'),
    (np.zeros((1, 3)), np.zeros((5, 3)), r'real: shape \(1, 3\)'),
    (np.zeros((5, 3)), np.full((5, 3), np.nan), 'fake: .* not finite'),
  ],
)
def test_frechet_refuses(real, fake, match):
  with pytest.raises(ValueError, match=match):
    metrics.frechet_distance(real, fake)


def test_class_and_sure_shares():
  logits = np.log([[0.95, 0.04, 0.01], [0.2, 0.7, 0.1], [0.01, 0.01, 0.98], [0.92, 0.04, 0.04]])
  assert metrics.class_shares(logits).tolist() == [0.5, 0.25, 0.25]
  assert metrics.sure_share(logits) == 0.75
  assert metrics.sure_share(logits, above=0.97) == 0.25
  assert metrics.sure_share(logits + 1e4) == 0.75  # no overflow


def test_nearer_share_tells_copies_from_new_samples():
  train, held_out, new = (normal(1000, [0] * 6, 1, seed) for seed in range(3))
  assert metrics.nearer_share(train[:300], train, held_out) == 1
  assert metrics.nearer_share(new, train, held_out) == pytest.approx(0.5, abs=0.06)
  assert metrics.nearer_share(new + 9, train, held_out) == 0


def test_nearest_distance_is_exact():
  points, others = normal(25, [0] * 4, 1), normal(30, [0] * 4, 1, seed=1)
  expected = np.linalg.norm(points[:, None] - others, axis=-1).min(1)
  np.testing.assert_allclose(metrics.nearest_distance(points.reshape(25, 2, 2), others), expected, rtol=1e-12)


def test_mode_coverage():
  centres = np.array([[0, 0], [10, 0], [0, 10], [10, 10]])
  points = np.concatenate([normal(500, c, 0.1, seed) for seed, c in enumerate(centres)])
  modes, good, divergence = metrics.mode_coverage(points, centres, 0.1)
  assert (modes, divergence) == (4, 0)
  assert good == pytest.approx(1 - np.exp(-4.5), abs=0.01)  # Rayleigh: within 3 std
  assert metrics.mode_coverage(points[:1000], centres, 0.1)[::2] == (2, pytest.approx(np.log(2)))
  # Far from every centre: counted with the nearest mode, but covers none.
  assert metrics.mode_coverage(np.full((10, 2), 4.0), centres, 0.1) == (0, 0, pytest.approx(np.log(4)))
