"""How far a training is: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

EVERY = 10.0  # seconds between lines
REFRESH = 0.25  # and between changes of the bar


class Progress:
  """Steps and images a second, time left, losses, D(x) and D(G(z)), on standard error; of a population, means.

  wanted: True for a bar, False for nothing, None for a bar if standard error is a terminal, else lines.
  """

  def __init__(self, total: int, batch_size: int, step: int = 0, wanted: bool | None = None) -> None:
    self.total, self.batch_size, self.silent = total, batch_size, wanted is False
    self.bar: Any = None
    if wanted or (wanted is None and sys.stderr.isatty()):
      from tqdm.auto import tqdm

      self.bar = tqdm(
        total=total, initial=step, unit='step', dynamic_ncols=True, file=sys.stderr,
        bar_format='{percentage:3.0f}%|{bar:12}| {n_fmt}/{total_fmt} {postfix}',
      )  # fmt: skip
    self.rewind(step)

  def rewind(self, step: int) -> None:
    """Counts on from `step`. The clock starts at the first update: compiling says nothing about speed."""
    self.first: tuple[int, float] | None = None
    self.shown = self.latest = (step, time.monotonic())
    self.values: Mapping[str, float] = {}

  def update(self, step: int, images: int, values: Mapping[str, float]) -> None:  # noqa: ARG002
    """After every call of the step; shows something only now and then."""
    if self.silent:
      return
    now = time.monotonic()
    self.latest, self.values = (step, now), values
    if self.first is None:
      self.first = self.shown = self.latest
    elif now - self.shown[1] >= (EVERY if self.bar is None else REFRESH):
      self.show()

  def show(self) -> None:
    """Shows where it is now."""
    step, now = self.latest
    if self.bar is None:
      print(f'step {step}/{self.total} ({step / max(self.total, 1):.0%}): {self.told()}', file=sys.stderr, flush=True)
    else:
      self.bar.n = step
      self.bar.set_postfix_str(self.told(), refresh=False)
      self.bar.refresh()
    self.shown = (step, now)

  def told(self) -> str:
    """Speed, time left and the values that one watches."""
    parts = []
    step, now = self.latest
    if self.first is not None and now > self.first[1] and step > self.first[0]:
      rate = (step - self.first[0]) / (now - self.first[1])
      parts.append(
        f'{short(rate)} steps/s, {short(rate * self.batch_size)} images/s, {duration((self.total - step) / rate)} left'
      )
    parts += [
      f'{name.removesuffix("/loss")} {np.nanmean(value):.3f}'
      for name, value in self.values.items()
      if name.endswith('/loss')
    ]
    names = {'d/real_prob': 'D(x)', 'd/fake_prob': 'D(G(z))'}
    parts += [f'{shown} {np.nanmean(self.values[name]):.2f}' for name, shown in names.items() if name in self.values]
    return ', '.join(parts)

  def say(self, message: str) -> None:
    """A line that doesn't break the bar."""
    if self.bar is not None:
      self.bar.write(message, file=sys.stderr)
    elif not self.silent:
      print(message, file=sys.stderr, flush=True)

  def close(self) -> None:
    """Shows the last state."""
    if self.first is not None and self.shown[0] != self.latest[0]:
      self.show()
    if self.bar is not None:
      self.bar.close()


@contextmanager
def counting(what: str, total: int, shown: bool) -> Iterator[Callable[[int], Any]]:
  """A function to be told of each part of `total` that is done: a bar, if it is to be shown and there is a terminal."""
  if not shown or not sys.stderr.isatty():
    yield lambda count: None  # noqa: ARG005
    return
  from tqdm.auto import tqdm

  with tqdm(total=total, desc=what, dynamic_ncols=True, file=sys.stderr, leave=False) as bar:
    yield bar.update


def short(number: float) -> str:
  """Three digits, without exponents: '0.271', '34.5', '24,600'."""
  return f'{number:.3g}' if number < 100 else f'{float(f"{number:.3g}"):,.0f}'


def duration(seconds: float) -> str:
  """'3 h 05 min', '2 min 07 s', '41 s'."""
  minutes, rest = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  if hours:
    return f'{hours} h {minutes:02d} min'
  return f'{minutes} min {rest:02d} s' if minutes else f'{rest} s'
