"""Devices: the mesh, jit or pmap of the one step, several steps per call. The only file that names devices.

mesh = make_mesh()
play = compile(game, rules, mesh, how='jit')      # or 'pmap': the same training
state = place(state, mesh)
state, metrics = play(n, state, batch)            # n: the step's number, a Python int
"""

import itertools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ganjax.errors import ConfigError
from ganjax.ops import across
from ganjax.state import TrainState
from ganjax.step import make_step
from ganjax.types import Array, Batch, Game, Metrics, Rules, Turn

How = Literal['jit', 'pmap']
Read = Callable[[Any, Array, Array], Batch]  # (payload, positions [plays], rows [B]) -> batch [plays, B, ...]
AXIS = 'data'


def use_cache() -> None:
  """Keeps compiled programs in the user's cache folder, unless JAX_COMPILATION_CACHE_DIR says where."""
  if not jax.config.jax_compilation_cache_dir:  # type: ignore[attr-defined]
    home = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')
    jax.config.update('jax_compilation_cache_dir', str(home / 'ganjax' / 'xla'))
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.1)


def join(coordinator: str | None, processes: int | None, process: int | None) -> None:
  """Makes this one of several processes, if asked; on clusters that JAX knows it finds the rest itself."""
  if coordinator or processes or process is not None:
    if not (coordinator and processes and process is not None and 0 <= process < processes):
      raise ConfigError(
        '--process',
        (coordinator, processes, process),
        '--coordinator HOST:PORT --processes N --process 0..N-1, all three',
      )
    jax.distributed.initialize(coordinator, processes, process)


def first() -> bool:
  """Whether this is process 0, the one that writes."""
  return jax.process_index() == 0


def told(value: int | None) -> int | None:
  """Process 0's `value`, to all: the others may look at a file while it is being written."""
  if jax.process_count() == 1:
    return value
  from jax.experimental import multihost_utils

  number = int(multihost_utils.broadcast_one_to_all(np.int32(-1 if value is None else value)))
  return None if number < 0 else number


def make_mesh(count: int | None = None) -> Mesh:
  """A mesh of one axis over the first `count` devices (all, if None) of all processes."""
  if jax.process_count() > 1 and count not in (None, jax.device_count()):
    raise ConfigError('devices', count, f'0 or {jax.device_count()}: several processes use all their devices')
  return Mesh(np.asarray(jax.devices()[:count]), (AXIS,))


def own_mesh() -> Mesh:
  """A mesh over this process's devices: for what every process does alone."""
  return Mesh(np.asarray(jax.local_devices()), (AXIS,))


def whole(mesh: Mesh) -> NamedSharding:
  """The sharding of what every device holds in full."""
  return NamedSharding(mesh, PartitionSpec())


def place(tree: Any, mesh: Mesh) -> Any:
  """`tree` on every device of the mesh: done before the first call, or the step compiles twice."""
  if jax.process_count() == 1:
    return jax.device_put(tree, whole(mesh))

  def copy(x: Any) -> Array:  # each process has the same values, and puts them on its own devices
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
      return jax.random.wrap_key_data(copy(jax.random.key_data(x)), impl=jax.random.key_impl(x))
    host = np.asarray(x)
    return jax.make_array_from_callback(host.shape, whole(mesh), host.__getitem__)

  return jax.tree.map(copy, tree)


def local(tree: Any) -> Any:
  """The copy of a replicated tree on this process's first device."""
  return jax.tree.map(lambda x: x.addressable_data(0), tree)


def due(turns: Sequence[Turn], n: int) -> tuple[int, ...]:
  """The indices of the turns that step `n` plays."""
  return tuple(i for i, turn in enumerate(turns) if n % turn.every == 0)


def plays(turns: Sequence[Turn], n: int) -> int:
  """How many batches step `n` takes."""
  return sum(turns[i].times for i in due(turns, n) if turns[i].fresh)


