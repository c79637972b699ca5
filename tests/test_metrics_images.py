import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from ganjax.evals import metrics
from ganjax.evals.metrics import images


def noise(count, size=32, channels=3, seed=0, low=0, high=256):
  return np.random.default_rng(seed).integers(low, high, (count, size, size, channels)).astype(np.uint8)


def one_pair(a, b):
  """MS-SSIM of grey images [S, S], place by place, as in the paper."""
  result = 1
  for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
    size = min(11, len(a))
    at = np.arange(size) - (size - 1) / 2
    window = np.exp(-(at[:, None] ** 2 + at**2) / (2 * (1.5 * size / 11) ** 2))
    window /= window.sum()
    terms = []
    for y in range(len(a) - size + 1):
      for x in range(len(a) - size + 1):
        p, q = (z[y : y + size, x : x + size] for z in (a, b))
        mp, mq = (window * p).sum(), (window * q).sum()
        vp, vq, c = (window * (p - mp) ** 2).sum(), (window * (q - mq) ** 2).sum(), (window * (p - mp) * (q - mq)).sum()
        light = (2 * mp * mq + 2.55**2) / (mp**2 + mq**2 + 2.55**2)
        rest = (2 * c + 7.65**2) / (vp + vq + 7.65**2)
        terms.append(light * rest if scale == 4 else rest)
    result *= max(0, np.mean(terms)) ** weight
    a, b = (z.reshape(len(z) // 2, 2, len(z) // 2, 2).mean((1, 3)) for z in (a, b))
  return result


def test_ms_ssim_is_as_defined():
  a = noise(1, channels=1)
  b = np.clip(a.astype(int) // 2 + noise(1, channels=1, seed=1, high=120) + 10, 0, 255).astype(np.uint8)
  expected = one_pair(a[0, :, :, 0].astype(float), b[0, :, :, 0].astype(float))
  assert 0.1 < expected < 0.9
  assert metrics.ms_ssim(a, b) == pytest.approx([expected], rel=1e-9)
  assert metrics.ms_ssim(a, a) == pytest.approx([1])
  assert metrics.ms_ssim(a[:, :21, :17], a[:, :21, :17]) == pytest.approx([1])  # odd sides
  with pytest.raises(ValueError, match=r'a: shape \(1, 8, 8, 1\) given; \[N >= 1, H >= 16, W >= 16, C\]'):
    metrics.ms_ssim(a[:, :8, :8], a[:, :8, :8])


def test_diversity_is_of_pairs_within_a_class():
  varied = noise(40)
  labels = np.repeat([0, 1], 20)
  alike = np.where(labels[:, None, None, None] == 0, varied[:1], varied[20:21])
  assert metrics.ms_ssim_diversity(alike, labels, pairs=20) == pytest.approx(1)
  assert metrics.ms_ssim_diversity(alike, pairs=100) < 0.9  # between the classes, too
  assert metrics.ms_ssim_diversity(varied, labels, pairs=20) < 0.5
  assert 0 <= metrics.ms_ssim_diversity(varied[:, :8, :8], pairs=10) < 1
  assert metrics.ms_ssim_diversity(varied[:2], pairs=5) == pytest.approx(
    float(metrics.ms_ssim(varied[:1], varied[1:2])[0])
  )
  with pytest.raises(ValueError, match='labels: one image only of class 7; each needs at least 2'):
    metrics.ms_ssim_diversity(varied[:5], np.array([0, 0, 1, 1, 7]))


def test_a_laplacian_pyramid_adds_up():
  x = noise(3, 33).astype(np.float32)
  levels = [images._level(x, i, i == 2) for i in range(3)]
  assert [len(level[0]) for level in levels] == [33, 17, 9]
  whole = levels[2]
  for level in (1, 0):
    up = np.zeros_like(levels[level])
    up[:, ::2, ::2] = whole
    whole = levels[level] + 4 * images._blurred(up)
  np.testing.assert_allclose(whole, x, atol=1e-3)
  # A constant has nothing but its mean.
  assert np.abs(images._level(np.full((1, 32, 32, 1), 9, np.float32), 0, False)).max() < 1e-5


def test_sliced_distance_is_wassersteins_along_each_direction():
  rng = np.random.default_rng(0)
  a, b = rng.normal(size=(50, 4)).astype(np.float32), rng.normal(size=(50, 4)).astype(np.float32) + 1
  found = images._sliced(a, b, 40, np.random.default_rng(1))
  rng = np.random.default_rng(1)
  parts = [rng.standard_normal((4, count)) for count in (16, 16, 8)]
  along = np.concatenate(parts, 1)
  along /= np.linalg.norm(along, axis=0)
  assert found == pytest.approx(np.mean([wasserstein_distance(a @ d, b @ d) for d in along.T]), rel=1e-5)


def test_sliced_wasserstein_tells_where_images_differ():
  real, same = noise(64, seed=0), noise(80, seed=1)
  blocks = noise(64, 4, seed=2).repeat(8, 1).repeat(8, 2)
  near = metrics.sliced_wasserstein(real, same, patches=64, directions=64)
  far = metrics.sliced_wasserstein(real, blocks, patches=64, directions=64)
  assert list(near) == ['32', '16', 'mean']
  assert near['mean'] == pytest.approx((near['32'] + near['16']) / 2)
  assert far['32'] > 2 * near['32']  # edges few and sharp
  assert near == metrics.sliced_wasserstein(real, same, patches=64, directions=64)
  assert list(metrics.sliced_wasserstein(real[:, :8, :8], same[:, :8, :8], 4, 16)) == ['8', 'mean']
  with pytest.raises(ValueError, match=r'fake: images of \(16, 16, 3\) given, real: \(32, 32, 3\)'):
    metrics.sliced_wasserstein(real, same[:, :16, :16])


def test_spectrum_of_known_images():
  flat = metrics.power_spectrum(noise(400, 16, 1))
  assert flat.shape == (9,)
  np.testing.assert_allclose(flat[1:], (256**2 - 1) / 12, rtol=0.15)  # white: its variance everywhere
  wave = np.broadcast_to(np.cos(2 * np.pi * 3 * np.arange(16) / 16)[None, :, None, None], (2, 16, 24, 3)) * 100 + 120
  power = metrics.power_spectrum(wave)
  assert power[1:].argmax() == 2
  assert power[[1, 2, 4, 5]].max() < 1e-9 * power[3]


def test_spectrum_distance_is_in_decibels():
  real, same = noise(400, 16, 1), noise(400, 16, 1, seed=1)
  half = (noise(400, 16, 1, seed=2) / 2).astype(np.uint8)
  assert metrics.spectrum_distance(real, same) < 0.5
  assert metrics.spectrum_distance(real, half) == pytest.approx(20 * np.log10(2), abs=0.5)
  assert metrics.spectrum_distance(real, np.zeros_like(real)) < 50  # no power at all


def test_images_of_another_range_are_refused():
  with pytest.raises(ValueError, match='real: values from -1 to 1 given; uint8, or 0 to 255, is needed'):
    metrics.spectrum_distance(np.linspace(-1, 1, 128).reshape(2, 8, 8, 1), noise(2, 8, 1))
