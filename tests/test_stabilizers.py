"""What acts inside a play: each stabiliser against a second way of computing it, and the bad input it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from ganjax import config as configs
from ganjax.check import check
from ganjax.errors import ConfigError
from ganjax.nets import heads, mlp
from ganjax.players import players
from ganjax.stabilizers import instance_noise, label_flipping, latent_optimization, packing, top_k
from ganjax.types import Scene


def scene_of(count, key=0):
  rows = jnp.arange(count)
  zero = jnp.int32(0)
  return Scene({}, {}, {}, {}, rows, jax.random.key(key), zero, zero, {}, None, None)


@given(st.integers(1, 4), st.integers(1, 3), st.sampled_from([(5,), (2, 3, 2)]))
@settings(max_examples=20, deadline=None)
def test_a_pack_is_consecutive_rows_side_by_side(size, packs, shape):
  x = np.random.default_rng(0).standard_normal((size * packs, *shape)).astype(np.float32)
  both = packing(size=size)
  found = both.pack(jnp.asarray(x))
  expected = [np.concatenate(x[i * size : (i + 1) * size], -1) for i in range(packs)]
  np.testing.assert_array_equal(found, expected)
  np.testing.assert_array_equal(both.unpack(found), x)


def test_d_judges_packs():
  config = tiny.images(stabilizers={'packing': {'size': 4}}, terms={'d': {'gradient_penalty': {}}})
  spec, game, _ = tiny.game(config)
  params, extras = game.init(jax.random.key(0), spec.example())
  assert params['d']['down0']['kernel'].shape[2] == 4
  both = players(config, spec)
  hyper = {name: jnp.float32(value) for name, value in configs.hyper(config).items()}
  scene = scene_of(16)._replace(
    params=params, extras=extras, batch=jax.tree.map(lambda x: x[0], tiny.batch(spec, 0, 1)), hyper=hyper
  )
  found, _ = both.judged(scene, *both.play(scene, 'd'), reals=True)
  assert found.real.shape == (4, 8, 8, 4)
  assert found.real_logits.shape == found.fake_logits.shape == (4,)
  np.testing.assert_array_equal(found.real[1, ..., 2:3], scene.batch['image'][6])
  assert game.score is None  # a single image is no pack


@given(st.lists(st.floats(-80, 80, width=32), min_size=1, max_size=12), st.sampled_from([0.1, 0.25, 0.3, 0.5, 1.0]))
@settings(max_examples=40, deadline=None)
def test_top_k_is_the_mean_over_the_best(rates, share):
  losses = np.arange(len(rates), dtype=np.float32) ** 2
  k = max(int(np.ceil(share * len(rates) - 1e-4)), 1)
  best = np.argsort(-np.asarray(rates, np.float32), kind='stable')[:k]
  np.testing.assert_allclose(top_k(losses, jnp.float32(rates), share=share), losses[best].mean(), rtol=1e-5)


def test_top_k_leaves_the_others_without_gradient():
  slope = jax.grad(lambda f: top_k(-f, f, share=0.5))(jnp.float32([3, -1, 2, 0]))
  np.testing.assert_allclose(slope, [-0.5, 0, -0.5, 0])


@pytest.mark.parametrize(('share', 'swapped'), [(0.0, 0.0), (1.0, 1.0), (0.25, 0.25)])
def test_label_flipping_exchanges_a_share_of_the_rows(share, swapped):
  real, fake = jnp.ones(4000), -jnp.ones(4000)
  r, f = label_flipping(scene_of(4000), real, fake, share=share)
  np.testing.assert_array_equal(r, -f)
  assert abs((r < 0).mean() - swapped) < 0.03


def test_label_flipping_of_all_rows_is_the_loss_with_the_sides_exchanged():
  plain, flipped = (tiny.play(tiny.complete(loss__name='wasserstein', **more), 1)[1][0]['d/loss']
                    for more in ({}, {'stabilizers__label_flipping__share': 1.0}))  # fmt: skip
  assert flipped == pytest.approx(-plain, rel=1e-5)


def test_instance_noise_has_its_deviation_and_is_drawn_by_row():
  x = jnp.zeros((64, 8, 8, 3))
  key, rows = jax.random.key(0), jnp.arange(64)
  noisy = instance_noise(key, rows, x, sigma=0.3)
  assert abs(float(noisy.std()) - 0.3) < 0.01
  np.testing.assert_array_equal(instance_noise(key, rows[10:20], x[10:20], sigma=0.3), noisy[10:20])
  assert not jnp.any(instance_noise(key, rows, x, sigma=0.0))


def test_instance_noise_follows_its_schedule():
  plan = {'name': 'linear', 'over_kimg': 0.016, 'end': 0.0}  # nothing is left after the first step
  noisy = tiny.complete(stabilizers={'instance_noise': {'sigma': 1.0}}, schedule={'instance_noise_sigma': plan})
  state, seen = tiny.play(noisy, 1)
  again, _ = tiny.play(noisy, 1)
  assert seen[0]['d/loss'] != tiny.play(tiny.complete(), 1)[1][0]['d/loss']
  both = ((noisy, state), (tiny.complete(), again))
  later = [tiny.play(config, 1, begin=begin, first=1)[1][0]['d/loss'] for config, begin in both]
  assert later[0] == pytest.approx(later[1], rel=1e-6)


def test_latent_optimisation_of_a_linear_score_by_hand():
  w, latent = jnp.float32([3.0, 4.0]), jnp.ones((5, 2))
  moved, cost = latent_optimization(lambda z: z @ w, latent, rate=0.9, damping=5.0, weight=2.0)
  step = 0.9 * w / (5 + 25)
  np.testing.assert_allclose(moved, latent + step, rtol=1e-6)
  np.testing.assert_allclose(cost, 2 * float(step @ step), rtol=1e-6)


def test_players_differentiate_through_the_latents_step():
  """A quadratic score: z' = z + rate a z / (damping + |a z|^2) moves with a."""
  score = lambda a: lambda z: 0.5 * a * jnp.square(z).sum(-1)  # noqa: E731
  z = jnp.float32([[1.0, 2.0]])
  moved = lambda a: latent_optimization(score(a), z, rate=0.9, damping=5.0)[0].sum()  # noqa: E731
  slope = (moved(1.01) - moved(0.99)) / 0.02
  np.testing.assert_allclose(jax.grad(moved)(1.0), slope, rtol=1e-3)


