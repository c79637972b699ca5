"""The comparison as tables: on the terminal, as CSV, or as a page."""

import csv
import io
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ganjax.compare.evaluated import Evaluated, picked, print_of, protocol_differences, shared
from ganjax.compare.page import numeric, page
from ganjax.compare.runs import (
  Course,
  Run,
  beside,
  condensed,
  differing,
  flat,
  last_and_best,
  levels,
  measured,
  reached,
  read_runs,
  way_of,
)
from ganjax.convergence import short
from ganjax.errors import ConfigError, DataError
from ganjax.evals import protocol
from ganjax.images import replacing
from ganjax.progress import duration


class Table(NamedTuple):
  """One part of the comparison."""

  title: str
  note: str
  heading: Sequence[str]
  rows: Sequence[Sequence[str]]


def compare_runs(paths: Sequence[str | Path], out: str | Path | None = None, level: Sequence[str] = ()) -> str:
  """Compares runs; returns the tables as text, or says what was written.

  Args:
    paths: workdirs.
    out: .csv, a row a run, member and mean; .html, the tables with plots, one file that works offline.
    level: 'NAME=VALUE', for each the images and the time that it took to get there.

  Raises: ConfigError, DataError.
  """
  path = None if out is None else Path(out)
  if path is not None and path.suffix not in ('.csv', '.html'):
    raise ConfigError('--out', str(out), 'a file name that ends in .csv or .html')
  if not paths:
    raise DataError('no runs to compare; valid: workdirs of trainings')
  runs = read_runs(paths)
  wanted = levels(level, runs)
  if path is None:
    return text(tables(runs, wanted))
  content = as_csv(runs, wanted) if path.suffix == '.csv' else page(runs, tables(runs, wanted), measured(runs), wanted)
  with replacing(path) as file:
    file.write(content.encode())
  return f'{path}: {len(runs)} runs compared'


def tables(runs: Sequence[Run], wanted: Mapping[str, float]) -> list[Table]:
  """All parts that there is something for."""
  parts = [overview(runs), training(runs), evaluations(runs), reaching(runs, wanted), protocols(runs), configs(runs)]
  return [part for part in parts if part.rows]


def overview(runs: Sequence[Run]) -> Table:
  """How long each run is, and how fast it was."""
  rows = []
  for run in runs:
    first, device = run.courses[0], run.info.get('device') or {}
    machine = f'{device.get("devices", "?")} x {device.get("kind", "unknown")}'
    size = str(len(run.courses))
    rows.append([run.label, str(run.config.get('name', '')), size, f'{first.step:,}', f'{first.images:,}', duration(max(own.seconds for own in run.courses)),
                 number(first.steps_per_second), machine])  # fmt: skip
  return Table('Runs', '', ['run', 'experiment', 'members', 'steps', 'images', 'time', 'steps/s', 'device'], rows)


def configs(runs: Sequence[Run]) -> Table:
  """Fields of the configs that differ."""
  rows = [[name, *values] for name, values in condensed(differing(runs)).items()]
  note = 'Of networks with different names only what both have; --out FILE.csv has every field.'
  return Table('Config fields that differ', note, ['field', *(run.label for run in runs)], rows)


def training(runs: Sequence[Run]) -> Table:
  """Measurements during the training: the last, and the best with where it was."""
  names = measured(runs)
  ways = [way_of(runs, name) for name in names]
  heading = ['run']
  for name, way in zip(names, ways, strict=True):
    heading += [short(name), *(['best', 'at images'] if way else [])]
  rows = []
  for run in runs if names else ():
    found = [[last_and_best(own, name, way) for name, way in zip(names, ways, strict=True)] for own in run.courses]
    rows += [[own.label, *cells(values, ways)] for own, values in zip(run.courses, found, strict=True)]
    if len(found) > 1:
      means = [[mean([values[k][i] for values in found]) for i in range(3)] for k in range(len(names))]
      rows.append([f'{run.label}: mean of {len(found)}', *cells(means, ways)])
  return Table('Measured during the training', '', heading, rows)


