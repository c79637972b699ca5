"""The residual networks on torch-mimicry's weights, through the importer: outputs, buffers, losses and gradients."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import pytest
from parity import Fixture, close, flat

from ganjax.interop import from_torch
from ganjax.terms.rotation import rotated, rotation_loss

MODELS = ['sngan32', 'cgan_pd32', 'ssgan32', 'wgan_gp32', 'dcgan32', 'sagan32']
pytestmark = pytest.mark.slow


class Model:
  """A fixture's two players."""

  def __init__(self, name):
    self.fixture, self.name = Fixture(f'mimicry_{name}'), name
    self.loss = self.fixture.meta['loss_type']
    self.g, self.g_variables = self.fixture.network(f'mimicry/{name}.G', 'G')
    self.d, self.d_variables = self.fixture.network(f'mimicry/{name}.D', 'D')
    self.z, self.real = self.fixture['in/z'], self.fixture['in/real']

  def label(self, which):
    return self.fixture[f'in/y_{which}'] if self.g.classes else None

  def after(self, player, group):
    """The buffers under a group, as a whole tree with the parameters of before."""
    tensors = self.fixture.group(f'param/{player}/') | self.fixture.group(f'out/{group}/')
    return from_torch(f'mimicry/{self.name}.{player}', tensors, **self.fixture.cfg)[1]

  def judge(self, params, state, x, label):
    """A training forward: logits, what the heads say, and the vectors moved."""
    said, moved = self.d.apply({'params': params, **state}, x, label, train=True, mutable=list(state))
    logits, heads = said if isinstance(said, tuple) else (said, {})
    return logits, heads, dict(moved)


@pytest.fixture(params=MODELS)
def model(request):
  return Model(request.param)


def test_generator(model):
  apply = jax.jit(partial(model.g.apply, mutable=['batch_stats', 'spectral']), static_argnames='train')
  close(apply(model.g_variables, model.z, model.label('fake'))[0][:4], model.fixture['out/G_eval'])
  image, moved = apply(model.g_variables, model.z, model.label('fake'), train=True)
  close(image, model.fixture['out/G_train'])
  after = model.after('G', 'G_after1')
  close(moved, {name: after[name] for name in moved})


def test_discriminator(model):
  fixture, params = model.fixture, model.d_variables['params']
  said = model.d.apply(model.d_variables, model.real, model.label('real'))
  logits, heads = said if isinstance(said, tuple) else (said, {})
  close(logits, fixture['out/D_eval'][:, 0])
  state = {name: value for name, value in model.d_variables.items() if name != 'params'}
  logits, train_heads, moved = model.judge(params, state, model.real, model.label('real'))
  close(logits, fixture['out/D_train'][:, 0])
  if 'rotation' in heads:
    close(heads['rotation'], fixture['out/D_eval_rot'])
    close(train_heads['rotation'], fixture['out/D_train_rot'])
  if moved:
    close(vectors(moved['spectral'], fixture), vectors(model.after('D', 'D_after1')['spectral'], fixture))


def vectors(tree, fixture):
  """The vectors that the fixture has: not those of torch-mimicry's own norm, whose u stays out of its list."""
  own = any('sn_u' in name for name in fixture.arrays.files)
  return {name: value for name, value in flat(tree).items() if not (own and re.match('logit|embed|head', name))}


def test_losses_and_gradients(model):
  """D's loss on reals, then on fakes (then turned reals or a gradient penalty); G's on fresh players."""
  fixture, fake = model.fixture, model.fixture['out/G_train']
  params, state = dict(model.d_variables['params']), {k: v for k, v in model.d_variables.items() if k != 'params'}

  def d_loss(params):
    r, _, moved = model.judge(params, state, model.real, model.label('real'))
    f, _, moved = model.judge(params, moved, fake, model.label('fake'))
    if model.loss == 'hinge':
      value = jax.nn.relu(1 - r).mean() + jax.nn.relu(1 + f).mean()
    elif model.loss == 'ns':
      value = jax.nn.softplus(-r).mean() + jax.nn.softplus(f).mean()
    else:
      value = f.mean() - r.mean()
    if model.name.startswith('ssgan'):
      turned, turns = rotated(model.real)
      value += rotation_loss(model.judge(params, moved, turned, None)[1]['rotation'], turns)
    if model.loss == 'wasserstein':
      share = fixture['in/gp_alpha'][:, :, None, None]
      slope = jax.grad(lambda x: model.judge(params, moved, x, None)[0].sum())(share * model.real + (1 - share) * fake)
      value += 10 * jnp.square(jnp.sqrt(jnp.square(slope).sum((1, 2, 3))) - 1).mean()
    return value

  value, grads = jax.jit(jax.value_and_grad(d_loss))(params)
  if model.loss != 'ns':  # there the losses carry an epsilon inside the logarithm
    close(value, fixture['out/D_loss_total'])
  theirs = fixture.gradients(f'mimicry/{model.name}.D', 'D', 'D')
  if model.loss == 'wasserstein':  # no gradient but rounding: the last bias
    assert abs(float(grads['logit'].pop('bias')[0])) < 1e-5
    theirs['logit'].pop('bias')
  close(grads, theirs)

  kept = {name: value for name, value in model.g_variables.items() if name != 'params'}

  def g_loss(own):
    image, _ = model.g.apply({'params': own, **kept}, model.z, model.label('fake'), train=True, mutable=list(kept))
    logits, _, moved = model.judge(params, state, image, model.label('fake'))
    value = jax.nn.softplus(-logits).mean() if model.loss == 'ns' else -logits.mean()
    if model.name.startswith('ssgan'):
      turned, turns = rotated(image)
      value += 0.2 * rotation_loss(model.judge(params, moved, turned, None)[1]['rotation'], turns)
    return value

  value, grads = jax.jit(jax.value_and_grad(g_loss))(model.g_variables['params'])
  close(value, fixture['out/G_loss_total'])
  theirs, ours = flat(fixture.gradients(f'mimicry/{model.name}.G', 'G', 'G')), flat(grads)
  if model.g.attention:  # sums over all pixels that all but cancel: the reference's own noise is 1.1e-4
    for name in [name for name in theirs if re.fullmatch('block./(conv1|shortcut)/bias', name)]:
      close(ours.pop(name), theirs.pop(name), 3e-4)
  close(ours, theirs)
