"""A run's curves in one picture."""

import json
import math
import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ganjax import convergence
from ganjax.convergence import Curve

COLUMNS = 3
SMOOTH_FROM = 200  # points: more are shown as a running mean over a faint original
SHARE, RANGE = 'eval/share_', ('most frequent class', 'least frequent class')
JUDGED, TRAINING = "D's probability of real", ('Losses', "D's probability of real", 'Gradient norms', 'Terms')
HALF = {JUDGED: 'balance', 'nearer': 'ideal'}  # panels that .5 is the aim of, and what it is called
PROBABILITIES = {'d/real_prob': 'D(x), on real', 'd/fake_prob': 'D(G(z)), on generated'}


def read(workdir: str | os.PathLike[str]) -> dict[str, Curve]:
  """The curves in a workdir's metrics.jsonl, by metric; values that weren't finite are NaN.

  A population's are the means over its members.
  """
  members = list(read_members(workdir).values())
  return {name: mean([own[name] for own in members if name in own]) for name in {k: 0 for own in members for k in own}}


def read_members(workdir: str | os.PathLike[str]) -> dict[int | None, dict[str, Curve]]:
  """The curves of each member of a population; of a lone run, under None."""
  points: dict[int | None, dict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
  with (Path(workdir) / 'metrics.jsonl').open() as file:
    for line in file:
      try:
        record = json.loads(line)
      except ValueError:  # the last line of a run that is writing it, or was killed
        break
      if 'fingerprint' in record:  # of `ganjax evaluate`, by a protocol of its own
        continue
      for name, value in record.items():
        if name not in ('step', 'images', 'time', 'member'):
          own = points[record.get('member')][name]
          own.append((record['images'], math.nan if value is None else value))
  return {
    member: {name: (np.array(values)[:, 0], np.array(values)[:, 1]) for name, values in own.items()}
    for member, own in points.items()
  }


def mean(several: Sequence[Curve]) -> Curve:
  """The mean of curves, at each point of those that have it: a member may have been dropped."""
  if len(several) == 1:
    return several[0]
  x, place = np.unique(np.concatenate([x for x, _ in several]), return_inverse=True)
  y = np.concatenate([y for _, y in several])
  return x, np.bincount(place, y) / np.bincount(place)


def curves(workdir: str | os.PathLike[str]) -> Path:
  """Draws workdir/curves.png: losses, D's probabilities, evaluations, gradient norms and terms over images shown.

  D's probabilities are drawn where its outputs are log-odds, and the best of an evaluation is marked. Of a population,
  the mean over its members, and each member faintly.
  """
  from matplotlib.backends.backend_agg import FigureCanvasAgg
  from matplotlib.figure import Figure

  config = config_of(workdir)
  found = {n: c for n, c in read(workdir).items() if n not in PROBABILITIES or convergence.log_odds(config)}
  members = read_members(workdir)
  shares = [curve for name, curve in found.items() if name.startswith(SHARE)]
  if shares:  # the extremes tell a collapse; a line for each of many classes tells nothing
    values = np.stack([y for _, y in shares])
    found |= {name: (shares[0][0], y) for name, y in zip(RANGE, (values.max(0), values.min(0)), strict=True)}
  panels = arrange(found)
  columns = min(COLUMNS, max(len(panels), 1))
  rows = max(1, math.ceil(len(panels) / columns))
  figure = Figure(figsize=(4.6 * columns, 3.3 * rows), dpi=110, layout='constrained')
  canvas = FigureCanvasAgg(figure)
  grid = figure.subplots(rows, columns, squeeze=False).ravel()
  most = max((x[-1] for x, _ in found.values()), default=0)
  unit, word = next(((u, w) for u, w in ((1e6, 'millions'), (1e3, 'thousands')) if most >= 5 * u), (1, ''))
  for axes, (title, names, log) in zip(grid, panels, strict=False):
    for name, label in names.items():
      color = line(axes, found[name][0] / unit, found[name][1], label)
      for own in members.values() if len(members) > 1 else ():
        if name in own:
          axes.plot(own[name][0] / unit, own[name][1], color=color, alpha=0.25, linewidth=0.7)
    axes.set_title(title)
    axes.set_xlabel(f'images shown ({word})' if word else 'images shown')
    axes.grid(alpha=0.3)
    if title not in TRAINING:
      mark(axes, found, names, config.get('best_metric', ''), unit)
    if log and any((found[name][1] > 0).any() for name in names):
      axes.set_yscale('log')
    if title in HALF:
      axes.axhline(0.5, color='0.4', linestyle='--', linewidth=1, label=HALF[title])
    if title == JUDGED:
      axes.set_ylim(-0.02, 1.02)
    if title == 'Share of a class':
      axes.axhline(1 / len(shares), color='0.4', linestyle='--', linewidth=1, label='all alike')
    if len(names) > 1 or title in ('Terms', *HALF):
      axes.legend(fontsize='small')
  for axes in grid[len(panels) :]:
    axes.set_axis_off()
  path = Path(workdir) / 'curves.png'
  canvas.print_png(str(path))
  return path


def arrange(found: Mapping[str, Curve]) -> list[tuple[str, dict[str, str], bool]]:
  """Panels: (title, metric -> label, logarithmic)."""
  choose: Callable[[Callable[[str], bool]], dict[str, str]] = lambda test: {n: n for n in sorted(found) if test(n)}  # noqa: E731
  floors = [name for name in found if name.startswith('eval/') and name.endswith(('_floor', '_real'))]
  groups = [
    ('Losses', choose(lambda name: name.split('/')[-1] == 'loss' or '/loss_' in name), False),
    (JUDGED, {name: label for name, label in PROBABILITIES.items() if name in found}, False),
  ]
  gradients = choose(lambda name: name.endswith('/grad_norm'))
  used = {name for _, names, _ in groups for name in names} | {*gradients, *floors, *RANGE}
  rest = choose(lambda name: name not in used and not name.endswith('/norm') and not name.startswith(SHARE))
  for name in rest:
    if name.startswith('eval/'):
      beside = {other: 'real data' for other in floors if other.rsplit('_', 1)[0] == name}
      groups.append((name.removeprefix('eval/').replace('_', ' '), {name: 'generated', **beside}, False))
  groups.append(('Share of a class', choose(lambda name: name in RANGE), False))
  groups.append(('Gradient norms', gradients, True))
  groups.append(('Terms', {name: label for name, label in rest.items() if not name.startswith('eval/')}, False))
  return [group for group in groups if group[1]]


def config_of(workdir: str | os.PathLike[str]) -> dict[str, Any]:
  """The config in a workdir's run.json; {} where there is none."""
  path = Path(workdir) / 'run.json'
  return dict(json.loads(path.read_text())['config']) if path.exists() else {}


def mark(axes: Any, found: Mapping[str, Curve], names: Mapping[str, str], best_metric: str, unit: float) -> None:
  """A ring at the best of the metric that a panel is about, where it is known what is better, with its value."""
  for name in names:
    way = convergence.direction(name, best_metric)
    top = way and convergence.best(found[name], way)
    if top:
      axes.plot(top.images / unit, top.value, 'o', markersize=10, fillstyle='none', color='tab:green', label='best')
      inwards = 'left' if top.images < found[name][0].mean() else 'right'
      axes.annotate(f'{top.value:.4g}', (top.images / unit, top.value), xytext=(0, 9 if way == 'min' else -16),
                    textcoords='offset points', ha=inwards, color='tab:green', fontsize='small')  # fmt: skip


def line(axes: Any, x: np.ndarray, y: np.ndarray, label: str) -> str:
  """One curve; a long one as its running mean, with the original behind. Returns its colour."""
  style = {'marker': 'o', 'markersize': 3} if len(x) < 30 else {}
  if len(x) < SMOOTH_FROM:
    (drawn,) = axes.plot(x, y, label=label, linewidth=1.3, **style)
    return drawn.get_color()
  width = len(x) // 50
  known = np.isfinite(y)
  total = np.convolve(np.where(known, y, 0), np.ones(width), 'same')
  mean = total / np.maximum(np.convolve(known, np.ones(width), 'same'), 1)
  (drawn,) = axes.plot(x, mean, label=label, linewidth=1.3)
  axes.plot(x, y, color=drawn.get_color(), alpha=0.2, linewidth=0.8)
  return drawn.get_color()
