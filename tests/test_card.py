"""The model card says what a run's files say, and no more."""

import dataclasses
import json
import re
import sys

import jax
import pytest
import tiny

from ganjax import card, sample
from ganjax.checkpoint import Checkpoints
from ganjax.convert import export_run
from ganjax.errors import CheckpointError, DataError
from ganjax.interop import safetensors
from ganjax.log import write_run

VALUES = {'eval/frechet': 2.5, 'eval/frechet_floor': 1.0, 'eval/share_0': 0.25, 'eval/share_1': 0.75}
ENTRY = {
  'step': 7, 'seed': 3, 'fingerprint': 'f00d', 'values': VALUES, 'intervals': {'eval/frechet': [2.25, 2.75]},
  'protocol': {'real': {'split': 'all', 'num': 1797}, 'fake': {'num': 500, 'seed': 3}, 'features': {'network': 'digits'}},
}  # fmt: skip


@pytest.fixture(scope='module')
def checkpoint():
  """Config, spec and state of a tiny game."""
  config = tiny.complete(name='tiny', terms__d__r1__gamma=0.5)
  spec, game, rules = tiny.game(config)
  return config, dataclasses.replace(spec, extra={'centres': []}), sample.initializer(config, spec, game, rules)()


def made(workdir, checkpoint, monkeypatch, lines=(), evaluation=None, **about):
  """A workdir with a checkpoint of step 7."""
  config, spec, state = checkpoint
  monkeypatch.setattr(
    sys, 'argv', ['/somewhere/bin/ganjax', 'train', '--config', 'tiny', '--workdir', str(workdir), '--config.steps=7']
  )
  workdir.mkdir()
  run = write_run(workdir, config)
  spec = dataclasses.replace(spec, extra=about.pop('extra', {}))
  meta = {'config': config.to_dict(), 'spec': spec.to_json(), 'run_id': run['run_id'], **about}
  with Checkpoints(workdir, keep=3) as checkpoints:
    checkpoints.save(7, state, meta, wait=True)
  start = 1e9
  (workdir / 'metrics.jsonl').write_text(''.join(json.dumps({'time': start, **line}) + '\n' for line in lines))
  if evaluation is not None:
    (workdir / 'evaluation.json').write_text(json.dumps(evaluation))
  return workdir


def part(text, title):
  """One section."""
  return re.search(rf'^## {title}[^\n]*\n(.*?)(?=^## |\Z)', text, re.S | re.M)[1]


LINES = [{'step': step, 'images': 16 * step, 'd/loss': 1.0, **VALUES} for step in (2, 4, 7)]


def test_a_card(tmp_path, checkpoint, monkeypatch):
  workdir = made(tmp_path / 'run', checkpoint, monkeypatch, LINES)
  assert card.write_card(workdir) == f'{workdir}/card.md: model card of {workdir}, 1 facts unknown'
  text = (workdir / 'card.md').read_text()
  assert text.startswith('# tiny, step 7\n')
  assert 'Everything that this model generates is synthetic' in text
  assert "- licence: unknown: the run's files don't say" in part(text, 'Data')
  assert '- source: mixture' in part(text, 'Data')
  state = checkpoint[2]
  model = part(text, 'Model')
  count = sum(leaf.size for leaf in jax.tree.leaves(state.params['g']))
  assert f'parameters: generator {count:,}, discriminator' in model
  assert 'terms: d=(r1=(every=1, gamma=0.5))' in model
  training = part(text, 'Training')
  assert '7 steps, 112 examples shown' in training
  assert f'jax {jax.__version__}' in training
  assert 'hardware: 8 x cpu' in training
  evaluation = part(text, 'Evaluation')
  assert '| frechet | 2.5 | 2.5 | 32 |' in evaluation
  assert '| frechet_floor | 1 |  |  |' in evaluation
  assert '25.0% to 75.0% are seen as each of 2 classes' in evaluation
  assert 'without intervals' in evaluation
  assert 'ganjax train --config tiny --workdir DIR --config.steps=7' in part(text, 'How to reproduce')
  assert str(tmp_path) not in text, 'a card is to be passed on'
  for title in ('Intended use', 'Out of scope'):
    assert part(text, title).strip()


