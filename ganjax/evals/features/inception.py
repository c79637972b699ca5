"""Inception-V3 as the Fréchet Inception distance uses it (Heusel et al. 2017, arXiv:1706.08500).

The network of Szegedy et al. 2016 (arXiv:1512.00567) as TensorFlow published it on 2015-12-05, with the weights that
pytorch-fid and torch-fidelity converted. It differs from other Inception-V3s: 1,008 classes, average pools that leave
out the padding, and a maximum pool in the last block.

Batch norm is folded into the convolutions, 1x1 convolutions of the same input are one, and averages are taken
behind the 1x1 convolution instead of before it, where there are fewer channels: the same function, sooner done.
"""

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from jax import lax

from ganjax.evals.features import Extractor
from ganjax.evals.features.layers import Conv, average_pool, folded, max_pool
from ganjax.evals.features.published import extractor
from ganjax.evals.features.weights import Source
from ganjax.interop.tensors import Tensors, expect, refuse
from ganjax.ops.conv import on_cpu
from ganjax.types import Array, Params

SIZE, CLASSES, BN_EPSILON = 299, 1008, 1e-3
SPATIAL = 7  # channels that sFID looks at
OUTPUTS = {
  '64': 64, '192': 192, '768': 768, 'features': 2048, 'logits': CLASSES, 'logits_unbiased': CLASSES,
  'spatial': 17 * 17 * SPATIAL,
}  # fmt: skip
SOURCE = Source(
  'Inception-V3 of 2015-12-05 with the names of torch-fidelity and pytorch-fid (weights-inception-2015-12-05-6726825d.pth '
  'or pt_inception-2015-12-05-6726825d.pth)',
  'https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth',
  'sha256:6726825d',
)

# Block -> its 1x1 convolutions that see the block's input, in the published names: made as one. Behind
# 'branch_pool' comes an average pool.
FIRST: dict[str, dict[str, int]] = {
  **{name: {'branch1x1': 64, 'branch5x5_1': 48, 'branch3x3dbl_1': 64, 'branch_pool': pool}
     for name, pool in {'Mixed_5b': 32, 'Mixed_5c': 64, 'Mixed_5d': 64}.items()},
  'Mixed_6a': {'branch3x3dbl_1': 64},
  **{name: {'branch1x1': 192, 'branch7x7_1': width, 'branch7x7dbl_1': width, 'branch_pool': 192}
     for name, width in {'Mixed_6b': 128, 'Mixed_6c': 160, 'Mixed_6d': 160, 'Mixed_6e': 192}.items()},
  'Mixed_7a': {'branch3x3_1': 192, 'branch7x7x3_1': 192},
  'Mixed_7b': {'branch1x1': 320, 'branch3x3_1': 384, 'branch3x3dbl_1': 448, 'branch_pool': 192},
  'Mixed_7c': {'branch1x1': 320, 'branch3x3_1': 384, 'branch3x3dbl_1': 448},
}  # fmt: skip


class First(nn.Module):
  """The 1x1 convolutions of a block's input: one array per branch."""

  widths: tuple[int, ...]
  pooled: bool  # the last one's average is taken

  @nn.compact
  def __call__(self, x: Array) -> list[Array]:
    y = Conv(sum(self.widths), (1, 1), relu=False, name='conv')(x)
    branches = jnp.split(y, np.cumsum(self.widths)[:-1], -1)
    if self.pooled:
      branches[-1] = average_pool(branches[-1])
    return [nn.relu(branch) for branch in branches]


