import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from ganjax.evals.walks import between, neighbourhoods, path_length, ranked, trimmed_mean
from ganjax.nets.stylegan2 import Generator

Z = 6
MATRIX = np.linalg.qr(np.random.default_rng(0).normal(size=(16, Z)))[0].astype(np.float32)  # keeps lengths


def latents(n, seed=0, z=Z):
  return np.random.default_rng(seed).normal(size=(n, z))


@jax.jit
def make(rows):
  return (rows @ MATRIX.T).reshape(-1, 4, 4, 1)


@jax.jit
def squared(a, b):
  return ((a - b) ** 2).sum((1, 2, 3))


def unit(x):
  return x / np.linalg.norm(x, axis=-1, keepdims=True)


def test_path_length_of_a_linear_map_on_straight_ways_is_its_squared_length():
  a, b = latents(70), latents(70, 1)
  t = np.random.default_rng(2).uniform(size=70)
  want = ((a - b) ** 2).sum(1)
  for epsilon, bound in ((1e-1, 1e-5), (1e-2, 1e-4), (1e-4, 1e-2)):  # in single precision steps may not be too small
    found = path_length(make, squared, a, b, t, epsilon, spherical=False)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, want, rtol=bound)
  ws = np.repeat(a[:, None], 2, 1), np.repeat(b[:, None], 2, 1)  # a style for each of two layers
  found = path_length(lambda ws: make(ws.mean(1)), squared, *ws, t, 1e-2, spherical=False)
  np.testing.assert_allclose(found, want, rtol=1e-4)


def test_path_length_on_great_circles_is_the_squared_angle():
  a, b = unit(latents(70)), unit(latents(70, 1))
  angle = np.arccos((a * b).sum(1))
  epsilon, t = 1e-2, np.zeros(70)
  found = path_length(make, squared, 2 * a, 2 * b, t, epsilon)
  np.testing.assert_allclose(found, (4 * np.sin(angle * epsilon / 2) / epsilon) ** 2, rtol=1e-3)  # chords
  np.testing.assert_allclose(found, (2 * angle) ** 2, rtol=2e-3)
  np.testing.assert_allclose(path_length(make, squared, a, b, t + 0.7), angle**2, rtol=1e-2)
  # What a network that normalises its latents sees depends on no length.
  normalising = lambda rows: make(unit(rows))  # noqa: E731
  stretched = a * np.linspace(1, 9, 70)[:, None]
  np.testing.assert_allclose(path_length(normalising, squared, stretched, b, t + 0.3, epsilon), angle**2, rtol=1e-3)


def test_great_circles_keep_what_they_promise():
  a, b = latents(5), latents(5, 1)
  at = lambda t: between(a, b, np.full(5, t), True)  # noqa: E731
  np.testing.assert_allclose(at(0.0), a, rtol=1e-12)
  np.testing.assert_allclose(at(1.0), b, rtol=1e-12)
  norm = lambda x: np.linalg.norm(x, axis=1)  # noqa: E731
  np.testing.assert_allclose(norm(at(0.25)), 0.75 * norm(a) + 0.25 * norm(b))
  angles = [np.arccos((unit(at(t)) * unit(a)).sum(1)) for t in (0.25, 0.5, 1)]
  np.testing.assert_allclose(angles[0] * 4, angles[2])
  np.testing.assert_allclose(angles[1] * 2, angles[2])
  for other in (a, 3 * a, -a, 0 * a):  # on one line: straight
    np.testing.assert_allclose(between(a, other, np.full(5, 0.25), True), 0.75 * a + 0.25 * other)


def test_path_length_in_batches_keeps_both_ends_at_one_place():
  a, b, t = latents(10), latents(10, 1), np.linspace(0, 1, 10)
  sizes = []

  def noisy(rows):  # noise by place: the same for both ends
    sizes.append(len(rows))
    return make(rows) + 1e3 * jnp.arange(len(rows)).reshape(-1, 1, 1, 1)

  found = path_length(noisy, squared, a, b, t, 0.5, batch_size=4)
  np.testing.assert_allclose(found, path_length(make, squared, a, b, t, 0.5), rtol=1e-3)
  assert sizes == [4] * 6


def test_trimmed_mean_drops_what_is_beyond_percentiles():
  values = np.arange(1000.0)
  spoilt = values.copy()
  spoilt[[3, 990]] = -1e9, 1e9
  assert trimmed_mean(values) == 499.5
  assert abs(trimmed_mean(spoilt) - 499.5) < 1
  random = np.random.default_rng(0).lognormal(size=777)
  low, high = np.percentile(random, 1, method='lower'), np.percentile(random, 99, method='higher')
  assert trimmed_mean(random) == random[(random >= low) & (random <= high)].mean()
  assert trimmed_mean(np.array([4.0])) == 4
  for wrong in (np.zeros(0), np.array([1, np.nan]), np.zeros((2, 2))):
    with pytest.raises(ValueError, match='values'):
      trimmed_mean(wrong)


