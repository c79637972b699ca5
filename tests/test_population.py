"""A population's members are the lone runs of their configs, and each can be looked at alone."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from running import ROWS, command, experiment, metrics_of

from ganjax import assemble, fields, images, parallel, population, sample, snapshot
from ganjax.config import experiments, fingerprint, load
from ganjax.curves import read, read_members
from ganjax.data.feed import open_feed
from ganjax.data.sources import open_source
from ganjax.data.spec import Spec, in_memory
from ganjax.errors import ConfigError, TrainingError
from ganjax.images import read_provenance
from ganjax.log import Log
from ganjax.record import NotFinite, Record
from ganjax.summary import summary
from ganjax.train import train


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
  """They take most of the time of a training this small, and are tested elsewhere."""
  monkeypatch.setattr(Log, 'curves', lambda self: None)
  monkeypatch.setattr(images, 'scatter', lambda *_: np.zeros((2, 2, 3), np.uint8))


def played(config, steps):
  """State and metrics by step, without the loop."""
  setup = assemble.assemble(config)
  state, seen = parallel.place(setup.initial(), setup.mesh), []
  for n in range(0, steps, config.steps_per_call):
    state, metrics = setup.play(n, state, assemble.payload(setup, n))
    seen += parallel.unstack(metrics)
  return jax.device_get(parallel.local(state)), seen


def assert_members_are_lone_runs(config, steps, tolerance=2e-5, members=None):
  whole, seen = played(config, steps)
  for m, own in enumerate(fields.members(config)):
    if members is not None and m not in members:
      continue
    lone, alone = played(own, steps)
    view = population.view(whole, m)
    assert jax.tree.structure(view) == jax.tree.structure(lone)
    assert tiny.difference(view, lone) < tolerance, m
    for one, other in zip(seen, alone, strict=True):
      assert {name: value[m] for name, value in one.items()} == pytest.approx(other, rel=1e-3, abs=1e-4)
  return whole


def test_members_are_lone_runs():
  """Seeds and hyperparameters side by side; a lazy turn, a schedule, an average, drawn data, several steps a call."""
  config = tiny.complete(
    population={'seeds': (3, 4, 3), 'd_r1_gamma': (0.1, 5.0, 5.0), 'g_learning_rate': (1e-2, 1e-3, 1e-3)}, devices=1,
    terms__d__r1__every=2, ema__main__halflife_kimg=0.05, schedule__g_learning_rate__over_kimg=0.1, steps_per_call=2,
  )  # fmt: skip
  whole = assert_members_are_lone_runs(config, 4, members=(0, 1))
  assert whole.step.tolist() == [4, 4, 4]
  first, second, third = (population.view(whole, m).params for m in range(3))
  assert tiny.difference(second, third) > 1e-2
  assert tiny.difference(first, third) > 1e-2


def test_the_numbers_of_schedules():
  config = tiny.complete(
    schedule__g_learning_rate__over_kimg=2.0, schedule__d_b1__over_kimg=1.0,
    population={'g_learning_rate_end': (0.0, 0.5), 'd_b1_start_kimg': (0.0, 0.5)},
  )  # fmt: skip
  own = fields.members(config)
  hyper = population.joined(config.population, [fields.hyper(one) for one in own])
  at = lambda hyper: tiny.game(config)[2].schedule(hyper, jnp.int32(1000))  # noqa: E731
  found = jax.vmap(at)(hyper)
  for m, one in enumerate(own):
    alone = tiny.game(one)[2].schedule(population.joined({}, [fields.hyper(one)]), jnp.int32(1000))
    for name in alone:
      assert float(found[name][m]) == pytest.approx(float(alone[name]))
  assert found['g_learning_rate'].tolist() == pytest.approx([0.005, 0.255])
  assert found['d_b1'].tolist() == pytest.approx([0, 0.25])


@pytest.mark.parametrize('how', [pytest.param('jit', marks=pytest.mark.slow), 'pmap'])
def test_members_are_lone_runs_on_several_devices(how):
  config = tiny.complete(population__seeds=(0, 1), devices=2, parallel=how)
  assert_members_are_lone_runs(config, 3, members=(1,))


@pytest.mark.slow
def test_members_are_lone_runs_with_convolutions():
  """Plain descent: Adam would turn the rounding of a zero gradient into steps of the full rate."""
  sgd = {
    f'optimizer__{player}__{name}': value
    for player in 'gd'
    for name, value in {'name': 'sgd', 'learning_rate': 0.01}.items()
  }
  config = tiny.images(population={'seeds': (0, 1)}, devices=1, data__flip=True, steps_per_call=2, **sgd)
  assert_members_are_lone_runs(config, 4)


def pictures() -> object:
  """A source in memory whose images tell their number."""
  image = np.arange(50, dtype=np.uint8).reshape(-1, 1, 1, 1) * np.ones((1, 2, 2, 1), np.uint8)
  return in_memory(Spec('image', (2, 2, 1), count=50, name='arrays'), {'image': image})


@pytest.mark.parametrize('source', [pictures, lambda: open_source(tiny.complete().data)])
def test_each_member_has_its_own_order(source):
  seeds, positions, rows = (5, 6, 2**31 - 1), jnp.arange(3) + 4, jnp.arange(8)
  feed = open_feed(source(), batch=8, seed=seeds)
  read = jax.jit(jax.vmap(feed.read, (feed.axes, None, None)))(feed.payload(0, ()), positions, rows)
  for m, seed in enumerate(seeds):
    alone = open_feed(source(), batch=8, seed=seed)
    expected = jax.jit(alone.read)(alone.payload(0, ()), positions, rows)
    for name, x in expected.items():
      np.testing.assert_allclose(read[name][m], x, atol=1e-6)


def test_streamed_data_have_one_seed():
  with pytest.raises(ConfigError, match=r'config.population.seeds: given \(0, 1\), valid: one seed: .*data.resident'):
    open_feed(pictures(), batch=8, seed=(0, 1), resident=False)
  feed = open_feed(pictures(), batch=8, seed=(7, 7), resident=False)
  alone = open_feed(pictures(), batch=8, seed=7, resident=False)
  assert feed.axes is None
  np.testing.assert_array_equal(feed.payload(3, [1])[0]['image'], alone.payload(3, [1])[0]['image'])
  feed.close()
  alone.close()


def test_streamed_data_are_shared(tmp_path):
  np.savez(tmp_path / 'rows.npz', x=np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32))
  config = fields.complete(
    ROWS | {'data': {'name': 'arrays', 'path': str(tmp_path / 'rows.npz'), 'resident': 'no'}},
    {'population.d_learning_rate': (1e-3, 1e-2), 'steps_per_call': 2},
  )
  assert_members_are_lone_runs(config, 4, members=(1,))


@pytest.mark.slow
@pytest.mark.parametrize('name', [name for name in experiments() if 'cifar' not in name])
def test_any_experiment_can_be_a_population(name):
  """Its step traces, to a state of the same shapes."""
  setup = assemble.assemble(load(f'{name}:smoke', {'population.seeds': (0, 1), 'devices': 1}))
  before = setup.initial.eval_shape()
  after, _ = setup.play.at(0).trace(before, assemble.payload(setup, 0)).out_info
  setup.feed.close()
  shapes = [jax.tree.map(lambda x: (x.shape, x.dtype), tree) for tree in (before, after)]
  assert shapes[0] == shapes[1]


# The command.


@pytest.fixture(scope='module')
def ring(tmp_path_factory):
  """A workdir of the smoke size of the ring, three seeds."""
  workdir = tmp_path_factory.mktemp('runs') / 'ring'
  with pytest.MonkeyPatch.context() as patch:
    words = ('--config.population.seeds=(0,1,2)', '--config.devices=1', '--config.best_metric=eval/reverse_kl')
    assert command(patch, 'train', '--config', 'gan_ring8:smoke', '--workdir', workdir, *words) == 0
  return workdir


def test_train_a_population(ring, tmp_path, monkeypatch):
  lines = metrics_of(ring)
  assert [(line['step'], line['member']) for line in lines] == [(s, m) for s in (20, 40, 40) for m in range(3)]
  assert command(monkeypatch, 'train', '--config', 'gan_ring8:smoke', '--workdir', tmp_path / 'lone', '--config.seed=1',
                 '--config.devices=1') == 0  # fmt: skip
  for line, lone in zip(
    [line for line in lines if line.pop('member') == 1], metrics_of(tmp_path / 'lone'), strict=True
  ):
    assert line == pytest.approx(lone, rel=1e-2, abs=1e-2)
  for m in range(3):
    about = read_provenance(ring / 'samples' / f'member_{m}' / '00000040.png')
    assert (about['member'], about['seed'], about['step']) == (str(m), str(m), '40')
    assert list((ring / 'tensorboard' / f'member_{m}').glob('events.*'))
  told = summary(ring)
  for word in ('by member', 'reverse_kl', '--member 0', 'samples/member_0/00000040.png'):
    assert word in told


def test_sample_and_evaluate_a_member(ring, tmp_path, monkeypatch, capsys):
  drawn = []
  for m in (0, 1):
    out = tmp_path / f'{m}.npz'
    assert command(monkeypatch, 'sample', '--workdir', ring, '--member', m, '--num', 9, '--out', out) == 0
    assert read_provenance(out)['member'] == str(m)
    drawn.append(np.load(out)['row'])
  assert abs(drawn[0] - drawn[1]).max() > 1e-3
  assert command(monkeypatch, 'evaluate', '--workdir', ring, '--num', 50, '--member', 2) == 0
  assert command(monkeypatch, 'evaluate', '--workdir', ring, '--num', 50) == 0
  assert [entry['member'] for entry in json.loads((ring / 'evaluation.json').read_text())] == [2, 0, 1, 2]
  assert 'step 40, member 2' in capsys.readouterr().out
  trained = sample.load(ring, member=2)
  assert trained.state.step.shape == ()
  assert trained.config.seed == 2
  for member in (None, 3, -1):
    with pytest.raises(ConfigError, match=r'--member: given .*, valid: the number of a member \(0: seed 0; 1: seed 1'):
      sample.load(ring, member=member)


def test_curves_of_members(ring):
  members = read_members(ring)
  assert list(members) == [0, 1, 2]
  mean = read(ring)['d/loss']
  assert mean[0].tolist() == [640, 1280]
  np.testing.assert_allclose(mean[1], np.mean([own['d/loss'][1] for own in members.values()], 0))


def stacked(workdir):
  """Every array of a population's checkpoint, as bytes."""
  return {path: data.tobytes() for path, (data, _) in snapshot.snapshot(sample.load_all(workdir).state).items()}


