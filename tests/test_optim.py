"""Optimisers, schedules and averages against StyleGAN2's recorded numbers, PyTorch's formulas and arithmetic by hand."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny

from ganjax import averages, check, optim, parallel
from ganjax import config as configs
from ganjax import state as states
from ganjax.errors import ConfigError
from ganjax.step import make_step
from ganjax.types import Game, Turn


@pytest.fixture(scope='module')
def facts():
  arrays = dict(np.load(Path(__file__).parent / 'fixtures' / 'optim.npz', allow_pickle=False))
  return arrays | {'cfg': json.loads(str(arrays['cfg']))}


def linear_game(turns, start, losses=('main',)):
  """A game whose gradients are the batch's: the loss of player d is params . batch[name]."""

  def loss(name):
    return lambda scene: ((scene.params['d'] * scene.batch[name].sum(0)).sum(), ({}, {}))

  init = lambda key, batch: ({'d': jnp.asarray(start)}, {})  # noqa: E731
  prior = lambda key, count, batch: {}  # noqa: E731
  return Game(init, {name: loss(name) for name in losses}, prior, lambda params, extras, prior: {}, turns)


def train(game, rules, hyper, batches, steps):
  """The states after each of `steps` steps on batches[step]."""
  state = states.create(game, rules, jax.random.key(0), {}, hyper)
  seen = []
  for n in range(steps):
    step = jax.jit(make_step(game, rules, due=parallel.due(game.turns, n)))
    state, _ = step(state, jax.tree.map(lambda x, n=n: jnp.asarray(x[n])[None, None], batches))
    seen.append(state)
  return seen


# Adam.


def test_lazy_adam_is_stylegan2s_one_adam_for_both_phases(facts):
  cfg, start = facts['cfg'], facts['adam/in/p0']
  turns = (Turn(('d',), 'main'), Turn(('d',), 'reg', every=cfg['interval'], fresh=False))
  game = linear_game(turns, start, ('main', 'reg'))
  assert optim.lazy_correction(game) == {'d': pytest.approx(cfg['interval'] / (cfg['interval'] + 1))}
  hyper = {'d_learning_rate': cfg['lr'], 'd_b1': cfg['betas'][0], 'd_b2': cfg['betas'][1]}
  numbers = optim.own_numbers(
    {name: jnp.float32(x) for name, x in hyper.items()}, 'd', cfg['interval'] / (cfg['interval'] + 1)
  )
  np.testing.assert_allclose(
    [numbers[name] for name in ('learning_rate', 'b1', 'b2')], facts['adam/out/effective'], rtol=1e-6
  )

  rules = optim.make_rules(game, {'d': lambda numbers: optim.adam(**numbers)}, {}, {}, 1)
  seen = train(game, rules, hyper, {'main': facts['adam/in/grad_main'], 'reg': facts['adam/in/grad_reg']}, cfg['steps'])
  # The trajectory has a row after each move; an iteration with both phases ends on the second of them.
  moves = np.cumsum([2 if n % cfg['interval'] == 0 else 1 for n in range(cfg['steps'])])
  expected = facts['adam/out/trajectory'][moves - 1]
  np.testing.assert_allclose([state.params['d'] for state in seen], expected, atol=1e-4 * np.abs(expected).max())
  moments = next(part for part in jax.tree.leaves(seen[-1].opt['d'], is_leaf=is_adam) if is_adam(part))
  np.testing.assert_allclose(moments.mu, facts['adam/out/exp_avg'], rtol=1e-4)
  np.testing.assert_allclose(moments.nu, facts['adam/out/exp_avg_sq'], rtol=1e-4)
  assert moments.count == moves[-1]


def is_adam(part):
  return isinstance(part, optax.ScaleByAdamState)


def by_hand(chain, gradients, start):
  """Parameters after each update of an optax chain."""
  params = jnp.asarray(start)
  state, seen = chain.init(params), []
  for gradient in gradients:
    updates, state = chain.update(jnp.asarray(gradient), state, params)
    params = optax.apply_updates(params, updates)
    seen.append(params)
  return np.asarray(seen)


