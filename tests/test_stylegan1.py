"""StyleGAN 1: every block against numbers by hand, growth, mixing and truncation, the official code's sizes."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from scipy.signal import correlate2d

from ganjax import latents
from ganjax.nets import progan, stylegan1
from ganjax.ops.resample import upsample_conv, upsample_nearest

FIELDS = {'resolution': 16, 'channels': 1, 'widths': (6, 5, 4)}
G = FIELDS | {'w_dim': 5, 'mapping_layers': 2}
Z = jax.random.normal(jax.random.key(1), (4, 3))
X = jax.random.normal(jax.random.key(2), (4, 16, 16, 1))


def filled(module, *inputs):
  """Random variables of the right shapes: compiling `init` would take longer than all that is tested."""
  rng = np.random.default_rng(0)

  def drawn(path, leaf):
    names = [part.key for part in path]
    scale = 100 if names[-1] == 'kernel' and names[-2].startswith('fc') else 1  # the mapping's, as they start
    return jnp.asarray(rng.normal(size=leaf.shape) * scale, jnp.float32) if names[0] != 'fade' else jnp.float32(1)

  return jax.tree_util.tree_map_with_path(drawn, jax.eval_shape(partial(module.init, jax.random.key(0)), *inputs))


@pytest.fixture(scope='module')
def variables():
  return {'g': filled(stylegan1.Generator(**G), Z), 'd': filled(stylegan1.Discriminator(**FIELDS), X)}


def play(variables, player, stage, x, alpha=None):
  module = stylegan1.Generator(**G, stage=stage) if player == 'g' else stylegan1.Discriminator(**FIELDS, stage=stage)
  return jax.jit(module.apply)(variables[player], x, alpha=alpha)


def test_parameters_of_the_official_code():
  """At 1024 pixels. G: the README of NVlabs/stylegan; D: a layer table printed by a public copy of that code."""
  for player, x, count in ((stylegan1.Generator, (1, 512), 26_219_627),
                           (stylegan1.Discriminator, (1, 1024, 1024, 3), 23_087_249)):  # fmt: skip
    params = jax.eval_shape(player(resolution=1024).init, jax.random.key(0), jnp.zeros(x))['params']
    assert sum(np.prod(leaf.shape, dtype=int) for leaf in jax.tree.leaves(params)) == count


# Blocks by hand.


def convolved(x, w):
  """x [B, H, W, C] with w [k, k, C, O], zeros around the images."""
  one = lambda image, c, o: correlate2d(image[..., c], w[:, :, c, o], 'same')  # noqa: E731
  return np.stack([np.stack([sum(one(image, c, o) for c in range(w.shape[2])) for o in range(w.shape[3])], -1)
                   for image in np.asarray(x)])  # fmt: skip


def blurred(x):
  """x [B, H, W, C] with the square filter 1 2 1, 2 4 2, 1 2 1, all over 16."""
  taps = np.outer([1, 2, 1], [1, 2, 1]) / 16
  return np.stack([np.stack([correlate2d(x[b, ..., c], taps, 'same') for c in range(x.shape[3])], -1)
                   for b in range(len(x))])  # fmt: skip


def rectified(x):
  return np.maximum(x, 0.2 * x)


@pytest.mark.parametrize(('features', 'up'), [(0, False), (2, False), (2, True)])
@pytest.mark.parametrize('noise', ['const', 'none', 'own'])
def test_a_layer(features, up, noise):
  x, w = np.asarray(X[:2, :4, :6, :] * jnp.arange(1.0, 4)), np.asarray(Z[:2])  # 3 features
  layer = stylegan1.Layer(features, up)
  own = filled(layer, x, w, jnp.zeros((1, 1, 1, 1)))
  p = jax.tree.map(np.asarray, own['params'])
  y = x
  if features:
    y = np.repeat(np.repeat(y, 2, 1), 2, 2) if up else y
    y = convolved(y, p['kernel'] * np.sqrt(2 / 27))  # He's constant, equalised
    y = blurred(y) if up else y
  images = np.random.default_rng(1).normal(size=(2, *y.shape[1:3], 1)).astype(np.float32)
  added = {'const': np.asarray(own['noise']['const'])[None, ..., None], 'none': 0.0, 'own': images}[noise]
  y = rectified(y + added * p['noise_strength'] + p['bias'])
  style = w @ p['affine']['kernel'] / np.sqrt(3) + p['affine']['bias']
  scale, bias = style[:, None, None, : y.shape[-1]], style[:, None, None, y.shape[-1] :]
  y = (y - y.mean((1, 2), keepdims=True)) / y.std((1, 2), keepdims=True) * (scale + 1) + bias
  found = jax.jit(lambda x, w, own_noise: layer.apply(own, x, w, own_noise if noise == 'own' else noise))(x, w, images)
  np.testing.assert_allclose(found, y, rtol=1e-3, atol=1e-4)


def test_filters_of_a_size_change():
  """Up: the convolution of repeated pixels, in one; then, and before going down, the filter."""
  x, w = np.asarray(X[:1, :3, :5, :] * jnp.arange(1.0, 3)), np.asarray(X[0, :3, :3, :, None] * jnp.ones((2, 3)))
  wanted = convolved(np.repeat(np.repeat(x, 2, 1), 2, 2), w)
  np.testing.assert_allclose(upsample_conv(jnp.asarray(x), jnp.asarray(w)), wanted, rtol=1e-4, atol=1e-5)
  with pytest.raises(ValueError, match='3x3 kernels'):
    upsample_conv(jnp.asarray(x), jnp.asarray(w[:1]))
  np.testing.assert_allclose(stylegan1.blurred(jnp.asarray(x)), blurred(x), rtol=1e-4, atol=1e-6)


def test_mapping():
  """Normalised with the label's vector beside the latent, then layers whose rate is a hundredth."""
  module = stylegan1.Mapping(5, 2, classes=3)
  label = jnp.array([0, 2, 1, 2])
  own = filled(module, Z, label)
  p = jax.tree.map(np.asarray, own['params'])
  w = np.concatenate([Z, p['embed'][np.asarray(label)]], 1)
  w /= np.sqrt(np.square(w).mean(1, keepdims=True))
  for name in ('fc0', 'fc1'):
    w = rectified(w @ p[name]['kernel'] * (0.01 * np.sqrt(2 / len(p[name]['kernel']))) + 0.01 * p[name]['bias'])
  found, moved = jax.jit(partial(module.apply, train=True, mutable=['averages']))(own, Z, label)
  np.testing.assert_allclose(found, w, rtol=1e-4, atol=1e-7)
  before = np.asarray(own['averages']['w'])
  np.testing.assert_allclose(moved['averages']['w'], 0.995 * before + 0.005 * w.mean(0), rtol=1e-4)
  shares = jax.nn.one_hot(label, 3)
  np.testing.assert_allclose(jax.jit(module.apply)(own, Z, shares), found, rtol=1e-5)
  fresh = jax.jit(module.init)(jax.random.key(0), Z, label)
  assert 80 < fresh['params']['fc1']['kernel'].std() < 120  # N(0, 1 / .01^2)
  w, _ = jax.jit(stylegan1.Mapping(5, 0).init_with_output)(jax.random.key(0), Z)  # table 4: none
  np.testing.assert_allclose(jnp.square(w).mean(1), 1, rtol=1e-5)


