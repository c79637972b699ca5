"""What samples with labels are worth to a classifier: one that learned from them is tested on real images.

All classifiers of a call are one compiled program: images of all sets are kept on the device, and a training set is the
list of rows that each step looks at. Every classifier takes the same number of steps, whatever its set's size.
"""

from collections.abc import Sequence
from functools import partial
from typing import Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from ganjax.nets.layers import INITIALIZERS, Conv
from ganjax.types import Array, Key

STEPS, BATCH, TEST_BATCH = 600, 64, 500
LEARNING_RATE, WEIGHT_DECAY = 2e-3, 0.05
WIDTH, MAX_WIDTH, HIDDEN = 32, 128, 128
SMALLEST = 8  # pixels a side
SHIFT = 1 / 8  # of the side: training images are moved by up to so much

Size = int | Literal['all']


class Classifier(nn.Module):
  """Images [B, H, W, C] in [-1, 1], grey or colour -> logits [B, classes]; sides of 8 pixels or more.

  Convolutions of stride 2 down to 4 pixels, two dense layers. Norms are of an image, not of a batch: what a classifier
  says of a test image depends on no other.
  """

  classes: int

  @nn.compact
  def __call__(self, x: Array) -> Array:
    conv = partial(Conv, kernel_init=INITIALIZERS['he'])
    width = WIDTH
    x = nn.relu(conv(width)(x))
    while max(x.shape[1:3]) > 4:
      width = min(2 * width, MAX_WIDTH)
      x = nn.relu(nn.GroupNorm(num_groups=1)(conv(width, stride=2)(x)))
    x = nn.relu(nn.Dense(HIDDEN)(x.reshape(len(x), -1)))
    return nn.Dense(self.classes)(x)


class Images(NamedTuple):
  """Images with labels, all that one call looks at: those of training sets are rows of `pool`."""

  classes: np.ndarray  # [K], the numbers that users give them
  pool: Array  # uint8 [M + N, H, W, C], fake ones first
  labels: np.ndarray  # int32 [M + N], from 0 to K - 1
  fake: int  # M
  test: np.ndarray  # uint8 [T, H, W, C]
  test_labels: np.ndarray  # int32 [T]

  @property
  def fakes(self) -> np.ndarray:
    """Rows of `pool`."""
    return np.arange(self.fake)

  @property
  def reals(self) -> np.ndarray:
    """Rows of `pool`."""
    return np.arange(self.fake, len(self.pool))


def accuracy_score(
  fake_images: np.ndarray,
  fake_labels: np.ndarray,
  train_images: np.ndarray,
  train_labels: np.ndarray,
  test_images: np.ndarray,
  test_labels: np.ndarray,
  *,
  steps: int = STEPS,
  seed: int = 0,
) -> dict[str, float]:
  """Classification accuracy score (Ravuri & Vinyals 2019, https://arxiv.org/abs/1905.10887).

  The accuracy on real held-out images of a classifier that learned from samples alone; beside it, that of the same
  classifier from as many real images. Where there are more samples than real images, or fewer, the larger set is cut
  to the smaller one's size, with the shares of its classes kept.

  Args:
    fake_images: samples, uint8 [M, H, W, C].
    fake_labels: the classes they were asked for, integers [M].
    train_images: real ones to learn from, uint8 [N, H, W, C].
    train_labels: integers [N].
    test_images: real ones held out, uint8 [T, H, W, C].
    test_labels: integers [T].
    steps: of training, with 64 images each. As many for all sets: 600 are enough for digits.
    seed: of initial parameters, order, shifts and cuts.

  Returns: `classification_accuracy` and `classification_accuracy_real`, shares of the test images; the same of class
    K's as `classification_accuracy_K` and `classification_accuracy_K_real`; `classification_images`, how many either
    learned from.

  Raises: ValueError that names an argument: a class that is missing or unknown, counts or shapes that don't fit.
  """
  images = gathered(fake_images, fake_labels, train_images, train_labels, test_images, test_labels)
  count = min(images.fake, len(images.reals))
  values: dict[str, float] = {}
  for suffix, rows in (('', images.fakes), ('_real', images.reals)):
    params = learned(images, [spread(images, rows, seed)[:count]], steps, seed)
    right = correct(images, params, 0.0, seed)
    values[f'classification_accuracy{suffix}'] = float(right.mean())
    for k, name in enumerate(images.classes):
      values[f'classification_accuracy_{name}{suffix}'] = float(right[images.test_labels == k].mean())
  return values | {'classification_images': float(count)}


