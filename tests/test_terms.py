"""Every term against a second way of computing it, and what holds for all of them."""

import inspect
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from ganjax import config as configs
from ganjax import terms
from ganjax.ops import across
from ganjax.terms import draws, finite_difference, gradient, weights
from ganjax.types import Play, Scene

# Tested in test_terms_more.py; in test_path_length.py and test_energy.py.
MORE = ('consistency_fake', 'consistency_real', 'feature_matching', 'lecam', 'rotation')
ELSEWHERE = (*MORE, 'path_length', 'pulling_away')
HERE = [name for name in terms.__all__ if name not in ELSEWHERE]
OF_G = ('mode_seeking', 'latent_diversity', 'orthogonal')
WEIGHTS = {name: 'gamma' if name[:2] in ('r1', 'r2') else 'weight' for name in HERE}


@pytest.fixture(scope='module')
def recorded():
  return np.load(Path(__file__).parent / 'fixtures' / 'losses.npz', allow_pickle=False)


# A toy on images [B, 3, 2, 2]: D has a matrix and a smooth activation, G is linear.


def players(seed=0):
  keys = jax.random.split(jax.random.key(seed), 4)
  d = {'layer': {'kernel': jax.random.normal(keys[0], (12, 5)) / 3, 'bias': jax.random.normal(keys[1], (5,))}}
  g = {'layer': {'kernel': jax.random.normal(keys[2], (4, 12)) / 2}, 'embed': {'embedding': jnp.ones((3, 4))}}
  return {'d': d, 'g': g}


def critic(d, x, label=None):
  h = jnp.tanh(x.reshape(x.shape[0], -1) @ d['layer']['kernel'] + d['layer']['bias'])
  return (h * jnp.arange(1.0, 6)).sum(1) / 3


def inspect_by(critic):
  """A play's look at a D without heads."""
  return lambda x, label: (critic(x, label), {})


def generator(g, latent, label=None):
  return (latent @ g['layer']['kernel']).reshape(-1, 3, 2, 2)


def scene_of(params, count=6, axis=None, key=0):
  rows = across.rows(count, axis)
  return Scene(params, {}, {}, {}, rows, jax.random.key(key), jnp.int32(0), jnp.int32(0), {}, axis, None)


def play_of(params, real, latent):
  return Play(
    real,
    None,
    generator(params['g'], latent),
    None,
    latent,
    inspect_by(partial(critic, params['d'])),
    partial(generator, params['g']),
  )


def data(count=6, seed=1):
  keys = jax.random.split(jax.random.key(seed))
  return jax.random.normal(keys[0], (count, 3, 2, 2)), jax.random.normal(keys[1], (count, 4))


@lru_cache
def compiled(name, fixed):
  """A term on the toy as a function of (params, real, latent, key, its numbers)."""

  def run(params, real, latent, key, numbers):
    scene = scene_of(params, len(real))._replace(key=key)
    return getattr(terms, name)(scene, play_of(params, real, latent), **numbers, **dict(fixed))

  return jax.jit(run)


def value(name, params=None, x=None, **numbers):
  """The value of a term on the toy."""
  fixed = {field: numbers.pop(field) for field in list(numbers) if isinstance(numbers[field], (bool, str))}
  params = players() if params is None else params
  found, metrics = compiled(name, tuple(fixed.items()))(params, *(x or data()), jax.random.key(0), numbers)
  assert name in metrics
  return found


# What holds for all.


