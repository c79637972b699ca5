"""The data order: a permutation per epoch, the same on the host and in jit, computed from the position alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganjax.data.order import flips, rows_at, shuffled

words = st.integers(0, 2**32 - 1)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 3000), seed=words, epoch=words)
def test_shuffle_is_a_permutation(n: int, seed: int, epoch: int) -> None:
  order = shuffled(np.arange(n), n, seed, epoch)
  assert order.dtype == np.int32
  np.testing.assert_array_equal(np.sort(order), np.arange(n))


@settings(max_examples=8, deadline=None)
@given(n=st.integers(1, 2**31 - 1), seed=words, epoch=words)
def test_numpy_and_jit_agree(n: int, seed: int, epoch: int) -> None:
  index = np.linspace(0, n - 1, 50).astype(np.int32)
  inside = jax.jit(lambda i, s, e: shuffled(i, n, s, e))(index, jnp.uint32(seed), jnp.uint32(epoch))
  np.testing.assert_array_equal(shuffled(index, n, seed, epoch), inside)
  assert (np.asarray(inside) >= 0).all()
  assert (np.asarray(inside) < n).all()


@settings(max_examples=8, deadline=None)
@given(n=st.integers(1, 200), batch=st.integers(1, 300), position=st.integers(0, 2**31 - 4), seed=words)
def test_rows_agree_in_jit(n: int, batch: int, position: int, seed: int) -> None:
  positions, rows = np.arange(position, position + 3, dtype=np.int32), np.arange(batch, dtype=np.int32)
  inside = jax.jit(lambda p, r, s: rows_at(p, r, batch, n, s))(positions, rows, jnp.uint32(seed))
  outside = rows_at(positions, rows, batch, n, seed)
  np.testing.assert_array_equal(outside, inside)
  assert outside.shape == (3, batch)
  assert 0 <= outside.min() <= outside.max() < n


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 400), batch=st.integers(1, 90), epoch=st.integers(0, 10**6))
def test_an_epoch_shows_each_example_once(n: int, batch: int, epoch: int) -> None:
  if batch > n:
    return
  per_epoch = n // batch
  shown = rows_at(epoch * per_epoch + np.arange(per_epoch), np.arange(batch), batch, n, 1).ravel()
  assert len(np.unique(shown)) == per_epoch * batch  # all but the n % batch that were dropped


@pytest.mark.parametrize(('n', 'batch'), [(5, 13), (1, 4), (64, 65)])
def test_a_batch_larger_than_the_set_wraps_around(n: int, batch: int) -> None:
  counts = np.bincount(rows_at(np.arange(1), np.arange(batch), batch, n, 0)[0], minlength=n)
  assert counts.min() >= batch // n
  assert counts.max() <= -(-batch // n)


def test_order_looks_random() -> None:
  """Chi-squared per degree of freedom near 1: where an example goes, and how far from its neighbour."""
  n, epochs = 50, 20_000
  orders = shuffled(np.arange(n)[None], n, 3, np.arange(epochs)[:, None])
  places = np.stack([np.bincount(column, minlength=n) for column in orders.T])
  assert ((places - epochs / n) ** 2 / (epochs / n)).sum() / (n - 1) ** 2 == pytest.approx(1, abs=0.15)
  gaps = np.bincount((orders[:, 0] - orders[:, 1]) % n, minlength=n)[1:]
  assert ((gaps - gaps.mean()) ** 2 / gaps.mean()).sum() / (n - 2) == pytest.approx(1, abs=0.6)
  assert len(np.unique(orders, axis=0)) == epochs
  seeds = shuffled(np.arange(n)[None], n, np.arange(2000)[:, None], 0)
  assert len(np.unique(seeds, axis=0)) == 2000


def test_flips_are_fair_and_by_row() -> None:
  coins = flips(np.arange(200), np.arange(64), 5)
  assert coins.mean() == pytest.approx(0.5, abs=0.02)
  np.testing.assert_array_equal(coins[7:9, 16:32], flips(np.arange(7, 9), np.arange(16, 32), 5))
  np.testing.assert_array_equal(coins, jax.jit(flips)(jnp.arange(200), jnp.arange(64), jnp.uint32(5)))
  assert (coins != flips(np.arange(200), np.arange(64), 6)).mean() == pytest.approx(0.5, abs=0.02)
