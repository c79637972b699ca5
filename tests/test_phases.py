"""Trainings in phases: what changes when, that nothing is lost between, and that a broken one goes on as it was."""

import shutil

import jax
import numpy as np
import pytest
import tiny
from running import ROWS, state_of

from ganjax import config as configs
from ganjax import fields
from ganjax import state as states
from ganjax.data.digits import digits
from ganjax.data.mixture import mixture
from ganjax.data.select import selected
from ganjax.errors import ConfigError, DataError
from ganjax.sample import load
from ganjax.train import train

CHANGES = (
  {'until': 8, 'loss.name': 'lsgan'},
  {'until': 16, 'terms.d.r1.gamma': 0.5, 'terms.d.r1.every': 2, 'n_critic': 2},
)
GROWS = ({'until': 8, 'discriminator.hidden': (8,), 'optimizer.g.learning_rate': 1e-3},)


def config(phases=(), **more):
  return configs.complete(ROWS | {'steps': 24, 'log_every': 3, 'save_every': 0, 'phases': phases}, more)


def same(a, b):
  a, b = state_of(a), state_of(b)
  return a.keys() == b.keys() and not [path for path in a if a[path].tobytes() != b[path].tobytes()]


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
  """An unbroken run of two phases, and its first phase as a run of its own."""
  folder = tmp_path_factory.mktemp('runs')
  train(config(CHANGES[:1]), folder / 'whole', progress=False)
  train(fields.phases(config(CHANGES[:1]))[0], folder / 'first', progress=False)
  return folder


def test_phases_as_configs():
  first, second, last = fields.phases(config(CHANGES))
  assert (first.loss.name, first.steps, first.n_critic) == ('lsgan', 8, 1)
  assert (second.loss.name, second.steps, second.n_critic, second.terms.d.r1.every) == ('non_saturating', 16, 2, 2)
  assert (last.loss.name, last.steps, dict(last.terms), last.phases) == ('non_saturating', 24, {}, ())
  assert [phase.steps for phase in fields.phases(config(CHANGES, steps=12))] == [8, 12]
  alone = config()
  assert fields.phases(alone) == [alone]
  assert configs.complete(config(CHANGES).to_dict()) == config(CHANGES)


@pytest.mark.parametrize(
  ('phases', 'told'),
  [
    (({'loss.name': 'hinge'},), r'config.phases\[0\].until: given None'),
    (({'until': 8}, {'until': 8}), r'phases\[1\].until: given 8, valid: a step after 8'),
    (({'until': 8, 'loss.name': 'hing'},), r"phases\[0\].loss.name: given 'hing', .*; did you mean 'hinge'"),
    (({'until': 8}, {'until': 9, 'batch_size': 8}), r'phases\[1\].batch_size: given 8, valid: anything but'),
    (({'until': 8, 'terms.d.r1.gama': 1.0},), r"phases\[0\].terms.d.r1.gama: .*; did you mean 'gamma'"),
    ('hinge', r"phases: given 'hinge', valid: a list"),
  ],
)
def test_phases_that_cannot_be(phases, told):
  with pytest.raises(ConfigError, match=told):
    config(phases)


@pytest.mark.parametrize(
  ('phases', 'told'),
  [
    (
      ({'until': 8}, {'until': 16, 'augment.name': 'ada'}),
      r"phases\[1\].augment.name: given 'ada'",
    ),  # not the one that begins
    (({'until': 8, 'data.labels': (9,)},), r'phases\[0\].data.labels: given \(9,\), valid: nothing'),
  ],
)
def test_what_does_not_fit_is_refused_before_training(phases, told, tmp_path):
  with pytest.raises(ConfigError, match=told):
    train(config(phases), tmp_path / 'run', progress=False)
  assert not (tmp_path / 'run' / 'metrics.jsonl').exists()


def test_phases_are_runs_one_after_the_other(runs, tmp_path):
  """The second phase as a run of its own that adopts what the first left."""
  shutil.copytree(runs / 'first', tmp_path / 'run')
  train(fields.phases(config(CHANGES[:1]))[1], tmp_path / 'run', adopt=True, progress=False)
  assert same(runs / 'whole', tmp_path / 'run')


def test_a_broken_run_goes_on_in_its_phase(runs, tmp_path):
  """Broken where the second phase begins, and within it."""
  shutil.copytree(runs / 'first', tmp_path / 'run')
  train(config(CHANGES[:1], steps=12), tmp_path / 'run', progress=False)
  train(config(CHANGES[:1]), tmp_path / 'run', progress=False)
  assert same(runs / 'whole', tmp_path / 'run')


