import os

import numpy as np
import pytest

from ganjax.data.digits import digits
from ganjax.evals import metrics
from ganjax.evals.digits import WEIGHTS, area_matrix, features, shrink


@pytest.fixture(scope='module')
def held_out():
  found = digits(split='test').get(np.arange(297))
  return found['image'].astype(np.float32) / 127.5 - 1, found['label']


def test_weights_are_small_and_not_pickled():
  assert os.path.getsize(WEIGHTS) < 200_000
  with np.load(WEIGHTS, allow_pickle=False) as stored:
    assert all(stored[name].dtype == np.float16 for name in stored.files)


def test_reads_held_out_digits(held_out):
  images, labels = held_out
  found, logits = features(images)
  assert found.shape == (297, 64)
  assert (logits.argmax(1) == labels).mean() >= 0.98
  assert 0.85 <= metrics.sure_share(logits) <= 0.96
  assert metrics.sure_share(features(np.random.default_rng(0).uniform(-1, 1, (500, 8, 8, 1)))[1]) < 0.2


def test_number_of_images_and_batches_do_not_matter(held_out):
  images = held_out[0][:7]
  whole = features(images, batch_size=7)
  parts = features(images, batch_size=3)
  for a, b in zip(whole, parts, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_larger_images_are_averaged(held_out):
  images = held_out[0][:5]
  np.testing.assert_allclose(features(images.repeat(4, 1).repeat(4, 2))[1], features(images)[1], atol=1e-4)
  x = np.random.default_rng(0).normal(size=(2, 12, 28, 3)).astype(np.float32)
  small = np.asarray(shrink(x, 4))
  np.testing.assert_allclose(small, x.reshape(2, 4, 3, 4, 7, 3).mean((2, 4)), atol=1e-6)
  np.testing.assert_allclose(area_matrix(28, 8).sum(1), 1, rtol=1e-6)  # pixels that straddle are shared out


def test_refuses_colour():
  with pytest.raises(ValueError, match=r'\(4, 8, 8, 3\).*\[N, H, W, 1\]'):
    features(np.zeros((4, 8, 8, 3)))
