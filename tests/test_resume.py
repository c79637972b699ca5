"""Never lose a step: killed, stopped, damaged or diverged, a training goes on as if nothing had been."""

import os
import random
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from running import EVERYTHING, ROWS, assert_same_run, command, experiment, finish, metrics_of, start, state_of

from ganjax.checkpoint import Checkpoints
from ganjax.log import Log


def newest(workdir: Path) -> int:
  """The newest committed step of a training that may be running; -1 before the first."""
  try:
    return max((int(name) for name in os.listdir(workdir / 'checkpoints') if name.isdecimal()), default=-1)
  except FileNotFoundError:
    return -1


def being_written(workdir: Path) -> bool:
  """Whether a checkpoint is in the making."""
  return any('tmp' in path.name for path in (workdir / 'checkpoints').iterdir())


def kill(process: subprocess.Popen, workdir: Path, step: int, delay: float | None) -> None:
  """SIGKILL `delay` seconds after the commit of `step` or a later one, or (None) in the middle of the next save."""
  while newest(workdir) < step or (delay is None and not being_written(workdir)):
    assert process.poll() is None, process.communicate()[0]
    time.sleep(0.0005)
  time.sleep(delay or 0)
  process.kill()
  process.communicate()
  assert process.returncode == -signal.SIGKILL


def test_sigkill(tmp_path):
  train = ['train', '--config', experiment(tmp_path, EVERYTHING), '--workdir']
  finish(start(*train, tmp_path / 'whole'))
  draw = random.Random()
  workdir = tmp_path / 'killed'
  for low, high, delay in ((4, 24, None), (28, 56, draw.uniform(0, 0.05)), (60, 100, None)):
    kill(start(*train, workdir), workdir, draw.randrange(low, high, 4), delay)
  finish(start(*train, workdir))
  assert_same_run(workdir, tmp_path / 'whole')


@pytest.mark.slow
def test_sigkill_at_many_moments(tmp_path):
  fields = EVERYTHING | {'evaluate_every': 40, 'sample_every': 40, 'terms': {'d': {'r1': {'gamma': 0.1, 'every': 4}}}}
  train = ['train', '--config', experiment(tmp_path, fields), '--workdir']
  finish(start(*train, tmp_path / 'whole'))
  seed = random.randrange(2**32)
  draw = random.Random(seed)
  print(f'seed {seed}')
  for chain in range(5):
    workdir = tmp_path / str(chain)
    early = start(*train, workdir)
    time.sleep(draw.uniform(0, 4))  # in the imports, in the compilation, at the first steps
    early.kill()
    early.communicate()
    for step in sorted(draw.sample(range(4, 108, 4), 5)):
      # Every other time in a save, else wherever it is: in a step, an evaluation, a line of metrics.
      kill(start(*train, workdir), workdir, step, draw.choice([None, draw.uniform(0, 0.3)]))
    finish(start(*train, workdir))
    assert_same_run(workdir, tmp_path / 'whole')
    shutil.rmtree(workdir)


@pytest.fixture(autouse=True)
def _no_curves(monkeypatch):
  """They take half of the time of a training this small, and are tested elsewhere."""
  monkeypatch.setattr(Log, 'curves', lambda self: None)


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
  """The experiment of rows, trained without an interruption in this process."""
  folder = tmp_path_factory.mktemp('rows')
  path = experiment(folder, ROWS | {'evaluate_every': 20, 'sample_every': 20})
  with pytest.MonkeyPatch.context() as patch:
    assert command(patch, 'train', '--config', path, '--workdir', folder / 'whole') == 0
  return path, folder / 'whole'


@pytest.fixture
def at_step(monkeypatch):
  """`at_step(n, act)` calls `act` in the loop, once, right after step `n` was dispatched."""

  def plan(n: int, act) -> None:
    progress, waiting = Log.progress, [act]

    def acting(self: Log, step: int, *rest) -> None:
      if step == n and waiting:
        waiting.pop()()
      progress(self, step, *rest)

    monkeypatch.setattr(Log, 'progress', acting)

  return plan


