"""Layers and networks: statistics over devices, spectral norm, shapes, dtypes and errors."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganjax.nets import dcgan, layers, mlp, resnet
from ganjax.ops import spectral

KEY = jax.random.key(0)


def test_batch_norm_normalises_and_keeps_pytorch_statistics():
  x = 3 + 2 * jax.random.normal(KEY, (4, 3, 3, 5))
  module = layers.BatchNorm()
  variables = module.init(KEY, x)
  y, moved = module.apply(variables, x, train=True, mutable=['batch_stats'])
  np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-5)
  np.testing.assert_allclose(y.var((0, 1, 2)), 1, atol=1e-4)
  stats = moved['batch_stats']
  np.testing.assert_allclose(stats['mean'], 0.1 * x.mean((0, 1, 2)), rtol=1e-5)
  np.testing.assert_allclose(stats['var'], 0.9 + 0.1 * x.var((0, 1, 2), ddof=1), rtol=1e-5)
  evaluated = module.apply({**variables, **moved}, x)
  expected = (x - stats['mean']) / jnp.sqrt(stats['var'] + 1e-5)
  np.testing.assert_allclose(evaluated, expected, atol=1e-5)


def test_batch_norm_over_an_axis_is_the_global_batch():
  """Statistics, results and gradients of two shares are those of the whole batch."""
  x = 1 + jax.random.normal(KEY, (8, 2, 2, 3))
  weight = jax.random.normal(jax.random.key(1), x.shape)
  module = layers.BatchNorm()
  variables = module.init(KEY, x)

  def loss(x, weight, axis):
    y, moved = module.apply(variables, x, train=True, axis=axis, mutable=['batch_stats'])
    return jnp.sum(y * weight), moved

  (_, stats), grads = jax.value_and_grad(loss, has_aux=True)(x, weight, None)
  shares = lambda a: a.reshape(2, 4, *a.shape[1:])  # noqa: E731
  share = jax.vmap(jax.value_and_grad(lambda x, w: loss(x, w, 'data'), has_aux=True), axis_name='data')
  (_, stats_two), grads_two = share(shares(x), shares(weight))
  np.testing.assert_allclose(grads_two.reshape(grads.shape), grads, atol=1e-5)
  for whole, both in zip(jax.tree.leaves(stats), jax.tree.leaves(stats_two), strict=True):
    np.testing.assert_allclose(both[0], whole, rtol=1e-5)


def test_spectral_norm_iterates_in_training_only():
  x = jax.random.normal(KEY, (2, 6))
  module = layers.Dense(4, spectral=True)
  variables = module.init(KEY, x)
  w = variables['params']['kernel']
  sigma = np.linalg.svd(w, compute_uv=False)[0]
  largest = lambda variables: np.abs(module.apply(variables, jnp.eye(6))).max()  # noqa: E731
  np.testing.assert_allclose(module.apply(variables, x), x @ w / sigma, rtol=0.05, atol=0.02)
  before = largest(variables)
  for _ in range(30):
    _, moved = module.apply(variables, x, train=True, mutable=['spectral'])
    variables = {**variables, **moved}
  np.testing.assert_allclose(module.apply(variables, x), x @ w / sigma, atol=1e-5)
  assert largest(variables) == pytest.approx(before, rel=0.05)
  held = module.apply(variables, x, train=True)  # immutable: iterates, keeps nothing
  np.testing.assert_allclose(held, x @ w / sigma, atol=1e-5)


def test_spectral_gradient_holds_the_vectors():
  """d(w / sigma) = dw / sigma - w (v' dw u) / sigma^2, with u and v from the same forward."""
  w = jax.random.normal(KEY, (3, 3, 2, 4))
  u, v = spectral.iterate(w, jnp.ones(4) / 2)
  weight = jax.random.normal(jax.random.key(1), w.shape)
  found = jax.grad(lambda w: jnp.sum(weight * w / spectral.sigma(w, *spectral.iterate(w, jnp.ones(4) / 2))))(w)
  s = spectral.sigma(w, u, v)
  expected = weight / s - jnp.sum(weight * w) / s**2 * jnp.outer(v, u).reshape(w.shape)
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


NETWORKS = {
  'dcgan8': (dcgan.Generator, dcgan.Discriminator, {'resolution': 8, 'width': 4}),
  'dcgan32': (dcgan.Generator, dcgan.Discriminator, {'resolution': 32, 'width': 4, 'channels': 1}),
  'dcgan_layer': (dcgan.Generator, dcgan.Discriminator, {'resolution': 8, 'width': 4, 'norm': 'layer'}),
  **{f'resnet{r}': (resnet.Generator, resnet.Discriminator, {'resolution': r, 'width': 16}) for r in (32, 48, 64, 128)},
}


def lack(network, **fields):
  """The fields that the network has."""
  return network(**{name: value for name, value in fields.items() if name in network.__dataclass_fields__})


@pytest.mark.parametrize(('dtype', 'classes'), [('float32', 0), ('float32', 3), ('bfloat16', 0)])
@pytest.mark.parametrize('name', NETWORKS)
def test_networks(name, dtype, classes):
  g_class, d_class, fields = NETWORKS[name]
  fields = {**fields, 'classes': classes, 'dtype': dtype}
  g, d = lack(g_class, **fields), lack(d_class, **fields)
  z, label = jax.random.normal(KEY, (2, 8)), jnp.arange(2) if classes else None
  size = (2, fields['resolution'], fields['resolution'], fields.get('channels', 3))

  def run(key):
    variables = g.init(key, z, label)
    image, _ = g.apply(variables, z, label, train=True, mutable=[k for k in variables if k != 'params'])
    d_variables = d.init(key, image, label)
    logits, _ = d.apply(d_variables, image, label, train=True, mutable=[k for k in d_variables if k != 'params'])
    return variables, image, logits

  variables, image, logits = (jax.jit(run) if name == 'dcgan8' else partial(jax.eval_shape, run))(KEY)
  assert image.shape == size
  assert logits.shape == (2,)
  assert image.dtype == logits.dtype == jnp.dtype(dtype)
  if name == 'dcgan8':
    assert float(jnp.abs(image).max()) <= 1
    assert bool(jnp.isfinite(logits).all())
  assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype(jnp.float32)}


