"""Checkpoints: bit for bit, whatever happens to the disk, the process or the config."""

import json
import logging
import os
import pickle
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from ganjax.checkpoint import Checkpoints
from ganjax.errors import CheckpointError
from ganjax.state import TrainState

META = {'config': {'seed': 0, 'rates': [1e-3, 2]}, 'position': 7}


def make_state(seed: int = 0, width: int = 5, hyper: tuple[str, ...] = ('lr',), rows: int = 16) -> TrainState:
  """A small state with every kind of leaf that a game may have."""
  # NumPy's draws: XLA's may round differently with another number of devices.
  kernel = np.random.default_rng(seed).standard_normal((rows, width), np.float32)
  params = {
    'g': {'kernel': jnp.asarray(kernel), 'bias': jnp.full(width, 1 / 3, jnp.bfloat16)},
    'd': {'kernel': jnp.linspace(0, 1, 3 * width).reshape(3, width), 'empty': jnp.zeros((0, 2))},
  }
  adam = optax.adam(1e-3)
  return TrainState(
    step=jnp.asarray(seed, jnp.int32),
    images=jnp.asarray(64 * seed, jnp.int32),
    key=jax.random.key(seed),
    hyper={name: jnp.asarray(seed + i, jnp.float32) for i, name in enumerate(hyper)},
    params=params,
    extras={
      'keys': jax.random.split(jax.random.key(1, impl='rbg'), 2),
      'flag': jnp.array([True, False]),
      'pool': jnp.arange(6, dtype=jnp.uint8),
      'odd': jnp.array([jnp.nan, -0.0, jnp.inf], jnp.float16),
    },
    opt={player: adam.init(tree) for player, tree in params.items()},
    ema={'ema': {'g': jax.tree.map(jnp.copy, params['g'])}},
  )


def data(leaf):
  return np.asarray(jax.random.key_data(leaf) if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf)


def same(a, b) -> bool:
  if jax.tree.structure(a) != jax.tree.structure(b):
    return False
  pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
  return all(x.dtype == y.dtype and data(x).tobytes() == data(y).tobytes() for x, y in pairs)


def assert_same(a, b):
  assert same(a, b)


def filled(workdir: Path, steps=(1, 2, 3), **options) -> None:
  with Checkpoints(workdir, keep=10, **options) as checkpoints:
    for step in steps:
      checkpoints.save(step, make_state(step), {**META, 'step': step})


def files(folder: Path) -> list[str]:
  return sorted(str(path.relative_to(folder)) for path in folder.rglob('*') if path.is_file())


def test_every_kind_of_leaf_comes_back_bit_for_bit(tmp_path, monkeypatch):
  state = make_state(3)
  with Checkpoints(tmp_path, keep=2) as checkpoints:
    assert checkpoints.latest() is None
    checkpoints.save(3, state, META, wait=True)
    monkeypatch.setattr(pickle, 'loads', None)  # nothing that a checkpoint holds is code
    monkeypatch.setattr(pickle, 'load', None)
    for template in (state, jax.eval_shape(make_state)):
      step, restored, meta = checkpoints.restore(template)
      assert (step, meta) == (3, META)
      assert_same(restored, state)
    assert not any(leaf.weak_type for leaf in jax.tree.leaves(restored) if hasattr(leaf, 'weak_type'))
    assert checkpoints.meta() == META


def test_a_state_may_be_donated_while_it_is_saved(tmp_path):
  move = jax.jit(lambda tree: jax.tree.map(lambda x: x + 1, tree), donate_argnums=0)
  with Checkpoints(tmp_path, keep=5) as checkpoints:
    for step in range(1, 4):
      state = make_state(step, rows=2000)
      checkpoints.save(step, state, META)
      for _ in range(3):
        state = state.replace(params=move(state.params))
    checkpoints.wait()
    for step in range(1, 4):
      restored = checkpoints.restore(state, step)[1]
      assert_same(restored, make_state(step, rows=2000))
      before = restored.params['g']['kernel']
      moved = move(restored.params)  # restored buffers are the state's own: they can be donated in their turn
      assert before.is_deleted()
      assert_same(moved, move(make_state(step, rows=2000).params))
    pointers = [x.unsafe_buffer_pointer() for x in jax.tree.leaves((moved, restored.opt, restored.ema)) if x.size]
    assert len(set(pointers)) == len(pointers)


