"""Entries of evaluation.json: which of them are compared, over their seeds, and whether they were made alike."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ganjax.compare.runs import Course, Run
from ganjax.convergence import direction
from ganjax.evals import metrics, protocol

Entry = Mapping[str, Any]
OLD = ('num', 'average', 'standing_statistics', 'seed')  # what entries without a protocol tell of it


class Evaluated(NamedTuple):
  """Evaluations of one checkpoint by one protocol, over their seeds."""

  step: int
  seeds: int
  values: Mapping[str, float]
  intervals: Mapping[str, tuple[float, float]]
  entry: Entry  # the last of them


def shared(runs: Sequence[Run]) -> set[str]:
  """Fingerprints of protocols by which every member of every run was evaluated."""
  found = [{print_of(entry) for entry in own.entries} for run in runs for own in run.courses]
  return set.intersection(*found) if found else set()


def picked(own: Course, run: Run, common: set[str]) -> list[Evaluated]:
  """The last checkpoint's evaluation and, if it is another, the best one's; by a protocol that all share, if any."""
  groups: dict[tuple[str, int], list[Entry]] = {}
  for entry in own.entries:
    if not common or print_of(entry) in common:
      groups.setdefault((print_of(entry), entry['step']), []).append({'intervals': {}} | dict(entry))
  if not groups:
    return []
  newest = list(groups)[-1][0]
  found = []
  for (_, step), entries in groups.items():
    if (newest, step) in groups and groups[newest, step] is entries:
      latest = list({entry.get('seed'): entry for entry in entries}.values())  # the same seed twice counts once
      found.append(Evaluated(step, len(latest), *joined(latest), latest[-1]))
  last = max(found, key=lambda group: group.step)
  name = next((name for name in last.values if direction(name, run.best_metric)), None)
  if name is None:
    return [last]
  choose = min if direction(name, run.best_metric) == 'min' else max
  top = choose(
    (group for group in found if math.isfinite(group.values.get(name, math.nan))),
    key=lambda g: g.values[name],
    default=last,
  )
  return [last] if top is last else [last, top]


def joined(entries: Sequence[Entry]) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
  """Means over seeds and their intervals; of one seed, the values and the intervals that it came with."""
  known = lambda entry, name: math.isfinite(entry['values'].get(name, math.nan))  # noqa: E731
  if len(entries) == 1:
    return dict(entries[0]['values']), {name: (low, high) for name, (low, high) in entries[0]['intervals'].items()}
  names = [name for name in entries[0]['values'] if all(known(entry, name) for entry in entries)]
  found = {name: metrics.over_seeds([entry['values'][name] for entry in entries]) for name in names}
  return {name: each.value for name, each in found.items()}, {
    name: (each.low, each.high) for name, each in found.items()
  }


def print_of(entry: Entry) -> str:
  """The fingerprint of an entry's protocol."""
  return str(entry.get('fingerprint') or protocol.fingerprint(protocol_of(entry)))


def protocol_of(entry: Entry) -> dict[str, Any]:
  """An entry's protocol; of an old entry, what little it tells."""
  return dict(entry.get('protocol') or {'fake': {name: entry[name] for name in OLD if name in entry}})


def protocol_differences(a: Entry, b: Entry) -> list[str]:
  """What differs in how two entries of evaluation.json were measured, 'field: of a, of b'; [] if they compare."""
  return protocol.differences(protocol_of(a), protocol_of(b))
