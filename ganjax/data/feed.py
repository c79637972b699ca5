"""From a source to batches: a batch is a pure function of (seed, position), however it gets to the device."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np

from ganjax.data.jitter import jittered
from ganjax.data.order import flips, rows_at, words
from ganjax.data.spec import Source, Spec
from ganjax.errors import ConfigError, DataError
from ganjax.types import Array, Batch

RESIDENT_BYTES = 512 * 2**20  # arrays up to this size live on the device
LOADED_BYTES = 64 * 2**20  # what must be read and decoded first is held in memory up to this size
LAST = 2**31 - 1  # positions are int32
BESIDE = 0x6273  # what the seed is mixed with for the other of two unpaired domains


@dataclass(frozen=True)
class Feed:
  """Batches for the training loop.

  `read(payload, positions, rows)` is pure and goes inside the compiled step: positions int32 [plays] are
  global batch numbers, rows int32 [B] row numbers in the global batch; it returns float32 images
  [plays, B, H, W, C] in [-1, 1] (or volumes [plays, B, D, H, W, C], or rows [plays, B, F]) and int32 labels [plays, B].

  `payload(first_position, plays_per_step)` is what `read` reads. Resident: always the same tree of arrays,
  the whole set with a 'seed'. Streaming: a tuple with the host batches [plays, B_local, ...] of each step.

  A population's feed has a payload for all its members: mapped over `axes` of it, `read` is each member's own.
  """

  spec: Spec
  resident: bool
  read: Callable[[Any, Array, Array], Batch]
  payload: Callable[[int, Sequence[int]], Any]
  close: Callable[[], None]
  axes: Any = None  # as `in_axes` of `vmap`; None: all of it is everybody's


def open_feed(source: Source, *, batch: int, seed: int | Sequence[int], flip: bool = False, jitter: int = 0,
              resident: bool | None = None, process: tuple[int, int] = (0, 1), workers: int = 0,
              prefetch: int = 8) -> Feed:  # fmt: skip
  """A feed of `source`.

  Args:
    source: from `open_source`.
    batch: the global batch size.
    seed: of the order, the flips and a distribution's draws; a population has a list of its members'.
    flip: mirror every image or volume left to right with probability 1/2, both of a pair alike.
    jitter: enlarge every image to so many pixels a side, and cut it out at random, both of a pair alike; 0: don't.
    resident: the set lives on the device and is indexed inside the step (True), or is streamed from the
      host by Grain (False); None decides by size.
    process: (index, count) of this process; it streams its contiguous share of every batch.
    workers: processes that read ahead when streaming; 0 reads in threads, which suits decoders that
      release the interpreter's lock.
    prefetch: how many batches are read ahead.

  Raises: ConfigError where the batch can't be split over the processes, rows are to be flipped, or members with
  different seeds would have to be streamed to.
  """
  index, processes = process
  if batch < 1 or batch % processes:
    raise ConfigError('batch', batch, f'a positive multiple of {processes}, the number of processes')
  if flip and source.spec.field == 'row':
    raise ConfigError('data.flip', flip, f'false: {source.spec.name!r} has rows, not images')
  if jitter and (source.spec.field != 'image' or jitter < max(source.spec.shape[:2])):
    raise ConfigError(
      'data.jitter', jitter, f'0, or at least the side of an image: examples are of {source.spec.shape}'
    )
  if jitter and source.beside is None and source.spec.source and source.spec.source[:2] != source.spec.shape[:2]:
    raise ConfigError('data.jitter', jitter, f'0: the images of a pair are of two sizes, {source.spec.source} and '
                      f'{source.spec.shape}')  # fmt: skip
  for name, given, least in (('workers', workers, 0), ('prefetch', prefetch, 1)):
    if given < least:
      raise ConfigError(f'data.{name}', given, f'{least} or more')
  seeds = np.atleast_1d(np.asarray(seed, np.int64) % 2**32).astype(np.uint32)
  several = len(set(seeds.tolist())) > 1
  one, axis = (seeds, 0) if several else (seeds[0], None)
  if source.draw is not None:
    if resident is False:
      raise ConfigError('data.resident', False, f'true: {source.spec.name!r} is drawn on the device')
    return constant(source.spec, partial(read_drawn, draw=source.draw, fold=source.fold), {'seed': one}, {'seed': axis})
  domains = [source] if source.beside is None else [source, source.beside]
  arrays = [held(domain, resident) for domain in domains]
  if all(x is not None for x in arrays):
    read = partial(read_resident, batch=batch, counts=[len(domain) for domain in domains], flip=flip, jitter=jitter)
    return constant(source.spec, read, {'arrays': arrays, 'seed': one}, {'arrays': None, 'seed': axis})
  if several:
    raise ConfigError('population.seeds', tuple(seeds.tolist()), f'one seed: {source.spec.name!r} is streamed, and members '
                      "with seeds of their own need the data in memory (data.resident='yes')")  # fmt: skip
  rows = np.arange(index * batch // processes, (index + 1) * batch // processes, dtype=np.int32)
  stream = Stream(Batches(source, rows, batch, int(seeds[0])), workers, prefetch)
  read = partial(read_streamed, seed=int(seeds[0]), flip=flip, jitter=jitter, apart=source.beside is not None)
  return Feed(source.spec, False, read, stream.payload, stream.close)


def constant(spec: Spec, read: Callable[..., Batch], payload: Any, axes: Any) -> Feed:
  """The feed whose payload never changes."""
  return Feed(spec, True, read, lambda *_: payload, lambda: None, axes)


def held(source: Source, resident: bool | None) -> dict[str, np.ndarray] | None:
  """The whole set, if it is to live on the device."""
  if resident is False:
    return None
  if source.arrays is not None:
    fits = sum(x.nbytes for x in source.arrays.values()) <= RESIDENT_BYTES
    return source.arrays if resident or fits else None
  size = len(source) * int(np.prod(source.spec.shape) + (np.prod(source.spec.source) if source.spec.source else 0))
  size *= 4 if source.spec.field == 'row' else 1
  return source.get(np.arange(len(source))) if resident or size <= LOADED_BYTES else None


def read_resident(payload: Any, positions: Array, rows: Array, *, batch: int, counts: Sequence[int], flip: bool,
                  jitter: int) -> Batch:  # fmt: skip
  """The rows of a batch out of the whole set, or out of two unpaired ones."""
  picked: Batch = {}
  for arrays, count, seed in zip(payload['arrays'], counts, seeds_of(payload['seed']), strict=False):
    index = rows_at(positions, rows, batch, count, seed)
    picked |= {name: jnp.asarray(x).at[index].get(mode='promise_in_bounds') for name, x in arrays.items()}
  return finished(picked, positions, rows, payload['seed'], flip, jitter, len(counts) > 1)


def read_streamed(
  payload: Batch, positions: Array, rows: Array, *, seed: int, flip: bool, jitter: int, apart: bool
) -> Batch:
  """The rows that the host picked, converted."""
  return finished(dict(payload), positions, rows, np.uint32(seed), flip, jitter, apart)


def read_drawn(payload: Any, positions: Array, rows: Array, *, draw: Callable[..., Batch], fold: int) -> Batch:
  """Fresh draws from a distribution, by (seed, fold, position, row)."""
  return draw(lambda count: words(positions, rows, count, payload['seed'], fold))


def seeds_of(seed: Any) -> tuple[Any, Any]:
  """The seed of the images, and that of sources that no image belongs to."""
  return seed, seed ^ BESIDE


def finished(batch: Batch, positions: Array, rows: Array, seed: Any, flip: bool, jitter: int, apart: bool) -> Batch:
  """uint8 images and volumes to float32 in [-1, 1], and the random flips and cuts; `apart`: sources have draws of their own."""
  changed: Batch = {}
  other = seeds_of(seed)[1] if apart else seed
  for name, own in {'image': seed, 'voxel': seed, 'source': other}.items():
    if name not in batch:
      continue
    image = jnp.asarray(batch[name])
    if flip:
      mirrored = flips(positions, rows, own).reshape(*image.shape[:2], *[1] * (image.ndim - 2))
      image = jnp.where(mirrored, image[..., ::-1, :], image)
    image = from_uint8(image) if image.dtype == jnp.uint8 else image
    changed[name] = jittered(image, jitter, words(positions, rows, 2, own, fold=0x6A69)) if jitter else image
  return {**batch, **changed}


def from_uint8(image: Array) -> Array:
  """0..255 to [-1, 1]. One rounding, so that every compiler gives the same bits."""
  return (2 * image.astype(jnp.float32) - 255) / 255


@dataclass(frozen=True)
class Batches:
  """One process's rows of every global batch, by position: what Grain reads."""

  source: Source
  rows: np.ndarray  # int32 [B_local]
  batch: int
  seed: int

  def __len__(self) -> int:
    return LAST

  def __getitem__(self, position: int) -> dict[str, np.ndarray]:
    domains = [self.source] if self.source.beside is None else [self.source, self.source.beside]
    batch: dict[str, np.ndarray] = {}
    for domain, seed in zip(domains, seeds_of(self.seed), strict=False):
      batch |= domain.get(rows_at(np.asarray([position]), self.rows, self.batch, len(domain), seed)[0])
    return batch


