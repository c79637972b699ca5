"""What the loop costs beside the compiled step, and how long it takes to the first step.

python benchmarks/loop.py

Ends with one JSON line. `loop_dcgan32`: ms a step of `train` (saving, logging and all) against the bare compiled step on
the same data, as {"ours", "peer", "ratio"}, medians of pairs in turn. `first_step`: seconds from the start of
the process to the end of step 1 of the default experiment, with an empty compilation cache and with a filled one.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np

from ganjax import config as configs
from ganjax import parallel
from ganjax.train import assemble, payload, train

STEPS, PAIRS = 30, 3

FIRST = """
import psutil, time
began = psutil.Process().create_time()
import jax
from ganjax import config, parallel
parallel.use_cache()
from ganjax.train import assemble, payload
setup = assemble(config.load('dcgan_digits'))
state = parallel.place(setup.initial(), setup.mesh)
jax.block_until_ready(setup.play(0, state, payload(setup, 0)))
print(time.time() - began)
"""


def bare(config: configs.ConfigDict, steps: int) -> float:
  """Seconds for so many steps after two that compile."""
  setup = assemble(config)
  state = parallel.place(setup.initial(), setup.mesh)
  for n in range(steps + 2):
    if n == 2:
      jax.block_until_ready(state)
      start = time.perf_counter()
    state, _ = setup.play(n, state, payload(setup, n))
  jax.block_until_ready(state)
  return time.perf_counter() - start


def looped(config: configs.ConfigDict, folder: Path) -> float:
  """Seconds that `train` takes for all steps but the first record's, by the times in metrics.jsonl."""
  train(config, folder, progress=False)
  times = [json.loads(line)['time'] for line in (folder / 'metrics.jsonl').read_text().splitlines()]
  return times[-1] - times[0]


def main() -> None:
  """Measures and prints."""
  found: dict[str, dict[str, float]] = {}
  with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    environment = os.environ | {'JAX_COMPILATION_CACHE_DIR': str(folder / 'cache')}
    run = lambda: float(subprocess.check_output([sys.executable, '-c', FIRST], env=environment, text=True))  # noqa: E731
    found['first_step'] = {'cold_s': round(run(), 2), 'warm_s': round(statistics.median(run() for _ in range(3)), 2)}
    print(found, flush=True)

    data = folder / 'noise.npz'
    np.savez(data, images=np.random.default_rng(0).integers(0, 256, (640, 32, 32, 3), dtype=np.uint8))
    players = {'generator': {'name': 'dcgan', 'width': 64}, 'discriminator': {'name': 'dcgan', 'width': 64}}
    config = configs.complete(
      {
        'data': {'name': 'arrays', 'path': str(data)},
        'latent_dim': 128,
        'batch_size': 64,
        'log_every': 2,
        'steps': STEPS + 2,
        **players,
      }
    )
    pairs = [(looped(config, folder / str(i)) / STEPS, bare(config, STEPS) / STEPS) for i in range(PAIRS)]
    ours, peer = (statistics.median(column) * 1e3 for column in zip(*pairs, strict=True))
    ratio = statistics.median(b / a for a, b in pairs)
    found['loop_dcgan32'] = {'ours': round(ours, 2), 'peer': round(peer, 2), 'ratio': round(ratio, 3)}
  print(json.dumps(found))


if __name__ == '__main__':
  main()