@pytest.mark.parametrize(('number', 'sent', 'saved'), [(signal.SIGTERM, 12, 13), (signal.SIGINT, 19, 20)])
def test_a_signal_saves_and_says_where(monkeypatch, at_step, whole, capsys, number, sent, saved):
  """At step 20 an evaluation and a grid are due: a signal leaves no time for them, the resumed run has it."""
  path, reference = whole
  workdir = Path.cwd() / 'run'
  before = signal.getsignal(number)
  at_step(sent, lambda: os.kill(os.getpid(), number))
  assert command(monkeypatch, 'train', '--config', path, '--workdir', workdir) == 75
  told = f'{number.name} at step {saved} of 40: saved in {workdir}; the same command continues'
  assert told in capsys.readouterr().err
  assert signal.getsignal(number) == before
  assert newest(workdir) == saved
  assert command(monkeypatch, 'train', '--config', path, '--workdir', workdir) == 0
  assert_same_run(workdir, reference)


def test_a_second_signal_ends_at_once(monkeypatch, at_step, whole):
  path, reference = whole
  workdir = Path.cwd() / 'run'
  before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it

  def twice() -> None:
    os.kill(os.getpid(), signal.SIGTERM)  # any two of them
    os.kill(os.getpid(), signal.SIGINT)

  at_step(12, twice)
  try:
    assert command(monkeypatch, 'train', '--config', path, '--workdir', workdir) == 130
  finally:
    signal.signal(signal.SIGINT, before)
  assert newest(workdir) == 10
  assert command(monkeypatch, 'train', '--config', path, '--workdir', workdir) == 0
  assert_same_run(workdir, reference)


@pytest.mark.slow
@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_signals_to_the_command(tmp_path, number):
  train = ['train', '--config', experiment(tmp_path, EVERYTHING), '--workdir']
  finish(start(*train, tmp_path / 'whole'))
  workdir = tmp_path / 'run'
  for step in (8, 56):
    process = start(*train, workdir)
    while newest(workdir) < step:
      assert process.poll() is None, process.communicate()[0]
      time.sleep(0.001)
    process.send_signal(number)
    assert re.search(rf'{number.name} at step (\d+) of 120: saved', finish(process, 75))
  finish(start(*train, workdir))
  assert_same_run(workdir, tmp_path / 'whole')


def half(path: Path) -> None:
  path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 4
  path.write_bytes(content)


def listing(folder: Path) -> dict[str, bytes]:
  return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


@pytest.mark.parametrize('damage', [half, flip, Path.unlink])
def test_damage_is_told_and_the_checkpoint_before_is_used(monkeypatch, whole, caplog, capsys, damage):
  path, reference = whole
  workdir = Path.cwd() / 'run'
  shutil.copytree(reference, workdir)
  draw = random.Random(damage.__name__)

  def hurt(step: int) -> str:
    files = [f for f in (workdir / 'checkpoints' / str(step)).rglob('*') if f.stat().st_size and f.name != 'files.json']
    chosen = draw.choice([file for file in files if file.is_file()])
    damage(chosen)
    return str(chosen.relative_to(workdir / 'checkpoints' / str(step)))

  name = hurt(40)
  assert command(monkeypatch, 'train', '--config', path, '--workdir', workdir) == 0
  assert re.search(rf'checkpoints/40 is damaged \({name}.*\): step 30 is used', caplog.text)
  assert_same_run(workdir, reference)
  assert (workdir / 'checkpoints' / 'aside' / '40-0').is_dir()  # the damaged one is not deleted

  for step in (20, 30, 40):
    hurt(step)
  before = listing(workdir)
  assert command(monkeypatch, 'train', '--config', path, '--workdir', workdir) == 4
  error = capsys.readouterr().err
  assert all(f'step {step}: ' in error for step in (20, 30, 40)), error
  assert 'no intact checkpoint' in error
  assert 'nothing was deleted' in error
  assert {name: content for name, content in listing(workdir).items() if name != '.lock'} == {
    name: content for name, content in before.items() if name != '.lock'
  }


