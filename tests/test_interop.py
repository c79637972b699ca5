"""The importer: state dicts become networks, and what doesn't fit is refused by name."""

from pathlib import Path

import jax
import numpy as np
import pytest
from parity import Fixture

from ganjax.interop import from_torch

FOLDER = Path(__file__).parent / 'fixtures'
FILTER = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / np.float32(64)


def filled(shapes):
  """Random tensors of these shapes, and the filters."""
  random = np.random.default_rng(0)
  return {
    name: FILTER.astype(np.float32) if shape == 'filter' else random.normal(size=shape).astype(np.float32)
    for name, shape in shapes.items()
  }


def mapping(inputs, w, depth, scope='mapping.'):
  sizes = [inputs, *[w] * depth]
  return {f'{scope}fc{i}.weight': (w, sizes[i]) for i in range(depth)} | {
    f'{scope}fc{i}.bias': (w,) for i in range(depth)
  }


def stylegan2_g(w=6, depth=2, channels=1, widths=(5, 3), architecture='skip'):
  """The official names at 8 pixels; without classes."""
  shapes = mapping(4, w, depth) | {'mapping.w_avg': (w,), 'synthesis.b4.const': (widths[0], 4, 4)}
  inside = widths[0]
  for i, width in enumerate(widths):
    scope, side = f'synthesis.b{4 * 2**i}', 4 * 2**i
    shapes[f'{scope}.resample_filter'] = 'filter'
    for layer in ('conv0', 'conv1') if i else ('conv1',):
      shapes |= {f'{scope}.{layer}.weight': (width, inside, 3, 3), f'{scope}.{layer}.bias': (width,),
                 f'{scope}.{layer}.noise_strength': (), f'{scope}.{layer}.noise_const': (side, side),
                 f'{scope}.{layer}.resample_filter': 'filter', f'{scope}.{layer}.affine.weight': (inside, w),
                 f'{scope}.{layer}.affine.bias': (inside,)}  # fmt: skip
      inside = width
    if architecture == 'resnet' and i:
      shapes |= {f'{scope}.skip.weight': (width, widths[i - 1], 1, 1), f'{scope}.skip.resample_filter': 'filter'}
    if architecture == 'skip' or i == len(widths) - 1:
      shapes |= {f'{scope}.torgb.weight': (channels, width, 1, 1), f'{scope}.torgb.bias': (channels,),
                 f'{scope}.torgb.affine.weight': (width, w), f'{scope}.torgb.affine.bias': (width,)}  # fmt: skip
  return filled(shapes)


def stylegan2_d(classes=3, architecture='skip'):
  """The official names at 8 pixels, 1 channel, widths 5 and 3."""
  shapes = mapping(5, 5, 2) | {'mapping.embed.weight': (5, classes), 'mapping.embed.bias': (5,)}
  shapes |= {'b8.conv0.weight': (3, 3, 3, 3), 'b8.conv0.bias': (3,), 'b8.conv1.weight': (5, 3, 3, 3),
             'b8.conv1.bias': (5,), 'b4.conv.weight': (5, 6, 3, 3), 'b4.conv.bias': (5,), 'b4.fc.weight': (5, 80),
             'b4.fc.bias': (5,), 'b4.out.weight': (5, 5), 'b4.out.bias': (5,), 'b8.fromrgb.weight': (3, 1, 1, 1),
             'b8.fromrgb.bias': (3,)}  # fmt: skip
  if architecture == 'skip':
    shapes |= {'b4.fromrgb.weight': (5, 1, 1, 1), 'b4.fromrgb.bias': (5,), 'b4.fromrgb.resample_filter': 'filter'}
  filters = ('b8', 'b8.conv0', 'b8.conv1', 'b8.fromrgb', 'b4.conv')
  return filled(shapes | {f'{scope}.resample_filter': 'filter' for scope in filters})


def r3gan_g(classes=0):
  """The official names at 8 pixels: widths 6 and 4, groups of 2, one block each."""
  shapes = {'MainLayers.0.Layers.0.Basis': (6, 4, 4), 'AggregationLayer.Layer.weight': (1, 4, 1, 1),
            'MainLayers.0.Layers.0.LinearLayer.weight': (6, 5 + (3 if classes else 0)),
            'MainLayers.1.Layers.0.LinearLayer.Layer.weight': (4, 6, 1, 1),
            'MainLayers.1.Layers.0.Resampler.Kernel': 'filter'}  # fmt: skip
  for stage, width in enumerate((6, 4)):
    scope = f'MainLayers.{stage}.Layers.1'
    shapes |= {f'{scope}.LinearLayer1.Layer.weight': (2 * width, width, 1, 1),
               f'{scope}.LinearLayer2.Layer.weight': (2 * width, 2, 3, 3),
               f'{scope}.LinearLayer3.Layer.weight': (width, 2 * width, 1, 1),
               f'{scope}.NonLinearity1.Bias': (2 * width,), f'{scope}.NonLinearity2.Bias': (2 * width,)}  # fmt: skip
  return filled(shapes | ({'EmbeddingLayer.weight': (3, classes)} if classes else {}))


def mimicry(model, player):
  arrays = np.load(FOLDER / f'mimicry_{model}.npz')
  prefix = f'param/{player}/'
  return {key.removeprefix(prefix): arrays[key] for key in arrays.files if key.startswith(prefix)}