class Block(nn.Module):
  """What the blocks share: names."""

  def first(self, x: Array) -> list[Array]:
    """The block's 1x1 convolutions of its input, in the order of `FIRST`."""
    widths = FIRST[str(self.name)]
    return First(tuple(widths.values()), 'branch_pool' in widths, name='first')(x)

  def conv(self, name: str, x: Array, width: int, kernel: tuple[int, int], stride: int = 1) -> Array:
    """A further convolution of a branch; one of stride 1 keeps the size."""
    padding = (kernel[0] // 2, kernel[1] // 2) if stride == 1 else (0, 0)
    return Conv(width, kernel, stride, padding, name=name)(x)


class BlockA(Block):
  """35 x 35."""

  @nn.compact
  def __call__(self, x: Array) -> Array:
    one, five, three, pool = self.first(x)
    five = self.conv('branch5x5_2', five, 64, (5, 5))
    three = self.conv('branch3x3dbl_2', three, 96, (3, 3))
    three = self.conv('branch3x3dbl_3', three, 96, (3, 3))
    return jnp.concatenate([one, five, three, pool], -1)


class BlockB(Block):
  """35 x 35 to 17 x 17."""

  @nn.compact
  def __call__(self, x: Array) -> Array:
    (double,) = self.first(x)
    double = self.conv('branch3x3dbl_2', double, 96, (3, 3))
    double = self.conv('branch3x3dbl_3', double, 96, (3, 3), 2)
    return jnp.concatenate([self.conv('branch3x3', x, 384, (3, 3), 2), double, max_pool(x, 2)], -1)


class BlockC(Block):
  """17 x 17."""

  @nn.compact
  def __call__(self, x: Array) -> Array:
    width = FIRST[str(self.name)]['branch7x7_1']
    one, seven, double, pool = self.first(x)
    seven = self.conv('branch7x7_2', seven, width, (1, 7))
    seven = self.conv('branch7x7_3', seven, 192, (7, 1))
    for i, kernel in enumerate(((7, 1), (1, 7), (7, 1)), 2):
      double = self.conv(f'branch7x7dbl_{i}', double, width, kernel)
    double = self.conv('branch7x7dbl_5', double, 192, (1, 7))
    return jnp.concatenate([one, seven, double, pool], -1)


class BlockD(Block):
  """17 x 17 to 8 x 8."""

  @nn.compact
  def __call__(self, x: Array) -> Array:
    three, seven = self.first(x)
    three = self.conv('branch3x3_2', three, 320, (3, 3), 2)
    seven = self.conv('branch7x7x3_2', seven, 192, (1, 7))
    seven = self.conv('branch7x7x3_3', seven, 192, (7, 1))
    seven = self.conv('branch7x7x3_4', seven, 192, (3, 3), 2)
    return jnp.concatenate([three, seven, max_pool(x, 2)], -1)


class BlockE(Block):
  """8 x 8. The last one pools by the maximum, as TensorFlow's graph does, which doesn't commute with a convolution."""

  @nn.compact
  def __call__(self, x: Array) -> Array:
    one, three, double, *pool = self.first(x)
    double = self.conv('branch3x3dbl_2', double, 384, (3, 3))
    flat = [self.conv('branch3x3_2a', three, 384, (1, 3)), self.conv('branch3x3_2b', three, 384, (3, 1))]
    flat += [self.conv('branch3x3dbl_3a', double, 384, (1, 3)), self.conv('branch3x3dbl_3b', double, 384, (3, 1))]
    pool = pool or [self.conv('branch_pool', max_pool(x, 1, padding=1), 192, (1, 1))]
    return jnp.concatenate([one, *flat, *pool], -1)


class Stem(nn.Module):
  """Images [B, 299, 299, 3] in [-1, 1] -> [B, 73, 73, 64] and [B, 35, 35, 192]."""

  @nn.compact
  def __call__(self, x: Array) -> tuple[Array, Array]:
    x = Conv(32, (3, 3), 2, name='Conv2d_1a_3x3')(x)
    x = Conv(32, (3, 3), fewer=True, name='Conv2d_2a_3x3')(x)
    early = max_pool(Conv(64, (3, 3), padding=(1, 1), name='Conv2d_2b_3x3')(x), 2)
    x = Conv(80, (1, 1), name='Conv2d_3b_1x1')(early)
    return early, max_pool(Conv(192, (3, 3), fewer=True, name='Conv2d_4a_3x3')(x), 2)


class Body(nn.Module):
  """What the stem makes of images -> `OUTPUTS` by name, float32 [B, width]."""

  @nn.compact
  def __call__(self, early: Array, x: Array) -> dict[str, Array]:
    found = {'64': mean(early), '192': mean(x)}
    for name in FIRST:
      letter = 'A' if name < 'Mixed_6' else 'C' if 'Mixed_6a' < name < 'Mixed_7' else 'E'
      kind = {'Mixed_6a': BlockB, 'Mixed_7a': BlockD}.get(name, {'A': BlockA, 'C': BlockC, 'E': BlockE}[letter])
      x = kind(name=name)(x)
      if name == 'Mixed_6d':  # 'mixed_6' of TensorFlow's graph; its first channels are its 1x1 convolution's
        found['spatial'] = x[..., :SPATIAL].reshape(len(x), -1)
      if name == 'Mixed_6e':
        found['768'] = mean(x)
    x = found['features'] = mean(x)
    w = self.param('fc_kernel', nn.initializers.lecun_normal(), (x.shape[-1], CLASSES))
    b = self.param('fc_bias', nn.initializers.zeros_init(), (CLASSES,))
    found['logits_unbiased'] = x @ w
    return found | {'logits': found['logits_unbiased'] + b}


def mean(x: Array) -> Array:
  """[B, H, W, C] -> [B, C]."""
  return x.mean((1, 2))


def seen(params: Params, x: Array) -> dict[str, Array]:
  """Images [B, 299, 299, 3] in [-1, 1] -> `OUTPUTS` by name, float32 [B, width]."""

  def stem(x: Array) -> Any:
    return Stem().apply({'params': params['stem']}, x)

  def body(maps: tuple[Array, Array]) -> Any:
    return Body().apply({'params': params['body']}, *maps)

  return in_groups(body, in_groups(stem, x, 1), 4) if on_cpu() else body(stem(x))


def in_groups(apply: Callable[[Any], Any], x: Any, most: int) -> Any:
  """Applies to so many images of each device at a time: on the CPU, what they need then stays in its caches."""
  count = len(jax.tree.leaves(x)[0])
  devices = math.gcd(count, jax.device_count())
  size = max(n for n in range(1, most + 1) if count // devices % n == 0)
  split: Callable[[Array], Array] = lambda y: (  # noqa: E731
    y.reshape(devices, -1, size, *y.shape[1:]).swapaxes(0, 1).reshape(-1, devices * size, *y.shape[1:]))  # fmt: skip
  join: Callable[[Array], Array] = lambda y: (  # noqa: E731
    y.reshape(-1, devices, size, *y.shape[2:]).swapaxes(0, 1).reshape(count, *y.shape[2:]))  # fmt: skip
  return jax.tree.map(join, lax.map(apply, jax.tree.map(split, x)))


@functools.cache
def places() -> tuple[dict[tuple[str, ...], dict[str, int]], dict[str, tuple[int, ...]]]:
  """Path of each convolution -> the published ones that it is made of, with their widths; and their shapes, OIHW."""
  image = jax.ShapeDtypeStruct((1, SIZE, SIZE, 3), jnp.float32)
  (maps, stem), key = jax.eval_shape(Stem().init_with_output, jax.random.key(0), image), jax.random.key(0)
  variables = {'stem': stem['params'], 'body': jax.eval_shape(Body().init, key, *maps)['params']}
  made: dict[tuple[str, ...], dict[str, int]] = {}
  known: dict[str, tuple[int, ...]] = {}
  for path, kernel in traverse_util.flatten_dict(variables).items():
    if path[-1] == 'kernel':
      block = path[1]
      first = {f'{block}.{branch}': width for branch, width in FIRST[block].items()} if path[-2] == 'conv' else None
      made[path[:-1]] = first or {'.'.join(path[1:-1]): kernel.shape[-1]}
      known |= {name: (width, kernel.shape[2], *kernel.shape[:2]) for name, width in made[path[:-1]].items()}
  return made, known


def converted(tensors: Tensors) -> Params:
  """The published state dict (names as in torch-fidelity and pytorch-fid) as parameters of stem and body.

  Raises: ValueError for missing, left over or wrongly shaped tensors, by name.
  """
  made, known = places()
  wanted = {'fc.weight': (CLASSES, 2048), 'fc.bias': (CLASSES,)}
  for name, shape in known.items():
    wanted[f'{name}.conv.weight'] = shape
    wanted |= {f'{name}.bn.{leaf}': shape[:1] for leaf in ('weight', 'bias', 'running_mean', 'running_var')}
  refuse('missing tensors', set(wanted) - set(tensors))
  refuse('tensors with no place', set(tensors) - set(wanted) - {f'{name}.bn.num_batches_tracked' for name in known})
  for name, shape in wanted.items():
    expect(name, tensors[name], shape)
  params: dict[tuple[str, ...], Array] = {
    ('body', 'fc_kernel'): jnp.asarray(tensors['fc.weight'].T, jnp.float32),
    ('body', 'fc_bias'): jnp.asarray(tensors['fc.bias'], jnp.float32),
  }
  for path, names in made.items():
    kernels, biases = zip(*(folded(tensors, f'{name}.conv', f'{name}.bn', BN_EPSILON) for name in names), strict=True)
    params[(*path, 'kernel')] = jnp.asarray(np.concatenate(kernels, -1))
    params[(*path, 'bias')] = jnp.asarray(np.concatenate(biases))
  return traverse_util.unflatten_dict(params)


def open(weights: str | Path | None = None, resize: str | None = None) -> Extractor:  # noqa: A001
  """Inception-V3 as the FID uses it (Heusel et al. 2017, arXiv:1706.08500), with its published weights.

  Args:
    weights: a local file instead of the published one.
    resize: 'tf1' (as torch-fidelity and TensorFlow's graph, the default), 'pytorch-fid', 'clean' or another of
      `resize.WAYS`.

  Raises: ConfigError for another way of resizing; DataError for weights that can't be had.
  """
  way = resize or 'tf1'
  scale = halves if way == 'pytorch-fid' else centred
  return extractor('inception', SOURCE, weights, converted, seen, way, SIZE, scale, OUTPUTS)


def centred(x: Array) -> Array:
  """Levels to [-1, 1), as TensorFlow's graph scales them."""
  return (x - 128) / 128


def halves(x: Array) -> Array:
  """Levels to [-1, 1], as pytorch-fid scales them."""
  return x / 127.5 - 1
