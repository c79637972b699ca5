import jax
import jax.numpy as jnp
import pytest

from ganjax.nets.dcgan import Discriminator, Generator


@pytest.mark.parametrize('norm', ['batch', 'none'])
@pytest.mark.parametrize(('resolution', 'smallest', 'maps'), [(8, 4, 1), (8, 2, 2), (32, 4, 3)])
def test_shapes_follow_resolution_and_smallest_map(norm, resolution, smallest, maps):
  g = Generator(resolution=resolution, channels=1, width=4, smallest=smallest, hidden=(6, 5), norm=norm)
  d = Discriminator(resolution=resolution, channels=1, width=4, smallest=smallest, hidden=(7,), norm=norm)
  image, g_variables = g.init_with_output(jax.random.key(0), jnp.ones((3, 16)))
  logits, d_variables = d.init_with_output(jax.random.key(1), image)
  assert image.shape == (3, resolution, resolution, 1)
  assert jnp.abs(image).max() <= 1
  assert logits.shape == (3,)
  most = 4 * 2 ** (maps - 1)
  assert g_variables['params']['hidden1']['kernel'].shape == (6, 5)
  assert g_variables['params']['project']['kernel'].shape == (5, smallest**2 * most)
  assert d_variables['params']['hidden0']['kernel'].shape == (smallest**2 * most, 7)
  assert d_variables['params']['logit']['kernel'].shape == (7, 1)
  assert ('bias' in g_variables['params']['hidden0']) == (norm == 'none')  # a norm takes it away again
  assert sum(name.startswith('up') for name in g_variables['params']) == maps


@pytest.mark.parametrize('net', [Generator, Discriminator])
@pytest.mark.parametrize('fields', [{'smallest': 3}, {'resolution': 12}, {'smallest': 8, 'resolution': 8}])
def test_refuses_sizes_by_name(net, fields):
  with pytest.raises(ValueError, match=next(iter(fields))):
    net(**fields)
