"""Checkpoints: written in the background, all or nothing, and checked to the bit when they are read.

`workdir/checkpoints/<step>/` is one Orbax checkpoint: `state` (a tree of plain arrays) and `meta`, JSON
with what the caller gave, the metrics and a hash of every array. A checkpoint appears under its name by
one rename, after everything in it is on disk; older ones go only after that. `files.json`, added then,
has a hash of every file: damage is named by file, before Orbax reads it. Nothing is pickled.
"""

import contextlib
import datetime
import errno
import fcntl
import json
import logging
import math
import os
import shutil
import socket
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import jax
import numpy as np

from ganjax.errors import CheckpointError
from ganjax.intact import Damaged, check_manifest, digest, reason, write_manifest
from ganjax.snapshot import flatten, hash_of, nest, place, select, snapshot
from ganjax.state import TrainState

FORMAT = 1
log = logging.getLogger(__name__)


class Checkpoints:
  """The checkpoints of a workdir: the last `keep`, and the best by `best_metric` ('min' or 'max').

  With `lock`, this process is the one that writes to the workdir, and a second one is refused. Without,
  nothing is written, not even a directory, until something is saved. Raises CheckpointError.
  """

  def __init__(
    self, workdir: str | os.PathLike[str], *, keep: int, best_metric: str | None = None, best_mode: str = 'min',
    lock: bool = True,
  ) -> None:  # fmt: skip
    if best_mode not in ('min', 'max'):
      raise ValueError(f"best_mode: given {best_mode!r}, valid: 'min', 'max'")
    self.directory = Path(workdir).absolute() / 'checkpoints'
    self._keep, self._best_metric, self._best = keep, best_metric, min if best_mode == 'min' else max
    self._main = jax.process_index() == 0  # the state is replicated, so one process writes, and none waits
    self._lock = lock_workdir(Path(workdir)) if lock and self._main else None
    self._worker = ThreadPoolExecutor(1, thread_name_prefix='checkpoint')
    self._pending: Future[None] | None = None
    self._manager: Any = None
    self._own: set[int] = set()  # steps of this run: saved by it, or the one it continued from
    self._scores: dict[int, float | None] = {}

  def __enter__(self) -> Self:
    return self

  def __exit__(self, *_: object) -> None:
    self.close()

  def steps(self) -> list[int]:
    """The committed checkpoints, oldest first, damaged ones included."""
    try:
      return sorted(int(path.name) for path in self.directory.iterdir() if path.name.isdecimal())
    except (FileNotFoundError, NotADirectoryError):
      return []

  def latest(self) -> int | None:
    """The newest committed step."""
    return max(self.steps(), default=None)

  def best(self) -> int | None:
    """The step with the best finite `best_metric`, the newer of equals."""
    return self._best_of(self.steps())

  def save(
    self, step: int, state: TrainState, meta: dict[str, Any], metrics: Mapping[str, float] | None = None, *,
    wait: bool = False,
  ) -> None:  # fmt: skip
    """Saves in the background; returns when the arrays are copied to the host and may be donated.

    Waits for the save before it, and raises CheckpointError if that failed (with `wait`, if this one
    does). `meta` is JSON. A step that this run has saved already is left as it is. What another run,
    or this one before it went back, left at this step and later is set aside, not deleted.
    """
    self.wait()
    if not self._main or step in self._own:
      return
    # A round trip: the caller may change `meta` later, and the digest is of what JSON keeps.
    body = json.loads(json.dumps({'format': FORMAT, 'meta': meta, 'metrics': dict(metrics or {})}))
    self._pending = self._worker.submit(self._write, step, snapshot(state), body)
    if wait:
      self.wait()

  def wait(self) -> None:
    """Until the last save is committed. Raises CheckpointError if it failed."""
    if self._pending is not None:
      error = self._pending.exception()
      self._pending = None
      if error is not None:
        raise error

  def restore(
    self, template: TrainState, step: int | None = None, *, sharding: Any = None, strict: bool = True
  ) -> tuple[int, TrainState, dict[str, Any]]:
    """Step, state and meta of checkpoint `step`, or of the newest intact one.

    `template` gives structure, shapes, dtypes and, without `sharding`, where each leaf goes; its leaves
    are arrays or ShapeDtypeStructs. A hyperparameter that the checkpoint lacks keeps the template's
    value, one that the template lacks is dropped. Any other difference is a CheckpointError that names
    the leaves; without `strict`, leaves that don't fit keep the template's values instead. A damaged
    checkpoint is passed over with a warning. In several processes all must call this together.
    """
    self.wait()
    if jax.process_count() > 1:  # process 0 may still have been writing
      from jax.experimental import multihost_utils

      multihost_utils.sync_global_devices('ganjax restore')
    damaged: dict[int, str] = {}
    for candidate in self._candidates(step):
      try:
        check_manifest(self.directory / str(candidate))
        body = self._read_meta(candidate)
        fitting = select(template, body['arrays'], strict, self.directory / str(candidate))
        arrays = self._read_arrays(candidate, body['arrays'], fitting)
      except Damaged as error:
        damaged[candidate] = str(error)
        continue
      for bad, why in damaged.items():
        log.warning('checkpoint %s is damaged (%s): step %d is used', self.directory / str(bad), why, candidate)
      self._own = {own for own in self._own if own < candidate} | {candidate}
      return candidate, place(template, arrays, body['arrays'], sharding), body['meta']
    raise self._all_damaged(damaged)

  def meta(self, step: int | None = None) -> dict[str, Any]:
    """The `meta` of checkpoint `step`, or of the newest whose meta is intact; reads no arrays."""
    damaged = {}
    for candidate in self._candidates(step):
      try:
        return self._read_meta(candidate)['meta']
      except Damaged as error:
        damaged[candidate] = str(error)
    raise self._all_damaged(damaged)

  def close(self) -> None:
    """Finishes the last save and lets go of the workdir."""
    try:
      self.wait()
    finally:
      self._worker.shutdown()
      if self._manager is not None:
        self._manager.close()
        self._manager = None
      if self._lock is not None:
        os.close(self._lock)
        self._lock = None

  def _orbax(self) -> Any:
    """The CheckpointManager; made late, because importing Orbax takes a second."""
    if self._manager is None:
      import orbax.checkpoint as ocp

      logging.getLogger('absl').addFilter(not_orbax)
      me = jax.process_index()
      options = ocp.CheckpointManagerOptions(
        create=False,
        cleanup_tmp_directories=self._lock is not None,  # left by a killed process
        enable_async_checkpointing=False,  # it runs in a thread of ours, after the hashes
        lightweight_initialize=True,
        preservation_policy=SimpleNamespace(should_preserve=self._preserve),
        todelete_subdir='deleted',  # a rename: no half-deleted checkpoint under its name
        multiprocessing_options=ocp.options.MultiprocessingOptions(
          primary_host=me, active_processes={me}, barrier_sync_key_prefix=f'ganjax{me}'
        ),
      )
      self._manager = ocp.CheckpointManager(self.directory, options=options)
    return self._manager

  def _write(self, step: int, leaves: dict[str, tuple[np.ndarray, dict[str, Any]]], body: dict[str, Any]) -> None:
    try:
      import orbax.checkpoint as ocp

      self.directory.mkdir(parents=True, exist_ok=True)
      needed, free = sum(data.nbytes for data, _ in leaves.values()), shutil.disk_usage(self.directory).free
      if free < 0.8 * needed:  # trained floats compress by a tenth; TensorStore's own failure is noisy
        raise OSError(
          errno.ENOSPC, f'No space left on device: about {needed / 1e6:.0f} MB needed, {free / 1e6:.0f} MB free'
        )
      self._set_aside(step)
      body['arrays'] = {path: {**about, 'hash': hash_of(data)} for path, (data, about) in leaves.items()}
      body['digest'] = digest(body)
      self._scores[step] = self._score(body)
      # Orbax refuses empty arrays; the manifest is enough for them.
      tree = nest({path: data for path, (data, _) in leaves.items() if data.size})
      args = ocp.args.Composite(state=ocp.args.PyTreeSave(tree), meta=ocp.args.JsonSave(body))
      self._orbax().save(step, args=args, force=True)
      self._own.add(step)
      write_manifest(self.directory / str(step))
      shutil.rmtree(self.directory / 'deleted', ignore_errors=True)
    except Exception as error:  # Orbax and TensorStore raise many kinds
      self._manager = None  # it may count on the step that failed
      for path in self.directory.glob(f'{step}.orbax-checkpoint-tmp*'):
        shutil.rmtree(path, ignore_errors=True)  # gives a full disk its space back
      raise CheckpointError(
        f'step {step} could not be saved in {self.directory}: {reason(error)}; '
        f'checkpoints there before are intact: {listed(self.steps())}'
      ) from error

  def _set_aside(self, step: int) -> None:
    """Moves checkpoints of `step` and later, which are damaged or another run's, out of the way."""
    later = [old for old in self.steps() if old >= step]
    for old in later:
      aside = self.directory / 'aside'
      aside.mkdir(exist_ok=True)
      taken = sum(path.name.split('-')[0] == str(old) for path in aside.iterdir())
      (self.directory / str(old)).rename(aside / f'{old}-{taken}')
      log.warning('checkpoint %d, not of this run or damaged, was moved to %s', old, aside / f'{old}-{taken}')
      self._scores.pop(old, None)
    if later and self._manager is not None:
      self._manager.reload()

  def _preserve(self, checkpoints: Iterable[Any], **_: Any) -> list[bool]:
    steps = [checkpoint.step for checkpoint in checkpoints]
    kept = {*steps[-self._keep :], self._best_of(steps)}
    return [step in kept for step in steps]

  def _best_of(self, steps: list[int]) -> int | None:
    if self._best_metric is None:
      return None
    for step in steps:
      if step not in self._scores:
        with contextlib.suppress(Damaged):
          self._scores[step] = self._score(self._read_meta(step))
    scores = {step: score for step in reversed(steps) if (score := self._scores.get(step)) is not None}
    return self._best(scores, key=lambda step: scores[step], default=None)

  def _score(self, body: dict[str, Any]) -> float | None:
    value = body['metrics'].get(self._best_metric)
    return value if value is not None and math.isfinite(value) else None

  def _candidates(self, step: int | None) -> list[int]:
    steps = self.steps()
    if not steps:
      raise CheckpointError(f'no checkpoint in {self.directory}')
    if step is not None and step not in steps:
      raise CheckpointError(f'no checkpoint of step {step} in {self.directory}: there are {listed(steps)}')
    return steps[::-1] if step is None else [step]

  def _read_meta(self, step: int) -> dict[str, Any]:
    import orbax.checkpoint as ocp

    try:
      body = dict(self._orbax().restore(step, args=ocp.args.Composite(meta=ocp.args.JsonRestore())).meta)
    except Exception as error:  # whatever a damaged file makes Orbax raise
      raise Damaged(f'meta: {reason(error)}') from error
    if body.pop('digest', None) != digest(body):
      raise Damaged('meta does not have the content that was saved')
    if body['format'] > FORMAT:
      raise CheckpointError(f'{self.directory / str(step)} was written by a newer ganjax (format {body["format"]})')
    return body

  def _read_arrays(self, step: int, saved: dict[str, Any], wanted: Iterable[str]) -> dict[str, np.ndarray]:
    """The arrays of these paths as they were saved, each checked against its hash."""
    import orbax.checkpoint as ocp

    kinds = {path: about for path in wanted if 0 not in (about := saved[path])['shape']}
    arrays = {path: np.zeros(saved[path]['shape'], saved[path]['dtype']) for path in wanted if path not in kinds}
    whole = nest({path: ocp.RestoreArgs(restore_type=np.ndarray) for path in kinds})
    args = ocp.args.PyTreeRestore(item=jax.tree.map(lambda _: 0, whole), restore_args=whole, partial_restore=True)
    try:
      tree = self._orbax().restore(step, args=ocp.args.Composite(state=args)).state
    except Exception as error:  # whatever a damaged file makes Orbax raise
      raise Damaged(f'arrays: {reason(error)}') from error
    found = flatten(tree)
    for path, about in kinds.items():
      arrays[path] = np.asarray(found[path])
      if hash_of(arrays[path]) != about['hash']:
        raise Damaged(f'{path} does not have the content that was saved')
    return arrays

  def _all_damaged(self, damaged: dict[int, str]) -> CheckpointError:
    reasons = '; '.join(f'step {step}: {why}' for step, why in damaged.items())
    other = [step for step in self.steps() if step not in damaged]
    rest = f'; there are also {listed(other)}' if other else '; nothing was deleted'
    return CheckpointError(f'no intact checkpoint in {self.directory}: {reasons}{rest}')


