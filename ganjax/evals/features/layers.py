"""Layers of the feature networks: convolutions with a bias and a ReLU, pools, and batch norm folded into the former."""

import functools
from collections.abc import Callable, Mapping

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from ganjax.interop.tensors import Path, Tensors, expect, refuse
from ganjax.ops import winograd
from ganjax.ops.conv import conv, on_cpu
from ganjax.types import Array


class Conv(nn.Module):
  """Convolution, bias, ReLU."""

  features: int
  kernel: tuple[int, int]
  stride: int = 1
  padding: tuple[int, int] = (0, 0)  # rows, columns
  relu: bool = True
  fewer: bool = False  # see `convolve`

  @nn.compact
  def __call__(self, x: Array) -> Array:
    w = self.param('kernel', nn.initializers.lecun_normal(), (*self.kernel, x.shape[-1], self.features))
    b = self.param('bias', nn.initializers.zeros_init(), (self.features,))
    y = convolve(x, w, self.stride, self.padding, self.fewer) + b
    return nn.relu(y) if self.relu else y


def convolve(x: Array, w: Array, stride: int, padding: tuple[int, int], fewer: bool) -> Array:
  """A convolution; on the CPU, where `fewer`, a 3x3 one without padding with fewer products."""
  if not (fewer and on_cpu()):
    return conv(x, w, stride=stride, padding=tuple((p, p) for p in padding))
  height, width = x.shape[1] - 2, x.shape[2] - 2
  whole = jnp.pad(x, ((0, 0), (0, x.shape[1] % 2), (0, x.shape[2] % 2), (0, 0)))  # the algorithm takes even sizes
  return winograd.forward(winograd.PLAIN, whole, w)[:, 1 : 1 + height, 1 : 1 + width]


# Pools as sums and maxima of shifted images: XLA's windowed reductions take several times as long on the CPU.


def max_pool(x: Array, stride: int, window: int = 3, padding: int = 0) -> Array:
  """Maxima of x [B, H, W, C] over windows."""
  return windows(jnp.maximum, padded(x, padding, -jnp.inf), stride, window)


def average_pool(x: Array, window: int = 3) -> Array:
  """Averages of x [B, H, W, C] over windows around each pixel, of those pixels that are there."""
  counts = [
    np.minimum(np.arange(n) + window // 2, n - 1) - np.maximum(np.arange(n) - window // 2, 0) + 1 for n in x.shape[1:3]
  ]
  total = windows(jnp.add, padded(x, window // 2, 0), 1, window)
  return total / np.outer(*counts).astype(np.float32)[..., None]


def padded(x: Array, by: int, value: float) -> Array:
  """Rows and columns of a value around images."""
  return jnp.pad(x, ((0, 0), (by, by), (by, by), (0, 0)), constant_values=value)


def windows(reduce: Callable[[Array, Array], Array], x: Array, stride: int, window: int) -> Array:
  """Reduces along rows, then along columns."""
  for axis in (1, 2):
    before, span = (slice(None),) * axis, x.shape[axis] - window
    x = functools.reduce(reduce, [x[(*before, slice(i, i + span + 1, stride))] for i in range(window)])
  return x


# Batch norm in evaluation mode is linear: folded into the convolution before it, it costs nothing.


def folded(tensors: Tensors, layer: str, norm: str, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
  """PyTorch's convolution (without bias) and the batch norm behind it, by their names, as kernel HWIO and bias [O]."""
  weight, bias, mean, var = (
    tensors[f'{norm}.{leaf}'].astype(np.float64) for leaf in ('weight', 'bias', 'running_mean', 'running_var')
  )
  scale = weight / np.sqrt(var + epsilon)
  kernel = tensors[f'{layer}.weight'].transpose(2, 3, 1, 0) * scale
  return kernel.astype(np.float32), (bias - mean * scale).astype(np.float32)


def all_folded(tensors: Tensors, norms: Mapping[str, str], epsilon: float) -> dict[str, np.ndarray]:
  """The tensors with every batch norm folded into its convolution, NAME.weight OIHW and NAME.bias.

  Args:
    tensors: a state dict.
    norms: a convolution's name -> its batch norm's.
    epsilon: of the batch norms.

  Raises: ValueError for missing or wrongly shaped tensors, by name.
  """
  leaves = {
    norm: [f'{norm}.{leaf}' for leaf in ('weight', 'bias', 'running_mean', 'running_var')] for norm in norms.values()
  }
  wanted = {f'{layer}.weight' for layer in norms} | {name for names in leaves.values() for name in names}
  refuse('missing tensors', wanted - set(tensors))
  used = wanted | {f'{norm}.num_batches_tracked' for norm in norms.values()}
  found = {name: x for name, x in tensors.items() if name not in used}
  for layer, norm in norms.items():
    weight = tensors[f'{layer}.weight']
    if weight.ndim != 4:
      raise ValueError(f'{layer}.weight: shape {weight.shape}; valid are 4 axes')
    for name in leaves[norm]:
      expect(name, tensors[name], weight.shape[:1])
    kernel, found[f'{layer}.bias'] = folded(tensors, layer, norm, epsilon)
    found[f'{layer}.weight'] = kernel.transpose(3, 2, 0, 1)
  return found


def torch_name(path: Path) -> str:
  """PyTorch's name of a leaf whose modules are called as there, with '_' for '.'."""
  leaf = {'kernel': 'weight', 'scale': 'weight'}.get(path[-1], path[-1])
  return '.'.join([*path[1:-1], leaf]).replace('_', '.')
