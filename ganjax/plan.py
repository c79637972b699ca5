"""What a training will take, before it is begun: measured on a few of its own steps, nothing is written."""

import time
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from ganjax import parallel
from ganjax.assemble import assemble, payload

SECONDS, CALLS = 5.0, 3  # measured for at least so long, and so many calls


def plan(config: ConfigDict) -> str:
  """Parameters by player, memory, compile time, speed and time to finish, as text. Raises ConfigError, DataError."""
  setup = assemble(config)
  began = time.perf_counter()
  state = parallel.place(setup.initial(), setup.mesh)
  members = len(setup.members)
  counts = {player: count(params) // members for player, params in state.params.items()}
  held = sum(
    x.nbytes for x in jax.tree.leaves(jax.tree.map(np.asarray, (state.params, state.extras, state.opt, state.ema)))
  )
  data = sum(np.asarray(x).nbytes for x in jax.tree.leaves(setup.resident))

  n, compiling, running, calls, seen = 0, 0.0, 0.0, 0, set()
  while calls < CALLS or running < SECONDS:
    program = setup.play.at(n)
    batch = payload(setup, n)
    start = time.perf_counter()
    state, metrics = program(state, batch)
    jax.block_until_ready(metrics)
    taken = time.perf_counter() - start
    if program in seen:
      running, calls = running + taken, calls + 1
    else:
      seen.add(program)
      compiling = time.perf_counter() - began if len(seen) == 1 else compiling + taken
    n += config.steps_per_call
  setup.feed.close()
  temporary = setup.play.at(0).lower(state, payload(setup, 0)).compile().memory_analysis()

  step = running / calls / config.steps_per_call
  images = config.steps * config.batch_size
  rows = {
    'devices': f'{setup.mesh.size} x {setup.mesh.devices.flat[0].device_kind}, {config.parallel}',
    'data': f'{setup.spec.name}: '
    + ' x '.join(map(str, setup.spec.shape))
    + (f', {setup.spec.count:,} examples' if setup.spec.count else ', unlimited'),
    'parameters': ', '.join(f'{player} {number:,}' for player, number in counts.items()),
    **({'members': f'{members} in one program, each with these parameters'} if config.population else {}),
    'memory': f'{megabytes(held + data + used(temporary))} a device (state {megabytes(held)}, data {megabytes(data)}, step {megabytes(used(temporary))})',
    'to first step': f'{compiling:.1f} s (with compilation, or reading it from the cache)',
    'speed': f'{1000 * step / config.batch_size:.3g} s per 1,000 images ({1000 * step:.3g} ms a step of {config.batch_size}, measured on {calls * config.steps_per_call} steps)',
    'to finish': f'{clock(compiling + step * config.steps)} for {config.steps:,} steps, {images:,} images, without evaluations',
  }
  return '\n'.join([config.name, *(f'  {name:<14} {text}' for name, text in rows.items())])


def count(tree: Any) -> int:
  """How many numbers a tree holds."""
  return sum(x.size for x in jax.tree.leaves(tree))


def used(analysis: Any) -> int:
  """Bytes that a program takes beside its arguments; 0 where the platform doesn't say."""
  return getattr(analysis, 'temp_size_in_bytes', 0) or 0


def megabytes(size: float) -> str:
  """Bytes, for a person."""
  return f'{size / 2**20:,.1f} MiB'


def clock(seconds: float) -> str:
  """A duration, for a person."""
  minutes, seconds = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  return f'{hours} h {minutes} min' if hours else f'{minutes} min {seconds} s' if minutes else f'{seconds} s'