def test_discriminator():
  """From RGB, a block whose second convolution is filtered before and pooled before its activation, the end."""
  module = stylegan1.Discriminator(8, 1, classes=3, widths=(4, 3))
  x, label = np.asarray(X[:, :8, :8]), np.array([0, 2, 1, 2])
  own = filled(module, x, label)
  p = jax.tree.map(np.asarray, own['params'])

  def layer(x, name, gain=2**0.5):
    w = p[name]['kernel'] * gain / np.sqrt(np.prod(p[name]['kernel'].shape[:-1]))
    return (convolved(x, w) if w.ndim == 4 else x @ w) + p[name]['bias']

  y = rectified(layer(rectified(layer(x, 'b8_fromrgb')), 'b8_conv0'))
  y = layer(blurred(y), 'b8_conv1').reshape(4, 4, 2, 4, 2, 4).mean((2, 4))
  y = rectified(y)
  y = np.concatenate([y, np.full((4, 4, 4, 1), np.sqrt(y.var(0) + 1e-8).mean())], -1)
  y = rectified(layer(rectified(layer(y, 'b4_conv')).reshape(4, -1), 'b4_fc'))
  wanted = layer(y, 'logit', 1.0)[np.arange(4), label]
  np.testing.assert_allclose(jax.jit(module.apply)(own, x, label), wanted, rtol=1e-3, atol=1e-4)


# Growth.


