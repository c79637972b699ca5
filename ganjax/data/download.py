"""Files from the network: cached, resumed where they were cut off, used only with the right checksum."""

import contextlib
import fcntl
import hashlib
import http.client
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ganjax.errors import DataError

CHUNK = 2**20
TIMEOUT = 30  # seconds without a byte
MIN_DIGITS = 8  # of a checksum


def cache_folder() -> Path:
  """The user's cache: $GANJAX_CACHE, or ganjax/ in $XDG_CACHE_HOME or ~/.cache."""
  if own := os.environ.get('GANJAX_CACHE'):
    return Path(own)
  return Path(os.environ.get('XDG_CACHE_HOME') or '~/.cache').expanduser() / 'ganjax'


def fetch(url: str, checksum: str, *, folder: Path | None = None, otherwise: str = '', attempts: int = 5,
          pause: float = 1.0) -> Path:  # fmt: skip
  """The file at `url`, from the cache or the network.

  Args:
    url: http or https.
    checksum: 'md5:...' or 'sha256:...', in hexadecimal; the first 8 digits or more, as names of files carry them.
    folder: where it is kept; `cache_folder()` by default.
    otherwise: what a user without a network can do, put at the end of every error.
    attempts: connections in all; each goes on where the last was cut off.
    pause: seconds before the second, twice as long before each further one.

  Returns: the file's path, complete and checked. Two processes may ask at once: one downloads.

  Raises: DataError where the network or the server fails, or the file has another checksum (it is deleted).
  """
  folder = folder or cache_folder()
  file = folder / url.rsplit('/', 1)[-1]
  hint = f'. {otherwise}' if otherwise else ''
  try:
    if file.is_file():
      return checked(file, checksum, hint)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / f'{file.name}.lock'):
      if not file.is_file():
        part = folder / f'{file.name}.part'
        complete(url, part, hint, attempts, pause)
        checked(part, checksum, hint)
        part.replace(file)
  except OSError as error:
    raise DataError(f'{file}: {error.strerror or error}{hint}') from error
  return file


def checked(file: Path, checksum: str, hint: str = '') -> Path:
  """`file`, if it has the checksum; otherwise it is deleted and DataError raised."""
  kind, wanted = checksum.split(':')
  with file.open('rb') as stream:
    found = hashlib.file_digest(stream, kind).hexdigest()
  if len(wanted) < MIN_DIGITS or not found.startswith(wanted.lower()):
    file.unlink()
    raise DataError(f'{file}: {kind} {found}, expected {wanted}: damaged or another version, deleted{hint}')
  return file


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
  """Holds an exclusive lock; it goes with the process, however that ends."""
  with file.open('w') as stream:
    fcntl.flock(stream, fcntl.LOCK_EX)
    yield


def complete(url: str, part: Path, hint: str, attempts: int, pause: float) -> None:
  """Downloads into `part`, going on where it ends."""
  for attempt in range(attempts):
    if attempt:
      time.sleep(pause * 2 ** (attempt - 1))
    try:
      return resume(url, part)
    except urllib.error.HTTPError as error:
      if error.code == 416:  # nothing behind what is there: let the checksum judge it
        return None
      if error.code < 500 or attempt == attempts - 1:
        raise DataError(f'{url}: the server answers {error.code} {error.reason}{hint}') from error
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
      if attempt == attempts - 1:
        have = f'; {part.stat().st_size:,} bytes are kept in {part}' if part.is_file() else ''
        reason = getattr(error, 'reason', None) or error
        raise DataError(f'{url}: no complete download in {attempts} attempts ({reason}){have}{hint}') from error
  return None


def resume(url: str, part: Path) -> None:
  """One connection: the bytes behind the end of `part`, or all of them if the server can't."""
  start = part.stat().st_size if part.is_file() else 0
  headers = {'User-Agent': 'ganjax', **({'Range': f'bytes={start}-'} if start else {})}
  with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT) as answer:
    if not answer.headers.get('Content-Range', '').startswith(f'bytes {start}-'):
      start = 0  # the server sends the whole file
    length = answer.headers.get('Content-Length')
    total = start + int(length) if length else None
    with part.open('ab' if start else 'wb') as stream, progress(part.stem, total, start) as advance:
      while data := answer.read(CHUNK):
        stream.write(data)
        advance(len(data))
  if total is not None and part.stat().st_size != total:
    raise ConnectionError(f'cut off after {part.stat().st_size:,} of {total:,} bytes')


@contextlib.contextmanager
def progress(name: str, total: int | None, start: int) -> Iterator[Callable[[int], Any]]:
  """A bar on a terminal, one line elsewhere."""
  if not sys.stderr.isatty():
    print(f'downloading {name} ({total or 0:,} bytes)', file=sys.stderr)
    yield lambda count: None  # noqa: ARG005
    return
  from tqdm import tqdm

  with tqdm(total=total, initial=start, unit='B', unit_scale=True, desc=name) as bar:
    yield bar.update
