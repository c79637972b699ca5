"""Averages of any length after the training: what is stored, what is made of it, and the commands."""

import json
import re
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
import tiny
from running import ROWS, command, experiment

from ganjax import check, posthoc
from ganjax import config as configs
from ganjax.averages import gamma
from ganjax.errors import CheckpointError, ConfigError
from ganjax.images import read_provenance
from ganjax.sample import load, with_average
from ganjax.train import train

POWERS = {'p05': {'sigma_rel': 0.05}, 'p10': {'sigma_rel': 0.1}}


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
  """A workdir with stored averages of 40 steps, by 4; and G's parameters after every step."""
  workdir, seen = tmp_path_factory.mktemp('trained'), []
  config = tiny.complete(ema=POWERS, optimizer__g__learning_rate=0.01)
  for state, _ in tiny.each(config, 40):
    seen.append(state.params['g'])
    if state.step % 4 == 0:
      posthoc.store(workdir, state, posthoc.powers(config.ema), 'run')
  return workdir, seen, state


def direct(seen, sigma_rel):
  """The power-function average by its recursion, in float64."""
  total = jax.tree.map(lambda x: np.zeros(x.shape), seen[0])
  for t, params in enumerate(seen, 1):
    beta = (1 - 1 / t) ** (gamma(sigma_rel) + 1)
    total = jax.tree.map(lambda mean, x, beta=beta: beta * mean + (1 - beta) * x, total, params)
  return total


def test_a_stored_average_is_found_to_the_bit(trained):
  workdir, _, state = trained
  made = posthoc.synthesize(workdir, 0.05)
  assert (made.about['step'], made.about['images'], made.about['error']) == (40, 640, 0)
  assert tiny.difference(made.params, state.ema['p05']) == 0
  assert tiny.difference(made.extras, {'g': state.extras['g']}) == 0 if jax.tree.leaves(state.extras['g']) else True


@pytest.mark.parametrize(('sigma_rel', 'step'), [(0.07, 40), (0.15, 40), (0.1, 24), (0.12, 32)])
def test_other_lengths_and_steps(trained, sigma_rel, step):
  workdir, seen, _ = trained
  made = posthoc.synthesize(workdir, sigma_rel, step)
  expected = {'g': direct(seen[:step], sigma_rel)}
  way = tiny.difference(seen[0], seen[step - 1])
  assert made.about['step'] == step
  assert tiny.difference(made.params, expected) < 0.01 * way  # so short a training has few moves in an average
  assert tiny.difference({'g': seen[step - 1]}, expected) > 0.02 * way


def test_length_in_images(trained):
  made = posthoc.synthesize(trained[0], length_kimg=0.064)
  assert made.about['sigma_rel'] == pytest.approx(0.1)
  assert tiny.difference(made.params, posthoc.synthesize(trained[0], 0.1).params) < 1e-6


def test_networks_that_grew(trained, tmp_path):
  """What was stored before is of no use: the rest makes the average, and the error says how well."""
  workdir, _, state = trained
  shutil.copytree(workdir / 'ema', tmp_path / 'ema')
  small = jax.tree.map(lambda x: x[..., :1], state.ema)
  for step in range(4, 24, 4):
    posthoc.store(
      tmp_path, state.replace(step=np.int32(step), images=np.int32(16 * step), ema=small), {'p05': 0.05}, 'run'
    )
  made, whole = posthoc.synthesize(tmp_path, 0.08), posthoc.synthesize(workdir, 0.08)
  assert 0 < whole.about['error'] <= made.about['error'] < 0.1
  assert tiny.difference(made.params, whole.params) < 1e-3
  assert jax.tree.leaves(posthoc.synthesize(tmp_path, 0.08, 12).params)[0].shape[-1] == 1


def test_forget(trained, tmp_path):
  state = trained[2]
  for step in (4, 8, 12):
    posthoc.store(tmp_path, state.replace(step=np.int32(step)), {'p05': 0.05}, 'run')
  posthoc.forget(tmp_path, 8)
  assert list(posthoc.stored(tmp_path)) == [4, 8]


@pytest.mark.parametrize(
  ('arguments', 'told'),
  [
    ({'sigma_rel': 0.3}, r'--sigma-rel: given 0.3, valid: above 0, at most 0.2887'),
    ({'sigma_rel': 0.0}, r'--sigma-rel: given 0.0'),
    ({'length_kimg': 0.3}, r'--kimg: given 0.3, valid: above 0, at most 0.1848'),
    ({}, r'--sigma-rel: given None, valid: a relative width, or else --kimg'),
    ({'sigma_rel': 0.1, 'length_kimg': 0.1}, r'or else --kimg'),
    ({'sigma_rel': 0.1, 'step': 41}, r'--step: given 41, valid: a step from 1 to 40'),
  ],
)
def test_what_cannot_be_asked_for(trained, arguments, told):
  with pytest.raises(ConfigError, match=told):
    posthoc.synthesize(trained[0], **arguments)