def test_plain_adam_without_momentum_is_pytorchs(facts):
  chain = optim.adam(learning_rate=2e-3, b1=0.0, b2=0.99)
  found = by_hand(chain, facts['adam/in/grad_main'], facts['adam/in/p0'])
  np.testing.assert_allclose(found, facts['adam/out/plain_b1_0'], atol=2e-6)


def test_adam_by_its_formula():
  """Bias-corrected, epsilon outside the root."""
  gradients = np.random.default_rng(0).normal(size=(6, 3))
  p, m, v, expected = np.zeros(3), np.zeros(3), np.zeros(3), []
  for t, g in enumerate(gradients, 1):
    m, v = 0.5 * m + 0.5 * g, 0.9 * v + 0.1 * g**2
    p = p - 0.01 * (m / (1 - 0.5**t)) / (np.sqrt(v / (1 - 0.9**t)) + 0.1)
    expected.append(p)
  found = by_hand(
    optim.adam(learning_rate=0.01, b1=0.5, b2=0.9, eps=0.1), gradients.astype(np.float32), np.zeros(3, np.float32)
  )
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_rmsprop_by_its_formula():
  gradients = np.random.default_rng(1).normal(size=(6, 3))
  p, v, expected = np.zeros(3), np.zeros(3), []
  for g in gradients:
    v = 0.9 * v + 0.1 * g**2
    p = p - 0.01 * g / (np.sqrt(v) + 1e-3)
    expected.append(p)
  found = by_hand(
    optim.rmsprop(learning_rate=0.01, decay=0.9, eps=1e-3), gradients.astype(np.float32), np.zeros(3, np.float32)
  )
  np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_sgd_with_heavy_ball_momentum():
  found = by_hand(optim.sgd(learning_rate=0.1, momentum=0.5), np.ones((3, 1), np.float32), np.zeros(1, np.float32))
  np.testing.assert_allclose(found[:, 0], [-0.1, -0.25, -0.425], rtol=1e-6)


# Clipping.


@pytest.mark.parametrize('name', optim.__all__)
def test_weight_clipping_keeps_every_weight_within_the_bound(name):
  gradients = np.random.default_rng(2).normal(size=(20, 50)).astype(np.float32)
  make = getattr(optim, name)
  free = by_hand(make(learning_rate=0.02), gradients, np.zeros(50, np.float32))
  found = by_hand(make(learning_rate=0.02, weight_clip=0.03), gradients, np.zeros(50, np.float32))
  assert np.abs(free).max() > 0.03
  assert np.abs(found).max() <= 0.03 * (1 + 1e-5)
  np.testing.assert_allclose(found[0], np.clip(free[0], -0.03, 0.03), rtol=1e-5, atol=1e-8)


def test_weight_clipping_first_brings_outliers_in():
  found = by_hand(optim.sgd(learning_rate=0.0, weight_clip=0.01), np.zeros((1, 2), np.float32), np.float32([5, -0.001]))
  np.testing.assert_allclose(found[0], [0.01, -0.001], rtol=1e-4)


def test_gradient_clipping_by_norm_and_by_value():
  gradient = np.float32([[3, 4]])
  start = np.zeros(2, np.float32)
  np.testing.assert_allclose(
    by_hand(optim.sgd(learning_rate=1.0, clip_norm=1.0), gradient, start)[0], [-0.6, -0.8], rtol=1e-6
  )
  np.testing.assert_allclose(
    by_hand(optim.sgd(learning_rate=1.0, clip_norm=9.0), gradient, start)[0], [-3, -4], rtol=1e-6
  )
  np.testing.assert_allclose(
    by_hand(optim.sgd(learning_rate=1.0, clip_value=3.5), gradient, start)[0], [-3, -3.5], rtol=1e-6
  )
  both = optim.sgd(learning_rate=1.0, clip_norm=1.0, clip_value=0.7)  # the norm first
  np.testing.assert_allclose(by_hand(both, gradient, start)[0], [-0.6, -0.7], rtol=1e-6)