@pytest.mark.parametrize('name', HERE)
def test_a_term_is_a_finite_scalar_with_a_docstring_and_defaults(name):
  function = getattr(terms, name)
  found = value(name)
  assert found.shape == ()
  assert found.dtype == jnp.float32
  assert np.isfinite(found)
  assert (found >= 0) is not (name == 'latent_diversity') or found == 0
  keywords = [p for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
  assert keywords
  assert all(p.default is not p.empty for p in keywords)
  assert '20' in function.__doc__  # the paper's year


@pytest.mark.parametrize('name', HERE)
def test_a_term_is_proportional_to_its_weight(name):
  np.testing.assert_allclose(value(name, **{WEIGHTS[name]: 6.0}), 3 * value(name, **{WEIGHTS[name]: 2.0}), rtol=1e-5)
  assert value(name, **{WEIGHTS[name]: 0.0}) == 0


@pytest.mark.parametrize('name', HERE)
def test_the_gradient_is_that_of_finite_differences(name):
  """Along a random direction of the player whose term it is."""
  params, player = players(), 'g' if name in OF_G else 'd'
  moved = lambda own: value(name, {**params, player: own})  # noqa: E731
  own = params[player]
  along = jax.tree.map(lambda p: jnp.asarray(np.random.default_rng(p.size).normal(size=p.shape), jnp.float32), own)
  slope = sum(jax.tree.leaves(jax.tree.map(lambda g, v: (g * v).sum(), jax.grad(moved)(own), along)))
  step = 1e-3 if name == 'max_gradient_penalty' else 5e-3  # before another example has the largest slope
  ends = [moved(jax.tree.map(lambda p, v, s=s: p + s * step * v, own, along)) for s in (1, -1)]
  np.testing.assert_allclose(slope, (ends[0] - ends[1]) / (2 * step), rtol=0.02, atol=2e-3 * abs(float(ends[0])) + 1e-3)


@pytest.mark.parametrize('name', HERE)
def test_four_devices_agree_with_one(name):
  """Value and gradient, draws included."""
  params, x = players(), data(8)
  player = 'g' if name in OF_G else 'd'

  def both(axis, *x):
    def loss(own):
      moved = {**params, player: own}
      return getattr(terms, name)(scene_of(moved, len(x[0]), axis), play_of(moved, *x))[0]

    return across.mean(jax.value_and_grad(loss)(params[player]), axis)

  whole = jax.jit(partial(both, None))(*x)
  split = [a.reshape(4, 2, *a.shape[1:]) for a in x]
  run = jax.pmap(partial(both, 'data'), 'data', devices=jax.devices()[:4])(*split)
  for a, b in zip(jax.tree.leaves(run), jax.tree.leaves(whole), strict=True):
    np.testing.assert_allclose(
      a[2], b, rtol=1e-3, atol=(1e-3 if 'finite' in name else 1e-5) * float(jnp.abs(b).max()) + 1e-7
    )


@lru_cache
def without(player):
  """The state after a step without terms."""
  return tiny.play(tiny.complete(**{f'optimizer__{player}__name': 'sgd'}), 1)[0]


@pytest.mark.parametrize('name', HERE)
def test_a_config_finds_it_and_a_step_moves(name):
  player = 'g' if name in OF_G else 'd'
  descent = {f'optimizer__{player}__name': 'sgd'}  # Adam's first step sees signs alone
  config = tiny.complete(**descent, **{f'terms__{player}__{name}__{WEIGHTS[name]}': 1.0})
  state, seen = tiny.play(config, 1)
  assert np.isfinite(seen[0][f'{player}/{name}'])
  assert tiny.difference(state.params[player], without(player).params[player]) > 0
  assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.params))
  assert f'{player}_{name}_{WEIGHTS[name]}' in configs.hyper(config)


@pytest.mark.parametrize('name', [name for name in HERE if name not in OF_G])
def test_a_flat_critic_has_a_finite_gradient(name):
  """Where D's slope is 0, norms have no derivative."""
  params = players()
  flat = {**params, 'd': jax.tree.map(jnp.zeros_like, params['d'])}
  found, slope = jax.value_and_grad(lambda d: value(name, {**flat, 'd': d}))(flat['d'])
  assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((found, slope)))


# Penalties on the slope, of critics whose slope is known.


def linear_play(w, count=5, seed=3):
  """Real and fake rows, and D(x) = w . x with slope w everywhere."""
  keys = jax.random.split(jax.random.key(seed))
  real, fake = (jax.random.normal(k, (count, w.size)) for k in keys)
  return Play(real, None, fake, None, real, inspect_by(lambda x, label: x @ w), lambda z, label: z)


