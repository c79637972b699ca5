"""Sources: names, digits, mixtures and arrays; what comes out and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from feeding import assert_same, batch_of

from ganjax.data.feed import open_feed
from ganjax.data.sources import __all__ as names
from ganjax.data.sources import open_source
from ganjax.data.spec import Spec
from ganjax.errors import ConfigError, DataError

# Sources by name.


def test_unknown_names_and_fields() -> None:
  with pytest.raises(ConfigError, match=r"config.data.name: given 'digit'.*did you mean 'digits'"):
    open_source({'name': 'digit'})
  with pytest.raises(ConfigError, match=r"config.data.resolutoin.*did you mean 'resolution'"):
    open_source({'name': 'digits', 'resolutoin': 8})
  with pytest.raises(ConfigError, match=r'config.data.resolution: given None, valid: a value'):
    open_source({'name': 'folder', 'path': 'x'})
  with pytest.raises(ConfigError, match=r'config.data.split'):
    open_source({'name': 'digits'}, split='trian')


def test_every_source_says_what_it_is() -> None:
  import ganjax.data.sources as sources

  for name in names:
    assert len(getattr(sources, name).__doc__.splitlines()[0]) > 30


def test_specs_survive_json() -> None:
  for config in ({'name': 'digits'}, {'name': 'mixture'}):
    spec = open_source(config).spec
    assert Spec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


# Digits.


def test_digits_are_the_real_ones_split_by_class() -> None:
  from sklearn.datasets import load_digits

  pixels, labels = load_digits(return_X_y=True)
  train, test = open_source({'name': 'digits'}), open_source({'name': 'digits'}, split='test')
  assert (len(train), len(test)) == (1500, 297)
  assert train.spec == Spec('image', (8, 8, 1), 10, tuple('0123456789'), 1500, 'digits')
  assert np.abs(np.bincount(test.arrays['label']) - np.bincount(labels) * 297 / 1797).max() < 1
  both = np.concatenate([test.arrays['image'], train.arrays['image']]).reshape(-1, 64)
  wanted = np.rint(pixels * 255 / 16).astype(np.uint8)
  rows = lambda x, y: sorted(map(tuple, np.column_stack([x, y]).tolist()))  # noqa: E731
  found = np.concatenate([test.arrays['label'], train.arrays['label']])
  assert rows(both, found) == rows(wanted, labels)
  assert int(test.arrays['image'].astype(int).sum()) == 1_475_793  # the same examples for ever


@pytest.mark.parametrize('resolution', [16, 32])
def test_digits_enlarged(resolution: int) -> None:
  small = open_source({'name': 'digits'}).arrays['image'].astype(float)
  for resize in ('bicubic', 'lanczos', 'bilinear', 'box'):
    large = open_source({'name': 'digits', 'resolution': resolution, 'resize': resize}).arrays['image']
    assert large.shape == (1500, resolution, resolution, 1)
    factor = resolution // 8
    pooled = large.reshape(1500, 8, factor, 8, factor).mean((2, 4))
    assert np.corrcoef(pooled.ravel(), small.ravel())[0, 1] > 0.97


def test_digits_refuse_other_sizes() -> None:
  with pytest.raises(ConfigError, match=r'config.data.resolution: given 12, valid: 8, 16, 32'):
    open_source({'name': 'digits', 'resolution': 12})
  with pytest.raises(ConfigError, match=r"config.data.resize: given 'bicubik'.*did you mean 'bicubic'"):
    open_source({'name': 'digits', 'resolution': 16, 'resize': 'bicubik'})


# Mixtures.


def assert_close(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
  """Labels the same, rows to rounding: compilers fuse differently for other shapes."""
  np.testing.assert_array_equal(a['label'], b['label'])
  np.testing.assert_allclose(a['row'], b['row'], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('config', [
  {}, {'layout': 'grid', 'modes': 25, 'std': 0.05}, {'layout': 'centres', 'centres': ((0, 0, 0), (1, 5, -3)), 'std': 0.3},
])  # fmt: skip
def test_mixtures_have_the_modes_and_the_spread_asked_for(config: dict) -> None:
  source = open_source({'name': 'mixture', **config})
  centres, std = np.asarray(source.spec.extra['centres']), source.spec.extra['std']
  assert len(source) == 0
  assert source.spec.shape == centres.shape[1:]
  read = batch_of(open_feed(source, batch=4096, seed=0), 0, 2, range(4096))
  rows, labels = read['row'].reshape(-1, centres.shape[1]), read['label'].ravel()
  assert rows.dtype == np.float32
  np.testing.assert_allclose(np.bincount(labels) / len(labels), 1 / len(centres), atol=0.03)
  deviation = (rows - centres[labels]) / std
  assert deviation.std() == pytest.approx(1, abs=0.03)
  assert np.abs(deviation.mean(0)).max() < 0.05
  drawn = source.get(np.arange(100))
  assert_close({k: v[40:50] for k, v in drawn.items()}, source.get(np.arange(40, 50)))


def test_the_usual_mixtures() -> None:
  ring = np.asarray(open_source({'name': 'mixture'}).spec.extra['centres'])
  np.testing.assert_allclose(np.linalg.norm(ring, axis=1), 2, rtol=1e-6)
  assert ring.shape == (8, 2)
  grid = np.asarray(open_source({'name': 'mixture', 'layout': 'grid', 'modes': 25}).spec.extra['centres'])
  assert sorted(map(tuple, grid.tolist())) == [(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)]


def test_mixture_draws_depend_on_seed_position_row_and_split() -> None:
  source, held_out = (open_source({'name': 'mixture'}, split=split) for split in ('train', 'test'))
  feed = open_feed(source, batch=8, seed=1)
  whole = batch_of(feed, 5, 2)
  assert_same(whole, batch_of(open_feed(source, batch=8, seed=1), 5, 2))
  assert_close({k: v[1:, 4:] for k, v in whole.items()}, batch_of(feed, 6, 1, range(4, 8)))
  for other in (open_feed(source, batch=8, seed=2), open_feed(held_out, batch=8, seed=1)):
    assert (batch_of(other, 5, 2)['row'] != whole['row']).all()
  assert (source.get(np.arange(9))['row'] != held_out.get(np.arange(9))['row']).all()
  assert len(np.unique(batch_of(feed, 0, 3)['row'])) == 3 * 8 * 2


@pytest.mark.parametrize(('config', 'field'), [
  ({'layout': 'rign'}, 'layout'), ({'std': 0.0}, 'std'), ({'modes': 0}, 'modes'), ({'layout': 'centres'}, 'centres'),
  ({'layout': 'grid', 'modes': 24}, 'modes'), ({'layout': 'centres', 'centres': ((1, 2), (3,))}, 'centres'),
  ({'layout': 'centres', 'centres': (1, 2)}, 'centres'),
])  # fmt: skip
def test_mixtures_that_can_t_be(config: dict, field: str) -> None:
  with pytest.raises(ConfigError) as caught:
    open_source({'name': 'mixture', **config})
  assert caught.value.field == f'data.{field}'


def test_a_mixture_is_neither_flipped_nor_streamed() -> None:
  source = open_source({'name': 'mixture'})
  with pytest.raises(ConfigError, match='rows, not images'):
    open_feed(source, batch=8, seed=0, flip=True)
  with pytest.raises(ConfigError, match='drawn on the device'):
    open_feed(source, batch=8, seed=0, resident=False)


# Arrays.

RNG = np.random.default_rng(1)
UINT8 = RNG.integers(0, 256, (20, 5, 4, 3), dtype=np.uint8)
LABELS = np.arange(20) % 4


def saved(folder: Path, **arrays: np.ndarray) -> dict:
  np.savez(folder / 'x.npz', **arrays)
  return {'name': 'arrays', 'path': str(folder / 'x.npz')}


def test_arrays_of_images(tmp_path: Path) -> None:
  source = open_source(saved(tmp_path, images=UINT8, labels=LABELS[:, None]))
  assert source.spec == Spec('image', (5, 4, 3), 4, ('0', '1', '2', '3'), 20, 'arrays')
  assert_same(source.get(np.array([3, 1])), {'image': UINT8[[3, 1]], 'label': LABELS[[3, 1]].astype(np.int32)})
  grey = open_source(saved(tmp_path, pixels=UINT8[..., 0]) | {'image_key': 'pixels'})
  assert grey.spec == Spec('image', (5, 4, 1), 0, (), 20, 'arrays')


def test_arrays_of_floats(tmp_path: Path) -> None:
  x = RNG.random((9, 4, 4, 1))
  half = open_source(saved(tmp_path, x=x) | {'value_range': '0..1'})
  full = open_source(saved(tmp_path, x=2 * x - 1) | {'value_range': '-1..1'})
  for source in (half, full):
    image = source.get(np.arange(9))['image']
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, 2 * x - 1, atol=1e-6)
  a, b = (batch_of(open_feed(half, batch=4, seed=0, flip=True, resident=r), 1, rows=range(4)) for r in (True, False))
  assert_same(a, b)


def test_arrays_of_rows_and_npy_files(tmp_path: Path) -> None:
  rows = RNG.normal(size=(30, 7))
  np.save(tmp_path / 'rows.npy', rows)
  source = open_source({'name': 'arrays', 'path': str(tmp_path / 'rows.npy')})
  assert source.spec == Spec('row', (7,), 0, (), 30, 'arrays')
  read = batch_of(open_feed(source, batch=8, seed=0), 0)
  assert read['row'].shape == (1, 8, 7)
  np.save(tmp_path / 'images.npy', UINT8)
  mapped = open_source({'name': 'arrays', 'path': str(tmp_path / 'images.npy')})
  assert_same(mapped.get(np.arange(20)), {'image': UINT8})


def test_held_out_arrays(tmp_path: Path) -> None:
  config = saved(tmp_path, x=UINT8)
  with pytest.raises(ConfigError, match=r'config.data.test_path'):
    open_source(config, split='test')
  np.savez(tmp_path / 'test.npz', x=UINT8[:6])
  assert len(open_source({**config, 'test_path': str(tmp_path / 'test.npz')}, split='test')) == 6


def nan(x: np.ndarray) -> np.ndarray:
  return np.where(np.arange(x.size).reshape(x.shape) == x.size - 1, np.nan, x)


@pytest.mark.parametrize(('arrays', 'options', 'message'), [
  ({'x': UINT8, 'y': LABELS[:19]}, {}, r'20 examples, but labels of shape \(19,\)'),
  ({'x': UINT8, 'y': LABELS / 2}, {}, 'labels are float64; valid: integers'),
  ({'x': UINT8, 'y': LABELS - 1}, {}, 'label -1 at 0'),
  ({'x': UINT8, 'y': LABELS}, {'classes': 3}, 'label 3 at 3, but data.classes=3'),
  ({'x': UINT8}, {'classes': 4}, 'asks for labels, and there are none'),
  ({'x': UINT8.transpose(0, 3, 1, 2)[..., :4].repeat(2, 3)}, {}, r'looks like \[N, C, H, W\]'),
  ({'x': UINT8[:0]}, {}, 'none of them empty'),
  ({'x': UINT8[0, 0, 0]}, {}, 'valid: .N, H, W, C.'),
  ({'x': UINT8.reshape(20, -1)}, {}, 'rows .N, F. of floats'),
  ({'x': UINT8.astype(np.int64)}, {}, 'images are int64; valid: uint8 or float'),
  ({'x': UINT8 / 255}, {}, 'config.data.value_range'),
  ({'x': UINT8 / 255}, {'value_range': '0..255'}, 'config.data.value_range'),
  ({'x': UINT8 / 127.5 - 1}, {'value_range': '0..1'}, 'values from -1 to 1 are outside'),
  ({'x': nan(UINT8 / 255)}, {'value_range': '0..1'}, 'outside'),
  ({'x': nan(np.ones((5, 2)))}, {}, 'row 4 holds a value that is not finite'),
  ({'pictures': UINT8}, {}, r"holds \['pictures'\]; name the images with data.image_key"),
  ({'x': UINT8}, {'image_key': 'z'}, "no array 'z'; there are"),
  ({'x': UINT8}, {'label_key': 'z'}, "no array 'z'; there are"),
  ({'x': np.array([{}, {}], object)}, {}, 'pickled, which is refused'),
])  # fmt: skip
def test_arrays_that_can_t_be(tmp_path: Path, arrays: dict, options: dict, message: str) -> None:
  with pytest.raises((DataError, ConfigError), match=message):
    open_source(saved(tmp_path, **arrays) | options)


def test_files_that_are_no_arrays(tmp_path: Path) -> None:
  config = saved(tmp_path, x=UINT8)
  file = Path(config['path'])
  whole = file.read_bytes()
  for content in (b'', b'no array', whole[: len(whole) // 2], whole[:200] + b'?' * 300 + whole[500:]):
    file.write_bytes(content)
    with pytest.raises(DataError, match=f'{file}: damaged'):
      open_source(config)
  with pytest.raises(DataError, match='no such file'):
    open_source({'name': 'arrays', 'path': str(tmp_path / 'none.npz')})
