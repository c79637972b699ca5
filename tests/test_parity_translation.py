"""The games of pix2pix and CycleGAN themselves on the authors' weights: their losses and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parity import Fixture, close
from test_parity_pix2pix import check_gradients

from ganjax import config as configs
from ganjax.data.spec import Spec
from ganjax.step import differentiate
from ganjax.types import Scene

# Our `lsgan` has halves that the authors' squares don't have; they halve D's sum in any case.
WEIGHTS = {'lsgan': {'gan_weight': 2.0, 'd_weight': 1.0}, 'vanilla': {'gan_weight': 1.0, 'd_weight': 0.5}}
LOSSES = {'lsgan': 'lsgan', 'vanilla': 'non_saturating'}


def section(name, module, fields):
  return {'name': name} | {field: getattr(module, field) for field in fields}


def opened(fixture, game, generator, discriminator, play):
  """The game at the fixture's sizes, and a function of (turn, params, extras) that differentiates a turn's loss."""
  a, b = fixture['in/real_A'], fixture['in/real_B']
  mode = fixture.cfg['mode']
  config = configs.complete({
    'game': game, 'generator': generator, 'discriminator': discriminator, 'batch_size': len(a),
    'loss': {'name': LOSSES[mode]}, 'play': WEIGHTS[mode] | play,
  })  # fmt: skip
  made = configs.game(config, Spec('image', b.shape[1:], source=a.shape[1:]))
  hyper = {name: jnp.float32(value) for name, value in configs.hyper(config).items()}

  def turn(index, params, extras):
    zero = jnp.zeros((), jnp.int32)
    scene = Scene(params, extras, {}, {'source': a, 'image': b}, jnp.arange(len(a)), jax.random.key(0), zero, zero, hyper,
                  None, None)  # fmt: skip
    return differentiate(made, made.turns[index], scene, 1)

  return jax.jit(turn, static_argnums=0), dict(jax.jit(made.init)(jax.random.key(0), {})[1])


def tensors(variables):
  return variables['params'], {name: x for name, x in variables.items() if name != 'params'}


@pytest.mark.slow
def test_pix2pix():
  fixture = Fixture('pix2pix')
  (g, g_variables), (d, d_variables) = fixture.network('pix2pix.unet', 'U'), fixture.network('pix2pix.patch', 'D')
  generator = section('unet', g, ('width', 'downs', 'norm')) | {'dropout': 0.0}
  turn, extras = opened(
    fixture, 'pix2pix', generator, section('patchgan', d, ('width', 'depth', 'norm')), {'l1_weight': 100.0}
  )
  params = {}
  for player, variables in (('g', g_variables), ('d', d_variables)):
    params[player], extras[player] = tensors(variables)
  grads, _, metrics = turn(0, params, extras)
  close(metrics['d/loss'], fixture['out/loss_D'])
  check_gradients(fixture, 'pix2pix.patch', 'D', 'D', grads['d'])
  grads, _, metrics = turn(1, params, extras)
  close(metrics['g/loss'], fixture['out/loss_G'])
  close(100 * metrics['g/l1'], fixture['out/loss_G_L1'])
  check_gradients(fixture, 'pix2pix.unet', 'U', 'U', grads['g'])


@pytest.mark.slow
def test_cyclegan():
  """The authors call D_A what judges the images of B."""
  fixture = Fixture('cyclegan')
  players = {'g_ab': 'G_A', 'g_ba': 'G_B', 'd_b': 'D_A', 'd_a': 'D_B'}
  nets = {player: fixture.network(f'cyclegan.{net[0]}', net) for player, net in players.items()}
  turn, extras = opened(
    fixture, 'cyclegan', section('resnet_translator', nets['g_ab'][0], ('width', 'blocks', 'norm')),
    section('patchgan', nets['d_a'][0], ('width', 'depth', 'norm')),
    {'cycle_weight': 10.0, 'identity_weight': 0.5, 'pool_size': 0},
  )  # fmt: skip
  params = {}
  for player, (_, variables) in nets.items():
    params[player], extras[player] = tensors(variables)
  grads, extras, metrics = turn(0, params, extras)
  close(metrics['g/loss'], fixture['out/loss_G'])
  close(10 * metrics['g_ab/cycle'], fixture['out/loss_cycle_A'])
  close(5 * metrics['g_ba/identity'], fixture['out/loss_idt_B'])
  np.testing.assert_allclose(extras['shown']['b'], fixture['out/fake_B'], atol=1e-4)
  for player in ('g_ab', 'g_ba'):
    check_gradients(fixture, 'cyclegan.G', players[player], players[player], grads[player])
  grads, _, metrics = turn(1, params, extras)
  for player in ('d_a', 'd_b'):
    close(metrics[f'{player}/loss'], fixture[f'out/loss_{players[player]}'])
    check_gradients(fixture, 'cyclegan.D', players[player], players[player], grads[player])
