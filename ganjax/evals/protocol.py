"""How a number was made: what two results must share to be comparable, and a fingerprint of it."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

FREE = ('fake.seed', 'versions')  # may differ between comparable results


def flat(protocol: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
  """Nested fields as 'real.split' -> value."""
  found: dict[str, Any] = {}
  for name, value in protocol.items():
    found |= flat(value, f'{prefix}{name}.') if isinstance(value, Mapping) else {prefix + name: value}
  return found


def binding(protocol: Mapping[str, Any]) -> dict[str, Any]:
  """The fields that two results must share to be comparable, flat."""
  free = tuple(f'{name}.' for name in FREE)
  return {name: value for name, value in flat(protocol).items() if not f'{name}.'.startswith(free)}


def fingerprint(protocol: Mapping[str, Any]) -> str:
  """16 hex digits that differ where binding fields do."""
  text = json.dumps(binding(protocol), sort_keys=True, default=str)
  return hashlib.sha256(text.encode()).hexdigest()[:16]


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
  """Binding fields in which two protocols differ, in words: 'real.split: train, all'; [] where none does."""
  here, there = binding(a), binding(b)
  absent = lambda fields, name: fields.get(name, '(not told)')  # noqa: E731
  return [
    f'{name}: {absent(here, name)}, {absent(there, name)}'
    for name in sorted({*here, *there})
    if json.dumps(here.get(name), default=str) != json.dumps(there.get(name), default=str)
  ]
