"""Downloads against a server on 127.0.0.1: cut off, resumed, damaged, missing."""

import hashlib
import http.server
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from ganjax.data.download import cache_folder, fetch
from ganjax.errors import DataError

CONTENT = np.random.default_rng(0).bytes(3_000_000)
CHECKSUM = f'md5:{hashlib.md5(CONTENT).hexdigest()}'


class Server:
  """Serves `content`; `cuts` are how many bytes each coming answer sends before it breaks off."""

  def __init__(self) -> None:
    self.content, self.cuts, self.ranges, self.statuses = CONTENT, [], True, []
    self.asked: list[str | None] = []
    outer = self

    class Handler(http.server.BaseHTTPRequestHandler):
      def do_GET(self) -> None:
        wanted = self.headers.get('Range')
        outer.asked.append(wanted)
        if outer.statuses:
          self.send_error(outer.statuses.pop(0))
          return
        start = int(wanted[6:-1]) if wanted and outer.ranges else 0
        if start >= len(outer.content):
          self.send_error(416)
          return
        body = outer.content[start:]
        self.send_response(206 if start else 200)
        self.send_header('Content-Length', str(len(body)))
        if start:
          self.send_header('Content-Range', f'bytes {start}-{len(outer.content) - 1}/{len(outer.content)}')
        self.end_headers()
        self.wfile.write(body[: outer.cuts.pop(0)] if outer.cuts else body)

      def log_message(self, *_) -> None:
        pass

    self.http = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    self.url = f'http://127.0.0.1:{self.http.server_port}/file.bin'


@pytest.fixture
def server() -> Iterator[Server]:
  server = Server()
  thread = threading.Thread(target=server.http.serve_forever, args=(0.01,), daemon=True)
  thread.start()
  yield server
  server.http.shutdown()
  server.http.server_close()
  thread.join()


def get(server: Server, folder: Path, **options) -> Path:
  return fetch(server.url, options.pop('checksum', CHECKSUM), folder=folder, pause=0.01, **options)


def test_downloads_once(server: Server, tmp_path: Path) -> None:
  file = get(server, tmp_path)
  assert file.read_bytes() == CONTENT
  assert get(server, tmp_path) == file
  assert server.asked == [None]
  sha = f'sha256:{hashlib.sha256(CONTENT).hexdigest()}'
  assert get(server, tmp_path, checksum=sha) == file


def test_goes_on_where_it_was_cut_off(server: Server, tmp_path: Path) -> None:
  server.cuts = [1_200_000, 700_000]
  assert get(server, tmp_path).read_bytes() == CONTENT
  assert server.asked == [None, 'bytes=1200000-', 'bytes=1900000-']
  assert not list(tmp_path.glob('*.part'))


def test_a_later_call_goes_on(server: Server, tmp_path: Path) -> None:
  server.cuts = [1_000_000]
  with pytest.raises(DataError, match=r'1 attempts.*1,000,000 of 3,000,000.*kept in .*file\.bin\.part'):
    get(server, tmp_path, attempts=1)
  assert get(server, tmp_path).read_bytes() == CONTENT
  assert server.asked[1] == 'bytes=1000000-'


def test_a_server_without_ranges_starts_again(server: Server, tmp_path: Path) -> None:
  server.cuts, server.ranges = [1_000_000], False
  assert get(server, tmp_path).read_bytes() == CONTENT


def test_a_complete_part_is_used(server: Server, tmp_path: Path) -> None:
  (tmp_path / 'file.bin.part').write_bytes(CONTENT)  # killed between the last byte and the rename
  assert get(server, tmp_path).read_bytes() == CONTENT


def test_wrong_checksum_is_refused_and_deleted(server: Server, tmp_path: Path) -> None:
  server.content = CONTENT[:-1] + b'!'
  with pytest.raises(DataError, match=f'expected {CHECKSUM[4:]}.*deleted. Or use a local file'):
    get(server, tmp_path, otherwise='Or use a local file')
  assert not [file for file in tmp_path.iterdir() if file.suffix != '.lock']
  server.content = CONTENT
  assert get(server, tmp_path).read_bytes() == CONTENT


def test_a_damaged_cache_is_refused(server: Server, tmp_path: Path) -> None:
  get(server, tmp_path).write_bytes(CONTENT[:1000])
  with pytest.raises(DataError, match='damaged or another version, deleted'):
    get(server, tmp_path)
  assert get(server, tmp_path).read_bytes() == CONTENT


def test_truncated_for_ever(server: Server, tmp_path: Path) -> None:
  server.cuts = [100, 0, 0]
  with pytest.raises(DataError, match='no complete download in 3 attempts'):
    get(server, tmp_path, attempts=3)


def test_server_errors(server: Server, tmp_path: Path) -> None:
  server.statuses = [503, 503]
  assert get(server, tmp_path).read_bytes() == CONTENT
  server.statuses = [404]
  with pytest.raises(DataError, match='the server answers 404'):
    get(server, tmp_path / 'other')
  assert len(server.asked) == 4  # a 404 is not tried again


def test_no_network(tmp_path: Path) -> None:
  with pytest.raises(DataError, match=r'refused.*Or give data.path=FILE'):
    fetch('http://127.0.0.1:9/file.bin', CHECKSUM, folder=tmp_path, attempts=2, pause=0.01,
          otherwise='Or give data.path=FILE')  # fmt: skip


def test_an_unwritable_cache(server: Server, tmp_path: Path) -> None:
  (tmp_path / 'file').write_text('')
  with pytest.raises(DataError, match='Not a directory'):
    get(server, tmp_path / 'file' / 'cache')


def test_two_at_once_download_once(server: Server, tmp_path: Path) -> None:
  with ThreadPoolExecutor(4) as pool:
    files = list(pool.map(lambda _: get(server, tmp_path), range(4)))
  assert {file.read_bytes() for file in files} == {CONTENT}
  assert server.asked == [None]


def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
  monkeypatch.delenv('GANJAX_CACHE', raising=False)
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  assert cache_folder() == tmp_path / 'ganjax'
  monkeypatch.delenv('XDG_CACHE_HOME')
  assert cache_folder() == Path(os.path.expanduser('~/.cache/ganjax'))
  monkeypatch.setenv('GANJAX_CACHE', '/elsewhere')
  assert cache_folder() == Path('/elsewhere')
