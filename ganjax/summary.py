"""What a training left, and what to do with it: printed at its end."""

import json
from pathlib import Path

from ganjax import monitor
from ganjax.evaluate import told

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
  """The last measurements, what looks wrong, what was written where, and what to run next."""
  workdir = Path(workdir)
  lines = (workdir / 'metrics.jsonl').read_text().splitlines()
  records = [{name: value for name, value in json.loads(line).items() if value is not None} for line in lines]
  run = json.loads((workdir / 'run.json').read_text())
  measured = [record for record in records if any(name.startswith('eval/') for name in record)]
  out = [
    f'{run["config"]["name"]}: {records[-1]["step"]:,} steps, {records[-1]["images"]:,} images'
    if records
    else 'nothing logged'
  ]
  if measured:
    out += [
      f'at step {measured[-1]["step"]:,}:',
      *told({k: v for k, v in measured[-1].items() if k.startswith('eval/')}),
    ]
  history = [record for record in records if 'd/loss' in record]
  out += monitor.warnings(history, probabilities=run['config']['loss']['name'] not in monitor.NOT_LOG_ODDS)
  out += ['', f'written to {workdir}:']
  for name, what in WHAT.items():
    if (workdir / name).exists():
      newest = sorted((workdir / name).glob('*.png'))[-1:] if name == 'samples' else []
      out.append(f'  {str(newest[0].relative_to(workdir)) if newest else name:<26} {what}')
  return '\n'.join([
    *out, '', 'next:',
    f'  ganjax sample --workdir {workdir} --num 100 --seed 1 --out grid.png',
    f'  ganjax evaluate --workdir {workdir}',
    f'  ganjax train --config {run["config"]["name"]} --workdir {workdir} --config.steps={2 * run["config"]["steps"]}   (goes on)',
    '  ganjax list',
  ])  # fmt: skip
