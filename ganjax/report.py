"""Evaluations in words and tables."""

from collections.abc import Mapping, Sequence
from typing import Any

from ganjax.evals import metrics

Values = Mapping[str, float]
Intervals = Mapping[str, tuple[float, float]]
Group = tuple[int, int | None]  # step, member

BESIDE = {  # numbers that are told in the line of another, whose name they end
  '_floor': 'one half of the real images to the other: {:.3f}',
  '_real': 'real images: {:.3f}',
  '_std': 'standard deviation {:.3g}',
  '_bicubic': 'bicubic: {:.3f}',
}
NAMES = {
  'elbo': 'ELBO (nats)',
  'iwae': 'IWAE bound (nats)',
  'elbo_bits': 'ELBO (bits/dim)',
  'iwae_bits': 'IWAE bound (bits/dim)',
  'rebuilt_psnr': 'PSNR of rebuilt (dB)',
  'frechet': 'Frechet distance',
  'sure': 'sure (> .9)',
  'is': 'inception score',
  'prdc_precision': 'precision (prdc)',
  'prdc_recall': 'recall (prdc)',
  'psnr': 'PSNR (dB)',
  'reverse_psnr': 'PSNR of the way back (dB)',
  'psnr_y': 'PSNR of Y (dB)',
  'ssim_y': 'SSIM of Y',
}
MEANING = {
  'nearer': 'of samples lie nearer to a training image than the median real one (.5 is ideal)',
  'as_asked': 'of samples are seen as the class that was asked for',
  'psnr': 'of translations to their true counterparts',
}


def report(entries: Sequence[Mapping[str, Any]], workdir: str) -> str:
  """What was measured of a run: entries of evaluation.json, those of one checkpoint (and member) together."""
  first = entries[0]
  real, fake = first['protocol']['real'], first['protocol']['fake']
  against = f' against {real["num"]} real ones ({real["split"]})' if real else ''
  lines = [f'{first["name"]}: {fake["num"]} samples{against}, protocol {first["fingerprint"]}']
  groups: dict[Group, list[Mapping[str, Any]]] = {}
  for each in entries:
    groups.setdefault((each['step'], each.get('member')), []).append(each)
  if len(groups) == 1:
    ((key, own),) = groups.items()
    lines += [f'{of(key)}, {seeds(own)}', *told(*over_seeds(own))]
  else:
    lines += [seeds(next(iter(groups.values()))), *table({of(key): over_seeds(own) for key, own in groups.items()})]
  return '\n'.join([*lines, f'written to {workdir}/evaluation.json'])


def of(group: Group) -> str:
  """'step 4000', 'step 4000, member 1'."""
  step, member = group
  return f'step {step}' + ('' if member is None else f', member {member}')


def seeds(own: Sequence[Mapping[str, Any]]) -> str:
  """Which seeds, and what stands in brackets."""
  numbers = [each['seed'] for each in own]
  if len(numbers) > 1:
    return f'seeds {numbers[0]} to {numbers[-1]}: mean [95% interval of the mean]'
  return f'seed {numbers[0]}' + (' [95% interval by bootstrap]' if own[0]['intervals'] else '')


def over_seeds(entries: Sequence[Mapping[str, Any]]) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
  """Means and their intervals over seeds; of one seed, the values and their bootstrapped intervals."""
  if len(entries) == 1:
    return dict(entries[0]['values']), {name: (low, high) for name, (low, high) in entries[0]['intervals'].items()}
  found = {name: metrics.over_seeds([each['values'][name] for each in entries]) for name in entries[0]['values']}
  means = {name: value for name, (value, _, _) in found.items()}
  return means, {name: (low, high) for name, (_, low, high) in found.items()}


def told(values: Values, intervals: Intervals | None = None) -> list[str]:
  """A line for each number."""
  short = {name.removeprefix('eval/'): value for name, value in values.items()}
  between = {name.removeprefix('eval/'): ends for name, ends in (intervals or {}).items()}
  names = [name for name in short if not is_beside(name, short) and not name.startswith('share_')]
  labels = {name: NAMES.get(name, name.replace('_', ' ')) for name in names}
  width = max(map(len, ['class shares', *labels.values()])) + 2
  lines = []
  for name, label in labels.items():
    beside = [text.format(short[name + end]) for end, text in BESIDE.items() if name + end in short]
    note = f'  ({", ".join(beside)})' if beside else f'  {MEANING[name]}' if name in MEANING else ''
    lines.append(f'  {label:<{width}} {number(short[name], between.get(name))}{note}')
  shares = {name.removeprefix('share_'): value for name, value in short.items() if name.startswith('share_')}
  if shares:
    told_shares = '  '.join(f'{k}: {share:.1%}' for k, share in shares.items())
    lines.append(f'  {"class shares":<{width}} {told_shares}')
  return lines


def table(rows: Mapping[str, tuple[Values, Intervals]]) -> list[str]:
  """A row for each group, a column for each number; those beside others and class shares are in evaluation.json."""
  first = {name.removeprefix('eval/') for name in next(iter(rows.values()))[0]}
  names = [name for name in next(iter(rows.values()))[0] if shown(name.removeprefix('eval/'), first)]
  heading = ['', *(NAMES.get(name.removeprefix('eval/'), name.removeprefix('eval/')) for name in names)]
  cells = [heading] + [
    [what, *(number(values[name], between.get(name)) if name in values else '-' for name in names)]
    for what, (values, between) in rows.items()
  ]
  widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
  return [
    '  ' + '  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
  ]


def shown(name: str, names: set[str]) -> bool:
  """Whether a number has a column."""
  return not is_beside(name, names) and not name.startswith(('share_', 'class_frechet_'))


def is_beside(name: str, names: Mapping[str, float] | set[str]) -> bool:
  """Whether a number is told in another's line."""
  return any(name.endswith(end) and name.removesuffix(end) in names for end in BESIDE)


def number(value: float, ends: tuple[float, float] | None) -> str:
  """'1.787', '1.787 [1.75, 1.82]'."""
  text = f'{value:.3f}' if abs(value) < 1000 else f'{value:.4g}'
  return text if ends is None else f'{text} [{ends[0]:.3f}, {ends[1]:.3f}]'
