"""Fields of a config: what a function's keywords allow, and the check of one value."""

import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ganjax.errors import ConfigError, nearest
from ganjax.types import Number

POSITIVE = ('batch_size', 'microbatches', 'steps', 'steps_per_call', 'latent_dim', 'n_critic', 'log_every', 'keep',
            'samples', 'evaluate_num', 'every', 'over_kimg', 'halflife_kimg', 'width', 'resolution', 'kimg', 'sigma', 'size',
            'temperature', 'dimension')  # fmt: skip
UNIT = ('b1', 'b2', 'decay', 'momentum')  # [0, 1)
SHARE = ('share',)  # [0, 1]
SIGNED = ('a', 'b', 'c', 'end', 'begin', 'centres')  # may be negative


class Field(NamedTuple):
  annotation: Any
  default: Any  # inspect.Parameter.empty if there is none


def keywords(function: Callable[..., Any], without: Sequence[str] = ()) -> dict[str, Field]:
  """The keyword parameters of a function, or the fields of a Linen module, that a config may set."""
  is_module = inspect.isclass(function)
  skip = {*without, 'parent', 'name'} if is_module else set(without)
  return {
    name: Field(parameter.annotation, parameter.default)
    for name, parameter in inspect.signature(function, eval_str=True).parameters.items()
    if name not in skip and (is_module or parameter.kind is parameter.KEYWORD_ONLY)
  }


def fit(field: str, value: Any, annotation: Any, default: Any) -> Any:
  """`value` as its field's type, or ConfigError."""
  if annotation is inspect.Parameter.empty or annotation is Any:
    annotation = type(default) if default not in (None, inspect.Parameter.empty) else object
  origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
  if annotation is Number:
    annotation = float
  elif origin is typing.Literal:
    return one_of(field, value, arguments)
  elif origin in (typing.Union, types.UnionType):
    for option in arguments:
      try:
        return fit(field, value, option, default)
      except ConfigError:
        pass
    raise ConfigError(field, value, str(annotation))
  elif origin in (tuple, Sequence, list) or annotation in (tuple, list):
    if not isinstance(value, (tuple, list)):
      raise ConfigError(field, value, 'a list such as (1, 2)')
    return tuple(fit(field, item, arguments[0] if arguments else Any, None) for item in value)
  if annotation in (int, float) and isinstance(value, (int, float)) and not isinstance(value, bool):
    return number(field, value, annotation)
  if annotation is types.NoneType:
    annotation = type(None)
  if (
    isinstance(annotation, type)
    and isinstance(value, annotation)
    and not (annotation is int and isinstance(value, bool))
  ):
    return value
  raise ConfigError(field, value, f'a value of type {getattr(annotation, "__name__", annotation)}')


def number(field: str, value: float, kind: type) -> float:
  """A finite number in its field's range."""
  name = field.rpartition('.')[2]
  if not abs(value) < 2**31:
    raise ConfigError(field, value, 'a finite number below 2**31')
  if kind is int and value != int(value):
    raise ConfigError(field, value, 'a whole number')
  if name in POSITIVE and value <= 0:
    raise ConfigError(field, value, 'a number above 0')
  if name in UNIT and not 0 <= value < 1:
    raise ConfigError(field, value, 'a number from 0 to below 1')
  if name in SHARE and not 0 <= value <= 1:
    raise ConfigError(field, value, 'a number from 0 to 1')
  if name not in SIGNED and value < 0:
    raise ConfigError(field, value, 'a number of at least 0')
  return kind(value)


def one_of(field: str, value: Any, choices: Sequence[Any]) -> Any:
  """`value` if it is among `choices`."""
  if value not in choices or isinstance(value, bool) != any(isinstance(c, bool) for c in choices if c == value):
    raise ConfigError(field, value, ' or '.join(map(repr, choices)), nearest(str(value), map(str, choices)))
  return value


def mapping(field: str, value: Any) -> dict[str, Any]:
  """`value` if it is a section."""
  if not isinstance(value, Mapping):
    raise ConfigError(field, value, 'a section with fields')
  return dict(value)


def fill(section: str, given: Mapping[str, Any], fields: Mapping[str, Field]) -> dict[str, Any]:
  """Given values, checked, and defaults."""
  given = mapping(section, given)
  for name, value in given.items():
    if name not in fields:
      raise ConfigError(
        f'{section}.{name}', value, 'one of the fields ' + (', '.join(fields) or '(none)'), nearest(name, fields)
      )
  filled = {}
  for name, (annotation, default) in fields.items():
    if name not in given and default is inspect.Parameter.empty:
      raise ConfigError(f'{section}.{name}', None, 'a value: this field has no default')
    filled[name] = fit(f'{section}.{name}', given[name], annotation, default) if name in given else default
  return filled
