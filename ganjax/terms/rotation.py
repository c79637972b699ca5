"""Self-supervision by rotation, SS-GAN (Chen et al. 2019, arXiv:1811.11212)."""

from typing import Literal

import jax
import jax.numpy as jnp

from ganjax.errors import ConfigError
from ganjax.ops import across
from ganjax.types import Array, Metrics, Number, Play, Scene


def rotation(
  scene: Scene, play: Play, *, weight: Number = 1.0, player: Literal['g', 'd'] = 'd'
) -> tuple[Array, Metrics]:
  """SS-GAN: weight -E log Q(r | x turned by r), Q D's head 'rotation' (Chen et al. 2019, arXiv:1811.11212, section 3).

  D gets it on reals, with the paper's beta = 1, and G on its fakes, where the paper's alpha is .2: the players work
  together here. As in the paper's experiments a quarter of the batch is turned by each of 0, 90, 180, 270 degrees; it
  costs a forward of D on images that must be square.
  """
  chosen, label = (play.real, play.label) if player == 'd' else (play.fake, play.fake_label)
  rows, total = places(scene.rows, scene.axis)
  turned, turns = rotated(chosen, rows[:: rows.size // chosen.shape[0]], total)
  said = play.inspect(turned, label)[1]['rotation']
  value = weight * rotation_loss(said, turns)
  return value, {'rotation': value, 'rotation_accuracy': (said.argmax(1) == turns).astype(jnp.float32).mean()}


def places(rows: Array, axis: str | None) -> tuple[Array, Array]:
  """Row numbers in the global batch, int32 [B], and how many it has, []: also of a microbatch, whose rows are strided."""
  everywhere = across.gather(rows, axis)
  return rows, -(-(everywhere.max() + 1) // everywhere.size) * everywhere.size


def rotated(x: Array, rows: Array | None = None, total: int | Array | None = None) -> tuple[Array, Array]:
  """Images [B, N, N, C] each turned left by a quarter turn times its label, and the labels, int32 [B].

  The label of row i of N is 4i // N: a quarter of the batch for each. `rows` [B] are the rows' numbers in a batch of
  `total`; without them x is the whole batch. Raises ConfigError unless images are square.
  """
  if x.ndim != 4 or x.shape[1] != x.shape[2]:
    raise ConfigError('terms.rotation', list(x.shape[1:]), 'data of square images [N, N, C]')
  if rows is None or total is None:
    rows, total = jnp.arange(x.shape[0], dtype=jnp.int32), x.shape[0]
  label = rows * 4 // total
  turned = x
  for turns in (1, 2, 3):
    turned = jnp.where(label[:, None, None, None] == turns, jnp.rot90(x, turns, axes=(1, 2)), turned)
  return turned, label


def rotation_loss(said: Array, label: Array) -> Array:
  """-E log softmax(said)[label] of said [B, 4] and label [B], []."""
  said = said.astype(jnp.float32)
  return (jax.nn.logsumexp(said, axis=1) - jnp.take_along_axis(said, label[:, None], 1)[:, 0]).mean()
