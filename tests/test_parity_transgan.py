"""TransGAN on the authors' weights and noise gives the authors' images, logits, losses and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parity import Fixture, close

from ganjax.interop import from_torch
from ganjax.nets.transgan import relative
from ganjax.terms.gradient import mix, squared_norms


@pytest.fixture(scope='module')
def fixture():
  return Fixture('transgan')


def noise(fixture, name):
  return [fixture[f'in/noise/{name}/{i}'] for i in range(2 * fixture.cfg['dd'] + 1)]


def norms(tree):
  return jax.tree.map(lambda x: jnp.sqrt(jnp.square(x).sum()), tree)


def close_gradients(fixture, kind, player, grads):
  """The norms of all gradients, and those that are stored whole."""
  tensors = fixture.group(f'param/{player}/')
  flat = {name: np.full_like(value, fixture.arrays[f'gradnorm/{player}/{name}'] / np.sqrt(value.size))
          for name, value in tensors.items()}  # fmt: skip
  close(norms(grads), norms(from_torch(kind, flat, **fixture.cfg)[1]['params']))
  whole = fixture.group(f'grad/{player}/')
  assert whole
  marked = [from_torch(kind, {name: np.full_like(value, name in whole) for name, value in tensors.items()},
                       **fixture.cfg)[1]['params'], fixture.gradients(kind, player, player)]  # fmt: skip
  close(jax.tree.map(jnp.multiply, grads, marked[0]), jax.tree.map(jnp.multiply, marked[1], marked[0]))


def test_relative_positions(fixture):
  table = jnp.stack([jnp.arange(49.0), -jnp.arange(49.0)], 1)
  found = relative(table)
  np.testing.assert_array_equal(found[0], fixture['out/relative_position_index_window4'])
  np.testing.assert_array_equal(found[1], -found[0])


def test_outputs(fixture):
  generator, g = fixture.network('transgan.G', 'G')
  critic, d = fixture.network('transgan.D', 'D')
  fake = jax.jit(generator.apply)(g, fixture['in/z'])
  close(fake, fixture['out/G'])
  judge = jax.jit(critic.apply)
  close(judge(d, fixture['in/real'], noise=noise(fixture, 'real')), fixture['out/D_real'][:, 0])
  close(judge(d, fake, noise=noise(fixture, 'fake')), fixture['out/D_fake'][:, 0])


@pytest.mark.slow
def test_discriminator_loss(fixture):
  """WGAN-GP with the authors' drift, the square of a mean; its gradients."""
  critic, d = fixture.network('transgan.D', 'D')
  real, fake = fixture['in/real'], fixture['out/G']
  between = mix(fixture['in/gp_alpha'].reshape(-1), real, fake)

  def loss(params):
    judge = lambda x, name: critic.apply({'params': params}, x, train=True, noise=noise(fixture, name))  # noqa: E731
    r, f = judge(real, 'real').mean(), judge(fake, 'fake').mean()
    lengths = jnp.sqrt(squared_norms(lambda x: judge(x, 'gp'), between))
    penalty = jnp.square(lengths - 1).mean()
    return f - r + 10 * penalty + 1e-3 * r**2, penalty

  (total, penalty), grads = jax.jit(jax.value_and_grad(loss, has_aux=True))(d['params'])
  close(total, fixture['out/D_loss_wgangp_eps'])
  close(penalty, fixture['out/gp'])
  close_gradients(fixture, 'transgan.D', 'D', grads)


@pytest.mark.slow
def test_generator_loss(fixture):
  generator, g = fixture.network('transgan.G', 'G')
  critic, d = fixture.network('transgan.D', 'D')

  def loss(params):
    fake = generator.apply({'params': params}, fixture['in/z'], train=True)
    return -critic.apply(d, fake, train=True, noise=noise(fixture, 'g')).mean()

  value, grads = jax.jit(jax.value_and_grad(loss))(g['params'])
  close(value, fixture['out/G_loss'])
  close_gradients(fixture, 'transgan.G', 'G', grads)
