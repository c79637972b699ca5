"""Which example is where: a shuffle that any step can evaluate alone, on the host or inside jit.

The permutation is the swap-or-not shuffle of Hoang, Morris and Rogaway (An Enciphering Scheme Based
on a Card Shuffle, CRYPTO 2012): every round pairs x with k - x (mod n) and swaps the pair or not.
Each round is its own inverse, so it permutes range(n) for every n, one element at a time and
without memory. All arithmetic is uint32, so NumPy and XLA agree bit for bit.
"""

from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

ROUNDS = 32
_GOLDEN = np.uint32(0x9E3779B9)  # 2**32 / golden ratio: spreads consecutive integers


def shuffled(index: Any, n: int, seed: Any, epoch: Any) -> Any:
  """Where a pseudo-random permutation of range(n) sends `index`.

  Args:
    index: integers [...] in [0, n).
    n: how many examples, 1 <= n < 2**31.
    seed: integers that broadcast against `index`.
    epoch: the same; each (seed, epoch) is another permutation.

  Returns: int32 [...], a NumPy array unless one of the arguments is a JAX array.
  """
  xp = _namespace(index, seed, epoch)
  key = hashed(xp, seed, epoch)
  x = _uint32(xp, index)
  x = xp.broadcast_to(x, np.broadcast_shapes(x.shape, key.shape))
  size = np.uint32(n)
  numbers = np.arange(1, ROUNDS + 1, dtype=np.uint32).reshape(-1, *(1,) * x.ndim)
  round_keys = mix(xp, key + _GOLDEN * numbers)  # [ROUNDS, ...]
  pivots = round_keys % size

  def swap_or_not(x: Any, of_round: tuple[Any, Any]) -> tuple[Any, None]:
    round_key, pivot = of_round
    partner = pivot + size - x
    partner = xp.where(partner >= size, partner - size, partner)
    coin = mix(xp, xp.maximum(x, partner) ^ round_key) >> np.uint32(31)
    return xp.where(coin == 1, partner, x), None

  if xp is jnp:  # a loop on the device: unrolled, it takes far longer to compile and is no faster
    x, _ = jax.lax.scan(swap_or_not, x, (round_keys, pivots), unroll=4)
  else:
    for of_round in zip(round_keys, pivots, strict=True):
      x, _ = swap_or_not(x, of_round)
  return x.astype(np.int32).reshape(np.broadcast_shapes(*map(np.shape, (index, seed, epoch))))


def rows_at(positions: Any, rows: Any, batch: int, n: int, seed: Any) -> Any:
  """Which example stands in row `rows` of the global batch number `positions`.

  An epoch is one permutation; its last n % batch examples are dropped. A batch larger than the set
  takes as many permutations as it needs.

  Args:
    positions: int32 [P], global batch numbers from 0.
    rows: int32 [B], row numbers in [0, batch).
    batch: the global batch size.
    n: how many examples.
    seed: of the order.

  Returns: int32 [P, B], in [0, n); a NumPy array unless an argument is a JAX array.
  """
  xp = _namespace(positions, rows, seed)
  positions, rows = _uint32(xp, positions)[:, None], _uint32(xp, rows)[None, :]
  if batch <= n:
    per_epoch = np.uint32(n // batch)
    return shuffled((positions % per_epoch) * np.uint32(batch) + rows, n, seed, positions // per_epoch)
  per_batch = np.uint32(-(-batch // n))
  return shuffled(rows % np.uint32(n), n, seed, positions * per_batch + rows // np.uint32(n))


def flips(positions: Any, rows: Any, seed: Any) -> Any:
  """Bool [P, B]: which rows `rows` [B] of the global batches `positions` [P] are mirrored."""
  return words(positions, rows, 1, seed, fold=0xF11B)[..., 0] >> np.uint32(31) == 1


def words(positions: Any, rows: Any, count: int, seed: Any, fold: int) -> Any:
  """Random bits by row: uint32 [P, B, count]; other folds have other bits.

  A counter-based generator: far cheaper to compile and to run than a key of Threefry for each row. Each
  word has a stream of its own, so rows that share one word by chance don't share the others.
  """
  xp = _namespace(positions, rows, seed)
  key = hashed(xp, hashed(xp, seed, fold), _uint32(xp, positions))[:, None, None]
  streams = mix(xp, key + _GOLDEN * np.arange(1, count + 1, dtype=np.uint32))  # [P, 1, count]
  return mix(xp, streams + _GOLDEN * _uint32(xp, rows)[None, :, None])


def hashed(xp: ModuleType, first: Any, second: Any) -> Any:
  """Uint32 hash of two integers, broadcast."""
  return mix(xp, mix(xp, _uint32(xp, first) + _GOLDEN) ^ (_GOLDEN * _uint32(xp, second)))


def mix(xp: ModuleType, x: Any) -> Any:
  """A bijective scrambler of uint32 [...]: Wellons' 'lowbias32' constants (github.com/skeeto/hash-prospector)."""
  x = _uint32(xp, x)
  x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
  x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
  return x ^ (x >> np.uint32(16))


def _namespace(*arrays: Any) -> ModuleType:
  return jnp if any(isinstance(x, jax.Array) for x in arrays) else np


def _uint32(xp: ModuleType, x: Any) -> Any:
  """`x` as a uint32 array of at least one axis (NumPy warns when scalars wrap around)."""
  x = x if isinstance(x, jax.Array) else np.asarray(x).astype(np.uint32)  # before JAX narrows an int64
  return xp.atleast_1d(xp.asarray(x)).astype(np.uint32)