@pytest.mark.parametrize('stage', [pytest.param(8, marks=pytest.mark.slow), 16])
def test_a_stage_begins_as_the_one_before(variables, stage):
  """With alpha 0: to the bit the lower resolution's images, up-sampled; with 1 the old way counts for nothing."""
  before, begun, grown = (
    play(variables, 'g', side, Z, alpha) for side, alpha in ((stage // 2, 1), (stage, 0), (stage, 1))
  )
  np.testing.assert_array_equal(begun, before)
  small = progan.pooled(before, stage // 2)
  for _ in range((32 // stage).bit_length() - 1):
    small = upsample_nearest(small)
  np.testing.assert_array_equal(small, before)
  verdicts = [play(variables, 'd', side, X, alpha) for side, alpha in ((stage // 2, 1), (stage, 0), (stage, 1))]
  np.testing.assert_allclose(verdicts[0], verdicts[1], rtol=1e-4)
  assert np.abs(verdicts[2] - verdicts[1]).max() > 1e-4
  old = f'b{stage // 2}_torgb', f'b{stage // 2}_fromrgb'
  without = {'g': dict(variables['g']['params']), 'd': dict(variables['d']['params'])}
  without['g']['synthesis'] = without['g']['synthesis'] | {
    old[0]: jax.tree.map(jnp.zeros_like, variables['g']['params']['synthesis'][old[0]])
  }
  without['d'][old[1]] = jax.tree.map(jnp.zeros_like, without['d'][old[1]])
  changed = {player: variables[player] | {'params': without[player]} for player in 'gd'}
  np.testing.assert_array_equal(play(changed, 'g', stage, Z, 1), grown)
  np.testing.assert_array_equal(play(changed, 'd', stage, X, 1), verdicts[2])
  np.testing.assert_allclose(play(variables, 'g', stage, Z, 0.5), (begun + grown) / 2, rtol=1e-4, atol=1e-5)


def test_one_tree_for_all_stages(variables):
  for stage in (4, 8):
    own = jax.eval_shape(stylegan1.Generator(**G, stage=stage).init, jax.random.key(0), Z)
    assert jax.tree.map(jnp.shape, own) == jax.tree.map(jnp.shape, variables['g'])
    own = jax.eval_shape(stylegan1.Discriminator(**FIELDS, stage=stage).init, jax.random.key(0), X)
    assert jax.tree.map(jnp.shape, own) == jax.tree.map(jnp.shape, variables['d'])


def test_the_last_alpha_is_in_force(variables):
  module = stylegan1.Generator(**G, stage=8)
  image, moved = jax.jit(lambda v: module.apply(v, Z, train=True, alpha=0.25, mutable=['fade']))(variables['g'])
  np.testing.assert_allclose(jax.jit(module.apply)(variables['g'] | moved, Z), image, rtol=1e-3, atol=1e-5)


# Styles.


@pytest.fixture(scope='module')
def halves(variables):
  module = stylegan1.Generator(**G)
  apply = lambda *args, **options: module.apply(variables['g'], *args, **options)  # noqa: E731
  styles = jax.jit(partial(apply, method='styles'), static_argnames='truncation_cutoff')
  return styles, jax.jit(partial(apply, method='synthesize')), variables['g']


def test_truncation(halves):
  styles, synthesize, own = halves
  ws, mean = styles(Z), own['averages']['mapping']['w']
  assert ws.shape == (4, 6, 5)
  np.testing.assert_allclose(styles(Z, truncation_psi=1.0), ws, rtol=1e-4, atol=1e-5)
  wholly = synthesize(styles(Z, truncation_psi=0.0))
  average = synthesize(jnp.broadcast_to(mean, (1, 6, 5)))
  np.testing.assert_allclose(wholly, jnp.broadcast_to(average, wholly.shape), rtol=1e-3, atol=1e-4)
  some = styles(Z, truncation_psi=0.5, truncation_cutoff=2)
  np.testing.assert_allclose(some[:, :2], (ws[:, :2] + mean) / 2, rtol=1e-4, atol=1e-6)
  np.testing.assert_array_equal(some[:, 2:], ws[:, 2:])


def test_style_mixing(halves):
  """Mixed in no layer, or in all: one style or the other. In some: neither, and the coarse layers' changes are coarse."""
  styles, synthesize, _ = halves
  ws = styles(Z)
  one, other = ws[:2], ws[2:]
  images = {count: synthesize(latents.mixed(one, other, range(count))) for count in (0, 3, 6)}
  np.testing.assert_array_equal(images[0], synthesize(one))
  np.testing.assert_array_equal(images[6], synthesize(other))
  assert min(np.abs(images[3] - images[count]).max() for count in (0, 6)) > 0.01


def test_mixing_in_training(variables):
  """Of the layers that a stage uses, and by row: in another order the rows are the same."""
  several = Z[:1].repeat(80, 0)

  def draw(stage, rows, **fields):
    module = stylegan1.Generator(**G, stage=stage, **fields)
    options = {'train': True, 'key': jax.random.key(3), 'method': 'styles'}
    return jax.jit(lambda rows: module.apply(variables['g'], several, rows=rows, **options))(rows)

  rows = jnp.arange(40)
  both = draw(8, jnp.concatenate([rows, rows[::-1]]))
  ws, turned = jnp.split(both, 2)
  kept = (ws == ws[:, :1]).all(-1).sum(1)  # layers of the first style; those beyond the stage have the second
  assert set(np.unique(kept)) == {1, 2, 3, 4}
  np.testing.assert_allclose(turned, ws[::-1], rtol=1e-5)
  ws = draw(8, jnp.arange(80), style_mixing=0.0)
  np.testing.assert_array_equal(ws, ws[:, :1].repeat(6, 1))


def test_noise(variables):
  """Drawn in training, for each row by itself; given, it is taken."""
  module, own = stylegan1.Generator(**G, stage=4), variables['g']
  assert module.noise_sides == (4, 4, 8, 8, 16, 16)
  key, rows, ws = jax.random.key(5), jnp.arange(4), jnp.ones((4, 6, 5))

  @jax.jit
  def play(ws, drawn):
    synthesize = partial(module.apply, own, ws, method='synthesize')
    trained = module.apply(own, Z, train=True, key=key, mutable=['averages'])[0]
    return synthesize(noise=drawn), synthesize(noise='random', key=key, rows=rows), synthesize(), trained

  drawn = latents.layer_noise(module.noise_sides, ['random'] * 6, key, rows)
  given, asked, constant, trained = play(ws, drawn)
  np.testing.assert_allclose(given, asked, rtol=1e-4, atol=1e-5)
  np.testing.assert_array_equal(constant, constant[:1].repeat(4, 0))
  assert min(np.abs(a[0] - a[1]).max() for a in (asked, trained)) > 0.01


@pytest.mark.slow
def test_in_the_game():
  """A step with path length on its styles, R1 through its discriminator, and labels."""
  g = {
    'generator__name': 'stylegan1',
    'generator__w_dim': 4,
    'generator__mapping_layers': 1,
    'generator__widths': (4, 3),
  }
  d = {'discriminator__name': 'stylegan1', 'discriminator__widths': (4, 3), 'conditioning__name': 'projection'}
  config = tiny.images(**g, **d, terms__d={'r1': {}}, terms__g={'path_length': {}}, batch_size=4)
  spec, playing, rules = tiny.game(config)
  state = jax.eval_shape(lambda: tiny.initial(config, spec, playing, rules))
  assert state.params['d']['logit']['kernel'].shape == (4, 10)
  step = tiny.parallel.compile(playing, rules, tiny.parallel.make_mesh(1))
  batch = jax.eval_shape(lambda: tiny.batch(spec, 0, tiny.parallel.plays(playing.turns, 0), 4))
  after, metrics = jax.eval_shape(step.at(0), state, batch)
  assert jax.tree.structure(after) == jax.tree.structure(state)
  assert {'g/path_length', 'd/r1'} <= set(metrics)


@pytest.mark.parametrize(
  ('fields', 'told'),
  [
    ({'resolution': 24}, 'resolution: 24; valid are 4, 8'),
    ({'channels': 0}, 'channels: 0; valid are numbers from 1'),
    ({'resolution': 16, 'stage': 32}, r'stage: 32; valid are 0 \(all\), 4, 8, 16'),
    ({'resolution': 16, 'widths': (8, 8)}, r'widths: \(8, 8\); valid are 3 numbers'),
    ({'w_dim': 0}, 'w_dim: 0; valid are numbers from 1'),
  ],
)
def test_what_cannot_be_made_is_refused(fields, told):
  for player in (stylegan1.Generator, stylegan1.Discriminator):
    if player is stylegan1.Generator or 'w_dim' not in fields:
      with pytest.raises(ValueError, match=told):
        player(**fields)


def test_what_cannot_be_called_is_refused():
  module = stylegan1.Generator(**G)
  for options, told in (({'noise': 'random'}, 'needs a key'), ({'noise': 'some'}, 'noise: valid are'),
                        ({'noise': [Z]}, '6 arrays')):  # fmt: skip
    with pytest.raises(ValueError, match=told):
      jax.eval_shape(lambda key, options=options: module.init(key, Z, **options), jax.random.key(0))
  with pytest.raises(ValueError, match=r'label: vectors .* valid are \[B, 5\]'):
    jax.eval_shape(stylegan1.Generator(**G, classes=5).init, jax.random.key(0), Z, Z)
