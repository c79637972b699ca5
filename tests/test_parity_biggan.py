"""BigGAN on the weights of BigGAN-PyTorch, through the importer: outputs, buffers, losses, gradients, regularisation."""

from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util
from parity import Fixture, close, flat

from ganjax.interop import from_torch
from ganjax.terms.weights import orthogonal


class Model:
  """A fixture's two players."""

  def __init__(self, name):
    self.fixture = Fixture(name)
    self.g, self.g_variables = self.fixture.network('biggan.G', 'G')
    self.d, self.d_variables = self.fixture.network('biggan.D', 'D')
    self.label = {which: self.fixture[f'in/y_{which}'] for which in ('fake', 'real')}

  def after(self, player):
    """The buffers after one training forward."""
    tensors = self.fixture.group(f'param/{player}/') | self.fixture.group(f'out/{player}_after1/')
    return from_torch(f'biggan.{player}', tensors, **self.fixture.cfg)[1]


@pytest.fixture(scope='module')
def model():
  return Model('biggan32')


def kept(variables):
  return {name: value for name, value in variables.items() if name != 'params'}


def moved_as(moved, after):
  """Buffers as theirs, but v, which they don't keep."""
  for collection, value in moved.items():
    ours, theirs = (
      {k: v for k, v in flat(tree).items() if not k.endswith('/v')} for tree in (value, after[collection])
    )
    close(traverse_util.unflatten_dict(ours, sep='/'), traverse_util.unflatten_dict(theirs, sep='/'))


def test_generator(model):
  apply = jax.jit(partial(model.g.apply, mutable=list(kept(model.g_variables))), static_argnames='train')
  z, label = model.fixture['in/z'], model.label['fake']
  image, moved = apply(model.g_variables, z, label)
  close(image[: len(model.fixture['out/G_eval'])], model.fixture['out/G_eval'])
  assert all((moved['spectral']['project'][k] == v).all() for k, v in model.g_variables['spectral']['project'].items())
  image, moved = apply(model.g_variables, z, label, train=True)
  close(image, model.fixture['out/G_train'])
  moved_as(dict(moved), model.after('G'))


def test_discriminator(model):
  apply = jax.jit(partial(model.d.apply, mutable=['spectral']), static_argnames='train')
  arguments = (model.d_variables, model.fixture['in/real'], model.label['real'])
  close(apply(*arguments)[0], model.fixture['out/D_eval'][:, 0])
  logits, moved = apply(*arguments, train=True)
  close(logits, model.fixture['out/D_train'][:, 0])
  moved_as(dict(moved), model.after('D'))


def test_orthogonal_regularisation(model):
  """Its gradient is what they add to that of the loss."""
  value = lambda params: orthogonal(SimpleNamespace(params={'g': params}), None)[0]  # noqa: E731
  grads = flat(jax.jit(jax.grad(value))(model.g_variables['params']))
  theirs = model.fixture.group('param/G/') | (added := model.fixture.group('out/ortho_add_1e-4/'))
  wanted = flat(from_torch('biggan.G', theirs, **model.fixture.cfg)[1]['params'])
  before = flat(model.g_variables['params'])
  slopes = flat(model.fixture.gradients('biggan.G', 'G', 'G'))
  changed = [name for name in wanted if (wanted[name] != before[name]).any()]
  assert len(changed) == len(added)
  for (
    name
  ) in changed:  # they added it to the loss's gradient and took the difference: half a unit of that in its last place
    rounding = np.spacing(abs(slopes[name]).max()) / 2
    assert abs(grads[name] - wanted[name]).max() <= 1e-3 * abs(wanted[name]).max() + rounding, name


@pytest.mark.slow
def test_losses_and_gradients(model):
  """D's loss on fakes and reals in one forward; G's on fresh players."""
  fixture, g_state, d_state = model.fixture, kept(model.g_variables), kept(model.d_variables)
  fake, real = fixture['out/G_train'], fixture['in/real']

  def d_loss(params):
    x, label = jnp.concatenate([fake, real]), jnp.concatenate([model.label['fake'], model.label['real']])
    logits, _ = model.d.apply({'params': params, **d_state}, x, label, train=True, mutable=list(d_state))
    f, r = jnp.split(logits, 2)
    parts = {'real': jax.nn.relu(1 - r).mean(), 'fake': jax.nn.relu(1 + f).mean()}
    return sum(parts.values()), (f, r, parts)

  (_, (f, r, parts)), grads = jax.jit(jax.value_and_grad(d_loss, has_aux=True))(model.d_variables['params'])
  close(f, fixture['out/D_fake_logits'][:, 0])
  close(r, fixture['out/D_real_logits'][:, 0])
  for name, value in parts.items():
    close(value, fixture[f'out/D_loss_{name}'])
  close(grads, fixture.gradients('biggan.D', 'D', 'D'))

  def g_loss(params):
    image, _ = model.g.apply(
      {'params': params, **g_state}, fixture['in/z'], model.label['fake'], train=True, mutable=list(g_state)
    )
    logits, _ = model.d.apply(model.d_variables, image, model.label['fake'], train=True, mutable=list(d_state))
    return -logits.mean(), logits

  (value, logits), grads = jax.jit(jax.value_and_grad(g_loss, has_aux=True))(model.g_variables['params'])
  close(value, fixture['out/G_loss'])
  softplus = [jax.nn.softplus(-r).mean(), jax.nn.softplus(logits).mean(), jax.nn.softplus(-logits).mean()]
  close(jnp.stack(softplus), fixture['out/dcgan_losses_on_D_logits'])
  ours, theirs = flat(grads), flat(fixture.gradients('biggan.G', 'G', 'G'))
  largest = max(abs(value).max() for value in theirs.values())
  for name in noise_only(fixture):  # a batch norm removes them: ours don't learn
    assert not ours.pop(name).any()
    assert abs(theirs.pop(name)).max() < 1e-4 * largest
  close(ours, theirs)


def noise_only(fixture):
  """Our names of G's biases without an effect."""
  layers = {'conv1': 'conv0', 'conv2': 'conv1', 'conv_sc': 'shortcut'}
  names = [name.split('/')[2].split('.') for name in fixture.meta['input_noise_2e_7']['noise_only_grads']]
  return [f'block{number}/{layers[layer]}/bias' for _, number, _, layer, _ in names]
