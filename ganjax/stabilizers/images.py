"""What happens to images on their way to D."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ganjax.types import Array, Key, Number


def instance_noise(key: Key, rows: Array, x: Array, *, sigma: Number = 0.1) -> Array:
  """Instance noise: D sees x [B, ...] + N(0, sigma^2), reals and fakes (Sonderby et al. 2017, arXiv:1610.04490).

  It makes the two distributions overlap. `schedule.instance_noise_sigma` takes it down over the training. Drawn for
  each row and look; after the augmentation.
  """
  draw = lambda row: jax.random.normal(jax.random.fold_in(key, row), x.shape[1:])  # noqa: E731
  return x + sigma * jax.vmap(draw)(rows).astype(x.dtype)


class Packing(NamedTuple):
  """`pack`: images [B, ..., C] -> packs [B/size, ..., size * C]; `unpack` is its inverse."""

  pack: Callable[[Array], Array]
  unpack: Callable[[Array], Array]
  size: int


def packing(*, size: int = 2) -> Packing:
  """PacGAN: D judges packs of `size` examples, joined along the channels (Lin et al. 2018, arXiv:1712.04086).

  A pack of fakes without variety gives itself away. Consecutive rows make a pack, as in CTGAN. D's logits, losses and
  penalties are per pack; `size` divides the batch of each device and microbatch. Not with a label inside D.
  """
  return Packing(partial(pack, size=size), partial(unpack, size=size), size)


def pack(x: Array, *, size: int) -> Array:
  """[B, ..., C] -> [B/size, ..., size * C]: rows i * size .. i * size + size - 1 make pack i."""
  packs = jnp.moveaxis(x.reshape(-1, size, *x.shape[1:]), 1, -2)
  return packs.reshape(*packs.shape[:-2], -1)


def unpack(x: Array, *, size: int) -> Array:
  """[P, ..., size * C] -> [P * size, ..., C]."""
  rows = jnp.moveaxis(x.reshape(*x.shape[:-1], size, -1), -2, 1)
  return rows.reshape(-1, *rows.shape[2:])


ALONE = packing(size=1)
