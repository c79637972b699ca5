"""The sources of data, by name: a function each, whose keywords are the fields of `config.data`."""

import inspect
from collections.abc import Mapping
from typing import Any

from ganjax.data.arrays import arrays
from ganjax.data.cifar10 import cifar10
from ganjax.data.digit_pairs import digit_pairs
from ganjax.data.digits import digits
from ganjax.data.folder import folder
from ganjax.data.mixture import mixture
from ganjax.data.pairs import domains, pairs
from ganjax.data.select import selected
from ganjax.data.spec import Source
from ganjax.data.super_resolution import super_resolution
from ganjax.data.tfds import tfds
from ganjax.data.voxels import voxels
from ganjax.errors import ConfigError, nearest, unknown

__all__ = ['arrays', 'cifar10', 'digit_pairs', 'digits', 'domains', 'folder', 'mixture', 'pairs', 'super_resolution',
           'tfds', 'voxels']  # fmt: skip

SELECT_FIELDS = ('labels', 'scores', 'easiest', 'blur')  # of every source, for `selected`
FEED_FIELDS = ('flip', 'jitter', 'resident', 'workers', 'prefetch')  # of `config.data`, for open_feed


def open_source(config: Mapping[str, Any], *, split: str = 'train') -> Source:
  """The source that `config.data` describes.

  Args:
    config: 'name' (one of `__all__`) and keywords of that function; fields for the feed are passed over.
    split: 'train' or 'test' (held out).

  Raises: ConfigError for a field that can't be, DataError for data that can't be used.
  """
  if split not in ('train', 'test'):
    raise unknown('data.split', split, ('train', 'test'))
  given = {name: config[name] for name in config if name not in ('name', *FEED_FIELDS, *SELECT_FIELDS)}
  name = config.get('name')
  if name not in __all__:
    raise unknown('data.name', name, __all__)
  source = globals()[name]
  fields = {field: p for field, p in inspect.signature(source).parameters.items() if field != 'split'}
  for field, parameter in fields.items():
    if parameter.default is parameter.empty and field not in given:
      raise ConfigError(f'data.{field}', None, f'a value: {name!r} has no default for it')
  for field in given:
    if field not in fields:
      valid = f'one of the fields {", ".join(sorted(fields))}'
      raise ConfigError(f'data.{field}', given[field], valid, nearest(field, fields))
  chosen = {name: config[name] for name in SELECT_FIELDS if name in config}
  if split == 'test':  # the scores are of the examples to train on
    chosen = {name: value for name, value in chosen.items() if name not in ('scores', 'easiest')}
  return selected(source(split=split, **given), **chosen)
