"""The vocabulary: a GAN is a game, and these are its parts. Nothing here computes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import optax

Array = jax.Array
Key = jax.Array  # a typed PRNG key
Scalar = jax.Array  # float32 []
Number = float | jax.Array  # a keyword so annotated is a hyperparameter: it lives in `state.hyper`
Params = dict[str, Any]  # player -> parameter tree
Extras = dict[str, Any]  # player -> its other collections; or a name of the game's own -> arrays
Batch = dict[str, Array]
Metrics = dict[str, Array]  # 'd/loss' -> []
Hyper = dict[str, Array]  # float32 scalars


class Scene(NamedTuple):
  """All that a loss may look at."""

  params: Params  # every player's parameters
  extras: Extras  # batch statistics, spectral vectors, ADA p, image pool, ...
  opt: dict[str, Any]  # optimiser states by player, read only (an unrolled game looks at them)
  batch: Batch  # this play's batch: image [B, H, W, C] or voxel [B, D, H, W, C] in [-1, 1], label [B], ...
  rows: Array  # int32 [B], row numbers in the global batch
  key: Key  # the same on every device
  step: Array  # int32 [], steps taken
  images: Array  # int32 [], images shown
  hyper: Hyper  # after the schedules
  axis: str | None  # the pmap axis, or None under jit
  move: 'Callable[[Turn, Scene], tuple[Scene, Metrics]]'  # the step's own move, differentiable


Loss = Callable[[Scene], tuple[Scalar, tuple[Extras, Metrics]]]  # aux: the extras it advanced, metrics


class Turn(NamedTuple):
  """Who moves, on which loss, how often."""

  players: tuple[str, ...]  # differentiated together
  loss: str  # key into Game.losses
  times: int = 1  # plays in a row
  every: int = 1  # lazy turns: only at steps that `every` divides
  when: Callable[[Extras, Metrics], Array] | None = None  # False: hold parameters and optimiser state
  fresh: bool = True  # False: play on the batch of the play before


@dataclass(frozen=True)
class Game:
  """Players, what each loses, how to sample, whose turn it is."""

  init: Callable[[Key, Batch], tuple[Params, Extras]]
  losses: Mapping[str, Loss]
  prior: Callable[[Key, int, Batch | None], Batch]  # what sampling needs: latents, labels, sources
  generate: Callable[[Params, Extras, Batch], Batch]  # from a chosen prior, in evaluation mode
  turns: tuple[Turn, ...]
  score: Callable[[Params, Extras, Batch], Array] | None = None  # -> logits [B]
  advance: Callable[[Params, Extras, Batch], Extras] | None = None  # the extras after `generate` in training mode
  # Of a game that encodes: an example of each batch again, 'rebuilt', from its 'latent'. With keys [B] the latents are
  # draws of the posterior, and where there is a likelihood 'log_weight' [B] is log p(x, z) - log q(z | x) in nats: its
  # mean over draws is the ELBO, and log-mean-exp over k of them the bound of Burda et al. 2016 (arXiv:1509.00519).
  reconstruct: Callable[[Params, Extras, Batch, Key | None], Batch] | None = None
  # Of a game that samples from sources: (number, seed) -> examples of the data, the batch that `prior` is given.
  examples: Callable[[int, int], dict[str, Any]] | None = None
  # Reads what training needs beside the data, such as a frozen network. Raises ConfigError naming the field.
  ready: Callable[[], Any] | None = None


@dataclass(frozen=True)
class Rules:
  """How a game is trained."""

  optimizers: Callable[[Hyper], Mapping[str, optax.GradientTransformation]]
  averages: Mapping[str, Callable[[Array, Array], Array]]  # EMA name -> decay(images before, after)
  averaged: tuple[str, ...] = ('g',)
  schedule: Callable[[Hyper, Array], Hyper] = lambda hyper, images: hyper  # noqa: ARG005, the rates at `images`
  micro: int = 1  # microbatches per play


class Adversarial(NamedTuple):
  """A loss for each side: (real [B, ...], fake [B, ...]) logits -> per-example, same shape."""

  d: Callable[[Array, Array], Array]
  g: Callable[[Array, Array], Array]
  g_needs_real: bool = False
  parts: Callable[[Array, Array], tuple[Array, Array]] | None = None  # d's share of reals and of fakes


class Play(NamedTuple):
  """What one evaluation of an adversarial loss has at hand; terms look at it. With packing, an example is a pack.

  `inspect(image [B, ...], label) -> (logits [B], heads)` and `generator(latent [B, Z], label) -> image` are the
  players as they stand in this loss: differentiable in the mover's parameters, leaving the extras alone. `heads` is a
  dict: what each further head of D says [B, outputs], its 'features' [B, F] and the label's 'proxy' [B, dim]; empty
  where the config asks for none.
  """

  real: Array  # [B, ...]
  label: Array | None  # int32 [B], of the reals
  fake: Array  # [B, ...]
  fake_label: Array | None
  latent: Array  # [B, Z]
  inspect: Callable[[Array, Array | None], tuple[Array, dict[str, Array]]]
  generator: Callable[[Array, Array | None], Array]
  halves: Any = None  # (scene, latent, label) -> styles [B, L, F], and the function from styles to images
  latent_cost: Array | float = 0.0  # [], of a latent optimisation, for G's loss
  real_logits: Any = None  # Array [B], of this loss's own look at the reals; None where it takes none
  real_heads: Any = None  # dict[str, Array]
  fake_logits: Any = None
  fake_heads: Any = None

  def critic(self, image: Array, label: Array | None) -> Array:
    """D's logits [B] of images [B, ...]."""
    return self.inspect(image, label)[0]


# (scene, play, *, its numbers) -> value [] added to a player's loss, metrics; one that keeps a state between steps
# takes it as `state`, a dict of arrays in the extras, and returns the next as a third value.
Term = Callable[..., tuple[Array, Metrics] | tuple[Array, Metrics, dict[str, Array]]]