def test_resume_to_the_bit(tmp_path, monkeypatch):
  given = ROWS | {'population': {'seeds': (0, 1), 'grid': True, 'd_b1': (0.0, 0.5)}, 'log_every': 15}
  path = experiment(tmp_path, given)
  whole, parts = tmp_path / 'whole', tmp_path / 'parts'
  assert command(monkeypatch, 'train', '--config', path, '--workdir', whole) == 0
  for steps in (20, 40):
    assert command(monkeypatch, 'train', '--config', path, '--workdir', parts, f'--config.steps={steps}') == 0
  assert stacked(whole) == stacked(parts)
  kept = [line for line in metrics_of(parts) if line['step'] != 20]  # the shorter run ended, and was measured, there
  assert kept == metrics_of(whole)
  loaded = sample.load_all(whole)
  assert [sample.of_member(loaded, m).config.seed for m in range(4)] == [0, 1, 0, 1]
  assert loaded.state.hyper['d_b1'].tolist() == [0, 0, 0.5, 0.5]


DIVERGES = ROWS | {'loss': {'name': 'wasserstein'}, 'optimizer': {player: {'name': 'sgd'} for player in 'gd'},
                   'population': {'d_learning_rate': (1e-3, 2e9, 1e-3), 'seeds': (0, 1, 2)}}  # fmt: skip


