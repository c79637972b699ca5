"""The log of a killed and resumed run is the uninterrupted run's."""

import io
import json
import math
import os
import re
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image

from ganjax import config as configs
from ganjax import progress
from ganjax.curves import arrange, curves, read
from ganjax.data.spec import Spec
from ganjax.errors import ConfigError
from ganjax.images import read_provenance
from ganjax.log import Log, write_run
from ganjax.progress import Progress, duration, short

VALUES = {'d/loss': 1.25, 'g/loss': 0.1 + 0.2, 'd/real_prob': 0.75, 'd/fake_prob': 0.25}
CONFIG = ConfigDict({'name': 'small', 'seed': 3, 'optimizer': {'d': {'learning_rate': 1e-4}}})


def open_log(workdir, **options) -> Log:
  return Log(workdir, **{'total_steps': 100, 'batch_size': 8, 'progress': False, 'tensorboard': False} | options)


def lines(workdir) -> list[dict]:
  """Without their times."""
  found = [json.loads(line) for line in (workdir / 'metrics.jsonl').read_text().splitlines()]
  assert all(abs(line.pop('time') - time.time()) < 100 for line in found)
  return found


def test_lines(tmp_path):
  with open_log(tmp_path) as log:
    log.scalars(10, 80, VALUES)
    log.scalars(10, 80, {'eval/frechet': np.float32(1.5), 'eval/odd': math.nan, 'eval/inf': -math.inf})
    assert len(lines(tmp_path)) == 2  # there without closing
  assert lines(tmp_path) == [
    {'step': 10, 'images': 80, **VALUES},
    {'step': 10, 'images': 80, 'eval/frechet': 1.5, 'eval/odd': None, 'eval/inf': None},
  ]


@pytest.mark.parametrize('tail', ['', '{"step": 50, "ima', '{"step": 50, "images": 400}', 'null\n', '\x00\x00\n'])
def test_resume_drops_what_came_after_the_checkpoint(tmp_path, tail):
  with open_log(tmp_path) as log:
    for step in (10, 20, 20, 30, 40):
      log.scalars(step, 8 * step, VALUES)
  with (tmp_path / 'metrics.jsonl').open('a') as file:
    file.write(tail)
  whole = lines(tmp_path)[:3] if not tail else None
  with open_log(tmp_path, resume_step=20) as log:
    assert [line['step'] for line in lines(tmp_path)] == [10, 20, 20]
    assert whole in (None, lines(tmp_path))
    log.scalars(30, 240, VALUES)
    log.scalars(40, 320, VALUES)
    log.rewind(30)  # a rollback
    log.scalars(40, 320, {'d/loss': 2.0})
  assert [line['step'] for line in lines(tmp_path)] == [10, 20, 20, 30, 40]
  assert lines(tmp_path)[-1] == {'step': 40, 'images': 320, 'd/loss': 2.0}
  with open_log(tmp_path, resume_step=50):  # a broken end goes even where the step is later
    assert len(lines(tmp_path)) == 5
  with open_log(tmp_path):  # from the start
    assert lines(tmp_path) == []


def test_a_broken_last_line_goes(tmp_path):
  (tmp_path / 'metrics.jsonl').write_text('{"step": 5, "images": 40, "time": 1}\n{"step": 10, "im')
  with open_log(tmp_path, resume_step=50) as log:
    log.scalars(15, 120, {})
  assert [json.loads(line)['step'] for line in (tmp_path / 'metrics.jsonl').open()] == [5, 15]


def events(workdir):
  """TensorBoard's own reader on the event files of a run."""
  from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

  return EventAccumulator(str(workdir / 'tensorboard')).Reload()


def test_event_files(tmp_path):
  with open_log(tmp_path, tensorboard=True) as log:
    log.scalars(300, 2400, VALUES)
    log.image('samples', 300, np.zeros((4, 6, 3), np.uint8), {})
  found = events(tmp_path)
  for name, value in VALUES.items():
    assert [(event.step, event.value) for event in found.Scalars(name)] == [(300, pytest.approx(value, rel=1e-6))]
  (image,) = found.Images('samples')
  assert (image.step, image.height, image.width) == (300, 4, 6)
  assert Image.open(io.BytesIO(image.encoded_image_string)).size == (6, 4)