class Stream:
  """Consecutive host batches, read ahead by Grain."""

  def __init__(self, batches: Batches, workers: int, prefetch: int) -> None:
    self.batches, self.workers, self.prefetch = batches, workers, prefetch
    self.iterator: Iterator[dict[str, np.ndarray]] | None = None
    self.next = -1  # the position that the iterator yields next

  def payload(self, first_position: int, plays_per_step: Sequence[int]) -> tuple[dict[str, np.ndarray], ...]:
    """The batches of some steps, [plays, B_local, ...] each. A jump in position starts reading anew."""
    if first_position != self.next or self.iterator is None:
      self.seek(first_position)
    steps = []
    for plays in plays_per_step:
      batches = [self.advance() for _ in range(plays)]
      steps.append({name: np.stack([b[name] for b in batches]) for name in batches[0]})
    return tuple(steps)

  def advance(self) -> dict[str, np.ndarray]:
    assert self.iterator is not None
    batch = next(self.iterator)
    self.next += 1
    return batch

  def seek(self, position: int) -> None:
    import grain

    if not 0 <= position < LAST:
      raise DataError(f'batch number {position} is outside 0..{LAST - 1}')
    self.close()
    dataset: Any = grain.MapDataset.source(self.batches)[position:]  # type: ignore[arg-type]
    threads = min(self.prefetch, 4)
    dataset = dataset.to_iter_dataset(grain.ReadOptions(num_threads=threads, prefetch_buffer_size=self.prefetch))
    if self.workers:
      from absl import flags

      if not flags.FLAGS.is_parsed():  # Grain's workers read a flag of their own
        flags.FLAGS.mark_as_parsed()
      options = grain.MultiprocessingOptions(num_workers=self.workers, per_worker_buffer_size=self.prefetch)
      dataset = dataset.mp_prefetch(options)
    self.iterator, self.next = iter(dataset), position

  def close(self) -> None:
    """Stops reading ahead."""
    if self.iterator is not None and hasattr(self.iterator, 'close'):
      self.iterator.close()
    self.iterator, self.next = None, -1