def augmentation_value(
  fake_images: np.ndarray,
  fake_labels: np.ndarray,
  train_images: np.ndarray,
  train_labels: np.ndarray,
  test_images: np.ndarray,
  test_labels: np.ndarray,
  *,
  sizes: Sequence[Size] = (50, 200, 'all'),
  noises: Sequence[float] = (0.0, 0.1, 0.2),
  steps: int = STEPS,
  seed: int = 0,
) -> dict[str, float]:
  """What samples add to few or many real images: accuracy of a classifier from real, synthetic and both.

  From both, half of each batch is real and half synthetic, so that many samples don't drown few images; a step looks
  at as many images as the other classifiers' steps. Real sets are nested, and all training images are shifted by up to
  an eighth of their side, so that samples have to add something to the cheapest augmentation. What is shown for few
  real images is what samples save one from keeping, not what a generator learns from so few: it has seen its own
  training set.

  Args: as of `accuracy_score`, and
    sizes: numbers of real images, at least one a class; 'all' is all of them.
    noises: standard deviations of Gaussian noise on the test images, which reach from -1 to 1. It is the same for all
      classifiers, which have not met any in training.

  Returns: accuracies, shares of the test images: `augmentation_synthetic`, and for each size, S, `augmentation_real_S`,
    `augmentation_both_S` and their difference, `augmentation_gain_S`; under noise of .1 they end in `_noise_0.1`.

  Raises: ValueError as `accuracy_score`, and for sizes and noises that can't be.
  """
  images = gathered(fake_images, fake_labels, train_images, train_labels, test_images, test_labels)
  reals, fakes = spread(images, images.reals, seed), images.fakes
  counts = {size: counted(size, len(reals), len(images.classes)) for size in sizes}
  if not noises or not all(0 <= noise < np.inf for noise in noises):
    raise ValueError(f'noises: {tuple(noises)} given; at least one number from 0 on is needed')
  sets: dict[str, list[np.ndarray]] = {'synthetic': [fakes]}
  for size, count in counts.items():
    sets |= {f'real_{size}': [reals[:count]], f'both_{size}': [reals[:count], fakes]}
  values: dict[str, float] = {}
  for name, parts in sets.items():
    params = learned(images, parts, steps, seed)
    for noise in noises:
      values[f'augmentation_{name}{under(noise)}'] = float(correct(images, params, noise, seed).mean())
  for size in counts:
    for end in map(under, noises):
      both, real = (values[f'augmentation_{name}_{size}{end}'] for name in ('both', 'real'))
      values[f'augmentation_gain_{size}{end}'] = both - real
  return values


def under(noise: float) -> str:
  """The end of a name."""
  return f'_noise_{noise:g}' if noise else ''


def counted(size: Size, most: int, least: int) -> int:
  """A number of real images. Raises ValueError for one that can't be."""
  count = most if size == 'all' else size
  if not isinstance(count, int | np.integer) or not least <= count <= most:
    raise ValueError(
      f"sizes: {size!r} given; 'all', or an integer from {least} (an image a class) to {most}, is needed"
    )
  return int(count)


def gathered(
  fake_images: np.ndarray,
  fake_labels: np.ndarray,
  train_images: np.ndarray,
  train_labels: np.ndarray,
  test_images: np.ndarray,
  test_labels: np.ndarray,
) -> Images:
  """The three sets as one; classes are those of the training images. Raises ValueError, see `accuracy_score`."""
  sets = {'train': (train_images, train_labels), 'fake': (fake_images, fake_labels), 'test': (test_images, test_labels)}
  found = {name: checked(name, *own, np.asarray(train_images).shape[1:]) for name, own in sets.items()}
  classes = np.unique(found['train'][1])
  if len(classes) < 2:
    raise ValueError(f'train_labels: only class {classes[0]} given; at least two are needed')
  for name, (_, labels) in found.items():
    missing, unknown = np.setdiff1d(classes, labels), np.setdiff1d(labels, classes)
    if len(missing):
      raise ValueError(f'{name}_labels: no image of class {listed(missing)}, which train_labels have')
    if len(unknown):
      raise ValueError(f'{name}_labels: class {listed(unknown)} is not among train_labels')
  (fake, fake_k), (train, train_k), (test, test_k) = (
    (x, np.searchsorted(classes, y).astype(np.int32)) for x, y in (found[name] for name in ('fake', 'train', 'test'))
  )
  return Images(classes, jnp.concatenate([fake, train]), np.concatenate([fake_k, train_k]), len(fake), test, test_k)