def test_tensorboard_reads_the_events_and_hides_what_was_undone(tmp_path):
  for resume in (0, 20):
    with open_log(tmp_path, tensorboard=True, resume_step=resume) as log:
      for step in range(resume + 10, 50, 10):
        log.scalars(step, 8 * step, {'d/loss': step + resume / 100})
    time.sleep(0.01)
  found = events(tmp_path).Scalars('d/loss')
  assert [(event.step, round(event.value, 3)) for event in found] == [(10, 10), (20, 20), (30, 30.2), (40, 40.2)]


def test_samples_by_kind(tmp_path):
  run = write_run(tmp_path, CONFIG)
  with open_log(tmp_path, tensorboard=True) as log:
    image = log.samples(5, {'image': np.zeros((4, 8, 8, 1), np.float32)}, Spec('image', (8, 8, 1)), run)
    rows = log.samples(6, {'row': np.zeros((4, 9), np.float32), 'latent': np.zeros(3)}, Spec('row', (9,)), run)
  assert image == tmp_path / 'samples' / '00000005.png'
  assert rows == tmp_path / 'samples' / '00000006.npz'
  for path, step in ((image, '5'), (rows, '6')):
    about = read_provenance(path)
    assert (about['run_id'], about['step'], about['seed']) == (run['run_id'], step, '3')
    assert about['config_hash'] == configs.fingerprint(CONFIG)


def test_run_json(tmp_path):
  run = write_run(tmp_path, CONFIG)
  assert json.loads((tmp_path / 'run.json').read_text()) == run
  assert run['config'] == CONFIG.to_dict()
  assert run['run_id'].startswith('small-')
  assert run['device']['platform'] == 'cpu'
  assert {'python', 'jax', 'flax', 'ganjax'} <= run['versions'].keys()
  assert run['git'] is None or re.fullmatch('[0-9a-f]{40}', run['git']['commit'])
  changed = ConfigDict({**CONFIG.to_dict(), 'seed': 4})
  again = write_run(tmp_path, changed, resumed=40)
  assert again['run_id'] == run['run_id']
  assert again['config_hash'] != run['config_hash']
  assert again['from_step'] == 40
  assert [session['from_step'] for session in again['earlier']] == [0]
  assert len(write_run(tmp_path, changed, resumed=60)['earlier']) == 2
  anew = write_run(tmp_path, CONFIG)
  assert anew['run_id'] != run['run_id']
  assert anew['earlier'] == []


def test_other_processes_write_nothing(tmp_path, monkeypatch):
  monkeypatch.setattr('jax.process_index', lambda: 1)
  run = write_run(tmp_path / 'run', CONFIG)
  with open_log(tmp_path / 'run', progress=None, tensorboard=True) as log:
    log.scalars(1, 8, VALUES)
    log.progress(1, 8, VALUES)
    log.samples(1, {'image': np.zeros((4, 8, 8, 1))}, Spec('image', (8, 8, 1)), run)
    log.rewind(0)
    assert log.curves() is None
  assert not (tmp_path / 'run').exists()


def test_quiet_lines(capsys, monkeypatch):
  now = [100.0]
  monkeypatch.setattr(progress.time, 'monotonic', lambda: now[0])
  told = Progress(1000, 64, 10)
  for step in range(11, 400):
    told.update(step, 64 * step, VALUES)
    now[0] += 0.125
  told.say('a warning')
  told.close()
  *every, warning, last = capsys.readouterr().err.splitlines()
  assert len(every) == 4  # in 48 s
  assert every[0] == (
    'step 91/1000 (9%): 8 steps/s, 512 images/s, 1 min 54 s left, d 1.250, g 0.300, D(x) 0.75, D(G(z)) 0.25'
  )
  assert warning == 'a warning'
  assert last.startswith('step 399/1000')


