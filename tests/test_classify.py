import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganjax.data.digits import digits
from ganjax.evals import classify
from ganjax.evals.classify import accuracy_score, augmentation_value

STEPS = 30


@functools.cache
def sets():
  """Images and labels of the digits: (train, test)."""
  found = [digits(split=split).get(np.arange(count)) for split, count in (('train', 1500), ('test', 297))]
  return [(x['image'], x['label']) for x in found]


def real_as_fake(change=lambda images, labels: (images, labels)):
  train, test = sets()
  return (*change(*train), *train, *test)


def shuffled(images, labels):
  return images, np.random.default_rng(0).permutation(labels)


@functools.cache
def quick_score():
  return accuracy_score(*real_as_fake(shuffled), steps=STEPS)


def toy(n=40, classes=(3, 7), shape=(8, 8, 1), seed=0):
  """Dark and light images of noise."""
  labels = np.resize(classes, n)
  random = np.random.default_rng(seed)
  low = np.searchsorted(classes, labels).reshape(-1, 1, 1, 1) * 60
  return (low + random.integers(0, 60, (n, *shape))).astype(np.uint8), labels


def test_shuffled_labels_are_worth_nothing_beside_as_many_real_images():
  found = quick_score()
  assert found['classification_accuracy'] < 0.3
  assert found['classification_accuracy_real'] > 0.7
  assert found['classification_images'] == 1500
  _, (_, labels) = sets()
  each = [found[f'classification_accuracy_{k}'] for k in range(10)]
  assert np.average(each, weights=np.bincount(labels)) == pytest.approx(found['classification_accuracy'])
  assert len(found) == 2 * 11 + 1


def test_table_of_augmentation_and_one_program_for_all_sets():
  before = quick_score()
  programs = classify.fit._cache_size()
  found = augmentation_value(*real_as_fake(), sizes=(20, 'all'), noises=(0, 0.2), steps=STEPS)
  assert classify.fit._cache_size() == programs
  names = ['synthetic', *(f'{kind}_{size}' for kind in ('real', 'both', 'gain') for size in (20, 'all'))]
  assert set(found) == {f'augmentation_{name}{end}' for name in names for end in ('', '_noise_0.2')}
  assert found['augmentation_gain_20'] == found['augmentation_both_20'] - found['augmentation_real_20'] > 0
  assert found['augmentation_synthetic'] > 0.7
  assert found['augmentation_real_all'] == before['classification_accuracy_real']  # to the bit, by seed
  assert found['augmentation_real_all'] != found['augmentation_real_all_noise_0.2']


def test_sets_of_different_sizes_are_cut_to_the_smaller():
  (images, labels), _ = sets()
  cut = classify.gathered(images[:500], labels[:500], images, labels, images, labels)
  rows = classify.spread(cut, cut.reals, seed=1)
  assert sorted(rows) == list(range(500, 2000))
  assert set(cut.labels[rows[:10]]) == set(range(10))
  whole = np.bincount(labels) / 1500
  for count in (50, 200, 500):
    assert abs(np.bincount(cut.labels[rows[:count]]) / count - whole).max() < 1.5 / count + 0.01


