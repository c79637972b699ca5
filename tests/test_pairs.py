"""Paired and unpaired domains: what comes out of folders and arrays, one shuffle or two, jitter, what is refused."""

import dataclasses
import json

import jax.numpy as jnp
import numpy as np
import pytest
from feeding import assert_same, batch_of
from PIL import Image

from ganjax.data import pairs
from ganjax.data.digit_pairs import INK, PAPER
from ganjax.data.examples import open_examples
from ganjax.data.feed import from_uint8, open_feed
from ganjax.data.jitter import jittered
from ganjax.data.sources import open_source
from ganjax.data.spec import Spec
from ganjax.errors import ConfigError, DataError

RNG = np.random.default_rng(0)


def noise(height=12, width=12, channels=3):
  return RNG.integers(0, 256, (height, width, channels), dtype=np.uint8)


def write(file, image):
  file.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(image).save(file)
  return image


@pytest.fixture
def folders(tmp_path):
  """trainA and trainB with three pairs, testA and testB with one; the images by name."""
  made = {}
  for split, names in (('train', ('x', 'y', 'z')), ('test', ('t',))):
    for name in names:
      for side, ending in (('A', 'png'), ('B', 'bmp')):
        made[side, name] = write(tmp_path / f'{split}{side}' / f'{name}.{ending}', noise())
  return tmp_path, made


def rows(source):
  return source.get(np.arange(len(source)))


@pytest.mark.parametrize('direction', ['a_to_b', 'b_to_a'])
def test_two_folders(folders, direction):
  root, made = folders
  own = {'name': 'pairs', 'path': str(root), 'resolution': 12, 'direction': direction}
  source, image = ('A', 'B') if direction == 'a_to_b' else ('B', 'A')
  for split, names in (('train', 'xyz'), ('test', 't')):
    opened = open_source(own, split=split)
    np.testing.assert_array_equal(rows(opened)['source'], [made[source, name] for name in names])
    np.testing.assert_array_equal(rows(opened)['image'], [made[image, name] for name in names])
  assert opened.spec == Spec(
    'image', (12, 12, 3), count=1, name='pairs', extra={'counterparts': True}, source=(12, 12, 3)
  )
  assert Spec.from_json(json.loads(json.dumps(opened.spec.to_json()))) == opened.spec
  assert opened.spec.example(2)['source'].shape == (2, 12, 12, 3)


def test_side_by_side(tmp_path):
  whole = write(tmp_path / 'train' / '0.png', noise(12, 24))
  opened = open_source({'name': 'pairs', 'path': str(tmp_path), 'resolution': 12, 'source_channels': 1})
  found = rows(opened)
  np.testing.assert_array_equal(found['image'][0], whole[:, 12:])
  np.testing.assert_array_equal(found['source'][0, ..., 0], np.asarray(Image.fromarray(whole[:, :12]).convert('L')))
  assert_same(
    found, rows(open_source({'name': 'pairs', 'path': str(tmp_path / 'train'), 'resolution': 12, 'source_channels': 1}))
  )
  with pytest.raises(ConfigError, match=r'data.test_path'):
    open_source({'name': 'pairs', 'path': str(tmp_path), 'resolution': 12}, split='test')
  write(tmp_path / 'val' / '0.png', noise(12, 24))
  assert len(open_source({'name': 'pairs', 'path': str(tmp_path), 'resolution': 12}, split='test')) == 1


def test_pairs_of_arrays(tmp_path):
  a, b = RNG.integers(0, 256, (5, 8, 8), dtype=np.uint8), RNG.integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
  np.savez(tmp_path / 'x.npz', a=a, b=b, label=[0, 1, 2, 0, 1])
  opened = open_source({'name': 'pairs', 'path': str(tmp_path / 'x.npz'), 'direction': 'b_to_a'})
  assert (opened.spec.source, opened.spec.shape, opened.spec.classes) == ((8, 8, 3), (8, 8, 1), 3)
  assert_same(opened.arrays, {'source': b, 'image': a[..., None], 'label': np.array([0, 1, 2, 0, 1], np.int32)})
  for resident in (True, False):  # a pair stays a pair, flipped and cut alike
    feed = open_feed(opened, batch=5, seed=3, resident=resident)
    batch = batch_of(feed, 1, rows=range(5))
    order = [next(i for i in range(5) if np.array_equal(from_uint8(jnp.asarray(b[i])), x)) for x in batch['source'][0]]
    assert sorted(order) == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(batch['image'][0], from_uint8(jnp.asarray(a[..., None][order])))
    feed.close()