# What D sees of the batch's other rows.


@pytest.mark.parametrize(('n', 'group'), [(8, 4), (6, 4), (2, 4), (1, 4), (12, 3)])
def test_minibatch_std_is_over_strided_groups(n, group):
  x = np.random.default_rng(n).standard_normal((n, 3, 3, 2)).astype(np.float32)
  found = heads.minibatch_std(jnp.asarray(x), group=group)
  size = np.gcd(n, group)
  for i in range(n):
    members = x[[j for j in range(n) if j % (n // size) == i % (n // size)]]
    assert len(members) == size
    np.testing.assert_allclose(found[i, ..., 2], np.sqrt(members.var(0) + 1e-8).mean(), rtol=1e-4, atol=1e-6)
  np.testing.assert_array_equal(found[..., :2], x)


def test_minibatch_discrimination_by_hand():
  layer = heads.MinibatchDiscrimination(kernels=3, dimensions=2)
  x = jax.random.normal(jax.random.key(1), (5, 4))
  variables = layer.init(jax.random.key(0), x)
  found = layer.apply(variables, x)
  m = np.asarray(x @ variables['params']['project']['kernel']).reshape(5, 3, 2)
  for i in range(5):
    near = sum(np.exp(-np.abs(m[i] - m[j]).sum(-1)) for j in range(5) if j != i)
    np.testing.assert_allclose(found[i, 4:], near, rtol=1e-4)
  np.testing.assert_array_equal(found[:, :4], x)


@pytest.mark.parametrize('kind', ['std', 'discrimination'])
def test_the_rows_of_all_devices_are_seen(kind):
  net = mlp.Discriminator(hidden=(8,), minibatch=kind)
  x = jax.random.normal(jax.random.key(1), (16, 2))
  variables = net.init(jax.random.key(0), x)
  whole = net.apply(variables, x)
  parts = jax.pmap(lambda x: net.apply(variables, x, axis='data'), axis_name='data', devices=jax.devices()[:4])
  np.testing.assert_allclose(parts(x.reshape(4, 4, 2)).reshape(16), whole, rtol=1e-4, atol=1e-6)


# Heads.


def test_heads_are_linear_in_the_features():
  net = mlp.Discriminator(hidden=(8,), classes=3, inside='projection', heads={'turn': 4, 'features': 0}, proxies=5)
  x, label = jax.random.normal(jax.random.key(1), (6, 2)), jnp.arange(6) % 3
  variables = net.init(jax.random.key(0), x, label)
  logits, said = net.apply(variables, x, label)
  p = variables['params']
  assert {name: value.shape for name, value in said.items()} == {'turn': (6, 4), 'features': (6, 8), 'proxy': (6, 5)}
  np.testing.assert_allclose(
    said['turn'], said['features'] @ p['head_turn']['kernel'] + p['head_turn']['bias'], rtol=1e-4, atol=1e-6
  )
  np.testing.assert_array_equal(said['proxy'], p['proxy']['embedding'][label])
  linear = said['features'] @ p['logit']['kernel'][:, 0] + p['logit']['bias']
  projected = linear + (said['features'] * p['embed']['embedding'][label]).sum(-1)
  np.testing.assert_allclose(logits, projected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('make', [tiny.complete, tiny.images])
def test_a_concatenated_label_reaches_the_logit(make):
  config = make(conditioning__name='concat')
  spec, game, rules = tiny.game(config)
  state = tiny.initial(config, spec, game, rules)
  x = tiny.batch(spec, 0, 1)[spec.field][0, :2].repeat(2, 0)
  logits = game.score(state.params, state.extras, {spec.field: x, 'label': jnp.int32([0, 1, 0, 1])})
  assert abs(logits[0] - logits[1]) > 1e-5
  assert logits[0] != logits[2]


# Bad input.


@pytest.mark.parametrize(('fields', 'message'), [
  ({'stabilizers': {'packing': {'size': 3}}}, r'stabilizers.packing.size.*3.*divisor of the 16 rows'),
  ({'stabilizers': {'packing': {'size': 2}}, 'conditioning': {'name': 'projection'}}, r'stabilizers.packing.size.*projection'),
  ({'stabilizers': {'packing': {'size': 0}}}, r'stabilizers.packing.size.*above 0'),
  ({'stabilizers': {'packing': {'size': -2}}}, r'stabilizers.packing.size.*above 0'),
  ({'stabilizers': {'top_k': {'share': 1.5}}}, r'stabilizers.top_k.share.*from 0 to 1'),
  ({'stabilizers': {'top_k': {'share': -0.5}}}, r'stabilizers.top_k.share.*from 0 to 1'),
  ({'stabilizers': {'instance_noise': {'sigma': -1.0}}}, r'stabilizers.instance_noise.sigma'),
  ({'stabilizers': {'topk': {}}}, r'stabilizers.*topk.*did you mean.*top_k'),
  ({'stabilizers': {'packing': 2}}, r'stabilizers.packing.*a section'),
  ({'conditioning': {'name': 'projektion'}}, r'conditioning.name.*projektion.*did you mean.*projection'),
  ({'conditioning': {'name': 'multi_hinge'}, 'stabilizers': {'top_k': {}}}, r'stabilizers.top_k.*multi_hinge'),
    ({'terms': {'d': {'rotation': {}}}}, r'terms.d.rotation.*no images'),
  ({'terms': {'g': {'r1': {}}}}, r'terms.g.r1.*terms.d.r1'),
  ({'terms': {'d': {'mode_seeking': {}}}}, r'terms.d.mode_seeking.*terms.g.mode_seeking'),
])  # fmt: skip
def test_refusals(fields, message):
  with pytest.raises(ConfigError, match=message):
    check(tiny.complete(**fields), tiny.ROWS, 1)


def test_across_devices_packing_counts_the_rows_of_one():
  config = tiny.complete(stabilizers={'packing': {'size': 4}})
  check(config, tiny.ROWS, 4)
  with pytest.raises(ConfigError, match=r'stabilizers.packing.size.*2 rows'):
    check(config, tiny.ROWS, 8)
