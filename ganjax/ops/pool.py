"""A pool of earlier images that fakes are exchanged with (Shrivastava et al. 2017, arXiv:1612.07828, section 2.3)."""

from typing import Any

import jax
import jax.numpy as jnp

from ganjax.types import Array, Key

Pool = dict[str, Array]  # 'images' [size, H, W, C], 'count' int32 []: how many of them there are


def empty(size: int, shape: tuple[int, ...]) -> Pool:
  """A pool for `size` images of a shape."""
  return {'images': jnp.zeros((size, *shape), jnp.float32), 'count': jnp.zeros((), jnp.int32)}


def exchanged(key: Key, rows: Array, pool: Pool, images: Array) -> tuple[Array, Pool]:
  """What D is shown of images [N, H, W, C], and the pool after them; they come one after the other.

  While the pool fills, an image is kept and shown. After that, with probability 1/2, one of the pool is shown and the
  new one takes its place; else the new one is shown, and not kept. A row's draws come from the key and its number in
  `rows` int32 [N] alone. The images are to be those of all devices, or their pools would part ways.
  """
  size = len(pool['images'])
  if not size:
    return images, pool

  def one(held: tuple[Array, Array], came: tuple[Array, Array]) -> tuple[Any, Array]:
    (kept, count), (row, image) = held, came
    own, full = jax.random.fold_in(key, row), count >= size
    swap = full & jax.random.bernoulli(jax.random.fold_in(own, 0))
    slot = jnp.where(full, jax.random.randint(jax.random.fold_in(own, 1), (), 0, size), count)
    before = kept[slot]
    kept = kept.at[slot].set(jnp.where(swap | ~full, image, before))
    return (kept, jnp.minimum(count + 1, size)), jnp.where(swap, before, image)

  (kept, count), shown = jax.lax.scan(one, (pool['images'], pool['count']), (rows, images))
  return shown, {'images': kept, 'count': count}
