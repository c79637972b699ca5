"""Drawing with another player's help: which latents, when D can tell G's samples from data, or e encodes data.

Where D's logit is log p_data(x) / p_G(x) up to a constant, as at the best D of `minimax`, `non_saturating` and
`relativistic`, it can mend what G still does wrong. A way to do so is a function `(params, extras, key, prior) ->
prior` of what `Game.prior` drew, [N, ...] leaves: `Game.generate` then makes the samples. What was asked for besides
the latent (labels, sources) stays. Each sample depends on the key and on its own number in `prior` alone.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ganjax.errors import ConfigError, unknown
from ganjax.schema import keywords
from ganjax.types import Array, Batch, Extras, Game, Key, Params

__all__ = ['encoded', 'langevin', 'rejection']

Drawn = Mapping[str, Any]  # what `Game.prior` gives, as JAX or NumPy arrays [N, ...]
Refine = Callable[[Params, Extras, Key, Drawn], dict[str, np.ndarray]]

KEY = 0x7266  # what a seed's key is folded with to make the key of a way
CHUNK = 256  # samples generated at once
BURN_IN, ACCEPT, NOISE = 0x6269, 0x6163, 0x6E6F  # what the key is folded with; candidates have 1, 2, ...


def named(game: Game, method: str, options: Mapping[str, Any]) -> Refine | None:
  """The way of a name with some of its keywords; None for 'plain'. Raises ConfigError for what it doesn't take."""
  ways: dict[str, Callable[..., Refine | None]] = {
    'plain': lambda _: None,
    'rejection': rejection,
    'langevin': langevin,
    'encoded': encoded,
  }
  if method not in ways:
    raise unknown('--method', method, ways)
  for name, value in options.items():
    if name not in keywords(ways[method]):
      raise ConfigError('--' + name.replace('_', '-'), value, f'nothing: --method {method} takes no such thing')
  return ways[method](game, **options)


def rejection(game: Game, *, percentile: float | None = 80.0, burn_in: int = 10_000, rounds: int = 100) -> Refine:
  """Discriminator rejection sampling (Azadi et al. 2019, arXiv:1810.06758, algorithm 1).

  A candidate is kept with probability sigmoid(F - gamma), see `excess`; gamma puts the `percentile` of F at one
  half, and None is gamma = 0: exact if D is, and wasteful. Highest logit and gamma come from `burn_in` samples, for
  all alike, where the paper goes on updating them; D is taken as it is, not calibrated. A sample that has no
  candidate kept after `rounds` takes the one of the highest logit. Raises ConfigError if D can't judge one sample.
  """
  if percentile is not None and not 0 <= percentile <= 100:
    raise ConfigError('--percentile', percentile, 'a number from 0 to 100')
  judge = scorer(game)
  draw = jax.jit(game.prior, static_argnums=1)
  luck = jax.jit(lambda key, count: uniform(key, jnp.arange(count)), static_argnums=1)

  def refine(params: Params, extras: Extras, key: Key, prior: Drawn) -> dict[str, np.ndarray]:
    seen = judge(params, extras, draw(jax.random.fold_in(key, BURN_IN), burn_in, None))
    highest = seen.max()
    gamma = 0.0 if percentile is None else np.percentile(excess(seen, highest), percentile)
    chosen = {name: np.array(x) for name, x in prior.items()}
    count = len(chosen['latent'])
    best, waiting = np.full(count, -np.inf), np.arange(count)
    for n in range(rounds):
      drawn = prior if n == 0 else draw(jax.random.fold_in(key, n), count, prior)
      drawn = {name: np.asarray(x)[waiting] for name, x in drawn.items()}
      logits = judge(params, extras, drawn)
      chance = 1 / (1 + np.exp(gamma - excess(logits, highest)))
      kept = np.asarray(luck(jax.random.fold_in(jax.random.fold_in(key, ACCEPT), n), count))[waiting] < chance
      better = kept | (logits > best[waiting])
      best[waiting[better]] = logits[better]
      for name, x in drawn.items():
        chosen[name][waiting[better]] = x[better]
      waiting = waiting[~kept]
      if not len(waiting):
        break
    return chosen

  return refine


def encoded(game: Game) -> Refine:
  """The latents of examples instead, drawn by the key: samples are these rebuilt, and walks lead from one to the other.

  `game` has examples. Raises ConfigError if it doesn't encode.
  """
  reconstruct, examples = game.reconstruct, game.examples
  if reconstruct is None or examples is None:
    raise ConfigError('--method', 'encoded', 'plain, rejection or langevin: this game does not encode')
  code = jax.jit(lambda params, extras, batch: reconstruct(params, extras, batch, None)['latent'])

  def refine(params: Params, extras: Extras, key: Key, prior: Drawn) -> dict[str, np.ndarray]:
    count = len(prior['latent'])
    given = examples(count, int(jax.random.bits(key)))
    part = lambda rows: code(params, extras, {name: x[rows] for name, x in given.items()})  # noqa: E731
    return {name: np.asarray(x) for name, x in prior.items()} | {'latent': in_chunks(part, count, min(count, CHUNK))}

  return refine


