"""What a comparison reads of a run: run.json, metrics.jsonl and, where there is one, evaluation.json."""

import datetime
import itertools
import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ganjax import population
from ganjax.convergence import BESIDE, Curve, best, direction
from ganjax.errors import ConfigError, DataError, nearest

Record = Mapping[str, Any]  # a line of metrics.jsonl


class Course(NamedTuple):
  """A lone run, or one member of a population."""

  label: str
  member: int | None
  step: int
  images: int
  seconds: float  # of training, up to the last line
  steps_per_second: float
  curves: Mapping[str, Curve]  # over images shown
  times: Mapping[str, np.ndarray]  # of the same points: seconds of training
  entries: Sequence[Record]  # of evaluation.json


class Run(NamedTuple):
  """A workdir."""

  label: str
  path: Path
  info: Mapping[str, Any]  # run.json
  courses: Sequence[Course]

  @property
  def config(self) -> Mapping[str, Any]:
    """The config, as a dict."""
    return dict(self.info['config'])

  @property
  def best_metric(self) -> str:
    """The config's."""
    return str(self.config.get('best_metric', ''))


def read_runs(paths: Sequence[str | Path]) -> list[Run]:
  """All of them, each with a label of its own. Raises DataError for what is no run, or has no metrics."""
  labels = labelled([Path(path) for path in paths])
  return [read_run(path, label) for path, label in zip(paths, labels, strict=True)]


def labelled(paths: Sequence[Path]) -> list[str]:
  """The shortest ends of the paths that tell them apart. Raises DataError for one that is given twice."""
  whole = [path.resolve() for path in paths]
  for path in whole:
    if whole.count(path) > 1:
      raise DataError(f'{path}: given twice; runs that are compared are different ones')
  for depth in range(1, max(len(path.parts) for path in whole)):
    names = ['/'.join(path.parts[-depth:]) for path in whole]
    if len(set(names)) == len(names):
      return names
  return list(map(str, whole))


def read_run(path: str | Path, label: str) -> Run:
  """One workdir. Raises DataError that names the file."""
  path = Path(path)
  info = read_json(path / 'run.json', f'{path}: not a run: no run.json in it')
  if not isinstance(info, dict) or not isinstance(info.get('config'), dict):
    raise DataError(f'{path / "run.json"}: damaged: no config in it')
  records = read_lines(path / 'metrics.jsonl')
  if not records:
    raise DataError(f'{path}: no metrics yet: metrics.jsonl is empty or missing')
  file = path / 'evaluation.json'
  entries = read_json(file, '') if file.exists() else []
  if not isinstance(entries, list) or not all(
    isinstance(e, dict) and isinstance(e.get('values'), dict) for e in entries
  ):
    raise DataError(f'{file}: damaged: not a list of evaluations')
  own = population.combinations(info['config'].get('population') or {})
  members: list[int | None] = list(range(len(own))) if own else [None]
  starts = sorted(when(session['time']) for session in [*info.get('earlier', []), info] if session.get('time'))
  courses = []
  for member in members:
    name = label if member is None else f'{label}:{member} ({population.told(own[member])})'
    mine = [record for record in records if record.get('member') == member]
    if mine:
      courses.append(course(name, member, mine, starts, [e for e in entries if e.get('member') == member]))
  if not courses:
    raise DataError(f'{path / "metrics.jsonl"}: damaged: its lines are of no member of the population in run.json')
  return Run(label, path, info, courses)


def read_json(path: Path, missing: str) -> Any:
  """A JSON file. Raises DataError."""
  try:
    return json.loads(path.read_text())
  except (FileNotFoundError, NotADirectoryError) as error:
    raise DataError(missing) from error
  except (OSError, ValueError) as error:
    raise DataError(f'{path}: damaged ({error})') from error


def read_lines(path: Path) -> list[Record]:
  """Lines that the training wrote, up to a broken one; those of `ganjax evaluate` are in evaluation.json, too."""
  found: list[Record] = []
  try:
    with path.open() as file:
      for line in file:
        record = json.loads(line)
        if 'fingerprint' not in record:
          found.append(record)
  except ValueError:  # the last line of a run that is writing it, or was killed
    return found
  except (FileNotFoundError, NotADirectoryError):
    return []
  return found


def when(text: str) -> float:
  """Seconds since 1970 of an ISO time."""
  return datetime.datetime.fromisoformat(text).timestamp()


def course(
  label: str, member: int | None, records: Sequence[Record], starts: Sequence[float], entries: Sequence[Record]
) -> Course:
  """What the lines of one member tell."""
  clock = elapsed([record['time'] for record in records], starts)
  points: dict[str, list[tuple[float, float, float]]] = {}
  for record, seconds in zip(records, clock, strict=True):
    for name, value in record.items():
      if name not in ('step', 'images', 'time', 'member', 'seed'):
        points.setdefault(name, []).append((record['images'], math.nan if value is None else value, seconds))
  columns = {name: np.array(own, float).T for name, own in points.items()}
  last = records[-1]
  return Course(
    label, member, last['step'], last['images'], clock[-1], speed(records, starts),
    {name: (x, y) for name, (x, y, _) in columns.items()}, {name: t for name, (_, _, t) in columns.items()}, entries,
  )  # fmt: skip


def elapsed(times: Sequence[float], starts: Sequence[float]) -> list[float]:
  """Seconds of training at each of these times: pauses between the sessions that began at `starts` don't count."""
  found, total, before = [], 0.0, starts[0] if starts else times[0]
  for time in times:
    begun = max((start for start in starts if start <= time), default=before)
    total += max(0.0, time - max(before, begun))
    before = time
    found.append(total)
  return found


