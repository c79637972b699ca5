"""Walks through latents, and styles and noise by layer, against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kstest, truncnorm

from ganjax import latents
from ganjax.nets import stylegan2


def test_between_two_latents():
  a, b = jax.random.normal(jax.random.key(0), (2, 5, 64))
  t = jnp.linspace(0, 1, 7)[:, None, None]
  spherical = jax.jit(latents.spherical)
  for between in (latents.linear, spherical):
    path = between(a, b, t)
    assert path.shape == (7, 5, 64)
    np.testing.assert_allclose(path[0], a, atol=1e-5)
    np.testing.assert_allclose(path[-1], b, atol=1e-5)
  turned = spherical(jnp.array([2.0, 0.0]), jnp.array([0.0, 2.0]), jnp.array(1 / 3))
  np.testing.assert_allclose(turned, [2 * np.cos(np.pi / 6), 2 * np.sin(np.pi / 6)], rtol=1e-5)
  lengths = np.linalg.norm(spherical(a, b, t), axis=-1)
  assert lengths.min() > 0.9 * np.linalg.norm(np.stack([a, b]), axis=-1).min()  # a straight line comes to 0.7
  same = spherical(a, a, t)
  assert np.isfinite(same).all()
  np.testing.assert_allclose(same, jnp.broadcast_to(a, same.shape), atol=1e-5)
  zero = spherical(jnp.zeros(3), jnp.ones(3), jnp.array(0.5))
  np.testing.assert_allclose(zero, 0.5 * np.ones(3), atol=1e-6)


def test_a_walk_is_closed_and_passes_its_points():
  points = jax.random.normal(jax.random.key(0), (3, 8))
  path = latents.walk(points, 4)
  assert path.shape == (12, 8)
  np.testing.assert_allclose(path[::4], points, atol=1e-5)
  np.testing.assert_allclose(path[10], latents.spherical(points[2], points[0], jnp.array(0.5)), atol=1e-5)
  whole = latents.along({'latent': points, 'label': np.array([2, 0, 1])}, 4, latents.linear)
  np.testing.assert_allclose(whole['latent'][10], (points[2] + points[0]) / 2, atol=1e-5)
  assert whole['label'].tolist() == [2] * 12


def test_truncated_normal():
  z = jnp.asarray(np.random.default_rng(0).normal(size=20_000), jnp.float32)
  x = latents.truncated_normal(z, 0.5)
  assert abs(x).max() <= 0.5
  assert kstest(np.asarray(x, np.float64), truncnorm(-0.5, 0.5).cdf).pvalue > 0.01
  assert (np.diff(np.asarray(x)[np.argsort(z)]) >= 0).all()
  np.testing.assert_allclose(latents.truncated_normal(z, 9.0), z, atol=1e-3)  # as good as no threshold
  np.testing.assert_allclose(latents.truncated_normal(jnp.float32([-30, 30]), 0.5), [-0.5, 0.5])


@pytest.fixture(scope='module')
def styled():
  net = stylegan2.Generator(resolution=8, channels=1, w_dim=4, mapping_layers=1, channel_base=32, channel_max=4)
  variables = jax.jit(net.init)(jax.random.key(0), jnp.zeros((1, 3)))
  params = jax.tree_util.tree_map_with_path(
    lambda path, x: x + 1.0 if 'noise_strength' in str(path) else x, variables['params']
  )
  return net, variables | {'params': params}


def test_styles_are_mixed_by_layer():
  ws = jax.random.normal(jax.random.key(1), (5, 4, 3))
  sheet = latents.crossed(ws[:2], ws[2:], [1, 3])
  assert sheet.shape == (6, 4, 3)
  np.testing.assert_array_equal(sheet[4, ::2], ws[1, ::2])
  np.testing.assert_array_equal(sheet[4, 1::2], ws[3, 1::2])
  np.testing.assert_array_equal(latents.mixed(ws[:1], ws[1:2], []), ws[:1])
  np.testing.assert_allclose(latents.truncated(ws, ws[0, 0], 0.5, 2)[:, :2], (ws[0, 0] + ws[:, :2]) / 2, atol=1e-6)
  np.testing.assert_array_equal(latents.truncated(ws, ws[0, 0], 0.5, 2)[:, 2:], ws[:, 2:])


def test_noise_by_layer(styled):
  net, variables = styled
  ws = jax.random.normal(jax.random.key(1), (2, net.num_ws, 4))
  draw = lambda noise, **options: jax.jit(  # noqa: E731
    lambda ws: net.apply(variables, ws, noise=noise, method='synthesize', **options)
  )(ws)
  sides, key, rows = net.noise_sides, jax.random.key(2), jnp.arange(2)
  drawn = latents.layer_noise(sides, ['random'] * 3, key, rows)
  np.testing.assert_allclose(draw(drawn), draw('random', key=key, rows=rows), atol=1e-5)
  assert latents.layer_noise(sides, ['const', 'none', 'const']) == ['const', 'none', 'const']
  some = latents.layer_noise(sides, ['const', 'none', 'random'], key, rows)
  assert not np.array_equal(draw(some), draw('const'))
  np.testing.assert_array_equal(some[2][1:], latents.layer_noise(sides, ['none', 'none', 'random'], key, rows[1:])[2])
  for wrong in (['const'], ['const', 'none', 'loud']):
    with pytest.raises(ValueError, match=r"choices: .*valid are 3 of 'const', 'none' and 'random'"):
      latents.layer_noise(sides, wrong)
  with pytest.raises(ValueError, match='needs a key and rows'):
    latents.layer_noise(sides, ['random'] * 3)
