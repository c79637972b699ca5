"""A small classifier of handwritten digits: the eyes of the Fréchet distance and of the class shares on digits.

Trained on the 1,500 training images of the digits split by `python -m ganjax.evals.train_digits`, which wrote
`digits.npz`. On the 297 held-out images its accuracy is .990, and it is sure (probability above .9) of .923.
"""

import functools
from collections.abc import Mapping
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict

from ganjax.types import Array

WEIGHTS = Path(__file__).with_name('digits.npz')
SIZE = 8


class Classifier(nn.Module):
  """Images [N, 8, 8, 1] in [-1, 1] -> features [N, 64], logits [N, 10]."""

  @nn.compact
  def __call__(self, x: Array) -> tuple[Array, Array]:
    x = nn.relu(nn.Conv(32, (3, 3), name='conv0')(x))
    x = nn.relu(nn.Conv(48, (3, 3), strides=(2, 2), name='conv1')(x))  # [N, 4, 4, 48]
    x = nn.relu(nn.Dense(64, name='hidden')(x.reshape(len(x), -1)))
    return x, nn.Dense(10, name='logits')(x)


def features(images: np.ndarray, batch_size: int = 500) -> tuple[np.ndarray, np.ndarray]:
  """Images [N, H, W, 1] in [-1, 1] -> float32 features [N, 64] and logits [N, 10].

  Images that are not 8x8 are resized by area averaging. Raises ValueError for other shapes.
  """
  images = np.asarray(images, np.float32)
  if images.ndim != 4 or images.shape[-1] != 1:
    raise ValueError(f'images: shape {images.shape} given; the digit classifier takes [N, H, W, 1]')
  # Padded to whole batches, so that one compiled program serves any N.
  count = max(1, -(-len(images) // batch_size))
  padded = np.zeros((count * batch_size, *images.shape[1:]), np.float32)
  padded[: len(images)] = images
  parts = [_apply(load(), batch) for batch in np.split(padded, count)]
  found = [np.concatenate([np.asarray(part[i]) for part in parts])[: len(images)] for i in (0, 1)]
  return found[0], found[1]


@functools.cache
def load() -> dict:
  """The shipped parameters of `Classifier`, float32."""
  with np.load(WEIGHTS, allow_pickle=False) as stored:
    return from_flat(stored)


def from_flat(flat: Mapping[str, np.ndarray]) -> dict:
  """Parameters stored by 'layer/name', half precision, as a tree of float32."""
  return unflatten_dict({name: np.asarray(x, np.float32) for name, x in flat.items()}, sep='/')


def shrink(images: Array, size: int = SIZE) -> Array:
  """Area averaging: images [N, H, W, C] -> [N, size, size, C]; also enlarges, by (fractional) repetition."""
  rows, columns = area_matrix(images.shape[1], size), area_matrix(images.shape[2], size)
  return jnp.einsum('ih,nhwc,jw->nijc', rows, images, columns, precision='highest')


def area_matrix(source: int, target: int) -> np.ndarray:
  """float32 [target, source]: row i averages the source pixels under target pixel i, by overlap."""
  scale = source / target
  low = np.arange(target)[:, None] * scale
  overlap = np.minimum(low + scale, np.arange(source) + 1) - np.maximum(low, np.arange(source))
  return (np.maximum(overlap, 0) / scale).astype(np.float32)


def seen(params: dict, images: Array) -> tuple[Array, Array]:
  """Images [N, H, W, 1] in [-1, 1] -> features [N, 64], logits [N, 10]; what isn't 8x8 is averaged to it."""
  images = images if images.shape[1:3] == (SIZE, SIZE) else shrink(images)
  found: tuple[Array, Array] = Classifier().apply({'params': params}, images)  # type: ignore[assignment]
  return found


_apply = jax.jit(seen)
