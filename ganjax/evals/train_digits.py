"""Trains the digit classifier and writes `digits.npz`: `python -m ganjax.evals.train_digits [FILE]`, 15 s on two cores."""

import sys
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import flatten_dict

from ganjax.data.digits import digits
from ganjax.evals.digits import WEIGHTS, Classifier, from_flat
from ganjax.evals.metrics import sure_share
from ganjax.types import Array, Key

EPOCHS, BATCH_SIZE, LEARNING_RATE, WEIGHT_DECAY = 60, 100, 2e-3, 0.1
SHIFT, MIXUP = 0.5, 0.2


def train(seed: int = 0) -> dict[str, np.ndarray]:
  """Parameters as float16 by 'layer/name', from the training split alone; the same on the same machine."""
  train_set = digits(split='train').get(np.arange(1500))
  images = jnp.asarray(train_set['image'], jnp.float32) / 127.5 - 1
  targets = jax.nn.one_hot(train_set['label'], 10)
  batches = EPOCHS * len(images) // BATCH_SIZE
  optimizer = optax.adamw(optax.cosine_decay_schedule(LEARNING_RATE, batches), weight_decay=WEIGHT_DECAY)
  net, key = Classifier(), jax.random.key(seed)
  params = net.init(key, images[:1])['params']
  state = optimizer.init(params)

  @jax.jit
  def step(params: dict, state: optax.OptState, rows: Array, key: Key) -> tuple[dict, optax.OptState]:
    x, y = augment(key, images[rows], targets[rows])
    loss = lambda p: optax.softmax_cross_entropy(net.apply({'params': p}, x)[1], y).mean()  # type: ignore[index]  # noqa: E731
    updates, state = optimizer.update(jax.grad(loss)(params), state, params)
    return optax.apply_updates(params, updates), state  # type: ignore[return-value]

  order = np.random.default_rng(seed)
  rows = np.concatenate([order.permutation(len(images)) for _ in range(EPOCHS)]).reshape(batches, BATCH_SIZE)
  for i, batch in enumerate(rows):
    params, state = step(params, state, batch, jax.random.fold_in(key, i))
  return {name: np.asarray(x, np.float16) for name, x in flatten_dict(params, sep='/').items()}


def augment(key: Key, x: Array, y: Array) -> tuple[Array, Array]:
  """Shifts of up to half a pixel, then mixup (Zhang et al. 2018, arXiv:1710.09412).

  Mixup keeps the classifier from being sure of what lies between classes.
  """
  shift_key, mix_key, pair_key = jax.random.split(key, 3)
  shifts = jax.random.uniform(shift_key, (len(x), 2), minval=-SHIFT, maxval=SHIFT)
  x = jax.vmap(shifted)(x, shifts)
  share = jax.random.beta(mix_key, MIXUP, MIXUP, (len(x),))
  share = jnp.maximum(share, 1 - share)[:, None]
  other = jax.random.permutation(pair_key, len(x))
  mix = lambda share, x: share * x + (1 - share) * x[other]  # noqa: E731
  return mix(share[..., None, None], x), mix(share, y)


def shifted(image: Array, by: Array) -> Array:
  """Image [8, 8, 1] in [-1, 1] moved by fractions of a pixel, bilinearly; background comes in."""
  pixels = jnp.arange(image.shape[0])
  rows, columns = (jnp.maximum(0, 1 - jnp.abs(pixels[:, None] + t - pixels)) for t in by)
  return jnp.einsum('ih,hwc,jw->ijc', rows, image + 1, columns) - 1


def main(file: Path) -> None:
  """Trains, writes and reports on the held-out images."""
  flat = train()
  np.savez_compressed(file, allow_pickle=False, **flat)
  held_out = digits(split='test').get(np.arange(297))
  apply = partial(Classifier().apply, {'params': from_flat(flat)})
  logits = np.asarray(apply(held_out['image'] / np.float32(127.5) - 1)[1])  # type: ignore[index]
  accuracy = (logits.argmax(1) == held_out['label']).mean()
  print(f'{file}: {file.stat().st_size} bytes; held out: accuracy {accuracy:.4f}, sure of {sure_share(logits):.4f}')


if __name__ == '__main__':
  main(Path(sys.argv[1]) if len(sys.argv) > 1 else WEIGHTS)
