"""Augmentations: against the published codes, differentiable, and the same training however it is run."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from ganjax import check, parallel
from ganjax.augment import adaptive, geometric, pixels
from ganjax.augment.ada import OPERATIONS, Sizes, draw, expanded, fixed, inverse
from ganjax.augment.ada import ada as make_ada
from ganjax.augment.ada import augment as apply_ada
from ganjax.augment.apa import mixed
from ganjax.augment.diffaug import augment as apply_diffaug
from ganjax.augment.diffaug import diffaugment
from ganjax.augment.diffaug import draw as draw_diffaug
from ganjax.errors import ConfigError
from ganjax.types import Scene

FIXTURES = Path(__file__).parent / 'fixtures'
POLICIES = {name: (name,) for name in ('color', 'translation', 'cutout')} | {
  'all': ('color', 'translation', 'cutout'), 'ctc_order': ('translation', 'cutout', 'color'),
}  # fmt: skip
KEY, ROWS = jax.random.key(5), jnp.arange(8)
BGC = expanded(('blit', 'geometric', 'color'))


def fixture(name):
  with np.load(FIXTURES / f'{name}.npz', allow_pickle=False) as file:
    return dict(file)


def nhwc(x):
  return jnp.asarray(x.transpose(0, 2, 3, 1))


def relative(ours, theirs):
  return float(jnp.abs(ours - theirs).max() / jnp.abs(theirs).max())


def image(size=16, channels=3, count=8):
  return jnp.tanh(jax.random.normal(jax.random.key(1), (count, size, size, channels)))


# DiffAugment.


@pytest.mark.parametrize('name', POLICIES)
def test_diffaugment_is_the_published_one(name):
  found = fixture('diffaug')
  draws, taken = {}, 0
  for part in POLICIES[name]:
    count = 3 if part == 'color' else 2
    draws[part] = jnp.stack([found[f'in/draw/{name}/{taken + i}'].reshape(-1) for i in range(count)], 1)
    taken += count
  x, w = nhwc(found['in/x']), nhwc(found['in/w'])

  def ours(x):
    return apply_diffaug(x, draws, POLICIES[name])

  assert relative(ours(x), nhwc(found[f'out/{name}'])) < 1e-6
  assert relative(jax.grad(lambda x: (ours(x) * w).sum())(x), nhwc(found[f'grad/{name}'])) < 1e-6


def test_diffaugment_draws_cover_their_ranges():
  draws = jax.vmap(lambda k: draw_diffaug(k, (32, 17)))(jax.random.split(KEY, 4000))
  low, high = draws['translation'].min(0), draws['translation'].max(0)
  assert low.tolist() == [-4, -2]
  assert high.tolist() == [4, 2]
  assert draws['cutout'].min(0).tolist() == [0, 0]
  assert draws['cutout'].max(0).tolist() == [32, 16]  # cuts of 16 and 9 pixels
  assert draws['color'].mean(0) == pytest.approx([0.5] * 3, abs=0.02)


# ADA.


@pytest.mark.parametrize('kind', ['bgc', 'bg', 'b', 'g', 'c', 'only', 'filter', 'cutout'])
def test_ada_is_the_published_one(kind):
  found = fixture('ada_augment')
  operations = json.loads(str(found['meta']))['specs']
  tested = [key for key in found if key.startswith((f'out/{kind}/', f'out/{kind}_'))]
  assert len(tested) == (24 if kind == 'only' else 3)
  for key in tested:
    _, spec, percentile = key.split('/')
    x = nhwc(found['in/x'])[: 2 if spec == 'bgc' else 1]
    ours = jax.jit(apply_ada)(x, fixed(float(percentile[1:]), len(x), expanded(list(operations[spec]))))
    assert relative(ours, nhwc(found[key])) < 1e-5, key


def test_gradient_through_ada_is_the_published_one():
  found = fixture('ada_augment')
  x, w, draws = nhwc(found['in/x']), nhwc(found['in/w']), fixed(0.9, 2, BGC)
  assert relative(jax.grad(lambda x: (apply_ada(x, draws) * w).sum())(x), nhwc(found['grad/bgc_p0.9'])) < 1e-5


def test_filters_are_the_published_ones():
  found = fixture('ada_augment')
  np.testing.assert_array_equal(geometric.SYM6, found['const/Hz_geom'])
  np.testing.assert_array_equal(pixels.filter_bank(), found['const/Hz_fbank'])
  np.testing.assert_allclose(pixels.filter_bank().sum(0), np.eye(43)[21], atol=1e-6)


def data_dependent(x, inverse):
  """Mirrored as far as the corners of this image reach, in arrays of that size: what `affine` does with masks."""
  _, h, w, _ = x.shape
  (x0, y0), (x1, y1) = np.asarray(geometric.mirrored(inverse, h, w))[0].tolist()
  x = jnp.pad(x, ((0, 0), (y0, y1), (x0, x1), (0, 0)), mode='reflect')
  taps = 2 * geometric.SYM6
  for axis in (1, 2):
    zeros = jnp.stack([x, jnp.zeros_like(x)], axis + 1).reshape(*x.shape[:axis], -1, *x.shape[axis + 1 :])
    zeros = jnp.moveaxis(zeros, axis, -1)
    x = jnp.moveaxis(jnp.apply_along_axis(lambda line: jnp.convolve(line, taps)[5:-6], -1, zeros), -1, axis)
  rows, columns = geometric.source(inverse, h, w)
  rows, columns = rows - 2 * (h - 1 - y0), columns - 2 * (w - 1 - x0)
  y = geometric.bilinear(jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), rows, columns)
  return jnp.einsum('hi,wj,bijc->bhwc', geometric.downsampling(h), geometric.downsampling(w), y)


@pytest.mark.parametrize('seed', range(2))
def test_static_shapes_equal_data_dependent_ones(seed):
  """Also where mirroring runs out, at a strength far beyond what is used."""
  sizes = Sizes(scale_std=0.5 * (1 + seed), aniso_std=0.5)
  x = jax.random.normal(KEY, (1, 9, 12, 2))
  turn = inverse(draw(jax.random.fold_in(KEY, seed), jnp.arange(1), 1.0, BGC, sizes), 9, 12)
  np.testing.assert_allclose(geometric.affine(x, turn), data_dependent(x, turn), atol=2e-5)


def test_nothing_happens_at_p_0():
  x = image()
  draws = draw(KEY, ROWS, 0.0, tuple(OPERATIONS), Sizes())
  assert all(bool((value == OPERATIONS[name].idle).all()) for name, value in draws.items())
  colors = make_ada(operations=('color', 'filter', 'cutout', 'noise')).apply(KEY, ROWS, x, jnp.float32(0))
  np.testing.assert_allclose(colors, x, atol=2e-6)


def test_operations_happen_with_probability_p():
  rows, p = jnp.arange(4000), 0.3
  draws = draw(KEY, rows, p, tuple(OPERATIONS), Sizes())
  for name, value in draws.items():
    happened = (value != OPERATIONS[name].idle).any(1).mean()
    whole = {'xflip': 0.5, 'lumaflip': 0.5, 'rotate90': 0.75}.get(name, 1)  # some choices leave the image as it is
    expected = 1 - (1 - p) ** 4 if name == 'imgfilter' else p * whole
    assert float(happened) == pytest.approx(expected, abs=0.03), name


def test_grey_images():
  """Hue and saturation are left out; the rest acts as on a colour image of three equal channels."""
  grey, chosen = image(channels=1), ('brightness', 'contrast', 'lumaflip')
  draws = draw(KEY, ROWS, 0.9, expanded(('color',)), Sizes())
  one = apply_ada(grey, draws)
  three = apply_ada(jnp.repeat(grey, 3, 3), {name: draws[name] for name in chosen})
  np.testing.assert_allclose(one, three.mean(3, keepdims=True), atol=1e-5)


# All.


EVERYTHING = ('blit', 'geometric', 'color', 'filter', 'noise', 'cutout')


@pytest.mark.parametrize('augmentation', [diffaugment(), make_ada(operations=EVERYTHING)])
def test_differentiable_twice(augmentation):
  """R1 through the augmentation: its gradient in D's parameters against finite differences."""
  x = image(8, count=2)
  w = jax.random.normal(KEY, (8 * 8 * 3,)) / 10

  @jax.jit
  def r1(w):
    def critic(x):
      return jnp.tanh(augmentation.apply(KEY, ROWS[:2], x, jnp.float32(0.9)).reshape(2, -1) @ w).sum()

    return jnp.square(jax.grad(critic)(x)).sum()

  step = 2e-3 * jax.random.normal(jax.random.key(9), w.shape)
  assert float((jax.jit(jax.grad(r1))(w) * step).sum()) == pytest.approx(
    float(r1(w + step) - r1(w - step)) / 2, rel=1e-2
  )


