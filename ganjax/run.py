"""What surrounds the loop: signals that ask it to stop, and the profiler."""

import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any, Self

import jax
import numpy as np


class Stop:
  """SIGTERM and SIGINT set a flag that the loop looks at; a second one acts at once."""

  def __enter__(self) -> Self:
    self.received = 0
    main = threading.current_thread() is threading.main_thread()
    self.before = {s: signal.signal(s, self.receive) for s in (signal.SIGTERM, signal.SIGINT)} if main else {}
    return self

  def __exit__(self, *_: object) -> None:
    for number, handler in self.before.items():
      signal.signal(number, handler)

  def receive(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
    """The handler."""
    self.received = number
    for each, handler in self.before.items():
      signal.signal(each, handler)

  def asked(self, agree: bool) -> str:
    """The signal's name, if one came. Several processes stop at the same step: they ask each other where `agree`."""
    received = self.received
    if jax.process_count() > 1:
      if not agree:
        return ''
      from jax.experimental import multihost_utils

      received = int(np.max(multihost_utils.process_allgather(np.int32(received))))
    return signal.Signals(received).name if received else ''


class Trace:
  """A profile of calls 3 to 7 of a run, in a folder that TensorBoard's profile page (xprof) opens."""

  FIRST, LAST = 3, 7  # the first calls compile

  def __init__(self, folder: Path, wanted: bool) -> None:
    self.folder, self.calls = folder, 0 if wanted else self.LAST
    self.running = False

  def __enter__(self) -> Self:
    return self

  def __exit__(self, *_: object) -> None:
    self.finish()

  def call(self, state: Any) -> None:
    """To be told of every call, with its state."""
    self.calls += 1
    if self.calls == self.FIRST:
      jax.block_until_ready(state)
      jax.profiler.start_trace(str(self.folder))
      self.running = True
    elif self.calls == self.LAST:
      jax.block_until_ready(state)
      self.finish()

  def finish(self) -> None:
    """Writes what was traced."""
    if self.running:
      jax.profiler.stop_trace()
      self.running = False
