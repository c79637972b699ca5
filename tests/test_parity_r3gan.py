"""R3GAN on the authors' weights gives the authors' images, logits, losses and gradients, with classes and without."""

import jax
import pytest
from parity import Fixture, close

from ganjax.terms.gradient import squared_norms

softplus = jax.nn.softplus


@pytest.fixture(scope='module')
def fixture():
  return Fixture('r3gan')


def players(fixture, case):
  """Generator, discriminator, their variables, and the label."""
  label = fixture['in/c'] if case == 'c' else None
  return *fixture.network('r3gan.G', f'G{case}'), *fixture.network('r3gan.D', f'D{case}'), label


@pytest.mark.parametrize('case', ['u', 'c'])
def test_outputs(fixture, case):
  generator, g, critic, d, label = players(fixture, case)
  fake = jax.jit(generator.apply)(g, fixture['in/z'], label)
  judge = jax.jit(critic.apply)
  close(fake, fixture[f'out/G{case}_img'])
  close(judge(d, fixture['in/real'], label), fixture[f'out/D{case}_real'])
  close(judge(d, fake, label), fixture[f'out/D{case}_fake'])


@pytest.mark.slow
@pytest.mark.parametrize('case', ['u', 'c'])
def test_discriminator_loss(fixture, case):
  """RpGAN + R1 + R2, equation 2 of the paper, and the gradients of all and of the two penalties alone."""
  _, _, critic, d, label = players(fixture, case)
  real, fake, gamma = fixture['in/real'], fixture[f'out/G{case}_img'], fixture.cfg['gamma']

  def parts(params):
    judge = lambda x: critic.apply({'params': params}, x, label, train=True)  # noqa: E731
    return {'adv': softplus(judge(fake) - judge(real)), 'r1': squared_norms(judge, real),
            'r2': squared_norms(judge, fake)}  # fmt: skip

  def penalties(params):
    found = parts(params)
    return (gamma / 2 * (found['r1'] + found['r2'])).mean(), found

  def loss(params):
    value, found = penalties(params)
    return value + found['adv'].mean(), found

  (total, found), grads = jax.jit(jax.value_and_grad(loss, has_aux=True))(d['params'])
  close(total, fixture[f'out/D{case}_loss/total'])
  for name, value in found.items():
    close(value, fixture[f'out/D{case}_loss/{name}'])
  close(grads, fixture.gradients('r3gan.D', f'D{case}', f'D{case}'))
  (total, _), grads = jax.jit(jax.value_and_grad(penalties, has_aux=True))(d['params'])
  close(total, fixture[f'out/D{case}_reg/total'])
  close(grads, fixture.gradients('r3gan.D', f'D{case}', f'D{case}_reg'))


@pytest.mark.slow
@pytest.mark.parametrize('case', ['u', 'c'])
def test_generator_loss(fixture, case):
  generator, g, critic, d, label = players(fixture, case)

  def loss(params):
    fake = generator.apply({'params': params}, fixture['in/z'], label, train=True)
    relative = critic.apply(d, fake, label, train=True) - critic.apply(d, fixture['in/real'], label, train=True)
    return softplus(-relative).mean(), (softplus(-relative), relative)

  (total, (each, relative)), grads = jax.jit(jax.value_and_grad(loss, has_aux=True))(g['params'])
  close(total, fixture[f'out/G{case}_loss/total'])
  close(each, fixture[f'out/G{case}_loss/adv'])
  close(relative, fixture[f'out/G{case}_loss/rel'])
  close(grads, fixture.gradients('r3gan.G', f'G{case}', f'G{case}'))
