"""StyleGAN 2: filters against their definition, draws that don't depend on the devices, truncation, widths."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganjax.nets import equalized, r3gan, stylegan2
from ganjax.nets.heads import minibatch_std
from ganjax.ops import upfirdn
from ganjax.terms.path_length import path_lengths, path_penalty

SMALL = {'resolution': 8, 'w_dim': 6, 'mapping_layers': 2, 'channel_base': 64, 'channel_max': 8}


def direct(x, taps, up, down, pad):
  """Zeros between pixels, padding, convolution, every `down`-th pixel: along one axis of numbers."""
  zeros = np.zeros(len(x) * up)
  zeros[::up] = x
  zeros = np.pad(zeros, pad)
  return np.convolve(zeros, taps, 'valid')[::down]


@pytest.mark.parametrize(('up', 'down', 'pad'), [(2, 1, (2, 1)), (1, 2, (1, 1)), (1, 1, (2, 2)), (2, 1, (0, 3))])
def test_filters(up, down, pad):
  taps = (1.0, 2.0, 4.0, 3.0)  # not symmetric
  x = np.random.default_rng(0).normal(size=(1, 6, 8, 2)).astype(np.float32)
  rows = np.apply_along_axis(lambda line: direct(line, taps, up, down, pad), 1, x)
  wanted = np.apply_along_axis(lambda line: direct(line, taps, up, down, pad), 2, rows)
  run = partial(upfirdn.upfirdn, taps=taps, up=up, down=down, pad=pad)
  np.testing.assert_allclose(run(x), wanted, rtol=1e-5, atol=1e-5)
  # A linear map: its gradient is the transpose, and the gradient's gradient the map again.
  y = np.random.default_rng(1).normal(size=wanted.shape).astype(np.float32)
  pull = lambda y: jax.vjp(run, jnp.asarray(x))[1](y)[0]  # noqa: E731
  np.testing.assert_allclose(jnp.vdot(pull(jnp.asarray(y)), x), np.vdot(y, wanted), rtol=1e-4)
  np.testing.assert_allclose(jax.vjp(pull, jnp.asarray(y))[1](jnp.asarray(x))[0], wanted, rtol=1e-4, atol=1e-5)


def test_a_constant_image_stays_constant_inside():
  x = jnp.ones((1, 8, 8, 1))
  np.testing.assert_allclose(upfirdn.upsample(x)[0, 2:-2, 2:-2], 1, rtol=1e-6)
  np.testing.assert_allclose(upfirdn.downsample(x)[0, 1:-1, 1:-1], 1, rtol=1e-6)


def test_draws_follow_the_rows():
  """In another order the rows are the same images, with noise and mixing, in training."""
  module = stylegan2.Generator(**SMALL | {'resolution': 4}, channels=1)
  z = jax.random.normal(jax.random.key(0), (4, 5))
  variables = jax.jit(module.init)(jax.random.key(1), z[:1])
  strengths = jax.tree_util.tree_map_with_path(
    lambda path, leaf: leaf + 0.5 if path[-1].key == 'noise_strength' else leaf, variables['params']
  )
  variables = {**variables, 'params': strengths}
  apply = jax.jit(lambda z, rows, key: module.apply(variables, z, train=True, key=key, rows=rows, mutable=['averages']))
  image, moved = apply(z, jnp.arange(4), jax.random.key(2))
  turned = jnp.array([2, 0, 3, 1])
  np.testing.assert_allclose(apply(z[turned], turned, jax.random.key(2))[0], image[turned], rtol=1e-4, atol=1e-5)
  assert np.abs(apply(z, jnp.arange(4), jax.random.key(3))[0] - image).max() > 0.01
  assert np.abs(moved['averages']['mapping']['w']).max() > 0


def test_mixing():
  latent, first = stylegan2.mixing(jax.random.key(0), jnp.arange(400), 3, 6, 0.9)
  assert latent.shape == (400, 3)
  assert set(np.unique(first)) == {1, 2, 3, 4, 5, 6}
  assert 0.05 < np.mean(first == 6) < 0.16  # not mixed


def test_truncation():
  ws = jnp.ones((1, 3, 2))
  near = stylegan2.truncated(ws, jnp.zeros(2), 0.25, 2)
  np.testing.assert_array_equal(near[0, :, 0], [0.25, 0.25, 1])


def test_what_cannot_be_made_is_refused():
  with pytest.raises(ValueError, match='resolution: 24; valid are 4, 8'):
    stylegan2.Generator(resolution=24)
  with pytest.raises(ValueError, match='channel_base: 100; valid are numbers from 256'):
    stylegan2.widths(256, 100, 512)
  with pytest.raises(ValueError, match=r'widths: .*valid are 1 or 4 numbers'):
    r3gan.Generator(resolution=32, widths=(8, 8))
  with pytest.raises(ValueError, match='cardinalities: 3 groups for width 8'):
    r3gan.Discriminator(resolution=8, widths=(8,), cardinalities=(3,))
  module = stylegan2.Generator(**SMALL)
  z = jnp.zeros((1, 4))
  for options, message in (({'noise': 'random'}, 'needs a key'), ({'noise': 'some'}, 'noise: valid are'),
                           ({'noise': [z]}, '3 arrays')):  # fmt: skip
    with pytest.raises(ValueError, match=message):
      jax.eval_shape(lambda key, options=options: module.init(key, z, **options), jax.random.key(0))
  with pytest.raises(ValueError, match=r'label: vectors .* valid are \[B, 5\]'):
    stylegan2.condition(jnp.zeros((2, 3)), 5)


def test_minibatch_statistics_over_devices():
  x = jax.random.normal(jax.random.key(0), (8, 2, 2, 6))
  whole = minibatch_std(x, group=4, channels=2)
  assert whole.shape == (8, 2, 2, 8)
  split = jax.pmap(lambda x: minibatch_std(x, group=4, channels=2, axis='d'), axis_name='d')(x.reshape(4, 2, 2, 2, 6))
  np.testing.assert_allclose(split.reshape(whole.shape), whole, rtol=1e-5)
  spread = np.asarray(x[0::2, ..., :3]).std(0).mean()  # images 0, 2, 4, 6 are a group
  np.testing.assert_allclose(whole[2, 0, 0, 6], spread, rtol=1e-4)


def test_path_lengths_of_a_linear_generator():
  """J is known, so that the lengths are, too; and the mean moves before it is compared with."""
  matrix = jax.random.normal(jax.random.key(0), (3, 2, 4 * 4 * 1))
  noise = jax.random.normal(jax.random.key(1), (5, 4, 4, 1))
  found = path_lengths(lambda w: jnp.einsum('blf,lfp->bp', w, matrix).reshape(5, 4, 4, 1), jnp.zeros((5, 3, 2)), noise)
  pulled = np.einsum('lfp,bp->blf', matrix, noise.reshape(5, 16)) / 4
  np.testing.assert_allclose(found, np.sqrt(np.square(pulled).sum(2).mean(1)), rtol=1e-5)
  penalty, mean = path_penalty(found, jnp.float32(2), 0.01)
  np.testing.assert_allclose(mean, 2 + 0.01 * (found.mean() - 2), rtol=1e-6)
  np.testing.assert_allclose(penalty, np.square(found - mean), rtol=1e-5)


def test_equalised_layers_start_alike():
  """Whatever the multiplier, outputs start with unit variance, and gradients are scaled by it."""
  x = jax.random.normal(jax.random.key(0), (256, 64))
  for multiplier in (1.0, 0.01):
    layer = equalized.Dense(64, lr_multiplier=multiplier)
    variables = layer.init(jax.random.key(1), x)
    assert 0.9 < float(layer.apply(variables, x).std()) < 1.1
    assert 0.9 < float(variables['params']['kernel'].std()) * multiplier < 1.1
