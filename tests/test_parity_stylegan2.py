"""StyleGAN 2 on the authors' weights gives the authors' w, images, logits, losses and gradients."""

from functools import partial

import jax
import pytest
from parity import Fixture, close

from ganjax.terms.gradient import squared_norms
from ganjax.terms.path_length import path_lengths, path_penalty

softplus = jax.nn.softplus


@pytest.fixture(scope='module')
def fixture():
  return Fixture('stylegan2')


@pytest.fixture(scope='module')
def g(fixture):
  return fixture.network('stylegan2.G', 'G')


@pytest.fixture(scope='module')
def d(fixture):
  return fixture.network('stylegan2.D', 'Drc')


def test_mapping(fixture, g):
  module, variables = fixture.network('stylegan2.mapping', 'Mu')
  close(module.apply(variables, fixture['in/z']), fixture['out/ws_u'])
  module, variables = g

  def styles(**options):
    return module.apply(variables, fixture['in/z'], fixture['in/c'], method='styles', **options)

  close(styles()[:, 0], fixture['out/ws_c'])
  close(styles(truncation_psi=0.7)[:, -1], fixture['out/ws_c_psi0.7'])
  close(styles(truncation_psi=0.5, truncation_cutoff=3), fixture['out/ws_c_psi0.5_cutoff3'])


def test_synthesis(fixture, g):
  module, variables = g
  noises = [fixture[f'in/noise/{name}'] for name in
            ('b4.conv1', 'b8.conv0', 'b8.conv1', 'b16.conv0', 'b16.conv1', 'b32.conv0', 'b32.conv1')]  # fmt: skip
  for noise, name in (('none', 'none'), ('const', 'const'), (noises, 'explicit')):
    apply = jax.jit(partial(module.apply, noise=noise, method='synthesize'))
    image = apply(variables, fixture['in/ws'])
    close(image, fixture[f'out/img_{name}'])


@pytest.mark.parametrize('net', ['Drc', 'Dru', 'Dou'])
def test_discriminator(fixture, net):
  module, variables = fixture.network('stylegan2.D', net)
  apply = jax.jit(module.apply)
  logits = apply(variables, fixture['in/real'], fixture['in/c'] if module.classes else None)
  close(logits, fixture[f'out/{net}_logits'][:, 0])
  if net == 'Dru':  # a group of two
    close(apply(variables, fixture['in/real'][:2]), fixture['out/Dru_logits_first2'][:, 0])


@pytest.mark.slow
def test_losses_and_gradients(fixture, g, d):
  """The adversarial losses and R1, as in `StyleGAN2Loss` without mixing, with constant noise."""
  (generator, fixed), (critic, judging) = g, d
  kept = {name: value for name, value in fixed.items() if name != 'params'}
  z, c, real = fixture['in/z'], fixture['in/c'], fixture['in/real']

  def g_main(params):
    fake, moved = generator.apply({'params': params, **kept}, z, c, train=True, mutable=['averages'])
    logits = critic.apply(judging, fake, c, train=True)
    losses = softplus(-logits)
    return losses.mean(), (losses, logits, fake, moved)

  (_, (losses, logits, fake, moved)), grads = jax.jit(jax.value_and_grad(g_main, has_aux=True))(fixed['params'])
  close(losses, fixture['out/loss_Gmain/Loss/G/loss'][:, 0])
  close(logits, fixture['out/loss_Gmain/Loss/scores/fake'][:, 0])
  close(moved['averages']['mapping']['w'], fixture['out/w_avg_after_Gmain'])
  close(grads, fixture.gradients('stylegan2.G', 'G', 'Gmain/G'))

  def d_main(params):
    f = critic.apply({'params': params}, fake, c, train=True)
    r = critic.apply({'params': params}, real, c, train=True)
    return softplus(f).mean() + softplus(-r).mean(), (f, r)

  (_, (f, r)), grads = jax.jit(jax.value_and_grad(d_main, has_aux=True))(judging['params'])
  close(f, fixture['out/loss_Dmain/Loss/scores/fake'][:, 0])
  close(r, fixture['out/loss_Dmain/Loss/scores/real'][:, 0])
  close(softplus(-r), fixture['out/loss_Dmain/Loss/D/loss'][:, 0] - softplus(f))
  close(grads, fixture.gradients('stylegan2.D', 'Drc', 'Dmain/D'))


@pytest.mark.slow
def test_r1(fixture, d):
  critic, judging = d

  def penalty(params):
    norms = squared_norms(
      lambda x: critic.apply({'params': params}, x, fixture['in/c'], train=True), fixture['in/real']
    )
    return fixture.cfg['gamma'] / 2 * norms.mean(), norms

  (_, norms), grads = jax.jit(jax.value_and_grad(penalty, has_aux=True))(judging['params'])
  close(norms, fixture['out/loss_Dreg/Loss/r1_penalty'])
  close(norms * fixture.cfg['gamma'] / 2, fixture['out/loss_Dreg/Loss/D/reg'])
  close(grads, fixture.gradients('stylegan2.D', 'Drc', 'Dreg/D'))


@pytest.mark.slow
def test_path_length(fixture, g):
  generator, fixed = g
  kept = {name: value for name, value in fixed.items() if name != 'params'}
  half = fixture['in/z'].shape[0] // 2

  def penalty(params):
    variables = {'params': params, **kept}
    ws = generator.apply(variables, fixture['in/z'][:half], fixture['in/c'][:half], train=True, method='styles')
    lengths = path_lengths(lambda ws: generator.apply(variables, ws, method='synthesize'), ws, fixture['in/pl_noise'])
    values, mean = path_penalty(lengths, fixture['in/pl_mean0'])
    return 2 * values.mean(), (values, mean)

  (_, (values, mean)), grads = jax.jit(jax.value_and_grad(penalty, has_aux=True))(fixed['params'])
  close(values, fixture['out/loss_Greg/Loss/pl_penalty'])
  close(mean, fixture['out/pl_mean1'])
  close(grads, fixture.gradients('stylegan2.G', 'G', 'Greg/G'))
