"""What there is to combine: `ganjax list`."""

import ast
import importlib
from collections.abc import Callable, Iterable
from pathlib import Path

from ganjax import config, lookup
from ganjax.schema import keywords


def catalogue() -> str:
  """Experiments, games, networks, losses, terms, optimisers and data, with a line each."""
  parts = [
    section('Experiments (--config NAME)', ((name, docstring(path)) for name, path in config.experiments().items())),
    section('Games (game; fields: play)', games()),
    section('Networks (generator.name, discriminator.name)', modules('nets')),
    section('Losses (loss.name)', functions('losses')),
    section('Terms (terms.PLAYER.NAME)', functions('terms')),
    section('Augmentations (augment.name)', functions('augment')),
    section('Optimisers (optimizer.PLAYER.name)', functions('optim')),
    section('Data (data.name)', functions('data.sources')),
  ]
  return '\n\n'.join(parts)


def section(title: str, rows: Iterable[tuple[str, str]]) -> str:
  """A heading over aligned rows."""
  return '\n'.join([title, *(f'  {name:<22} {line}' for name, line in rows)])


def modules(room: str) -> list[tuple[str, str]]:
  """The modules of a package with the first line of each docstring."""
  found = [(name, importlib.import_module(f'ganjax.{room}.{name}')) for name in lookup.members(room)]
  return [(name, first_line(module.__doc__)) for name, module in found]


def games() -> list[tuple[str, str]]:
  """The games with the first line of each docstring and the fields it takes."""
  return [(name, line + fields(lookup.module_of('games', name, 'game').game)) for name, line in modules('games')]


def functions(module: str) -> list[tuple[str, str]]:
  """The public functions of a module, each with its keywords."""
  found = importlib.import_module(f'ganjax.{module}')
  return [(name, described(getattr(found, name))) for name in found.__all__]


def described(function: Callable[..., object]) -> str:
  """The first line of the docstring, and the fields it takes."""
  return first_line(function.__doc__) + fields(function)


def fields(function: Callable[..., object]) -> str:
  """The fields that a function takes, in brackets, if there are any."""
  names = ', '.join(keywords(function, ('split',)))
  return f' [{names}]' if names else ''


def docstring(path: Path) -> str:
  """The first line of a file's docstring, without running the file."""
  return first_line(ast.get_docstring(ast.parse(path.read_text())))


def first_line(text: str | None) -> str:
  """Of a docstring."""
  return (text or '').strip().partition('\n')[0]