BROKEN = """
import jax, jax.numpy as jnp
from ganjax.games import gan

def game(config, spec):
  found = gan.game(config, spec)
  key = jax.random.fold_in(jax.random.key(config.seed), 1)  # of an untroubled training
  for number in (STEP - 1, 1, 0):  # its step, turn and play
    key = jax.random.fold_in(key, number)

  def g_loss(scene):
    loss, (extras, metrics) = found.losses['g'](scene)
    hit = (scene.step == STEP - 1) & (PERSISTENT | jnp.array_equal(jax.random.key_data(scene.key), jax.random.key_data(key)))
    odd = jnp.where(hit, jnp.nan, 0.0)
    return loss + odd, (extras, metrics | {'g/loss': loss + odd, 'g/odd': odd})

  return gan.Game(found.init, {**found.losses, 'g': g_loss}, found.prior, found.generate, found.turns, found.score)
"""


@pytest.fixture
def broken(tmp_path, monkeypatch):
  """`broken(step, persistent)` writes an experiment whose G gets a NaN at that step, always or with the first key only."""

  def write(step: int, persistent: bool, **fields) -> Path:
    folder = tmp_path / 'broken_games'
    folder.mkdir(exist_ok=True)
    name = f'at_{step}_{"always" if persistent else "once"}'
    (folder / f'{name}.py').write_text(BROKEN.replace('STEP', str(step)).replace('PERSISTENT', str(persistent)))
    monkeypatch.syspath_prepend(tmp_path)
    return experiment(tmp_path, ROWS | {'game': f'broken_games.{name}', 'devices': 1} | fields, name)

  return write


def assert_finite(workdir: Path) -> None:
  assert all(np.isfinite(x).all() for x in state_of(workdir).values() if x.dtype.kind == 'f')


def test_nan_stops_with_step_player_and_term(monkeypatch, broken, capsys):
  path = broken(13, persistent=True, steps_per_call=5)  # in the midst of a call
  for _ in range(2):  # the same command meets the same end
    assert command(monkeypatch, 'train', '--config', path, '--workdir', 'run') == 5
    told = 'ganjax: step 13: odd of player g is nan; the last good checkpoint is step 10'
    assert told in capsys.readouterr().err
    assert newest(Path('run')) == 10
    assert_finite(Path('run'))
  assert [line['step'] for line in metrics_of(Path('run'))] == [10]


def test_a_rate_too_high_is_found_at_its_step(monkeypatch, tmp_path, capsys):
  path = experiment(tmp_path, ROWS)
  arguments = ['train', '--config', path, '--workdir', 'run']
  arguments += ['--config.optimizer.d.learning_rate=1e9', '--config.loss.name=lsgan']
  assert command(monkeypatch, *arguments) == 5
  assert re.search(
    r'step \d+: \w+ of player [dg] is (inf|nan); no checkpoint was saved before', capsys.readouterr().err
  )


def test_rollback_goes_on_with_another_key(monkeypatch, broken, caplog):
  path = broken(13, persistent=False, on_nan='rollback', save_every=0)
  assert command(monkeypatch, 'train', '--config', path, '--workdir', 'run') == 0
  assert 'step 13: odd of player g is nan: back to step 0 (rollback 1 of 3)' in caplog.text
  assert newest(Path('run')) == 40
  assert_finite(Path('run'))
  assert [line['step'] for line in metrics_of(Path('run'))] == [10, 20, 30, 40, 40]


def test_rollbacks_are_bounded(monkeypatch, broken, caplog, capsys):
  path = broken(13, persistent=True, on_nan='rollback', save_every=3, max_rollbacks=2, steps_per_call=2)
  assert command(monkeypatch, 'train', '--config', path, '--workdir', 'run') == 5
  assert re.findall(r'back to step (\d+) \(rollback (\d) of 2\)', caplog.text) == [('12', '1'), ('12', '2')]
  told = 'step 13: odd of player g is nan after 2 rollbacks; the last good checkpoint is step 12'
  assert told in capsys.readouterr().err
  assert_finite(Path('run'))


def test_one_process_a_workdir(monkeypatch, whole, capsys):
  path, reference = whole
  workdir = Path.cwd() / 'run'
  shutil.copytree(reference, workdir)
  with Checkpoints(workdir, keep=1):
    before = listing(workdir)
    assert command(monkeypatch, 'train', '--config', path, '--workdir', workdir, '--config.steps=80') == 4
    assert listing(workdir) == before
  assert f'{workdir} is in use by process {os.getpid()} on ' in capsys.readouterr().err
  assert command(monkeypatch, 'train', '--config', path, '--workdir', workdir) == 0


