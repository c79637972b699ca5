"""InfoGAN: the bound by hand, who moves, and codes that sampling can choose."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from ganjax import config as configs
from ganjax.check import check
from ganjax.errors import ConfigError
from ganjax.step import make_step


def info(make=tiny.complete, **fields):
  return make(**{'game': 'infogan', 'play__categories': (3,), 'play__continuous': 2} | fields)


def test_loss_is_the_plain_one_and_the_bound_by_hand():
  config = info(play__categories=(3, 2))
  spec, game, rules = tiny.game(config)
  state = tiny.initial(config, spec, game, rules)
  _, metrics = jax.jit(make_step(game, rules, due=(1,)))(state, tiny.batch(spec, 0, 1))
  key = jax.random.fold_in(jax.random.fold_in(jax.random.fold_in(state.key, 0), 1), 0)
  prior = game.prior(key, 16, None)
  fake = game.generate(state.params, state.extras, prior)['row']
  # D's hidden layer of 8 is the only one: its features by hand, then q's two layers.
  dense = lambda p, x: x @ p['kernel'] + p['bias']  # noqa: E731
  d, q = state.params['d'], state.params['q']
  features = jax.nn.leaky_relu(dense(d['hidden0'], fake), 0.2)
  said = dense(q['out'], jax.nn.leaky_relu(dense(q['hidden'], features), 0.2))
  rows = jnp.arange(16)
  bound = -jax.nn.log_softmax(said[:, :3])[rows, prior['category'][:, 0]].mean()
  bound += -jax.nn.log_softmax(said[:, 3:5])[rows, prior['category'][:, 1]].mean()
  error = ((said[:, 5:] - prior['code']) ** 2).mean()
  plain = jax.nn.softplus(-dense(d['logit'], features)).mean()
  np.testing.assert_allclose(metrics['q/category_loss'], bound, rtol=1e-5)
  np.testing.assert_allclose(metrics['q/code_error'], error, rtol=1e-5)
  np.testing.assert_allclose(metrics['g/loss'], plain + bound + 0.1 * error * 2 / 2, rtol=1e-5)


def test_g_and_q_move_together_and_d_alone():
  config = info()
  spec, game, rules = tiny.game(config)
  before = tiny.initial(config, spec, game, rules)
  for due, movers in (((0,), {'d'}), ((1,), {'g', 'q'})):
    after, _ = jax.jit(make_step(game, rules, due=due))(before, tiny.batch(spec, 0, 1))
    assert {p for p in before.params if tiny.difference(before.params[p], after.params[p]) > 0} == movers


def test_devices_agree_and_resume_is_exact():
  config = info(**{f'optimizer__{p}__name': 'sgd' for p in 'gdq'})
  one, seen = tiny.play(config, 2)
  many, metrics = tiny.play(config, 2, how='pmap', devices=4)
  assert tiny.difference((one.params, one.extras), (many.params, many.extras)) < 2e-6
  assert metrics[-1] == pytest.approx(seen[-1], rel=1e-4, abs=1e-5)
  half, _ = tiny.play(config, 1)
  again, _ = tiny.play(config, 1, begin=half, first=1)
  assert tiny.difference(one, again) == 0
  assert all(np.isfinite(value) for value in seen[-1].values())


def test_codes_can_be_asked_for():
  config = info()
  spec, game, rules = tiny.game(config)
  state = tiny.initial(config, spec, game, rules)
  key = jax.random.key(3)
  drawn = game.prior(key, 200, None)
  assert {name: x.shape for name, x in drawn.items()} == {'latent': (200, 3), 'category': (200, 1), 'code': (200, 2)}
  assert set(np.unique(drawn['category'])) == {0, 1, 2}
  assert -1 <= drawn['code'].min() < -0.9 < 0.9 < drawn['code'].max() <= 1
  asked = game.prior(key, 200, {'category': jnp.ones((200, 1), jnp.int32)})
  assert (asked['category'] == 1).all()
  np.testing.assert_array_equal(asked['code'], drawn['code'])
  same, other = (game.generate(state.params, state.extras, prior) for prior in (drawn, asked))
  changed = np.asarray(drawn['category'][:, 0] != 1)
  assert ((same['row'] != other['row']).any(1) == changed).all()
  assert same['latent'].shape == (200, 3)


def test_two_kinds_of_code_are_optional():
  for fields in ({'play__categories': ()}, {'play__continuous': 0}):
    _, game, _ = tiny.game(info(**fields))
    drawn = game.prior(jax.random.key(0), 5, None)
    assert drawn['category'].size + drawn['code'].size > 0


@pytest.mark.parametrize(
  ('fields', 'named'),
  [
    ({'play.categories': (1,)}, 'play.categories'),
    ({'play.categories': (), 'play.continuous': 0}, 'play.categories'),
    ({'play.continuous': -1}, 'play.continuous'),
    ({'stabilizers.packing.size': 2}, 'packing'),
    ({'optimizer.e.learning_rate': 1e-3}, 'optimizer'),
  ],
)
def test_refusals(fields, named):
  with pytest.raises(ConfigError, match=named):
    check(configs.complete(info().to_dict(), fields), tiny.ROWS, 1)


def test_the_reader_has_an_optimizer_by_default():
  assert configs.complete({'game': 'infogan'}).optimizer.q.learning_rate == 2e-4
  assert configs.hyper(configs.complete({'game': 'infogan'}))['play_continuous_weight'] == 0.1
