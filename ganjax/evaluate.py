"""`ganjax evaluate`: measures checkpoints of a run against its data, with intervals, and keeps how that was done."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganjax import config as configs
from ganjax import log, measure, parallel, population
from ganjax.checkpoint import Checkpoints
from ganjax.errors import CheckpointError, ConfigError
from ganjax.evals.protocol import fingerprint
from ganjax.images import replacing
from ganjax.measure import Measurer, Options, Result
from ganjax.report import report
from ganjax.sample import Trained, load_all, of_member, with_average, with_examples, with_options
from ganjax.train import best

ASKED = 'a step, steps (1000,2000), a range (1000:50000:5000), all, best or last'


def evaluate_run(workdir: str | Path, options: Mapping[str, Any], *, checkpoints: str = 'last', seed: int = 0, seeds: int = 1,
                 member: int | None = None, ema: str | None = None) -> str:  # fmt: skip
  """Measures checkpoints of a run, adds the numbers to evaluation.json and metrics.jsonl, and tells them.

  Args:
    workdir: of a training.
    options: fields of `measure.Options` that are not to be as the run's config says.
    checkpoints: which, see `chosen_steps`.
    seed: of the latents; with several `seeds`, the first of so many.
    seeds: more than one give intervals over them.
    member: of a population; by default all of them.
    ema: chooses among averages, see `sample.with_average`.

  Raises: ConfigError, DataError, CheckpointError.
  """
  if seeds < 1:
    raise ConfigError('--seeds', seeds, 'a number of at least 1')
  entries: list[dict[str, Any]] = []
  measurers: dict[str, Measurer] = {}
  for step in chosen_steps(workdir, checkpoints):
    whole = load_all(workdir, step)
    own = population.combinations(whole.config.population)
    members = range(len(own)) if own and member is None else [population.chosen(whole.config.population, member)]
    for m in members:
      trained = with_average(of_member(whole, m), ema)
      trained, asked = prepared(trained, options)
      key = configs.fingerprint(whole.config)  # a phase may have a game of its own; members share theirs
      if key not in measurers:
        measurers[key] = Measurer(trained.config, trained.spec, trained.game, asked, parallel.own_mesh(), shown=True)
      for each in range(seed, seed + seeds):
        result = measurers[key](trained.state, each)
        entries.append(entry(trained, each, result))
        write(Path(workdir), entries[-1])
  return report(entries, str(workdir))


def prepared(trained: Trained, given: Mapping[str, Any]) -> tuple[Trained, Options]:
  """The run's options with those given in their place. Raises ConfigError where nothing is left to be measured."""
  options = measure.usual(trained.spec, Options.of(trained.config)._replace(**given))
  if not options.metrics and trained.spec.field == 'image':
    options = options._replace(metrics=('frechet',))
  if not options.metrics:
    raise ConfigError('--metrics', (), f'nothing: no metric is for rows of the data {trained.config.data.name!r}')
  if options.num < 1:
    raise ConfigError('--num', options.num, 'a number of at least 1')
  truncation = {} if options.truncation is None else {'truncation_psi': options.truncation}
  game = with_examples(trained.game, trained.config, trained.spec)
  return with_options(trained._replace(game=game), truncation), options


def chosen_steps(workdir: str | Path, asked: str) -> list[int | None]:
  """The steps of checkpoints: one ('4000'), several ('1000,2000'), a range (first:last:every), 'all', 'best', 'last'.

  'last' is the newest intact one, which is known when it is loaded: None. Raises ConfigError, CheckpointError.
  """
  if asked == 'last':
    return [None]
  if not Path(workdir).is_dir():
    raise CheckpointError(f'{workdir}: no such folder; `ganjax train --workdir {workdir}` makes one')
  with Checkpoints(workdir, keep=1, lock=False) as found:
    there, config = found.steps(), configs.complete(found.meta()['config'])
  if asked == 'all':
    return list(there)
  if asked == 'best':
    with Checkpoints(workdir, keep=1, lock=False, **best(config)) as found:
      step = found.best()
    if step is None:
      raise ConfigError(
        '--checkpoints', asked, f'{ASKED}; no checkpoint has a finite best_metric, which is {config.best_metric!r}'
      )
    return [step]
  try:
    numbers = [int(text) for text in asked.replace(':', ',').split(',')]
    if ':' not in asked:
      return list(numbers)
    first, last, every = numbers
    wanted = range(first, last + 1, every)
  except ValueError:
    raise ConfigError('--checkpoints', asked, ASKED) from None
  steps = [step for step in there if step in wanted]
  if not steps:
    raise ConfigError('--checkpoints', asked, f'a range with checkpoints in it: there are {", ".join(map(str, there))}')
  return list(steps)


def entry(trained: Trained, seed: int, result: Result) -> dict[str, Any]:
  """One line of evaluation.json."""
  return {
    'step': trained.step, 'images': trained.step * trained.config.batch_size, 'seed': seed,
    **({} if trained.member is None else {'member': trained.member}),
    'name': trained.config.name, 'run_id': trained.meta['run_id'], 'config_hash': configs.fingerprint(trained.config),
    'time': round(time.time(), 3), 'fingerprint': fingerprint(result.protocol), 'protocol': result.protocol,
    'values': result.values, 'intervals': {name: list(ends) for name, ends in result.intervals.items()},
  }  # fmt: skip


def write(workdir: Path, made: Mapping[str, Any]) -> None:
  """Adds an entry to evaluation.json, and its numbers to metrics.jsonl in a line that has its fingerprint."""
  path = workdir / 'evaluation.json'
  entries = json.loads(path.read_text()) if path.exists() else []
  with replacing(path) as file:
    file.write(json.dumps([*entries, made], indent=2).encode() + b'\n')
  names = ('step', 'images', 'time', 'member', 'seed', 'fingerprint')
  log.append(workdir, {name: made[name] for name in names if name in made}, made['values'])
