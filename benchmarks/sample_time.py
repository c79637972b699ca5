"""Time of sampling from a generator, ours against plain PyTorch, in one process, taking turns.

python benchmarks/sample_time.py

One image, and 10,000 images in batches of 250, from DCGAN's G of width 64 at 32 x 32. Medians of 15 and of 3 calls on
two threads. Ends with one JSON line: {"case": {"ours": ms, "peer": ms, "ratio": ours' speed over the peer's}}.
Weights are fresh: they don't change the time. Needs `pip install torch`.
"""

import json

import jax
import jax.numpy as jnp
import numpy as np
import peers
import torch
from cases import IMAGES, Calls
from step_time import measure

from ganjax import config as configs

BATCH = 250


def case(count: int) -> tuple[Calls, Calls]:
  """Both sides make `count` images and bring them to the host."""
  config = configs.complete({'generator': {'name': 'dcgan', 'width': 64}, 'latent_dim': 128})
  game = configs.game(config, IMAGES)
  params, extras = game.init(jax.random.key(0), {'image': jnp.zeros((1, 32, 32, 3))})
  batch = min(count, BATCH)

  @jax.jit
  def draw(key: jax.Array) -> jax.Array:
    return game.generate(params, extras, game.prior(key, batch, None))['image']

  network = peers.dcgan_generator(64).to(memory_format=torch.channels_last).eval()

  def ours() -> None:
    keys = jax.random.split(jax.random.key(1), count // batch)
    for image in [draw(key) for key in keys]:
      np.asarray(image)

  @torch.inference_mode()
  def peer() -> None:
    for _ in range(count // batch):
      network(torch.randn(batch, 128)).numpy()

  return (ours, 1), (peer, 1)


def main() -> None:
  """Runs both cases."""
  torch.set_num_threads(2)
  found = {'one_image': measure(*case(1)), '10000_images': measure(*case(10_000), repeats=3)}
  print(json.dumps(found))


if __name__ == '__main__':
  main()
