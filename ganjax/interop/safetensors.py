"""The format safetensors: the length of a JSON header (8 bytes), the header, and all bytes in the order of the header."""

import json
import struct
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import ml_dtypes
import numpy as np

from ganjax.interop.torch_file import Choose

TYPES = {'F64': np.float64, 'F32': np.float32, 'F16': np.float16, 'BF16': ml_dtypes.bfloat16, 'I64': np.int64,
         'I32': np.int32, 'I16': np.int16, 'I8': np.int8, 'U64': np.uint64, 'U32': np.uint32, 'U16': np.uint16,
         'U8': np.uint8, 'BOOL': np.bool_}  # fmt: skip
DTYPES = {name: np.dtype(kind).newbyteorder('<') for name, kind in TYPES.items()}
LONGEST = 10**8  # bytes of a header


def header(file: BinaryIO) -> tuple[dict[str, Any], dict[str, str], int]:
  """Each tensor's dtype, shape and data_offsets; the metadata; and where the bytes begin. Raises ValueError."""
  size = file.seek(0, 2)
  file.seek(0)
  (length,) = struct.unpack('<Q', file.read(8)) if size >= 8 else (size,)
  if length > min(LONGEST, size - 8):
    raise ValueError(f'a header of {length} bytes in a file of {size}')
  found = json.loads(file.read(length), object_pairs_hook=unique)
  about = found.pop('__metadata__', {})
  end = 0
  for name, entry in sorted(found.items(), key=lambda item: item[1]['data_offsets']):
    kind, shape, (begin, after) = entry['dtype'], entry['shape'], entry['data_offsets']
    if kind not in DTYPES:
      raise ValueError(f'{name}: numbers of type {kind}; valid are {", ".join(DTYPES)}')
    if any(type(n) is not int or n < 0 for n in shape) or after - begin != prod(shape) * DTYPES[kind].itemsize:
      raise ValueError(f'{name}: {after - begin} bytes for {kind} of shape {shape}')
    if begin != end:
      raise ValueError(f'{name}: begins at byte {begin}, expected {end}')
    end = after
  if 8 + length + end != size:
    raise ValueError(f'{size} bytes, expected {8 + length + end}')
  return found, about, 8 + length


def unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
  """A JSON object whose names are all different."""
  pairs = list(pairs)
  if len(dict(pairs)) != len(pairs):
    raise ValueError('a name that occurs twice in the header')
  return dict(pairs)


def read(path: Path, choose: Choose) -> dict[str, np.ndarray]:
  """The chosen tensors by their new names; bfloat16 as float32. Raises ValueError, OSError."""
  with path.open('rb') as file:
    entries, _, start = header(file)
    made = {}
    for name, new in choose(entries).items():
      begin, end = entries[name]['data_offsets']
      file.seek(start + begin)
      found = np.frombuffer(file.read(end - begin), DTYPES[entries[name]['dtype']]).reshape(entries[name]['shape'])
      made[new] = found.astype(np.float32) if found.dtype == ml_dtypes.bfloat16 else found
  return made


def write(file: BinaryIO, arrays: Mapping[str, np.ndarray], about: Mapping[str, str]) -> None:
  """Arrays by name, with texts about them."""
  names = {dtype: name for name, dtype in DTYPES.items()}
  entries: dict[str, Any] = {'__metadata__': dict(about)}
  end = 0
  for name, x in arrays.items():
    entries[name] = {'dtype': names[x.dtype.newbyteorder('<')], 'shape': x.shape, 'data_offsets': [end, end + x.nbytes]}
    end += x.nbytes
  text = json.dumps(entries).encode()
  text += b' ' * (-len(text) % 8)  # the bytes begin at a multiple of 8
  file.write(struct.pack('<Q', len(text)) + text)
  for x in arrays.values():
    file.write(np.ascontiguousarray(x, x.dtype.newbyteorder('<')).tobytes())