def test_a_member_that_diverges_can_be_dropped(tmp_path, caplog):
  config = fields.complete(DIVERGES, {'on_nan': 'drop'})
  whole = jax.device_get(train(config, tmp_path, progress=False))
  assert 'member 1 (d_learning_rate 2e+09, seed 1)' in caplog.text
  assert 'the other members go on' in caplog.text
  assert {line['member'] for line in metrics_of(tmp_path)} == {0, 2}
  assert (tmp_path / 'samples' / 'member_2').exists()
  assert not (tmp_path / 'samples' / 'member_1').exists()
  finite = [all(np.isfinite(x).all() for x in jax.tree.leaves(population.view(whole, m).params)) for m in range(3)]
  assert finite == [True, False, True]


def test_the_last_member_is_not_dropped():
  config = fields.complete(
    DIVERGES, {'on_nan': 'drop', 'population.seeds': (0, 1), 'population.d_learning_rate': (1, 1)}
  )
  record = Record(tiny.game(tiny.complete())[1], config, {})
  assert list(record.settle(0, {'d/loss': np.array([1.0, np.nan])}, 0)) == []
  assert record.lost == {1}
  with pytest.raises(NotFinite, match=r'step 2: member 0 .* loss of player d is nan'):
    list(record.settle(1, {'d/loss': np.array([np.inf - np.inf, np.nan])}, 0))


