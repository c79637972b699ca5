"""Networks of image translation and super-resolution: sizes, parameters, dropout, dtypes, what they refuse."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from flax import traverse_util

from ganjax import config as configs
from ganjax import convert
from ganjax.data.spec import Spec
from ganjax.errors import ConfigError
from ganjax.interop import from_torch, safetensors
from ganjax.nets import layers, msrresnet, patchgan, pixelgan, resnet_translator, rrdb, unet, unet_sn, vgg_style
from ganjax.ops.resample import pixel_shuffle, pixel_unshuffle

U = partial(unet.Generator, width=2, downs=3)
R = partial(resnet_translator.Generator, width=2, blocks=1)
MODULES = {
  'unet': U(), 'resnet': R(), 'patch': patchgan.Discriminator(width=2), 'pixel': pixelgan.Discriminator(width=2),
  'rrdb': rrdb.Generator(width=4, growth=2, blocks=1), 'msrresnet': msrresnet.Generator(width=4, blocks=1),
  'unet_sn': unet_sn.Discriminator(width=2), 'vgg': vgg_style.Discriminator(resolution=32, width=2),
}  # fmt: skip


# What each takes, of H x W: multiples, and the least.
SIZES = {'unet': (8, 8), 'resnet': (4, 8), 'patch': (1, 24), 'pixel': (1, 1), 'rrdb': (1, 1), 'msrresnet': (1, 1),
         'unet_sn': (8, 8)}  # fmt: skip


def made(module, *shape):
  """Shapes of the output and of the variables."""
  return jax.eval_shape(module.init_with_output, jax.random.key(0), jnp.zeros(shape))


def filled(module, *shape):
  """Variables of small random numbers, made without compiling."""
  random = np.random.default_rng(0)
  return jax.tree.map(lambda leaf: random.uniform(0.1, 0.5, leaf.shape).astype(np.float32), made(module, *shape)[1])


def count(module, *shape):
  return sum(leaf.size for leaf in jax.tree.leaves(made(module, *shape)[1]['params']))


@pytest.mark.parametrize(
  ('module', 'shape', 'parameters'),
  [
    (unet.Generator(), (1, 256, 256, 3), 54_413_955),  # the authors' 54.414 M
    (resnet_translator.Generator(), (1, 256, 256, 3), 11_378_179),  # 11.378 M
    (resnet_translator.Generator(norm='batch'), (1, 256, 256, 3), 11_383_427),  # 11.383 M
    (patchgan.Discriminator(), (1, 256, 256, 6), 2_768_705),  # 2.769 M
    (patchgan.Discriminator(norm='instance'), (1, 256, 256, 3), 2_764_737),  # 2.765 M
    pytest.param(rrdb.Generator(), (1, 32, 32, 3), 16_697_987, marks=pytest.mark.slow),  # 16.70 M
    pytest.param(msrresnet.Generator(), (1, 32, 32, 3), 1_517_571, marks=pytest.mark.slow),
    pytest.param(unet_sn.Discriminator(), (1, 64, 64, 3), 4_376_897, marks=pytest.mark.slow),
    pytest.param(vgg_style.Discriminator(), (1, 128, 128, 3), 14_499_401, marks=pytest.mark.slow),
  ],
)
def test_published_numbers_of_parameters(module, shape, parameters):
  assert count(module, *shape) == parameters


@pytest.mark.parametrize('name', SIZES)
def test_any_size_that_fits(name):
  """Not only squares; what doesn't fit is refused with what would."""
  module, (multiple, least) = MODULES[name], SIZES[name]
  h, w = -(-least // multiple) * multiple, -(-40 // multiple) * multiple
  out = made(module, 2, h, w, 3)[0].shape
  wanted = {'patch': (2, h // 8 - 2, w // 8 - 2), 'rrdb': (2, 4 * h, 4 * w, 3), 'msrresnet': (2, 4 * h, 4 * w, 3)}
  usual = (2, h, w, 3) if hasattr(module, 'channels') else (2, h, w)
  assert out == wanted.get(name, usual)
  wrong = [n for n in (least - 1, h + 1) if n > 0 and (n < least or n % multiple)]
  for n in wrong:
    with pytest.raises(ValueError, match=f'image: {n} x {w} pixels; valid are .*{multiple if multiple > 1 else least}'):
      made(module, 2, n, w, 3)
  with pytest.raises(ValueError, match=r'shape \(2, 7\); valid are images'):
    made(module, 2, 7)


def test_scales():
  for scale in (1, 2, 4):
    assert made(rrdb.Generator(width=4, growth=2, blocks=1, scale=scale), 1, 4, 8, 1)[0].shape == (
      1, 4 * scale, 8 * scale, 3)  # fmt: skip
  for scale in (2, 3):
    assert made(MODULES['msrresnet'].clone(scale=scale), 1, 5, 7, 3)[0].shape == (1, 5 * scale, 7 * scale, 3)
  with pytest.raises(ValueError, match='image: 5 x 6 pixels; valid are multiples of 2 each way'):
    made(rrdb.Generator(scale=2), 1, 5, 6, 3)
  with pytest.raises(ValueError, match='image: 16 x 32 pixels; valid are 32 x 32'):
    made(MODULES['vgg'], 1, 16, 32, 3)
  with pytest.raises(ValueError, match='image: 2 channels; valid are 1 and 3'):
    made(MODULES['msrresnet'], 1, 8, 8, 2)


@pytest.mark.parametrize(
  ('module', 'fields', 'message'),
  [
    (unet.Generator, {'downs': 1}, 'downs: 1; valid are numbers from 2'),
    (unet.Generator, {'dropout': 1.0}, r'dropout: 1\.0'),
    (resnet_translator.Generator, {'blocks': -1}, 'blocks: -1'),
    (patchgan.Discriminator, {'depth': 0}, 'depth: 0'),
    (pixelgan.Discriminator, {'width': 0}, 'width: 0'),
    (rrdb.Generator, {'scale': 3}, 'scale: 3; valid are 1, 2, 4'),
    (msrresnet.Generator, {'scale': 1}, 'scale: 1; valid are 2, 3, 4'),
    (vgg_style.Discriminator, {'resolution': 24}, 'resolution: 24'),
  ],
)
def test_refuses_fields_by_name(module, fields, message):
  with pytest.raises(ValueError, match=message):
    module(**fields)


def test_configs_find_them():
  spec = Spec('image', (32, 32, 3))
  fields = {'unet': {'downs': 4}, 'vgg_style': {'width': 8}}
  for name in ('unet', 'resnet_translator', 'rrdb', 'msrresnet'):
    config = tiny.images(generator={'name': name} | fields.get(name, {}))
    assert type(configs.generator(config, spec)).__module__ == f'ganjax.nets.{name}'
  for name in ('patchgan', 'pixelgan', 'unet_sn', 'vgg_style'):
    config = tiny.images(discriminator={'name': name} | fields.get(name, {}))
    assert type(configs.discriminator(config, spec, 1, {})).__module__ == f'ganjax.nets.{name}'


NOISY = {'unet': U(dropouts=2), 'resnet': R(dropout=0.5)}


@pytest.mark.parametrize('name', ['unet', pytest.param('resnet', marks=pytest.mark.slow)])
def test_dropout_is_noise_of_each_row(name):
  """Drawn where there is a key, in use as well; a row's noise depends on its number alone."""
  x = jnp.tanh(jax.random.normal(jax.random.key(1), (1, 8, 16, 3))).repeat(3, 0)
  variables = filled(NOISY[name], *x.shape)
  draw = jax.jit(lambda key, rows: NOISY[name].apply(variables, x, key=key, rows=rows))
  y = draw(jax.random.key(2), jnp.arange(3))
  np.testing.assert_array_equal(draw(jax.random.key(2), jnp.array([2, 5, 0]))[jnp.array([0, 2])], y[jnp.array([2, 0])])
  for other in (y[1], draw(jax.random.key(3), jnp.arange(3))[0]):
    assert jnp.abs(y[0] - other).max() > 0


@pytest.mark.slow
@pytest.mark.parametrize('name', NOISY)
def test_without_dropout(name):
  module, x = NOISY[name], jnp.tanh(jax.random.normal(jax.random.key(1), (2, 8, 16, 3)))
  variables = filled(module, *x.shape)
  plain = jax.jit(module.apply)(variables, x)
  assert jnp.abs(plain - module.apply(variables, x, key=jax.random.key(2))).max() > 0
  np.testing.assert_allclose(module.clone(dropout=0.0).apply(variables, x, key=jax.random.key(2)), plain, atol=1e-6)


def test_dropped():
  x = layers.dropped(jnp.ones((3, 64, 64)), 0.25, jax.random.key(0), jnp.arange(3))
  np.testing.assert_allclose(np.unique(x), [0, 4 / 3], rtol=1e-6)
  np.testing.assert_allclose(x.mean((1, 2)), 1, atol=0.05)


def test_instance_norm_and_the_bias_before_it():
  """Without gains; biases in front of it are there for others' weights, and don't learn."""
  x = 3 * jax.random.normal(jax.random.key(0), (2, 24, 24, 4)) + 5
  y = layers.instance_norm(x)
  np.testing.assert_allclose(y.mean((1, 2)), 0, atol=1e-5)
  np.testing.assert_allclose(y.var((1, 2)), 1, rtol=1e-4)
  module = patchgan.Discriminator(width=2, depth=1, norm='instance')
  params = filled(module, *x.shape)['params']
  grads = jax.jit(jax.grad(lambda params: module.apply({'params': params}, x).sum()))(params)
  assert set(grads) == {'conv0', 'conv1', 'logit'}
  moved = {name: bool(layer['bias'].any()) for name, layer in grads.items()}
  assert moved == {'conv0': True, 'conv1': False, 'logit': True}


def test_shuffled_pixels():
  """Channel 4 c + 2 i + j goes to row i and column j, as in PyTorch."""
  x = jax.random.normal(jax.random.key(0), (2, 3, 5, 8))
  y = pixel_shuffle(x, 2)
  np.testing.assert_array_equal(y[:, 1::2, 0::2, 1], x[..., 4 + 2])
  np.testing.assert_array_equal(pixel_unshuffle(y, 2), x)


@pytest.mark.slow
def test_initial_weights():
  """N(0, .02) and gains N(1, .02); He's times .1 inside ESRGAN's blocks."""
  module = unet.Generator(width=32, downs=4)
  found = traverse_util.flatten_dict(jax.jit(module.init)(jax.random.key(0), jnp.zeros((1, 16, 16, 3)))['params'])
  for path, leaf in found.items():
    if path[-1] == 'kernel' and leaf.size > 1000:
      np.testing.assert_allclose(leaf.std(), 0.02, rtol=0.1)
  gains = jnp.concatenate([leaf for path, leaf in found.items() if path[-1] == 'scale'])
  np.testing.assert_allclose([gains.mean(), gains.std()], [1, 0.02], atol=0.004)
  module = rrdb.Generator(width=32, growth=16, blocks=1)
  dense = jax.jit(module.init)(jax.random.key(0), jnp.zeros((1, 8, 8, 3)))['params']['block0']['dense1']
  for layer in dense.values():
    fan_in = np.prod(layer['kernel'].shape[:3])
    np.testing.assert_allclose(layer['kernel'].std(), 0.1 * np.sqrt(2 / fan_in), rtol=0.05)


# How much rounding may make of the outputs: root mean square, about twice what it makes of these.
ROUNDED = {'unet': 0.02, 'resnet': 0.02, 'patch': 0.02, 'pixel': 0.02, 'rrdb': 0.01, 'msrresnet': 0.01,
           'unet_sn': 0.02, 'vgg': 0.02}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize('name', MODULES)
def test_bfloat16_stays_near(name):
  module, x = MODULES[name], jnp.tanh(jax.random.normal(jax.random.key(1), (4, 32, 32, 3)))
  variables = jax.jit(module.init)(jax.random.key(0), x)
  exact, low = jax.jit(lambda v: (module.apply(v, x), module.clone(dtype='bfloat16').apply(v, x)))(variables)
  assert (exact.dtype, low.dtype) == (jnp.float32, jnp.bfloat16)
  exact, low = np.asarray(exact), np.asarray(low, np.float32)
  assert 0 < np.sqrt(np.square(low - exact).mean() / np.square(exact).mean()) < ROUNDED[name]


def resnet_tensors(dropout=False, norm='instance', first=1):
  """The authors' names, of one block and width 2; `first`: the module of a block's first convolution."""
  shapes = {'model.1': (2, 3, 7, 7), 'model.4': (4, 2, 3, 3), 'model.7': (8, 4, 3, 3), 'model.11': (8, 4, 3, 3),
            'model.14': (4, 2, 3, 3), 'model.18': (3, 2, 7, 7)}  # fmt: skip
  second = 3 + 2 * first + dropout
  shapes |= {f'model.10.conv_block.{i}': (8, 8, 3, 3) for i in (first, second)}
  random, found = np.random.default_rng(0), {}
  for name, shape in shapes.items():
    found[f'{name}.weight'] = random.normal(size=shape).astype(np.float32)
    outputs = shape[1] if name in ('model.11', 'model.14') else shape[0]
    if norm == 'instance' or name == 'model.18':
      found[f'{name}.bias'] = np.zeros(outputs, np.float32)
  return found


def test_what_names_tell_of_a_translator():
  """Dropout and zero borders move the modules of a block; without norms there is neither bias nor gain."""
  found = [from_torch('cyclegan.G', resnet_tensors(**options))[0] for options in (
    {}, {'dropout': True}, {'first': 0}, {'dropout': True, 'first': 0}, {'norm': 'none'})]  # fmt: skip
  assert [(m.border, m.dropout, m.norm) for m in found] == [
    ('reflect', 0.0, 'instance'), ('reflect', 0.5, 'instance'), ('zero', 0.0, 'instance'), ('zero', 0.5, 'instance'),
    ('reflect', 0.0, 'none')]  # fmt: skip
  old = resnet_tensors()
  for name, channels in {'model.2': 2, 'model.5': 4, 'model.8': 8, 'model.12': 4, 'model.15': 2,
                         'model.10.conv_block.2': 8, 'model.10.conv_block.6': 8}.items():  # fmt: skip
    old |= {f'{name}.running_mean': np.ones(channels), f'{name}.running_var': np.ones(channels)}
  assert from_torch('cyclegan.G', old)[0].norm == 'instance'
  with pytest.raises(ValueError, match='running_var'):
    from_torch('cyclegan.G', {name: value for name, value in old.items() if name != 'model.8.running_mean'})
  with pytest.raises(ValueError, match="padding_type: 'circular'; valid are reflect"):
    from_torch('cyclegan.G', resnet_tensors(), padding_type='circular')
  with pytest.raises(ValueError, match="norm: 'layer'; valid are batch"):
    from_torch('pix2pix.resnet', resnet_tensors(), norm='layer')


def test_a_translator_is_not_imported_as_a_generator_of_latents():
  with Path('g.safetensors').open('wb') as file:
    safetensors.write(file, resnet_tensors(), {})
  with pytest.raises(ConfigError, match=r'--kind.*cyclegan\.G.*a generator of latents'):
    convert.import_run([('kind', 'cyclegan.G'), ('file', 'g.safetensors')], 'new')
