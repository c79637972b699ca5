"""The command as a user meets it: what it prints, writes and refuses."""

import json
import subprocess
import sys

import numpy as np
import pytest

from ganjax import main
from ganjax.errors import CheckpointError, ConfigError, GanjaxError
from ganjax.images import read_provenance


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
  """A workdir of the default experiment's smoke size, on one device."""
  workdir = tmp_path_factory.mktemp('runs') / 'digits'
  main.run(['train', '--config', 'dcgan_digits:smoke', '--workdir', str(workdir), '--config.devices=1'])
  return workdir


def test_train_writes_what_it_says(trained, capsys):
  lines = [json.loads(line) for line in (trained / 'metrics.jsonl').read_text().splitlines()]
  assert {'d/loss_real', 'd/loss_fake', 'd/real_prob', 'd/fake_prob', 'g/loss', 'd/grad_norm', 'g/grad_norm'} <= set(
    lines[0]
  )
  assert {'eval/frechet', 'eval/frechet_floor', 'eval/sure', 'eval/nearer'} <= set(lines[-1])
  run = json.loads((trained / 'run.json').read_text())
  assert run['config']['optimizer']['g']['learning_rate'] > 0
  assert {'run_id', 'config_hash', 'versions', 'git', 'device', 'command'} <= set(run)
  # Again: all is done, it says so and changes nothing.
  before = (trained / 'metrics.jsonl').read_bytes()
  main.run(['train', '--config', 'dcgan_digits:smoke', '--workdir', str(trained), '--config.devices=1'])
  assert (trained / 'metrics.jsonl').read_bytes() == before
  printed = capsys.readouterr().out
  for name in (
    'samples/00000020.png',
    'curves.png',
    'metrics.jsonl',
    'run.json',
    'checkpoints',
    'tensorboard',
    'ganjax sample',
  ):
    assert name in printed
  assert (trained / 'samples' / '00000020.png').exists()
  assert (trained / 'curves.png').exists()


def test_samples_carry_their_provenance(trained, tmp_path, capsys):
  run = json.loads((trained / 'run.json').read_text())
  for out in (tmp_path / 'grid.png', tmp_path / 'grid.npz'):
    main.run(['sample', '--workdir', str(trained), '--num', '9', '--seed', '3', '--out', str(out)])
    about = read_provenance(out)
    assert about['run_id'] == run['run_id']
    assert (about['config_hash'], about['step'], about['seed'], about['synthetic']) == (
      run['config_hash'],
      '20',
      '3',
      'true',
    )
  with np.load(tmp_path / 'grid.npz', allow_pickle=False) as file:
    assert file['image'].shape == (9, 8, 8, 1)
    assert file['image'].dtype == np.uint8
    nine = file['image']
  main.run(['sample', '--workdir', str(trained), '--num', '300', '--seed', '3', '--out', str(tmp_path / 'more.npz')])
  with np.load(tmp_path / 'more.npz', allow_pickle=False) as file:
    assert abs(file['image'][:9].astype(int) - nine).max() <= 1, (
      'a sample does not depend on how many are drawn with it'
    )
  assert 'step 20' in capsys.readouterr().out


def test_evaluate(trained, capsys):
  main.run(['evaluate', '--workdir', str(trained), '--num', '50'])
  main.run(['evaluate', '--workdir', str(trained), '--num', '60', '--metrics', 'fid,prdc,sure', '--bootstrap', '5'])
  first, second = json.loads((trained / 'evaluation.json').read_text())
  assert [entry['protocol']['fake']['num'] for entry in (first, second)] == [50, 60]
  assert first['values']['eval/frechet'] > first['values']['eval/frechet_floor'] > 0
  assert {'eval/density', 'eval/coverage'} <= set(second['values'])
  low, high = second['intervals']['eval/frechet']
  assert low < second['values']['eval/frechet'] < high
  assert first['fingerprint'] != second['fingerprint']
  assert (first['step'], first['images']) == (20, 20 * first_batch(trained))
  lines = [json.loads(line) for line in (trained / 'metrics.jsonl').read_text().splitlines()]
  assert lines[-1]['fingerprint'] == second['fingerprint']
  assert lines[-1]['eval/frechet'] == second['values']['eval/frechet']
  printed = capsys.readouterr().out
  assert 'Frechet distance' in printed
  assert '95% interval by bootstrap' in printed


def first_batch(workdir):
  return json.loads((workdir / 'run.json').read_text())['config']['batch_size']


