"""Inception-V3 against the outputs of torch-fidelity and pytorch-fid, on weights that a formula makes."""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from parity import Fixture, close

from ganjax.errors import ConfigError
from ganjax.evals.features import Extractor, inception, published, resize

PACKAGES = {'torch_fidelity': 'tf1', 'pytorch_fid': 'pytorch-fid'}
NAMES = {'2048': 'features'}  # theirs -> ours, where they differ


def formula(name: str, shape: tuple[int, ...]) -> np.ndarray:
  """The fixture's weights of a name."""
  draw = np.random.default_rng(zlib.crc32(name.encode()))
  if name.endswith('running_var'):
    return (0.5 + draw.random(shape)).astype(np.float32)
  x = draw.standard_normal(shape)
  if name.endswith(('running_mean', '.bias')):
    x *= 0.1
  elif name.endswith('bn.weight'):
    x = 1 + 0.1 * x
  else:
    x *= np.sqrt((2 if len(shape) == 4 else 1) / np.prod(shape[1:]))
  return x.astype(np.float32)


def state_dict() -> dict[str, np.ndarray]:
  """All tensors of the published names, by the formula."""
  shapes = {'fc.weight': (1008, 2048), 'fc.bias': (1008,)}
  for name, shape in inception.places()[1].items():
    shapes[f'{name}.conv.weight'] = shape
    shapes |= {f'{name}.bn.{leaf}': shape[:1] for leaf in ('weight', 'bias', 'running_mean', 'running_var')}
  return {name: formula(name, shape) for name, shape in shapes.items()}


@pytest.fixture(scope='module')
def tensors() -> dict[str, np.ndarray]:
  return state_dict()


@pytest.fixture(scope='module')
def network(tensors: dict[str, np.ndarray]) -> Iterator[Any]:
  """(way of resizing) -> the network on the formula's weights; converted once."""
  counts = {f'{name}.bn.num_batches_tracked': np.zeros((), np.int64) for name in inception.places()[1]}
  params = inception.converted(tensors | counts)  # some versions of PyTorch store them
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(published, 'opened', lambda *_: (params, 'sha256:0'))
    yield inception.open


def compare(network: Any, package: str, images: str) -> dict[str, float]:
  fixture = Fixture('inception')
  cfg, seed = fixture.cfg[images], fixture.meta['seed'] + (images == 'b')
  opened: Extractor = network(None, PACKAGES[package])
  seen = jax.jit(opened.apply)(opened.params, picture(seed, *cfg))
  assert {name: x.shape for name, x in seen.items()} == {name: (4, width) for name, width in opened.outputs.items()}
  wanted = fixture.group(f'out/{package}/{images}/')
  return {name: close(seen[NAMES.get(name, name)], x) for name, x in wanted.items() if not name.startswith('resized')}


@pytest.mark.slow
def test_spatial_is_a_part_of_mixed_6d(network: Any, tensors: dict[str, np.ndarray], tmp_path: Path) -> None:
  """TensorFlow's mixed_6 is PyTorch's Mixed_6d; its first channels are those of its 1x1 convolution, mixed_6/conv."""
  torch = pytest.importorskip('torch')
  module = pytest.importorskip('torch_fidelity.feature_extractor_inceptionv3')
  torch.save({name: torch.from_numpy(x) for name, x in tensors.items()}, tmp_path / 'i.pth')
  theirs, seen = module.FeatureExtractorInceptionV3('i', ['2048'], str(tmp_path / 'i.pth')), []
  theirs.Mixed_6d.branch1x1.register_forward_hook(lambda *found: seen.append(found[2]))
  x = picture(0, 40, 30, 5, 5)
  theirs(torch.from_numpy(x.transpose(0, 3, 1, 2).copy()))
  opened: Extractor = network()
  spatial = jax.jit(opened.apply)(opened.params, x)['spatial']
  close(spatial, seen[0][:, :7].permute(0, 2, 3, 1).reshape(4, -1).numpy())


@pytest.mark.slow
def test_the_same_on_several_devices(network: Any) -> None:
  opened: Extractor = network()
  x = picture(0, 32, 32, 4, 4).repeat(2, 0)
  mesh = jax.make_mesh((8,), ('data',), axis_types=(jax.sharding.AxisType.Auto,))
  spread = jax.device_put(x, jax.NamedSharding(mesh, jax.P('data')))
  close(jax.jit(opened.apply)(opened.params, spread), dict(jax.jit(opened.apply)(opened.params, x)), 1e-5)


def picture(seed: int, h: int, w: int, rows: int, columns: int) -> np.ndarray:
  """The fixture's images, uint8 [4, H, W, 3]."""
  draw = np.random.default_rng(seed)
  base = draw.integers(0, 256, (4, 3, -(-h // rows), -(-w // columns)))
  big = base.repeat(rows, 2).repeat(columns, 3)[:, :, :h, :w]
  return ((3 * big + draw.integers(0, 256, (4, 3, h, w))) // 4).astype(np.uint8).transpose(0, 2, 3, 1)


def test_names_are_the_published_ones(tensors: dict[str, np.ndarray]) -> None:
  fixture = Fixture('inception')
  assert sorted(tensors) == sorted(fixture.arrays['check/state_dict_names'])
  for name, start in fixture.group('check/weight_first8/').items():
    assert np.array_equal(tensors[name].ravel()[:8], start), name


def test_torch_fidelity_enlarged(network: Any) -> None:
  compare(network, 'torch_fidelity', 'a')


@pytest.mark.slow
@pytest.mark.parametrize(('package', 'images'), [('torch_fidelity', 'b'), ('pytorch_fid', 'a'), ('pytorch_fid', 'b')])
def test_parity(network: Any, package: str, images: str) -> None:
  compare(network, package, images)


@pytest.mark.parametrize('images', ['a', 'b'])
def test_resizes_as_the_packages_do(images: str) -> None:
  fixture = Fixture('inception')
  x = picture(fixture.meta['seed'] + (images == 'b'), *fixture.cfg[images])
  if images == 'a':
    assert np.array_equal(x.transpose(0, 3, 1, 2), fixture.arrays['in/images_a'])
  ours = np.asarray(resize.resizer('tf1', 299)(x))[0]
  close(ours[150].T, fixture.arrays[f'out/torch_fidelity/{images}/resized_row150'], 1e-6)
  close(ours[:, 7].T, fixture.arrays[f'out/torch_fidelity/{images}/resized_col7'], 1e-6)
  ours = np.asarray(resize.resizer('pytorch-fid', 299)(x))[0]
  close(ours[150].T, fixture.arrays[f'out/pytorch_fid/{images}/resized_row150_x255'], 1e-6)


def test_refuses_other_weights_by_name(tensors: dict[str, np.ndarray]) -> None:
  less = {name: x for name, x in tensors.items() if name != 'Mixed_6c.branch7x7_2.bn.running_var'}
  with pytest.raises(ValueError, match=r'missing tensors: Mixed_6c\.branch7x7_2\.bn\.running_var$'):
    inception.converted(less)
  with pytest.raises(ValueError, match='no place: AuxLogits'):
    inception.converted(tensors | {'AuxLogits.fc.weight': np.zeros(1)})
  with pytest.raises(ValueError, match=r'fc\.weight: shape \(1000, 2048\); valid is \(1008, 2048\)'):
    inception.converted(tensors | {'fc.weight': np.zeros((1000, 2048))})


def test_refuses_another_way_of_resizing() -> None:
  with pytest.raises(ConfigError, match=r"--resize: given 'pil'.*clean, crop.*tf1"):
    inception.open(resize='pil')
