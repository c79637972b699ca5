"""Published weights: fetched by URL and checksum, kept in the cache, or read from a file of the user's."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ganjax.data.download import fetch
from ganjax.errors import ConfigError, DataError
from ganjax.interop.files import read_tensors
from ganjax.interop.tensors import Tensors


class Source(NamedTuple):
  """Where a network's weights are."""

  what: str  # in words, for errors: what a local file has to hold
  url: str | None = None  # None: there is no address whose file could be checked
  checksum: str = ''  # 'sha256:' and at least 8 digits


def opened(
  source: Source, file: str | Path | None, convert: Callable[[Tensors], Any], key: str = ''
) -> tuple[Any, str]:
  """The converted parameters of a published network, and the hash of their file, 'sha256:...'.

  Args:
    source: where they are published.
    file: a local file instead: .pth, .pt, .npz, .safetensors ...
    convert: takes tensors by name; raises ValueError for those of another network.
    key: as in `read_tensors`.

  Raises:
    ConfigError: no file given, and none can be had.
    DataError: no network, a damaged download, a file that can't be read, or weights of another network.
  """
  path = located(source, file)
  tensors = read_tensors(path, key)
  try:
    params = convert(tensors)
  except ValueError as error:
    raise DataError(f'{path}: {error}. Expected: {source.what}') from error
  with path.open('rb') as stream:
    return params, f'sha256:{hashlib.file_digest(stream, "sha256").hexdigest()}'


def located(source: Source, file: str | Path | None) -> Path:
  """The file of the weights."""
  if file is not None:
    return Path(file)
  if source.url is None:
    raise ConfigError('--weights', None, f'a file with {source.what}')
  way_out = f'Without a network: download {source.url} elsewhere and give it with --weights FILE'
  return fetch(source.url, source.checksum, otherwise=way_out)
