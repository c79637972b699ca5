"""From a state dict to a tree of variables: every tensor has one place, and every place one tensor."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

Tensors = Mapping[str, np.ndarray]
Path = tuple[str, ...]
Shape = tuple[int, ...]


class Layout(NamedTuple):
  """How an array of theirs becomes one of ours, and back."""

  ours: Callable[[np.ndarray], np.ndarray]
  theirs: Callable[[np.ndarray], np.ndarray]


SAME = Layout(lambda x: x, lambda x: x)
DENSE = Layout(lambda x: x.T, lambda x: x.T)  # [O, I] -> [I, O]
CONV = Layout(lambda x: x.transpose(2, 3, 1, 0), lambda x: x.transpose(3, 2, 0, 1))  # OIHW -> HWIO
ROW = Layout(lambda x: x.reshape(-1), lambda x: x.reshape(1, -1))  # [1, n] -> [n]
IMAGE = Layout(lambda x: x.transpose(1, 2, 0), lambda x: x.transpose(2, 0, 1))  # CHW -> HWC


def flat_input(height: int, width: int) -> Layout:
  """A dense weight [O, C H W] on flattened features -> [H W C, O]."""
  return Layout(
    lambda x: x.reshape(x.shape[0], -1, height, width).transpose(2, 3, 1, 0).reshape(-1, x.shape[0]),
    lambda x: x.reshape(height, width, -1, x.shape[1]).transpose(3, 2, 0, 1).reshape(x.shape[1], -1),
  )


def flat_output(height: int, width: int) -> Layout:
  """A dense weight [C H W, I] or bias [C H W] that makes features -> [I, H W C], [H W C]."""
  return Layout(
    lambda x: np.moveaxis(x.reshape(-1, height, width, *x.shape[1:]), 0, 2).reshape(x.shape).T,
    lambda x: np.moveaxis(x.T.reshape(height, width, -1, *x.T.shape[1:]), 2, 0).reshape(x.T.shape),
  )


def flat_taps(kernel: int) -> Layout:
  """A vector over the inputs of a convolution, [I k k] -> [k k I]."""
  return Layout(
    lambda x: x.reshape(-1, kernel, kernel).transpose(1, 2, 0).reshape(-1),
    lambda x: x.reshape(kernel, kernel, -1).transpose(2, 0, 1).reshape(-1),
  )


def half(which: int) -> Layout:
  """One half of the columns of [N, 2 C] -> [N, C]."""
  return Layout(lambda x: np.split(x, 2, 1)[which], lambda x: np.concatenate([x, x], 1))


def by_rank(rank: int) -> Layout:
  """The layout of a weight with so many axes, where it isn't special."""
  return {2: DENSE, 4: CONV}.get(rank, SAME)


def shapes(module: Any, *args: Any) -> dict[Path, Shape]:
  """Path -> shape of every variable of a module on such arguments."""
  variables = jax.eval_shape(module.init, jax.random.key(0), *args)
  return {path: leaf.shape for path, leaf in traverse_util.flatten_dict(variables).items()}


def fill(wanted: Mapping[Path, Shape], tensors: Tensors, place: Callable[[Path, int], tuple[str, Layout]],
         known: Mapping[str, Shape | None] | None = None) -> dict[str, Any]:  # fmt: skip
  """The variables, float32.

  Args:
    wanted: path -> shape, from `shapes`.
    tensors: name -> array.
    place: (path, axes) -> the tensor's name and layout.
    known: tensors that must be there but have no place, by name: their shapes, None where that was checked.

  Raises:
    ValueError: missing, left over or wrongly shaped tensors, by name.
  """
  places = {path: place(path, len(shape)) for path, shape in wanted.items()}
  known = known or {}
  names = {name for name, _ in places.values()} | set(known)
  refuse('missing tensors', names - set(tensors))
  refuse('tensors with no place', set(tensors) - names)
  for name, shape in known.items():
    if shape is not None:
      expect(name, tensors[name], shape)
  found = {}
  for path, (name, layout) in places.items():
    expect(name, tensors[name], layout.theirs(np.broadcast_to(np.float32(0), wanted[path])).shape)
    if not np.issubdtype(tensors[name].dtype, np.floating):
      raise ValueError(f'{name}: {tensors[name].dtype}; valid are floating-point numbers')
    found[path] = jnp.asarray(layout.ours(tensors[name]), jnp.float32)
  return traverse_util.unflatten_dict(found)


def expect(name: str, value: np.ndarray, shape: Shape) -> None:
  """Raises ValueError for a tensor of another shape."""
  if value.shape != shape:
    raise ValueError(f'{name}: shape {value.shape}; valid is {shape}')


def refuse(what: str, names: Iterable[str]) -> None:
  """Raises ValueError if there are names, with the first of them."""
  found = sorted(names)
  if found:
    more = f' and {len(found) - 5} more' if len(found) > 5 else ''
    raise ValueError(f'{what}: {", ".join(found[:5])}{more}')


def options(given: Mapping[str, Any], valid: Iterable[str]) -> dict[str, Any]:
  """The constructor's keywords, refused by name if unknown."""
  valid = sorted(valid)
  for name in given:
    if name not in valid:
      raise ValueError(f'{name}: unknown keyword; valid are {", ".join(valid)}')
  return dict(given)


def size(tensors: Tensors, places: Sequence[tuple[str, int]], given: Any = None) -> Any:
  """`given`, or what most of the (tensor, axis) that are there agree on: one wrong shape can't mislead."""
  if given is not None:
    return given
  found = [tensors[name].shape[axis] for name, axis in places if name in tensors and tensors[name].ndim > axis]
  if not found:
    raise ValueError(f'missing tensors: {", ".join(name for name, _ in places)}')
  return most_common(found)


def channels(tensors: Tensors, places: Sequence[tuple[str, int]], given: int | None = None) -> int:
  """The image's channels, as in `size`, 1 or 3."""
  found = [size(tensors, [place]) for place in places if place[0] in tensors]
  valid = [count for count in found if count in (1, 3)]
  if found and not valid and given is None:
    name = next(name for name, _ in places if name in tensors)
    raise ValueError(f'{name}: shape {tensors[name].shape}; valid are images of 1 or 3 channels')
  return most_common(valid) if valid and given is None else size(tensors, places, given)


def most_common(values: Iterable[Hashable]) -> Any:
  """The value that occurs most often."""
  return Counter(values).most_common(1)[0][0]


def taps_of(tensors: Tensors, names: Sequence[str], default: Sequence[float]) -> tuple[float, ...]:
  """The taps of the filter that the buffers `names` hold: [n, n], or [n], of sum 1.

  Raises:
    ValueError: one that differs from the others, or is no product of rows and columns.
  """
  there = [name for name in names if name in tensors]
  if not there:
    return tuple(default)
  common = most_common(tensors[name].tobytes() for name in there)
  for name in there:
    if tensors[name].tobytes() != common:
      raise ValueError(f'{name}: filter of shape {tensors[name].shape}; valid is that of the other layers')
  kernel = tensors[there[0]].astype(np.float64)
  taps = kernel if kernel.ndim == 1 else kernel.sum(0)
  if kernel.ndim not in (1, 2) or (kernel.ndim == 2 and not np.allclose(np.outer(taps, taps), kernel, atol=1e-6)):
    raise ValueError(f'{there[0]}: shape {kernel.shape}; valid are filters along rows times filters along columns')
  usual = np.asarray(default) / np.sum(default)
  return tuple(default) if taps.shape == usual.shape and np.allclose(taps, usual) else tuple(map(float, taps))
