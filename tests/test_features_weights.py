"""Weights by URL and checksum from a server on 127.0.0.1, or from a file."""

import hashlib
import io
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from test_download import Server

from ganjax.data import download
from ganjax.errors import ConfigError, DataError
from ganjax.evals.features import inception, weights

TENSORS = {'a': np.arange(50_000, dtype=np.float32)}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
  """Serves TENSORS as file.npz; the cache is empty."""
  monkeypatch.setenv('GANJAX_CACHE', str(tmp_path / 'cache'))
  monkeypatch.setattr(download.time, 'sleep', lambda _: None)
  stream = io.BytesIO()
  np.savez(stream, **TENSORS)
  server = Server()
  server.content, server.url = stream.getvalue(), server.url.replace('.bin', '.npz')
  thread = threading.Thread(target=server.http.serve_forever, args=(0.01,), daemon=True)
  thread.start()
  yield server
  server.http.shutdown()
  server.http.server_close()
  thread.join()


def source(server: Server, digits: int = 8) -> weights.Source:
  checksum = hashlib.sha256(server.content).hexdigest()
  return weights.Source('the number a', server.url, f'sha256:{checksum[:digits]}')


def convert(tensors: dict[str, np.ndarray]) -> np.ndarray:
  if set(tensors) != {'a'}:
    raise ValueError(f'missing tensors: a; there are {sorted(tensors)}')
  return tensors['a']


def test_downloads_once_and_goes_on_where_it_was_cut_off(server: Server) -> None:
  server.cuts = [60_000, 70_000]
  wanted = f'sha256:{hashlib.sha256(server.content).hexdigest()}'
  for _ in range(2):
    found, digest = weights.opened(source(server), None, convert)
    assert np.array_equal(found, TENSORS['a'])
    assert digest == wanted
  assert server.asked == [None, 'bytes=60000-', 'bytes=130000-']


@pytest.mark.parametrize('digits', [8, 64])
def test_another_file_is_refused(server: Server, digits: int) -> None:
  published = source(server, digits)
  server.content = server.content[:-1] + b'!'
  with pytest.raises(DataError, match=r'expected [0-9a-f]{8,64}: damaged.*http://127.*file\.npz.*--weights FILE'):
    weights.opened(published, None, convert)
  assert not [file for file in download.cache_folder().iterdir() if file.suffix != '.lock']


def test_a_prefix_has_eight_digits(server: Server) -> None:
  with pytest.raises(DataError, match='expected'):
    weights.opened(source(server, 7), None, convert)


def test_truncated_for_ever(server: Server) -> None:
  server.cuts = [1000, 0, 0, 0, 0]
  with pytest.raises(DataError, match=r'no complete download.*1,000 bytes are kept.*--weights FILE'):
    weights.opened(source(server), None, convert)


def test_without_a_network_both_ways_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
  monkeypatch.setenv('GANJAX_CACHE', str(tmp_path))
  monkeypatch.setattr(download.time, 'sleep', lambda _: None)
  published = weights.Source('a', 'http://127.0.0.1:9/w.npz', 'sha256:00000000')
  with pytest.raises(DataError, match=r'refused.*download http://127\.0\.0\.1:9/w\.npz elsewhere.*--weights FILE'):
    weights.opened(published, None, convert)
  with pytest.raises(ConfigError, match='--weights: given None, valid: a file with the number a'):
    weights.opened(weights.Source('the number a'), None, convert)


def test_a_local_file(tmp_path: Path) -> None:
  file = tmp_path / 'own.npz'
  np.savez(file, **TENSORS)
  found, digest = weights.opened(weights.Source('the number a'), file, convert)
  assert np.array_equal(found, TENSORS['a'])
  assert digest == f'sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}'
  with pytest.raises(DataError, match='no such file'):
    weights.opened(weights.Source('the number a'), tmp_path / 'none.npz', convert)


def test_weights_of_another_network(tmp_path: Path) -> None:
  file = tmp_path / 'other.npz'
  np.savez(file, **TENSORS)
  with pytest.raises(
    DataError, match=r'other\.npz: missing tensors: Conv2d_1a_3x3.*more\. Expected: Inception-V3 of 2015'
  ):
    inception.open(file)