def test_unpaired_sets_are_shuffled_apart(tmp_path):
  a, b = np.arange(3, dtype=np.uint8), np.arange(10, 15, dtype=np.uint8)
  np.savez(tmp_path / 'x.npz', a=np.tile(a[:, None, None], (1, 4, 4)), b=np.tile(b[:, None, None], (1, 4, 4)))
  opened = open_source({'name': 'domains', 'path': str(tmp_path / 'x.npz')})
  assert (len(opened), len(opened.beside), opened.spec.extra) == (5, 3, {})
  values = lambda x: np.rint((x[..., 0, 0, 0] * 255 + 255) / 2).astype(int)  # noqa: E731
  seen = []
  for resident in (True, False):
    feed = open_feed(opened, batch=1, seed=1, resident=resident)
    batches = [batch_of(feed, n, rows=range(1)) for n in range(15)]
    seen.append([(int(values(x['source'])[0, 0]), int(values(x['image'])[0, 0])) for x in batches])
    feed.close()
  assert seen[0] == seen[1]
  sources, images = zip(*seen[0], strict=True)
  assert all(sorted(sources[i : i + 3]) == [0, 1, 2] for i in range(0, 15, 3))  # epochs of their own
  assert all(sorted(images[i : i + 5]) == [10, 11, 12, 13, 14] for i in range(0, 15, 5))
  assert len({sources[i : i + 3] for i in range(0, 15, 3)}) > 1
  assert len(set(seen[0])) > 8  # of 15: no fixed partners


def test_unpaired_folders(folders):
  root, made = folders
  write(root / 'trainA' / 'extra.png', noise(30, 20))
  opened = open_source({'name': 'domains', 'path': str(root), 'resolution': 12, 'direction': 'b_to_a'})
  assert (len(opened), len(opened.beside)) == (4, 3)
  np.testing.assert_array_equal(rows(opened.beside)['source'], [made['B', name] for name in 'xyz'])
  assert rows(opened)['image'].shape == (4, 12, 12, 3)


def test_sets_that_do_not_fit_into_memory(folders, monkeypatch):
  root, _ = folders
  own = {'path': str(root), 'resolution': 10}
  for name in ('pairs', 'domains'):
    held = open_source(own | {'name': name})
    with monkeypatch.context() as patch:
      patch.setattr(pairs, 'HELD_BYTES', 0)
      read = open_source(own | {'name': name})
    assert read.arrays is None
    assert_same(rows(read), rows(held))
    feeds = [open_feed(source, batch=2, seed=5, resident=False, flip=True, jitter=12) for source in (held, read)]
    assert_same(*(batch_of(feed, 3, rows=range(2)) for feed in feeds))
    for feed in feeds:
      feed.close()


def test_jitter_is_enlarging_and_cutting():
  """As Pillow enlarges, up to its rounding to whole grey values after each of two passes."""
  image = 90 + noise(16, 16) // 4  # far from black and white, where Pillow clips
  large = np.asarray(Image.fromarray(image).resize((20, 20), Image.Resampling.BICUBIC), np.float32)
  words = np.array([[[0, 0], [4, 2], [9, 6]]], np.uint32)  # of 5 places each way
  cut = jittered(from_uint8(jnp.asarray(image[None, None].repeat(3, 1))), 20, jnp.asarray(words))
  for found, (y, x) in zip(cut[0], ((0, 0), (4, 2), (4, 1)), strict=True):
    np.testing.assert_allclose((found + 1) * 127.5, large[y : y + 16, x : x + 16], atol=1.2)


def test_pairs_are_flipped_and_cut_alike_and_domains_are_not():
  opened = open_source({'name': 'digit_pairs', 'transform': 'rotated', 'resolution': 8})
  twins = dataclasses.replace(opened, arrays={**opened.arrays, 'source': opened.arrays['image']})
  alike = batch_of(open_feed(twins, batch=32, seed=0, flip=True, jitter=10), 0, rows=range(32))
  np.testing.assert_array_equal(alike['source'], alike['image'])
  plain = batch_of(open_feed(twins, batch=32, seed=0), 0, rows=range(32))
  assert np.abs(alike['image'] - plain['image']).max() > 0.1
  same = opened.arrays['image'][:1]
  ends = [{'image': same}, {'source': same}]
  beside = dataclasses.replace(twins, arrays=ends[1], spec=dataclasses.replace(opened.spec, count=1))
  apart = dataclasses.replace(beside, arrays=ends[0], beside=beside)
  batch = batch_of(open_feed(apart, batch=32, seed=0, flip=True, jitter=10), 0, rows=range(32))
  assert np.abs(batch['image'] - batch['source']).max((0, 2, 3, 4)).astype(bool).sum() > 20
  with pytest.raises(ConfigError, match=r'data.jitter: given 7, valid: 0, or at least'):
    open_feed(opened, batch=4, seed=0, jitter=7)


