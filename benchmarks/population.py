"""Eight seeds of the ring's small MLP GAN in one program, against one run at a time and against plain PyTorch.

python benchmarks/population.py [batch ...]

Medians of 15 calls each after a warm-up, in one process, taking turns, on two threads. Ends with one JSON line, in
steps of one seed a second: {"batch": {"population", "single", "peer", "over_single", "over_peer"}}.
Needs `pip install torch`.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import peers
import torch

from ganjax import config as configs
from ganjax import parallel
from ganjax.assemble import assemble, payload

REPEATS, STEPS, PEER_STEPS, SEEDS = 15, 100, 20, 8
FIELDS: dict[str, Any] = {
  'data': {'name': 'mixture'}, 'generator': {'name': 'mlp'}, 'discriminator': {'name': 'mlp'}, 'latent_dim': 2,
  'optimizer': {player: {'name': 'adam', 'learning_rate': 2e-4} for player in 'gd'}, 'devices': 1,
  'steps': STEPS, 'steps_per_call': STEPS,
}  # fmt: skip


def ours(batch: int, seeds: int) -> Callable[[], None]:
  """A call that makes STEPS steps of so many seeds in one program, and waits for it."""
  population = {'population': {'seeds': tuple(range(seeds))}} if seeds > 1 else {}
  setup = assemble(configs.complete(FIELDS | {'batch_size': batch} | population))
  held = [parallel.place(setup.initial(), setup.mesh)]

  def call() -> None:
    held[0], _ = setup.play(0, held[0], payload(setup, 0))
    jax.block_until_ready(held[0])

  return call


def peer(batch: int) -> Callable[[], None]:
  """A call that makes PEER_STEPS steps of one seed with PyTorch."""
  g, d = peers.mlp(2, 2, torch.nn.ReLU), peers.mlp(2, 1, lambda: torch.nn.LeakyReLU(0.2))
  step = peers.stepper(g, d, 'non_saturating', lambda: peers.ring(batch), lambda: torch.randn(batch, 2))

  def call() -> None:
    for _ in range(PEER_STEPS):
      step()

  return call


def measure(batch: int) -> dict[str, float]:
  """Steps of one seed a second, of each in turns, and the ratios."""
  sides = {
    'population': (ours(batch, SEEDS), SEEDS * STEPS),
    'single': (ours(batch, 1), STEPS),
    'peer': (peer(batch), PEER_STEPS),
  }
  for call, _ in sides.values():
    call()
    call()
  times: dict[str, list[float]] = {name: [] for name in sides}
  for _ in range(REPEATS):
    for name, (call, _) in sides.items():
      time.sleep(0.02)  # the other side's threads stop spinning
      start = time.perf_counter()
      call()
      times[name].append(time.perf_counter() - start)
  print(
    '  quickest: ' + ', '.join(f'{name} {steps / min(times[name]):.0f}' for name, (_, steps) in sides.items()),
    flush=True,
  )
  speed = {name: steps / statistics.median(times[name]) for name, (_, steps) in sides.items()}
  found = {name: round(value, 1) for name, value in speed.items()}
  return found | {f'over_{name}': round(speed['population'] / speed[name], 3) for name in ('single', 'peer')}


def main() -> None:
  """Measures the batch sizes of the command line."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('batches', nargs='*', type=int, default=[128, 512])
  torch.set_num_threads(2)
  found = {}
  for batch in parser.parse_args().batches:
    found[batch] = measure(batch)
    print(batch, found[batch], flush=True)
  print(json.dumps(found))


if __name__ == '__main__':
  main()
