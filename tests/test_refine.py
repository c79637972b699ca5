"""Drawing with D's help, on games whose D is exact: the samples are those of the data."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from ganjax import refine
from ganjax.errors import ConfigError
from ganjax.types import Game

MEAN, STD = 0.5, 0.6  # of the data; G makes standard normals


def exact(score=True):
  """G(z) = z in one dimension, and D = log N(x; MEAN, STD^2) / N(x; 0, 1) + 3."""

  def prior(key, count, batch=None):
    keys = jax.vmap(lambda row: jax.random.fold_in(key, row))(jnp.arange(count))
    label = jnp.arange(count) % 2 if batch is None else batch['label']
    return {'latent': jax.vmap(lambda k: jax.random.normal(k, (1,)))(keys), 'label': label}

  def judge(params, extras, batch):
    x = batch['row'][:, 0]
    return (jnp.square(x) - jnp.square((x - MEAN) / STD)) / 2 + 3

  return Game(init=lambda key, batch: ({}, {}), losses={}, prior=prior, turns=(), score=judge if score else None,
              generate=lambda params, extras, prior: prior | {'row': prior['latent']})  # fmt: skip


def drawn(way, count=2000, seed=0):
  key = jax.random.key(seed)
  return way({}, {}, jax.random.fold_in(key, 1), exact().prior(key, count, None))


def p_value(latent):
  return scipy.stats.kstest(np.asarray(latent)[:, 0], scipy.stats.norm(MEAN, STD).cdf).pvalue


def test_rejection_with_an_exact_d_draws_from_the_data():
  found = drawn(refine.rejection(exact(), percentile=None))
  assert p_value(exact().prior(jax.random.key(0), 2000, None)['latent']) < 1e-20
  assert p_value(found['latent']) > 0.01
  np.testing.assert_array_equal(found['label'], np.arange(2000) % 2)


def test_a_percentile_wastes_less_and_asks_less():
  """gamma below 0 keeps more than the exact one: the samples lie between G's and the data."""
  ways = (refine.rejection(exact(), percentile=0.0), refine.rejection(exact(), percentile=None))
  loose, tight = (drawn(way)['latent'].std() for way in ways)
  assert STD + 0.05 < loose < 1
  assert abs(tight - STD) < 0.04


def test_acceptance_is_the_ratio_to_the_highest():
  logits = np.array([-5.0, -0.3, 0.0, 2.0])
  np.testing.assert_allclose(1 / (1 + np.exp(-refine.excess(logits, 0.0))), [np.exp(-5), np.exp(-0.3), 1, 1], rtol=1e-6)


def test_langevin_with_an_exact_d_draws_from_the_data():
  found = drawn(refine.langevin(exact(), steps=400, step_size=0.02))
  assert p_value(found['latent']) > 0.01  # its variance is off by a share of about step_size / (4 STD^2)


def test_one_step_of_langevin_by_hand():
  game = exact()
  prior = game.prior(jax.random.key(0), 3, None)
  key = jax.random.key(5)
  found = refine.langevin(game, steps=1, step_size=0.1)({}, {}, key, prior)['latent']
  z = np.asarray(prior['latent'])
  folded = [jax.random.fold_in(jax.random.fold_in(jax.random.fold_in(key, refine.NOISE), row), 0) for row in range(3)]
  noise = np.array([jax.random.normal(k, (1,)) for k in folded])
  slope = z - (z - (z - MEAN) / STD**2)  # of |z|^2 / 2 - D
  np.testing.assert_allclose(found, z - 0.05 * slope + 0.1**0.5 * noise, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('way', [refine.rejection(exact()), refine.langevin(exact(), steps=3)])
def test_a_sample_depends_on_its_own_number(way):
  few, many = drawn(way, 5), drawn(way, 300)
  for name in few:
    np.testing.assert_allclose(few[name], many[name][:5], rtol=1e-6)
  assert (drawn(way, 5, seed=1)['latent'] != few['latent']).all()


def test_what_no_round_keeps_is_the_best():
  game = exact()
  first = game.prior(jax.random.key(0), 50, None)
  found = refine.rejection(game, percentile=100.0, rounds=3)({}, {}, jax.random.key(1), first)
  judge = lambda prior: np.asarray(game.score({}, {}, {'row': prior['latent']}))  # noqa: E731
  assert (judge(found) >= judge(first) - 1e-6).mean() > 0.9
  assert judge(found).mean() > judge(first).mean()


def test_by_name():
  game = exact()
  assert refine.named(game, 'plain', {}) is None
  with pytest.raises(ConfigError, match=r'--steps.*rejection'):
    refine.named(game, 'rejection', {'steps': 3})
  with pytest.raises(ConfigError, match='--method'):
    refine.named(game, 'rejektion', {})
  a = drawn(refine.named(game, 'langevin', {'steps': 3}), 4)['latent']
  np.testing.assert_array_equal(a, drawn(refine.langevin(game, steps=3), 4)['latent'])


@pytest.mark.parametrize(
  ('way', 'fields', 'named'),
  [
    (refine.rejection, {'percentile': 101.0}, '--percentile'),
    (refine.langevin, {'steps': 0}, '--steps'),
    (refine.langevin, {'step_size': 0.0}, '--step-size'),
  ],
)
def test_refusals(way, fields, named):
  with pytest.raises(ConfigError, match=named):
    way(exact(), **fields)
  with pytest.raises(ConfigError, match='no D'):
    way(exact(score=False))
