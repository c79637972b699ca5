"""The model card of a run, from its own files: what they don't say is said to be unknown."""

import math
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from ganjax import convergence, curves, population
from ganjax.checkpoint import Checkpoints
from ganjax.compare import tables
from ganjax.compare.evaluated import Evaluated, picked, protocol_of
from ganjax.compare.runs import Run, last_and_best, measured, read_json, read_lines, read_run, told
from ganjax.convergence import short
from ganjax.images import replacing
from ganjax.progress import duration
from ganjax.sample import described

UNKNOWN = "unknown: the run's files don't say"
LICENCES = ('licence', 'license')
USE = """\
Research on generative models: to compare methods of training and of evaluation, and to study what such a model learns of
its data. A use that the run's author had in mind is not stated in the run's files."""
SCOPE = """\
- Samples as evidence or record of anything real, or passed on without saying that they are synthetic.
- Decisions about people, and claims about the data's subject that rest on samples alone.
- Data other than those above, and uses that the data's licence doesn't allow.
- Privacy: the model was not trained with any guarantee of it, and may repeat training examples."""
SYNTHETIC = """\
Everything that this model generates is synthetic. Files that `ganjax sample` writes say so, with the run, the step and the
seed that they come from."""


def write_card(workdir: str | Path, out: str | Path | None = None, checkpoint: int | None = None) -> str:
  """Writes the card of a run, by default as card.md in its workdir; says where.

  checkpoint: its step; by default the newest. Raises DataError, CheckpointError.
  """
  path = Path(out or Path(workdir) / 'card.md')
  text = card(workdir, checkpoint)
  with replacing(path) as file:
    file.write(text.encode())
  return f'{path}: model card of {workdir}, {text.count(UNKNOWN)} facts unknown'


def card(workdir: str | Path, checkpoint: int | None = None) -> str:
  """The card as Markdown. Raises DataError where there is no run.json, CheckpointError for a step that isn't there."""
  workdir = Path(workdir)
  info = read_json(workdir / 'run.json', f'{workdir}: not a run: no run.json in it')
  run = read_run(workdir, workdir.name) if read_lines(workdir / 'metrics.jsonl') else None
  with Checkpoints(workdir, keep=1, lock=False) as there:
    steps = there.steps()
    step = (checkpoint if checkpoint is not None else steps[-1]) if steps or checkpoint is not None else None
    meta = None if step is None else there.meta(step)
  config, name = info['config'], info['config'].get('name') or 'A model'
  at = f', step {step:,}' if step is not None else ''
  parts = {
    '': [f'A generative adversarial network, run `{info["run_id"]}`, config {info["config_hash"]}{at}.', '', SYNTHETIC],
    'Data': data(config, meta),
    'Model': model(config, meta),
    'Training': training(info, run, meta),
    'Evaluation': evaluation(run, workdir),
    'Intended use': [USE],
    'Out of scope': [SCOPE],
    'How to reproduce and to use it': use(info, step),
  }
  out = [f'# {name}{at}']
  for title, lines in parts.items():
    out += ['', *([f'## {title}', ''] if title else []), *lines]
  return '\n'.join(out) + '\n'


def data(config: Mapping[str, Any], meta: Mapping[str, Any] | None) -> list[str]:
  """What it was trained on."""
  section, spec = config.get('data', {}), (meta or {}).get('spec', {})
  extra = spec.get('extra', {})
  licence = next((str(place[key]) for place in (extra, section) for key in LICENCES if place.get(key)), UNKNOWN)
  count = spec.get('count')
  facts = {
    'source': section.get('name') or UNKNOWN,
    'licence': licence,
    'examples': UNKNOWN if count is None else f'{count:,}' if count else 'unlimited: a distribution',
    'shape': f'{"x".join(map(str, spec["shape"]))} ({spec["field"]})' if spec else UNKNOWN,
    'classes': UNKNOWN if not spec else ', '.join(spec.get('class_names') or ()) or str(spec.get('classes') or 'none'),
    'options': told({name: value for name, value in section.items() if name != 'name'}) or 'none',
  }
  return listed(facts)


