"""The `ganjax` command: flags and sub-commands only."""

import argparse
import errno
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ganjax.errors import CheckpointError, ConfigError, GanjaxError
from ganjax.flags import parser

DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)  # not a fault of the program


def split(arguments: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
  """Flags, and the overrides from `--config.FIELD=VALUE` or `--config.FIELD VALUE`."""
  from ganjax.fields import parse

  flags, overrides, waiting = [], {}, list(arguments)
  while waiting:
    word = waiting.pop(0)
    if not word.startswith('--config.'):
      flags.append(word)
      continue
    field, equals, text = word.removeprefix('--config.').partition('=')
    if not equals:
      if not waiting:
        raise ConfigError(field, '', f'a value: --config.{field}=VALUE')
      text = waiting.pop(0)
    overrides[field] = parse(text)
  return flags, overrides


def run(arguments: Sequence[str]) -> None:
  """Runs one command. Raises GanjaxError."""
  flags, overrides = split(arguments)
  options = parser().parse_args(flags)
  if overrides and options.command not in ('train', 'plan', 'import'):
    raise ConfigError(
      next(iter(overrides)), next(iter(overrides.values())), 'nothing: only train, plan and import take config fields'
    )
  if options.command == 'list':
    from ganjax.catalogue import catalogue

    print(catalogue())
  elif options.command in ('train', 'plan'):
    start(options, overrides)
  elif options.command == 'sample':
    print(sampled(options))
  elif options.command == 'import':
    from ganjax.convert import import_run

    print(import_run(options.networks or [], options.workdir, overrides))
  elif options.command == 'export':
    from ganjax.convert import export_run

    print(
      export_run(options.workdir, options.out, checkpoint=options.checkpoint, member=options.member, ema=options.ema)
    )
  elif options.command == 'ema':
    from ganjax.posthoc import write_average

    print(write_average(options.workdir, options.sigma_rel, options.kimg, options.step, options.out))
  elif options.command == 'review':
    print(reviewed(options))
  elif options.command == 'compare':
    from ganjax.compare import compare_runs

    print(compare_runs(options.runs, options.out, options.level))
  elif options.command == 'card':
    from ganjax.card import write_card

    print(write_card(options.workdir, options.out, options.checkpoint))
  else:
    print(evaluated(options))


def sampled(options: argparse.Namespace) -> str:
  """Draws samples, or translates pictures, and says what it wrote."""
  if options.input is not None:
    from ganjax.translate import translate

    refuse_beside_input(options)
    return translate(options.workdir, options.input, options.out or 'translated', options.direction, options.checkpoint,
                     options.ema, seed=options.seed, member=options.member, tile=options.tile, overlap=options.overlap)  # fmt: skip
  for name in ('tile', 'overlap'):
    if getattr(options, name) is not None:
      raise ConfigError(f'--{name}', getattr(options, name), 'nothing without --input')
  from ganjax.sample import write_samples

  given = {name: getattr(options, name) for name in ('percentile', 'steps', 'step_size')}
  chosen = {name: value for name, value in given.items() if value is not None}
  generator = {'truncation_psi': options.truncation, 'noise': options.noise}
  generator = {name: value for name, value in generator.items() if value is not None}
  return write_samples(options.workdir, options.num, options.seed, options.out, options.checkpoint, options.member,
                       options.method, chosen, ema=options.ema, batches=options.standing_statistics,
                       frames=options.interpolate, generator=generator, mix=options.mix)  # fmt: skip


def refuse_beside_input(options: argparse.Namespace) -> None:
  """Raises ConfigError for a flag that says how to draw: translating draws nothing."""
  names = (
    'num',
    'interpolate',
    'mix',
    'truncation',
    'noise',
    'percentile',
    'steps',
    'step_size',
    'standing_statistics',
  )
  given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
  given |= {} if options.method == 'plain' else {'method': options.method}
  for name, value in given.items():
    raise ConfigError(
      f'--{name.replace("_", "-")}', value, 'nothing beside --input: pictures are translated one by one'
    )


def reviewed(options: argparse.Namespace) -> str:
  """Writes a review page, or sums up answers."""
  from ganjax import review

  if options.summarise:
    return review.summarise(options.summarise)
  if not options.workdir:
    raise ConfigError('--workdir', None, 'a folder of a training, or --summarise ANSWERS')
  return review.write_review(
    options.workdir, checkpoints=options.checkpoints, num=options.num, seed=options.seed, out=options.out,
    member=options.member, ema=options.ema, features=options.features, weights=options.weights,
  )  # fmt: skip


def evaluated(options: argparse.Namespace) -> str:
  """Measures a run or two sets of images, and says what it found."""
  from ganjax.parallel import use_cache

  use_cache()
  names = (
    'metrics',
    'num',
    'bootstrap',
    'features',
    'weights',
    'resize',
    'split',
    'truncation',
    'standing_statistics',
    'lpips',
    'lpips_weights',
    'border',
  )
  given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
  if options.border is not None and not options.fake:
    raise ConfigError('--border', options.border, 'nothing without --fake and --real: of a run it is the scale')
  if options.fake or options.real:
    from ganjax.image_sets import compare_images

    if not (options.fake and options.real) or options.workdir:
      raise ConfigError('--fake', options.fake, '--fake PATH and --real PATH, both, without --workdir')
    return compare_images(options.fake, options.real, given, options.out)
  if not options.workdir:
    raise ConfigError('--workdir', None, 'a folder of a training, or --fake PATH and --real PATH')
  from ganjax.evaluate import evaluate_run

  return evaluate_run(options.workdir, given, checkpoints=options.checkpoints, seed=options.seed, seeds=options.seeds,
                      member=options.member, ema=options.ema)  # fmt: skip


def start(options: argparse.Namespace, overrides: dict[str, Any]) -> None:
  """Train or plan: the config, then the processes, then the work."""
  from ganjax import config, parallel

  complete = config.load(options.config, overrides)
  parallel.use_cache()
  if options.command == 'plan':
    from ganjax.plan import plan

    print(plan(complete))
    return
  parallel.join(options.coordinator, options.processes, options.process)
  from ganjax.summary import summary
  from ganjax.train import train

  workdir = Path(options.workdir or 'runs/' + complete.name.replace(':', '_'))
  train(complete, workdir, adopt=options.adopt, profile=options.profile)
  if parallel.first():
    print(summary(workdir))


def main() -> None:
  """Entry point: errors that a user can mend come as one message and an exit code."""
  logging.basicConfig(level=logging.WARNING, format='%(message)s')
  try:
    run(sys.argv[1:])
  except GanjaxError as error:
    print(f'ganjax: {error}', file=sys.stderr)
    sys.exit(error.code)
  except BrokenPipeError:  # the reader, `head` say, has seen enough
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(141)
  except OSError as error:
    if error.errno not in DISK:
      raise
    print(f'ganjax: {error}; what was saved before is intact', file=sys.stderr)
    sys.exit(CheckpointError.code)
  except KeyboardInterrupt:
    sys.exit(130)


if __name__ == '__main__':
  main()