def lock_workdir(workdir: Path) -> int:
  """Takes the workdir for this process, until it ends or closes the returned file descriptor."""
  try:
    workdir.mkdir(parents=True, exist_ok=True)
    file = os.open(workdir / '.lock', os.O_RDWR | os.O_CREAT, 0o644)
  except OSError as error:
    raise CheckpointError(f'cannot write in {workdir}: {error.strerror}') from error
  try:
    # The kernel lets go when the process dies, however it dies: no stale locks.
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except OSError as error:
    holder = os.read(file, 1000).decode(errors='replace').strip() or 'another process'
    os.close(file)
    raise CheckpointError(f'{workdir} is in use by {holder}: stop it, or take another workdir') from error
  since = datetime.datetime.now().astimezone().isoformat(' ', 'seconds')
  os.ftruncate(file, 0)
  os.write(file, f'process {os.getpid()} on {socket.gethostname()} since {since}\n'.encode())
  return file


def not_orbax(record: logging.LogRecord) -> bool:
  """Drops the tracebacks that Orbax logs for what it also raises: a full disk is told once, in a line."""
  return f'{os.sep}orbax{os.sep}' not in record.pathname


def listed(steps: Iterable[int]) -> str:
  """Steps, as a sentence has them."""
  return ', '.join(map(str, steps)) or 'none'
