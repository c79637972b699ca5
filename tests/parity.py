"""What the parity tests share: a fixture of ../shared/parity, and arrays compared relative to their largest number."""

import json
from typing import Any

import jax.numpy as jnp
import numpy as np
from conftest import shared
from flax import traverse_util

from ganjax.interop import from_torch

BOUND = 1e-4  # of the largest number of each array


class Fixture:
  """One fixture: arrays by name, networks with its weights, and gradients in our layout."""

  def __init__(self, name: str) -> None:
    self.arrays = np.load(shared(f'parity/{name}.npz'), allow_pickle=False)
    self.meta = json.loads(str(self.arrays['meta']))
    self.cfg = self.meta['cfg']

  def __getitem__(self, name: str) -> jnp.ndarray:
    value = self.arrays[name]
    return jnp.asarray(value.transpose(0, 2, 3, 1) if value.ndim == 4 else value)

  def group(self, prefix: str) -> dict[str, np.ndarray]:
    return {key[len(prefix) :]: self.arrays[key] for key in self.arrays.files if key.startswith(prefix)}

  def network(self, kind: str, net: str) -> tuple[Any, dict[str, Any]]:
    return from_torch(kind, self.group(f'param/{net}/'), **self.cfg)

  def gradients(self, kind: str, net: str, group: str) -> dict[str, Any]:
    """The gradients under grad/<group>/ as a tree of our parameters."""
    tensors = self.group(f'param/{net}/') | self.group(f'grad/{group}/')
    return from_torch(kind, tensors, **self.cfg)[1]['params']


def close(ours: Any, theirs: Any, bound: float = BOUND) -> float:
  """The largest difference relative to its array, if none is above the bound."""
  found, wanted = flat(ours), flat(theirs)
  assert set(found) == set(wanted)
  worst = 0.0
  for name, value in wanted.items():
    assert found[name].shape == value.shape, name
    difference = np.abs(found[name] - value).max() / max(np.abs(value).max(), 1e-30)
    assert difference <= bound or np.abs(found[name] - value).max() == 0, (name, difference)
    worst = max(worst, float(difference))
  return worst


def flat(tree: Any) -> dict[str, np.ndarray]:
  leaves = traverse_util.flatten_dict(tree, sep='/') if isinstance(tree, dict) else {'': tree}
  return {name: np.asarray(value) for name, value in leaves.items()}
