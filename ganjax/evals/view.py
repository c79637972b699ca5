"""What a measure looks at, and what it says of itself: the vocabulary of `measures`."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ganjax.evals.stream import Seen

Latents = np.ndarray  # [B, Z], or styles [B, L, W]


class Walk(NamedTuple):
  """A generator to walk through, not only its samples. Labels stay with a row's place in its batch."""

  latents: Latents  # [N, Z], independent draws from the prior
  size: int  # of a batch
  see: Callable[[Latents], Any]  # latents [B, Z] -> features [B, D]
  make: Callable[[Latents], Any]  # latents [B, Z] -> images [B, H, W, C] in [-1, 1]
  styles: Callable[[Latents], Any] | None = None  # latents [B, Z] -> styles [B, L, W], of a style-based generator
  make_of_styles: Callable[[Latents], Any] | None = None


class Rebuilt(NamedTuple):
  """Held-out examples (all, where none are held out) through a game that encodes them."""

  psnr: np.ndarray  # [N], in dB
  weights: np.ndarray | None  # log-weights in nats [N, BOUND['draws']], of a game with a likelihood
  dimensions: int  # numbers in an example


class View(NamedTuple):
  """What a measure looks at."""

  real: Seen
  fake: Seen
  train: int  # so many of the real rows are what was trained on; those behind them were held out
  facts: Mapping[str, Any]  # of the data, such as a mixture's centres
  walk: Walk | None = None  # where a measure asks for it
  distance: Callable[[Any, Any], Any] | None = None  # LPIPS of images [B, H, W, C] in [-1, 1] -> [B], likewise
  rebuilt: Rebuilt | None = None  # likewise


class Measure(NamedTuple):
  """`compute(view)` gives numbers by name."""

  compute: Callable[[View], dict[str, float]]
  moments: tuple[str, ...] = ()
  rows: tuple[str, ...] = ()  # outputs of the network, or 'image', 'label', 'row'
  least: int = 2  # samples, and real examples
  options: Mapping[str, Any] = {}
  resamples: bool = True  # quick enough to be bootstrapped
  walks: bool = False  # reads `View.walk`
  styles: bool = False  # reads the styles in it
  distance: bool = False  # reads `View.distance`
  rebuilds: bool = False  # reads `View.rebuilt`
  bounds: bool = False  # reads the log-weights in it
  network: str = ''  # the only feature network that it is defined for
  alone: bool = False  # reads samples and what they come with; real data aren't looked at
