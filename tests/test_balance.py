"""Rules that hold a player: when they do, and that what they look at goes on meanwhile."""

import jax
import jax.numpy as jnp
import numpy as np

from ganjax import balance
from ganjax.types import Scene


def seen(**values):
  state = balance.initial('gd')['balance']
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
  extras = balance.initial('gd')
  for key, loss, accuracy, expected in [(1, 1.0, 0.5, (1.0, 0.5)), (1, 3.0, 1.0, (2.0, 0.75)), (1, 5.0, 0.0, (3.0, 0.5)),
                                        (2, 7.0, 0.25, (7.0, 0.25)), (3, 1.0, 0.0, (1.0, 0.0))]:  # fmt: skip
    metrics = {'d/loss': jnp.float32(loss), 'd/accuracy': jnp.float32(accuracy)}
    extras = balance.observe(scene(extras, key, 100 * key), 'd', metrics)
    found = extras['balance']
    np.testing.assert_allclose([found['loss']['d'], found['accuracy'], found['images']], [*expected, 100 * key])
  after = balance.observe(scene(extras, 4, 500), 'g', {'g/loss': jnp.float32(9)})['balance']
  assert (float(after['loss']['g']), float(after['loss']['d']), float(after['accuracy'])) == (9, 1, 0)
  assert jax.tree.map(lambda x: (x.dtype, x.weak_type), extras) == jax.tree.map(
    lambda x: (x.dtype, x.weak_type), balance.initial('gd')
  )


def test_nothing_without_rules():
  assert balance.observe(scene({}), 'd', {'d/loss': jnp.float32(1)}) == {}