@settings(max_examples=15, deadline=None)
@given(st.floats(-3, 3, width=16), st.floats(0, 2, width=16))
def test_penalties_of_a_linear_critic(first, center):
  w = jnp.float32([first, 0.5, -1.0])
  norm, scene = float(np.linalg.norm(w)), scene_of({}, 5)
  of = lambda name, **numbers: float(getattr(terms, name)(scene, linear_play(w), **numbers)[0])  # noqa: E731
  close = partial(np.testing.assert_allclose, rtol=2e-3, atol=1e-4)
  close(of('gradient_penalty', weight=3.0, center=center), 3 * (norm - center) ** 2)
  close(of('gradient_penalty', weight=3.0, center=center, one_sided=True), 3 * max(0, norm - center) ** 2)
  close(of('dragan', weight=3.0, center=center), 3 * (norm - center) ** 2)
  close(of('max_gradient_penalty', weight=3.0), 3 * norm**2)
  close(of('r1', gamma=3.0), 1.5 * norm**2)
  close(of('r2', gamma=3.0), 1.5 * norm**2)
  close(of('r1_finite_difference', gamma=3.0, sigma=0.1), 1.5 * norm**2)
  close(of('r2_finite_difference', gamma=3.0, sigma=0.1), 1.5 * norm**2)


def slopes_by_hand(params, x):
  """D's slope by its formula: W (a (1 - tanh^2)), float64 [B, 12]."""
  kernel, bias = (np.asarray(params['d']['layer'][name], np.float64) for name in ('kernel', 'bias'))
  h = np.tanh(np.asarray(x, np.float64).reshape(len(x), -1) @ kernel + bias)
  return ((1 - h**2) * np.arange(1, 6) / 3) @ kernel.T


def test_r1_and_r2_by_the_formula_of_the_slope():
  params, (real, latent) = players(), data()
  fake = generator(params['g'], latent)
  np.testing.assert_allclose(value('r1', gamma=4.0), 2 * (slopes_by_hand(params, real) ** 2).sum(1).mean(), rtol=1e-4)
  np.testing.assert_allclose(value('r2', gamma=4.0), 2 * (slopes_by_hand(params, fake) ** 2).sum(1).mean(), rtol=1e-4)


def test_penalties_between_real_and_fake_by_the_formula_of_the_slope():
  params, (real, latent) = players(), data()
  fake = generator(params['g'], latent)
  share = np.asarray(draws.per_row(scene_of(params), gradient.BETWEEN, jax.random.uniform))
  assert ((share >= 0) & (share <= 1)).all()
  assert len(set(share.tolist())) == 6
  x = share[:, None, None, None] * np.asarray(real) + (1 - share[:, None, None, None]) * np.asarray(fake)
  norms = np.linalg.norm(slopes_by_hand(params, x), axis=1)
  np.testing.assert_allclose(value('gradient_penalty'), 10 * ((norms - 1) ** 2).mean(), rtol=1e-4)
  np.testing.assert_allclose(value('gradient_penalty', center=0.0), 10 * (norms**2).mean(), rtol=1e-4)
  one_sided = value('gradient_penalty', center=float(np.median(norms)), one_sided=True)
  np.testing.assert_allclose(one_sided, 10 * (np.maximum(0, norms - np.median(norms)) ** 2).mean(), rtol=1e-4)
  np.testing.assert_allclose(value('max_gradient_penalty'), norms.max() ** 2, rtol=1e-4)


def test_dragan_looks_around_the_reals():
  params, (real, _) = players(), data()
  noise = draws.normal(scene_of(params), gradient.AROUND, real)
  norms = np.linalg.norm(slopes_by_hand(params, real + 0.3 * noise), axis=1)
  np.testing.assert_allclose(value('dragan', sigma=0.3), 10 * ((norms - 1) ** 2).mean(), rtol=1e-4)
  many = draws.normal(scene_of(params, 4000), gradient.AROUND, jnp.zeros((4000, 8)))
  np.testing.assert_allclose([many.mean(), many.std()], [0, 1], atol=0.02)


