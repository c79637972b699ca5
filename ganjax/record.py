"""Metrics on their way from the device to the log: fetched late, checked at every step, averaged over windows."""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from ganjax import monitor, parallel
from ganjax.errors import TrainingError
from ganjax.types import Game

Line = tuple[int, dict[str, float]]  # steps taken, mean values


class NotFinite(TrainingError):
  """A loss, term or parameter is NaN or infinite."""


class Record:
  """What the device still owes, and the steps since the last logged line.

  `meta` (of a checkpoint) holds those steps too, so that a resumed run logs what the uninterrupted one does.
  """

  def __init__(self, game: Game, log_every: int, meta: Mapping[str, Any]) -> None:
    self.players = list(dict.fromkeys(player for turn in game.turns for player in turn.players))
    self.log_every = log_every
    self.rollbacks: int = meta.get('rollbacks', 0)
    self.history: list[dict[str, float]] = []  # logged lines of this process
    self.warned: set[str] = set()
    self.rewind(meta)

  def rewind(self, meta: Mapping[str, Any]) -> None:
    """Back to a checkpoint; what is still on the device is forgotten."""
    self.pending: deque[tuple[int, Any]] = deque()
    self.window: list[dict[str, float]] = list(meta.get('window', []))
    self.latest: dict[str, float] = {}

  def meta(self) -> dict[str, Any]:
    """For the checkpoint, once all is settled."""
    return {'window': self.window, 'rollbacks': self.rollbacks}

  def warnings(self, values: dict[str, float], *, probabilities: bool) -> list[str]:
    """What the lines so far, the newest with these values, give reason to say; each kind of thing once."""
    self.history.append(values)
    found = [
      m for m in monitor.warnings(self.history, probabilities=probabilities) if m.partition(' (')[0] not in self.warned
    ]
    self.warned |= {message.partition(' (')[0] for message in found}
    return found

  def settle(self, n: int, metrics: Any, leave: int) -> Iterator[Line]:
    """Takes the metrics of the call that began at step `n`, fetches all but the newest `leave` calls, yields due lines.

    Raises NotFinite at the first step with a metric that isn't finite.
    """
    self.pending.append((n, metrics))
    while len(self.pending) > leave:
      first, fetched = self.pending.popleft()
      for step, values in enumerate(parallel.unstack(fetched), first + 1):
        bad = monitor.first_bad([(step, values)], self.players)
        if bad is not None:
          raise NotFinite(f'step {bad.step}: {bad.term} of player {bad.player} is {bad.value}')
        self.latest = values
        self.window.append(values)
        if step % self.log_every == 0:
          yield step, mean(self.window)
          self.window = []


def mean(window: list[dict[str, float]]) -> dict[str, float]:
  """By name, over the steps that have it: a lazy turn's metrics come with few of them."""
  names = sorted({name for values in window for name in values})
  found = {name: [values[name] for values in window if name in values] for name in names}
  return {name: sum(values) / len(values) for name, values in found.items()}