@pytest.mark.parametrize('augmentation', [diffaugment(), make_ada()])
def test_an_image_depends_on_its_row_alone(augmentation):
  x = image(8)
  apply = jax.jit(lambda rows, x: augmentation.apply(KEY, rows, x, jnp.float32(0.8)))
  whole = apply(ROWS, x)
  np.testing.assert_allclose(whole[::-1], apply(ROWS[::-1], x[::-1]), atol=1e-5)
  assert float(jnp.abs(apply(ROWS + 8, x) - whole).max()) > 0.1


def test_apa_replaces_its_share():
  rows = jnp.arange(2000)
  real, fake = jnp.ones((2000, 2, 2, 1)), -jnp.ones((2000, 2, 2, 1))
  x, label = mixed(KEY, rows, jnp.float32(0.3), (real, jnp.ones(2000, int)), (fake, -jnp.ones(2000, int)))
  assert float((x[:, 0, 0, 0] < 0).mean()) == pytest.approx(0.3, abs=0.03)
  np.testing.assert_array_equal(x[:, 0, 0, 0], label)
  assert mixed(KEY, rows, jnp.float32(0.3), (real, None), (fake, None))[1] is None


# The strength.

SIGNS, P0 = (0.9, 0.3, 0.6, 0.7, -0.2, -0.9), 0.0005
EXPECTED = (0.001012, 0.0005, 0.0005, 0.001012, 0.0005, 0.0)  # of the published code: batch 64, interval 4, 500 kimg