def speed(records: Sequence[Record], starts: Sequence[float]) -> float:
  """Steps per second: the median over the intervals between lines of one session; NaN for too few."""
  lines = [record for record in records if 'd/loss' in record] or list(records)
  pairs = [(a, b) for a, b in itertools.pairwise(lines) if b['step'] > a['step'] and b['time'] > a['time']]
  pairs = [(a, b) for a, b in pairs if not any(a['time'] < start <= b['time'] for start in starts)]
  return statistics.median((b['step'] - a['step']) / (b['time'] - a['time']) for a, b in pairs) if pairs else math.nan


def measured(runs: Iterable[Run]) -> list[str]:
  """The measurements that any of them has, but for those beside others and class shares."""
  names = dict.fromkeys(name for run in runs for own in run.courses for name in own.curves if name.startswith('eval/'))
  return [name for name in names if not name.startswith('eval/share_') and not beside(name, names)]


def beside(name: str, names: Iterable[str]) -> bool:
  """Whether a number only accompanies another: 'eval/frechet_floor' does where there is 'eval/frechet'."""
  every = set(names)
  return any(name.endswith(end) and name.removesuffix(end) in every for end in BESIDE)


def flat(section: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
  """Nested fields as 'loss.name' -> value; an empty section counts as a value."""
  found: dict[str, Any] = {}
  for name, value in section.items():
    inner = isinstance(value, Mapping) and value
    found |= flat(value, f'{prefix}{name}.') if inner else {prefix + name: value}
  return found


def differing(runs: Sequence[Run]) -> dict[str, list[Any]]:
  """Fields of the configs that are not the same everywhere, with their values; None where a config lacks the field."""
  configs = [flat(run.config) for run in runs]
  names = sorted({name for config in configs for name in config})
  values = {name: [config.get(name) for config in configs] for name in names}
  return {
    name: own for name, own in values.items() if len({json.dumps(v, default=str, sort_keys=True) for v in own}) > 1
  }


def condensed(different: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
  """Differing fields, fewer of them, for people.

  Of a network (loss, ...) with another name in another run, the fields that only some of them have are left out; a part
  that a run lacks altogether ('schedule.d_b2', 'terms.g.path_length') is one row.
  """
  found: dict[str, list[Any]] = {}
  for name, values in different.items():
    section, _, last = name.rpartition('.')
    lacking = [value is None for value in values]
    if not section or not any(lacking):
      found[name] = list(values)
    elif last == 'name' or f'{section}.name' not in different or different[f'{section}.name'].count(None):
      whole = found.setdefault(section, [None] * len(values))
      for k, value in enumerate(values):
        if value is not None:
          whole[k] = {**(whole[k] or {}), last: value}
  return {name: [told(value) for value in values] for name, values in found.items()}


def told(value: Any) -> str:
  """A config's value for a person: 'adam(b1=0.5, learning_rate=0.001)', 'd=..., g=...'; '-' for none."""
  if not isinstance(value, Mapping):
    return '-' if value is None else value if isinstance(value, str) and value else json.dumps(value)
  braced = lambda own: f'({told(own)})' if isinstance(own, Mapping) and own and 'name' not in own else told(own)  # noqa: E731
  inner = ', '.join(f'{name}={braced(own)}' for name, own in value.items() if name != 'name')
  return (f'{value["name"]}({inner})' if inner else str(value['name'])) if 'name' in value else inner or '{}'


def levels(texts: Sequence[str], runs: Sequence[Run]) -> dict[str, float]:
  """Levels to reach by metric, from 'frechet=2'. Raises ConfigError for what is no such thing or never measured."""
  known = dict.fromkeys(name for run in runs for own in run.courses for name in own.curves)
  ranked = [name for name in known if any(direction(name, run.best_metric) for run in runs)]
  found = {}
  for text in texts:
    name, equals, number = text.partition('=')
    name = name if name in known else f'eval/{name}'
    try:
      value = float(number)
    except ValueError:
      value = math.nan
    if not equals or not math.isfinite(value):
      raise ConfigError('--level', text, 'NAME=VALUE with a number, such as eval/frechet=2')
    if name not in ranked:
      raise ConfigError('--level', text, f'a metric of these runs of which it is known what is better: {", ".join(ranked) or "none"}',
                        nearest(name, ranked))  # fmt: skip
    found[name] = value
  return found


def reached(own: Course, name: str, level: float, way: str) -> tuple[float, float] | None:
  """Images shown and seconds at the first measurement that is at least as good; None where none is."""
  if name not in own.curves:
    return None
  x, y = own.curves[name]
  with np.errstate(invalid='ignore'):
    good = np.flatnonzero(y <= level if way == 'min' else y >= level)
  return (float(x[good[0]]), float(own.times[name][good[0]])) if len(good) else None


def way_of(runs: Sequence[Run], name: str) -> str | None:
  """What is better of a metric, as the first run that knows has it."""
  return next(filter(None, (direction(name, run.best_metric) for run in runs)), None)


def last_and_best(own: Course, name: str, way: str | None) -> tuple[float, float, float]:
  """The last finite value, the best one and the images at it; NaN where there are none."""
  x, y = own.curves.get(name, (np.zeros(0), np.zeros(0)))
  finite = y[np.isfinite(y)]
  top = best((x, y), way) if way else None
  return float(finite[-1]) if len(finite) else math.nan, top.value if top else math.nan, top.images if top else math.nan
