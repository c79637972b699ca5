"""ProGAN on the weights of pytorch_GAN_zoo gives its images, logits, losses and gradients, at 8 and at 16 pixels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parity import Fixture, close

from ganjax.interop import from_torch
from ganjax.losses import wasserstein
from ganjax.terms.gradient import mix, squared_norms


@pytest.fixture(scope='module')
def fixture():
  return Fixture('progan')


def network(fixture, player, side, alpha):
  """The network as it was when it had grown to `side` pixels."""
  last = side.bit_length() - 3
  tensors = {
    name: value
    for name, value in fixture.group(f'param/{player}/').items()
    if not name.startswith(('toRGB', 'fromRGB', 'scaleLayers'))
    or int(name.split('.')[1]) <= last - name.startswith('scaleLayers')
  }
  return from_torch(f'progan.{player}', tensors, **fixture.cfg | {'alpha': alpha})


@pytest.mark.parametrize('side', [8, 16])
def test_outputs(fixture, side):
  for player, x in (('G', fixture['in/z']), ('D', fixture[f'in/real_{side}'])):
    module, variables = network(fixture, player, side, fixture.cfg['alpha'])
    assert module.resolution == side
    apply = jax.jit(module.apply)
    for alpha in (fixture.cfg['alpha'], 0.0):
      out = apply(variables | {'fade': {'alpha': jnp.float32(1 - alpha)}}, x)
      wanted = fixture[f'out/{player}_{side}_alpha{alpha}']
      close(out, wanted[:, 0] if player == 'D' else wanted)


@pytest.mark.slow
def test_discriminator_loss(fixture):
  """WGAN-GP with drift, summed over the batch; its gradients."""
  critic, variables = fixture.network('progan.D', 'D')
  generator, g = fixture.network('progan.G', 'G')
  real, fake = fixture['in/real_16'], jax.jit(generator.apply)(g, fixture['in/z'])
  between = mix(fixture['in/gp_alpha'][:, 0], real, fake)

  def loss(params):
    judge = lambda x: critic.apply(variables | {'params': params}, x)  # noqa: E731
    r, f = judge(real), judge(fake)
    parts = {'D_wgan_sum': wasserstein().d(r, f).sum(), 'D_drift_sum': 0.001 * jnp.square(r).sum(),
             'gp_weighted_sum': 10 * jnp.square(jnp.sqrt(squared_norms(judge, between)) - 1).sum()}  # fmt: skip
    return sum(parts.values()), parts

  (_, parts), grads = jax.jit(jax.value_and_grad(loss, has_aux=True))(variables['params'])
  for name, value in parts.items():
    close(value, fixture[f'out/{name}'])
  wanted = fixture.gradients('progan.D', 'D', 'D')
  # 8 - 8 and the drift's .004: the reference is 2e-4 off the closed form, sqrt(2 / 16) .002 sum D(real).
  ours, theirs = (tree['logit'].pop('bias') for tree in (grads, wanted))
  np.testing.assert_allclose(ours, theirs, atol=1e-6)
  close(grads, wanted)


@pytest.mark.slow
def test_generator_loss(fixture):
  critic, d = fixture.network('progan.D', 'D')
  generator, variables = fixture.network('progan.G', 'G')

  def loss(params):
    return -critic.apply(d, generator.apply(variables | {'params': params}, fixture['in/z'])).sum()

  value, grads = jax.jit(jax.value_and_grad(loss))(variables['params'])
  close(value, fixture['out/G_loss_sum'])
  close(grads, fixture.gradients('progan.G', 'G', 'G'))