def test_stylegan2_without_hints():
  for architecture in ('skip', 'resnet', 'orig'):
    module, variables = from_torch('stylegan2.G', stylegan2_g(architecture=architecture))
    assert (module.architecture, module.resolution, module.channels, module.w_dim) == (architecture, 8, 1, 6)
    image = jax.eval_shape(module.apply, variables, np.zeros((2, 4)))
    assert image.shape == (2, 8, 8, 1)
  module, variables = from_torch('stylegan2.D', stylegan2_d())
  assert (module.architecture, module.classes, module.mbstd_channels, module.mapping_layers) == ('skip', 3, 1, 2)
  assert jax.eval_shape(module.apply, variables, np.ones((2, 8, 8, 1)), np.array([0, 2])).shape == (2,)


def test_r3gan_without_hints():
  module, variables = from_torch('r3gan.G', r3gan_g(classes=7))
  assert (module.widths, module.cardinalities, module.blocks, module.classes) == ((6, 4), (6, 4), (1, 1), 7)
  image = jax.eval_shape(module.apply, variables, np.zeros((2, 5)), np.array([0, 6]))
  assert image.shape == (2, 8, 8, 1)


def test_other_filters_are_kept():
  tensors = {name: np.outer([1, 2], [1, 2]).astype(np.float32) / 9 if 'Kernel' in name else value
             for name, value in r3gan_g().items()}  # fmt: skip
  assert np.allclose(from_torch('r3gan.G', tensors)[0].resample_filter, (1 / 3, 2 / 3))


CASES = {
  'stylegan2.G': (
    stylegan2_g,
    ['synthesis.b8.conv0.weight', 'synthesis.b4.torgb.bias', 'synthesis.b8.resample_filter'],
  ),
  'stylegan2.D': (stylegan2_d, ['b8.fromrgb.weight', 'mapping.embed.weight', 'b4.conv.weight']),
  'r3gan.G': (lambda: r3gan_g(2), ['MainLayers.1.Layers.1.LinearLayer2.Layer.weight', 'EmbeddingLayer.weight']),
  'mimicry/cgan_pd32.G': (lambda: mimicry('cgan_pd32', 'G'), ['block2.c1.bias', 'block3.b2.embed.weight', 'c5.weight']),
  'mimicry/cgan_pd32.D': (lambda: mimicry('cgan_pd32', 'D'), ['l_y.sn_sigma', 'block1.c2.weight_v']),
}


@pytest.mark.parametrize('kind', CASES)
def test_what_does_not_fit_is_refused_by_name(kind):
  make, names = CASES[kind]
  tensors = make()
  with pytest.raises(ValueError, match='no place: elsewhere'):
    from_torch(kind, tensors | {'elsewhere': np.zeros(3)})
  hint = {'z': 5} if kind == 'r3gan.G' else {}  # without it, a label may be a longer latent
  for name in names:
    with pytest.raises(ValueError, match=name):
      from_torch(kind, {key: value for key, value in tensors.items() if key != name}, **hint)
  with pytest.raises(ValueError, match=names[0]):
    from_torch(kind, tensors | {names[0]: np.zeros((*tensors[names[0]].shape, 2), np.float32)})


def test_refusals_of_kinds_and_keywords():
  with pytest.raises(ValueError, match=r"did you mean 'stylegan2\.G'"):
    from_torch('stylegan.G', {})
  with pytest.raises(ValueError, match=r'mimicry/sngan31.*32, 48, 64, 128'):
    from_torch('mimicry/sngan31.G', {})
  with pytest.raises(ValueError, match=r'resolution: unknown keyword; valid are .*map_layers'):
    from_torch('stylegan2.G', stylegan2_g(), resolution=8)
  with pytest.raises(ValueError, match='missing tensors'):
    from_torch('r3gan.D', {})
  with pytest.raises(ValueError, match=r'synthesis.b4.const: int64; valid are floating-point'):
    from_torch('stylegan2.G', stylegan2_g() | {'synthesis.b4.const': np.zeros((5, 4, 4), np.int64)})


FIXTURES = [('stylegan2.G', 'stylegan2', 'G'), ('stylegan2.D', 'stylegan2', 'Drc'), ('stylegan2.D', 'stylegan2', 'Dou'),
            ('r3gan.G', 'r3gan', 'Gc'), ('r3gan.D', 'r3gan', 'Dc'), ('mimicry/sagan32.G', 'mimicry_sagan32', 'G'),
            ('mimicry/sagan32.D', 'mimicry_sagan32', 'D'), ('mimicry/ssgan32.D', 'mimicry_ssgan32', 'D')]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(('kind', 'name', 'net'), FIXTURES)
def test_every_tensor_matters(kind, name, net):
  """Each tensor of the official networks, left out or a row longer, is named; with the constructor's sizes given."""
  fixture = Fixture(name)
  tensors = fixture.group(f'param/{net}/')
  for key, value in list(tensors.items())[::3] if 'mimicry' in kind else tensors.items():
    with pytest.raises(ValueError, match=key):
      from_torch(kind, {other: tensors[other] for other in tensors if other != key}, **fixture.cfg)
    longer = np.concatenate([value, value[:1]]) if value.ndim else np.zeros(1, value.dtype)
    with pytest.raises(ValueError, match=key):
      from_torch(kind, tensors | {key: longer}, **fixture.cfg)