def excess(logits: np.ndarray, highest: float, eps: float = 1e-8) -> np.ndarray:
  """F = D - D_max - log(1 - exp(D - D_max - eps)), [N] (section 3.2): sigmoid(F) is exp(D - D_max), to eps."""
  below = np.minimum(np.asarray(logits, np.float64) - highest, 0)
  return below - np.log(-np.expm1(below - eps))


def langevin(game: Game, *, steps: int = 1000, step_size: float = 0.01) -> Refine:
  """Discriminator-driven latent sampling, DDLS (Che et al. 2020, arXiv:2003.06060, algorithm 1).

  Langevin dynamics z <- z - step_size / 2 grad E(z) + step_size^(1/2) n from the prior's draw, n standard normal,
  on E(z) = -log p(z) - D(G(z)) of a standard normal latent, see `energy`. Its end is distributed as data, were D
  exact, the step small and the steps many; 2 / step_size steps forget the start by a factor of e where D is flat.
  Costs a forward and a backward of G and D for each step.
  """
  if steps < 1:
    raise ConfigError('--steps', steps, 'a number of at least 1')
  if not 0 < step_size <= 1:
    raise ConfigError('--step-size', step_size, 'a number above 0, at most 1')
  slope = jax.grad(lambda latent, params, extras, prior: energy(game, params, extras, prior, latent).sum())
  require_score(game)

  @jax.jit
  def walk(params: Params, extras: Extras, keys: Key, prior: Batch) -> Batch:
    def step(i: Array, latent: Array) -> Array:
      noise = jax.vmap(lambda key: jax.random.normal(jax.random.fold_in(key, i), latent.shape[1:]))(keys)
      return latent - step_size / 2 * slope(latent, params, extras, prior) + step_size**0.5 * noise

    return {**prior, 'latent': jax.lax.fori_loop(0, steps, step, prior['latent'])}

  def refine(params: Params, extras: Extras, key: Key, prior: Drawn) -> dict[str, np.ndarray]:
    rows = np.arange(len(prior['latent']))
    keys = jax.vmap(partial(jax.random.fold_in, jax.random.fold_in(key, NOISE)))(rows)
    part = lambda rows: walk(params, extras, keys[rows], {name: x[rows] for name, x in prior.items()})  # noqa: E731
    return in_chunks(part, len(rows), min(len(rows), CHUNK))

  return refine


def energy(game: Game, params: Params, extras: Extras, prior: Batch, latent: Array) -> Array:
  """E(z) = |z|^2 / 2 - D(G(z)), up to a constant: [N] of latents [N, ...] (section 3.1)."""
  logits = require_score(game)(params, extras, game.generate(params, extras, {**prior, 'latent': latent}))
  return jnp.square(latent).reshape(len(latent), -1).sum(1) / 2 - logits


def scorer(game: Game) -> Callable[[Params, Extras, Drawn], np.ndarray]:
  """D's logits [N] of what G makes of a prior [N, ...]."""
  score = require_score(game)
  one = jax.jit(lambda params, extras, prior: score(params, extras, game.generate(params, extras, prior)))

  def all_of(params: Params, extras: Extras, prior: Drawn) -> np.ndarray:
    part = lambda rows: one(params, extras, {name: x[rows] for name, x in prior.items()})  # noqa: E731
    return in_chunks(part, len(prior['latent']), CHUNK)

  return all_of


def require_score(game: Game) -> Callable[[Params, Extras, Batch], Array]:
  """The game's D. Raises ConfigError if there is none that judges samples one by one."""
  if game.score is None:
    raise ConfigError('--method', 'rejection or langevin', 'none: this game has no D that judges one sample')
  return game.score


def in_chunks(part: Callable[[np.ndarray], Any], count: int, size: int) -> Any:
  """part(rows [size]) over rows 0 .. count - 1, as NumPy arrays [count, ...]; the last part is filled up."""
  done = [jax.device_get(part(np.arange(i, i + size) % count)) for i in range(0, count, size)]
  return jax.tree.map(lambda *x: np.concatenate(x)[:count], *done)


def uniform(key: Key, rows: Array) -> Array:
  """A number from [0, 1) for each row."""
  return jax.vmap(lambda row: jax.random.uniform(jax.random.fold_in(key, row)))(rows)
