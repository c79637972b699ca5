"""Time of a training step, ours against plain PyTorch, in one process, taking turns.

python benchmarks/step_time.py [case ...]
python benchmarks/step_time.py --list

python benchmarks/step_time.py --save benchmarks/results/FILE.json [case ...]

Medians of 15 calls each after a warm-up, on two threads. Ends with one JSON line:
{"case": {"ours": ms, "peer": ms, "ratio": ours' speed over the peer's}}; of an augmentation, ms an image.
The cases are in cases.py, cases_nets.py, cases_translation.py and cases_volumes.py. Needs `pip install torch`.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from importlib import metadata
from pathlib import Path

import cases
import cases_nets
import cases_translation
import cases_volumes
import torch
from cases import Calls

CASES = cases.CASES | cases_nets.CASES | cases_translation.CASES | cases_volumes.CASES

REPEATS = 15


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
  print(f'  quickest: ours {min(times[0]):.4g}, peer {min(times[1]):.4g} ms', flush=True)
  return {'ours': round(mine, 4), 'peer': round(theirs, 4), 'ratio': round(theirs / mine, 3)}


def save(path: Path, found: dict[str, dict[str, float]], repeats: int) -> None:
  """Writes the cases to a JSON file; those of other names that it has stay."""
  kept = json.loads(path.read_text())['cases'] if path.exists() else {}
  versions = {name: metadata.version(name) for name in ('jax', 'flax', 'torch')}
  record = {
    'device': f'{os.cpu_count()} x {platform.machine()}, no GPU',
    'versions': {'python': platform.python_version(), **versions},
    'commands': ['python benchmarks/' + ' '.join([Path(sys.argv[0]).name, *sys.argv[1:]])],
    'note': f'ms, medians of {repeats}; load: of the machine when a case was done, 2 being this process alone',
    'cases': kept | found,
  }
  path.write_text(json.dumps(record, indent=2) + '\n')


def main() -> None:
  """Runs the cases named on the command line, or all."""
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('cases', nargs='*', help=', '.join(CASES))
  parser.add_argument('--list', action='store_true', help='print the names of the cases')
  parser.add_argument('--repeats', type=int, default=REPEATS, help='timed calls of each side')
  parser.add_argument('--save', type=Path, metavar='FILE', help='a JSON file for the results')
  given = parser.parse_args()
  unknown = set(given.cases) - set(CASES)
  if unknown:
    parser.error(f'no case {", ".join(sorted(unknown))}; valid are {", ".join(CASES)}')
  if given.list:
    print('\n'.join(CASES))
    return
  names = given.cases or list(CASES)
  torch.set_num_threads(2)
  found = {}
  for name in names:
    found[name] = measure(*CASES[name](), repeats=given.repeats) | {'load': round(os.getloadavg()[0], 1)}
    print(name, found[name], flush=True)
    if given.save:
      save(given.save, found, given.repeats)
  print(json.dumps(found))


if __name__ == '__main__':
  main()
