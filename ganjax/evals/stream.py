"""One stream of examples through a program; all metrics read what it leaves.

Moments are summed in float64 as batches come, so that they cost the same memory for any number of examples; what
metrics need row by row (neighbours, bootstraps) is kept, so that memory is linear in that number.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ganjax.errors import DataError
from ganjax.evals.metrics import Moments

Rows = dict[str, np.ndarray]  # [B, ...] by name
Program = Callable[[Rows], Mapping[str, Any]]  # rows in, rows out, on the devices; what is behind the batch is padding

IN_FLIGHT = 2  # batches ahead of the host
GATHERED = 2048  # rows
FINITE = 'finite'  # bool [B]: whether an example was finite before it was rounded to pixels


class Needs(NamedTuple):
  """What metrics read: outputs of the program by name."""

  moments: frozenset[str] = frozenset()
  rows: frozenset[str] = frozenset()

  @property
  def outputs(self) -> frozenset[str]:
    """All that the program must give."""
    return self.moments | self.rows


class Seen(NamedTuple):
  """What is left of a stream."""

  size: int
  moments: Mapping[str, tuple[Moments, ...]]  # by output; in two parts where the stream was halved
  rows: Mapping[str, np.ndarray]  # [count, ...] by output

  def whole(self, output: str) -> Moments:
    """Moments of all rows."""
    first, *others = self.moments[output]
    for other in others:
      first = first.merged(other)
    return first


def look(batches: Iterable[Rows], program: Program, needs: Needs, half: np.ndarray | None = None,
         tell: Callable[[int], Any] = lambda _: None) -> Seen:  # fmt: skip
  """Sends batches through the program and keeps what is needed.

  Args:
    batches: rows, in order.
    program: gives at least `needs.outputs`.
    needs: what is kept.
    half: bool [N], splits the moments in two parts; None: one part.
    tell: is called with the size of each batch that is done.

  Raises DataError, naming the row, where an example or what the network says of it isn't finite.
  """
  sides = 1 if half is None else 2
  sums = {name: [Sum() for _ in range(sides)] for name in needs.moments}
  kept: dict[str, list[np.ndarray]] = {name: [] for name in needs.rows}
  waiting: deque[tuple[int, Mapping[str, Any]]] = deque()
  count = 0

  def settle() -> None:
    nonlocal count
    size, found = waiting.popleft()
    rows = {name: np.asarray(x)[:size] for name, x in found.items()}
    check(rows, count)
    side = np.zeros(size, int) if half is None else half[count : count + size].astype(int)
    for name, own in sums.items():
      for i, of_side in enumerate(own):
        of_side.add(rows[name][side == i])
    for name, values in kept.items():
      values.append(rows[name])
    count += size
    tell(size)

  for batch in batches:
    waiting.append((len(next(iter(batch.values()))), program(batch)))
    if len(waiting) > IN_FLIGHT:
      settle()
  while waiting:
    settle()
  moments = {name: tuple(of_side.total() for of_side in own) for name, own in sums.items()}
  return Seen(count, moments, {name: np.concatenate(values) for name, values in kept.items() if values})


class Sum:
  """Moments of rows that come in small batches, gathered: each update costs a pass over D x D, however few its rows."""

  def __init__(self) -> None:
    self.found: Moments | None = None
    self.waiting: list[np.ndarray] = []

  def add(self, x: np.ndarray) -> None:
    """Further rows [N, D]."""
    self.waiting.append(x)
    if sum(map(len, self.waiting)) >= GATHERED:
      self.found = self.total()
      self.waiting = []

  def total(self) -> Moments:
    """Of all rows so far."""
    new = Moments.of(np.concatenate(self.waiting)) if sum(map(len, self.waiting)) else None
    if self.found is None or new is None:
      return self.found or new  # type: ignore[return-value]
    return self.found.merged(new)


def check(rows: Mapping[str, np.ndarray], first: int) -> None:
  """Raises DataError for the first row with something that isn't finite; `first` is the number of row 0."""
  for name, x in rows.items():
    good = x if name == FINITE else np.isfinite(x).reshape(len(x), -1).all(1) if x.dtype.kind == 'f' else None
    if good is not None and not good.all():
      what = 'not finite' if name == FINITE else f'finite, but its {name!r} of the feature network are not'
      raise DataError(f'sample {first + int(np.argmin(good))}: {what}')


def resampled(seen: Seen, index: np.ndarray) -> Seen:
  """The stream of rows `index` of one whose rows were kept for all that its moments are of."""
  rows = {name: x[index] for name, x in seen.rows.items()}
  return Seen(len(index), {name: (Moments.of(rows[name]),) for name in seen.moments}, rows)
