"""Inception features per second, ours against torch-fidelity, in one process, taking turns.

python benchmarks/inception.py [--save benchmarks/results/FILE.json] [--repeats 5] [--batch 16]

uint8 images of 32 and of 299 pixels -> features and logits, resized as torch-fidelity does, on two threads.
torch-fidelity is timed as it comes (channels first) and in PyTorch's faster order (channels last). Weights are random,
the same ones on both sides, and so are the features, to 1e-4. Ends with one JSON line: {"case": {"ours": images/s,
"peer": images/s, "channels_last": images/s, "ratio": ours over the peer, "ratio_channels_last": ours over that}}.
Needs `pip install torch torch-fidelity`.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import jax
import numpy as np
import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from ganjax.evals.features import inception

SIDES = {'32': 32, '299': 299}
NAMES = ('2048', 'logits')


def weights(file: Path) -> None:
  """A state dict with the published names, drawn at random."""
  draw, found = np.random.default_rng(0), {}
  for name, shape in inception.places()[1].items():
    scale = np.sqrt(2 / np.prod(shape[1:]))
    found[f'{name}.conv.weight'] = draw.standard_normal(shape, np.float32) * np.float32(scale)
    for leaf, value in {'weight': 1, 'bias': 0, 'running_mean': 0, 'running_var': 1}.items():
      found[f'{name}.bn.{leaf}'] = np.full(shape[0], value, np.float32)
    found[f'{name}.bn.num_batches_tracked'] = np.zeros((), np.int64)
  found |= {'fc.weight': draw.standard_normal((1008, 2048), np.float32) / 45, 'fc.bias': np.zeros(1008, np.float32)}
  torch.save({name: torch.from_numpy(np.asarray(x)) for name, x in found.items()}, file)


def case(file: Path, side: int, batch: int) -> dict[str, Callable[[], list[np.ndarray]]]:
  """The sides by name: each makes features and logits of the same images, on the host."""
  images = np.random.default_rng(1).integers(0, 256, (batch, side, side, 3), np.uint8)
  opened = inception.open(file)
  apply = jax.jit(opened.apply)

  def ours() -> list[np.ndarray]:
    seen = apply(opened.params, images)
    return [np.asarray(seen[name]) for name in ('features', 'logits')]

  def peer(order: torch.memory_format) -> Callable[[], list[np.ndarray]]:
    network = FeatureExtractorInceptionV3('inception', list(NAMES), str(file)).to(memory_format=order)
    x = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).to(memory_format=order)

    @torch.inference_mode()
    def call() -> list[np.ndarray]:
      return [found.numpy() for found in network(x)]

    return call

  return {'ours': ours, 'peer': peer(torch.contiguous_format), 'channels_last': peer(torch.channels_last)}


def measure(calls: dict[str, Callable[[], list[np.ndarray]]], repeats: int, batch: int) -> dict[str, float]:
  """Median images per second of each, in turns; the results must be the same."""
  results = {name: call() for name, call in calls.items()}
  for mine, theirs in zip(results['ours'], results['peer'], strict=True):
    assert np.abs(mine - theirs).max() <= 1e-4 * np.abs(theirs).max()
  times: dict[str, list[float]] = {name: [] for name in calls}
  for _ in range(repeats):
    for name, call in calls.items():
      time.sleep(0.2)  # the other side's threads stop spinning
      start = time.perf_counter()
      call()
      times[name].append(time.perf_counter() - start)
  found = {name: round(batch / statistics.median(seen), 2) for name, seen in times.items()}
  print({name: f'{batch / min(seen):.2f} at best' for name, seen in times.items()}, flush=True)
  ratios = {'ratio': found['ours'] / found['peer'], 'ratio_channels_last': found['ours'] / found['channels_last']}
  return found | {name: round(value, 3) for name, value in ratios.items()}


def main() -> None:
  """Runs the cases."""
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--save', type=Path)
  parser.add_argument('--repeats', type=int, default=5)
  parser.add_argument('--batch', type=int, default=16)
  flags = parser.parse_args()
  torch.set_num_threads(2)
  with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / 'inception.pth'
    weights(file)
    cases = {name: case(file, side, flags.batch) for name, side in SIDES.items()}
    found = {name: measure(calls, flags.repeats, flags.batch) for name, calls in cases.items()}
  if flags.save:
    versions = {name: metadata.version(name) for name in ('jax', 'flax', 'torch', 'torch-fidelity')}
    record = {
      'device': f'{os.cpu_count()} x {platform.machine()}, no GPU',
      'versions': {'python': platform.python_version(), **versions},
      'note': f'images/s, medians of {flags.repeats} batches of {flags.batch}, in turns; load {os.getloadavg()[0]:.1f}',
      'cases': found,
    }
    flags.save.write_text(json.dumps(record, indent=2) + '\n')
  print(json.dumps(found))


if __name__ == '__main__':
  main()