def model(config: Mapping[str, Any], meta: Mapping[str, Any] | None) -> list[str]:
  """What it is made of."""
  own = lambda name: told(config[name]) if config.get(name) else 'none'  # noqa: E731
  source = (meta or {}).get('spec', {}).get('source')
  latent = f'none: images of {"x".join(map(str, source))}' if source else f'{config.get("latent_dim", UNKNOWN)} numbers'
  facts = {
    'game': config.get('game', UNKNOWN), 'generator': own('generator'), 'discriminator': own('discriminator'),
    **({'encoder': own('encoder')} if 'encoder' in config else {}), 'parameters': parameters(meta), 'latent': latent,
    'conditioning': own('conditioning'), 'loss': own('loss'), 'terms': own('terms'), 'augmentation': own('augment'),
    'averages of the parameters': own('ema'), 'computed in': config.get('dtype', UNKNOWN),
  }  # fmt: skip
  return listed(facts)


def parameters(meta: Mapping[str, Any] | None) -> str:
  """How many each player has; of a population, each member's."""
  if meta is None:
    return UNKNOWN
  config, _, _, state = described(meta)
  members = len(population.combinations(config.population)) or 1
  names = {'g': 'generator', 'd': 'discriminator', 'e': 'encoder'}
  counts = {
    player: sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree)) // members
    for player, tree in state.params.items()
  }
  return ', '.join(f'{names.get(player, player)} {count:,}' for player, count in sorted(counts.items(), reverse=True))


def training(info: Mapping[str, Any], run: Run | None, meta: Mapping[str, Any] | None) -> list[str]:
  """How long, on what, with what."""
  config, device, git = info['config'], info.get('device') or {}, info.get('git')
  facts: dict[str, str] = {}
  if (meta or {}).get('imported'):
    facts['imported'] = '; '.join(told(each) for each in (meta or {})['imported'])
  if run is None:
    facts['length'] = 'not trained here' if 'imported' in facts else UNKNOWN
  else:
    first = run.courses[0]
    facts['length'] = (f'{first.step:,} steps, {first.images:,} examples shown, {duration(max(c.seconds for c in run.courses))}'
                       + (f', {len(run.courses)} members' if first.member is not None else ''))  # fmt: skip
  versions = info.get('versions') or {}
  facts |= {
    'batch size': str(config.get('batch_size', UNKNOWN)), 'seed': str(config.get('seed', UNKNOWN)),
    'optimisers': told(config.get('optimizer') or {}) or UNKNOWN, 'schedules': told(config.get('schedule') or {}) or 'none',
    'hardware': f'{device["devices"]} x {device["kind"]} ({device["platform"]}), processes: {device.get("processes", 1)}' if device else UNKNOWN,
    'started': info.get('time', UNKNOWN) if not info.get('earlier') else f'{info["earlier"][0]["time"]}, in {len(info["earlier"]) + 1} sessions',
    'versions': ', '.join(f'{name} {version}' for name, version in versions.items()) or UNKNOWN,
    'source': f'commit {git["commit"]}' + (', with changes' if git.get('dirty') else '') if git else UNKNOWN,
  }  # fmt: skip
  return listed(facts)


def evaluation(run: Run | None, workdir: Path) -> list[str]:
  """How good it is, and how that was measured."""
  if run is None:
    return ['Not measured, as far as the files say; `ganjax evaluate --workdir DIR` measures it.']
  groups = picked(run.courses[0], run, set())
  out = afterwards(run, groups[0]) if groups else during(run)
  sentences = convergence.told(curves.read(workdir), run.config)
  return [*out, *(['', 'How the training went:', '', *(f'- {line}' for line in sentences)] if sentences else [])]


