"""Terms that look at more than D's logit, or keep a state: against second ways, and what holds for all of them."""

import inspect
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_parity_resnet import Reference, close, kernel, ours_d

from ganjax import terms
from ganjax.errors import ConfigError
from ganjax.nets import resnet
from ganjax.ops import across
from ganjax.terms import consistency
from ganjax.terms.rotation import places, rotated, rotation_loss
from ganjax.types import Play, Scene

HERE = ('consistency_fake', 'consistency_real', 'feature_matching', 'lecam', 'rotation')
FIXED = {'lecam': {'start': 0}}
SHAPE = (4, 4, 2)
STATE = {'real': jnp.float32(0.4), 'fake': jnp.float32(-0.3)}


# A toy: D has smooth features, a logit and a rotation head; G is linear.


def players(seed=0):
  keys = jax.random.split(jax.random.key(seed), 4)
  normal = jax.random.normal
  d = {'f': normal(keys[0], (32, 6)) / 4, 'logit': normal(keys[1], (6,)), 'rotation': normal(keys[2], (6, 4))}
  return {'d': d, 'g': normal(keys[3], (3, 32)) / 2}


def look(d, x, label=None):
  f = jnp.tanh(x.reshape(x.shape[0], -1) @ d['f'])
  return f @ d['logit'], {'features': f, 'rotation': f @ d['rotation']}


def generator(g, z, label=None):
  return (z @ g).reshape(-1, *SHAPE)


def data(count=8, seed=1):
  keys = jax.random.split(jax.random.key(seed))
  return jax.random.normal(keys[0], (count, *SHAPE)), jax.random.normal(keys[1], (count, 3))


def scene_of(count, axis=None, step=1):
  rows = across.rows(count, axis)
  zero = jnp.int32(0)
  return Scene({}, {}, {}, {}, rows, jax.random.key(3), jnp.int32(step), zero, {}, axis, None)


def play_of(params, real, latent):
  fake = generator(params['g'], latent)
  return Play(real, None, fake, None, latent, partial(look, params['d']), partial(generator, params['g']))


def run(name, params, real, latent, axis=None, step=1, state=STATE, **fields):
  """A term's value, metrics and, for one that has it, state."""
  scene, play = scene_of(len(real), axis, step), play_of(params, real, latent)
  kept = (state,) if name in terms.STATES else ()
  return getattr(terms, name)(scene, play, *kept, **FIXED.get(name, {}) | fields)


# What holds for all.


def test_each_term_is_tested_in_one_place():
  from test_terms import MORE

  assert tuple(sorted(MORE)) == HERE


@pytest.mark.parametrize('name', HERE)
def test_a_term_is_a_finite_scalar_in_proportion_to_its_weight(name):
  function = getattr(terms, name)
  value, metrics, *_ = run(name, players(), *data(), weight=2.0)
  assert value.shape == ()
  assert value.dtype == jnp.float32
  assert value > 0
  assert metrics[name] == value
  np.testing.assert_allclose(run(name, players(), *data(), weight=6.0)[0], 3 * value, rtol=1e-5)
  fields = [p for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
  assert all(p.default is not p.empty for p in fields)
  assert 'arXiv:' in function.__doc__


@pytest.mark.parametrize('name', HERE)
@pytest.mark.parametrize('size', [0.0, 1e3])
def test_slopes_are_finite_where_d_is_flat_and_where_it_is_sure(name, size):
  params = jax.tree.map(lambda p: size * p, players())
  slope = jax.grad(lambda params: run(name, params, *data())[0])(params)
  assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slope))


@pytest.mark.parametrize('name', HERE)
def test_four_devices_agree_with_one(name):
  """Value, state and gradient, draws included."""
  params, x = players(), data()

  def both(axis, *x):
    loss = lambda params: (lambda value, metrics, *state: (value, state))(*run(name, params, *x, axis))  # noqa: E731
    return across.mean(jax.value_and_grad(loss, has_aux=True)(params), axis)

  whole = jax.jit(partial(both, None))(*x)
  split = [a.reshape(4, 2, *a.shape[1:]) for a in x]
  found = jax.pmap(partial(both, 'data'), 'data', devices=jax.devices()[:4])(*split)
  for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(whole), strict=True):
    np.testing.assert_allclose(a[2], b, rtol=1e-4, atol=1e-5 * float(jnp.abs(b).max()) + 1e-7)


# Rotation.


