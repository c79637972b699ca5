"""CIFAR-10 in its published forms, made here: archive, folder, .npz; and what is refused."""

import functools
import hashlib
import http.server
import io
import pickle
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganjax.data import cifar10
from ganjax.errors import DataError

FOLDER = 'cifar-10-batches-bin'


@pytest.fixture(scope='module')
def images() -> np.ndarray:
  return np.random.default_rng(0).integers(0, 256, (180, 32, 32, 3), dtype=np.uint8)


@pytest.fixture(scope='module')
def labels() -> np.ndarray:
  return np.arange(180) % 10


@pytest.fixture(scope='module')
def unpacked(tmp_path_factory: pytest.TempPathFactory, images: np.ndarray, labels: np.ndarray) -> Path:
  """The folder of the binary version, with 30 records a file."""
  folder = tmp_path_factory.mktemp('cifar') / FOLDER
  folder.mkdir()
  records = np.concatenate([labels[:, None].astype(np.uint8), images.transpose(0, 3, 1, 2).reshape(180, -1)], 1)
  for i, name in enumerate(['test_batch', *(f'data_batch_{i}' for i in range(1, 6))]):
    (folder / f'{name}.bin').write_bytes(records[30 * i : 30 * i + 30].tobytes())
  return folder


@pytest.fixture(scope='module')
def archive(unpacked: Path) -> Path:
  file = unpacked.parent / 'cifar-10-binary.tar.gz'
  with tarfile.open(file, 'w:gz') as tar:
    tar.add(unpacked, FOLDER)
  return file


def test_archive_and_folder(archive: Path, unpacked: Path, images: np.ndarray, labels: np.ndarray) -> None:
  for path in (archive, unpacked, unpacked.parent):
    train, test = (cifar10.cifar10(split=split, path=str(path)) for split in ('train', 'test'))
    np.testing.assert_array_equal(train.get(np.arange(150))['image'], images[30:])
    np.testing.assert_array_equal(train.arrays['label'], labels[30:])
    np.testing.assert_array_equal(test.get(np.arange(30))['image'], images[:30])
    assert train.spec.shape == (32, 32, 3)
    assert train.spec.class_names[3] == 'cat'
    assert (train.spec.count, test.spec.count, train.spec.classes) == (150, 30, 10)


def test_npz(tmp_path: Path, images: np.ndarray, labels: np.ndarray) -> None:
  file = tmp_path / 'cifar.npz'
  np.savez(file, images=images, labels=labels.astype(np.uint8))
  source = cifar10.cifar10(path=str(file))
  np.testing.assert_array_equal(source.arrays['image'], images)
  assert source.arrays['label'].dtype == np.int32
  assert source.spec.class_names[9] == 'truck'
  np.savez(file, images=images[:, :28, :28], labels=labels)
  with pytest.raises(DataError, match=r'\(28, 28, 3\), CIFAR-10 has \(32, 32, 3\)'):
    cifar10.cifar10(path=str(file))
  np.savez(file, images=images)
  with pytest.raises(DataError, match='asks for labels, and there are none'):
    cifar10.cifar10(path=str(file))


def test_downloads(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
  class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_) -> None:
      pass

  server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Quiet, directory=archive.parent))
  thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
  thread.start()
  monkeypatch.setenv('GANJAX_CACHE', str(tmp_path))
  monkeypatch.setattr(cifar10, 'URL', f'http://127.0.0.1:{server.server_port}/{archive.name}')
  monkeypatch.setattr(cifar10, 'CHECKSUM', f'md5:{hashlib.md5(archive.read_bytes()).hexdigest()}')
  assert cifar10.cifar10().spec.count == 150
  server.shutdown()
  server.server_close()
  thread.join()
  assert cifar10.cifar10(split='test').spec.count == 30  # from the cache


