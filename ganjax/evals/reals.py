"""The real side of an evaluation: which examples, what a network sees of them, and its cache."""

import hashlib
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ganjax.data.download import cache_folder
from ganjax.data.spec import Source, in_memory
from ganjax.errors import ConfigError
from ganjax.evals.measures import OWN
from ganjax.evals.metrics import Moments
from ganjax.evals.protocol import fingerprint
from ganjax.evals.stream import Needs, Program, Rows, Seen, look
from ganjax.images import replacing, to_uint8

SPLITS = ('train', 'test', 'all')
WORTH_KEEPING = 2.0  # seconds: what is seen sooner isn't cached
FIELDS = ('count', 'mean', 'scatter')  # of moments
PROBED = 256  # rows of a set that isn't in memory, which tell it from others


class Reals(NamedTuple):
  """Real examples to compare with."""

  source: Source
  split: str
  train: int  # so many rows, the first, are of the training split
  hash: str  # of the rows: all of a set in memory, else some of them with the count


def open_reals(split: str, opened: Callable[[str], Source]) -> Reals:
  """The examples of a split; 'all' is the training data with the held-out ones behind them, where there are any.

  Args:
    split: one of SPLITS.
    opened: the source of 'train' or of 'test'; raises ConfigError where there is none.
  """
  if split not in SPLITS:
    raise ConfigError('--split', split, ', '.join(SPLITS))
  if split != 'all':
    source = opened(split)
    return Reals(source, split, len(source) if split == 'train' else 0, content(source))
  train = opened('train')
  try:
    source = joined(train, opened('test'))
  except ConfigError:
    return Reals(train, 'train', len(train), content(train))
  return Reals(source, 'all', len(train), content(source))


def joined(first: Source, second: Source) -> Source:
  """The rows of two sources, one after the other."""
  spec = replace(first.spec, count=len(first) + len(second))
  if first.arrays is not None and second.arrays is not None:
    return in_memory(spec, {name: np.concatenate([x, second.arrays[name]]) for name, x in first.arrays.items()})

  def get(indices: np.ndarray) -> Rows:
    here = indices < len(first)
    parts = [first.get(indices[here]), second.get(indices[~here] - len(first))]
    order = np.argsort(np.concatenate([np.flatnonzero(here), np.flatnonzero(~here)]))
    return {name: np.concatenate([part[name] for part in parts])[order] for name in parts[0]}

  return Source(spec, get)


def content(source: Source) -> str:
  """A hash of the rows."""
  found, rows = hashlib.sha256(f'{len(source)}'.encode()), source.arrays
  if rows is None:
    rows = source.get(np.unique(np.linspace(0, len(source) - 1, PROBED).astype(int)))
  for name, x in sorted(rows.items()):
    found.update(f'{name} {x.shape} {x.dtype}'.encode())
    found.update(np.ascontiguousarray(x).data)
  return found.hexdigest()[:16]


def batches(source: Source, size: int) -> Iterator[Rows]:
  """All rows in order; images and volumes as uint8."""
  for first in range(0, len(source), size):
    rows = source.get(np.arange(first, min(first + size, len(source))))
    yield rows | {name: to_uint8(rows[name]) for name in ('image', 'voxel') if name in rows}


def see(reals: Reals, program: Program, needs: Needs, network: Mapping[str, str], size: int,
        tell: Callable[[int], Any] = lambda _: None) -> Seen:  # fmt: skip
  """What a network sees of real examples; the moments of two halves, drawn at random. From the cache, where it is there.

  Args:
    reals: the examples.
    program: the network's.
    needs: what is kept. Images and labels come from the source, not from the cache.
    network: what tells the network from others.
    size: of a batch.
    tell: is called with the size of each batch that is done.
  """
  cached = Needs(needs.moments, needs.rows - OWN)
  key = fingerprint({'rows': reals.hash, 'split': reals.split, 'network': network})
  file = cache_folder() / 'reals' / f'{key}.npz'
  found = recalled(file, cached)
  if found is None:
    began = time.perf_counter()
    half = np.random.default_rng(0).permutation(len(reals.source)) % 2 == 1
    found = look(batches(reals.source, size), program, cached, half, tell)
    if time.perf_counter() - began > WORTH_KEEPING:
      keep(file, found)
  wanted = needs.rows & OWN & set(reals.source.get(np.arange(1)))  # some are of samples alone
  if not wanted:
    return found
  rows = [{name: batch[name] for name in wanted} for batch in batches(reals.source, size)]
  return found._replace(rows={**found.rows, **{name: np.concatenate([part[name] for part in rows]) for name in wanted}})


def recalled(file: Path, needs: Needs) -> Seen | None:
  """What `keep` wrote, if all that is needed is in it."""
  try:
    with np.load(file, allow_pickle=False) as stored:
      names = set(stored.files)
      if not {f'rows/{name}' for name in needs.rows} <= names:
        return None
      if not {f'moments/{name}/0/mean' for name in needs.moments} <= names:
        return None
      moments = {
        name: tuple(
          Moments(**{field: stored[f'moments/{name}/{side}/{field}'][()] for field in FIELDS}) for side in (0, 1)
        )
        for name in needs.moments
      }
      return Seen(int(stored['count']), moments, {name: stored[f'rows/{name}'] for name in needs.rows})
  except (OSError, ValueError, KeyError, zipfile.BadZipFile):  # not there, or another version's: it is made anew
    return None


def keep(file: Path, seen: Seen) -> None:
  """Writes moments and rows for another time."""
  arrays: dict[str, Any] = {'count': np.int64(seen.size)}
  arrays |= {f'rows/{name}': x for name, x in seen.rows.items()}
  for name, halves in seen.moments.items():
    for side, moments in enumerate(halves):
      arrays |= {f'moments/{name}/{side}/{field}': value for field, value in vars(moments).items()}
  with replacing(file) as stream:
    np.savez(stream, **arrays)
