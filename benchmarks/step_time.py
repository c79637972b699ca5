"""Time of a training step, ours against plain PyTorch, in one process, taking turns.

python benchmarks/step_time.py [case ...]

Medians of 15 calls each after a warm-up, on two threads. Ends with one JSON line:
{"case": {"ours": ms, "peer": ms, "ratio": ours' speed over the peer's}}. Needs `pip install torch`.
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
from ganjax.data.feed import open_feed
from ganjax.data.sources import open_source
from ganjax.data.spec import Spec
from ganjax.state import create

REPEATS = 15
ADAM = {player: {'name': 'adam', 'learning_rate': 2e-4} for player in 'gd'}
IMAGES = Spec('image', (32, 32, 3))

Calls = tuple[Callable[[], None], int]  # one timed call, and how many steps it makes


def image_case(loss: str, net: str, width: int, batch: int, extra: dict[str, Any]) -> tuple[Calls, Calls]:
  """Images of noise: neither side reads data."""
  players = {'generator': {'name': net, 'width': width}, 'discriminator': {'name': net, 'width': width} | extra}
  config = configs.complete(
    {'loss': {'name': loss}, 'optimizer': ADAM, 'batch_size': batch, 'latent_dim': 128, **players}
  )
  game = configs.game(config, IMAGES)
  rules = configs.rules(config, game)
  mesh = parallel.make_mesh(1)
  images = jax.random.uniform(jax.random.key(1), (batch, 32, 32, 3), minval=-1, maxval=1)
  state = create(game, rules, jax.random.key(0), {'image': images}, configs.hyper(config))
  program = parallel.compile(game, rules, mesh)
  real = torch.rand(batch, 3, 32, 32).mul(2).sub(1).contiguous(memory_format=torch.channels_last)
  g, d = {
    'dcgan': (peers.dcgan_generator, peers.dcgan_discriminator),
    'resnet': (peers.SNGANGenerator, peers.SNGANDiscriminator),
  }[net]
  latent = lambda: torch.randn(batch, 128)  # noqa: E731
  peer = peers.stepper(g(width), d(width), loss, lambda: real, latent)
  return (caller(program, state, mesh, parallel.place({'image': images[None]}, mesh)), 1), (peer, 1)


def ring_case(batch: int, steps: int = 100, unroll: int = 0) -> tuple[Calls, Calls]:
  """The ring of 8 Gaussians; both sides draw their data. `unroll`: D's moves that G looks ahead."""
  ahead = {'game': 'unrolled', 'play.unroll_steps': unroll, 'optimizer.d.eps_root': 1e-12} if unroll else {}
  config = configs.complete(
    {
      'data': {'name': 'mixture'}, 'generator': {'name': 'mlp'}, 'discriminator': {'name': 'mlp'}, 'latent_dim': 2,
      'optimizer': ADAM, 'batch_size': batch, 'steps': steps, 'steps_per_call': steps,
    }, ahead,
  )  # fmt: skip
  source = open_source(config.data)
  feed = open_feed(source, batch=batch, seed=0)
  game = configs.game(config, source.spec)
  rules = configs.rules(config, game)
  mesh = parallel.make_mesh(1)
  example = {'row': jax.numpy.zeros((batch, 2))}
  state = create(game, rules, jax.random.key(0), example, configs.hyper(config))
  program = parallel.compile(game, rules, mesh, steps=steps, read=feed.read, resident=batch, unroll=False)
  d = peers.mlp(2, 1, lambda: torch.nn.LeakyReLU(0.2))
  g = peers.mlp(2, 2, torch.nn.ReLU)
  data, latent = (lambda: peers.ring(batch)), (lambda: torch.randn(batch, 2))
  if unroll:
    peer = peers.unrolled_stepper(g, d, unroll, data, latent)
  else:
    peer = peers.stepper(g, d, 'non_saturating', data, latent)

  def several() -> None:
    for _ in range(20):
      peer()

  return (caller(program, state, mesh, parallel.place(feed.payload(0, ()), mesh)), steps), (several, 20)


def caller(program: parallel.Program, state: Any, mesh: Any, payload: Any) -> Callable[[], None]:
  """Calls the program on the state that it returned last, and waits for it."""
  held = [parallel.place(state, mesh)]

  def call() -> None:
    held[0], _ = program(0, held[0], payload)
    jax.block_until_ready(held[0])

  return call


CASES: dict[str, Callable[[], tuple[Calls, Calls]]] = {
  'dcgan32': lambda: image_case('non_saturating', 'dcgan', 64, 64, {}),
  'sngan32': lambda: image_case('hinge', 'resnet', 64, 16, {}),
  'sngan32_w128': lambda: image_case('hinge', 'resnet', 128, 16, {}),
  'ring_mlp_b512': lambda: ring_case(512),
  'ring_mlp_b128': lambda: ring_case(128),
  'ring_unrolled5_b512': lambda: ring_case(512, unroll=5),
  'ring_unrolled5_b128': lambda: ring_case(128, unroll=5),
}


def measure(ours: Calls, peer: Calls, repeats: int = REPEATS) -> dict[str, float]:
  """Median milliseconds per step of each, in turns."""
  times: tuple[list[float], list[float]] = ([], [])
  for call, _ in (ours, peer):
    call()
    call()
  for _ in range(repeats):
    for (call, steps), seen in zip((ours, peer), times, strict=True):
      time.sleep(0.02)  # the other side's threads stop spinning
      start = time.perf_counter()
      call()
      seen.append((time.perf_counter() - start) * 1e3 / steps)
  mine, theirs = map(statistics.median, times)
  print(f'  quickest: ours {min(times[0]):.2f}, peer {min(times[1]):.2f} ms', flush=True)
  return {'ours': round(mine, 3), 'peer': round(theirs, 3), 'ratio': round(theirs / mine, 3)}


def main() -> None:
  """Runs the cases named on the command line, or all."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('cases', nargs='*', help=', '.join(CASES))
  names = parser.parse_args().cases or list(CASES)
  torch.set_num_threads(2)
  found = {}
  for name in names:
    found[name] = measure(*CASES[name]())
    print(name, found[name], flush=True)
  print(json.dumps(found))


if __name__ == '__main__':
  main()