def test_evaluations_come_with_their_protocol(tmp_path, checkpoint, monkeypatch):
  workdir = made(tmp_path / 'run', checkpoint, monkeypatch, LINES, [ENTRY])
  evaluation = part(card.card(workdir), 'Evaluation')
  assert 'at step 7, seed 3' in evaluation
  assert '| frechet | 2.5 | 2.25 to 2.75 |' in evaluation
  assert '| frechet_floor | 1 | - |' in evaluation
  assert 'Protocol f00d' in evaluation
  for fact in ('- real: split=all, num=1797', '- fake: num=500, seed=3', '- features: network=digits'):
    assert fact in evaluation


def test_means_over_seeds(tmp_path, checkpoint, monkeypatch):
  other = ENTRY | {'seed': 4, 'values': VALUES | {'eval/frechet': 3.5}}
  workdir = made(tmp_path / 'run', checkpoint, monkeypatch, LINES, [ENTRY, other])
  evaluation = part(card.card(workdir), 'Evaluation')
  assert 'at step 7, means over 2 seeds' in evaluation
  assert re.search(r'\| frechet \| 3 \| -3.35\d+ to 9.35\d+ \|', evaluation)
  assert '| frechet_floor | 1 | - |' in evaluation
  assert '- fake: num=500\n' in evaluation


def test_what_is_not_known_is_said(tmp_path, checkpoint, monkeypatch):
  workdir = made(
    tmp_path / 'run',
    checkpoint,
    monkeypatch,
    imported=[{'kind': 'stylegan2.G', 'sha256': 'abc'}],
    extra={'licence': 'CC0'},
  )
  text = card.card(workdir)
  assert '- licence: CC0' in text
  assert 'Not measured' in part(text, 'Evaluation')
  assert '- imported: kind=stylegan2.G, sha256=abc' in part(text, 'Training')
  assert '- length: not trained here' in part(text, 'Training')
  info = json.loads((workdir / 'run.json').read_text())
  for name in ('versions', 'device', 'git', 'command'):
    info.pop(name)
  (workdir / 'run.json').write_text(json.dumps(info))
  text = card.card(workdir)
  for fact in ('hardware', 'versions', 'source'):
    assert f'- {fact}: unknown' in part(text, 'Training')
  assert '# unknown' in part(text, 'How to reproduce')


def test_a_run_without_checkpoints_and_a_population(tmp_path, monkeypatch):
  monkeypatch.setattr(sys, 'argv', ['ganjax', 'train'])
  config = tiny.complete(name='many', population__seeds=(0, 1))
  write_run(tmp_path, config)
  lines = [
    {'step': s, 'images': 16 * s, 'time': 1e9, 'member': m, 'd/loss': 1.0, 'eval/modes': m + 4.0}
    for s in (1, 2)
    for m in (0, 1)
  ]
  (tmp_path / 'metrics.jsonl').write_text(''.join(json.dumps(line) + '\n' for line in lines))
  text = card.card(tmp_path)
  assert text.startswith('# many\n')
  assert '- parameters: unknown' in text
  assert '2 members' in part(text, 'Training')
  assert re.search(r'mean of 2 \| 4.5 \| 4.5 \| 16 \|', part(text, 'Evaluation'))


def test_what_has_no_card(tmp_path, checkpoint, monkeypatch):
  with pytest.raises(DataError, match=r'not a run: no run\.json'):
    card.write_card(tmp_path)
  assert not list(tmp_path.iterdir())
  workdir = made(tmp_path / 'run', checkpoint, monkeypatch, LINES)
  with pytest.raises(CheckpointError, match='no checkpoint of step 9'):
    card.write_card(workdir, checkpoint=9)


def test_exports_carry_the_card(tmp_path, checkpoint, monkeypatch):
  workdir = made(tmp_path / 'run', checkpoint, monkeypatch, LINES)
  export_run(workdir, tmp_path / 'x.safetensors')
  with (tmp_path / 'x.safetensors').open('rb') as file:
    about = safetensors.header(file)[1]
  assert about['card'] == card.card(workdir, 7)