def test_drift_is_the_mean_square_of_the_logits_of_reals():
  params, (real, latent) = players(), data()
  logits = np.asarray(critic(params['d'], real), np.float64)
  np.testing.assert_allclose(value('drift', weight=0.5), 0.5 * (logits**2).mean(), rtol=1e-5)
  seen = play_of(params, real, latent)._replace(real_logits=jnp.float32([1, -2]))  # the loss's look is not taken again
  np.testing.assert_allclose(terms.drift(scene_of(params), seen, weight=0.5)[0], 1.25, rtol=1e-6)


def test_draws_depend_on_the_row_alone():
  scene = scene_of({}, 8)
  whole = draws.normal(scene, 7, jnp.zeros((8, 3)))
  strided = draws.normal(scene._replace(rows=scene.rows[1::2]), 7, jnp.zeros((4, 3)))
  np.testing.assert_array_equal(whole[1::2], strided)
  assert (draws.normal(scene, 8, jnp.zeros((8, 3))) != whole).all()


# Finite differences, against the exact penalty.


def penalties(name, **numbers):
  """The exact value and gradient of R1 on the toy, and those of finite differences."""
  params = players()
  both = lambda name, **numbers: jax.value_and_grad(lambda d: value(name, {**params, 'd': d}, **numbers))(params['d'])  # noqa: E731
  flat = lambda pair: (float(pair[0]), np.asarray(jax.flatten_util.ravel_pytree(pair[1])[0]))  # noqa: E731
  return *flat(both(name)), *flat(both(f'{name}_finite_difference', **numbers))


@pytest.mark.parametrize('name', ['r1', 'r2'])
@pytest.mark.parametrize(('sigma', 'error'), [(0.003, 0.01), (0.01, 0.03), (0.03, 0.09)])
def test_along_the_gradient_the_error_is_that_of_the_step(name, sigma, error):
  exact, slope, found, found_slope = penalties(name, sigma=sigma)
  assert abs(found - exact) <= error * exact
  assert np.linalg.norm(found_slope - slope) <= error * np.linalg.norm(slope)


def test_the_error_shrinks_with_the_step():
  errors = []
  for sigma in (0.08, 0.04, 0.02, 0.01):
    _, slope, _, found = penalties('r1', sigma=sigma)
    errors.append(np.linalg.norm(found - slope) / np.linalg.norm(slope))
  assert all(1.6 < a / b < 2.6 for a, b in pairwise(errors)), errors  # first order


def test_along_noise_the_mean_over_draws_is_the_penalty():
  params, (real, _) = players(), data()
  scene, d = scene_of(params), partial(critic, params['d'])

  def one(key):
    noise = draws.normal(scene._replace(key=key), finite_difference.REAL, real)
    return finite_difference.squared_slopes(d, real, noise, 0.01)

  found = np.asarray(jax.vmap(one)(jax.random.split(jax.random.key(5), 20_000)))  # [draws, B]
  exact = np.asarray(gradient.squared_norms(d, real))
  np.testing.assert_allclose(found.mean(0), exact, rtol=0.05)
  np.testing.assert_allclose(found.std(0), np.sqrt(2) * exact, rtol=0.06)  # what the docstring says of one draw


def test_along_noise_a_quadratic_critic_is_off_by_its_second_derivative():
  """E ((D(x + s e) - D(x)) / s)^2 = |dD|^2 + s^2/4 ((tr H)^2 + 2 |H|^2) for D(x) = x' H x / 2."""
  h, x = jnp.diag(jnp.float32([1, 2, -0.5])), jnp.float32([[0.3, -0.2, 0.4]])
  d = lambda x: 0.5 * ((x @ h) * x).sum(1)  # noqa: E731
  noise = jax.random.normal(jax.random.key(0), (400_000, 1, 3))
  found = jax.vmap(lambda e: finite_difference.squared_slopes(d, x, e, 0.5)[0])(noise).mean()
  expected = ((x @ h) ** 2).sum() + 0.25 / 4 * (jnp.trace(h) ** 2 + 2 * (h**2).sum())
  np.testing.assert_allclose(found, expected, rtol=0.02)


