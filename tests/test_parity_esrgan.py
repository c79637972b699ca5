"""Super-resolution on weights of the authors' code: ESRGAN's generator, BasicSR's generator and discriminators, losses."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parity import Fixture, close
from test_parity_pix2pix import check_refusals

from ganjax import losses
from ganjax.interop import from_torch


@pytest.fixture(scope='module')
def esrgan():
  return Fixture('esrgan')


@pytest.fixture(scope='module')
def srgan():
  return Fixture('srgan_vgg_d')


@pytest.mark.slow
@pytest.mark.parametrize(('kind', 'net'), [('esrgan.msrresnet', 'S'), ('esrgan.rrdb', 'E')])
def test_generators(esrgan, kind, net):
  module, variables = esrgan.network(kind, net)
  close(jax.jit(module.apply)(variables, esrgan['in/lr']), esrgan[f'out/{net}'])


@pytest.mark.slow
def test_generator_gradients(esrgan):
  module, variables = esrgan.network('esrgan.rrdb', 'E')
  loss = lambda params: (module.apply({'params': params}, esrgan['in/lr']) * esrgan['in/w_E']).mean()  # noqa: E731
  close(jax.jit(jax.grad(loss))(variables['params']), esrgan.gradients('esrgan.rrdb', 'E', 'E'))


@pytest.mark.slow
def test_unet_discriminator(esrgan):
  module, variables = esrgan.network('esrgan.unet_sn', 'U')
  apply = jax.jit(partial(module.apply, mutable=['spectral']), static_argnames='train')
  close(apply(variables, esrgan['in/hr'])[0], esrgan['out/U_eval'][..., 0])
  y, moved = apply(variables, esrgan['in/hr'], train=True)
  close(y, esrgan['out/U_train'][..., 0])
  tensors = esrgan.group('param/U/') | esrgan.group('out/U_after1/')
  close(moved, {'spectral': from_torch('esrgan.unet_sn', tensors, **esrgan.cfg)[1]['spectral']})


@pytest.mark.slow
def test_vgg_discriminator(srgan):
  module, variables = srgan.network('srgan.vgg_d', 'D')
  apply = jax.jit(partial(module.apply, mutable=['batch_stats']), static_argnames='train')
  image = jnp.asarray(srgan.arrays['in/hr_uint8'].transpose(0, 2, 3, 1), jnp.float32) / 255
  close(apply(variables, image)[0], srgan['out/eval'][:, 0])
  y, moved = apply(variables, image, train=True)
  close(y, srgan['out/train'][:, 0], 1e-3)
  tensors = srgan.group('param/D/') | srgan.group('out/after1/')
  close(moved, {'batch_stats': from_torch('srgan.vgg_d', tensors, **srgan.cfg)[1]['batch_stats']})


def test_relativistic_average(esrgan):
  """ESRGAN's, section 3.2: the average discriminator; each player descends the mean of the two sides."""
  real, fake = esrgan['in/real_logits'], esrgan['in/fake_logits']
  pair = losses.relativistic_average()
  close(pair.g(real, fake).mean() / 2, esrgan['out/ragan_G'])
  for side, found in zip(('real', 'fake'), pair.parts(real, fake), strict=True):
    close(found.mean() / 2, esrgan[f'out/ragan_D_{side}'])


# BasicSR's modes of one side; its least squares have no halves.
SIDES = {'vanilla': (losses.non_saturating, 1), 'lsgan': (losses.lsgan, 2), 'wgan': (losses.wasserstein, 1),
         'wgan_softplus': (losses.logistic, 1), 'hinge': (losses.hinge, 1)}  # fmt: skip


@pytest.mark.parametrize('mode', SIDES)
def test_losses_of_one_side(esrgan, mode):
  """Of reals that are to be real and fakes that are to be fake, for D and for G; G's hinge falls in any case."""
  pair, scale = SIDES[mode]
  sides = esrgan['in/real_logits'], esrgan['in/fake_logits']
  for target, logits, of_d in zip((1, 0), sides, pair().parts(*sides), strict=True):
    of_g = pair().g(logits, logits) if mode == 'hinge' else of_d
    close(scale * of_d.mean(), esrgan[f'out/ganloss_{mode}_target{target}_disc1'])
    close(scale * of_g.mean(), esrgan[f'out/ganloss_{mode}_target{target}_disc0'])


@pytest.mark.slow
@pytest.mark.parametrize(('kind', 'net'), [('esrgan.rrdb', 'E'), ('esrgan.msrresnet', 'S'), ('esrgan.unet_sn', 'U')])
def test_every_tensor_matters(esrgan, kind, net):
  tensors = esrgan.group(f'param/{net}/')
  check_refusals(kind, tensors, esrgan.cfg)


@pytest.mark.slow
def test_every_tensor_of_the_vgg_discriminator_matters(srgan):
  check_refusals('srgan.vgg_d', srgan.group('param/D/'), srgan.cfg)


@pytest.mark.slow
def test_later_names_and_smaller_scales(esrgan):
  """BasicSR's RRDBNet: other names, and for a scale of 2 blocks of 2x2 pixels are channels."""
  names = {'RRDB_trunk': 'body', 'RDB': 'rdb', 'trunk_conv': 'conv_body', 'upconv': 'conv_up', 'HRconv': 'conv_hr'}
  later = {}
  for name, value in esrgan.group('param/E/').items():
    for old, new in names.items():
      name = name.replace(old, new)
    later[name] = value
  module, variables = from_torch('esrgan.rrdb', later)
  close(jax.jit(module.apply)(variables, esrgan['in/lr']), esrgan['out/E'])
  first = later['conv_first.weight']
  module, variables = from_torch('esrgan.rrdb', later | {'conv_first.weight': np.repeat(first, 4, 1)})
  assert module.scale == 2
  found = jax.eval_shape(module.apply, variables, np.zeros((2, 6, 10, 3), np.float32))
  assert found.shape == (2, 12, 20, 3)
