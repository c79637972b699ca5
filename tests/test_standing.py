"""Standing statistics: batch statistics taken anew for the parameters that are drawn from."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from ganjax import check, sample, standing
from ganjax.errors import ConfigError
from ganjax.types import Game

KEY = jax.random.key(5)


class Net(nn.Module):
  """Two batch normalisations with momenta of their own."""

  @nn.compact
  def __call__(self, x, train=False):
    for i, momentum in enumerate((0.9, 0.99)):
      x = nn.BatchNorm(use_running_average=not train, momentum=momentum, name=f'norm{i}')(x)
      x = jnp.tanh(3 * x + 1)
    return x


def toy():
  net = Net()
  init = lambda key, batch: ({'g': {}}, {})  # noqa: E731, not called here
  prior = lambda key, count, batch: {'latent': 2 + 4 * jax.random.normal(key, (count, 3))}  # noqa: E731

  def advance(params, extras, prior):
    return {
      **extras,
      'g': net.apply({'params': params['g'], **extras['g']}, prior['latent'], train=True, mutable=list(extras['g']))[1],
    }

  variables = dict(net.init(jax.random.key(0), jnp.zeros((2, 3))))
  params = {'g': variables.pop('params')}
  game = Game(init, {}, prior, lambda params, extras, prior: prior, (), advance=advance)
  return game, params, {'g': variables, 'd': {'batch_stats': {'mean': jnp.full(2, 7.0)}}, 'other': jnp.int32(3)}


def test_means_over_the_batches():
  """Of the first layer's input by NumPy, of the second's with the first normalised by each batch."""
  game, params, extras = toy()
  found = standing.recalibrate(game, params, extras, key=KEY, batches=7, size=16)
  seen = []
  for i in range(7):
    x = np.asarray(game.prior(jax.random.fold_in(KEY, i), 16, None)['latent'], np.float64)
    y = np.tanh(3 * (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5) + 1)
    seen.append((x.mean(0), x.var(0), y.mean(0), y.var(0)))
  stats = found['g']['batch_stats']
  got = stats['norm0']['mean'], stats['norm0']['var'], stats['norm1']['mean'], stats['norm1']['var']
  for a, b in zip(got, (np.mean(x, 0) for x in zip(*seen, strict=True)), strict=True):
    np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)
  np.testing.assert_array_equal(found['d']['batch_stats']['mean'], 7.0)
  assert found['other'] == 3


def test_the_running_values_have_no_say():
  game, params, extras = toy()
  other = jax.tree.map(lambda x: x + 11 if x.dtype == jnp.float32 else x, extras)
  a, b = (standing.recalibrate(game, params, x, key=KEY, batches=3, size=8) for x in (extras, other))
  assert tiny.difference(a['g'], b['g']) == 0


@pytest.mark.parametrize('conditioning', ['none', 'projection'])
def test_with_our_networks(conditioning):
  """Evaluation from standing statistics of one batch is the training forward of that batch; spectral vectors stay."""
  config = tiny.images(conditioning__name=conditioning)
  _, game, _ = tiny.game(config)
  state, _ = tiny.play(config, 3)
  found = standing.settler(game, 1, 64)(state.params, state.extras)
  prior = game.prior(jax.random.fold_in(jax.random.fold_in(jax.random.key(0), standing.KEY), 0), 64, None)
  generate = jax.jit(game.generate)
  made = generate(state.params, found, prior)['image']
  again = jax.jit(game.advance)(state.params, found, prior)  # moves means towards where they are: nowhere
  assert tiny.difference(again['g'], found['g']) < 1e-5
  assert tiny.difference(found['d'], state.extras['d']) == 0
  lagging = generate(state.params, state.extras, prior)['image']
  assert float(jnp.abs(made - lagging).max()) > 1e-3


def test_sampling_from_the_average():
  config = tiny.images(ema__main__halflife_kimg=0.05, standing_statistics=4)
  _, game, _ = tiny.game(config)
  state, _ = tiny.play(config, 3)
  settle = standing.settler(game, config.standing_statistics, config.batch_size)
  drawn = sample.sampler(game, settle=settle)(state)(8, 1)['image']
  params = sample.averaged(state)
  extras = settle(params, state.extras)
  expected = jax.jit(game.generate)(params, extras, game.prior(jax.random.key(1), 8, None))['image']
  np.testing.assert_allclose(drawn, expected, atol=1e-5)
  assert np.abs(drawn - sample.sampler(game)(state)(8, 1)['image']).max() > 1e-3
  assert standing.settler(game, 0, 16) is None


def test_refused_where_there_are_none():
  with pytest.raises(
    ConfigError, match='standing_statistics: given 4, valid: 0: this generator has no batch statistics'
  ):
    check.check(tiny.complete(standing_statistics=4), tiny.ROWS, 1)
  check.check(tiny.images(standing_statistics=4), tiny.IMAGES, 1)