def test_a_step_looks_at_equal_parts_and_passes_are_whole():
  few, many, half = np.arange(1000, 1010), np.arange(7 * classify.BATCH // 2), classify.BATCH // 2
  rows = classify.draws([few, many], 7, 0)
  assert rows.shape == (7, 2 * half)
  assert sorted(rows[:, half:].ravel()) == list(many)
  counts = np.bincount(rows[:, :half].ravel() - 1000)
  assert len(counts) == 10
  assert np.ptp(counts) <= 1


def test_shifts_are_of_whole_pixels_up_to_an_eighth():
  x = np.random.default_rng(0).normal(size=(120, 16, 8, 2)).astype(np.float32)
  found = np.asarray(classify.shifted(jax.random.key(0), jnp.asarray(x)))
  padded = np.pad(x, ((0, 0), (2, 2), (1, 1), (0, 0)), mode='edge')
  moved = {(i, j): padded[:, i : i + 16, j : j + 8] for i in range(5) for j in range(3)}
  by = [[at for at, y in moved.items() if np.array_equal(y[n], found[n])] for n in range(120)]
  assert all(len(at) == 1 for at in by)
  assert len({at[0] for at in by}) == 15


@pytest.mark.parametrize('shape', [(8, 8, 1), (64, 64, 3), (28, 20, 1)])
def test_classifier_takes_images_of_any_size(shape):
  net = classify.Classifier(5)
  logits, params = jax.eval_shape(lambda x: net.init_with_output(jax.random.key(0), x), jnp.zeros((2, *shape)))
  assert logits.shape == (2, 5)
  assert sum(np.prod(x.shape) for x in jax.tree.leaves(params)) < 10**6


@pytest.mark.parametrize(
  ('place', 'given', 'message'),
  [
    ('fake', toy(classes=(3,)), r'fake_labels: no image of class 7, which'),
    ('fake', toy(classes=(3, 7, 8)), 'fake_labels: class 8 is not among train_labels'),
    ('test', toy(classes=(7,)), 'test_labels: no image of class 3'),
    ('train', toy(classes=(3,)), 'train_labels: only class 3 given'),
    ('fake', (toy(30)[0], toy(40)[1]), r'fake_labels: int64 \(40,\) given; an integer for each of 30'),
    ('train', (toy()[0], toy()[1].astype(float)), 'train_labels: float64'),
    ('fake', (toy()[0] / 255.0, toy()[1]), r'fake_images: float64 \(40, 8, 8, 1\) given; uint8'),
    ('fake', toy(shape=(9, 8, 1)), r'fake_images: images of \(9, 8, 1\) given, train_images are \(8, 8, 1\)'),
    ('train', toy(shape=(7, 7, 1)), 'train_images: .* 8 pixels or more'),
    ('test', (toy()[0][:0], toy()[1][:0]), r'test_images: uint8 \(0, 8, 8, 1\)'),
  ],
)
def test_names_what_is_wrong(place, given, message):
  found = {'fake': toy(), 'train': toy(seed=1), 'test': toy(seed=2)} | {place: given}
  for measure in (accuracy_score, augmentation_value):
    with pytest.raises(ValueError, match=message):
      measure(*found['fake'], *found['train'], *found['test'])


@pytest.mark.parametrize(
  ('options', 'message'),
  [
    ({'sizes': (41,)}, "sizes: 41 given; 'all', or an integer from 2 .* to 40"),
    ({'sizes': (1,)}, 'sizes: 1 given'),
    ({'sizes': ('some',)}, "sizes: 'some' given"),
    ({'noises': (-0.1,)}, 'noises: .* given'),
    ({'noises': ()}, 'noises: .* given'),
    ({'steps': 0}, 'steps: 0 given'),
  ],
)
def test_names_options_that_cannot_be(options, message):
  with pytest.raises(ValueError, match=message):
    augmentation_value(*toy(), *toy(seed=1), *toy(seed=2), **({'sizes': ('all',)} | options))


@pytest.mark.slow
def test_digits_reach_what_they_can():
  found = accuracy_score(*real_as_fake())
  assert found['classification_accuracy'] == found['classification_accuracy_real'] >= 0.98
  assert accuracy_score(*real_as_fake(shuffled))['classification_accuracy'] < 0.2

  def few(images, labels):  # a collapsed generator: one image a class
    first = np.unique(labels, return_index=True)[1]
    return images[first][labels], labels

  assert accuracy_score(*real_as_fake(few))['classification_accuracy'] < 0.8


@pytest.mark.slow
def test_augmentation_of_digits():
  helpful = augmentation_value(*real_as_fake(), sizes=(50, 'all'), noises=(0,))
  assert helpful['augmentation_gain_50'] > 0.04
  assert abs(helpful['augmentation_gain_all']) < 0.02
  harmful = augmentation_value(*real_as_fake(shuffled), sizes=(50,), noises=(0,))
  assert harmful['augmentation_gain_50'] < 0
  assert harmful['augmentation_real_50'] == helpful['augmentation_real_50']


@pytest.mark.slow
def test_colour_and_larger_images():
  def tinted(n, seed):
    images, labels = toy(n, (0, 1, 2), (32, 24, 3), seed)
    images[..., 0] = np.random.default_rng(seed).integers(0, 255, images.shape[:3])
    return images, labels

  found = accuracy_score(*tinted(90, 0), *tinted(60, 1), *tinted(60, 2), steps=30)
  assert found['classification_images'] == 60
  assert found['classification_accuracy'] > 0.9 < found['classification_accuracy_real']