def test_no_network_names_both_ways_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
  monkeypatch.setenv('GANJAX_CACHE', str(tmp_path))
  monkeypatch.setattr(cifar10, 'URL', 'http://127.0.0.1:9/cifar-10-binary.tar.gz')
  monkeypatch.setattr(cifar10, 'fetch', functools.partial(cifar10.fetch, attempts=1))
  with pytest.raises(DataError, match=r'Or give data.path=cifar-10-binary.tar.gz or its folder'):
    cifar10.cifar10()


@pytest.fixture
def damaged(request: pytest.FixtureRequest, tmp_path: Path, archive: Path, unpacked: Path) -> Iterator[Path]:
  """A copy that is wrong in one way."""
  kind = request.param
  file = tmp_path / ('folder' if kind in ('missing', 'short', 'label', 'empty') else 'cifar.tar.gz')
  if kind in ('missing', 'short', 'label', 'empty'):
    file.mkdir()
    for batch in unpacked.iterdir():
      (file / batch.name).write_bytes(batch.read_bytes())
    third = file / 'data_batch_3.bin'
    if kind == 'missing':
      third.unlink()
    else:
      data = third.read_bytes()
      third.write_bytes({'short': data[:-1], 'label': b'\x0b' + data[1:], 'empty': b''}[kind])
  elif kind == 'truncated':
    file.write_bytes(archive.read_bytes()[:50_000])
  elif kind == 'noise':
    file.write_bytes(b'no archive' * 100)
  elif kind == 'pickled':
    with tarfile.open(file, 'w:gz') as tar:
      batch = tmp_path / 'data_batch_1'
      batch.write_bytes(pickle.dumps({b'data': Bomb()}))
      tar.add(batch, 'cifar-10-batches-py/data_batch_1')
  yield file
  assert not (tmp_path / 'unpickled').exists()


class Bomb:
  """Unpickling this would be seen."""

  def __reduce__(self) -> tuple:
    return (open, ('unpickled', 'w'))


@pytest.mark.parametrize(('damaged', 'message'), [
  ('missing', 'no data_batch_3.bin in it'), ('short', 'truncated; valid: records of 3073'),
  ('label', 'label 11 in record 60; valid: 0 to 9'), ('empty', 'a batch of 0 bytes is truncated'),
  ('truncated', 'damaged or no archive'), ('noise', 'damaged or no archive'),
  ('pickled', 'no data_batch_1.bin in it.*pickled Python version is never opened'),
  ('nothing', 'no such file; valid: cifar-10-binary'),
], indirect=['damaged'])  # fmt: skip
def test_refused(damaged: Path, message: str) -> None:
  with pytest.raises(DataError, match=message) as caught:
    cifar10.cifar10(path=str(damaged))
  assert str(damaged) in str(caught.value)


def test_real_images(tmp_path: Path) -> None:
  sheets = Path(__file__).parents[2] / 'shared/data/cifar10_test1k.npz'
  if not sheets.is_file():
    pytest.skip(f'{sheets} is not there')
  with np.load(sheets, allow_pickle=False) as packed:
    sheet = np.asarray(Image.open(io.BytesIO(packed['data'].tobytes())).convert('RGB'))
    labels = packed['labels'][:1000]
  image = sheet.reshape(25, 32, 40, 32, 3).transpose(0, 2, 1, 3, 4).reshape(1000, 32, 32, 3)
  np.savez(tmp_path / 'test.npz', images=image, labels=labels)
  np.savez(tmp_path / 'train.npz', images=image[:10], labels=labels[:10])
  source = cifar10.cifar10(split='test', path=str(tmp_path / 'train.npz'), test_path=str(tmp_path / 'test.npz'))
  first = [source.spec.class_names[label] for label in source.arrays['label'][:6]]
  assert first == ['cat', 'ship', 'ship', 'airplane', 'frog', 'frog']
  assert source.get(np.arange(1000))['image'].mean() / 255 == pytest.approx(0.474, abs=0.01)