def cells(values: Sequence[Sequence[float]], ways: Sequence[str | None]) -> list[str]:
  """(last, best, images) of each metric, without the latter two where nothing is known to be better."""
  found = []
  for (last, top, images), way in zip(values, ways, strict=True):
    found += [number(last), *([number(top), '-' if math.isnan(images) else f'{images:,.0f}'] if way else [])]
  return found


def evaluations(runs: Sequence[Run]) -> Table:
  """What `ganjax evaluate` found: of each member its last checkpoint, and the best one where that is another."""
  chosen = {own.label: picked(own, run, shared(runs)) for run in runs for own in run.courses}
  every = dict.fromkeys(name for found in chosen.values() for group in found for name in group.values)
  names = [n for n in every if not short(n).startswith(('share_', 'class_frechet_')) and not beside(n, every)]
  rows = []
  for run in runs:
    groups = [chosen[own.label] for own in run.courses]
    for own, found in zip(run.courses, groups, strict=True):
      for kind, group in zip(('last', 'best'), found, strict=False):
        label = own.label if len(found) == 1 else f'{own.label}, {kind}'
        rows.append([label, f'{group.step:,}', str(group.seeds), *(with_interval(group, name) for name in names)])
    if len(groups) > 1 and all(groups):
      of = lambda name, groups=groups: mean([found[0].values.get(name, math.nan) for found in groups])  # noqa: E731
      rows.append([f'{run.label}: mean of {len(groups)}', '', '', *(number(of(name)) for name in names)])
  note = 'In brackets 95% intervals: over seeds where there are several, else by bootstrap where that was asked for.'
  return Table('Evaluated afterwards', note, ['run', 'step', 'seeds', *map(short, names)], rows)


def reaching(runs: Sequence[Run], wanted: Mapping[str, float]) -> Table:
  """Images and time to levels."""
  rows = []
  for run in runs:
    for own in run.courses if wanted else ():
      row = [own.label]
      for name, level in wanted.items():
        way = way_of(runs, name) or 'min'
        there, top = reached(own, name, level, way), last_and_best(own, name, way)[1]
        row += [f'{there[0]:,.0f}', duration(there[1])] if there else [f'not reached (best {number(top)})', '-']
      rows.append(row)
  heading = ['run']
  for name, level in wanted.items():
    heading += [f'images to {short(name)} {level:g}', 'time']
  return Table('To reach a level', 'At the first measurement that is at least as good.', heading, rows)


def protocols(runs: Sequence[Run]) -> Table:
  """Where numbers were not made alike, and so don't compare: each run against the first one."""
  rows, first = [], runs[0]
  for run in runs[1:]:
    both = setting(first).keys() & setting(run).keys()  # a config of another version may lack a field
    settings = protocol.differences(*({name: setting(r)[name] for name in both} for r in (first, run)))
    if settings and measured([first]) and measured([run]):
      rows.append([f'{first.label} and {run.label}, during the training', '; '.join(settings)])
    common = shared(runs)
    pair = [picked(r.courses[0], r, common) for r in (first, run)]
    if all(pair) and (found := protocol_differences(pair[0][0].entry, pair[1][0].entry)):
      rows.append([f'{first.label} and {run.label}, afterwards', '; '.join(found)])
  note = 'These were not measured alike: compare their numbers with that in mind.'
  return Table('Protocols that differ', note, ['runs', 'field: of the one, of the other'], rows)


def setting(run: Run) -> dict[str, Any]:
  """How a run measures during its training, by its config."""
  told = ('data.name', 'data.resolution', 'data.resize', 'data.path', 'data.labels', 'standing_statistics')
  chosen = lambda name: name in told or (name.startswith('evaluate_') and name != 'evaluate_every')  # noqa: E731
  fields: dict[str, Any] = {name: value for name, value in flat(run.config).items() if chosen(name)}
  return {**fields, 'average': next(iter(run.config.get('ema') or {}), None)}


