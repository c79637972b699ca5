"""Balance: rules that hold a player for a while, for any game.

A rule is `(owner, movers, *, numbers) -> when, or None`: `balance.<owner>` of the config names it, and it says whether
a turn of the players `movers` moves them, as `Turn.when` asks it; None if it has no say in that. Rules look at nothing
but `extras['balance']`, what the losses last saw. That goes on while a player is held, or it would be held for ever.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from ganjax.types import Array, Batch, Extras, Game, Key, Loss, Metrics, Params, Scalar, Scene, Turn

__all__ = ['accuracy_below', 'loss_above', 'warmup']

When = Callable[[Extras, Metrics], Array]
Rule = Callable[[str, Sequence[str]], When | None]


def accuracy_below(owner: str, movers: Sequence[str], *, bound: float = 0.8) -> When | None:
  """Holds the player while D is right about more than this share of its last batch (Wu et al. 2016, for D).

  The 80 % rule of 3D-GAN, arXiv:1610.07584, section 3.2: D then has nothing to learn that would help G. Logits above
  0 count as taken for real, so the loss must be one in which they are log-odds or margins.
  """
  if owner not in movers:
    return None
  return lambda extras, _: extras['balance']['accuracy'] <= bound


def loss_above(owner: str, movers: Sequence[str], *, ratio: float = 0.5) -> When | None:
  """Holds the player while its loss is below `ratio` times the other player's: the stronger one waits.

  Both as last seen, terms included: for losses that are never negative.
  """
  if owner not in movers:
    return None

  def when(extras: Extras, metrics: Metrics) -> Array:
    losses = extras['balance']['loss']
    others = [loss for player, loss in losses.items() if player != owner]
    return losses[owner] >= ratio * sum(others) / len(others)

  return when


def warmup(owner: str, movers: Sequence[str], *, kimg: float = 5.0) -> When | None:
  """The player moves alone until so many thousands of images are shown: the others are held."""
  if owner in movers:
    return None
  return lambda extras, _: extras['balance']['images'] >= kimg * 1000


def together(rules: Iterable[When | None]) -> When | None:
  """A turn that all of the rules must allow; None where none has a say."""
  active = [rule for rule in rules if rule is not None]
  if not active:
    return None
  return lambda extras, metrics: jnp.stack([rule(extras, metrics) for rule in active]).all()


def balanced(game: Game, rules: Mapping[str, Rule]) -> Game:
  """The game under rules by owner, each `(owner, movers) -> when or None`, its numbers filled in."""
  players = tuple(dict.fromkeys(player for turn in game.turns for player in turn.players))

  def init(key: Key, batch: Batch) -> tuple[Params, Extras]:
    params, extras = game.init(key, batch)
    return params, extras | {'balance': initial(players)}

  def watched(loss: Loss) -> Loss:
    def value(scene: Scene) -> tuple[Scalar, tuple[Extras, Metrics]]:
      found, (extras, metrics) = loss(scene)
      return found, (extras | {'balance': observe(scene, metrics)}, metrics)

    return value

  def held(turn: Turn) -> Turn:
    return turn._replace(when=together([turn.when, *(rule(owner, turn.players) for owner, rule in rules.items())]))

  losses = {name: watched(loss) for name, loss in game.losses.items()}
  return replace(game, init=init, losses=losses, turns=tuple(map(held, game.turns)))


def initial(players: Sequence[str]) -> dict[str, Any]:
  """What rules look at, at step 0."""
  zero = lambda: jnp.zeros((), jnp.float32)  # noqa: E731, a buffer each: the state is donated
  state = {'loss': {player: zero() for player in players}, 'accuracy': zero(), 'images': jnp.zeros((), jnp.int32)}
  return state | {'play': jnp.zeros((), jnp.uint32), 'parts': jnp.zeros((), jnp.int32)}


def observe(scene: Scene, metrics: Metrics) -> dict[str, Any]:
  """What rules look at after a loss with these metrics: losses and D's accuracy where they tell them, images shown.

  Values are means over the microbatches of a play.
  """
  state = scene.extras['balance']
  play = jax.random.bits(scene.key)  # microbatches of a play share its key
  parts = jnp.where(play == state['play'], state['parts'] + 1, 1)

  def mean(old: Array, name: str) -> Array:
    if name not in metrics:
      return old
    return jnp.where(parts > 1, old + (metrics[name] - old) / parts, metrics[name])

  loss = {player: mean(old, f'{player}/loss') for player, old in state['loss'].items()}
  accuracy = mean(state['accuracy'], 'd/accuracy')
  return {'loss': loss, 'accuracy': accuracy, 'images': scene.images, 'play': play, 'parts': parts}
