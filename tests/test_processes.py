"""Two processes on loopback train as one does with the same global batch."""

import json
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import EVERYTHING, ROWS, command, experiment, finish, metrics_of, start, state_of

# Signals this process, once step 12 is dispatched, where the environment says so.
STOP = """
import os, signal
from ganjax.log import Log
if os.environ.get('STOP'):
  progress = Log.progress
  def stopping(self, step, *rest):
    if step == 12:
      os.kill(os.getpid(), signal.SIGTERM)
    progress(self, step, *rest)
  Log.progress = stopping
"""


# Without what takes long to compile.
LIGHT = EVERYTHING | {'terms': {}, 'steps_per_call': 1, 'discriminator': {'name': 'dcgan', 'width': 4}}


def alone(folder: Path, fields: dict[str, Any]) -> tuple[Path, Path]:
  """An experiment, and the workdir of its training in one process with one device."""
  path = experiment(folder, fields | {'devices': 0, 'steps': 40, 'save_every': 20})
  path.write_text(path.read_text() + STOP)
  with pytest.MonkeyPatch.context() as patch:
    assert command(patch, 'train', '--config', path, '--workdir', folder / 'one', '--config.devices=1') == 0
  return path, folder / 'one'


@pytest.fixture(scope='module')
def light(tmp_path_factory):
  return alone(tmp_path_factory.mktemp('light'), LIGHT)


@pytest.fixture(scope='module')
def everything(tmp_path_factory):
  return alone(tmp_path_factory.mktemp('everything'), EVERYTHING)


def test_pmap_on_data_in_memory(monkeypatch, tmp_path):
  path = experiment(tmp_path, ROWS | {'steps_per_call': 5})
  for how, devices in (('jit', 1), ('pmap', 4)):
    fields = [f'--config.parallel={how}', f'--config.devices={devices}']
    assert command(monkeypatch, 'train', '--config', path, '--workdir', tmp_path / how, *fields) == 0
  assert_same_training(tmp_path / 'pmap', tmp_path / 'jit', 40)


def pair(path: Path, workdirs: list[Path], *arguments: str, devices: int, code: int = 0,
         stop: tuple[int, ...] = ()) -> list[str]:  # fmt: skip
  """The outputs of two processes of one training; those in `stop` get a SIGTERM."""
  with socket.socket() as free:
    free.bind(('127.0.0.1', 0))
    port = free.getsockname()[1]
  processes = [
    start('train', '--config', path, '--workdir', workdirs[i], *arguments,
          '--coordinator', f'127.0.0.1:{port}', '--processes', 2, '--process', i,
          XLA_FLAGS=f'--xla_force_host_platform_device_count={devices}', STOP='yes' if i in stop else '')
    for i in range(2)
  ]  # fmt: skip
  try:
    return [finish(process, code) for process in processes]
  finally:
    for process in processes:
      process.kill()


def assert_same_training(workdir: Path, single: Path, steps: int) -> None:
  """Equal but for rounding."""
  a, b = state_of(workdir, steps), state_of(single, steps)
  assert a.keys() == b.keys()
  difference = {path: np.abs(a[path].astype(float) - b[path].astype(float)).max() for path in a}
  worst = sorted((value, path) for path, value in difference.items())[-5:]
  print(*worst, sep='\n')
  assert worst[-1][0] < 3e-6, worst
  for line, other in zip(metrics_of(workdir), metrics_of(single), strict=False):
    if 'd/loss' in line:
      assert line == pytest.approx(other, rel=1e-4, abs=1e-5)


@pytest.mark.slow
def test_two_processes_train_as_one_and_one_of_them_writes(light, tmp_path):
  path, reference = light
  outputs = pair(path, [tmp_path / '0', tmp_path / '1'], '--config.steps=20', devices=1)
  assert_same_training(tmp_path / '0', reference, 20)
  assert not (tmp_path / '1').exists()
  assert 'written to' in outputs[0]
  assert 'written to' not in outputs[1]
  assert json.loads((tmp_path / '0' / 'run.json').read_text())['device']['processes'] == 2
  assert {path.name for path in (tmp_path / '0').iterdir()} >= {'checkpoints', 'metrics.jsonl', 'samples', 'curves.png'}


@pytest.mark.slow
def test_a_signal_to_one_stops_both_at_the_same_step(light, tmp_path):
  path, reference = light
  outputs = pair(path, [tmp_path, tmp_path], devices=1, stop=(1,), code=75)
  assert all('SIGTERM at step 20 of 40: saved' in output for output in outputs), outputs
  otherwise = ['--config.parallel=pmap', '--config.data.resident=no']  # and on another number of devices
  pair(path, [tmp_path, tmp_path], *otherwise, devices=2)
  assert_same_training(tmp_path, reference, 40)
  assert json.loads((tmp_path / 'run.json').read_text())['from_step'] == 20


@pytest.mark.slow
@pytest.mark.parametrize('how', ['jit', 'pmap'])
@pytest.mark.parametrize('devices', [1, 2])
@pytest.mark.parametrize('resident', ['yes', 'no'])
def test_every_way_is_the_same_training(everything, tmp_path, how, devices, resident):
  path, reference = everything
  arguments = [f'--config.parallel={how}', f'--config.data.resident={resident}']
  pair(path, [tmp_path, tmp_path], *arguments, devices=devices, stop=(0, 1), code=75)
  pair(path, [tmp_path, tmp_path], *arguments, devices=devices)
  assert_same_training(tmp_path, reference, 40)