def test_a_zero_leaves_clipping_out():
  """The optimiser's state has no place for what isn't there."""
  plain = optim.adam().init(jnp.zeros(2))
  clipped = optim.adam(clip_norm=1.0, weight_clip=0.1).init(jnp.zeros(2))
  assert len(clipped) == len(plain) + 2


# Averages.


def test_ema_half_life_and_ramp_up_are_stylegan2s(facts):
  cfg = facts['cfg']
  decay = averages.average(halflife_kimg=cfg['ema_kimg'], rampup=cfg['rampup'])
  batch = cfg['bs']
  found = [decay(jnp.int32(n * batch), jnp.int32((n + 1) * batch)) for n in range(cfg['steps'])]
  np.testing.assert_allclose(found, facts['ema/out/beta'], rtol=1e-4, atol=1e-7)
  for images, beta in facts['ema/out/beta_at_nimg']:
    np.testing.assert_allclose(decay(jnp.int32(images), jnp.int32(images + batch)), beta, rtol=1e-5, atol=1e-7)


def test_ema_of_parameters_through_the_step(facts):
  """Plain descent at rate 1 on the differences plays the recorded parameters; the averages are the recorded ones."""
  cfg, wanted = facts['cfg'], facts['ema/in/p']
  start = facts['ema/in/ema0']
  gradients = -np.diff(np.concatenate([start[None], wanted]), axis=0)
  game = linear_game((Turn(('d',), 'main'),), start)
  kept = {'main': averages.average(halflife_kimg=cfg['ema_kimg'], rampup=cfg['rampup'])}
  rules = optim.make_rules(game, {'d': lambda numbers: optim.sgd(**numbers)}, {}, kept, 1)
  rules = type(rules)(**{**vars(rules), 'averaged': ('d',)})
  # The rows of a batch are what counts as images: all but one are empty here.
  rows = np.zeros((cfg['steps'], cfg['bs'], start.size), np.float32)
  rows[:, 0] = gradients
  state = states.create(game, rules, jax.random.key(0), {}, {'d_learning_rate': 1.0})
  step = jax.jit(make_step(game, rules))
  for n in range(cfg['steps']):
    state, _ = step(state, {'main': jnp.asarray(rows[n])[None]})
    np.testing.assert_allclose(state.params['d'], wanted[n], atol=1e-5)
    np.testing.assert_allclose(
      state.ema['main']['d'], facts['ema/out/ema'][n], atol=1e-4 * np.abs(facts['ema/out/ema']).max()
    )


def test_a_half_life_halves_and_without_ramp_up_it_is_constant():
  decay = averages.average(halflife_kimg=2.0, rampup=0.0)
  np.testing.assert_allclose(decay(jnp.int32(0), jnp.int32(2000)), 0.5, rtol=1e-6)
  np.testing.assert_allclose(decay(jnp.int32(0), jnp.int32(500)) ** 4, 0.5, rtol=1e-6)
  np.testing.assert_allclose(
    decay(jnp.int32(10**6), jnp.int32(10**6 + 500)), decay(jnp.int32(0), jnp.int32(500)), rtol=1e-6
  )


# Numbers and schedules.


def test_two_time_scales_and_numbers_by_player():
  config = tiny.complete(optimizer__d__learning_rate=4e-4, optimizer__g__learning_rate=1e-4)
  hyper = configs.hyper(config)
  assert (hyper['d_learning_rate'], hyper['g_learning_rate']) == (4e-4, 1e-4)
  assert optim.own_numbers({'d_b1': 1.0, 'g_b1': 2.0, 'd_r1_gamma': 3.0}, 'd', 1.0) == {'b1': 1.0, 'r1_gamma': 3.0}


def test_no_correction_without_lazy_turns():
  _, game, _ = tiny.game(tiny.complete())
  assert optim.lazy_correction(game) == {}


