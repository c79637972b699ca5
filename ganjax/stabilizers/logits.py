"""What happens to D's logits on their way to a loss."""

import jax
import jax.numpy as jnp

from ganjax.types import Array, Number, Scene

FLIP = 0x666C


def top_k(losses: Array, logits: Array, *, share: Number = 0.5) -> Array:
  """Top-k training: G learns from the `share` of its fakes that D rates best (Sinha et al. 2020, arXiv:2002.06224).

  The mean of G's losses [B, ...] over the k largest of D's logits, [] (the paper's equation 3). k is share x B, rounded up; the paper takes it from all of the batch down to a half, which `schedule.top_k_share`
  does. The batch is that of all devices; with microbatches, each has its own best.
  """
  flat, rates = losses.reshape(-1), logits.reshape(-1)
  rank = jnp.argsort(jnp.argsort(-rates))  # a stable sort: equal logits in the order of their rows
  kept = rank < jnp.clip(jnp.ceil(share * rates.size - 1e-4), 1, rates.size)
  return jnp.where(kept, flat, 0).sum() / kept.sum()


def label_flipping(scene: Scene, real: Array, fake: Array, *, share: Number = 0.05) -> tuple[Array, Array]:
  """Label flipping: in D's loss a `share` of the rows has real and fake exchanged (Chintala et al. 2016, ganhacks, 6).

  It is label smoothing (Salimans et al. 2016, section 3.4) with hard labels. real, fake: logits [B, ...]. A flipped row's real counts as a fake and its fake as a real, which is defined for pairs
  as for separate losses.
  """
  key = jax.random.fold_in(scene.key, FLIP)
  rows = scene.rows[:: scene.rows.size // real.shape[0]]  # of packs, the first
  flipped = jax.vmap(lambda row: jax.random.uniform(jax.random.fold_in(key, row)))(rows) < share
  flipped = flipped.reshape(-1, *[1] * (real.ndim - 1))
  return jnp.where(flipped, fake, real), jnp.where(flipped, real, fake)
