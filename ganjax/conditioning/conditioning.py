"""What a conditioning is, and what it looks at. Its losses are means over the batch of all devices, in float32."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from ganjax.errors import ConfigError
from ganjax.types import Array, Metrics


class View(NamedTuple):
  """What D said of one batch: the whole batch, of all devices."""

  logits: Array  # [B]
  heads: dict[str, Array]  # name -> [B, outputs]; 'features' [B, F]; 'proxy' [B, dimension], the label's own vector
  label: Array | None  # int32 [B]


class Conditioning(NamedTuple):
  """How labels enter the game, beside what G's own layers make of them.

  `heads(classes)` are linear layers that D's features get besides the logit: name -> outputs. `d(real, fake)` and
  `g(fake)` are what is added to the loss that D and G descend, with metrics.
  """

  inside: Literal['none', 'concat', 'projection']  # how D's logit itself sees the label
  heads: Callable[[int], dict[str, int]]
  proxies: int  # length of a vector that each class has of its own, 'proxy'; 0: none
  d: Callable[[View, View], tuple[Array, Metrics]]
  g: Callable[[View], tuple[Array, Metrics]]
  alone: bool = False  # d and g stand in for the adversarial pair


def label_of(view: View) -> Array:
  """The labels, int32 [B]. Raises ConfigError without any."""
  if view.label is None:
    raise ConfigError('data.name', 'data without labels', 'data with labels, or conditioning.name none')
  return view.label


def picked(x: Array, label: Array) -> Array:
  """The entry of x [B, K] at each row's label [B], float32 [B]."""
  return jnp.take_along_axis(x.astype(jnp.float32), label[:, None], 1)[:, 0]


def cross_entropy(x: Array, label: Array) -> Array:
  """-E log softmax(x)[label] of x [B, K] and label [B], []."""
  return (jax.nn.logsumexp(x.astype(jnp.float32), axis=1) - picked(x, label)).mean()


def accuracy(x: Array, label: Array) -> Array:
  """The share of rows of x [B, K] whose largest entry is at their label [B], []."""
  return (x.argmax(1) == label).astype(jnp.float32).mean()