def mean(values: Sequence[float]) -> float:
  """Of those that are finite; NaN where none is."""
  finite = [value for value in values if math.isfinite(value)]
  return statistics.fmean(finite) if finite else math.nan


def number(value: float) -> str:
  """Four digits; '-' for none."""
  return '-' if math.isnan(value) else f'{value:.4g}'


def with_interval(group: Evaluated, name: str) -> str:
  """'1.788 [1.75, 1.82]'."""
  if name not in group.values:
    return '-'
  ends = group.intervals.get(name)
  return number(group.values[name]) + (f' [{number(ends[0])}, {number(ends[1])}]' if ends else '')


def text(parts: Sequence[Table]) -> str:
  """The tables for a terminal."""
  out = []
  for part in parts:
    lines = [list(part.heading), *map(list, part.rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    right = numeric(part.rows)
    out += [part.title + (f'. {part.note}' if part.note else '')]
    for line in lines:
      padded = (
        cell.rjust(width) if by else cell.ljust(width) for cell, width, by in zip(line, widths, right, strict=True)
      )
      out.append('  ' + '  '.join(padded).rstrip())
    out.append('')
  return '\n'.join(out).rstrip()


def as_csv(runs: Sequence[Run], wanted: Mapping[str, float]) -> str:
  """A row for each run, member and mean over members; empty cells where something isn't known."""
  different, names, common = differing(runs), measured(runs), shared(runs)
  rows: list[dict[str, Any]] = []
  for i, run in enumerate(runs):
    own_rows = [row_of(run, own, names, wanted, common, runs) for own in run.courses]
    if len(own_rows) > 1:
      numeric = [n for n, value in own_rows[0].items() if isinstance(value, float) and n not in ('step', 'images')]
      own_rows.append(
        {'run': run.label, 'member': 'mean'}
        | {n: mean([float(row.get(n, math.nan)) for row in own_rows]) for n in numeric}
      )
    fields = {f'config.{name}': json.dumps(values[i]) for name, values in different.items()}
    rows += [row | fields for row in own_rows]
  columns = list(dict.fromkeys(name for row in rows for name in row))
  file = io.StringIO()
  writer = csv.DictWriter(file, columns, restval='', lineterminator='\n')
  writer.writeheader()
  for row in rows:
    writer.writerow(
      {name: '' if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()}
    )
  return file.getvalue()


def row_of(run: Run, own: Course, names: Sequence[str], wanted: Mapping[str, float], common: set[str],
           runs: Sequence[Run]) -> dict[str, Any]:  # fmt: skip
  """One row of the CSV file."""
  row: dict[str, Any] = {
    'run': run.label, 'member': '' if own.member is None else own.member, 'experiment': run.config.get('name', ''),
    'step': own.step, 'images': own.images, 'seconds': round(own.seconds, 3), 'steps_per_second': own.steps_per_second,
  }  # fmt: skip
  for name in names:
    last, top, images = last_and_best(own, name, way_of(runs, name))
    row |= {f'last.{short(name)}': last}
    row |= {f'best.{short(name)}': top, f'best_images.{short(name)}': images} if way_of(runs, name) else {}
  for name, level in wanted.items():
    there = reached(own, name, level, way_of(runs, name) or 'min') or (math.nan, math.nan)
    row |= {f'images_to.{short(name)}={level:g}': there[0], f'seconds_to.{short(name)}={level:g}': there[1]}
  for kind, group in zip(('evaluated', 'evaluated_best'), picked(own, run, common), strict=False):
    row |= {f'{kind}.step': group.step, f'{kind}.seeds': group.seeds, f'{kind}.fingerprint': print_of(group.entry)}
    for name, value in group.values.items():
      low, high = group.intervals.get(name, (math.nan, math.nan))
      row |= {f'{kind}.{short(name)}': value, f'{kind}_low.{short(name)}': low, f'{kind}_high.{short(name)}': high}
  return row