@pytest.mark.skipif(jax.device_count() < 4, reason='needs 4 devices')
def test_restores_onto_any_devices(tmp_path):
  mesh = jax.make_mesh((4,), ('data',), axis_types=(AxisType.Auto,))
  whole, split = (NamedSharding(mesh, PartitionSpec(*spec)) for spec in ((), ('data',)))
  shapes = jax.eval_shape(make_state)
  mixed = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=split if x.shape[:1] == (16,) else whole), shapes
  )
  with Checkpoints(tmp_path, keep=5) as checkpoints:
    checkpoints.save(1, make_state(1), META)
    spread = checkpoints.restore(shapes, sharding=whole)[1]
    assert all(x.sharding.is_equivalent_to(whole, x.ndim) for x in jax.tree.leaves(spread))
    checkpoints.save(2, spread, META)
    divided = checkpoints.restore(mixed)[1]
    assert divided.params['g']['kernel'].addressable_shards[0].data.shape == (4, 5)
    checkpoints.save(3, divided, META)
    single = checkpoints.restore(shapes, sharding=jax.sharding.SingleDeviceSharding(jax.devices()[3]))[1]
    assert all(x.devices() == {jax.devices()[3]} for x in jax.tree.leaves(single))
    for state in (spread, divided, single):
      assert_same(state, make_state(1))


@pytest.mark.parametrize(('mode', 'best'), [('min', 2), ('max', 6)])
def test_keeps_the_last_and_the_best(tmp_path, mode, best):
  values = {1: 5.0, 2: 1.0, 3: 2.0, 4: float('nan'), 5: None, 6: 8.0, 7: 3.0, 8: 4.0}
  with Checkpoints(tmp_path, keep=2, best_metric='fid', best_mode=mode) as checkpoints:
    for step, value in values.items():
      checkpoints.save(step, make_state(step), META, None if value is None else {'fid': value}, wait=True)
      assert checkpoints.latest() == step
    assert (checkpoints.best(), checkpoints.steps()) == (best, [best, 7, 8])
  with Checkpoints(tmp_path, keep=2, best_metric='fid', best_mode=mode) as checkpoints:  # known after a restart, too
    checkpoints.save(9, make_state(9), META, {'fid': 4.5}, wait=True)
    assert (checkpoints.best(), checkpoints.steps()) == (best, [best, 8, 9])
  assert files(tmp_path / 'checkpoints' / 'deleted') == []


def test_a_damaged_checkpoint_is_passed_over_and_named(tmp_path, caplog):
  filled(tmp_path)
  newest = tmp_path / 'checkpoints' / '3'
  shutil.copytree(newest, tmp_path / 'good')
  checkpoints = Checkpoints(tmp_path, keep=10)
  draw = random.Random(0)

  def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

  def flip(path):
    content = bytearray(path.read_bytes())
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(7)
    path.write_bytes(content)

  for name in files(newest):
    for damage in (truncate, flip, flip, Path.unlink):
      if (name == 'files.json' and damage == Path.unlink) or not (newest / name).stat().st_size:
        continue
      caplog.clear()
      damage(newest / name)
      step, state, meta = checkpoints.restore(make_state())
      assert (step, meta['step']) == (2, 2), (name, damage)
      assert_same(state, make_state(2))
      assert f'checkpoint {newest} is damaged ({name}' in caplog.text or name == 'files.json'
      shutil.copy(tmp_path / 'good' / name, newest / name)
  checkpoints.close()
  assert checkpoints.restore(make_state())[0] == 3


