"""CycleGAN: the pool against a plain simulation, losses by hand, who moves, devices, resuming with the pool."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from PIL import Image
from running import command, state_of
from test_pix2pix import batch, begin, play

from ganjax import config as configs
from ganjax import images
from ganjax.check import check
from ganjax.data.spec import Spec
from ganjax.errors import ConfigError, DataError
from ganjax.ops.pool import empty, exchanged
from ganjax.sample import averaged, load
from ganjax.step import make_step
from ganjax.train import train
from ganjax.translate import translate

SPEC = Spec('image', (8, 8, 2), name='domains', source=(8, 8, 2))
FIELDS = {
  'game': 'cyclegan', 'data': {'name': 'digit_pairs', 'resolution': 8}, 'batch_size': 4, 'play': {'pool_size': 6},
  'generator': {'name': 'resnet_translator', 'width': 2, 'blocks': 0},
  'discriminator': {'name': 'patchgan', 'width': 2, 'depth': 1, 'norm': 'instance'}, 'loss': {'name': 'lsgan'},
}  # fmt: skip


def config(**fields):
  return configs.complete(FIELDS, {name.replace('__', '.'): value for name, value in fields.items()})


def simulated(key, rows, kept, size, images):
  """The pool in plain Python."""
  shown = []
  for row, image in zip(rows, images, strict=True):
    own = jax.random.fold_in(key, int(row))
    if len(kept) < size:
      kept.append(image)
      shown.append(image)
    elif jax.random.bernoulli(jax.random.fold_in(own, 0)):
      slot = int(jax.random.randint(jax.random.fold_in(own, 1), (), 0, size))
      shown.append(kept[slot])
      kept[slot] = image
    else:
      shown.append(image)
  return shown


def test_pool_is_the_plain_one():
  pool, kept, swapped = empty(5, (2, 1, 1)), [], 0
  step = jax.jit(exchanged)
  rows = np.arange(3)
  for n in range(12):
    key = jax.random.key(n)
    images = np.arange(3 * n, 3 * n + 3, dtype=np.float32)[:, None, None, None] * np.ones((1, 2, 1, 1), np.float32)
    shown, pool = step(key, rows, pool, images)
    np.testing.assert_array_equal(shown, simulated(key, rows, kept, 5, images))
    np.testing.assert_array_equal(pool['images'][: len(kept)], kept)
    assert pool['count'] == len(kept)
    swapped += int((np.asarray(shown) != images).any((1, 2, 3)).sum())
  assert 8 < swapped < 23  # of 31 images that came to a full pool
  shown, same = exchanged(key, rows, empty(0, (2, 1, 1)), images)
  assert shown is images
  assert same['count'] == 0


@pytest.mark.slow
def test_losses_by_hand():
  own = config(play__cycle_weight=8.0, play__identity_weight=0.25, play__gan_weight=2.0)
  game, rules, now = begin(own, SPEC)
  after, seen = jax.jit(make_step(game, rules))(now, batch(0, 4, SPEC))
  g, d = configs.generator(own, SPEC), configs.discriminator(own, SPEC, 1, {})
  through = lambda net, player, x: net.apply({'params': now.params[player]}, x)  # noqa: E731
  a, b = batch(0, 4, SPEC)['source'][0], batch(0, 4, SPEC)['image'][0]
  fake_b, fake_a = through(g, 'g_ab', a), through(g, 'g_ba', b)
  gan = ((through(d, 'd_b', fake_b) - 1) ** 2 + (through(d, 'd_a', fake_a) - 1) ** 2).mean() / 2
  cycle = abs(through(g, 'g_ba', fake_b) - a).mean() + abs(through(g, 'g_ab', fake_a) - b).mean()
  identity = abs(through(g, 'g_ab', b) - b).mean() + abs(through(g, 'g_ba', a) - a).mean()
  np.testing.assert_allclose(seen['g/loss'], 2 * gan + 8 * cycle + 8 * 0.25 * identity, rtol=1e-5)
  # The discriminators see what the generators made before they moved, halved.
  for player, real, fake in (('d_b', b, fake_b), ('d_a', a, fake_a)):
    by_hand = ((through(d, player, real) - 1) ** 2 + through(d, player, fake) ** 2).mean() / 2
    np.testing.assert_allclose(seen[f'{player}/loss'], by_hand / 2, rtol=1e-5)
  np.testing.assert_allclose(after.extras['shown']['b'], fake_b, atol=1e-6)


@pytest.mark.slow
def test_generators_move_together_and_then_discriminators():
  game, rules, now = begin(config(), SPEC)
  for due, movers in (((0,), {'g_ab', 'g_ba'}), ((1,), {'d_a', 'd_b'})):
    after, _ = jax.jit(make_step(game, rules, due=due))(now, batch(0, 4, SPEC))
    assert {p for p in now.params if tiny.difference(now.params[p], after.params[p]) > 0} == movers


def test_resume_is_exact():
  """With a pool that is full in the second step."""
  own = config(ema__main__halflife_kimg=1.0)
  whole, _ = play(own, 4, spec=SPEC)
  again, _ = play(own, 2, now=play(own, 2, spec=SPEC)[0], first=2, spec=SPEC)
  assert tiny.difference(whole, again) == 0
  assert whole.extras['pool']['a']['count'] == 6
  assert whole.ema['main'].keys() == {'g_ab', 'g_ba'}


@pytest.mark.slow
def test_devices_agree():
  """Fakes of all devices are exchanged."""
  own = config(**{f'optimizer__{p}': {'name': 'sgd', 'learning_rate': 1e-3} for p in ('g_ab', 'g_ba', 'd_a', 'd_b')})
  one, seen = play(own, 4, spec=SPEC)
  many, metrics = play(own, 4, how='pmap', devices=4, spec=SPEC)
  assert tiny.difference((one.params, one.extras), (many.params, many.extras)) < 2e-5
  assert metrics == pytest.approx(seen, rel=1e-3, abs=1e-4)


@pytest.mark.slow
def test_microbatches_fill_what_d_is_shown():
  own = config(play__pool_size=0)
  parts = config(play__pool_size=0, microbatches=2)
  one, other = (play(each, 1, spec=SPEC)[0] for each in (own, parts))
  assert tiny.difference(one.extras['shown'], other.extras['shown']) < 1e-5


def test_both_directions():
  game, _, now = begin(config(), SPEC)
  drawn = game.prior(jax.random.key(0), 3, None)
  made = jax.eval_shape(game.generate, now.params, now.extras, drawn)
  assert made.keys() == {'source', 'image', 'rebuilt', 'target', 'reverse', 'reverse_rebuilt'}
  x = jnp.ones((1, 12, 16, 2))
  assert jax.eval_shape(game.generate, now.params, now.extras, {'target': x})['reverse'].shape == x.shape


def test_domains_of_other_channels():
  spec = Spec('image', (8, 8, 1), name='domains', source=(8, 8, 3))
  with pytest.raises(ConfigError, match=r'play.identity_weight: given 0.5, valid: 0'):
    check(config(), spec, 1)
  check(config(play__identity_weight=0.0), spec, 1)


def trained(folder, steps):
  """A training to so many steps, in a folder."""
  own = {
    **FIELDS, 'data': {'name': 'digit_pairs', 'resolution': 8, 'paired': False}, 'devices': 1, 'steps': steps, 'samples': 6,
    'save_every': 2, 'evaluate_num': 30, 'evaluate_metrics': ('psnr', 'kept'), 'tensorboard': False, 'log_every': 1,
    'ema': {'main': {}},
  }  # fmt: skip
  train(configs.complete(own), folder, progress=False)


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  """A trained run."""
  folder = tmp_path_factory.mktemp('run')
  trained(folder, 4)
  return folder


@pytest.mark.slow
def test_a_run_goes_on_with_its_pool(run, tmp_path):
  trained(tmp_path / 'broken', 2)
  trained(tmp_path / 'broken', 4)
  whole, broken = state_of(run), state_of(tmp_path / 'broken')
  assert any('pool' in path for path in whole)
  assert [path for path in whole if whole[path].tobytes() != broken[path].tobytes()] == []


@pytest.mark.slow
def test_commands(run, tmp_path, monkeypatch):
  """Training shows and measures held-out digits; samples, evaluation and translation of files need the workdir alone."""
  line = json.loads((run / 'metrics.jsonl').read_text().splitlines()[-1])
  assert line.keys() >= {'eval/psnr', 'eval/reverse_psnr', 'eval/as_asked'}
  (sheet,) = (run / 'samples').iterdir()
  assert Image.open(sheet).size[0] > 6 * 64
  assert command(monkeypatch, 'sample', '--workdir', run, '--num', 5, '--out', tmp_path / 'x.npz') == 0
  with np.load(tmp_path / 'x.npz') as found:
    assert found['reverse'].dtype == np.uint8
    assert len(found['target']) == 5
  assert command(monkeypatch, 'evaluate', '--workdir', run, '--num', 297, '--metrics', 'psnr,kept') == 0
  (entry,) = json.loads((run / 'evaluation.json').read_text())
  assert entry['values']['eval/psnr'] > 3
  assert entry['protocol']['fake']['sources'] == 'test'


@pytest.mark.slow
def test_files_of_any_size(run, tmp_path):
  sizes = {'a.png': (8, 8), 'b.jpg': (13, 22), 'deep/c.png': (8, 8)}
  for i, (name, size) in enumerate(sizes.items()):
    (tmp_path / 'in' / name).parent.mkdir(parents=True, exist_ok=True)
    x = np.random.default_rng(i).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(x).save(tmp_path / 'in' / name)
  for direction in ('a_to_b', 'b_to_a'):
    assert '3 pictures' in translate(run, tmp_path / 'in', tmp_path / direction, direction)
    for name, size in sizes.items():
      file = (tmp_path / direction / name).with_suffix('.png')
      assert np.asarray(Image.open(file)).shape == size
      assert images.read_provenance(file)['direction'] == direction
  both = [np.asarray(Image.open(tmp_path / d / 'a.png')) for d in ('a_to_b', 'b_to_a')]
  assert np.abs(both[0].astype(int) - both[1]).max() > 0
  found = load(run)
  grey = np.asarray(Image.open(tmp_path / 'in' / 'a.png').convert('L'), np.float32)[None, ..., None] / 127.5 - 1
  made = found.game.generate(averaged(found.state), found.state.extras, {'source': grey})['image']
  assert np.abs(both[0] - (np.asarray(made)[0, ..., 0] + 1) * 127.5).max() < 0.6
  Image.fromarray(x[:3]).save(tmp_path / 'small.png')
  for given, told in (
    ({'input': tmp_path / 'small.png'}, 'small.png: 8 x 3 pixels, too small'),
    ({'out': tmp_path / 'in'}, 'a.png would be overwritten'),
    ({'direction': 'ab'}, "direction: given 'ab', valid: a_to_b, b_to_a"),
    ({'input': tmp_path / 'none'}, 'no such folder'),
  ):
    with pytest.raises((DataError, ConfigError), match=told):
      translate(run, **{'input': tmp_path / 'in', 'out': tmp_path / 'out'} | given)
