"""A state as named arrays on the host, and back: what a checkpoint holds, and whether it fits."""

import hashlib
import logging
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ganjax.errors import CheckpointError
from ganjax.state import TrainState

log = logging.getLogger(__name__)


def snapshot(state: TrainState) -> dict[str, tuple[np.ndarray, dict[str, Any]]]:
  """Host copies of the leaves by path, with what describes them."""
  local = {}
  for path, leaf in flatten(state).items():
    if isinstance(leaf, jax.Array):
      if leaf.sharding.is_fully_replicated:
        # A view of its own: the array keeps no host copy, which would stand in the way of its donation.
        leaf = leaf.addressable_data(0)
      elif not leaf.is_fully_addressable:
        raise CheckpointError(f'{path} is split over processes: only replicated states can be saved')
    about = describe(leaf)
    if is_key(leaf):
      about['impl'] = str(jax.random.key_impl(leaf))
      leaf = jax.random.key_data(leaf)
    if isinstance(leaf, jax.Array):
      leaf.copy_to_host_async()
    local[path] = (leaf, about)
  return {path: (np.array(leaf), about) for path, (leaf, about) in local.items()}


def select(template: TrainState, saved: dict[str, Any], strict: bool, where: Path) -> list[str]:
  """The paths to take from the checkpoint. Raises CheckpointError where it doesn't fit the template."""
  wanted = {path: describe(leaf) for path, leaf in flatten(template).items()}
  fits, differ = [], []
  for path in sorted({*wanted, *saved}):
    here, there = wanted.get(path), saved.get(path)
    if here and there and (here['shape'], here['dtype']) == (there['shape'], there['dtype']):
      fits.append(path)
    elif (here and there) or not path.startswith('hyper/'):
      differ.append(f'{path}: saved {short(there)}, expected {short(here)}')
  if differ:
    shown = '\n  '.join(differ[:12] + ([f'and {len(differ) - 12} more'] if len(differ) > 12 else []))
    if strict:
      raise CheckpointError(
        f'{where} does not fit this config:\n  {shown}\n--adopt continues, with what does not fit starting anew'
      )
    log.warning('%s fits only in part; the rest starts anew:\n  %s', where, shown)
  return fits


def place(template: TrainState, arrays: dict[str, np.ndarray], saved: dict[str, Any], sharding: Any) -> TrainState:
  """The template with `arrays` in their places, on its devices, in buffers of their own."""
  leaves = []
  for path, leaf in flatten(template).items():
    if path not in arrays:
      if isinstance(leaf, jax.ShapeDtypeStruct):
        raise CheckpointError(f'{path} is not in the checkpoint, and the template has no value for it')
      leaves.append(leaf)
      continue
    data, to = arrays[path], sharding or getattr(leaf, 'sharding', None)
    if jax.process_count() > 1 and to is not None:
      array = jax.make_array_from_callback(data.shape, to, data.__getitem__)
    else:
      array = jax.device_put(data, to, may_alias=False)
    impl = saved[path].get('impl')
    leaves.append(jax.random.wrap_key_data(array, impl=impl) if impl else array)
  return jax.tree.unflatten(jax.tree.structure(template), leaves)


def short(about: dict[str, Any] | None) -> str:
  """An array in a message: 'float32[3, 4]'."""
  return f'{about["dtype"]}{about["shape"]}' if about else 'absent'


def flatten(tree: Any) -> dict[str, Any]:
  """Leaves by path, as 'params/g/Dense_0/kernel'."""
  leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
  return {jax.tree_util.keystr(path, simple=True, separator='/'): leaf for path, leaf in leaves}


def nest(leaves: dict[str, Any]) -> dict[str, Any]:
  """Dicts within dicts: tuples and optimiser states need not exist any more to be read."""
  tree: dict[str, Any] = {}
  for path, leaf in leaves.items():
    *parents, last = path.split('/')
    node = tree
    for name in parents:
      node = node.setdefault(name, {})
    node[last] = leaf
  return tree


def describe(leaf: Any) -> dict[str, Any]:
  """Shape and dtype, as JSON has them."""
  return {'shape': list(leaf.shape), 'dtype': str(leaf.dtype)}


def is_key(leaf: Any) -> bool:
  """Whether a leaf is a typed PRNG key."""
  return jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def hash_of(array: np.ndarray) -> str:
  """Of shape, dtype and bytes."""
  found = hashlib.sha256(f'{array.dtype}{array.shape}'.encode())
  found.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
  return found.hexdigest()[:32]