def test_neighbourhoods_of_maps_that_keep_distances():
  x = latents(300)
  identity = neighbourhoods(lambda z: z, x, 0.1, spherical=False)
  assert identity['neighbour_ratio'] == pytest.approx(0.1, rel=1e-5)
  assert identity['neighbour_correlation'] > 1 - 1e-5
  assert identity['neighbour_share'] == 1
  rotated = neighbourhoods(lambda z: 5 * make(z).reshape(-1, 16) + 3, x, 0.1, spherical=False)
  assert rotated == pytest.approx(identity, rel=1e-4)
  many = neighbourhoods(lambda z: z, latents(300, z=512), 0.5)  # at right angles, of one length: chords of 45 degrees
  assert many['neighbour_ratio'] == pytest.approx(np.sqrt(2) * np.sin(np.pi / 8), rel=0.01)
  assert many['neighbour_correlation'] > 0.97


def test_neighbourhoods_of_maps_without():
  x = latents(600)
  constant = neighbourhoods(lambda z: jnp.ones((len(z), 3)), x)
  assert constant == {'neighbour_ratio': 1, 'neighbour_share': 0, 'neighbour_correlation': 0}

  def hashed(z):
    digest = np.asarray(z).view(np.uint32).astype(np.uint64) @ np.arange(1, 2 * Z, 2, dtype=np.uint64)
    return jnp.stack([jnp.asarray(np.random.default_rng(int(d)).normal(size=8)) for d in digest])

  found = neighbourhoods(hashed, x)
  assert found['neighbour_ratio'] == pytest.approx(1, abs=0.05)
  assert found['neighbour_share'] == pytest.approx(0.5, abs=0.08)
  assert abs(found['neighbour_correlation']) < 4 / np.sqrt(600)


def test_neighbourhoods_are_told_by_seed_and_not_by_batches():
  x = latents(50)
  see = lambda z: make(z).reshape(-1, 16) ** 3  # noqa: E731
  first = neighbourhoods(see, x, seed=3)
  assert first == neighbourhoods(see, x, seed=3)
  assert first != neighbourhoods(see, x, seed=4)
  assert neighbourhoods(see, x, seed=3, batch_size=7) == pytest.approx(first, rel=1e-5)
  assert 0.1 < first['neighbour_ratio'] < 0.5 < first['neighbour_correlation'] < 1


def test_ranks_are_scipys():
  x = np.random.default_rng(0).integers(0, 9, 40).astype(float)
  np.testing.assert_array_equal(ranked(x), scipy.stats.rankdata(x))


@pytest.mark.parametrize(
  ('wrong', 'message'),
  [
    ({'second': latents(3)}, r'first, second: shapes \(4, 6\) and \(3, 6\)'),
    ({'t': np.zeros(3)}, r't: shape \(3,\) given; 4 numbers'),
    ({'t': np.full(4, 1.5)}, 't: '),
    ({'epsilon': 0.0}, 'epsilon: 0.0 given'),
    ({'make': lambda rows: make(rows) * np.nan}, 'distance: values that are not finite'),
    ({'distance': lambda a, b: (a - b).sum()}, r'distance: gave shape \(\) for 4 rows'),
    ({'distance': lambda a, b: a - b}, r'distance: gave shape \(4, 4, 4, 1\) for 4 pairs'),
    ({'batch_size': 0}, 'batch_size: 0 given'),
  ],
)
def test_path_length_names_what_is_wrong(wrong, message):
  given = {'make': make, 'distance': squared, 'first': latents(4), 'second': latents(4, 1), 't': np.zeros(4)} | wrong
  with pytest.raises(ValueError, match=message):
    path_length(**given)


@pytest.mark.parametrize(
  ('wrong', 'message'),
  [
    ({'latents': latents(2)}, r'latents: shape \(2, 6\) given; \[N >= 3, Z\]'),
    ({'latents': np.ones((9, 2))}, 'latents: all rows are equal'),
    ({'radius': 1.0}, 'radius: 1.0 given'),
    ({'see': lambda z: np.full((len(z), 2), np.inf)}, 'see: values that are not finite'),
  ],
)
def test_neighbourhoods_name_what_is_wrong(wrong, message):
  with pytest.raises(ValueError, match=message):
    neighbourhoods(**({'see': lambda z: z, 'latents': latents(9)} | wrong))


@pytest.mark.slow
def test_path_length_of_a_style_based_generator_in_z_and_w():
  net = Generator(resolution=16, w_dim=16, channel_base=256, channel_max=16)
  z, t = latents(2 * 48, z=16).reshape(2, 48, 16), np.random.default_rng(1).uniform(size=48)
  variables = jax.jit(net.init)(jax.random.key(0), z[0].astype(np.float32))
  whole = jax.jit(lambda x: net.apply(variables, x))
  half = jax.jit(lambda ws: net.apply(variables, ws, method='synthesize'))
  ws = [np.asarray(net.apply(variables, x.astype(np.float32), method='styles')) for x in z]

  def measured(epsilon):
    in_z = path_length(whole, squared, *z, t, epsilon, batch_size=16)
    return in_z, path_length(half, squared, *ws, t, epsilon, spherical=False, batch_size=16)

  for fine, coarse in zip(measured(1e-4), measured(1e-3), strict=True):  # single precision is enough for the usual step
    assert trimmed_mean(fine) == pytest.approx(trimmed_mean(coarse), rel=0.02)
  longer = path_length(whole, squared, 3 * z[0], z[1], t, 1e-3)  # the network normalises its latents
  np.testing.assert_allclose(longer, measured(1e-3)[0], rtol=0.05)
