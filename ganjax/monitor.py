"""What is going wrong with a training, in plain words."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

Values = Mapping[str, float]  # metrics by name, 'd/loss'
NOT_LOG_ODDS = ('wasserstein', 'lsgan')  # losses whose D outputs are of any size
RECENT = 5  # records that must agree before anything is said


class Bad(NamedTuple):
  """The first value that wasn't finite."""

  step: int
  player: str  # '' for a metric of no player's
  term: str  # without the player: 'r1', 'loss', 'grad_norm'
  value: float


def first_bad(metrics: Iterable[tuple[int, Values]], players: Sequence[str]) -> Bad | None:
  """The first metric that isn't finite, or None.

  Within a step, the first of `players` (in the order of their turns) is to blame; within a player, a term
  or part of its loss before a probability, that before the whole loss, its gradient and its parameters.
  """
  for step, values in metrics:
    found = [name for name, value in values.items() if not math.isfinite(value)]
    if found:
      name = min(found, key=lambda name: blame(name, players))
      player, _, term = name.rpartition('/')
      return Bad(step, player, term, float(values[name]))
  return None


def blame(name: str, players: Sequence[str]) -> tuple[int, int]:
  """Where a metric stands in the order in which a step computes them."""
  player, _, term = name.rpartition('/')
  late = {'loss': 2, 'grad_norm': 3, 'norm': 4}
  turn = players.index(player) if player in players else len(players)
  return turn, late.get(term, 1 if term.endswith('_prob') else 0)


def warnings(history: Sequence[Values], *, probabilities: bool = True) -> list[str]:
  """What the records of a training, oldest first, give reason to say; empty while all looks well.

  probabilities: whether D's outputs are log-odds; a Wasserstein critic's are not, and may be of any size.
  """
  if len(history) < RECENT:
    return []
  recent = history[-RECENT:]
  found = judged(recent) if probabilities else []
  for name in recent[-1]:
    player, _, term = name.rpartition('/')
    values = series(recent, name)
    if len(values) < RECENT:
      continue
    if term == 'loss' and max(values) == min(values):
      found.append(
        f"{player}'s loss has been exactly {values[0]:.6g} for {RECENT} records: nothing is learnt. "
        f'Is optimizer.{player}.learning_rate zero, or the loss saturated?'
      )
    if term == 'grad_norm':
      found += gradient(player, series(history, name))
  return found


def judged(recent: Sequence[Values]) -> list[str]:
  """What D's probabilities tell."""
  real, fake = series(recent, 'd/real_prob'), series(recent, 'd/fake_prob')
  if len(real) < RECENT or len(fake) < RECENT:
    return []
  now = f'D(x) {real[-1]:.3f}, D(G(z)) {fake[-1]:.3f}'
  if min(real) > 0.99 and max(fake) < 0.01:
    return [
      f'D has won ({now}): G gets little to learn from. Regularise D (terms.d.r1, gradient_penalty, spectral '
      "norm), lower D's learning rate or n_critic, or augment its images if the data set is small."
    ]
  if max(r - f for r, f in zip(real, fake, strict=True)) < -0.05:
    return [
      f"D is worse than chance ({now}): its learning rate may be too high, or G's so high that D can't follow. "
      "Lower G's, or give D more plays (n_critic)."
    ]
  return []


def gradient(player: str, norms: Sequence[float]) -> list[str]:
  """Of all records with this norm: whether it explodes or has vanished."""
  recent, usual = norms[-RECENT:], statistics.median(norms)
  if max(recent) < 1e-7:
    return [
      f"{player}'s gradient has vanished (norm {recent[-1]:.1e}): it no longer learns. A loss that doesn't saturate "
      '(non_saturating, hinge), a weaker opponent or a smaller initialisation may help.'
    ]
  if len(norms) > 2 * RECENT and min(recent[-2:]) > 100 * usual:
    return [
      f"{player}'s gradient explodes (norm {recent[-1]:.1e}, usually {usual:.1e}): lower optimizer.{player}."
      'learning_rate, clip gradients, or strengthen the penalty on D.'
    ]
  return []


def series(history: Iterable[Values], name: str) -> list[float]:
  """The values of one metric, where it was recorded."""
  return [values[name] for values in history if name in values]
