"""Populations: several trainings in one program, each with a seed and numbers of its own.

`config.population = {'seeds': (0, 1, 2)}` or `{'d_learning_rate': (1e-4, 2e-4), 'd_r1_gamma': (0.1, 1.0)}`: lists by the
names of `state.hyper`, or of a schedule's numbers (`d_learning_rate_end`). Lists are taken side by side, member m has the
m-th value of each; with `grid` every combination is a member, seeds counting fastest. Member m is the run that has these
values in its config, to rounding: the compiler adds up in another order. All leaves of the state have the members as
first axis.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from ganjax.errors import ConfigError, nearest
from ganjax.schema import fit, mapping
from ganjax.state import TrainState
from ganjax.types import Key


def checked(given: Any, places: Mapping[str, str]) -> dict[str, Any]:
  """The section `population`, complete; {} where there is none.

  Args:
    given: the lists by name, and 'grid'.
    places: the field of the config that a list gives the values of, by name of the list.

  Raises ConfigError: an unknown name, a value that its field does not take, lists of different lengths.
  """
  lists = mapping('population', given)
  grid = fit('population.grid', lists.pop('grid', False), bool, False)
  for name, values in lists.items():
    if name not in places:
      valid = 'grid, and lists by name: ' + ', '.join(places)
      raise ConfigError(f'population.{name}', values, valid, nearest(name, ('grid', *places)))
    lists[name] = listed(name, values, places[name])
  lengths = {name: len(values) for name, values in lists.items()}
  if grid and not lists:
    raise ConfigError('population.grid', True, 'lists to cross, such as population.seeds=(0, 1)')
  if not grid and len(set(lengths.values())) > 1:
    longest = max(lengths, key=lambda name: lengths[name])
    shortest = min(lengths, key=lambda name: lengths[name])
    raise ConfigError(f'population.{shortest}', lists[shortest],
                      f'as many values as population.{longest} has, {lengths[longest]}; or grid=true for all combinations')  # fmt: skip
  return {'grid': grid, **lists} if lists else {}


def listed(name: str, values: Any, field: str) -> tuple[float, ...]:
  """The values of one list, each as its field takes it."""
  if not isinstance(values, (list, tuple)) or not values:
    raise ConfigError(f'population.{name}', values, 'a list such as (1, 2)')
  try:
    return tuple(fit(field, value, int if field == 'seed' else float, None) for value in values)
  except ConfigError as error:
    raise ConfigError(f'population.{name}', error.given, error.valid) from None


def combinations(section: Mapping[str, Any]) -> list[dict[str, float]]:
  """What each member has of its own, by name of the list; [] where there is no population."""
  lists = {name: section[name] for name in sorted(section, key=lambda name: (name == 'seeds', name)) if name != 'grid'}
  rows = itertools.product(*lists.values()) if section.get('grid') else zip(*lists.values(), strict=True)
  return [dict(zip(lists, row, strict=True)) for row in rows]


def told(own: Mapping[str, float]) -> str:
  """A member's own values, for a person: 'seed 3, d_r1_gamma 0.1'."""
  return ', '.join(f'{name.replace("seeds", "seed")} {value:g}' for name, value in own.items())


def chosen(section: Mapping[str, Any], member: int | None) -> int | None:
  """`member` if it can be: one of a population's, None for a lone run. Raises ConfigError."""
  own = combinations(section)
  if member is None and not own:
    return None
  if not own:
    raise ConfigError('--member', member, 'nothing: this run is no population')
  if member is None or not 0 <= member < len(own):
    valid = '; '.join(f'{m}: {told(values)}' for m, values in enumerate(own))
    raise ConfigError('--member', member, f'the number of a member ({valid})')
  return member


def check_size(section: Mapping[str, Any], before: Mapping[str, Any]) -> None:
  """Refuses to go on from a population of another size: members can't be added, nor left out."""
  now, was = len(combinations(section)), len(combinations(before))
  if now != was:
    valid = f'the {was} members that the checkpoint has' if was else 'nothing: the checkpoint is of a lone run'
    raise ConfigError('population', f'{now} members' if now else None, f'{valid}; or another workdir')


def joined(section: Mapping[str, Any], hypers: Sequence[Mapping[str, float]]) -> dict[str, Any]:
  """`state.hyper` of members with these numbers, float32 [M] by name; of a lone run, of [] each."""
  own = [{name: value for name, value in values.items() if name != 'seeds'} for values in combinations(section)]
  if not own:
    return {name: np.float32(value) for name, value in hypers[0].items()}
  whole = [{**hyper, **values} for hyper, values in zip(hypers, own, strict=True)]  # schedules' numbers are new to it
  return {name: np.asarray([hyper[name] for hyper in whole], np.float32) for name in whole[0]}


def create(init: Callable[[Any, Any], TrainState], seeds: Sequence[int], hyper: Mapping[str, np.ndarray]) -> TrainState:
  """The members' states by `init(seed, hyper)`, stacked."""
  return jax.vmap(init)(np.asarray(seeds, np.uint32), dict(hyper))


def best(found: Sequence[dict[str, float]], best_metric: str | None, best_mode: str) -> dict[str, float]:
  """The measurements of the best member: a checkpoint is as good as the best in it. {} where none is to be told."""
  score = lambda values: values.get(best_metric, math.nan)  # noqa: E731
  choose: Callable[..., dict[str, float]] = min if best_mode == 'min' else max
  return choose(filter(lambda values: math.isfinite(score(values)), found), key=score,
                default=found[0] if len(found) == 1 else {})  # fmt: skip


def view(state: TrainState, member: int | None) -> TrainState:
  """The state of one member, as that of a lone run; None: the state is one."""
  return state if member is None else taken(state, member)


@jax.jit
def taken(tree: Any, member: Any) -> Any:
  """Each leaf's `member`-th part, by one program for all of them."""
  return jax.tree.map(lambda x: x[member], tree)


def views(state: TrainState) -> Iterator[tuple[int | None, TrainState]]:
  """The members' numbers and states; (None, state) for a lone run."""
  numbers = range(state.step.shape[0]) if state.step.ndim else [None]
  return ((member, view(state, member)) for member in numbers)


def fold(key: Key, number: int) -> Key:
  """`fold_in` for the key of a lone run or of every member."""
  return jax.vmap(jax.random.fold_in, (0, None))(key, number) if key.ndim else jax.random.fold_in(key, number)