def afterwards(run: Run, group: Evaluated) -> list[str]:
  """What `ganjax evaluate` found, with the protocol that made it; `group` is of the lone run, or the first member."""
  seed = f'seed {group.entry.get("seed", UNKNOWN)}' if group.seeds == 1 else f'means over {group.seeds} seeds'
  out = [f'Measured after the training, at step {group.step:,}, {seed}:', '']
  if len(run.courses) > 1:
    out += markdown(tables.evaluations([run]))
  else:
    rows = [
      [short(name), f'{value:.5g}', interval(group, name)] for name, value in group.values.items() if not share(name)
    ]
    out += markdown(tables.Table('', '', ['', 'value', '95% interval'], rows)) + shares(group.values)
  out += [
    '',
    f'Protocol {group.entry.get("fingerprint", "without a fingerprint")}; numbers made by another do not compare:',
    '',
  ]
  protocol = protocol_of(group.entry)
  if group.seeds > 1 and 'fake' in protocol:
    protocol['fake'] = {name: value for name, value in protocol['fake'].items() if name != 'seed'}
  return [*out, *listed({name: told(value) for name, value in protocol.items()})]


def during(run: Run) -> list[str]:
  """What the training measured itself."""
  names = measured([run])
  if not names:
    return ['Not measured, as far as the files say; `ganjax evaluate --workdir DIR` measures it.']
  config = run.config
  out = [f'Measured during the training only, on {config.get("evaluate_num", "an unknown number of")} samples of one seed, without '
         'intervals; `ganjax evaluate --workdir DIR` measures it with them:', '']  # fmt: skip
  if len(run.courses) > 1:
    return out + markdown(tables.training([run]))
  (own,) = run.courses
  last = {name: last_and_best(own, name, None)[0] for name in own.curves if name.startswith('eval/')}
  rows = []
  for name in (name for name in last if not share(name)):
    way = convergence.direction(name, run.best_metric) if name in names else None
    values = zip(last_and_best(own, name, way), ('{:.5g}', '{:.5g}', '{:,.0f}'), strict=True)
    rows.append([short(name), *('' if math.isnan(value) else form.format(value) for value, form in values)])
  return out + markdown(tables.Table('', '', ['', 'last', 'best', 'at images'], rows)) + shares(last)


def share(name: str) -> bool:
  """Whether a number is one of many that belong together, a class each."""
  return short(name).startswith(('share_', 'class_frechet_'))


def shares(values: Mapping[str, float]) -> list[str]:
  """A line on the shares of classes."""
  own = [value for name, value in values.items() if short(name).startswith('share_')]
  return (
    ['', f'Of the samples, {min(own):.1%} to {max(own):.1%} are seen as each of {len(own)} classes.'] if own else []
  )


def interval(group: Evaluated, name: str) -> str:
  """The interval of a value, if there is one."""
  ends = group.intervals.get(name)
  return f'{ends[0]:.5g} to {ends[1]:.5g}' if ends and ends[0] < ends[1] else '-'  # what real data give has no spread


def markdown(table: tables.Table) -> list[str]:
  """A table's lines."""
  row = lambda cells: '| ' + ' | '.join(cells) + ' |'  # noqa: E731
  return [row(table.heading), '|' + '---|' * len(table.heading), *map(row, table.rows)]


def use(info: Mapping[str, Any], step: int | None) -> list[str]:
  """Commands. The one that trained it is the recorded one, but for the place of its workdir."""
  words = ['ganjax', *shlex.split(info.get('command') or '')[1:]]
  for k, word in enumerate(words):
    if word == '--workdir' and k + 1 < len(words):
      words[k + 1] = 'DIR'
    elif word.startswith('--workdir='):
      words[k] = '--workdir=DIR'
  trained = shlex.join(words) if len(words) > 1 else f'# {UNKNOWN}'
  checkpoint = '' if step is None else f' --checkpoint {step}'
  return ['The whole config is in run.json; with it, the versions and the source above, the training is this:', '', '```', trained,
          f'ganjax sample --workdir DIR{checkpoint} --num 64 --out samples.png', f'ganjax evaluate --workdir DIR{checkpoint}', '```']  # fmt: skip


def listed(facts: Mapping[str, str]) -> list[str]:
  """Facts as a list."""
  return [f'- {name}: {value}' for name, value in facts.items()]