def test_arrays_are_checked_even_without_the_files_hashes(tmp_path, caplog):
  filled(tmp_path)
  newest = tmp_path / 'checkpoints' / '3'
  with Checkpoints(tmp_path, keep=10) as checkpoints:
    (newest / 'files.json').unlink()  # killed right after the commit
    assert checkpoints.restore(make_state())[0] == 3
    shutil.rmtree(newest / 'state')
    shutil.copytree(newest.parent / '1' / 'state', newest / 'state')  # well-formed, but not what was saved
    step, state, _ = checkpoints.restore(make_state())
    assert step == 2
    assert_same(state, make_state(2))
    assert 'does not have the content that was saved' in caplog.text
    (newest / 'meta' / 'metadata').unlink()
    assert checkpoints.restore(make_state())[0] == 2
    assert checkpoints.meta()['step'] == 2


def test_training_goes_on_after_a_damaged_checkpoint(tmp_path):
  filled(tmp_path)
  (tmp_path / 'checkpoints' / '3' / 'meta' / 'metadata').write_text('{')
  with Checkpoints(tmp_path, keep=10) as checkpoints:
    assert checkpoints.restore(make_state())[0] == 2
    checkpoints.save(2, make_state(9), META)  # has it already
    checkpoints.save(3, make_state(3), META, wait=True)
    assert checkpoints.steps() == [1, 2, 3]
    step, state, _ = checkpoints.restore(make_state())
    assert step == 3
    assert_same(state, make_state(3))
    assert_same(checkpoints.restore(make_state(), 2)[1], make_state(2))
    assert (tmp_path / 'checkpoints' / 'aside' / '3-0' / 'meta' / 'metadata').read_text() == '{'


def test_going_back_sets_later_checkpoints_aside(tmp_path):
  filled(tmp_path, steps=(1, 3, 5))
  with Checkpoints(tmp_path, keep=10) as checkpoints:
    checkpoints.restore(make_state(), 1)
    assert checkpoints.steps() == [1, 3, 5]  # reading moves nothing
    checkpoints.save(2, make_state(2), META, wait=True)
    assert checkpoints.steps() == [1, 2]
  assert sorted(path.name for path in (tmp_path / 'checkpoints' / 'aside').iterdir()) == ['3-0', '5-0']


def test_all_damaged_is_refused_and_nothing_deleted(tmp_path):
  filled(tmp_path)
  for path in (tmp_path / 'checkpoints').rglob('manifest.ocdbt'):
    path.write_bytes(b'')
  before = files(tmp_path)
  with Checkpoints(tmp_path, keep=10) as checkpoints:
    with pytest.raises(CheckpointError, match=r'no intact checkpoint in .*step 3: .*step 2: .*step 1: .*nothing was'):
      checkpoints.restore(make_state())
    with pytest.raises(CheckpointError, match=r'step 2: .*there are also 1, 3'):
      checkpoints.restore(make_state(), 2)
    assert checkpoints.meta()['step'] == 3
  assert files(tmp_path) == before


def test_a_changed_state_is_refused_by_name(tmp_path, caplog):
  filled(tmp_path)
  with Checkpoints(tmp_path, keep=10) as checkpoints:
    with pytest.raises(CheckpointError) as error:
      checkpoints.restore(make_state(width=6))
    assert 'params/d/kernel: saved float32[3, 5], expected float32[3, 6]' in str(error.value)
    other = make_state(1)
    other = other.replace(extras={**other.extras, 'p': jnp.zeros(())}, ema={})
    with pytest.raises(CheckpointError) as error:
      checkpoints.restore(other)
    assert 'extras/p: saved absent, expected float32[]' in str(error.value)
    assert 'ema/ema/g/bias: saved bfloat16[5], expected absent' in str(error.value)

    other = make_state(9, width=6)
    caplog.set_level(logging.WARNING)
    restored = checkpoints.restore(other, strict=False)[1]
    assert 'params/g/kernel' in caplog.text
    assert_same(restored, make_state(3).replace(params=other.params, opt={
      player: (adam._replace(count=make_state(3).opt[player][0].count), rest)
      for player, (adam, rest) in other.opt.items()
    }, ema=other.ema).replace(params={**other.params, 'd': other.params['d']}))  # fmt: skip