def test_bar_and_silence(capsys):
  with closing(Progress(10, 64, wanted=True)) as told:
    told.update(1, 64, VALUES)
    time.sleep(0.3)
    told.update(4, 256, VALUES)
  shown = capsys.readouterr().err
  assert '4/10' in shown
  assert 'D(G(z)) 0.25' in shown
  assert 'steps/s' in shown
  with closing(Progress(10, 64, wanted=False)) as told:
    told.update(1, 64, VALUES)
    told.say('nothing')
  assert capsys.readouterr().err == ''


def test_updates_are_cheap():
  told = Progress(10**6, 64, wanted=None)
  start = time.perf_counter()
  for step in range(10_000):
    told.update(step, step, VALUES)
  assert time.perf_counter() - start < 0.5  # 50 us each, and far less on a quiet machine


def test_numbers_for_people():
  assert [duration(s) for s in (0.2, 59.6, 127, 11_111)] == ['0 s', '1 min 00 s', '2 min 07 s', '3 h 05 min']
  assert [short(x) for x in (0.27123, 34.54, 99.9, 100.4, 24_567)] == ['0.271', '34.5', '99.9', '100', '24,600']


def test_curves(tmp_path):
  with open_log(tmp_path) as log:
    assert log.curves().exists()  # of nothing yet
    for step in range(1, 400):
      log.scalars(
        step, 8 * step, {**VALUES, 'd/grad_norm': 1 / step, 'd/norm': 5.0, 'd/r1': math.nan if step < 9 else 1}
      )
      if step % 100 == 0:
        shares = {f'eval/share_{k}': k / 45 for k in range(10)}
        log.scalars(step, 8 * step, {'eval/frechet': 9.0, 'eval/frechet_floor': 2.0, **shares})
  with (tmp_path / 'metrics.jsonl').open('a') as file:
    file.write('{"step": 500, "im')  # as of a run that is being killed
  found = read(tmp_path)
  assert len(found['d/loss'][0]) == 399
  assert found['eval/frechet'][0].tolist() == [800, 1600, 2400]
  panels = {title: list(names) for title, names, _ in arrange(found)}
  assert panels['Losses'] == ['d/loss', 'g/loss']
  assert panels["D's probability of real"] == ['d/real_prob', 'd/fake_prob']
  assert panels['Terms'] == ['d/r1']
  assert panels['frechet'] == ['eval/frechet', 'eval/frechet_floor']
  assert not any('d/norm' in names for names in panels.values())
  image = Image.open(curves(tmp_path))
  assert image.size[0] > 1000
  assert len(np.unique(np.asarray(image).reshape(-1, 4), axis=0)) > 50


def test_wandb_missing(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, 'wandb', None)
  with pytest.raises(ConfigError, match=r"config.wandb: given 'mine', .*pip install ganjax\[wandb\]"):
    open_log(tmp_path, wandb='mine')


@pytest.mark.slow
def test_wandb_offline(tmp_path):
  pytest.importorskip('wandb')
  code = """
import sys
from test_log import CONFIG, VALUES, open_log
from ganjax.log import write_run
import numpy as np
write_run(sys.argv[1], CONFIG)
with open_log(sys.argv[1], wandb='ganjax-test') as log:
  log.scalars(1, 8, VALUES)
  log.image('samples', 1, np.zeros((4, 4, 3), np.uint8), {})
"""
  here = Path(__file__).parent
  env = {
    **os.environ,
    'WANDB_MODE': 'offline',
    'WANDB_SILENT': 'true',
    'PYTHONPATH': f'{here}{os.pathsep}{here.parent}',
  }
  subprocess.run([sys.executable, '-c', code, str(tmp_path)], check=True, timeout=120, env=env)
  run_id = json.loads((tmp_path / 'run.json').read_text())['run_id']
  assert list((tmp_path / 'wandb').glob(f'offline-run-*/run-{run_id}.wandb'))
