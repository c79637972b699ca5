"""Writes docs/methods/: a page for every method, from its docstring, its fields and what was measured of it.

python docs/build.py

The measurements are benchmarks/results/methods.json, made by benchmarks/methods.py. Pages are in the repository; a test
tells when they are not what this would write.
"""

import inspect
import json
from pathlib import Path
from typing import Any

from ganjax import catalogue
from ganjax.catalogue import Kind
from ganjax.types import Number

ROOT = Path(__file__).parents[1]
PAGED = ('Games', 'Losses', 'Terms', 'Conditioning', 'Stabilisers', 'Augmentations', 'Balance')  # the others have files


def pages() -> dict[str, str]:
  """File name in docs/methods -> its text."""
  measured = json.loads((ROOT / 'benchmarks' / 'results' / 'methods.json').read_text())
  kinds = [kind for kind in catalogue.kinds() if kind.title in PAGED]
  found = {
    file_of(kind, name): page(kind, name, entry, measured)
    for kind in kinds
    for name, entry in kind.entries.items()
    if name != 'none'
  }
  return found | {'README.md': index(kinds)}


def file_of(kind: Kind, name: str) -> str:
  """A page's file: the kind is part of its name, since kinds share names."""
  return f'{kind.title.lower()}-{name}.md'


def page(kind: Kind, name: str, entry: Any, measured: dict[str, Any]) -> str:
  """Idea and equation, fields, cost, what it was seen to do."""
  source = Path(inspect.getsourcefile(entry) or '').relative_to(ROOT)
  parts = [
    f'# {name}',
    f'{kind.title}, `{kind.field}` · [{source}](../../{source})',
    inspect.getdoc(entry) or '',
    *fields(kind, name, entry),
    *seen(f'{kind.title}/{name}', measured),
  ]
  return '\n\n'.join(parts) + '\n'


def fields(kind: Kind, name: str, entry: Any) -> list[str]:
  """A table of the fields: default, and the name in `state.hyper` of those that schedules and populations reach."""
  rows = []
  for field, (annotation, default) in catalogue.fields_of(entry).items():
    kept = f'`{prefix(kind, name)}_{field}`' if annotation is Number else ''
    value = '(needed)' if default is inspect.Parameter.empty else f'`{default!r}`'
    rows.append(f'| `{field}` | {value} | {kept} |')
  if not rows:
    return ['## Fields', 'None.']
  return ['## Fields', '\n'.join(['| field | default | as a number of the state |', '|---|---|---|', *rows])]


def prefix(kind: Kind, name: str) -> str:
  """What a number's name in `state.hyper` begins with."""
  places = {'Terms': f'PLAYER_{name}', 'Stabilisers': name, 'Augmentations': 'augment', 'Games': 'play'}
  return places.get(kind.title, kind.title.lower())


def seen(key: str, measured: dict[str, Any]) -> list[str]:
  """What it costs and what it was seen to do, beside the same training without it."""
  if key not in measured['methods']:
    return []
  found = measured['methods'][key]
  plain = measured['plain'][found['base']]
  rows = [
    '| | without | with |', '|---|---|---|',
    f'| time of a step | 1 | {found["time"]:.2f} |',
    *(f'| {name} | {spread(plain["outcome"][name])} | {spread(values)} |' for name, values in found['outcome'].items()),
  ]  # fmt: skip
  about = measured['bases'][found['base']]
  return [
    '## Seen',
    f'{about} `benchmarks/methods.py`, {measured["machine"]}. Least to most of {measured["seeds"]} seeds; untuned, so it '
    'tells what the default does here, not how good the method is.',
    '\n'.join(rows),
    f'Config: `{json.dumps(found["config"])}`',
  ]


def spread(values: list[float]) -> str:
  """Least to most."""
  low, high = (f'{value:.3g}' for value in (min(values), max(values)))
  return low if low == high else f'{low} to {high}'


def index(kinds: list[Kind]) -> str:
  """The page of pages."""
  parts = ['# Methods', 'One page each, written by `docs/build.py`. The words are in the [glossary](../glossary.md).']
  for kind in kinds:
    lines = [
      f'- [{name}]({file_of(kind, name)}): {catalogue.first_line(entry.__doc__)}'
      for name, entry in kind.entries.items()
      if name != 'none'
    ]
    parts += [f'## {kind.title} (`{kind.field}`)', '\n'.join(lines)]
  return '\n\n'.join(parts) + '\n'


def main() -> None:
  """Writes the pages, and removes those of what is gone."""
  folder = Path(__file__).parent / 'methods'
  folder.mkdir(exist_ok=True)
  found = pages()
  for path in folder.glob('*.md'):
    if path.name not in found:
      path.unlink()
  for name, text in found.items():
    (folder / name).write_text(text)


if __name__ == '__main__':
  main()
