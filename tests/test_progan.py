"""ProGAN: a new stage begins as the one before, one tree holds all, the last alpha is kept; its importer's refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganjax.interop import from_torch
from ganjax.nets import progan
from ganjax.ops.resample import average_pool, upsample_nearest

SMALL = {'resolution': 16, 'channels': 1, 'widths': (6, 5, 4)}
Z = jax.random.normal(jax.random.key(1), (4, 3))
X = jax.random.normal(jax.random.key(2), (4, 16, 16, 1))


def filled(module, x):
  """Random variables of the right shapes: compiling `init` would take longer than all that is tested."""
  rng = np.random.default_rng(0)
  tree = jax.eval_shape(module.init, jax.random.key(0), x)
  params = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32), tree['params'])
  return {'params': params, 'fade': {'alpha': jnp.float32(1)}}


@pytest.fixture(scope='module')
def variables():
  return {'g': filled(progan.Generator(**SMALL), Z), 'd': filled(progan.Discriminator(**SMALL), X)}


def play(variables, player, stage, x, alpha=None):
  module = (progan.Generator if player == 'g' else progan.Discriminator)(**SMALL, stage=stage)
  return jax.jit(module.apply)(variables[player], x, alpha=alpha)


@pytest.mark.parametrize('stage', [8, 16])
def test_a_stage_begins_as_the_one_before(variables, stage):
  """With alpha 0: to the bit the lower resolution's images, up-sampled; and the verdict on images pooled to it."""
  before, begun, grown = (
    play(variables, 'g', side, Z, alpha) for side, alpha in ((stage // 2, 1), (stage, 0), (stage, 1))
  )
  np.testing.assert_array_equal(begun, before)
  small = progan.pooled(before, stage // 2)
  np.testing.assert_array_equal(progan.faded(before, stage // 2, 1.0), before)
  for _ in range((32 // stage).bit_length() - 1):
    small = upsample_nearest(small)
  np.testing.assert_array_equal(small, before)
  assert np.abs(grown - begun).max() > 0.01
  half = play(variables, 'g', stage, Z, 0.5)
  np.testing.assert_allclose(half, (begun + grown) / 2, rtol=1e-5, atol=1e-6)
  verdicts = [play(variables, 'd', side, X, alpha) for side, alpha in ((stage // 2, 1), (stage, 0), (stage, 1))]
  np.testing.assert_allclose(verdicts[0], verdicts[1], rtol=1e-4)
  assert np.abs(verdicts[2] - verdicts[1]).max() > 1e-4


def test_one_tree_for_all_stages(variables):
  for stage in (4, 8, 0):
    own = jax.eval_shape(progan.Generator(**SMALL, stage=stage).init, jax.random.key(0), Z)
    assert jax.tree.map(jnp.shape, own) == jax.tree.map(jnp.shape, variables['g'])
    own = jax.eval_shape(progan.Discriminator(**SMALL, stage=stage).init, jax.random.key(0), X)
    assert jax.tree.map(jnp.shape, own) == jax.tree.map(jnp.shape, variables['d'])


def test_the_last_alpha_is_in_force(variables):
  module = progan.Generator(**SMALL)
  apply = jax.jit(lambda v, alpha: module.apply(v, Z, train=True, alpha=alpha, mutable=['fade']))
  image, moved = apply(variables['g'], 0.25)
  assert moved['fade']['alpha'] == 0.25
  np.testing.assert_allclose(jax.jit(module.apply)(variables['g'] | moved, Z), image, rtol=1e-3, atol=1e-5)


def test_reals_have_no_more_detail_than_fakes():
  begun = progan.faded(X, 16, 0.0)
  np.testing.assert_allclose(begun, upsample_nearest(average_pool(X)))
  np.testing.assert_array_equal(progan.faded(X, 16, 1.0), X)
  assert progan.faded(X, 4, 0.3).shape == X.shape


@pytest.mark.slow
def test_parameters_of_the_paper():
  """Table 2: 23.1 million each at 1024 pixels."""
  for player, x in ((progan.Generator, jnp.zeros((1, 512))), (progan.Discriminator, jnp.zeros((1, 1024, 1024, 3)))):
    params = jax.eval_shape(player(resolution=1024).init, jax.random.key(0), x)['params']
    assert round(sum(np.prod(leaf.shape) for leaf in jax.tree.leaves(params)) / 1e6, 1) == 23.1
    if player is progan.Generator:
      assert params['project']['bias'].shape == (512,)


def test_scale_of_a_layer():
  """He's constant times what N(0, 1) weights make; of the output, bias included, in the other version."""
  x = np.random.default_rng(0).normal(size=(64, 50)).astype(np.float32)
  params = {'kernel': jnp.ones((50, 3)), 'bias': jnp.ones(3)}
  for version, wanted in (('paper', x.sum(1) / 10 + 1), ('gan_zoo', (x.sum(1) + 1) / 5)):
    y = progan.Equalized(3, 0, np.sqrt(2) / 2, version).apply({'params': params}, x)
    np.testing.assert_allclose(y[:, 0], wanted, rtol=1e-5, atol=1e-5)


def test_minibatch_statistics_of_runs():
  x = jax.random.normal(jax.random.key(0), (8, 2, 2, 3))
  wanted = np.asarray(x[4:]).std(0, ddof=1).mean()
  np.testing.assert_allclose(progan.unbiased_std(x)[5, 0, 0, 3], wanted, rtol=1e-5)
  np.testing.assert_allclose(progan.unbiased_std(x[:6])[0, 0, 0, 3], np.asarray(x[:6]).std(0, ddof=1).mean(), rtol=1e-5)
  assert float(progan.unbiased_std(x[:1])[0, 0, 0, 3]) == 0
  split = jax.pmap(lambda x: progan.unbiased_std(x, axis='d'), axis_name='d')(x.reshape(4, 2, 2, 2, 3))
  np.testing.assert_allclose(split.reshape(8, 2, 2, 4), progan.unbiased_std(x), rtol=1e-5)


@pytest.mark.slow
def test_bfloat16(variables):
  """Within 2% in the root mean square, 10% anywhere: pixel norm enlarges what rounding does to pixels near zero."""
  for player, x in ((progan.Generator, Z), (progan.Discriminator, X)):
    own = variables['g' if player is progan.Generator else 'd']
    exact, fast = (jax.jit(player(**SMALL, dtype=dtype).apply)(own, x) for dtype in ('float32', 'bfloat16'))
    assert fast.dtype == jnp.float32
    assert np.square(fast - exact).mean() < 0.02**2 * np.square(exact).mean()
    assert np.abs(fast - exact).max() < 0.1 * np.abs(exact).max()


def test_heads_and_labels():
  module = progan.Discriminator(**SMALL, classes=3, heads={'rotation': 4})
  logits, said = jax.eval_shape(lambda: module.init_with_output(jax.random.key(0), X, jnp.arange(4) % 3)[0])
  assert (logits.shape, said['rotation'].shape, said['features'].shape) == ((4,), (4, 4), (4, 6))


@pytest.mark.parametrize(
  ('fields', 'told'),
  [
    ({'resolution': 24}, 'resolution: 24; valid are 4, 8'),
    ({'resolution': 16, 'stage': 32}, r'stage: 32; valid are 0 \(all\), 4, 8, 16'),
    ({'resolution': 16, 'widths': (8, 8)}, r'widths: \(8, 8\); valid are 3 numbers'),
  ],
)
def test_what_cannot_be_made_is_refused(fields, told):
  for player in (progan.Generator, progan.Discriminator):
    with pytest.raises(ValueError, match=told):
      player(**fields)


def tensors(player, widths=(6, 5), z=3, channels=1):
  """The official names, grown to as many resolutions as there are widths."""
  rgb, first, last = ('toRGBLayers', 'formatLayer', 'groupScale0.0') if player == 'G' else (
    'fromRGBLayers', 'groupScaleZero.1', 'groupScaleZero.0')  # fmt: skip
  shapes = {f'{first}.module': (16 * widths[0], z) if player == 'G' else (widths[0], 16 * widths[0]),
            f'{last}.module': (widths[0], widths[0] + (player == 'D'), 3, 3)}  # fmt: skip
  if player == 'D':
    shapes['decisionLayer.module'] = (1, widths[0])
  for i, width in enumerate(widths):
    shapes[f'{rgb}.{i}.module'] = (channels, width, 1, 1) if player == 'G' else (width, channels, 1, 1)
    if i:
      inside, out = (widths[i - 1], width) if player == 'G' else (width, widths[i - 1])
      shapes[f'scaleLayers.{i - 1}.0.module'] = (width, inside, 3, 3)
      shapes[f'scaleLayers.{i - 1}.1.module'] = (out, width, 3, 3)
  rng = np.random.default_rng(0)
  weights = {f'{name}.weight': rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
  return weights | {f'{name}.bias': np.ones(shape[0], np.float32) for name, shape in shapes.items()}


@pytest.mark.parametrize('player', ['G', 'D'])
def test_importer(player):
  kind = f'progan.{player}'
  for widths in ((7,), (6, 5), (6, 5, 4)):
    module, _ = from_torch(kind, tensors(player, widths))
    assert (module.widths, module.resolution, module.channels) == (widths, 4 * 2 ** (len(widths) - 1), 1)
  found = tensors(player)
  sizes = {'z': 3, 'w': [6, 5, 4], 'alpha': 0.25}
  module, variables = from_torch(kind, found, **sizes)
  assert module.resolution == 8
  assert variables['fade']['alpha'] == 0.75
  for name in found:
    with pytest.raises(ValueError, match=name):
      from_torch(kind, {other: value for other, value in found.items() if other != name}, **sizes | {'w': [6, 5]})
    with pytest.raises(ValueError, match=name):
      from_torch(kind, found | {name: np.concatenate([found[name]] * 2)})
  with pytest.raises(ValueError, match='no place: elsewhere'):
    from_torch(kind, found | {'elsewhere': np.zeros(3)})
  with pytest.raises(ValueError, match='alpha: 2'):
    from_torch(kind, found, alpha=2)
