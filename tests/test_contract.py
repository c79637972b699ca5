"""The contract of the adversarial game, for every piece of it and for all pairs of pieces.

A combination takes one piece of each axis. By default a few combinations have every piece in them; in the slow tier
every pair of pieces that make sense together is in one. Each plays two steps: finite, resumed to the bit, the same by
pmap on four devices; and each turn moves its players alone.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from ganjax import augment, balance, conditioning, losses, parallel, stabilizers, terms
from ganjax import config as configs
from ganjax.step import make_step

REACHES = {player: [name for name in terms.__all__ if terms.ONLY.get(name, player) == player] for player in 'dg'}
AXES = {
  'loss': losses.__all__,
  'd_term': REACHES['d'],
  'g_term': REACHES['g'],
  'conditioning': conditioning.__all__,
  'augment': augment.__all__,
  'stabilizer': stabilizers.__all__,
  'balance': balance.__all__,
  'minibatch': ['discrimination', 'std'],
  'game': ['unrolled'],
}
PLAIN = {'loss': 'non_saturating', 'conditioning': 'none', 'augment': 'none', 'minibatch': 'none', 'game': 'gan'}
OF_IMAGES = {'ada', 'diffaugment', *terms.OF_IMAGES}  # the others get rows of numbers
# What a default wouldn't show in two steps.
FIELDS = {'lecam': {'start': 0}, 'ada': {'p': 0.5}, 'apa': {'p': 0.5}, 'top_k': {'share': 0.5}, 'packing': {'size': 2},
          'label_flipping': {'share': 0.5}, 'warmup': {'kimg': 0.016}}  # fmt: skip
QUICK = {'xla_backend_optimization_level': 0, 'xla_llvm_disable_expensive_passes': True}  # programs that run once


def sensible(combination):
  """Whether its pieces can play together; the others are refused by name."""
  chosen = {axis: combination.get(axis, 'none') for axis in AXES}
  if chosen['stabilizer'] == 'packing':
    return chosen['conditioning'] == 'none'
  reads_logits = (chosen['stabilizer'] in ('top_k', 'label_flipping', 'latent_optimization') or
                  chosen['augment'] in ('ada', 'apa') or chosen['balance'] == 'accuracy_below')  # fmt: skip
  return not (chosen['conditioning'] == 'multi_hinge' and reads_logits)


def config_of(combination):
  """The complete config of a combination, as small as can be. Plain, slow descent: rounding stays rounding."""
  chosen = PLAIN | combination
  section = lambda axis: {'name': chosen[axis]} | FIELDS.get(chosen[axis], {})  # noqa: E731
  group = lambda axis: {chosen[axis]: FIELDS.get(chosen[axis], {})} if axis in chosen else {}  # noqa: E731
  d = {'minibatch': chosen['minibatch'], 'spectral': True}
  if OF_IMAGES & set(combination.values()):
    nets = {'data': {'name': 'digits'}, 'generator': {'name': 'dcgan', 'width': 2},
            'discriminator': {'name': 'dcgan', 'width': 4, 'norm': 'none'} | d}  # fmt: skip
  else:
    nets = {'data': {'name': 'mixture'}, 'generator': {'name': 'mlp', 'hidden': (8,)},
            'discriminator': {'name': 'mlp', 'hidden': (8,)} | d}  # fmt: skip
  return configs.complete(nets | {
    'latent_dim': 3, 'batch_size': 16, 'ema': {'main': {}}, 'stabilizers': group('stabilizer'),
    'loss': section('loss'), 'conditioning': section('conditioning'), 'augment': section('augment'),
    'terms': {'d': group('d_term'), 'g': group('g_term')}, 'balance': {'d': section('balance')} if 'balance' in chosen else {},
    'game': chosen['game'], 'play': {'unroll_steps': 1} if chosen['game'] == 'unrolled' else {},
    'optimizer': {player: {'name': 'sgd', 'learning_rate': 0.001, 'clip_norm': 1.0} for player in 'gd'},
  })  # fmt: skip


def keep_the_contract(config):
  spec, game, rules = tiny.game(config)
  start = jax.device_get(jax.jit(lambda: tiny.initial(config, spec, game, rules))())
  only_movers_move(game, rules, start, spec)

  def played(how, devices, steps, state, first=0):
    mesh = parallel.make_mesh(devices)
    state, seen = parallel.place(jax.tree.map(jnp.copy, state), mesh), []  # a copy: the program takes its state away
    for n in range(first, first + steps):
      batch = jax.device_get(tiny.batch(spec, n, parallel.plays(game.turns, n)))
      batch = parallel.shard(batch, mesh, how)
      if how not in programs:
        programs[how] = parallel.compile(game, rules, mesh, how).at(n).lower(state, batch).compile(QUICK)
      state, metrics = programs[how](state, batch)
      seen.append({name: float(value) for name, value in metrics.items()})
    return jax.device_get(state), seen

  programs = {}
  two, seen = played('jit', 1, 2, start)
  assert [name for values in seen for name, value in values.items() if not np.isfinite(value)] == []
  assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((two.params, two.opt, two.ema)))
  half, _ = played('jit', 1, 1, start)
  assert tiny.difference(played('jit', 1, 1, half, first=1)[0], two) == 0
  many, metrics = played('pmap', 4, 2, start)
  assert tiny.difference((two.params, two.ema), (many.params, many.ema)) < 1e-4
  for one, other in zip(seen, metrics, strict=True):
    assert one == pytest.approx(other, rel=2e-3, abs=1e-4)


def only_movers_move(game, rules, state, spec):
  """Of each turn: the parameters of all but its players come out as they went in, the very same variables."""
  for index, turn in enumerate(game.turns):
    batch = tiny.batch(spec, 0, max(turn.times, 1))
    traced, shape = jax.make_jaxpr(make_step(game, rules, due=(index,)), return_shape=True)(state, batch)
    ins = jax.tree.unflatten(jax.tree.structure((state, batch)), traced.jaxpr.invars)[0].params
    outs = jax.tree.unflatten(jax.tree.structure(shape), traced.jaxpr.outvars)[0].params
    for player in state.params:
      same = [a is b for a, b in zip(jax.tree.leaves(ins[player]), jax.tree.leaves(outs[player]), strict=True)]
      assert not any(same) if player in turn.players else all(same), (player, turn)


def every_piece():
  """Combinations that have every piece in one of them: the axes side by side, those that need images first."""
  ordered = {axis: sorted(pieces, key=lambda piece: piece not in OF_IMAGES) for axis, pieces in AXES.items()}
  rows = [{axis: pieces[i] for axis, pieces in ordered.items() if i < len(pieces)}
          for i in range(max(map(len, AXES.values())))]  # fmt: skip
  apart = [{'conditioning': row.pop('conditioning')} for row in rows if not sensible(row)]
  apart += [{'game': row.pop('game')} for row in rows if 'game' in row]  # its step is long enough alone
  return rows + apart


def every_pair():
  """Combinations that have every sensible pair in one of them, each as many new pairs as can be found greedily."""
  left = {pair for pair in map(frozenset, pairs()) if sensible(dict(pair))}
  rows = []
  while left:
    row = dict(sorted(min(left, key=sorted)))
    for axis in AXES:
      fits = [piece for piece in AXES[axis] if axis not in row and sensible(row | {axis: piece})]
      news = [sum(frozenset({(axis, piece), other}) in left for other in row.items()) for piece in fits]
      if max(news, default=0):
        row[axis] = fits[news.index(max(news))]
    left -= {frozenset(pair) for pair in itertools.combinations(row.items(), 2)}
    rows.append(row)
  return rows


def pairs():
  for a, b in itertools.combinations(AXES, 2):
    yield from itertools.product([(a, piece) for piece in AXES[a]], [(b, piece) for piece in AXES[b]])


def name_of(combination):
  return '-'.join(combination.values())


@pytest.mark.parametrize('combination', every_piece(), ids=name_of)
def test_every_piece(combination):
  keep_the_contract(config_of(combination))


@pytest.mark.slow
@pytest.mark.parametrize('combination', every_pair(), ids=name_of)
def test_every_pair(combination):
  keep_the_contract(config_of(combination))


def test_every_piece_is_there():
  for axis, pieces in AXES.items():
    assert {row.get(axis) for row in every_piece()} - {None} == set(pieces)
  found = {frozenset(pair) for row in every_pair() for pair in itertools.combinations(row.items(), 2)}
  assert {frozenset(pair) for pair in pairs() if sensible(dict(pair))} <= found
