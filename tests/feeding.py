"""What the tests of data share: a small set, and a batch read as the training reads it."""

import jax
import jax.numpy as jnp
import numpy as np

from ganjax.data.feed import Feed
from ganjax.data.spec import Source, Spec, in_memory


def pictures(count: int = 50, size: int = 6, channels: int = 3) -> Source:
  image = np.random.default_rng(0).integers(0, 256, (count, size, size, channels), dtype=np.uint8)
  label = np.arange(count, dtype=np.int32) % 5
  return in_memory(Spec('image', image.shape[1:], 5, count=count), {'image': image, 'label': label})


def batch_of(feed: Feed, position: int, plays: int = 1, rows: range = range(8)) -> dict[str, np.ndarray]:
  """One step's batch, read as the training reads it."""
  payload = feed.payload(position, [plays])
  positions, rows = jnp.arange(position, position + plays), jnp.asarray(list(rows))
  read = jax.jit(feed.read)(payload if feed.resident else payload[0], positions, rows)
  return {name: np.asarray(x) for name, x in read.items()}


def assert_same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
  assert a.keys() == b.keys()
  for name in a:
    assert a[name].dtype == b[name].dtype
    np.testing.assert_array_equal(a[name], b[name])