@pytest.mark.slow
@pytest.mark.parametrize('stops', [(4, 8), (12, 16, 20)])
def test_three_phases_with_other_turns(tmp_path, stops):
  train(config(CHANGES), tmp_path / 'whole', progress=False)
  for stop in (*stops, 24):
    train(config(CHANGES, steps=stop), tmp_path / 'broken', progress=False)
  assert same(tmp_path / 'whole', tmp_path / 'broken')


@pytest.mark.slow
def test_growing(tmp_path):
  """G goes on whole, at another rate; D keeps the layer that is still there, and its optimiser starts anew."""
  whole = config(GROWS, **{'discriminator.hidden': (8, 8)})
  train(fields.phases(whole)[0], tmp_path / 'run', progress=False)
  before = load(tmp_path / 'run').state
  assert float(before.hyper['g_learning_rate']) == pytest.approx(1e-3)
  train(whole, tmp_path / 'run', progress=False)
  after = load(tmp_path / 'run').state
  assert float(after.hyper['g_learning_rate']) == pytest.approx(2e-4)
  counts = {player: max(int(x) for x in jax.tree.leaves(after.opt[player]) if x.dtype == np.int32) for player in 'gd'}
  assert counts == {'g': 24, 'd': 16}
  assert tiny.difference(after.params['d']['hidden0'], before.params['d']['hidden0']) < 16 * 1e-3
  train(whole, tmp_path / 'unbroken', progress=False)
  assert same(tmp_path / 'unbroken', tmp_path / 'run')


def test_adopt_keeps_an_optimiser_only_whole():
  old, _ = tiny.play(tiny.complete(), 2)
  wider = tiny.complete(generator__hidden=(8, 8))
  new = tiny.initial(wider, *tiny.game(wider))
  merged = states.adopt(new, old)
  assert tiny.difference(merged.opt['g'], new.opt['g']) == 0
  assert tiny.difference(merged.opt['d'], old.opt['d']) == 0


# What a phase may change of the data.


def test_subsets_by_label():
  source = digits()
  few = selected(source, labels=(3, 7))
  assert set(few.get(np.arange(len(few)))['label']) == {3, 7}
  assert len(few) == int(np.isin(source.arrays['label'], (3, 7)).sum())
  assert (few.spec.classes, few.spec.count) == (10, len(few))


def test_the_easiest_examples(tmp_path):
  source = digits()
  scores = np.random.default_rng(0).normal(size=len(source))
  np.save(tmp_path / 'scores.npy', scores)
  half = selected(source, scores=str(tmp_path / 'scores.npy'), easiest=0.5)
  rows = np.flatnonzero(scores <= np.sort(scores)[len(source) // 2 - 1])
  np.testing.assert_array_equal(half.arrays['image'], source.arrays['image'][rows])
  both = selected(source, labels=(3,), scores=str(tmp_path / 'scores.npy'), easiest=0.5)
  threes = np.flatnonzero(source.arrays['label'] == 3)
  assert len(both) == round(len(threes) / 2)
  assert set(both.arrays['label']) == {3}


def test_blur_keeps_means_and_takes_detail():
  source = digits(resolution=16)
  soft = selected(source, blur=1.5)
  a, b = (x.get(np.arange(50))['image'].astype(float) for x in (source, soft))
  assert b.dtype == a.dtype
  assert soft.get(np.arange(2))['image'].dtype == np.uint8
  assert abs(a.mean() - b.mean()) < 1
  assert np.abs(np.diff(b, axis=1)).mean() < 0.6 * np.abs(np.diff(a, axis=1)).mean()
  np.testing.assert_array_equal(soft.arrays['image'][:50], b)


@pytest.mark.parametrize(
  ('options', 'told'),
  [
    ({'labels': (10,)}, r'data.labels: given 10, valid: labels from 0 to 9'),
    ({'easiest': 0.5}, r'data.easiest: given 0.5'),
    ({'scores': 'absent.npy', 'easiest': 0.5}, r'absent.npy: no .npy file of scores'),
    ({'scores': 'short.npy', 'easiest': 0.5}, r'short.npy: scores of shape \(3,\), valid: 1500 finite numbers'),
    ({'scores': 'short.npy', 'easiest': 0.0}, r'data.easiest: given 0.0'),
  ],
)
def test_selections_that_cannot_be(options, told):
  np.save('short.npy', np.zeros(3))
  with pytest.raises((ConfigError, DataError), match=told):
    selected(digits(), **options)
  for fine in ({'labels': (1,)}, {'blur': 1.0}):
    with pytest.raises(ConfigError, match='data'):
      selected(mixture(), **fine)
