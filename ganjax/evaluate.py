"""Measures a checkpoint against its data set."""

import json
import os
from pathlib import Path

from ganjax import config as configs
from ganjax import log, population, standing
from ganjax.data.sources import open_source
from ganjax.errors import ConfigError
from ganjax.evals.run import evaluator
from ganjax.images import replacing
from ganjax.sample import Trained, load_all, of_member, sampler, with_average


def evaluate_run(workdir: str | Path, *, num: int | None = None, seed: int = 0, checkpoint: int | None = None,
                 member: int | None = None, ema: str | None = None, batches: int | None = None) -> str:  # fmt: skip
  """Evaluates a checkpoint of a run, adds the numbers to evaluation.json with how they were made, and tells them.

  Of a population all members are evaluated, or the one that is asked for.
  """
  whole = load_all(workdir, checkpoint)
  own = population.combinations(whole.config.population)
  members = range(len(own)) if own and member is None else [population.chosen(whole.config.population, member)]
  return '\n'.join(
    evaluate_member(workdir, with_average(of_member(whole, m), ema), num, seed, batches) for m in members
  )


def evaluate_member(workdir: str | Path, trained: Trained, num: int | None, seed: int, batches: int | None) -> str:
  """Evaluates a lone run, or a member of a population. `batches` is instead of the config's `standing_statistics`."""
  config = trained.config.copy_and_resolve_references().unlock()
  if num is not None:
    config = configs.complete(config, {'evaluate_num': num})
  evaluate = evaluator(config, trained.spec, open_source(config.data))
  if evaluate is None:
    raise ConfigError(
      'data.name', config.data.name, 'data that can be measured: grey images of up to 32 pixels, or a mixture'
    )
  batches = config.standing_statistics if batches is None else batches
  draw = sampler(trained.game, settle=standing.settler(trained.game, batches, config.batch_size))(trained.state)
  values = evaluate(lambda count, _: draw(count, seed))
  path = Path(workdir) / 'evaluation.json'
  entry = {
    'step': trained.step, 'num': config.evaluate_num, 'seed': seed, 'average': next(iter(trained.state.ema), None),
    'standing_statistics': batches,
    'config_hash': configs.fingerprint(trained.config), 'run_id': trained.meta['run_id'], 'versions': log.versions(), 'values': values,
  } | ({} if trained.member is None else {'member': trained.member})  # fmt: skip
  entries = json.loads(path.read_text()) if path.exists() else []
  with replacing(path) as file:
    file.write(json.dumps([*entries, entry], indent=2).encode() + b'\n')
  of = '' if trained.member is None else f', member {trained.member}'
  lines = [f'{config.name}{of}, step {trained.step}, {config.evaluate_num} samples, seed {seed}', *told(values)]
  return '\n'.join([*lines, f'written to {os.fspath(path)}'])


def told(values: dict[str, float]) -> list[str]:
  """Evaluation values, for a person."""
  shares = [value for name, value in sorted(values.items()) if name.startswith('eval/share_')]
  lines = []
  for name, value in values.items():
    if name.startswith('eval/share_') or name in ('eval/frechet_floor', 'eval/sure_real'):
      continue
    match name:
      case 'eval/frechet':
        lines.append(
          f'  Frechet distance   {value:.3f}  (one half of the real images to the other: {values["eval/frechet_floor"]:.3f})'
        )
      case 'eval/sure':
        lines.append(
          f'  sure (> .9)        {value:.3f}  of samples, {values["eval/sure_real"]:.3f} of held-out real images'
        )
      case 'eval/nearer':
        lines.append(
          f'  nearer             {value:.3f}  of samples lie nearer to a training image than the median real one (.5 is ideal)'
        )
      case _:
        lines.append(f'  {name.removeprefix("eval/"):<18} {value:.4g}')
  if shares:
    lines.append('  class shares       ' + '  '.join(f'{k}: {share:.1%}' for k, share in enumerate(shares)))
  return lines