def test_p_moves_as_published():
  """The fixture takes each from where the one before ended, so that the rule's signs and its lower end are seen."""
  p = jnp.float32(P0)
  for signs, expected in zip(SIGNS, EXPECTED, strict=True):
    p = adaptive.update_p(p, jnp.float32(signs), 64 * 4)
    assert float(p) == pytest.approx(expected, abs=1e-9)


def test_statistics():
  real, fake = jnp.array([2.0, -1.0, 0.0]), jnp.array([-3.0, -1.0, 1.0])
  assert adaptive.statistic(real, fake, 'real').tolist() == [1, -1, 0]
  assert adaptive.statistic(real, fake, 'fake').tolist() == [1, 1, -1]
  assert adaptive.statistic(real, fake, 'both').tolist() == [1, 0, -0.5]


def scene(step, state, **fields):
  found = dict.fromkeys(Scene._fields) | {'step': jnp.int32(step), 'images': jnp.int32(64 * step)}
  return Scene(**found | {'extras': {'augment': state}} | fields)


def test_p_changes_once_in_its_interval():
  """Whatever the microbatches; all players of a step are augmented with the same strength."""
  rule = adaptive.Adaptive(p=0.5, target=0.6, kimg=1.0, interval=2)
  state, told = adaptive.initial(rule), []
  for step in range(5):
    high = jnp.array([1.0, 2.0]) if step < 2 else jnp.array([1.0, -2.0])
    for _ in range(2):
      before = adaptive.current(rule, scene(step, state))['p']
      state = adaptive.observe(rule, scene(step, state), high, -high)
      assert before == state['p'] == adaptive.current(rule, scene(step, state))['p']
    told.append(float(state['p']))
  assert told == pytest.approx([0.5, 0.5, 0.628, 0.628, 0.5], abs=1e-6)
  assert {name: float(value) for name, value in state.items() if name != 'p'} == {'signs': 0, 'count': 2, 'images': 256}
  still = rule._replace(interval=0)
  assert (
    float(adaptive.current(still, scene(4, state | {'count': jnp.float32(3), 'images': jnp.int32(0)}))['p'])
    == state['p']
  )