def position(turns: Sequence[Turn], step: Any) -> Any:
  """How many batches the steps before `step` (an int or a traced int32 []) took: the number of its first batch."""
  return sum(turn.times * ((step + turn.every - 1) // turn.every) for turn in turns if turn.fresh)


class Program:
  """`program(n, state, payload) -> (state, metrics)`: steps n .. n + steps - 1, compiled once per set of due turns.

  With `steps` 1 the metrics are scalars; otherwise they come as a list of dicts of [k] arrays, one dict for each
  run of steps with the same turns (`unstack` makes a list of dicts by step of both).
  """

  def __init__(self, build: Callable[[tuple[tuple[int, ...], ...]], Any], turns: Sequence[Turn], steps: int) -> None:
    self.build, self.turns, self.steps = build, turns, steps
    self.compiled: dict[tuple[tuple[int, ...], ...], Any] = {}

  def at(self, n: int) -> Any:
    """The compiled function for the turns due from step `n` on: it has `lower(state, payload)` as jit's has."""
    dues = tuple(due(self.turns, n + i) for i in range(self.steps))
    if dues not in self.compiled:
      self.compiled[dues] = self.build(dues)
    return self.compiled[dues]

  def __call__(self, n: int, state: TrainState, payload: Any) -> tuple[TrainState, Any]:
    """Plays steps n .. n + steps - 1. The state is donated."""
    return self.at(n)(state, payload)


def compile(game: Game, rules: Rules, mesh: Mesh, how: How = 'jit', *, steps: int = 1, read: Read | None = None,  # noqa: A001
            resident: int = 0, unroll: bool | None = None, members: bool = False, axes: Any = None) -> Program:  # fmt: skip
  """The training of a game as a compiled program.

  Args:
    game: the game.
    rules: how it is trained.
    mesh: from `make_mesh`.
    how: 'jit' is a global view, the compiler splits the batch over the mesh; 'pmap' maps the same step.
    steps: steps per call.
    read: makes a step's batch from the payload inside the program; without it the payload is the batch.
    resident: the global batch size that `read` draws from a payload which is whole on every device (see
      `hold`). 0: the payload is batches [plays, B, ...] over the devices (see `shard`); with several steps, a tuple
      of them.
    unroll: several steps unrolled, or scanned. By default scanned, but for convolutional games on the
      CPU: XLA gives the body of a loop less of its fast paths there.
    members: the state is a population's, its leaves [M, ...]: all members play the same steps, and a metric of one
      member is the last axis of what it is for a lone run.
    axes: what of the payload each member has of its own, as `in_axes` of `vmap`; None: all read the same.
  """
  axis = AXIS if how == 'pmap' else None
  split = NamedSharding(mesh, PartitionSpec(None, AXIS))

  def build(dues: tuple[tuple[int, ...], ...]) -> Any:
    def one(wanted: tuple[int, ...], state: TrainState, part: Any) -> tuple[TrainState, Metrics]:
      if read is not None:
        count = sum(game.turns[i].times for i in wanted if game.turns[i].fresh)
        positions = position(game.turns, state.step) + jnp.arange(count, dtype=jnp.int32)
        size = resident // (mesh.size if axis else 1) or jax.tree.leaves(part)[0].shape[1]
        rows = across.rows(size, axis)
        if not axis:
          rows = jax.lax.with_sharding_constraint(rows, NamedSharding(mesh, PartitionSpec(AXIS)))
        part = read(part, positions, rows)
      if not axis:
        part = jax.tree.map(lambda x: jax.lax.with_sharding_constraint(x, split), part)
      return make_step(game, rules, due=wanted, axis=axis)(state, part)

    def run(state: TrainState, payload: Any) -> tuple[TrainState, Any]:
      if steps == 1:
        return one(dues[0], state, payload)
      parts = [payload] * steps if resident else list(payload)
      segments, first = [], 0
      for wanted, group in itertools.groupby(dues):
        count = len(list(group))
        state, seen = repeat(wanted, state, parts[first : first + count])
        segments.append(seen)
        first += count
      return state, segments

    def repeat(wanted: tuple[int, ...], state: TrainState, parts: list[Any]) -> tuple[TrainState, Metrics]:
      convolves = any(x.ndim > 3 for x in jax.tree.leaves(state.params))
      if len(parts) == 1 or (jax.default_backend() == 'cpu' and convolves if unroll is None else unroll):
        seen = []
        for part in parts:
          state, metrics = one(wanted, state, part)
          seen.append(metrics)
        return state, jax.tree.map(lambda *x: jnp.stack(x), *seen)
      if resident:
        return jax.lax.scan(lambda state, _: one(wanted, state, parts[0]), state, length=len(parts))
      return jax.lax.scan(
        lambda state, part: one(wanted, state, part), state, jax.tree.map(lambda *x: jnp.stack(x), *parts)
      )

    every = jax.vmap(run, in_axes=(0, axes), out_axes=(0, -1)) if members else run
    if how == 'pmap':
      mapped = (lambda state, payload: every(state, payload[0])) if resident else every
      inputs = (None, (None, 0) if resident else 0)
      return jax.pmap(mapped, AXIS, in_axes=inputs, out_axes=None, devices=list(mesh.devices.flat), donate_argnums=0)  # type: ignore[arg-type]
    everywhere = whole(mesh)
    shardings = (everywhere, everywhere if resident else split)
    return jax.jit(every, in_shardings=shardings, out_shardings=everywhere, donate_argnums=0)

  return Program(build, game.turns, steps)


def hold(data: Any, mesh: Mesh, how: How) -> Any:
  """A data set in memory, whole on every device, placed as `compile` wants it."""
  placed = place(data, mesh)
  return (placed, np.arange(len(mesh.local_devices))) if how == 'pmap' else placed  # pmap has to map something


def shard(batch: Any, mesh: Mesh, how: How) -> Any:
  """Host batches of the rows of this process ([plays, B_local, ...] leaves), placed as `compile` wants them."""
  if how == 'pmap':
    count = len(mesh.local_devices)
    return jax.tree.map(lambda x: np.moveaxis(x.reshape(x.shape[0], count, -1, *x.shape[2:]), 1, 0), batch)
  split = NamedSharding(mesh, PartitionSpec(None, AXIS))
  return jax.tree.map(lambda x: jax.make_array_from_process_local_data(split, x), batch)


def over_rows(function: Callable[[Any, Batch], Any], mesh: Mesh, size: int) -> Callable[[Any, Batch], Any]:
  """`function(held, batch)`, compiled, for batches of up to `size` rows that are split over the mesh's devices.

  `held` is whole on every device (see `place`). What comes back, [B', ...] leaves, has B' >= B rows: those behind the
  batch's own are padding.
  """
  split = NamedSharding(mesh, PartitionSpec(AXIS))
  program = jax.jit(function, in_shardings=(whole(mesh), split), out_shardings=split)
  full = -(-size // mesh.size) * mesh.size
  return lambda held, batch: program(held, jax.tree.map(lambda x: np.resize(x, (full, *x.shape[1:])), batch))


def unstack(metrics: Any) -> list[dict[str, Any]]:
  """Metrics of one call (fetched: this waits for the device) as a dict of numbers for each of its steps.

  A number is a float, and for a population float64 [M].
  """
  fetched = jax.device_get(metrics)
  number = lambda x: np.asarray(x, np.float64) if np.ndim(x) else float(x)  # noqa: E731
  if isinstance(fetched, dict):
    return [{name: number(value) for name, value in fetched.items()}]
  return [
    {name: number(value[i]) for name, value in segment.items()}
    for segment in fetched
    for i in range(len(next(iter(segment.values()))))
  ]
