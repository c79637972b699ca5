"""What a training left, and what to do with it: printed at its end."""

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from ganjax import convergence, curves, monitor, population
from ganjax.report import told

WHAT = {
  'samples': 'pictures of samples',
  'curves.png': 'losses, probabilities, gradients and measurements',
  'metrics.jsonl': 'all numbers, a line a record',
  'run.json': 'the whole config, versions, commit, device, command',
  'checkpoints': 'parameters and everything else that the training goes on from',
  'tensorboard': 'the same for `tensorboard --logdir`',
  'profile': 'a trace of a few steps for TensorBoard',
}


def summary(workdir: str | Path) -> str:
  """The last measurements, how they came about, what looks wrong, what was written where, and what to run next."""
  workdir = Path(workdir)
  lines = (workdir / 'metrics.jsonl').read_text().splitlines()
  records = [{name: value for name, value in json.loads(line).items() if value is not None} for line in lines]
  records = [record for record in records if 'fingerprint' not in record]  # those are of `ganjax evaluate`
  run = json.loads((workdir / 'run.json').read_text())
  own = population.combinations(run['config'].get('population', {}))
  measured = [record for record in records if any(name.startswith('eval/') for name in record)]
  out = [
    f'{run["config"]["name"]}: {records[-1]["step"]:,} steps, {records[-1]["images"]:,} images'
    if records
    else 'nothing logged'
  ]
  if measured and own:
    out += [f'at step {measured[-1]["step"]:,}, by member:', *table(own, measured)]
  elif measured:
    out += [
      f'at step {measured[-1]["step"]:,}:',
      *told({k: v for k, v in measured[-1].items() if k.startswith('eval/')}),
    ]
  out += convergence.told(curves.read(workdir), run['config'])
  for member in range(len(own)) if own else [None]:
    history = [record for record in records if 'd/loss' in record and record.get('member') == member]
    found = monitor.warnings(history, probabilities=run['config']['loss']['name'] not in monitor.NOT_LOG_ODDS)
    out += [message if member is None else f'member {member}: {message}' for message in found]
  out += ['', f'written to {workdir}:']
  for name, what in WHAT.items():
    if (workdir / name).exists():
      newest = sorted((workdir / name).glob('member_0/*.png' if own else '*.png'))[-1:] if name == 'samples' else []
      out.append(f'  {str(newest[0].relative_to(workdir)) if newest else name:<26} {what}')
  first = ' --member 0' if own else ''
  return '\n'.join([
    *out, '', 'next:',
    f'  ganjax sample --workdir {workdir}{first} --num 100 --seed 1 --out grid.png',
    f'  ganjax evaluate --workdir {workdir}',
    f'  ganjax train --config {run["config"]["name"]} --workdir {workdir} --config.steps={2 * run["config"]["steps"]}   (goes on)',
    '  ganjax list',
  ])  # fmt: skip


def table(own: Sequence[Mapping[str, float]], measured: Sequence[Mapping[str, float]]) -> list[str]:
  """The last measurements of each member of a population, a row each, and their mean and standard deviation."""
  last = {record['member']: record for record in measured}
  names = [name for name in measured[-1] if name.startswith('eval/') and not name.startswith('eval/share_')]
  rows = [
    ['member', *(name.replace('seeds', 'seed') for name in own[0]), *(name.removeprefix('eval/') for name in names)]
  ]
  for member, record in sorted(last.items()):
    rows.append([f'{member:g}', *(f'{value:g}' for value in own[int(member)].values()),
                 *(f'{record[name]:.4g}' if name in record else '-' for name in names)])  # fmt: skip
  for what, of in (('mean', statistics.fmean), ('std', deviation)):
    columns = [[record[name] for record in last.values() if name in record] for name in names]
    rows.append([what, *[''] * len(own[0]), *(f'{of(values):.4g}' if values else '-' for values in columns)])
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  return ['  ' + '  '.join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]


def deviation(values: Sequence[float]) -> float:
  """Standard deviation of a sample; NaN for one value."""
  return statistics.stdev(values) if len(values) > 1 else math.nan