def test_nothing_stored_and_damaged_files(trained, tmp_path):
  with pytest.raises(CheckpointError, match='no stored averages'):
    posthoc.synthesize(tmp_path, 0.1)
  posthoc.store(tmp_path, trained[2], {'p05': 0.05}, 'run')
  file = posthoc.stored(tmp_path)[40]
  file.write_bytes(file.read_bytes()[:-100])
  with pytest.raises(CheckpointError, match=f'{file}: no averages can be read'):
    posthoc.synthesize(tmp_path, 0.1)


# The training and the commands.


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  """A run of 24 steps with averages stored by 8: its experiment and workdir."""
  folder = tmp_path_factory.mktemp('run')
  fields = ROWS | {'steps': 24, 'save_every': 12, 'ema': POWERS, 'ema_snapshot_every': 8, 'log_every': 4}
  path = experiment(folder, fields)
  train(configs.load(str(path)), folder / 'whole', progress=False)
  return path, folder / 'whole'


def contents(workdir):
  found = {}
  for step, path in posthoc.stored(workdir).items():
    arrays, about = posthoc.read(path, ('ema/', 'extras/'))
    found[step] = {name: array.tobytes() for name, array in arrays.items()} | {'images': about['images']}
  return found


def test_a_broken_run_stores_what_an_unbroken_one_does(run, monkeypatch):
  """Continued from step 12 with what came after it still there, from another training."""
  path, whole = run
  assert list(contents(whole)) == [8, 16, 24]
  assert command(monkeypatch, 'train', '--config', path, '--workdir', 'broken', '--config.steps=12') == 0
  assert list(contents('broken')) == [8, 12]  # 12 was its end
  other = posthoc.stored(whole)[24].read_bytes()
  for step in (16, 20):
    (Path('broken/ema') / f'{step}.npz').write_bytes(other)
  assert command(monkeypatch, 'train', '--config', path, '--workdir', 'broken') == 0
  found = contents('broken')
  assert list(found) == [8, 12, 16, 24]
  assert {step: found[step] for step in (8, 16, 24)} == contents(whole)


def test_command_and_sampling(run, monkeypatch, capsys):
  _, workdir = run
  sample = ['sample', '--workdir', workdir, '--num', 8, '--out', 'a.npz']
  assert command(monkeypatch, 'ema', '--workdir', workdir, '--sigma-rel', 0.15, '--out', 'made.npz') == 0
  told = capsys.readouterr().out
  assert re.match(r'made.npz: sigma_rel 0.15 \(0.0576 kimg\), step 24, profile within 0.\d+ of the exact one', told), (
    told
  )
  rows = {}
  for name in ('made.npz', 'p05', 'p10', 'none', None):
    assert command(monkeypatch, *sample, *(['--ema', name] if name else [])) == 0
    rows[name] = np.load('a.npz')['row']
    assert read_provenance('a.npz')['average'] == (name or 'p05')
  np.testing.assert_array_equal(rows[None], rows['p05'])
  assert len({rows[name].tobytes() for name in ('made.npz', 'p05', 'p10', 'none')}) == 4
  trained = with_average(load(workdir), 'made.npz')
  assert tiny.difference(trained.state.ema['made.npz'], posthoc.synthesize(workdir, 0.15).params) == 0
  assert command(monkeypatch, 'evaluate', '--workdir', workdir, '--num', 50, '--ema', 'p10') == 0
  assert json.loads((workdir / 'evaluation.json').read_text())[-1]['protocol']['fake']['average'] == 'p10'


def test_averages_that_are_not_there(run, monkeypatch, capsys, tmp_path):
  sample = ['sample', '--workdir', run[1], '--out', 'a.npz', '--ema']
  assert command(monkeypatch, *sample, 'p50') == 2
  assert "--ema: given 'p50', valid: none, p05, p10, or a file .npz" in capsys.readouterr().err
  assert command(monkeypatch, *sample, 'absent.npz') == 4
  assert 'absent.npz: no averages can be read from it' in capsys.readouterr().err
  posthoc.write(tmp_path / 'other.npz', {'params': {'g': {'hidden0': {'kernel': np.zeros((3, 9))}}}}, {})
  assert command(monkeypatch, *sample, tmp_path / 'other.npz') == 4
  assert 'does not fit' in capsys.readouterr().err


def test_nothing_to_store():
  with pytest.raises(ConfigError, match=r'ema_snapshot_every: given 5, valid: 0, or averages to store'):
    check.check(tiny.complete(ema_snapshot_every=5, ema__main__decay=0.9), tiny.ROWS, 1)