def checked(name: str, images: np.ndarray, labels: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
  """Images of this shape with their labels. Raises ValueError."""
  images, labels = np.asarray(images), np.asarray(labels)
  if images.ndim != 4 or images.dtype != np.uint8 or not len(images) or min(images.shape[1:3]) < SMALLEST:
    raise ValueError(
      f'{name}_images: {images.dtype} {images.shape} given; uint8 [N >= 1, H, W, C] of {SMALLEST} pixels or more is needed'
    )
  if images.shape[1:] != shape:
    raise ValueError(f'{name}_images: images of {images.shape[1:]} given, train_images are {shape}; one size is needed')
  if labels.shape != images.shape[:1] or labels.dtype.kind not in 'iu':
    raise ValueError(
      f'{name}_labels: {labels.dtype} {labels.shape} given; an integer for each of {len(images)} is needed'
    )
  return images, labels


def listed(classes: np.ndarray, most: int = 5) -> str:
  """Some of them, for a message."""
  more = f' and {len(classes) - most} more' if len(classes) > most else ''
  return ', '.join(map(str, classes[:most])) + more


def spread(images: Images, rows: np.ndarray, seed: int) -> np.ndarray:
  """`rows` in a random order of which any first part has the classes in their proportion.

  And has each, if it is as long as there are classes: the first of every class come first.
  """
  rows = np.random.default_rng(seed).permutation(rows)
  labels = images.labels[rows]
  place = np.empty(len(rows))
  for k in range(len(images.classes)):
    own = labels == k
    place[own] = np.arange(own.sum()) / own.sum()
  return rows[np.argsort(place, kind='stable')]


def draws(parts: Sequence[np.ndarray], steps: int, seed: int) -> np.ndarray:
  """int32 [steps, BATCH], rows that each step looks at: as many from each part, one whole pass after the other."""
  if steps < 1:
    raise ValueError(f'steps: {steps} given; a number from 1 on is needed')
  random, each = np.random.default_rng(seed), BATCH // len(parts)
  passes = [[random.permutation(rows) for _ in range(-(-steps * each // len(rows)))] for rows in parts]
  return np.concatenate([np.concatenate(p)[: steps * each].reshape(steps, each) for p in passes], 1).astype(np.int32)


def learned(images: Images, parts: Sequence[np.ndarray], steps: int, seed: int) -> dict:
  """Parameters of a classifier that learned from these rows of the pool, see `draws`."""
  return fit(jax.random.key(seed), images.pool, images.labels, draws(parts, steps, seed), len(images.classes))


def correct(images: Images, params: dict, noise: float, seed: int) -> np.ndarray:
  """bool [T], which test images are seen as theirs under Gaussian noise of this standard deviation."""
  key, count = jax.random.key(seed), len(images.test)
  size = min(TEST_BATCH, count)
  found = []
  for start in range(0, count, size):
    rows = np.minimum(np.arange(start, start + size), count - 1)  # the last batch is filled up
    own = jax.random.fold_in(key, start)
    found.append(predict(params, images.test[rows], own, float(noise), len(images.classes)))
  return np.concatenate(found)[:count] == images.test_labels


@partial(jax.jit, static_argnames='classes')
def fit(key: Key, pool: Array, labels: Array, rows: Array, classes: int) -> dict:
  """Parameters of a `Classifier` after AdamW with a cosine schedule."""
  net = Classifier(classes)
  params = net.init(key, scaled(pool[:1]))['params']
  optimizer = optax.adamw(optax.cosine_decay_schedule(LEARNING_RATE, len(rows)), weight_decay=WEIGHT_DECAY)

  def step(carry: tuple, each: tuple[Array, Array]) -> tuple[tuple, None]:
    (params, state), (i, row) = carry, each
    x = shifted(jax.random.fold_in(key, i), scaled(pool[row]))
    loss = lambda p: optax.softmax_cross_entropy_with_integer_labels(net.apply({'params': p}, x), labels[row]).mean()  # noqa: E731
    updates, state = optimizer.update(jax.grad(loss)(params), state, params)
    return (optax.apply_updates(params, updates), state), None

  (params, _), _ = jax.lax.scan(step, (params, optimizer.init(params)), (jnp.arange(len(rows)), rows))
  return params


@partial(jax.jit, static_argnames='classes')
def predict(params: dict, images: Array, key: Key, noise: float, classes: int) -> Array:
  """Classes [B] of uint8 images [B, H, W, C] with noise."""
  x = scaled(images)
  return Classifier(classes).apply({'params': params}, x + noise * jax.random.normal(key, x.shape)).argmax(1)  # type: ignore[union-attr]


def scaled(images: Array) -> Array:
  """uint8 -> [-1, 1]."""
  return images.astype(jnp.float32) / 127.5 - 1


def shifted(key: Key, x: Array) -> Array:
  """Images [B, H, W, C], each moved by a few whole pixels; what was at the border comes in."""
  (height, width), count = x.shape[1:3], len(x)
  keys = jax.random.split(key)
  by = [
    jax.random.randint(k, (count, 1), -int(n * SHIFT), int(n * SHIFT) + 1)
    for k, n in zip(keys, (height, width), strict=True)
  ]
  down, right = (jnp.clip(jnp.arange(n) + b, 0, n - 1) for n, b in zip((height, width), by, strict=True))
  return jax.vmap(lambda image, i, j: image[i][:, j])(x, down, right)
