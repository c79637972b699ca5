"""What can go wrong for a user, each with one message that says what to do. `main` prints them without a traceback."""

import difflib
from collections.abc import Iterable


class GanjaxError(Exception):
  """An error that a user can mend; `code` is the exit code of the command."""

  code = 1


class ConfigError(GanjaxError, ValueError):
  """A field of the config, or a --flag, that can't be: names it, what was given and what is valid."""

  code = 2

  def __init__(self, field: str, given: object, valid: str, nearest: str | None = None) -> None:
    hint = f'; did you mean {nearest!r}?' if nearest else ''
    where = field if field.startswith('--') else f'config.{field}'
    super().__init__(f'{where}: given {given!r}, valid: {valid}{hint}')
    self.field, self.given, self.valid, self.nearest = field, given, valid, nearest


class DataError(GanjaxError, ValueError):
  """Data that can't be used: names the file or the record."""

  code = 3


class CheckpointError(GanjaxError, ValueError):
  """A checkpoint that can't be written, read or continued: names the path."""

  code = 4


class TrainingError(GanjaxError, RuntimeError):
  """A training that can't go on: names the step, the player and the term."""

  code = 5


class Interrupted(GanjaxError):
  """A signal stopped the training after its state was saved; the same command continues it."""

  code = 75  # EX_TEMPFAIL


def nearest(name: str, names: Iterable[str]) -> str | None:
  """The valid name that looks most like `name`, if any does."""
  return next(iter(difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)), None)


def unknown(field: str, name: object, names: Iterable[str]) -> ConfigError:
  """The error for a name that isn't among `names`."""
  names = sorted(names)
  return ConfigError(field, name, ', '.join(names) or 'nothing', nearest(str(name), names))
