"""Time of metrics from features, ours against torch-fidelity, prdc and clean-fid, in one process, taking turns.

python benchmarks/metrics.py [case ...]
python benchmarks/metrics.py --save benchmarks/results/metrics_cpu2.json
python benchmarks/metrics.py --save benchmarks/results/metrics_cpu2.json memory

Medians of 3 calls each, on two threads. Ends with one JSON line:
{"case": {"ours": s, "peers": {"name": s}, "ratio": {"name": our speed over the peer's}, "difference": {"name": relative
difference of the numbers}}}. The case `memory` is asked for by name: it measures the peak of a process that holds
2 x 50,000 x 2,048 features and computes prdc, some minutes. Features are made up: rectified, of rank 64 and noise.
Needs `pip install torch torch-fidelity prdc clean-fid`.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np

from ganjax.evals import metrics

REPEATS = 3
ROWS, WIDTH, CLASSES = 5000, 2048, 1008
Calls = dict[str, Callable[[], list[float]]]  # 'ours' and peers by name -> the numbers that they give


def features(count: int, seed: int, scale: float = 1.0) -> np.ndarray:
  """float32 [count, WIDTH], never below zero, as a rectified network's."""
  mix = np.random.default_rng(0).standard_normal((64, WIDTH), dtype=np.float32)
  rng = np.random.default_rng(seed)
  found = np.empty((count, WIDTH), np.float32)
  for start in range(0, count, 1000):
    part = found[start : start + 1000]
    part[:] = rng.standard_normal((len(part), 64), dtype=np.float32) @ mix * (0.05 * scale)
    part += rng.standard_normal(part.shape, dtype=np.float32) * 0.2
  return np.maximum(found, 0, out=found)


def pair(count: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
  """Real and fake."""
  return features(count, 1), features(count, 2, 0.9)


def frechet() -> Calls:
  """The Fréchet distance from statistics of 2,048 features."""
  from cleanfid.fid import frechet_distance
  from torch_fidelity.metric_fid import fid_statistics_to_metric

  statistics = [(m.mean, m.covariance) for m in map(metrics.Moments.of, pair())]
  (mean, covariance), (other_mean, other) = statistics
  stored = [{'mu': m, 'sigma': c} for m, c in statistics]
  return {
    'ours': lambda: [metrics.frechet_of_gaussians(mean, covariance, other_mean, other)],
    'torch-fidelity': lambda: list(fid_statistics_to_metric(*stored, verbose=False).values()),
    'clean-fid': lambda: [frechet_distance(mean, covariance, other_mean, other)],
  }


def moments() -> Calls:
  """Mean and covariance of 5,000 x 2,048."""
  from torch import from_numpy
  from torch_fidelity.metric_fid import fid_features_to_statistics

  real, _ = pair()
  return {
    'ours': lambda: [float(np.trace(metrics.Moments.of(real).covariance))],
    'torch-fidelity': lambda: [float(np.trace(fid_features_to_statistics(from_numpy(real))['sigma']))],
  }


def prdc() -> Calls:
  """Precision, recall, density and coverage of 5,000 x 2,048."""
  from prdc import compute_prdc

  real, fake = pair()
  return {
    'ours': lambda: list(metrics.prdc(real, fake, 5).values()),
    'prdc': lambda: list(compute_prdc(real, fake, 5).values()),
  }


def precision_recall() -> Calls:
  """Improved precision and recall of 5,000 x 2,048."""
  from torch import from_numpy
  from torch_fidelity.metric_prc import prc_features_to_metric

  real, fake = pair()
  options = {'prc_neighborhood': 3, 'prc_batch_size': 10000, 'verbose': False}
  theirs = lambda: prc_features_to_metric(from_numpy(fake), from_numpy(real), **options)  # noqa: E731
  return {
    'ours': lambda: list(metrics.precision_recall(real, fake, 3).values()),
    'torch-fidelity': lambda: [theirs()[name] for name in ('precision', 'recall')],
  }


def kid() -> Calls:
  """KID of 5,000 x 2,048, 100 subsets of 1,000; clean-fid draws other subsets."""
  from cleanfid.fid import kernel_distance
  from torch import from_numpy
  from torch_fidelity.metric_kid import kid_features_to_metric

  real, fake = pair()
  options = {'kid_subsets': 100, 'kid_subset_size': 1000, 'verbose': False}
  return {
    'ours': lambda: list(metrics.kernel_distance(real, fake)),
    'torch-fidelity': lambda: list(kid_features_to_metric(from_numpy(fake), from_numpy(real), **options).values()),
    'clean-fid': lambda: [kernel_distance(fake, real)],
  }


def inception_score() -> Calls:
  """Inception Score of 5,000 x 1,008, shuffled as torch-fidelity does."""
  from torch import from_numpy
  from torch_fidelity.metric_isc import isc_features_to_metric

  logits = np.random.default_rng(0).normal(size=(ROWS, CLASSES)).astype(np.float32) * 2
  return {
    'ours': lambda: list(metrics.inception_score(logits, 10, shuffle=2020)),
    'torch-fidelity': lambda: list(isc_features_to_metric(from_numpy(logits)).values()),
  }


CASES = {function.__name__: function for function in (frechet, moments, prdc, precision_recall, kid, inception_score)}


def measure(calls: Calls, repeats: int) -> dict:
  """Median seconds of each, in turns, and how far the peers' numbers are from ours."""
  times: dict[str, list[float]] = {name: [] for name in calls}
  numbers = {}
  for _ in range(repeats):
    for name, call in calls.items():
      time.sleep(0.2)  # the other side's threads stop spinning
      start = time.perf_counter()
      numbers[name] = np.array(call())
      times[name].append(time.perf_counter() - start)
  seconds = {name: statistics.median(seen) for name, seen in times.items()}
  ours = numbers['ours']
  peers = [name for name in calls if name != 'ours']
  return {
    'ours': round(seconds['ours'], 4),
    'peers': {name: round(seconds[name], 4) for name in peers},
    'ratio': {name: round(seconds[name] / seconds['ours'], 2) for name in peers},
    'difference': {
      name: float(f'{np.abs(numbers[name] / ours[: len(numbers[name])] - 1).max():.1e}') for name in peers
    },
  }


def memory(rows: int = 50_000) -> dict:
  """Peak memory of prdc of two sets of `rows` x 2,048, in a process of its own, features included."""
  command = [sys.executable, __file__, '--rows', str(rows)]
  return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def alone(rows: int) -> None:
  """What `memory` starts."""
  peak = lambda: round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 3)  # noqa: E731
  real, fake = pair(rows)
  before, start = peak(), time.perf_counter()
  found = metrics.prdc(real, fake, 5)
  seconds = round(time.perf_counter() - start, 1)
  print(json.dumps({'rows': rows, 'GiB': peak(), 'GiB with features alone': before, 'seconds': seconds} | found))