def test_hyperparameters_may_come_and_go(tmp_path):
  filled(tmp_path)
  with Checkpoints(tmp_path, keep=10) as checkpoints:
    more = checkpoints.restore(make_state(9, hyper=('gamma', 'lr')))[1]
    assert {name: float(value) for name, value in more.hyper.items()} == {'gamma': 9.0, 'lr': 3.0}
    assert checkpoints.restore(make_state(9, hyper=()))[1].hyper == {}
    with pytest.raises(CheckpointError, match='hyper/gamma'):
      checkpoints.restore(jax.eval_shape(lambda: make_state(hyper=('gamma',))))


def test_what_is_not_there_is_said(tmp_path):
  with Checkpoints(tmp_path / 'none', keep=1, lock=False) as checkpoints:
    with pytest.raises(CheckpointError, match='no checkpoint in'):
      checkpoints.restore(make_state())
    with pytest.raises(CheckpointError, match='no checkpoint in'):
      checkpoints.meta()
  assert not (tmp_path / 'none').exists()
  filled(tmp_path)
  with Checkpoints(tmp_path, keep=1, lock=False) as checkpoints, pytest.raises(CheckpointError, match='are 1, 2, 3'):
    checkpoints.restore(make_state(), 7)


def expect_failed_save(workdir: Path, words: str) -> None:
  """Saving a large state fails, with these words, and leaves the checkpoint before."""
  with Checkpoints(workdir, keep=1) as checkpoints:
    checkpoints.save(1, make_state(1), META, wait=True)
    large = make_state(2, width=500, rows=1000)
    checkpoints.save(2, large, META)
    with pytest.raises(CheckpointError, match=rf'step 2 could not be saved in .*{words}.*intact: 1$'):
      checkpoints.wait()
    assert checkpoints.steps() == [1]
    assert_same(checkpoints.restore(make_state())[1], make_state(1))
    checkpoints.save(3, make_state(3), META, wait=True)  # the place that failed is usable again
    assert {path.name for path in checkpoints.directory.iterdir()} == {'3'}


def test_full_disk(mounted):
  expect_failed_save(
    mounted('-t', 'tmpfs', '-o', 'size=2m', 'tmpfs'), 'No space left on device: about 8 MB needed, [12] MB free'
  )


@pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')  # TensorStore's, on its way down
def test_file_size_limit(tmp_path):
  before = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, before[1]))
  try:
    expect_failed_save(tmp_path, 'File too large')
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_read_only_workdir(mounted, tmp_path):
  filled(tmp_path / 'run')
  workdir = mounted('-o', 'bind,ro', str(tmp_path / 'run'))
  with pytest.raises(CheckpointError, match=f'cannot write in {workdir}: Read-only file system'):
    Checkpoints(workdir, keep=1)
  with Checkpoints(workdir, keep=1, lock=False) as checkpoints:
    assert checkpoints.restore(make_state())[0] == 3


def test_a_workdir_that_cannot_be(tmp_path):
  (tmp_path / 'file').write_text('')
  with pytest.raises(CheckpointError, match=f'cannot write in {tmp_path}/file/run: Not a directory'):
    Checkpoints(tmp_path / 'file' / 'run', keep=1)


