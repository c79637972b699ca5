import os

import numpy as np
import pytest
from ml_collections import ConfigDict

from ganjax.data.digits import digits
from ganjax.data.spec import Spec, in_memory
from ganjax.evals import metrics
from ganjax.evals.digits import WEIGHTS, area_matrix, features, shrink
from ganjax.evals.run import evaluator

CONFIG = ConfigDict({'evaluate_num': 1000, 'data': {'name': 'digits'}})


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


def test_evaluation_tells_new_digits_from_copies_and_noise(held_out):
  source = digits(split='train')
  evaluate = evaluator(CONFIG, source.spec, source)

  def measured(images):
    return evaluate(lambda num, seed: {'image': images[:num]})

  new = measured(held_out[0])
  copies = measured(source.get(np.arange(0, 1500, 2))['image'].astype(np.float32) / 127.5 - 1)
  noise = measured(np.random.default_rng(0).uniform(-1, 1, (1000, 8, 8, 1)))
  assert new['eval/sure'] == new['eval/sure_real']
  assert new['eval/nearer'] == pytest.approx(0.5, abs=0.01)
  assert (copies['eval/nearer'], noise['eval/nearer']) == (1, 0)
  assert copies['eval/frechet'] < 2 * copies['eval/frechet_floor'] < noise['eval/frechet'] / 10
  shares = [copies[f'eval/share_{k}'] for k in range(10)]
  assert sum(shares) == pytest.approx(1)
  assert min(shares) > 0.07


def test_samples_of_classes_that_were_asked_for(held_out):
  source = digits(split='train')
  evaluate, (images, labels) = evaluator(CONFIG, source.spec, source), held_out
  kept = len(labels[: CONFIG.evaluate_num])
  right = evaluate(lambda num, seed: {'image': images[:num], 'label': labels[:num]})['eval/as_asked']
  wrong = evaluate(lambda num, seed: {'image': images[:num], 'label': (labels[:num] + 1) % 10})['eval/as_asked']
  assert right > 1 - 5 / kept > 0.9
  assert wrong < 5 / kept


def test_data_without_a_test_split_and_data_that_no_metric_knows(held_out):
  grey = in_memory(Spec('image', (8, 8, 1), count=297, name='arrays'), {'image': held_out[0]})
  config = ConfigDict({'evaluate_num': 50, 'data': {'name': 'arrays', 'path': 'train.npz'}})
  values = evaluator(config, grey.spec, grey)(lambda num, seed: {'image': held_out[0][:num]})
  assert 'eval/nearer' not in values
  assert values['eval/frechet'] < 10 * values['eval/frechet_floor']
  colour = Spec('image', (32, 32, 3), count=10, name='arrays')
  assert evaluator(config, colour, in_memory(colour, {})) is None
