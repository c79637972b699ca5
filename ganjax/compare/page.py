"""The comparison as one HTML file: the tables, and plots drawn as SVG."""

import html
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ganjax.compare.runs import Run, way_of
from ganjax.convergence import Curve, best, direction, short

COLORS = 8
DASHES = ('', '7 4', '2 3', '9 3 2 3')  # with them, runs differ without their colours, too
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 420, 250, 46, 14, 10, 40
LONG = 60  # letters, from which a cell is broken into lines
SPREAD = 30  # largest / smallest value from which an axis is logarithmic


def page(runs: Sequence[Run], parts: Sequence[Any], names: Sequence[str], wanted: Mapping[str, float]) -> str:
  """The page: tables `parts`, plots of metrics `names` over images and over time, levels that are `wanted` as lines."""
  body = []
  for part in parts:
    warns = part.title.startswith('Protocols')
    body += [f'<h2>{html.escape(part.title)}</h2>', f'<p{" class=warning" if warns else ""}>{html.escape(part.note)}</p>' if part.note else '',
             table(part)]  # fmt: skip
    if part.title == 'Runs' and names:
      body += ['<h2>Curves</h2>', key(runs), '<div class="plots">']
      for name in names:
        body += [plot(runs, name, over, wanted.get(name)) for over in ('images', 'time')]
      body.append('</div>')
  text = (Path(__file__).with_name('page.html')).read_text(encoding='utf-8')
  title = ', '.join(run.label for run in runs)
  return text.replace('<!--title-->', html.escape(title)).replace('<!--body-->', '\n'.join(filter(None, body)))


def table(part: Any) -> str:
  """One table; it scrolls by itself where it is too wide."""
  left = [not right for right in numeric(part.rows)]

  def cell(tag: str, k: int, text: str) -> str:
    kinds = ['word'] * left[k] + ['long'] * (len(text) > LONG)
    kind = f' class="{" ".join(kinds)}"' if kinds else ''
    shown = html.escape(text) if k else re.sub(r'([._])', r'\1<wbr>', html.escape(text))  # names may be broken there
    return f'<{tag}{kind}>{shown}</{tag.split()[0]}>'

  head = ''.join(cell('th scope="col"', k, text) for k, text in enumerate(part.heading))
  rows = [
    '<tr>' + ''.join(cell('td' if k else 'th scope="row"', k, text) for k, text in enumerate(row)) + '</tr>'
    for row in part.rows
  ]
  label = html.escape(part.title, quote=True)
  return (f'<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table><thead><tr>{head}</tr></thead>'
          f'<tbody>{"".join(rows)}</tbody></table></div>')  # fmt: skip


def numeric(rows: Sequence[Sequence[str]]) -> list[bool]:
  """Of each column, whether it has numbers only: these are set to the right."""
  return [all(cell == '' or cell[0] in '-0123456789' for cell in column) for column in zip(*rows, strict=True)]