def save(path: Path, found: dict[str, dict]) -> None:
  """Writes the cases to a JSON file; those of other names that it has stay."""
  kept = json.loads(path.read_text())['cases'] if path.exists() else {}
  names = ('numpy', 'scipy', 'torch', 'torch-fidelity', 'prdc', 'clean-fid', 'scikit-learn')
  record = {
    'device': f'{os.cpu_count()} x {platform.machine()}, no GPU',
    'versions': {'python': platform.python_version()} | {name: metadata.version(name) for name in names},
    'commands': ['python benchmarks/metrics.py --save FILE', 'python benchmarks/metrics.py --save FILE memory'],
    'note': 'seconds, medians of 3; load: of the machine when a case was done, 2 being this process alone; difference: '
    'of kid, torch-fidelity reckons in float32 (in float64 it has our numbers) and clean-fid draws other subsets; of '
    'prdc, a pair that float32 distances put on the other side',
    'cases': kept | found,
  }
  path.write_text(json.dumps(record, indent=2) + '\n')


def main() -> None:
  """Runs the cases named on the command line, or all that are timed."""
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('cases', nargs='*', help=', '.join([*CASES, 'memory']))
  parser.add_argument('--repeats', type=int, default=REPEATS, help='timed calls of each side')
  parser.add_argument('--save', type=Path, metavar='FILE', help='a JSON file for the results')
  parser.add_argument('--rows', type=int, help=argparse.SUPPRESS)
  given = parser.parse_args()
  if given.rows:
    alone(given.rows)
    return
  if unknown := set(given.cases) - {*CASES, 'memory'}:
    parser.error(f'no case {", ".join(sorted(unknown))}; valid are {", ".join([*CASES, "memory"])}')
  found = {}
  for name in given.cases or list(CASES):
    if name == 'memory':
      found[name] = memory()
    else:
      import torch

      torch.set_num_threads(2)
      found[name] = measure(CASES[name](), given.repeats) | {'load': round(os.getloadavg()[0], 1)}
    print(name, found[name], flush=True)
    if given.save:
      save(given.save, found)
  print(json.dumps(found))


if __name__ == '__main__':
  main()
