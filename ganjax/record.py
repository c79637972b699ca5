"""Metrics on their way from the device to the log: fetched late, checked at every step, averaged over windows."""

import logging
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from ganjax import monitor, parallel, population
from ganjax.errors import TrainingError
from ganjax.types import Game

logger = logging.getLogger(__name__)
Line = tuple[int, int | None, dict[str, float]]  # steps taken, member (None: a lone run), mean values


class NotFinite(TrainingError):
  """A loss, term or parameter is NaN or infinite."""


class Record:
  """What the device still owes, and the steps since the last logged line.

  Of a population, values are arrays [M] here, and a line is one member's. `meta` (of a checkpoint) holds those steps
  too, so that a resumed run logs what the uninterrupted one does.
  """

  def __init__(self, game: Game, config: ConfigDict, meta: Mapping[str, Any]) -> None:
    self.players = list(dict.fromkeys(player for turn in game.turns for player in turn.players))
    self.log_every, self.drops = config.log_every, config.on_nan == 'drop'
    self.own = population.combinations(config.population)
    self.rollbacks: int = meta.get('rollbacks', 0)
    self.history: dict[int | None, list[dict[str, float]]] = defaultdict(list)  # logged lines of this process
    self.warned: set[tuple[int | None, str]] = set()
    self.rewind(meta)

  def rewind(self, meta: Mapping[str, Any]) -> None:
    """Back to a checkpoint; what is still on the device is forgotten."""
    self.pending: deque[tuple[int, Any]] = deque()
    number = lambda value: np.asarray(value) if isinstance(value, list) else value  # noqa: E731
    self.window = [{name: number(value) for name, value in values.items()} for values in meta.get('window', [])]
    self.lost: set[int | None] = set(meta.get('lost', []))  # members dropped for what isn't finite
    self.latest: Mapping[str, Any] = {}

  def meta(self) -> dict[str, Any]:
    """For the checkpoint, once all is settled."""
    plain = lambda value: value.tolist() if isinstance(value, np.ndarray) else value  # noqa: E731
    window = [{name: plain(value) for name, value in values.items()} for values in self.window]
    return {'window': window, 'rollbacks': self.rollbacks, 'lost': sorted(m for m in self.lost if m is not None)}

  def warnings(self, values: dict[str, float], member: int | None, *, probabilities: bool) -> list[str]:
    """What a member's lines so far, the newest with these values, give reason to say; each kind of thing once."""
    self.history[member].append(values)
    kind = lambda message: (member, message.partition(' (')[0])  # noqa: E731
    found = monitor.warnings(self.history[member], probabilities=probabilities)
    new = [message for message in found if kind(message) not in self.warned]
    self.warned |= set(map(kind, new))
    return [self.name(member) + message for message in new]

  def settle(self, n: int, metrics: Any, leave: int) -> Iterator[Line]:
    """Takes the metrics of the call that began at step `n`, fetches all but the newest `leave` calls, yields due lines.

    Raises NotFinite at the first step with a metric that isn't finite.
    """
    self.pending.append((n, metrics))
    while len(self.pending) > leave:
      first, fetched = self.pending.popleft()
      for step, values in enumerate(parallel.unstack(fetched), first + 1):
        if not np.isfinite(list(values.values())).all():
          self.judge(step, values)
        self.latest = values
        self.window.append(values)
        if step % self.log_every == 0:
          yield from ((step, member, own) for member, own in self.split(mean(self.window)) if member not in self.lost)
          self.window = []

  def judge(self, step: int, values: Mapping[str, Any]) -> None:
    """Says of whom a value isn't finite. Raises NotFinite, unless a population is to go on without them."""
    for member, own in self.split(values):
      bad = monitor.first_bad([(step, own)], self.players)
      if bad is None or member in self.lost:
        continue
      what = f'{self.name(member)}{bad.term} of player {bad.player} is {bad.value}'
      self.lost.add(member)
      if not self.drops or len(self.lost) == max(len(self.own), 1):
        raise NotFinite(f'step {step}: {what}')
      logger.warning('step %d: %s; the other members go on', step, what)

  def split(self, values: Mapping[str, Any]) -> list[tuple[int | None, dict[str, float]]]:
    """Values of every member by its number; of a lone run, of None."""
    if not self.own:
      return [(None, dict(values))]
    return [(m, {name: float(value[m]) for name, value in values.items()}) for m in range(len(self.own))]

  def name(self, member: int | None) -> str:
    """What stands before what is said of a member."""
    return '' if member is None else f'member {member} ({population.told(self.own[member])}): '


def mean(window: list[dict[str, Any]]) -> dict[str, Any]:
  """By name, over the steps that have it: a lazy turn's metrics come with few of them."""
  names = sorted({name for values in window for name in values})
  found = {name: [values[name] for values in window if name in values] for name in names}
  return {name: sum(values) / len(values) for name, values in found.items()}
