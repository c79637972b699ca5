"""SAGAN's attention block on the weights of BigGAN-PyTorch's gives its outputs, vectors and gradients."""

import jax
import jax.numpy as jnp
from parity import Fixture, close

from ganjax.interop import from_torch


def test_attention():
  fixture = Fixture('sagan_attention')
  tensors = fixture.group('param/')
  module, variables = from_torch('sagan.attention', tensors, **fixture.cfg)
  state = {'spectral': variables['spectral']}
  close(jax.jit(module.apply)(variables, fixture['in/x']), fixture['out/eval'])

  def loss(params, x):
    y, moved = module.apply({'params': params, **state}, x, True, mutable=['spectral'])
    return (y * fixture['in/w']).sum(), (y, moved)

  (_, (y, moved)), (grads, slope) = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))(
    variables['params'], fixture['in/x']
  )
  close(y, fixture['out/train'])
  close(slope, fixture['grad/x'])
  theirs = {name: value for name, value in fixture.group('grad/').items() if name != 'x'}
  close(grads, from_torch('sagan.attention', tensors | theirs, **fixture.cfg)[1]['params'])
  after = from_torch('sagan.attention', tensors | fixture.group('out/after1/'), **fixture.cfg)[1]['spectral']
  for layer, vectors in after.items():
    close(moved['spectral'][layer]['u'], vectors['u'])
  assert jnp.isfinite(slope).all()
