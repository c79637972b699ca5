"""What there is to combine: `ganjax list`."""

import ast
import importlib
import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from ganjax import config, lookup
from ganjax.evals import features
from ganjax.evals.measures import MEASURES
from ganjax.schema import Field, keywords


class Kind(NamedTuple):
  """Pieces that stand in the same place of a config."""

  title: str
  field: str  # where a config names one
  entries: dict[str, Any]  # name -> the function, or the module


def kinds() -> list[Kind]:
  """All that a config may name, but for experiments."""
  return [
    Kind('Games', 'game; fields: play', modules('games')),
    Kind('Losses', 'loss.name', functions('losses')),
    Kind('Terms', 'terms.PLAYER.NAME', functions('terms')),
    Kind('Conditioning', 'conditioning.name', functions('conditioning')),
    Kind('Stabilisers', 'stabilizers.NAME', functions('stabilizers')),
    Kind('Augmentations', 'augment.name', functions('augment')),
    Kind('Balance', 'balance.PLAYER.name', functions('balance')),
    Kind('Networks', 'generator.name, discriminator.name, encoder.name', modules('nets')),
    Kind('Optimisers', 'optimizer.PLAYER.name', functions('optim')),
    Kind('Data', 'data.name', functions('data.sources')),
  ]


def catalogue() -> str:
  """Experiments and every kind of piece, with a line each."""
  experiments = ((name, docstring(path)) for name, path in config.experiments().items())
  parts = [section('Experiments (--config NAME)', experiments)]
  for kind in kinds():
    lines = ((name, first_line(entry.__doc__) + listed(fields_of(entry))) for name, entry in kind.entries.items())
    parts.append(section(f'{kind.title} ({kind.field})', lines))
  measured = ((name, first_line(measure.compute.__doc__)) for name, measure in MEASURES.items())
  parts.append(section('Metrics (evaluate_metrics, --metrics)', measured))
  networks = ((name, opening(place)) for name, place in features.NETWORKS.items())
  parts.append(section('Feature networks (evaluate_features, --features)', networks))
  return '\n\n'.join(parts)


def opening(place: str) -> str:
  """What is told of a feature network: by the function that opens it."""
  module, _, function = place.partition(':')
  found = getattr(importlib.import_module(f'ganjax.evals.features.{module}'), function or 'open')
  return first_line(getattr(found, 'func', found).__doc__)  # of a partial: what it is of


def fields_of(entry: Any) -> dict[str, Field]:
  """The fields that a config may set: a function's, or those of a game. A network's are in its file."""
  if inspect.ismodule(entry):
    return keywords(entry.game) if hasattr(entry, 'game') else {}
  return keywords(entry, ('split', 'player'))


def section(title: str, rows: Iterable[tuple[str, str]]) -> str:
  """A heading over aligned rows."""
  return '\n'.join([title, *(f'  {name:<22} {line}' for name, line in rows)])


def modules(room: str) -> dict[str, Any]:
  """The modules of a package."""
  return {name: importlib.import_module(f'ganjax.{room}.{name}') for name in lookup.members(room)}


def functions(module: str) -> dict[str, Any]:
  """The public functions of a module."""
  found = importlib.import_module(f'ganjax.{module}')
  return {name: getattr(found, name) for name in found.__all__}


def listed(names: Iterable[str]) -> str:
  """Fields in brackets, if there are any."""
  text = ', '.join(names)
  return f' [{text}]' if text else ''


def docstring(path: Path) -> str:
  """The first line of a file's docstring, without running the file."""
  return first_line(ast.get_docstring(ast.parse(path.read_text())))


def first_line(text: str | None) -> str:
  """Of a docstring."""
  return (text or '').strip().partition('\n')[0]