@pytest.mark.parametrize('classes', [0, 3])
def test_mlp(classes):
  g, d = mlp.Generator(features=5, hidden=(7,), classes=classes), mlp.Discriminator(hidden=(7, 6), classes=classes)
  z, label = jnp.ones((4, 3)), jnp.arange(4) % 3 if classes else None
  row = g.apply(g.init(KEY, z, label), z, label)
  assert row.shape == (4, 5)
  assert d.apply(d.init(KEY, row, label), row, label).shape == (4,)


@pytest.mark.parametrize(
  ('make', 'field'),
  [
    (lambda: dcgan.Generator(resolution=28), 'resolution: 28'),
    (lambda: dcgan.Discriminator(channels=0), 'channels: 0'),
    (lambda: resnet.Generator(resolution=8), 'resolution: 8'),
    (lambda: resnet.Discriminator(resolution=64, width=20), 'width: 20'),
  ],
)
def test_impossible_sizes_name_the_field(make, field):
  with pytest.raises(ValueError, match=field):
    make()


def test_a_conditional_network_asks_for_labels():
  with pytest.raises(ValueError, match='label'):
    dcgan.Generator(resolution=8, width=4, classes=3).init(KEY, jnp.ones((2, 4)))


def test_no_bias_before_a_batch_norm():
  params = dcgan.Generator(resolution=16, width=4).init(KEY, jnp.ones((2, 4)))['params']
  assert [name for name in params if 'bias' in params[name]] == ['up1']
