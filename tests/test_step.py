"""The step: who moves, on what, and that every way to run it is the same training."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from ganjax import parallel
from ganjax import state as states
from ganjax.step import make_step
from ganjax.types import Turn


def moved(config, due):
  spec, game, rules = tiny.game(config)
  before = tiny.initial(config, spec, game, rules)
  after, metrics = jax.jit(make_step(game, rules, due=due))(before, tiny.batch(spec, 0, 5))
  return {p: tiny.difference(after.params[p], before.params[p]) > 0 for p in before.params}, metrics


@pytest.mark.parametrize('make', [tiny.complete, tiny.images])
def test_only_the_mover_moves(make):
  config = make(terms__d__r1__every=4)
  assert moved(config, (0,))[0] == {'g': False, 'd': True}
  assert moved(config, (1,))[0] == {'g': False, 'd': True}
  assert moved(config, (2,))[0] == {'g': True, 'd': False}
  both, metrics = moved(config, None)
  assert both == {'g': True, 'd': True}
  assert {'d/loss', 'd/loss_real', 'd/loss_fake', 'd/real_prob', 'd/fake_prob', 'd/r1', 'g/loss', 'd/grad_norm'} <= set(
    metrics
  )
  assert all(np.isfinite(value) for value in jax.device_get(metrics).values())


def test_extras_advance_on_every_training_forward():
  config = tiny.images()
  spec, game, rules = tiny.game(config)
  before = tiny.initial(config, spec, game, rules)
  after, _ = jax.jit(make_step(game, rules, due=(1,)))(before, tiny.batch(spec, 0, 1))  # G's turn
  for player in 'gd':
    assert tiny.difference(after.extras[player], before.extras[player]) > 0


def test_a_step_is_gradient_descent_on_the_game():
  """One D play with plain gradient descent, against the same by hand."""
  config = tiny.complete(optimizer__d__name='sgd', optimizer__d__learning_rate=0.1)
  spec, game, rules = tiny.game(config)
  state = tiny.initial(config, spec, game, rules)
  after, metrics = jax.jit(make_step(game, rules, due=(0,)))(state, tiny.batch(spec, 3, 1))
  real = tiny.batch(spec, 3, 1)['row'][0]
  key = jax.random.fold_in(jax.random.fold_in(jax.random.fold_in(state.key, 0), 0), 0)
  fake = game.generate(state.params, state.extras, game.prior(key, 16, None))['row']

  def loss(d):
    logits = [game.score({**state.params, 'd': d}, state.extras, {'row': x}) for x in (real, fake)]
    return -jnp.log(jax.nn.sigmoid(logits[0])).mean() - jnp.log(1 - jax.nn.sigmoid(logits[1])).mean()

  value, grads = jax.jit(jax.value_and_grad(loss))(state.params['d'])
  np.testing.assert_allclose(metrics['d/loss'], value, rtol=1e-5)
  expected = jax.tree.map(lambda p, g: p - 0.1 * g, state.params['d'], grads)
  assert tiny.difference(after.params['d'], expected) < 1e-6


@functools.cache
def many_things(make):
  """A config, and three steps of it on one device."""
  # Plain descent: Adam would turn the rounding of a zero gradient into steps of the full rate.
  config = make(terms__d__gradient_penalty__weight=1.0, terms__d__r1__every=2, n_critic=2, ema__main__rampup=0.0,
                optimizer__d__name='sgd', optimizer__g__name='sgd')  # fmt: skip
  return config, *tiny.play(config, 3)


@pytest.mark.parametrize('make', [tiny.complete, tiny.images])
@pytest.mark.parametrize(('how', 'devices'), [
  pytest.param('jit', 4, marks=pytest.mark.slow), ('jit', 8), ('pmap', 4), pytest.param('pmap', 8, marks=pytest.mark.slow),
])  # fmt: skip
def test_devices_agree(make, how, devices):
  config, one, seen = many_things(make)
  many, metrics = tiny.play(config, 3, how=how, devices=devices)
  assert tiny.difference((one.params, one.ema, one.extras), (many.params, many.ema, many.extras)) < 2e-6
  for a, b in zip(seen, metrics, strict=True):
    assert a == pytest.approx(b, rel=1e-4, abs=1e-5)


def test_devices_agree_on_averages_over_the_batch():
  config = tiny.complete(loss__name='relativistic_average', optimizer__d__name='sgd', optimizer__g__name='sgd')
  one, seen = tiny.play(config, 2)
  many, metrics = tiny.play(config, 2, how='pmap', devices=4)
  assert tiny.difference(one.params, many.params) < 2e-6
  assert seen[-1] == pytest.approx(metrics[-1], rel=1e-4, abs=1e-5)


@pytest.mark.parametrize('unroll', [True, False])
def test_steps_per_call(unroll):
  config = tiny.complete(terms__d__r1__every=2)
  one, seen = tiny.play(config, 6)
  many, metrics = tiny.play(config, 6, per_call=3, unroll=unroll)
  assert tiny.difference(one.params, many.params) < 1e-6
  assert [set(values) for values in seen] == [set(values) for values in metrics]
  assert [('d/r1' in values) for values in metrics] == [n % 2 == 0 for n in range(6)]
  assert metrics[-1] == pytest.approx(seen[-1], rel=1e-4)


def test_microbatches_equal_the_large_batch():
  whole, _ = tiny.play(tiny.complete(), 3)
  parts, _ = tiny.play(tiny.complete(microbatches=4), 3, how='pmap', devices=2)
  assert tiny.difference(whole.params, parts.params) < 1e-6


def test_three_and_three_steps_are_six_to_the_bit():
  config = tiny.images(ema__main__halflife_kimg=0.1)
  six, _ = tiny.play(config, 6)
  three, _ = tiny.play(config, 3)
  again, _ = tiny.play(config, 3, begin=three, first=3)
  assert tiny.difference(six, again) == 0


def test_lazy_turns_compile_once_per_set():
  config = tiny.complete(terms__d__r1__every=3)
  spec, game, rules = tiny.game(config)
  program = parallel.compile(game, rules, parallel.make_mesh(1))
  state = parallel.place(tiny.initial(config, spec, game, rules), parallel.make_mesh(1))
  for n in range(9):
    state, metrics = program(n, state, tiny.batch(spec, n, 1))
    assert ('d/r1' in metrics) == (n % 3 == 0)
  assert len(program.compiled) == 2
  assert all(compiled._cache_size() == 1 for compiled in program.compiled.values())


def test_position_counts_the_batches_before():
  turns = (Turn(('d',), 'd', times=2), Turn(('d',), 'x', every=3), Turn(('g',), 'g', fresh=False))
  taken = 0
  for n in range(20):
    assert parallel.position(turns, n) == taken == int(parallel.position(turns, jnp.int32(n)))
    taken += parallel.plays(turns, n)


def test_held_player_keeps_parameters_and_optimiser_but_not_extras():
  config = tiny.images()
  spec, game, rules = tiny.game(config)
  held = tuple(
    turn._replace(when=lambda extras, metrics: metrics['d/loss'] < 0) if turn.loss == 'd' else turn
    for turn in game.turns
  )
  game = type(game)(**{**vars(game), 'turns': held})
  before = tiny.initial(config, spec, game, rules)
  after, _ = jax.jit(make_step(game, rules))(before, tiny.batch(spec, 0, 1))
  assert tiny.difference((before.params['d'], before.opt['d']), (after.params['d'], after.opt['d'])) == 0
  assert tiny.difference(before.params['g'], after.params['g']) > 0
  assert tiny.difference(before.extras['d'], after.extras['d']) > 0


def test_a_turn_may_move_two_players():
  config = tiny.complete()
  spec, game, rules = tiny.game(config)
  game = type(game)(**{**vars(game), 'turns': (Turn(('d', 'g'), 'd'),)})
  before = tiny.initial(config, spec, game, rules)
  after, metrics = jax.jit(make_step(game, rules))(before, tiny.batch(spec, 0, 1))
  assert all(tiny.difference(before.params[p], after.params[p]) > 0 for p in 'dg')
  assert {'d/grad_norm', 'g/grad_norm'} <= set(metrics)


def test_bfloat16_computes_low_and_keeps_float32():
  full, _ = tiny.play(tiny.images(), 2)
  low, metrics = tiny.play(tiny.images(dtype='bfloat16'), 2)
  assert {str(x.dtype) for x in jax.tree.leaves(low.params)} == {'float32'}
  assert 0 < tiny.difference(full.params, low.params) < 0.01
  assert all(np.isfinite(value) for value in metrics[-1].values())


def test_adopt_carries_what_fits():
  old, _ = tiny.play(tiny.complete(), 2)
  config = tiny.complete(generator__hidden=(8, 8))
  new = tiny.initial(config, *tiny.game(config))
  merged = states.adopt(new, old)
  assert int(merged.step) == 2
  assert tiny.difference(merged.params['d'], old.params['d']) == 0
  assert tiny.difference(merged.params['g']['hidden0'], old.params['g']['hidden0']) == 0
  assert tiny.difference(merged.params['g']['hidden1'], new.params['g']['hidden1']) == 0


@pytest.mark.parametrize('how', ['jit', 'pmap'])
def test_one_compilation(how):
  """Placed first, the state that comes out is like the state that went in."""
  config = tiny.complete()
  spec, game, rules = tiny.game(config)
  mesh = parallel.make_mesh(2)
  program = parallel.compile(game, rules, mesh, how)
  state = parallel.place(tiny.initial(config, spec, game, rules), mesh)
  batches = [parallel.shard(jax.device_get(tiny.batch(spec, n, 1)), mesh, how) for n in range(3)]
  compiled = []
  count = lambda name, _, **kw: compiled.append(name) if name.endswith('backend_compile_duration') else None  # noqa: E731
  jax.monitoring.register_event_duration_secs_listener(count)
  for n, batch in enumerate(batches):
    state, _ = program(n, state, batch)
    assert len(compiled) == 1
