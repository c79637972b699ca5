"""Rules that hold a player: when they do, and that what they look at goes on meanwhile."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from ganjax import balance, check
from ganjax.errors import ConfigError
from ganjax.types import Scene


def seen(**values):
  state = balance.initial('gd')
  losses = {player: jnp.float32(values.pop(player)) for player in 'gd' if player in values}
  return {'balance': state | {'loss': state['loss'] | losses} | values}


def scene(extras, key=0, images=0):
  blank = dict.fromkeys(Scene._fields)
  return Scene(**blank | {'extras': extras, 'key': jax.random.key(key), 'images': jnp.int32(images)})


def test_accuracy_below():
  when = balance.accuracy_below('d', ('d',), bound=0.8)
  assert when(seen(accuracy=jnp.float32(0.8)), {})  # held where it is higher
  assert not when(seen(accuracy=jnp.float32(0.81)), {})
  assert balance.accuracy_below('d', ('g', 'q'), bound=0.8) is None


def test_loss_above():
  when = balance.loss_above('d', ('d',), ratio=0.5)
  assert when(seen(d=1.0, g=2.0), {})
  assert not when(seen(d=0.9, g=2.0), {})
  assert when(seen(d=0.9), {})  # G's loss is not yet known
  assert balance.loss_above('d', ('g',)) is None


def test_warmup_holds_the_others():
  when = balance.warmup('g', ('d',), kimg=5.0)
  assert not when(seen(images=jnp.int32(4999)), {})
  assert when(seen(images=jnp.int32(5000)), {})
  assert balance.warmup('g', ('g', 'q'), kimg=5.0) is None


def test_together():
  yes, no = (lambda extras, metrics: jnp.bool_(True)), (lambda extras, metrics: jnp.bool_(False))
  assert balance.together([None, None]) is None
  assert balance.together([yes, None, yes])({}, {})
  assert not balance.together([yes, no])({}, {})


def test_observed_values_are_means_over_the_microbatches_of_a_play():
  state = balance.initial('gd')
  for key, loss, accuracy, expected in [(1, 1.0, 0.5, (1.0, 0.5)), (1, 3.0, 1.0, (2.0, 0.75)), (1, 5.0, 0.0, (3.0, 0.5)),
                                        (2, 7.0, 0.25, (7.0, 0.25)), (3, 1.0, 0.0, (1.0, 0.0))]:  # fmt: skip
    metrics = {'d/loss': jnp.float32(loss), 'd/accuracy': jnp.float32(accuracy)}
    state = balance.observe(scene({'balance': state}, key, 100 * key), metrics)
    np.testing.assert_allclose([state['loss']['d'], state['accuracy'], state['images']], [*expected, 100 * key])
  after = balance.observe(scene({'balance': state}, 4, 500), {'g/loss': jnp.float32(9)})
  assert (float(after['loss']['g']), float(after['loss']['d']), float(after['accuracy'])) == (9, 1, 0)
  kind = lambda x: (x.dtype, x.weak_type)  # noqa: E731
  assert jax.tree.map(kind, state) == jax.tree.map(kind, balance.initial('gd'))


# In training.


def moves(config, steps):
  """Whether each step moved g and d, and the accuracies told."""
  before, seen, accuracies = tiny.initial(config, *tiny.game(config)).params, [], []
  for state, metrics in tiny.each(config, steps):
    seen.append({player: tiny.difference(before[player], state.params[player]) > 0 for player in 'gd'})
    assert [metrics.get(f'{p}/moved', 1) > 0 for p in 'gd'] == [*seen[-1].values()]
    accuracies.append(metrics['d/accuracy'])
    before = state.params
  return seen, accuracies, state


def test_warmup_of_g_then_both():
  seen, _, state = moves(tiny.complete(balance__g={'name': 'warmup', 'kimg': 0.032}), 4)
  assert seen == [{'g': True, 'd': False}] * 2 + [{'g': True, 'd': True}] * 2
  assert state.extras['balance']['images'] == 48


@pytest.mark.parametrize('n_critic', [1, 2])
def test_a_held_d_comes_back(n_critic):
  """D at a high rate is soon right about all; the accuracy goes on being seen, and G's moves bring it down again."""
  config = tiny.complete(balance__d={'name': 'accuracy_below', 'bound': 0.6}, optimizer__d__learning_rate=0.3,
                         optimizer__g__learning_rate=0.1, n_critic=n_critic)  # fmt: skip
  seen, accuracies, _ = moves(config, 30)
  assert all(step['g'] for step in seen)
  held = [not step['d'] for step in seen]
  if n_critic == 1:
    assert held == [accuracy > 0.6 for accuracy in accuracies]
  first = held.index(True)
  assert not all(held[first:])