def test_p_grows_along_half_a_cosine():
  rule = adaptive.Adaptive(p=0.8, growth_kimg=0.256)
  state = adaptive.initial(rule)
  told = [float(adaptive.current(rule, scene(step, state))['p']) for step in range(6)]
  assert told == pytest.approx([0, 0.8 * (0.5 - 0.125 * 8**0.5), 0.4, 0.8 * (0.5 + 0.125 * 8**0.5), 0.8, 0.8], abs=1e-6)
  assert float(adaptive.observe(rule, scene(2, state), jnp.ones(2), -jnp.ones(2))['p']) == pytest.approx(0.4, abs=1e-6)


def test_colors_with_a_share_of_p():
  key, rows = jax.random.key(0), jnp.arange(512)
  draws = draw(key, rows, jnp.float32(0.8), ('xint', 'contrast', 'rotate'), Sizes(), 0.5)
  whole = draw(key, rows, jnp.float32(0.8), ('xint', 'contrast', 'rotate'), Sizes())
  assert float((draws['contrast'] != 1).mean()) == pytest.approx(0.4, abs=0.08)
  assert all(jnp.array_equal(draws[name], whole[name]) for name in ('xint', 'rotate'))


# In the game.

ADAPTIVE = {'augment__p': 0.5, 'augment__interval': 2, 'augment__kimg': 0.1}
CASES = {
  'diffaugment': {},
  'ada': ADAPTIVE,
  'apa': ADAPTIVE | {'augment__heuristic': 'both', 'conditioning__name': 'projection'},
}


def trained(how, devices, fields):
  """play(first, last, state) -> (state, metrics by step), all of one program; the state at step 0."""
  sgd = {f'optimizer__{p}': {'name': 'sgd'} for p in 'gd'}  # Adam would turn the rounding of zeros into full steps
  config = tiny.images(**fields, **sgd, terms__d__r1__gamma=1.0)
  spec, game, rules = tiny.game(config)
  mesh = parallel.make_mesh(devices)
  program = parallel.compile(game, rules, mesh, how)

  def play(first, last, state):
    now, seen = parallel.place(jax.tree.map(jnp.copy, state), mesh), []  # copies: the program takes the state over
    for n in range(first, last):
      now, metrics = program(n, now, parallel.shard(jax.device_get(tiny.batch(spec, n, 1)), mesh, how))
      seen += parallel.unstack(metrics)
    return jax.device_get(now), seen

  return play, tiny.initial(config, spec, game, rules)


@pytest.mark.slow  # two steps are in test_contract.py
@pytest.mark.parametrize('name', CASES)
def test_contract(name):
  """Finite, four steps are two and two to the bit, and jit on 4 devices is pmap on 2."""
  fields = {'augment__name': name} | CASES[name]
  play, begin = trained('jit', 4, fields)
  two, _ = play(0, 2, begin)
  four, seen = play(0, 4, begin)
  again, _ = play(2, 4, two)
  assert all(np.isfinite(value) for values in seen for value in values.values())
  assert tiny.difference(four, again) == 0
  if name != 'diffaugment':
    assert seen[0]['d/augment_p'] == seen[1]['d/augment_p'] == 0.5
    assert abs(seen[2]['d/augment_p'] - 0.5) == pytest.approx(0.32, abs=1e-6)
  play, begin = trained('pmap', 2, fields)
  mapped, metrics = play(0, 4, begin)
  assert tiny.difference((four.params, four.extras), (mapped.params, mapped.extras)) < 1e-5
  for a, b in zip(seen, metrics, strict=True):
    assert a == pytest.approx(b, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize(('fields', 'field'), [
  ({'augment__name': 'adaa'}, 'augment.name'),
  ({'augment__name': 'ada', 'augment__operations': ('blit', 'hues')}, 'augment.operations'),
  ({'augment__name': 'diffaugment', 'augment__policy': ('colour',)}, 'augment.policy'),
  ({'augment__name': 'ada', 'augment__interval': -1}, 'augment.interval'),
  ({'augment__name': 'apa', 'augment__heuristic': 'reel'}, 'augment.heuristic'),
])  # fmt: skip
def test_what_cannot_be(fields, field):
  with pytest.raises(ConfigError, match=field):
    check.check(tiny.images(**fields), tiny.IMAGES, 1)


def test_rows_are_not_augmented():
  with pytest.raises(ConfigError, match=r'augment\.name'):
    check.check(tiny.complete(augment__name='diffaugment'), tiny.ROWS, 1)
