"""The real command on tiny trainings: shared by the tests of resuming and of several processes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import QUICK

from ganjax import main, sample, snapshot

# All that a state can hold: batch statistics, spectral vectors, a lazy turn, an average, a schedule, a shuffled order.
EVERYTHING: dict[str, Any] = {
  'data': {'name': 'digits'}, 'latent_dim': 3, 'batch_size': 16, 'devices': 1,
  'generator': {'name': 'dcgan', 'width': 4},
  'discriminator': {'name': 'dcgan', 'width': 4, 'spectral': True},
  'terms': {'d': {'r1': {'gamma': 0.1, 'every': 2}}},
  'ema': {'main': {'halflife_kimg': 0.5}},
  'schedule': {'g_learning_rate': {'over_kimg': 2.0}},
  'steps': 120, 'steps_per_call': 2, 'log_every': 10, 'save_every': 4, 'keep': 2, 'samples': 16, 'evaluate_num': 100,
}  # fmt: skip
# The cheapest training there is.
ROWS: dict[str, Any] = {
  'data': {'name': 'mixture'}, 'latent_dim': 3, 'batch_size': 16, 'devices': 1, 'ema': {'main': {}},
  'generator': {'name': 'mlp', 'hidden': (8,)}, 'discriminator': {'name': 'mlp', 'hidden': (8,)},
  'steps': 40, 'log_every': 10, 'save_every': 10, 'samples': 16, 'evaluate_num': 100, 'tensorboard': False,
}  # fmt: skip


def experiment(folder: Path, fields: dict[str, Any], name: str = 'tiny') -> Path:
  """An experiment file with these fields."""
  path = folder / f'{name}.py'
  lines = ['from ml_collections import ConfigDict', 'def get_config():', f'  return ConfigDict({fields!r})']
  path.write_text('\n'.join(lines))
  return path


def start(*arguments: Any, **environment: str) -> subprocess.Popen[str]:
  """`ganjax ARGUMENTS` as a process of its own, with one device. Its output goes to one pipe."""
  path = os.pathsep.join([str(Path(main.__file__).parents[1]), os.environ.get('PYTHONPATH', '')])
  return subprocess.Popen(
    [sys.executable, '-m', 'ganjax.main', *map(str, arguments)],
    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    env={**os.environ, 'PYTHONPATH': path, 'JAX_PLATFORMS': 'cpu', 'XLA_FLAGS': QUICK, **environment},
  )  # fmt: skip


def finish(process: subprocess.Popen[str], code: int = 0) -> str:
  """The output of a process that must end with `code`."""
  output = process.communicate(timeout=300)[0]
  assert process.returncode == code, output
  return output


def command(monkeypatch: pytest.MonkeyPatch, *arguments: Any) -> int:
  """The exit code of `ganjax ARGUMENTS`, run in this process."""
  monkeypatch.setattr(sys, 'argv', ['ganjax', *map(str, arguments)])
  try:
    main.main()
  except SystemExit as error:
    return int(error.code or 0)
  return 0


def state_of(workdir: Path, step: int | None = None) -> dict[str, np.ndarray]:
  """Every array of a checkpoint, by path."""
  return {path: data for path, (data, _) in snapshot.snapshot(sample.load(workdir, step).state).items()}


def metrics_of(workdir: Path) -> list[dict[str, Any]]:
  """The lines of metrics.jsonl but for their times."""
  lines = [json.loads(line) for line in (workdir / 'metrics.jsonl').read_text().splitlines()]
  return [{name: value for name, value in line.items() if name != 'time'} for line in lines]


def assert_same_run(workdir: Path, other: Path) -> None:
  """Final states equal to the bit, and all that was logged."""
  a, b = state_of(workdir), state_of(other)
  assert a.keys() == b.keys()
  assert [path for path in a if a[path].dtype != b[path].dtype or a[path].tobytes() != b[path].tobytes()] == []
  assert metrics_of(workdir) == metrics_of(other)
  assert drawn(workdir) == drawn(other)


def drawn(workdir: Path) -> list[str]:
  """The sample grids of a run."""
  return sorted(path.name for path in (workdir / 'samples').iterdir())
