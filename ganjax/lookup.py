"""Names -> modules and functions of ganjax, or of the user's own, with errors that name the field."""

import importlib
import pkgutil
import types
from collections.abc import Callable
from typing import Any

from ganjax.errors import ConfigError, unknown

# Fields of networks that the data or the rest of the config decides.
FROM_SPEC = ('resolution', 'channels', 'classes', 'features', 'dtype', 'inside', 'heads', 'proxies')
SHARED = ('layers', 'heads', 'attention', 'equalized', 'pix2pix')  # modules of nets/ that are no network


def module_of(room: str, name: Any, field: str) -> types.ModuleType:
  """The module `name` of package ganjax.<room>, or a dotted module of the user's."""
  names = members(room)
  if name in names:
    return importlib.import_module(f'ganjax.{room}.{name}')
  if isinstance(name, str) and '.' in name:
    try:
      return importlib.import_module(name)
    except (ImportError, TypeError, ValueError) as error:  # a name such as '.a' is no module's
      raise ConfigError(field, name, f'a module that can be imported ({error})') from error
  raise unknown(field, name, names)


def members(room: str) -> list[str]:
  """The modules of a package of ganjax that hold what it is for."""
  package = importlib.import_module(f'ganjax.{room}')
  return [info.name for info in pkgutil.iter_modules(package.__path__) if room != 'nets' or info.name not in SHARED]


def member_of(module: str, name: Any, field: str) -> Callable[..., Any]:
  """A public function of a module of ganjax, by name."""
  found = importlib.import_module(f'ganjax.{module}')
  if name not in found.__all__:
    raise unknown(field, name, found.__all__)
  return getattr(found, name)


def target(section: str, name: Any) -> tuple[Callable[..., Any], tuple[str, ...]]:
  """What the `name` of a section stands for, and those of its keywords that a config doesn't set."""
  field = f'{section}.name'
  if section == 'data':
    return member_of('data.sources', name, field), ('split',)
  if section == 'loss':
    return member_of('losses', name, field), ()
  if section in ('augment', 'conditioning'):
    return member_of(section, name, field), ()
  if section.startswith('balance.'):
    return member_of('balance', name, field), ()
  if section.startswith('optimizer.'):
    return member_of('optim', name, field), ()
  kind = 'Discriminator' if section == 'encoder' else section.capitalize()  # heads of it say what a latent is
  found = getattr(module_of('nets', name, field), kind, None)
  if found is None:
    raise ConfigError(field, name, f'a module with a {kind}')
  return found, FROM_SPEC
