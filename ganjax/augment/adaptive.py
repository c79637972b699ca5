"""A strength p that follows how much D overfits (Karras et al. 2020, section 3.1; Jiang et al. 2021, section 3.3).

p rises while a statistic of D's logits, about 0 when D can't tell and 1 when it has learnt its images by heart, lies
above a target. The state is arrays: 'p', 'signs' and 'count' (the statistic's batch means since the last change,
summed, and their number), 'images' (shown at the last change).
"""

from typing import Literal, NamedTuple

import jax.numpy as jnp

from ganjax.ops import across
from ganjax.types import Array, Number, Scene

State = dict[str, Array]
Heuristic = Literal['real', 'fake', 'both']


class Adaptive(NamedTuple):
  """How p changes. `interval` 0: it stays."""

  p: float = 0.0  # at the start
  target: Number = 0.6
  kimg: Number = 500.0  # thousands of images in which p goes from 0 to 1
  interval: int = 4  # steps between changes
  heuristic: Heuristic = 'real'
  growth_kimg: float = 0.0  # above 0: p rises from 0 to `p` along half a cosine for so long, whatever D says


def initial(rule: Adaptive) -> State:
  """The state at step 0."""
  p = 0.0 if rule.growth_kimg else rule.p
  return {'p': jnp.float32(p), 'signs': jnp.float32(0), 'count': jnp.float32(0), 'images': jnp.int32(0)}


def update_p(p: Array, signs_mean: Array, images: Array | int, *, target: Number = 0.6, kimg: Number = 500.0) -> Array:
  """p after `images` more images: up if `signs_mean` is above the target, down if below, never below 0; no upper end."""
  return jnp.maximum(p + jnp.sign(signs_mean - target) * images / (kimg * 1000), 0)


def statistic(real: Array, fake: Array, heuristic: Heuristic) -> Array:
  """Per example: r_t = sign(D(x)), -sign(D(G(z))), or half the sum of both; sign(0) is 0."""
  up, down = jnp.sign(real), -jnp.sign(fake)
  return {'real': up, 'fake': down, 'both': (up + down) / 2}[heuristic]


def current(rule: Adaptive, scene: Scene) -> State:
  """The state in force in this step: changed once where one is due, at whatever place of the step it is asked for.

  So p is the same for all players, plays and microbatches of a step, and a change needs no turn of its own.
  """
  state = scene.extras['augment']
  if rule.growth_kimg:
    share = jnp.clip(scene.images / (rule.growth_kimg * 1000), 0, 1)
    return state | {'p': rule.p * 0.5 * (1 - jnp.cos(jnp.pi * share))}
  if not rule.interval:
    return state
  due = (scene.step % rule.interval == 0) & (state['count'] > 0) & (scene.images > state['images'])
  mean = state['signs'] / jnp.maximum(state['count'], 1)
  moved = update_p(state['p'], mean, scene.images - state['images'], target=rule.target, kimg=rule.kimg)
  new = {'p': moved, 'signs': jnp.float32(0), 'count': jnp.float32(0), 'images': scene.images}
  return {name: jnp.where(due, new[name], state[name]) for name in state}


def observe(rule: Adaptive, scene: Scene, real: Array, fake: Array) -> State:
  """The state after D's turn has judged reals and fakes: logits of any shape."""
  state = current(rule, scene)
  mean = across.mean(statistic(real, fake, rule.heuristic).mean(), scene.axis)
  return state | {'signs': state['signs'] + mean, 'count': state['count'] + 1}
