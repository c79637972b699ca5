"""Unrolled GAN: its gradient is that of the moves written out, and nothing but G moves in G's turn."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny

from ganjax import config as configs
from ganjax.errors import ConfigError
from ganjax.step import make_step

ADAM = {'learning_rate': 1e-2, 'b1': 0.5, 'b2': 0.9, 'eps_root': 1e-12}


def unrolled(make=tiny.complete, k=3, d='adam', **fields):
  own = {f'optimizer__d__{name}': value for name, value in ADAM.items()} if d == 'adam' else {
    'optimizer__d__name': 'sgd', 'optimizer__d__learning_rate': 0.3}  # fmt: skip
  return make(game='unrolled', play__unroll_steps=k, optimizer__g__name='sgd', **own, **fields)


def by_hand(config, before, batch, key, k, through=True):
  """G's loss and gradient with k moves of D, all written out on logits: no step, no move, no game's loss."""
  _, game, _ = tiny.game(config)
  section = config.optimizer.d
  optimizer = optax.sgd(0.3) if section.name == 'sgd' else optax.adam(
    section.learning_rate, section.b1, section.b2, eps_root=section.eps_root)  # fmt: skip
  # The state of the whole chain is a tuple of one.
  state = before.opt['d'][0] if len(before.opt['d']) == 1 else before.opt['d']
  prior = game.prior(key, 16, None)

  def logits(g, d, real):
    params = {'g': g, 'd': d}
    x = batch['row'] if real else game.generate(params, before.extras, prior)['row']
    return game.score(params, before.extras, {'row': x})

  def d_loss(d, g):
    return -jax.nn.log_sigmoid(logits(g, d, True)).mean() - jax.nn.log_sigmoid(-logits(g, d, False)).mean()

  def loss(g):
    d, opt = before.params['d'], state
    for _ in range(k):
      updates, opt = optimizer.update(jax.grad(d_loss)(d, g if through else jax.lax.stop_gradient(g)), opt, d)
      d = optax.apply_updates(d, updates)
    return -jax.nn.log_sigmoid(logits(g, d, False)).mean()

  return jax.jit(jax.value_and_grad(loss))(before.params['g'])


@pytest.mark.parametrize(('d', 'through'), [
  pytest.param('sgd', True, marks=pytest.mark.slow), ('adam', True), ('sgd', False)])  # fmt: skip
def test_gradient_is_that_of_the_moves_written_out(d, through):
  config = unrolled(d=d, play__unroll_gradient=through)
  spec, game, rules = tiny.game(config)
  before = tiny.initial(config, spec, game, rules)
  before, _ = jax.jit(make_step(game, rules, due=(0,)))(before, tiny.batch(spec, 3, 1))  # moments that are not zero
  batch = tiny.batch(spec, 7, 1)
  after, metrics = jax.jit(make_step(game, rules, due=(1,)))(before, batch)
  key = jax.random.fold_in(jax.random.fold_in(jax.random.fold_in(before.key, 1), 1), 0)
  value, grads = by_hand(config, before, {'row': batch['row'][0]}, key, 3, through)
  np.testing.assert_allclose(metrics['g/loss'], value, rtol=1e-5)
  moved = jax.tree.map(lambda p, q: (p - q) / 1e-2, before.params['g'], after.params['g'])
  scale = max(float(abs(x).max()) for x in jax.tree.leaves(grads))
  assert tiny.difference(moved, grads) < 2e-4 * scale  # the difference of float32 parameters
  other = by_hand(config, before, {'row': batch['row'][0]}, key, 3, not through)[1]
  assert tiny.difference(other, grads) > 1e-2 * scale, 'the missing term is not nothing'


def test_only_g_moves_and_d_keeps_its_extras():
  config = unrolled(tiny.images, k=2)
  spec, game, rules = tiny.game(config)
  before = tiny.initial(config, spec, game, rules)
  after, metrics = jax.jit(make_step(game, rules, due=(1,)))(before, tiny.batch(spec, 0, 1))
  assert tiny.difference(before.params['g'], after.params['g']) > 0
  kept = lambda state: (state.params['d'], state.opt['d'], state.extras['d'])  # noqa: E731
  assert tiny.difference(kept(before), kept(after)) == 0
  assert all(np.isfinite(value) for value in jax.device_get(metrics).values())
  # G's batch statistics move once, and not once for every imagined move.
  plain, _ = jax.jit(make_step(tiny.game(tiny.images())[1], rules, due=(1,)))(before, tiny.batch(spec, 0, 1))
  assert tiny.difference(plain.extras['g'], after.extras['g']) < 1e-6
  assert tiny.difference(before.extras['g'], after.extras['g']) > 0


def test_no_steps_are_the_plain_game():
  plain, seen = tiny.play(tiny.complete(), 2)
  zero, metrics = tiny.play(tiny.complete(game='unrolled', play__unroll_steps=0), 2)
  assert tiny.difference(plain, zero) == 0
  assert seen == metrics


@pytest.mark.slow  # two steps are in test_contract.py
def test_devices_agree_and_resume_is_exact():
  config = unrolled(k=2, d='sgd')
  one, seen = tiny.play(config, 4)
  many, metrics = tiny.play(config, 4, how='pmap', devices=4)
  assert tiny.difference(one.params, many.params) < 2e-6
  assert metrics[-1] == pytest.approx(seen[-1], rel=1e-4, abs=1e-5)
  half, _ = tiny.play(config, 2)
  again, _ = tiny.play(config, 2, begin=half, first=2)
  assert tiny.difference(one, again) == 0


def test_a_gradient_of_exactly_zero_needs_eps_root():
  """Behind a last kernel of zeros no weight of D has a gradient: Adam without `eps_root` is refused for its NaN."""
  config = unrolled(k=1)
  spec, game, rules = tiny.game(config)
  state = tiny.initial(config, spec, game, rules)
  d = state.params['d']
  state = state.replace(params={**state.params, 'd': {**d, 'logit': jax.tree.map(jnp.zeros_like, d['logit'])}})
  rootless = configs.rules(configs.complete(config, {'game': 'gan', 'optimizer.d.eps_root': 0.0}), game)
  moved = [jax.jit(make_step(game, found, due=(1,)))(state, tiny.batch(spec, 0, 1))[0] for found in (rules, rootless)]
  assert [np.isfinite(after.params['g']['out']['kernel']).all() for after in moved] == [True, False]


@pytest.mark.parametrize(
  ('fields', 'field'),
  [
    ({'play.unroll_steps': -1}, 'play.unroll_steps.*at least 0'),
    ({'play.unroll_steps': 1.5}, 'play.unroll_steps.*whole'),
    ({'play.unrol_steps': 1}, "play.unrol_steps.*did you mean 'unroll_steps'"),
    ({'optimizer.d.eps_root': 0.0}, 'optimizer.d.eps_root.*above 0'),
    ({'microbatches': 2}, 'microbatches'),
    ({'game': 'gan', 'play.unroll_steps': 1}, 'play.unroll_steps'),
  ],
)
def test_refusals(fields, field):
  with pytest.raises(ConfigError, match=field):
    tiny.game(configs.complete(unrolled().to_dict(), fields))


def test_another_game_drops_the_fields_of_the_old_one():
  assert configs.complete(unrolled().to_dict(), {'game': 'gan'}).play.to_dict() == {}