def test_rotated_turns_a_quarter_of_the_batch_each_way():
  x, _ = data()
  turned, label = rotated(x)
  np.testing.assert_array_equal(label, [0, 0, 1, 1, 2, 2, 3, 3])
  for i in range(8):
    np.testing.assert_array_equal(turned[i], np.rot90(x[i], label[i]))


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 6), st.sampled_from([1, 2, 4]), st.integers(1, 3))
def test_a_microbatch_turns_its_rows_as_the_batch_does(parts, micro, quarters):
  """Strided rows of a batch whose size is not told."""
  size = micro * parts * quarters
  if size // micro < micro:
    return
  whole = np.arange(size) * 4 // size
  for i in range(micro):
    rows = jnp.arange(size, dtype=jnp.int32)[i::micro]
    found, total = places(rows, None)
    np.testing.assert_array_equal(found * 4 // total, whole[i::micro])


def test_rotation_wants_squares():
  with pytest.raises(ConfigError, match='square'):
    rotated(jnp.zeros((4, 6, 5, 1)))
  with pytest.raises(ConfigError, match='square'):
    rotated(jnp.zeros((4, 6)))


def test_rotation_by_hand():
  params, (real, latent) = players(), data()
  for side, x in (('real', real), ('fake', generator(params['g'], latent))):
    turned = np.stack([np.rot90(x[i], i // 2) for i in range(8)])
    said = np.asarray(look(params['d'], jnp.asarray(turned))[1]['rotation'], np.float64)
    expected = -np.mean([said[i, i // 2] - np.log(np.exp(said[i]).sum()) for i in range(8)])
    value, metrics = run('rotation', params, real, latent, weight=0.2, player={'real': 'd', 'fake': 'g'}[side])
    np.testing.assert_allclose(value, 0.2 * expected, rtol=1e-5)
    np.testing.assert_allclose(metrics['rotation_accuracy'], np.mean(said.argmax(1) == np.arange(8) // 2))


@pytest.fixture(scope='module')
def ssgan():
  """torch-mimicry's SS-GAN: what was recorded, our D and its variables."""
  reference = Reference('mimicry_ssgan32')
  d = resnet.Discriminator(resolution=32, width=reference.cfg['ndf'], heads={'rotation': 4})
  variables = d_variables(reference.group('param/D/'))
  variables['spectral']['head_rotation']['v'] = np.zeros(reference.cfg['ndf'], np.float32)
  return reference, d, variables


def d_variables(arrays):
  """Its D's arrays as ours, with the rotation head."""
  head = {name: arrays.pop(f'l_y.{name}') for name in ('weight', 'bias')}
  u = arrays.pop('l_y.sn_u', None)
  arrays.pop('l_y.sn_sigma', None)
  found = ours_d(arrays)
  found['params']['head_rotation'] = {'kernel': kernel(head['weight']), 'bias': head['bias']}
  if u is not None:
    found['spectral']['head_rotation'] = {'u': u.reshape(-1)}
  return found


def test_rotated_is_that_of_torch_mimicry(ssgan):
  reference, *_ = ssgan
  turned, label = rotated(reference.images('in/real'))
  np.testing.assert_array_equal(label, reference['out/rot_labels'])
  np.testing.assert_array_equal(turned, reference.images('out/rotated'))


def test_ssgan_losses_and_gradients_are_those_of_torch_mimicry(ssgan):
  reference, d, variables = ssgan
  spectral, params = {'spectral': variables['spectral']}, variables['params']
  real, fake = reference.images('in/real'), reference.images('out/G_train')

  def judge(params, spectral, x):
    (logits, said), moved = d.apply({'params': params, **spectral}, x, train=True, mutable=('spectral',))
    return logits, said, moved

  def term(params, spectral, player, weight):
    inspect = lambda x, label: judge(params, spectral, x)[:2]  # noqa: E731
    play = Play(real, None, fake, None, None, inspect, None)
    return terms.rotation(scene_of(len(real)), play, weight=weight, player=player)[0]

  def d_loss(params):
    r, _, moved = judge(params, spectral, real)
    f, _, moved = judge(params, moved, fake)
    adversarial = jax.nn.relu(1 - r).mean() + jax.nn.relu(1 + f).mean()
    own = term(params, moved, 'd', 1.0)
    return adversarial + own, (adversarial, own)

  (total, (adversarial, own)), grads = jax.jit(jax.value_and_grad(d_loss, has_aux=True))(params)
  close(adversarial, reference['out/D_loss_gan'])
  close(own, reference['out/D_loss_ss'])
  close(total, reference['out/D_loss_total'])
  close(grads, d_variables(reference.group('grad/D/'))['params'])
  # G's: D looks at the fakes as they are, then turned.
  logits, _, moved = judge(params, spectral, fake)
  close(-logits.mean(), reference['out/G_loss_gan'])
  close(term(params, moved, 'g', 0.2), reference['out/G_loss_ss'])


def test_rotation_loss_of_large_logits():
  said = jnp.float32([[80, -80, 0, 0], [-80, 80, 80, -80]])
  np.testing.assert_allclose(rotation_loss(said, jnp.int32([0, 3])), (0 + 160 + np.log(2)) / 2, rtol=1e-6)


# Consistency.


@pytest.mark.parametrize('name', ['consistency_real', 'consistency_fake'])
def test_consistency_by_hand(name):
  """T of each row by hand, from its draws."""
  params, (real, latent) = players(), data()
  x = np.asarray(real if name == 'consistency_real' else generator(params['g'], latent))
  kind = consistency.OF_REAL if name == 'consistency_real' else consistency.OF_FAKE
  scene = scene_of(8)
  draws = np.asarray(consistency.per_row(scene, kind, lambda key: consistency.draw(key, [1, 1], True)))
  other = []
  for image, (mirror, down, right) in zip(x, draws, strict=True):
    image = image[:, ::-1] if mirror else image
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), 'reflect')
    other.append(padded[1 - down : 5 - down, 1 - right : 5 - right])
  change = np.asarray(look(params['d'], jnp.asarray(x))[0] - look(params['d'], jnp.asarray(np.stack(other)))[0])
  np.testing.assert_allclose(run(name, params, real, latent, shift=0.25)[0], 10 * (change**2).mean(), rtol=1e-5)


def test_draws_of_t():
  draws = np.asarray(jax.vmap(lambda k: consistency.draw(k, [2, 3], True))(jax.random.split(jax.random.key(0), 4000)))
  np.testing.assert_allclose(draws.mean(0), [0.5, 0, 0], atol=0.15)
  assert [sorted(set(column.tolist())) for column in draws.T] == [[0, 1], list(range(-2, 3)), list(range(-3, 4))]
  assert not jax.vmap(lambda k: consistency.draw(k, [0, 0], False))(jax.random.split(jax.random.key(0), 50)).any()


def test_a_d_that_t_does_not_change_pays_nothing():
  play = play_of(players(), *data())._replace(inspect=lambda x, label: (x.sum((1, 2, 3)), {}))
  assert terms.consistency_real(scene_of(8), play, shift=0.0)[0] < 1e-8


def test_consistency_wants_images():
  rows = Play(jnp.zeros((4, 2)), None, jnp.zeros((4, 2)), None, None, lambda x, label: (x.sum(1), {}), None)
  with pytest.raises(ConfigError, match='images'):
    terms.consistency_real(scene_of(4), rows)


# Feature matching.


def test_feature_matching_by_hand():
  params, (real, latent) = players(), data()
  f, h = (np.asarray(look(params['d'], x)[1]['features'], np.float64) for x in (real, generator(params['g'], latent)))
  expected = 0.5 * ((f.mean(0) - h.mean(0)) ** 2).sum()
  np.testing.assert_allclose(run('feature_matching', params, real, latent, weight=0.5)[0], expected, rtol=1e-5)


def test_feature_matching_takes_the_look_that_g_has_had_at_its_fakes():
  play = play_of(players(), *data())
  seen = play._replace(fake_heads={'features': look(players()['d'], play.real)[1]['features']})
  assert terms.feature_matching(scene_of(8), seen)[0] == 0


# LeCam.


def lecam_by_hand(real, fake, averages, one_sided):
  clip = (lambda x: np.maximum(x, 0)) if one_sided else (lambda x: x)
  return (clip(real - averages['fake']) ** 2).mean() + (clip(averages['real'] - fake) ** 2).mean()


@pytest.mark.parametrize('one_sided', [True, False])
def test_lecam_by_hand(one_sided):
  params, (real, latent) = players(), data()
  r, f = (np.asarray(look(params['d'], x)[0], np.float64) for x in (real, generator(params['g'], latent)))
  averages = {side: 0.9 * float(STATE[side]) + 0.1 * x.mean() for side, x in (('real', r), ('fake', f))}
  value, metrics, state = run('lecam', params, real, latent, decay=0.9, weight=0.5, one_sided=one_sided)
  np.testing.assert_allclose(value, 0.5 * lecam_by_hand(r, f, averages, one_sided), rtol=1e-5)
  for side in averages:
    np.testing.assert_allclose([state[side], metrics[f'lecam_{side}']], averages[side], rtol=1e-5)


def test_lecam_starts_late_and_then_from_the_last_batch():
  params, x = players(), data()
  state = jax.tree.map(jnp.asarray, terms.STATES['lecam'])
  assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), state) == dict.fromkeys(
    ('real', 'fake'), ((), jnp.float32)
  )
  for step in range(5):
    value, _, state = run('lecam', params, *x, step=step, state=state, start=2)
    assert (value > 0) == (step > 2)
    np.testing.assert_allclose(state['real'], look(params['d'], x[0])[0].mean(), rtol=1e-5)


def test_lecams_averages_are_constants():
  """The slope is that of the logits alone."""
  logits = jnp.float32([0.3, -0.2, 1.0])

  def value(real, fake):
    play = Play(None, None, None, None, None, None, None, real_logits=real, fake_logits=fake)
    return terms.lecam(scene_of(3), play, STATE, weight=1.0, decay=0.5, start=0, one_sided=False)

  slope = jax.grad(lambda real: value(real, logits)[0])(logits)
  average = value(logits, logits)[2]['fake']
  np.testing.assert_allclose(slope, 2 * (logits - average) / 3, rtol=1e-5)