def test_a_player_with_two_lazy_turns_is_corrected_for_both():
  turns = (Turn(('d',), 'main'), Turn(('d',), 'main', every=4), Turn(('d',), 'main', every=16))
  assert optim.lazy_correction(linear_game(turns, np.zeros(1))) == {'d': pytest.approx(1 / (1 + 1 / 4 + 1 / 16))}


@pytest.mark.parametrize('name', ['linear', 'cosine'])
def test_schedules_in_images_shown(name):
  """Start, half-way and end of a plan from 2 to 6 thousand images."""
  plan = {'d_learning_rate': {'name': name, 'start_kimg': 2.0, 'over_kimg': 4.0, 'end': 0.1}}
  game = linear_game((Turn(('d',), 'main'),), np.zeros(1))
  rules = optim.make_rules(game, {'d': lambda numbers: optim.sgd(**numbers)}, plan, {}, 1)
  hyper = {'d_learning_rate': jnp.float32(0.5), 'g_learning_rate': jnp.float32(7)}
  at = lambda images: rules.schedule(hyper, jnp.int32(images))  # noqa: E731
  found = [float(at(images)['d_learning_rate']) for images in (0, 2000, 4000, 6000, 60_000)]
  np.testing.assert_allclose(found, [0.5, 0.5, 0.3, 0.1, 0.1], rtol=1e-5)
  assert at(5000)['g_learning_rate'] == 7
  if name == 'cosine':
    shape = optax.cosine_decay_schedule(0.5, 4000, alpha=0.2)
    np.testing.assert_allclose(at(3000)['d_learning_rate'], shape(1000), rtol=1e-5)
  else:
    np.testing.assert_allclose(at(3000)['d_learning_rate'], optax.linear_schedule(0.5, 0.1, 4000)(1000), rtol=1e-5)


def test_a_scheduled_rate_reaches_the_step():
  """Plain descent: the first step at the whole rate, later ones at what is left of it."""
  game = linear_game((Turn(('d',), 'main'),), np.zeros(1, np.float32))
  plan = {'d_learning_rate': {'name': 'linear', 'start_kimg': 0.0, 'over_kimg': 0.004, 'end': 0.0}}
  rules = optim.make_rules(game, {'d': lambda numbers: optim.sgd(**numbers)}, plan, {}, 1)
  seen = train(game, rules, {'d_learning_rate': 1.0}, {'main': np.ones((6, 1), np.float32)}, 6)
  np.testing.assert_allclose(
    [float(state.params['d'][0]) for state in seen], [-1, -1.75, -2.25, -2.5, -2.5, -2.5], rtol=1e-6
  )


@pytest.mark.parametrize(
  ('plan', 'wanted'),
  [
    ({'name': 'exponential', 'end': 0.005}, [0.5, 0.5, 0.05, 0.005, 0.005]),
    ({'name': 'warmup'}, [0, 0, 0.25, 0.5, 0.5]),
    ({'name': 'warmup', 'begin': 0.1}, [0.1, 0.1, 0.3, 0.5, 0.5]),
  ],
)
def test_exponential_and_warmup(plan, wanted):
  plans = {'d_learning_rate': {'start_kimg': 2.0, 'over_kimg': 4.0} | plan}
  rules = optim.make_rules(linear_game((Turn(('d',), 'main'),), np.zeros(1)), {}, plans, {}, 1)
  at = lambda images: rules.schedule({'d_learning_rate': jnp.float32(0.5)}, jnp.int32(images))['d_learning_rate']  # noqa: E731
  found = [float(at(images)) for images in (0, 2000, 4000, 6000, 60_000)]
  np.testing.assert_allclose(found, wanted, rtol=1e-5)
  if plan['name'] == 'exponential':
    shape = optax.exponential_decay(0.5, 4000, 0.01)
    np.testing.assert_allclose(at(3000), shape(1000), rtol=1e-5)