def test_read_only_workdir(monkeypatch, whole, mounted, capsys):
  path, reference = whole
  workdir = mounted('-o', 'bind,ro', str(reference))
  assert command(monkeypatch, 'train', '--config', path, '--workdir', workdir, '--config.steps=80') == 4
  assert f'cannot write in {workdir}: Read-only file system' in capsys.readouterr().err


def test_full_disk(monkeypatch, whole, mounted, capsys):
  path, reference = whole
  workdir = mounted('-t', 'tmpfs', '-o', 'size=1m', 'tmpfs') / 'run'
  arguments = ['train', '--config', path, '--workdir', workdir]
  assert command(monkeypatch, *arguments, '--config.steps=20') == 0
  full = workdir.parent / 'full'
  with full.open('wb', buffering=0) as file, pytest.raises(OSError, match='No space'):
    while True:
      file.write(bytes(4096))
  capsys.readouterr()
  assert command(monkeypatch, *arguments) == 4
  error = capsys.readouterr().err
  assert re.match('ganjax: .*No space left on device.*\n', error), error
  assert len(error.splitlines()) == 1
  full.unlink()
  assert command(monkeypatch, *arguments) == 0
  whole_state, state = state_of(reference), state_of(workdir)
  assert all(np.array_equal(state[path], whole_state[path]) for path in whole_state)


def test_a_changed_config(monkeypatch, tmp_path, caplog, capsys):
  path = experiment(tmp_path, ROWS)
  train = ['train', '--config', path, '--workdir', 'run']
  assert command(monkeypatch, *train, '--config.steps=20') == 0
  assert command(monkeypatch, *train, '--config.optimizer.g.learning_rate=0.5', '--config.log_every=5') == 0
  for field, was, now in (('log_every', 10, 5), ('optimizer.g.learning_rate', 0.0002, 0.5), ('steps', 20, 40)):
    assert f'config.{field} was {was} in the checkpoint, and is {now} now' in caplog.text
  assert len(re.findall(r'config\.\S+ was', caplog.text)) == 3
  assert state_of(Path('run'))['hyper/g_learning_rate'] == np.float32(0.5)
  norms = {line['step']: line['g/norm'] for line in metrics_of(Path('run')) if 'g/norm' in line}
  assert norms[40] > norms[20] + 1  # steps of .5

  wider = [*train, '--config.steps=60', '--config.optimizer.g.learning_rate=0.5', '--config.generator.hidden=(9,)']
  before, capsys_before = listing(Path('run/checkpoints')), capsys.readouterr()
  assert capsys_before.err.count('Traceback') == 0
  assert command(monkeypatch, *wider) == 4
  error = capsys.readouterr().err
  assert 'params/g/hidden0/kernel: saved float32[3, 8], expected float32[3, 9]' in error
  assert 'params/d/' not in error
  assert '--adopt' in error
  assert 'config.generator.hidden was (8,) in the checkpoint, and is (9,) now' in caplog.text
  assert listing(Path('run/checkpoints')) == before

  old = state_of(Path('run'))
  assert command(monkeypatch, *wider, '--adopt', '--config.optimizer.d.learning_rate=0.0') == 0
  new = state_of(Path('run'))
  assert (old['step'], new['step']) == (40, 60)
  assert np.array_equal(old['params/d/hidden0/kernel'], new['params/d/hidden0/kernel'])  # kept, and its rate is 0
  assert new['params/g/hidden0/kernel'].shape == (3, 9)

  assert command(monkeypatch, *wider, '--config.steps=80', '--config.steps_per_call=8') == 2
  assert 'config.steps_per_call: given 8, valid: a divisor of the 20 steps that are left' in capsys.readouterr().err


def test_profile(monkeypatch, tmp_path):
  path = experiment(tmp_path, ROWS)
  assert command(monkeypatch, 'train', '--config', path, '--workdir', 'run', '--profile') == 0
  traces = list(Path('run').glob('profile/plugins/profile/*/*.xplane.pb'))
  assert len(traces) == 1
  assert b'PjitFunction(run)' in traces[0].read_bytes()