def python(code: str, *args: object) -> subprocess.Popen:
  path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1])])
  return subprocess.Popen(
    [sys.executable, '-c', code, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    env={**os.environ, 'PYTHONPATH': path, 'JAX_PLATFORMS': 'cpu', 'XLA_FLAGS': ''},
  )  # fmt: skip


SAVE_FOR_EVER = """
import itertools, sys
from ganjax.checkpoint import Checkpoints
from test_checkpoint import META, make_state
with Checkpoints(sys.argv[1], keep=3) as checkpoints:
  for step in itertools.count(1):
    checkpoints.save(step, make_state(step, rows=20_000), META)
    print(step, flush=True)
"""


def test_one_process_a_workdir_and_sigkill_while_writing(tmp_path):
  with python(SAVE_FOR_EVER, tmp_path) as child:
    assert child.stdout
    assert child.stdout.readline() == '1\n', child.stdout.read()
    with pytest.raises(
      CheckpointError, match=rf'{tmp_path} is in use by process {child.pid} on {socket.gethostname()}'
    ):
      Checkpoints(tmp_path, keep=3)
    while child.stdout.readline() != '6\n':
      pass
    with Checkpoints(tmp_path, keep=3, lock=False) as reader:  # readers need no lock
      assert reader.steps()
    time.sleep(random.uniform(0, 0.05))  # anywhere in a save
    child.send_signal(signal.SIGKILL)
  with Checkpoints(tmp_path, keep=3) as checkpoints:  # the lock died with the process
    steps = checkpoints.steps()
    assert len(steps) >= 3
    for step in steps:
      assert_same(checkpoints.restore(make_state(rows=20_000), step)[1], make_state(step, rows=20_000))
    checkpoints.save(steps[-1] + 1, make_state(), META, wait=True)
    left = {path.name for path in checkpoints.directory.iterdir()}
  assert left == {*map(str, checkpoints.steps())}  # no temporary directories


TWO_PROCESSES = """
import sys, jax, numpy as np
rank, port, workdir = int(sys.argv[1]), sys.argv[2], sys.argv[3]
jax.config.update('jax_cpu_collectives_implementation', 'gloo')
jax.distributed.initialize(f'localhost:{port}', 2, rank)
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from ganjax.checkpoint import Checkpoints
from test_checkpoint import META, data, make_state
mesh = jax.make_mesh((2,), ('data',), axis_types=(AxisType.Auto,))
everywhere = NamedSharding(mesh, PartitionSpec())
total = jax.jit(lambda s: sum(x.sum() for x in jax.tree.leaves(s.params)), out_shardings=everywhere)
spread = jax.jit(lambda state: state, out_shardings=everywhere)
with Checkpoints(workdir, keep=2) as checkpoints:
  initial = lambda step: spread(make_state(step))
  for step in (1, 2, 3):
    checkpoints.save(step, initial(step), META)
    last = float(total(initial(step)))
  shapes = jax.eval_shape(make_state)
  step, state, meta = checkpoints.restore(shapes, sharding=everywhere)
  assert (step, meta) == (3, META), step
  for x, y in zip(jax.tree.leaves(state), jax.tree.leaves(make_state(3)), strict=True):
    assert x.sharding.is_equivalent_to(everywhere, x.ndim)
    assert x.dtype == y.dtype and data(x.addressable_data(0)).tobytes() == data(y).tobytes()
  assert float(total(state)) == last  # a program over both processes takes it
print('fine', rank)
"""


def test_two_processes(tmp_path):
  with socket.socket() as free:
    free.bind(('localhost', 0))
    port = free.getsockname()[1]
  children = [python(TWO_PROCESSES, rank, port, tmp_path) for rank in range(2)]
  for rank, child in enumerate(children):
    output = child.communicate(timeout=100)[0]
    assert f'fine {rank}' in output, output
  with Checkpoints(tmp_path, keep=2) as checkpoints:  # and one process reads what two wrote
    assert checkpoints.steps() == [2, 3]
    assert_same(checkpoints.restore(make_state())[1], make_state(3))


def test_meta_is_json_and_kept_as_it_was(tmp_path):
  with Checkpoints(tmp_path, keep=2) as checkpoints:
    with pytest.raises(TypeError):
      checkpoints.save(1, make_state(), {'config': object()})
    meta = {'list': [1]}
    checkpoints.save(1, make_state(), meta)
    meta['list'].append(2)
    assert checkpoints.restore(make_state())[2] == {'list': [1]}
    body = json.loads((tmp_path / 'checkpoints' / '1' / 'meta' / 'metadata').read_text())
    assert body['arrays']['params/g/bias']['dtype'] == 'bfloat16'