@pytest.mark.parametrize(
  ('plan', 'told'),
  [
    ({'name': 'exponential', 'over_kimg': 1.0}, r'schedule.d_learning_rate.end: given None, valid: a value'),
    ({'name': 'exponential', 'over_kimg': 1.0, 'end': 0.0}, r'schedule.d_learning_rate.end: .* above 0'),
    ({'name': 'exponentail', 'over_kimg': 1.0}, "did you mean 'exponential'"),
    ({'name': 'warmup', 'over_kimg': 1.0, 'end': 0.1}, r'schedule.d_learning_rate.end'),
  ],
)
def test_schedules_that_cannot_be(plan, told):
  with pytest.raises(ConfigError, match=told):
    tiny.complete(schedule={'d_learning_rate': plan})


# Weight decay, and layers that stay.


def test_weight_decay_is_pytorchs(facts):
  chain = optim.adam(learning_rate=2e-3, b1=0.5, b2=0.9, weight_decay=0.01)  # CTGAN's betas
  found = by_hand(chain, facts['adam/in/grad_main'], facts['adam/in/p0'])
  np.testing.assert_allclose(found, facts['adam/out/l2_weight_decay_0.01'], atol=2e-6)


@pytest.mark.parametrize('name', optim.__all__)
def test_frozen_modules_stay_and_the_others_move_as_ever(name):
  """The frozen ones have huge gradients and weights: neither counts for the norm or the bound."""
  options = {'learning_rate': 0.1, 'clip_norm': 1.0, 'weight_clip': 0.5}
  options |= {'weight_decay': 0.1} if name == 'adam' else {}
  live, gradient = {'c': jnp.float32([0.1, 0.2])}, {'c': jnp.float32([3.0, -4.0])}
  still, steep = (
    {'a': {'x': jnp.full(2, 7.0), 'y': jnp.full(2, 8.0)}},
    {'a': {'x': jnp.full(2, 1e6), 'y': jnp.full(2, 1e6)}},
  )
  make = getattr(optim, name)
  alone, both = make(**options), make(**options, freeze=('a.x', 'a.y'))
  params, state, other, seen = live, alone.init(live), live | still, both.init(live | still)
  for _ in range(3):
    updates, state = alone.update(gradient, state, params)
    params = optax.apply_updates(params, updates)
    updates, seen = both.update(gradient | steep, seen, other)
    other = optax.apply_updates(other, updates)
  np.testing.assert_array_equal(other['a']['x'], 7.0)
  np.testing.assert_array_equal(other['a']['y'], 8.0)
  np.testing.assert_array_equal(other['c'], params['c'])
  assert sum(x.size for x in jax.tree.leaves(seen)) == sum(x.size for x in jax.tree.leaves(state))


def test_a_frozen_name_is_a_module_not_the_beginning_of_one():
  params = {'block1': {'w': 0.0}, 'block10': {'w': 0.0}}
  assert optim.frozen(('block1',), params) == {'block1': {'w': True}, 'block10': {'w': False}}
  assert optim.frozen(('block10.w',), params) == {'block1': {'w': False}, 'block10': {'w': True}}


def test_frozen_layers_in_training():
  config = tiny.complete(optimizer__d__freeze=('hidden0',))
  before = tiny.initial(config, *tiny.game(config))
  after, _ = tiny.play(config, 3)
  moved = {name: tiny.difference(after.params['d'][name], before.params['d'][name]) for name in before.params['d']}
  assert moved.pop('hidden0') == 0
  assert min(moved.values()) > 0


@pytest.mark.parametrize(
  ('names', 'told'),
  [
    (('hidden1',), r"optimizer.d.freeze: given 'hidden1', valid: modules of d, .*hidden0.*; did you mean 'hidden0'"),
    (('hidden0.kernle',), r"given 'hidden0.kernle', .*; did you mean 'hidden0.kernel'"),
  ],
)
def test_unknown_modules_cannot_be_frozen(names, told):
  with pytest.raises(ConfigError, match=told):
    check.check(tiny.complete(optimizer__d__freeze=names), tiny.ROWS, 1)
  check.check(tiny.complete(optimizer__d__freeze=('hidden0.kernel',)), tiny.ROWS, 1)
