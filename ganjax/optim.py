"""Optimisers and schedules from config, as optax transformations whose numbers may be traced.

Numbers (`Number` keywords) come from `state.hyper` under `<player>_<field>`, so that populations can
map over them and phases can replace them; the rest is structure.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ganjax.types import Array, Game, Hyper, Number, Rules

__all__ = ['adam', 'rmsprop', 'sgd']


def adam(*, learning_rate: Number = 2e-4, b1: Number = 0.5, b2: Number = 0.999, eps: float = 1e-8, eps_root: float = 0.0,
         weight_decay: float = 0.0, clip_norm: float = 0.0, clip_value: float = 0.0, weight_clip: float = 0.0,
         freeze: Sequence[str] = ()) -> optax.GradientTransformation:  # fmt: skip
  """Adam (Kingma & Ba 2015), bias-corrected, eps outside the root; `weight_decay` (L2) adds to the gradient.

  `eps_root`, inside it, is for games that differentiate through a move: the root has no derivative at 0.
  """
  inner = optax.adam(learning_rate, b1=b1, b2=b2, eps=eps, eps_root=eps_root)  # type: ignore[arg-type]
  decayed = optax.chain(optax.add_decayed_weights(weight_decay), inner) if weight_decay else inner
  return chain(decayed, clip_norm, clip_value, weight_clip, freeze)


def rmsprop(*, learning_rate: Number = 5e-5, decay: Number = 0.99, eps: float = 1e-8, clip_norm: float = 0.0,
            clip_value: float = 0.0, weight_clip: float = 0.0, freeze: Sequence[str] = ()) -> optax.GradientTransformation:  # fmt: skip
  """RMSProp (Tieleman & Hinton 2012), eps outside the root: WGAN with weight clipping uses it."""
  inner = optax.rmsprop(learning_rate, decay=decay, eps=eps, eps_in_sqrt=False)  # type: ignore[arg-type]
  return chain(inner, clip_norm, clip_value, weight_clip, freeze)


def sgd(*, learning_rate: Number = 1e-2, momentum: Number = 0.0, clip_norm: float = 0.0, clip_value: float = 0.0,
        weight_clip: float = 0.0, freeze: Sequence[str] = ()) -> optax.GradientTransformation:  # fmt: skip
  """Gradient descent with heavy-ball momentum."""
  return chain(optax.sgd(learning_rate, momentum=momentum), clip_norm, clip_value, weight_clip, freeze)  # type: ignore[arg-type]


def chain(inner: optax.GradientTransformation, clip_norm: float, clip_value: float, weight_clip: float,
          freeze: Sequence[str]) -> optax.GradientTransformation:  # fmt: skip
  """`inner` between clipping of the gradients (by global norm, by value) and of the weights; 0 leaves one out.

  Modules named in `freeze` take no part: neither in a norm nor in the state.
  """
  before = [optax.clip_by_global_norm(clip_norm)] * bool(clip_norm) + [optax.clip(clip_value)] * bool(clip_value)
  whole = optax.chain(*before, inner, *[clip_weights(weight_clip)] * bool(weight_clip))
  if not freeze:
    return whole
  return optax.partition({False: whole, True: optax.set_to_zero()}, partial(frozen, freeze))


def frozen(names: Sequence[str], params: Any) -> Any:
  """Which leaves of a player's parameters lie in one of the modules 'a' or 'a.b' (FreezeD, Mo et al. 2020)."""

  def inside(path: Any, leaf: Any) -> bool:
    at = jax.tree_util.keystr(path, simple=True, separator='.')
    return any(f'{at}.'.startswith(f'{name}.') for name in names)

  return jax.tree_util.tree_map_with_path(inside, params)


def clip_weights(bound: float) -> optax.GradientTransformation:
  """Projects the parameters on [-bound, bound] (Arjovsky et al. 2017, algorithm 1); last in a chain."""

  def project(updates: Any, params: Any) -> Any:
    return jax.tree.map(lambda u, p: jnp.clip(p + u, -bound, bound) - p, updates, params)

  return optax.stateless(project)


def lazy_correction(game: Game) -> dict[str, float]:
  """I / (I + 1) for a player that also moves on a lazy turn every I steps (Karras et al. 2020, appendix B).

  Its Adam moves 1 + 1/I times a step: rate times this, and betas to the power of this, keep its pace.
  """
  lazy = [(player, turn.every) for turn in game.turns if turn.every > 1 for player in turn.players]
  return {player: 1 / (1 + sum(1 / every for p, every in lazy if p == player)) for player, _ in lazy}


def linear(start: Array, progress: Array, *, end: float = 0.0) -> Array:
  """From the field's own value to `end` in a straight line."""
  return start + (end - start) * progress


def cosine(start: Array, progress: Array, *, end: float = 0.0) -> Array:
  """From the field's own value to `end` along half a cosine (Loshchilov & Hutter 2017)."""
  return end + (start - end) * 0.5 * (1 + jnp.cos(jnp.pi * progress))


def exponential(start: Array, progress: Array, *, end: float) -> Array:
  """From the field's own value to `end`, both above 0, by the same factor in equal times."""
  return start * (end / start) ** progress


def warmup(start: Array, progress: Array, *, begin: float = 0.0) -> Array:
  """From `begin` up to the field's own value in a straight line (Goyal et al. 2017, section 2.2)."""
  return begin + (start - begin) * progress


SCHEDULES: Mapping[str, Callable[..., Array]] = {
  'linear': linear, 'cosine': cosine, 'exponential': exponential, 'warmup': warmup,
}  # fmt: skip


def make_rules(game: Game, optimizer: Mapping[str, Callable[[Hyper], optax.GradientTransformation]],
               schedule: Mapping[str, Mapping[str, Any]], averages: Mapping[str, Callable[[Array, Array], Array]],
               micro: int, averaged: Sequence[str] = ('g',)) -> Rules:  # fmt: skip
  """The rules of a training.

  `optimizer[player]` makes its chain from that player's own numbers (`learning_rate`, `b1`, ...);
  `schedule[hyper name]` has `name` (of SCHEDULES), `start_kimg`, `over_kimg` and that function's own fields.
  """
  correction = lazy_correction(game)

  def optimizers(hyper: Hyper) -> dict[str, optax.GradientTransformation]:
    return {
      player: build(own_numbers(hyper, player, correction.get(player, 1.0))) for player, build in optimizer.items()
    }

  def scheduled(hyper: Hyper, images: Array) -> Hyper:
    changed = {}
    for field, plan in schedule.items():
      # Only where a population's members differ in them are a schedule's numbers part of the state.
      own = {part: hyper.get(f'{field}_{part}', value) for part, value in plan.items()}
      shape, first, over = SCHEDULES[own.pop('name')], own.pop('start_kimg') * 1000, own.pop('over_kimg') * 1000
      changed[field] = shape(hyper[field], jnp.clip((images - first) / over, 0, 1), **own)
    return {**hyper, **changed}

  return Rules(optimizers=optimizers, averages=averages, averaged=tuple(averaged), schedule=scheduled, micro=micro)


def own_numbers(hyper: Hyper, player: str, correction: float) -> Hyper:
  """A player's numbers by field, corrected for its lazy turns."""
  numbers = {name.removeprefix(f'{player}_'): value for name, value in hyper.items() if name.startswith(f'{player}_')}
  if correction != 1.0:
    corrected = {name: numbers[name] ** correction for name in ('b1', 'b2', 'decay') if name in numbers}
    numbers |= corrected | {'learning_rate': numbers['learning_rate'] * correction}
  return numbers