# Weights.


@pytest.mark.parametrize('diagonal', [False, True])
def test_orthogonal_by_the_formula_of_its_gradient(diagonal):
  params = players()
  slope = jax.grad(lambda g: value('orthogonal', {**params, 'g': g}, weight=0.3, diagonal=diagonal))(params['g'])
  w = np.asarray(params['g']['layer']['kernel'], np.float64).T  # [out, in]
  gram = w @ w.T - np.eye(12) if diagonal else w @ w.T * (1 - np.eye(12))
  np.testing.assert_allclose(slope['layer']['kernel'], (2 * 0.3 * gram @ w).T, rtol=1e-4, atol=1e-5)
  assert (slope['embed']['embedding'] == 0).all()


@pytest.mark.parametrize('shape', [(9, 4), (3, 3, 2, 5)])
def test_orthogonal_is_zero_where_it_should_be(shape):
  kernel = jax.nn.initializers.orthogonal()(jax.random.key(0), shape)
  of = lambda kernel, **how: float(  # noqa: E731
    terms.orthogonal(scene_of({'g': {'a': {'kernel': kernel}}}), None, weight=1.0, **how)[0]
  )
  assert of(kernel) < 1e-10
  assert of(kernel, diagonal=True) < 1e-10
  assert of(2 * kernel) < 1e-9  # lengths are free
  np.testing.assert_allclose(of(2 * kernel, diagonal=True), 0.5 * 9 * shape[-1], rtol=1e-5)


def test_orthogonal_is_the_gradient_that_biggan_adds(recorded):
  """PyTorch's [out, in, h, w] and [out, in] to ours."""
  ours = lambda w: jnp.asarray(w.transpose(2, 3, 1, 0) if w.ndim == 4 else w.T)  # noqa: E731
  prefix = 'biggan32/weight/'
  for name in [key.removeprefix(prefix) for key in recorded.files if key.startswith(prefix)]:
    kernel = ours(recorded[prefix + name])
    found = jax.grad(lambda k: terms.orthogonal(scene_of({'g': {'kernel': k}}), None, weight=1e-4)[0])(kernel)
    expected = ours(recorded[f'biggan32/ortho/{name}'])
    # Recorded as the difference of two float32 gradients, which leaves 3e-8 of rounding.
    assert np.abs(found - expected).max() <= 1e-3 * np.abs(expected).max() + 3e-8


def test_kernels_are_found_by_name():
  _, game, _ = tiny.game(tiny.images())
  params, _ = game.init(jax.random.key(0), jax.tree.map(lambda x: x[0], tiny.batch(tiny.IMAGES, 0, 1)))
  found = weights.kernels(params['g'])
  assert found
  assert all(kernel.ndim == 2 for kernel in found)


# Latents.


def test_mode_seeking_of_a_linear_generator():
  """By hand, and unmoved by the scale of the latents: for G(z) = c z the ratio is c."""
  params, (_, latent) = players(), data()
  other = draws.normal(scene_of(params), 0x6D73, latent)
  g = lambda z: np.asarray(z) @ np.asarray(params['g']['layer']['kernel'])  # noqa: E731
  ratio = np.abs(g(latent) - g(other)).mean() / np.abs(np.asarray(latent - other)).mean()
  np.testing.assert_allclose(value('mode_seeking', weight=2.0), 2 / (ratio + 1e-5), rtol=1e-4)
  play = linear_play(jnp.ones(3))._replace(generator=lambda z, label: 4 * z)
  play = play._replace(fake=4 * play.latent)
  np.testing.assert_allclose(terms.mode_seeking(scene_of({}, 5), play)[0], 0.25, rtol=1e-4)