def test_rollback_takes_all_members_back(tmp_path):
  config = fields.complete(DIVERGES, {'on_nan': 'rollback', 'max_rollbacks': 1})
  with pytest.raises(
    TrainingError,
    match=r'step \d+: member 1 \(d_learning_rate 2e\+09, seed 1\): \w+ of player \w is .* '
    'after 1 rollbacks; the last good checkpoint is step 0',
  ):
    train(config, tmp_path, progress=False)


def test_the_best_member_speaks_for_a_checkpoint():
  found = [{'eval/x': 2.0, 'eval/y': 1.0}, {'eval/x': math.nan}, {'eval/x': 1.0, 'eval/y': 5.0}]
  assert population.best(found, 'eval/x', 'min') == found[2]
  assert population.best(found, 'eval/x', 'max') == found[0]
  assert population.best(found, None, 'min') == {}
  assert population.best(found[1:2], 'eval/x', 'min') == found[1]
  assert population.best([], 'eval/x', 'min') == {}


# The config.


def test_combinations():
  assert population.combinations({}) == []
  assert population.combinations({'seeds': (1, 2), 'd_b1': (0.0, 0.5)}) == [
    {'d_b1': 0.0, 'seeds': 1}, {'d_b1': 0.5, 'seeds': 2},
  ]  # fmt: skip
  grid = population.combinations({'grid': True, 'seeds': (1, 2), 'd_b1': (0.0, 0.5, 0.9)})
  assert [(own['d_b1'], own['seeds']) for own in grid] == [(b, s) for b in (0.0, 0.5, 0.9) for s in (1, 2)]


def test_a_member_has_the_hash_of_its_lone_run():
  config = tiny.complete(population={'seeds': (0, 7)}, terms__d__r1__gamma=2.0)
  assert fingerprint(fields.members(config)[1]) == fingerprint(tiny.complete(seed=7, terms__d__r1__gamma=2.0))
  assert fields.members(tiny.complete()) == [tiny.complete()]
  assert fields.complete(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
  ('given', 'words'),
  [
    ({'seed': (0, 1)}, ('config.population.seed:', "did you mean 'seeds'")),
    ({'d_learning_rat': (1, 2)}, ('config.population.d_learning_rat', "did you mean 'd_learning_rate'")),
    ({'latent_dim': (1, 2)}, ('config.population.latent_dim', 'lists by name: seeds')),
    ({'seeds': 3}, ('config.population.seeds', 'given 3', 'a list')),
    ({'seeds': ()}, ('config.population.seeds', 'a list')),
    ({'seeds': (0, 1.5)}, ('config.population.seeds', 'given 1.5', 'whole number')),
    ({'seeds': (0, -1)}, ('config.population.seeds', 'given -1')),
    ({'d_b1': (0.5, 1.0)}, ('config.population.d_b1', 'given 1.0', 'below 1')),
    ({'seeds': (0, 1, 2), 'd_b1': (0, 0.5)}, ('config.population.d_b1', '3; or grid=true')),
    ({'grid': True}, ('config.population.grid', 'lists to cross')),
    ({'grid': 3, 'seeds': (0,)}, ('config.population.grid', 'given 3')),
    (7, ('config.population', 'a section')),
  ],
)  # fmt: skip
def test_refusals(given, words):
  with pytest.raises(ConfigError) as caught:
    tiny.complete(population=given)
  for word in words:
    assert word in str(caught.value)


@pytest.mark.parametrize(
  ('now', 'before', 'words'),
  [
    ({'seeds': (0, 1, 2)}, {'seeds': [0, 1], 'grid': False}, ('given .3 members', 'the 2 members')),
    ({'seeds': (0, 1, 2)}, {}, ('given .3 members', 'a lone run')),
    ({}, {'seeds': [0, 1], 'grid': False}, ('given None', 'the 2 members')),
  ],
)
def test_members_can_not_be_added(now, before, words):
  with pytest.raises(ConfigError, match=r'config\.population: ' + '.*'.join(words)):
    population.check_size(now, before)
  population.check_size(before, before)


def test_only_a_population_drops():
  with pytest.raises(ConfigError, match=r'config\.on_nan'):
    tiny.complete(on_nan='drop')


def test_a_lone_run_has_no_members():
  with pytest.raises(ConfigError, match='this run is no population'):
    population.chosen({}, 0)
