"""TransGAN's parts: growth and squares by their definition, noise that follows the rows, what the importer refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganjax.interop import from_torch
from ganjax.nets import transgan

G = {
  'resolution': 8,
  'channels': 1,
  'smallest': 4,
  'width': 16,
  'depths': (1, 1),
  'attention_heads': 2,
  'mlp_ratio': 2.0,
}
D = {'resolution': 8, 'channels': 1, 'width': 16, 'depth': 1, 'attention_heads': 2, 'mlp_ratio': 2.0}


def test_pixel_shuffle():
  x = np.arange(2 * 4 * 8).reshape(2, 4, 8)  # 2 x 2 pixels
  y = transgan.pixel_shuffle(jnp.asarray(x)).reshape(2, 4, 4, 2)
  for i, j, c in ((0, 0, 0), (0, 1, 1), (1, 0, 0), (1, 1, 1)):
    np.testing.assert_array_equal(y[:, 2 + i, j, c], x[:, 2, 4 * c + 2 * i + j])


def test_squares():
  x = jnp.arange(2 * 16 * 3).reshape(2, 16, 3)
  parts = transgan.squares(x, 2)
  np.testing.assert_array_equal(parts[1], x[0].reshape(4, 4, 3)[:2, 2:].reshape(4, 3))
  np.testing.assert_array_equal(transgan.whole(parts, 2, 16, 2), x)


def filled(module, x):
  """Random parameters of the right shapes: compiling `init` would take longer than all that is tested."""
  rng = np.random.default_rng(0)
  shapes = jax.eval_shape(module.init, jax.random.key(0), x)['params']
  return {'params': jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32) / 4, shapes)}


def test_grid_attention_stays_in_its_square():
  module = transgan.Attention(2, 2, False)
  x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 16, 4)), jnp.float32)
  variables = filled(module, x)
  slope = jax.jit(jax.grad(lambda x: module.apply(variables, x)[0, 5].sum()))(x)[0]  # row 1, column 1
  assert set(np.flatnonzero(np.abs(slope).sum(-1))) == {0, 1, 4, 5}


def test_norms():
  x = jax.random.normal(jax.random.key(0), (3, 5, 4)) * 2 + 1
  for kind, axes in (('layer', 2), ('instance', 1), ('batch', (0, 1))):
    y, _ = transgan.TokenNorm(kind).init_with_output(jax.random.key(0), x, train=True)
    wanted = (x - x.mean(axes, keepdims=True)) / jnp.sqrt(x.var(axes, keepdims=True) + 1e-5)
    np.testing.assert_allclose(y, wanted, rtol=1e-4, atol=1e-5)
  y, _ = transgan.TokenNorm('pixel').init_with_output(jax.random.key(0), x)
  np.testing.assert_allclose(jnp.square(y).mean(2), 1, rtol=1e-5)


def test_noise_follows_the_rows():
  draw = jax.jit(lambda key, rows: transgan.drawn([4, 5], key, rows, None))
  turned = jnp.array([2, 0, 3, 1])
  ordered = draw(jax.random.key(2), jnp.arange(4))
  assert [noise.shape for noise in ordered] == [(4, 4, 1), (4, 5, 1)]
  for a, b in zip(draw(jax.random.key(2), turned), ordered, strict=True):
    np.testing.assert_array_equal(a, b[turned])
  assert np.abs(draw(jax.random.key(3), turned)[0] - ordered[0][turned]).max() > 0.1
  assert np.abs(ordered[0] - ordered[1][:, :4]).max() > 0.1


def test_noise_joins_each_attention():
  module = transgan.Discriminator(**D)
  x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 8, 8, 1)), jnp.float32)
  variables = filled(module, x)
  apply = jax.jit(module.apply)
  noise = [np.random.default_rng(i).normal(size=(2, n, 1)).astype(np.float32) for i, n in enumerate((16, 4, 5))]
  silent = [0 * image for image in noise]
  without = apply(variables, x, noise=silent)
  for i in range(3):
    assert np.abs(apply(variables, x, noise=[*silent[:i], noise[i], *silent[i + 1 :]]) - without).max() > 1e-4
  np.testing.assert_allclose(apply(variables, x), without, rtol=1e-4)
  with pytest.raises(ValueError, match=r'noise: 1 arrays; valid are 3, of \[16, 4, 5\] tokens'):
    jax.eval_shape(lambda: module.apply(variables, x, noise=[x]))


@pytest.mark.slow
def test_bfloat16():
  rng = np.random.default_rng(1)
  for player, fields, shape in ((transgan.Generator, G, (4, 5)), (transgan.Discriminator, D, (4, 8, 8, 1))):
    x = jnp.asarray(rng.normal(size=shape), jnp.float32)
    own = filled(player(**fields), x)
    exact, fast = (jax.jit(player(**fields, dtype=dtype).apply)(own, x) for dtype in ('float32', 'bfloat16'))
    assert np.abs(fast - exact).max() < 0.03 * np.abs(exact).max()


def test_labels_and_heads():
  x = jnp.zeros((2, 8, 8, 1))
  module = transgan.Discriminator(**D, classes=3, inside='concat', heads={'rotation': 4})
  logits, said = jax.eval_shape(lambda: module.init_with_output(jax.random.key(0), x, jnp.array([0, 2]))[0])
  assert (logits.shape, said['rotation'].shape) == ((2,), (2, 4))
  module = transgan.Generator(**G, classes=3)
  image = jax.eval_shape(lambda: module.init_with_output(jax.random.key(0), jnp.zeros((2, 5)), jnp.array([0, 2]))[0])
  assert image.shape == (2, 8, 8, 1)


@pytest.mark.parametrize(
  ('make', 'told'),
  [
    (lambda: transgan.Generator(**G | {'resolution': 16}), 'resolution: 16; valid are 8'),
    (lambda: transgan.Generator(**G | {'width': 12}), 'width: 12; valid are multiples of 8'),
    (lambda: transgan.Generator(**G | {'window': 3}), 'window: 3; valid are divisors of 4'),
    (lambda: transgan.Discriminator(**D | {'resolution': 10}), 'resolution: 10; valid are multiples of 4'),
    (lambda: transgan.Discriminator(**D | {'width': 12}), 'width: 12; valid are multiples of 8'),
    (lambda: transgan.Discriminator(**D, minibatch='std'), "minibatch: 'std'"),
  ],
)
def test_what_cannot_be_made_is_refused(make, told):
  with pytest.raises(ValueError, match=told):
    make()


def block(scope, dim, window=0, noisy=False, heads=2, norm=True):
  shapes = {f'{scope}.attn.qkv.weight': (3 * dim, dim), f'{scope}.attn.proj.weight': (dim, dim),
            f'{scope}.attn.proj.bias': (dim,), f'{scope}.mlp.fc1.weight': (2 * dim, dim),
            f'{scope}.mlp.fc1.bias': (2 * dim,), f'{scope}.mlp.fc2.weight': (dim, 2 * dim),
            f'{scope}.mlp.fc2.bias': (dim,)}  # fmt: skip
  if norm:
    shapes |= {f'{scope}.norm{i}.norm.{leaf}': (dim,) for i in (1, 2) for leaf in ('weight', 'bias')}
  if window:
    shapes[f'{scope}.attn.relative_position_bias_table'] = ((2 * window - 1) ** 2, heads)
  return shapes | ({f'{scope}.attn.noise_strength_1': ()} if noisy else {})


def tensors(player, norm=True):
  """The official names: 8 pixels, grey; G's widths 32, 8 and 2, D's 12 and 16."""
  if player == 'G':
    shapes = {'l1.weight': (4 * 32, 3), 'l1.bias': (4 * 32,), 'deconv.0.weight': (1, 2, 1, 1), 'deconv.0.bias': (1,)}
    stages = ('blocks', 'upsample_blocks.0', 'upsample_blocks.1')
    for i, (stage, dim) in enumerate(zip(stages, (32, 8, 2), strict=True)):
      shapes |= {f'pos_embed_{i + 1}': (1, 4 * 4**i, dim)} | block(f'{stage}.block.0', dim, 2 * 2**i, norm=norm)
  else:
    shapes = {'cls_token': (1, 1, 16), 'pos_embed_1': (1, 16, 12), 'pos_embed_2': (1, 4, 16), 'head.weight': (1, 16),
              'head.bias': (1,), 'fRGB_1.weight': (12, 1, 2, 2), 'fRGB_1.bias': (12,), 'fRGB_2.weight': (4, 1, 4, 4),
              'fRGB_2.bias': (4,)}  # fmt: skip
    shapes |= block('blocks_1.0', 12, 4, True, norm=norm) | block('blocks_2.0', 16, 2, True, norm=norm)
    shapes |= block('last_block.0', 16, 0, True, norm=norm)
    shapes |= {'norm.norm.weight': (16,), 'norm.norm.bias': (16,)} if norm else {}
  rng = np.random.default_rng(0)
  return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


SIZES = {
  'bw': 2,
  'gf': 32,
  'norm': 'ln',
  'mlp': 2,
  'gd': '1,1,1',
  'z': 3,
  'ln': True,
  'df': 16,
  'dd': 1,
  'gh': 2,
  'dh': 2,
}


@pytest.mark.parametrize('every', [8, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize('player', ['G', 'D'])
def test_importer(player, every):
  kind, found = f'transgan.{player}', tensors(player)
  module, variables = from_torch(kind, found)
  same, _ = from_torch(kind, found, **SIZES)
  assert module == (same.clone(latent_norm=False) if player == 'G' else same)
  assert (module.resolution, module.channels, module.attention_heads) == (8, 1, 2)
  x = jnp.zeros((2, 3)) if player == 'G' else jnp.zeros((2, 8, 8, 1))
  assert jax.eval_shape(module.apply, variables, x).shape == ((2, 8, 8, 1) if player == 'G' else (2,))
  for name in list(found)[::every]:
    with pytest.raises(ValueError, match=name):
      from_torch(kind, {other: value for other, value in found.items() if other != name}, **SIZES)
    longer = np.concatenate([found[name]] * 2) if found[name].ndim else np.zeros(1, np.float32)
    with pytest.raises(ValueError, match=name):
      from_torch(kind, found | {name: longer}, **SIZES)
  with pytest.raises(ValueError, match='no place: elsewhere'):
    from_torch(kind, found | {'elsewhere': np.zeros(3)})


def test_importer_of_other_norms():
  bare = tensors('D', norm=False)
  with pytest.raises(ValueError, match='keyword norm'):
    from_torch('transgan.D', bare)
  assert from_torch('transgan.D', bare, norm='pn')[0].norm == 'pixel'
  found = tensors('G')
  for name in [name for name in found if name.endswith('norm.bias')]:
    scope = name.removesuffix('bias')
    found |= {f'{scope}running_{leaf}': found[name] for leaf in ('mean', 'var')}
    found[f'{scope}num_batches_tracked'] = np.array(0)
  module, variables = from_torch('transgan.G', found)
  assert module.norm == 'batch'
  assert set(variables) == {'params', 'batch_stats'}
  index = {
    'blocks.block.0.attn.relative_position_index': np.asarray(transgan.relative(jnp.arange(9.0)[:, None])[0], int)
  }
  from_torch('transgan.G', found | index)
  with pytest.raises(ValueError, match='relative_position_index'):
    from_torch('transgan.G', found | {name: value.T for name, value in index.items()})
  with pytest.raises(ValueError, match="norm: 'layer'; valid are ln, bn"):
    from_torch('transgan.G', found, norm='layer')