def style(k: int) -> str:
  """The stroke of the k-th run."""
  dash = DASHES[k // COLORS % len(DASHES)] if k >= COLORS else DASHES[k % len(DASHES)]
  return f'stroke="var(--c{k % COLORS})"' + (f' stroke-dasharray="{dash}"' if dash else '')


def key(runs: Sequence[Run]) -> str:
  """What the lines are."""
  line = '<svg viewBox="0 0 36 10" aria-hidden="true"><path class="line" d="M1 5H35" {}/></svg>'
  items = [f'<li>{line.format(style(k))}{html.escape(run.label)}</li>' for k, run in enumerate(runs)]
  several = any(len(run.courses) > 1 for run in runs)
  note = (
    '<p>Rings mark the best. Thin lines are members of a population, thick ones their mean.</p>'
    if several
    else '<p>Rings mark the best.</p>'
  )
  return f'<ul class="key">{"".join(items)}</ul>{note}'


def plot(runs: Sequence[Run], name: str, over: str, level: float | None) -> str:
  """One metric of all runs, over images shown or over time."""
  series = [[placed(own, name, over) for own in run.courses if name in own.curves] for run in runs]
  thick = [average(own) if len(own) > 1 else own[0] if own else None for own in series]
  xs, ys = (np.concatenate([c[i] for own in series for c in own] or [np.zeros(0)]) for i in (0, 1))
  ys = ys[np.isfinite(ys)]
  if not len(ys):
    return ''
  top = float(xs.max()) or 1.0
  unit, word = scale(top, over)
  marks = [*ys, *([] if level is None else [level])]
  falls = way_of(runs, name) == 'min'  # distances, not shares
  log = falls and min(marks) > 0 and max(marks) / min(marks) > SPREAD
  low, high = limits(min(marks), max(marks), log)
  at_x = lambda x: LEFT + (WIDTH - LEFT - RIGHT) * x / top  # noqa: E731
  bend = math.log if log else float
  at_y = lambda y: TOP + (HEIGHT - TOP - BOTTOM) * (bend(high) - bend(y)) / (bend(high) - bend(low))  # noqa: E731
  out = [
    f'<path class="grid" d="M{LEFT} {at_y(y):.1f}H{WIDTH - RIGHT}"/>'
    f'<text x="{LEFT - 6}" y="{at_y(y) + 4:.1f}" text-anchor="end">{y:g}</text>'
    for y in ticks(low, high, log)
  ]
  out += [
    f'<text x="{at_x(x * unit):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{x:g}</text>'
    for x in ticks(0, top / unit, False)
  ]
  out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 4}" text-anchor="middle">{word}</text>')
  if level is not None:
    out.append(f'<path class="level" d="M{LEFT} {at_y(level):.1f}H{WIDTH - RIGHT}"/>')
  for k, (run, own, main) in enumerate(zip(runs, series, thick, strict=True)):
    if main is None:
      continue
    out += [f'<path class="line member" d="{path(c, at_x, at_y)}" {style(k)}/>' for c in own if len(own) > 1]
    out.append(f'<path class="line" d="{path(main, at_x, at_y)}" {style(k)}/>')
    way = direction(name, run.best_metric)
    found = best(main, way) if way else None
    if found:
      told = f'{run.label}: best {found.value:.4g} at {found.images / unit:.4g} {word}'
      out.append(f'<circle class="best" cx="{at_x(found.images):.1f}" cy="{at_y(found.value):.1f}" r="6" stroke="var(--c{k % COLORS})">'
                 f'<title>{html.escape(told)}</title></circle>')  # fmt: skip
  title = f'{short(name).replace("_", " ")} over {"images shown" if over == "images" else "time"}'
  return (f'<figure><figcaption>{html.escape(title)}</figcaption><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
          f'aria-label="{html.escape(title)}">{"".join(out)}</svg></figure>')  # fmt: skip


def placed(own: Any, name: str, over: str) -> Curve:
  """A curve over images shown, or over seconds."""
  x, y = own.curves[name]
  return (x if over == 'images' else own.times[name]), y


def average(several: Sequence[Curve]) -> Curve:
  """The mean of members' curves, point by point, as far as all go: they measure at the same steps."""
  count = min(len(x) for x, _ in several)
  return tuple(np.mean([c[i][:count] for c in several], 0) for i in (0, 1))  # type: ignore[return-value]


def scale(top: float, over: str) -> tuple[float, str]:
  """The unit of an axis that ends at `top` images or seconds, and its name."""
  units = (
    ((1e6, 'million images'), (1e3, 'thousand images'), (1, 'images'))
    if over == 'images'
    else ((3600, 'hours'), (60, 'minutes'), (1, 'seconds'))
  )
  return next(((float(u), word) for u, word in units if top >= 2 * u), (1.0, units[-1][1]))


def limits(low: float, high: float, log: bool) -> tuple[float, float]:
  """Ends of an axis, with a little air."""
  if log:
    return low / 1.15, high * 1.15
  air = 0.06 * (high - low) or abs(high) * 0.1 or 1.0
  return (low - air if low < 0 or low > (high - low) else 0.0), high + air


def ticks(low: float, high: float, log: bool, about: int = 5) -> list[float]:
  """Round numbers between two ends."""
  if log:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [float(f'{m}e{d}') for d in decades for m in (1, 2, 5) if low <= float(f'{m}e{d}') <= high]
  rough = (high - low) / about
  power = 10 ** math.floor(math.log10(rough))
  step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough)
  return [round(k * step, 10) for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def path(curve: Curve, at_x: Any, at_y: Any) -> str:
  """An SVG path that leaves out what isn't finite."""
  out, pen = [], 'M'
  for x, y in zip(*curve, strict=True):
    if not math.isfinite(y):
      pen = 'M'
      continue
    out.append(f'{pen}{at_x(x):.1f} {at_y(y):.1f}')
    pen = 'L'
  if len(out) == 1:
    out.append('h0.1')  # a point of its own
  return ''.join(out)
