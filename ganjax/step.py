"""One step of any game: the only gradient over players, and the only averaging across devices."""

from collections.abc import Callable, Collection
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ganjax.ops import across
from ganjax.state import TrainState
from ganjax.types import Array, Batch, Game, Metrics, Rules, Scene, Turn

Step = Callable[[TrainState, Batch], tuple[TrainState, Metrics]]


def make_step(game: Game, rules: Rules, *, due: Collection[int] | None = None, axis: str | None = None) -> Step:
  """A pure `step(state, batch) -> (state, metrics)`.

  `batch` leaves are [plays, B, ...], one slot for each play on fresh data. `due` are the indices
  of the turns played (all, if None): they are chosen outside, so a lazy turn costs no branch.
  Metrics are scalars, the mean over a turn's plays; `<player>/grad_norm`, `<player>/norm`
  (of its parameters after the move) and `<player>/moved` (with `Turn.when`) come from here, the others from the losses.
  """
  turns = [(i, turn) for i, turn in enumerate(game.turns) if due is None or i in due]

  def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
    hyper = rules.schedule(state.hyper, state.images)
    optimizers = rules.optimizers(hyper)
    size = jax.tree.leaves(batch)[0].shape[1]
    key = jax.random.fold_in(state.key, state.step)

    def move(turn: Turn, scene: Scene) -> tuple[Scene, Metrics]:
      grads, extras, metrics = differentiate(game, turn, scene, rules.micro)
      grads, extras, metrics = average((grads, extras, metrics), axis)
      go = None if turn.when is None else turn.when(extras, metrics)
      params, opt = dict(scene.params), dict(scene.opt)
      for player in turn.players:
        updates, moved = optimizers[player].update(grads[player], opt[player], params[player])
        applied = optax.apply_updates(params[player], updates)
        params[player] = keep_unless(go, applied, params[player])
        opt[player] = keep_unless(go, moved, opt[player])
        kind = 'grad_norm' if turn.every == 1 else 'lazy_grad_norm'
        metrics[f'{player}/{kind}'] = optax.global_norm(grads[player])
        metrics[f'{player}/norm'] = optax.global_norm(params[player])
        if go is not None:
          metrics[f'{player}/moved'] = go.astype(jnp.float32)
      return scene._replace(params=params, opt=opt, extras=extras), metrics

    scene = Scene(
      params=state.params, extras=state.extras, opt=state.opt, batch={}, rows=across.rows(size, axis),
      key=key, step=state.step, images=state.images, hyper=hyper, axis=axis, move=move,
    )  # fmt: skip
    metrics: Metrics = {}
    slot = -1 if turns[0][1].fresh else 0
    for index, turn in turns:
      plays = []
      for play in range(turn.times):
        slot += turn.fresh
        current = jax.tree.map(lambda x, i=slot: x[i], batch)
        folded = jax.random.fold_in(jax.random.fold_in(key, index), play)
        scene, seen = move(turn, scene._replace(batch=current, key=folded))
        plays.append(seen)
      metrics |= jax.tree.map(lambda *x: sum(x) / len(x), *plays)

    images = state.images + size * (1 if axis is None else jax.lax.axis_size(axis))
    ema = {
      name: {p: optax.incremental_update(scene.params[p], state.ema[name][p], 1 - decay(state.images, images))
             for p in rules.averaged}
      for name, decay in rules.averages.items()
    }  # fmt: skip
    state = state.replace(
      step=state.step + 1, images=images, params=scene.params, extras=scene.extras, opt=scene.opt, ema=ema
    )
    return state, metrics

  return step


def differentiate(game: Game, turn: Turn, scene: Scene, micro: int) -> tuple[Any, Any, Metrics]:
  """Gradients by player, advanced extras and metrics of one move, over `micro` strided microbatches."""

  def objective(own: Any, scene: Scene) -> tuple[Array, Any]:
    loss, (extras, metrics) = game.losses[turn.loss](scene._replace(params={**scene.params, **own}))
    return loss, ({**scene.extras, **extras}, metrics)

  own = {player: scene.params[player] for player in turn.players}
  grads, seen = [], []
  for i in range(micro):
    # Strided: contiguous rows would change with the number of devices.
    part = scene._replace(batch=jax.tree.map(lambda x, i=i: x[i::micro], scene.batch), rows=scene.rows[i::micro])
    found, (extras, metrics) = jax.grad(objective, has_aux=True)(own, part)
    scene = scene._replace(extras=extras)
    grads.append(found)
    seen.append(metrics)
  if micro == 1:
    return grads[0], scene.extras, dict(seen[0])
  mean = lambda *x: sum(x) / micro  # noqa: E731
  return jax.tree.map(mean, *grads), scene.extras, jax.tree.map(mean, *seen)


def average(tree: Any, axis: str | None) -> Any:
  """Means over devices of the floats; integers and keys are the same everywhere, and left alone."""
  floating = lambda x: jnp.issubdtype(x.dtype, jnp.floating)  # noqa: E731
  return jax.tree.map(lambda x: across.mean(x, axis) if floating(x) else x, tree)


def keep_unless(go: Array | None, new: Any, old: Any) -> Any:
  """`new` where `go` holds, else `old`."""
  return new if go is None else jax.tree.map(lambda n, o: jnp.where(go, n, o), new, old)