def test_mode_seeking_moves_a_collapsed_generator():
  """Its slope points to where fakes differ, and it is finite where they are all the same."""
  play = linear_play(jnp.ones(3))
  of = lambda c: terms.mode_seeking(  # noqa: E731
    scene_of({}, 5), play._replace(generator=lambda z, label: c * z, fake=c * play.latent)
  )[0]
  assert jax.grad(of)(0.1) < 0
  assert np.isfinite(of(0.0))


def test_latent_consistency_and_diversity_by_hand():
  params, (_, latent) = players(), data()
  near = latent + 0.2 * draws.normal(scene_of(params), 0x7A63, latent)
  fake, moved = generator(params['g'], latent), generator(params['g'], near)
  change = np.asarray(critic(params['d'], fake) - critic(params['d'], moved))
  np.testing.assert_allclose(value('latent_consistency', weight=3.0, sigma=0.2), 3 * (change**2).mean(), rtol=1e-4)
  apart = -0.7 * np.square(np.asarray(fake - moved)).mean()
  np.testing.assert_allclose(value('latent_diversity', weight=0.7, sigma=0.2), apart, rtol=1e-4)


# Parity with CTGAN's critic over packed rows.


def ctgan_critic(params, x, keep=None):
  """Its D on packed rows [B / pac, pac * dim]: two layers, leaky ReLU .2, dropout .5 by the recorded masks."""
  for i, layer in enumerate(('seq.0', 'seq.3')):
    x = jax.nn.leaky_relu(x @ params[f'{layer}.weight'].T + params[f'{layer}.bias'], 0.2)
    x = x if keep is None else x * keep[i] * 2
  return (x @ params['seq.6.weight'].T + params['seq.6.bias'])[:, 0]


@pytest.mark.parametrize('dropout', [False, True])
def test_ctgans_packed_penalty(recorded, dropout):
  group = lambda prefix: {  # noqa: E731
    k.removeprefix(prefix): jnp.asarray(recorded[k]) for k in recorded.files if k.startswith(prefix)
  }
  params, pac = group('ctgan/weight/'), int(recorded['ctgan/pac'])
  real, fake = (jnp.asarray(recorded[f'ctgan/{side}']) for side in ('real', 'fake'))
  packed = [side.reshape(-1, pac * side.shape[1]) for side in (real, fake)]
  keep = {side: [jnp.asarray(recorded[f'ctgan/keep/{side}/{i}']) for i in (0, 1)] if dropout else None
          for side in ('fake', 'reals', 'interp')}  # fmt: skip
  between = gradient.mix(jnp.asarray(recorded['ctgan/alpha']).reshape(-1), *packed)

  def loss(params):
    judge = inspect_by(lambda x, label: ctgan_critic(params, x, keep['interp']))
    play = Play(packed[0], None, packed[1], None, packed[0], judge, None)
    penalty = 10 * gradient.penalty(gradient.norms_at(play, between), 1.0, False).mean()
    r, f = ctgan_critic(params, packed[0], keep['reals']), ctgan_critic(params, packed[1], keep['fake'])
    return f.mean() - r.mean() + penalty, (penalty, f - 0, r - 0)

  (total, (penalty, f, r)), slope = jax.value_and_grad(loss, has_aux=True)(params)
  mode = 'D_train' if dropout else 'D_eval'
  for ours, theirs in ((total - penalty, 'loss'), (penalty, 'pen'), (f, 'y_fake'), (r, 'y_real')):
    theirs = recorded[f'ctgan/{mode}/{theirs}'].reshape(ours.shape)
    assert np.abs(ours - theirs).max() <= 1e-4 * max(np.abs(theirs).max(), 0.1)
  if dropout:
    for name, expected in group('ctgan/grad/D_train/').items():
      assert np.abs(slope[name] - expected).max() <= 1e-4 * max(float(np.abs(expected).max()), 1e-2), name
