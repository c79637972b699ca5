"""Feeds: a batch depends on (seed, position) alone, wherever the data lives and whoever reads it."""

import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from feeding import assert_same, batch_of, pictures

from ganjax.data.feed import from_uint8, open_feed
from ganjax.data.spec import Source, Spec
from ganjax.errors import ConfigError, DataError


@pytest.mark.parametrize('flip', [False, True])
def test_resident_and_streamed_batches_are_the_same_bits(flip: bool) -> None:
  source = pictures()
  resident = open_feed(source, batch=8, seed=3, flip=flip)
  streamed = open_feed(source, batch=8, seed=3, flip=flip, resident=False)
  assert resident.resident
  assert not streamed.resident
  for position in (0, 2, 4, 5, 900):  # consecutive ones, then jumps
    a, b = batch_of(resident, position, plays=2), batch_of(streamed, position, plays=2)
    assert_same(a, b)
    assert a['image'].shape == (2, 8, 6, 6, 3)
    assert a['label'].dtype == np.int32
  streamed.close()


def test_a_batch_shows_whole_examples_and_an_epoch_all_of_them() -> None:
  source = pictures(count=48)
  feed = open_feed(source, batch=8, seed=1)
  read = batch_of(feed, 6, plays=6)
  whole = np.asarray(from_uint8(jnp.asarray(source.arrays['image'])))
  found = [int(np.flatnonzero((whole == image).all((1, 2, 3)))[0]) for image in read['image'].reshape(48, 6, 6, 3)]
  assert sorted(found) == list(range(48))
  np.testing.assert_array_equal(source.arrays['label'][found], read['label'].ravel())


def test_uint8_becomes_minus_one_to_one_and_back() -> None:
  levels = jnp.arange(256, dtype=jnp.uint8)
  x = jax.jit(from_uint8)(levels)
  assert x.dtype == jnp.float32
  assert (float(x[0]), float(x[255])) == (-1, 1)
  np.testing.assert_array_equal(x, from_uint8(levels))
  np.testing.assert_array_equal(jnp.round((x + 1) * 127.5), levels)
  np.testing.assert_array_equal(x, -x[::-1])


@pytest.mark.parametrize('resident', [True, False])
def test_flips_mirror_about_half_and_depend_on_seed_position_and_row(resident: bool) -> None:
  source = pictures(count=64)
  plain = open_feed(source, batch=64, seed=5, resident=resident)
  flipping = open_feed(source, batch=64, seed=5, flip=True, resident=resident)
  a, b = batch_of(plain, 3, rows=range(64))['image'][0], batch_of(flipping, 3, rows=range(64))['image'][0]
  mirrored = (b == a[:, :, ::-1]).all((1, 2, 3))
  assert ((b == a).all((1, 2, 3)) ^ mirrored).all()
  assert 20 <= mirrored.sum() <= 44
  assert_same(batch_of(flipping, 3, rows=range(64)), batch_of(flipping, 3, rows=range(64)))
  other = batch_of(open_feed(source, batch=64, seed=6, flip=True, resident=resident), 3, rows=range(64))['image'][0]
  assert (other != b).any()


@pytest.mark.parametrize('count', [2, 4])
@pytest.mark.parametrize('flip', [False, True])
def test_the_shards_of_the_processes_make_the_global_batch(count: int, flip: bool) -> None:
  source, batch = pictures(), 16
  whole = batch_of(open_feed(source, batch=batch, seed=2, flip=flip), 7, 2, range(batch))
  share = batch // count
  for resident in (True, False):
    parts = []
    for index in range(count):
      feed = open_feed(source, batch=batch, seed=2, flip=flip, resident=resident, process=(index, count))
      parts.append(batch_of(feed, 7, 2, range(index * share, (index + 1) * share)))
      feed.close()
    assert_same(whole, {name: np.concatenate([part[name] for part in parts], 1) for name in whole})


def test_a_resumed_stream_goes_on_the_same() -> None:
  source = pictures()
  first = open_feed(source, batch=8, seed=4, resident=False)
  payloads = [first.payload(position, [1, 2]) for position in (0, 3, 6)]
  again = open_feed(source, batch=8, seed=4, resident=False)
  for a, b in zip(payloads[2], again.payload(6, [1, 2]), strict=True):
    assert_same(a, b)
  assert [len(step['image']) for step in payloads[0]] == [1, 2]
  assert payloads[0][0]['image'].dtype == np.uint8
  for a, b in zip(payloads[1], first.payload(3, [1, 2]), strict=True):  # back in time
    assert_same(a, b)
  first.close()
  again.close()


def test_late_positions_don_t_overflow() -> None:
  source, late = pictures(), 2**31 - 5
  resident, streamed = open_feed(source, batch=8, seed=0), open_feed(source, batch=8, seed=0, resident=False)
  assert_same(batch_of(resident, late, 2), batch_of(streamed, late, 2))
  streamed.close()


def test_a_set_smaller_than_the_batch() -> None:
  read = batch_of(open_feed(pictures(count=3), batch=8, seed=0), 0)
  assert read['image'].shape == (1, 8, 6, 6, 3)


def test_what_decides_where_data_lives() -> None:
  image = np.zeros((4, 2, 2, 1), np.uint8)
  spec = Spec('image', (2, 2, 1), count=4)
  decoding = Source(spec, lambda indices: {'image': image[indices]})
  assert open_feed(decoding, batch=2, seed=0).resident  # small: decoded once
  large = Source(Spec('image', (1024, 1024, 3), count=10**6), lambda indices: {'image': image})
  assert not open_feed(large, batch=2, seed=0).resident


def test_errors_of_a_reader_come_through() -> None:
  def get(indices: np.ndarray) -> dict[str, np.ndarray]:
    raise DataError(f'record {indices[0]} is damaged')

  feed = open_feed(Source(Spec('image', (2, 2, 1), count=1), get), batch=1, seed=0, resident=False)
  with pytest.raises(DataError, match='record 0 is damaged'):
    feed.payload(0, [1])
  feed.close()


@pytest.mark.slow
def test_worker_processes_read_the_same(tmp_path: Path) -> None:
  script = tmp_path / 'read.py'
  script.write_text("""
import numpy as np
from ganjax.data.feed import open_feed
from ganjax.data.sources import open_source
if __name__ == '__main__':
  source = open_source({'name': 'digits'})
  feeds = [open_feed(source, batch=8, seed=1, resident=False, workers=n) for n in (0, 2)]
  a, b = ([feed.payload(p, [1])[0]['image'] for p in range(3, 9)] for feed in feeds)
  np.testing.assert_array_equal(a, b)
  [feed.close() for feed in feeds]
  print('same')
""")
  result = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=300, check=False)
  assert 'same' in result.stdout, result.stderr


@pytest.mark.parametrize(('options', 'field'), [
  ({'batch': 0}, 'batch'), ({'batch': 7, 'process': (0, 2)}, 'batch'), ({'workers': -1}, 'data.workers'),
  ({'prefetch': 0}, 'data.prefetch'),
])  # fmt: skip
def test_feeds_that_can_t_be(options: dict, field: str) -> None:
  with pytest.raises(ConfigError) as caught:
    open_feed(pictures(), **{'batch': 8, 'seed': 0, **options})
  assert caught.value.field == field