def test_evaluate_checkpoints_over_seeds(trained, capsys):
  before = len(json.loads((trained / 'evaluation.json').read_text()))
  main.run(
    ['evaluate', '--workdir', str(trained), '--num', '50', '--checkpoints', 'all', '--seeds', '3', '--seed', '4']
  )
  entries = json.loads((trained / 'evaluation.json').read_text())[before:]
  steps = sorted({entry['step'] for entry in entries})
  assert [(entry['step'], entry['seed']) for entry in entries] == [(step, seed) for step in steps for seed in (4, 5, 6)]
  assert len({entry['fingerprint'] for entry in entries}) == 1
  last = [entry['values']['eval/frechet'] for entry in entries if entry['step'] == steps[-1]]
  assert len(set(last)) == 3
  printed = capsys.readouterr().out
  assert 'seeds 4 to 6' in printed
  assert f'{np.mean(last):.3f} [' in printed


@pytest.mark.parametrize(
  ('flags', 'match'),
  [
    (['--checkpoints', 'newest'], "--checkpoints: given 'newest', valid: a step"),
    (['--checkpoints', '30:90:10'], "--checkpoints: given '30:90:10'.*there are"),
    (['--checkpoints', 'best'], "--checkpoints: given 'best'.*best_metric"),
    (['--seeds', '0'], '--seeds: given 0'),
    (['--num', '0'], '--num: given 0'),
    (['--truncation', '0.5'], '--truncation'),
    (['--features', 'inception', '--weights', 'no.pth'], 'no.pth'),
    (['--real', 'x'], '--fake: given None'),
  ],
)
def test_evaluate_refuses(trained, flags, match):
  before = (trained / 'evaluation.json').read_bytes()
  with pytest.raises(GanjaxError, match=match):
    main.run(['evaluate', '--workdir', str(trained), *flags])
  assert (trained / 'evaluation.json').read_bytes() == before


def test_translating_refuses_what_it_would_pass_over(trained):
  for flags, match in [(['--num', '4'], '--num: given 4'), (['--step-size', '1'], '--step-size: given 1'),
                       (['--method', 'rejection'], "--method: given 'rejection'"), ([], '--input: given .*does not translate')]:  # fmt: skip
    with pytest.raises(ConfigError, match=match):
      main.run(['sample', '--workdir', str(trained), '--input', 'photos', *flags])


def test_plan(capsys):
  main.run(['plan', '--config', 'dcgan_digits:smoke', '--config.devices=1'])
  printed = capsys.readouterr().out
  for word in ('parameters', 'memory', 'to first step', 'per 1,000 images', 'to finish'):
    assert word in printed


def test_list(capsys):
  main.run(['list'])
  printed = capsys.readouterr().out
  for name in (
    'dcgan_digits',
    'gan_ring8',
    'sngan_cifar10',
    'gan ',
    'dcgan',
    'resnet',
    'mlp',
    'hinge',
    'r1',
    'adam',
    'folder',
    'tfds',
  ):
    assert name in printed


@pytest.mark.parametrize(
  ('words', 'error', 'parts'),
  [
    (['train', '--config', 'dcgan_digit'], ConfigError, ('dcgan_digits',)),
    (['train', '--config.batch_sise=3'], ConfigError, ('config.batch_sise', 'batch_size')),
    (['train', '--config.batch_size'], ConfigError, ('config.batch_size', '=VALUE')),
    (['sample', '--workdir', 'nowhere'], CheckpointError, ('nowhere', 'ganjax train')),
    (['sample', '--workdir', '.', '--out', 'x.gif'], ConfigError, ('x.gif', '.png or .npz')),
    (['sample', '--workdir', '.', '--num', '0'], ConfigError, ('num', '0')),
    (['sample', '--workdir', '.'], CheckpointError, ('no checkpoint',)),
    (['evaluate', '--workdir', '.', '--config.steps=3'], ConfigError, ('only train, plan and import',)),
    (['train', '--processes', '2'], ConfigError, ('--coordinator',)),
  ],
)  # fmt: skip
def test_refusals(words, error, parts):
  with pytest.raises(error) as caught:
    main.run(words)
  for part in parts:
    assert part in str(caught.value)


def test_a_mistake_is_one_line_and_exit_code_2():
  command = [sys.executable, '-m', 'ganjax.main', 'train', '--config.loss.name=hing']
  done = subprocess.run(command, capture_output=True, text=True)
  assert done.returncode == 2
  assert done.stderr.count('\n') == 1
  assert "config.loss.name: given 'hing'" in done.stderr
  assert "did you mean 'hinge'?" in done.stderr
