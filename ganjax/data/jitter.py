"""Random jitter: an image is made larger, and a piece of the old size is cut out (Isola et al. 2017, section 6.2)."""

from functools import partial

import jax
import jax.numpy as jnp

from ganjax.types import Array


def jittered(images: Array, size: int, words: Array) -> Array:
  """Images [P, B, H, W, C] in [-1, 1], as pieces of themselves enlarged, bicubic, to `size` pixels a side.

  words: uint32 [P, B, 2] say where each is cut out. Enlarging and cutting are one step: nothing larger is made.
  """
  height, width, _ = images.shape[2:]
  room = jnp.asarray([size - height, size - width], jnp.uint32)
  offset = (words % (room + 1)).astype(jnp.float32)
  scale = jnp.asarray([size / height, size / width], jnp.float32)
  cut = partial(jax.image.scale_and_translate, spatial_dims=(0, 1), scale=scale, method='cubic', antialias=False)
  one = lambda image, offset: cut(image, image.shape, translation=-offset)  # noqa: E731
  return jnp.clip(jax.vmap(jax.vmap(one))(images, offset), -1, 1)