def test_digits_and_their_transforms():
  for transform, channels in (('edges', 1), ('coloured', 3), ('rotated', 1)):
    train = open_source({'name': 'digit_pairs', 'transform': transform})
    assert train.spec.source == (16, 16, channels)
    assert (len(train), train.spec.classes) == (1500, 10)
  plain = train.arrays['image']
  np.testing.assert_array_equal(train.arrays['source'][:, 0, 0], plain[:, 0, -1])
  coloured = open_source({'name': 'digit_pairs', 'transform': 'coloured', 'direction': 'b_to_a'}).arrays
  assert np.abs(coloured['image'] - (PAPER + coloured['source'] / 255 * (INK - PAPER))).max() <= 0.5
  outline = open_source({'name': 'digit_pairs'}).arrays['source'][..., 0] > 0
  assert (outline <= (plain[..., 0] >= 128)).all()
  assert 0.2 < outline.sum() / (plain >= 128).sum() < 0.95
  lone = open_source({'name': 'digit_pairs', 'paired': False})
  assert (len(lone), len(lone.beside), lone.arrays.keys()) == (750, 750, {'image', 'label'})
  assert open_source({'name': 'digit_pairs', 'paired': False}, split='test').arrays.keys() == {
    'source',
    'image',
    'label',
  }


def test_examples_are_held_out_and_of_a_seed():
  draw = open_examples({'name': 'digit_pairs', 'paired': False, 'resolution': 8})
  held_out = open_source({'name': 'digits'}, split='test').arrays['image']
  found = draw(297, 4)
  assert sorted(map(bytes, np.rint(found['image'] * 127.5 + 127.5).astype(np.uint8))) == sorted(map(bytes, held_out))
  assert found.keys() == {'source', 'image', 'label'}
  assert_same(draw(297, 4), found)
  assert not np.array_equal(draw(297, 5)['image'], found['image'])
  assert len(draw(300, 0)['image']) == 300


# What is refused, and by which name.


def test_pictures_without_partners(folders):
  root, _ = folders
  write(root / 'trainA' / 'w.png', noise())
  with pytest.raises(DataError, match=r'4 pictures in trainA, 3 in trainB; without .* in trainB: .*trainA/w.png'):
    open_source({'name': 'pairs', 'path': str(root), 'resolution': 12})


def test_pairs_of_different_sizes_and_damaged_ones(folders):
  root, _ = folders
  write(root / 'trainB' / 'y.bmp', noise(10, 12))
  (root / 'trainA' / 'z.png').write_bytes(b'nothing')
  with pytest.raises(
    DataError, match=r'(?s)2 of 3.*trainA/y.png: 12 x 12 pixels, and .*trainB/y.bmp: 12 x 10.*trainA/z.png: damaged'
  ):
    open_source({'name': 'pairs', 'path': str(root), 'resolution': 12})


def test_other_refusals(tmp_path):
  own = {'name': 'pairs', 'path': str(tmp_path), 'resolution': 12}
  write(tmp_path / 'odd' / 'x.png', noise(12, 23))
  with pytest.raises(DataError, match=r'x.png: 23 pixels wide; valid: an even number'):
    open_source(own | {'path': str(tmp_path / 'odd')})
  write(tmp_path / 'half' / 'trainA' / 'x.png', noise())
  with pytest.raises(DataError, match=r'trainA is there, and trainB is not'):
    open_source(own | {'path': str(tmp_path / 'half')})
  with pytest.raises(DataError, match=r'two domains are two folders'):
    write(tmp_path / 'one' / 'train' / 'x.png', noise())
    open_source(own | {'name': 'domains', 'path': str(tmp_path / 'one')})
  with pytest.raises(ConfigError, match=r'data.resolution: given 0'):
    open_source(own | {'resolution': 0})
  with pytest.raises(ConfigError, match=r"data.direction: given 'a_to_c'.*did you mean 'a_to_b'"):
    open_source(own | {'direction': 'a_to_c'})
  images = np.zeros((3, 8, 8, 1), np.uint8)
  for arrays, told in (
    ({'a': images, 'b': images[:2]}, '3 images in a and 2 in b'),
    ({'a': images, 'b': np.zeros((3, 4, 4), np.uint8)}, 'the same height and width of both'),
    ({'a': images, 'b': images.astype(np.float32)}, 'b is float32; valid: uint8'),
    ({'a': images}, "no array 'b'"),
  ):
    np.savez(tmp_path / 'x.npz', **arrays)
    with pytest.raises(DataError, match=told):
      open_source({'name': 'pairs', 'path': str(tmp_path / 'x.npz')})