def test_the_stronger_waits():
  """D's loss as the game tells it, terms included; a lazy turn of a held player is held with it."""
  config = tiny.complete(balance__d={'name': 'loss_above', 'ratio': 100.0}, terms__d__r1__every=2)
  seen, _, state = moves(config, 3)
  assert [step['d'] for step in seen] == [True, False, False]  # until G's loss is known, and never again
  free, _, _ = moves(tiny.complete(balance__d={'name': 'loss_above', 'ratio': 0.01}, terms__d__r1__every=2), 3)
  assert all(step['d'] for step in free)
  assert 0 < float(state.extras['balance']['loss']['d']) < 100 * float(state.extras['balance']['loss']['g'])


def test_devices_and_microbatches_agree():
  options = {
    'optimizer__d__name': 'sgd',
    'optimizer__g__name': 'sgd',
    'balance__d': {'name': 'accuracy_below', 'bound': 0.5},
  }
  one, _ = tiny.play(tiny.complete(**options), 4)
  for config, how in [(tiny.complete(**options), {'how': 'pmap', 'devices': 4}), (tiny.complete(**options), {'devices': 4}),
                      (tiny.complete(**options, microbatches=4), {})]:  # fmt: skip
    other, _ = tiny.play(config, 4, **how)
    assert (
      tiny.difference((one.params, one.extras['balance']['loss']), (other.params, other.extras['balance']['loss']))
      < 2e-6
    )
    assert tiny.difference(one.extras['balance']['accuracy'], other.extras['balance']['accuracy']) < 1e-6


def test_without_rules_the_game_is_as_it_was():
  config = tiny.complete()
  assert 'balance' not in tiny.initial(config, *tiny.game(config)).extras


# What cannot be.


@pytest.mark.parametrize(
  ('fields', 'told'),
  [
    ({'balance__e': {'name': 'warmup'}}, r"config.balance: given 'e', valid: the players d, g"),
    (
      {'balance__d': {'name': 'warmup'}, 'balance__g': {'name': 'warmup'}},
      r'balance.\w.name: .* \w has its warm-up already',
    ),
    (
      {'balance__d': {'name': 'accuracy_below'}, 'loss__name': 'wasserstein'},
      r'balance.d.name: .* no logit that is above 0',
    ),
    (
      {'balance__d': {'name': 'loss_above'}, 'loss__name': 'wasserstein'},
      r"balance.d.name: .* 'wasserstein' can be negative",
    ),
    ({'balance__d': {'name': 'loss_above'}, 'loss__name': 'hinge'}, r"balance.d.name: .* 'hinge' can be negative"),
  ],
)
def test_refused_before_compiling(fields, told):
  with pytest.raises(ConfigError, match=told):
    check.check(tiny.complete(**fields), tiny.ROWS, 1)


@pytest.mark.parametrize('loss', ['non_saturating', 'lsgan', 'relativistic'])
def test_losses_that_are_never_negative(loss):
  check.check(tiny.complete(balance__d={'name': 'loss_above'}, loss__name=loss), tiny.ROWS, 1)


def test_unknown_rules():
  with pytest.raises(ConfigError, match=r"balance.d.name: given 'accuracy_bellow', .*; did you mean 'accuracy_below'"):
    tiny.complete(balance__d={'name': 'accuracy_bellow'})
  with pytest.raises(ConfigError, match=r'balance.d.bounds: .*; did you mean .bound'):
    tiny.complete(balance__d={'name': 'accuracy_below', 'bounds': 0.5})
