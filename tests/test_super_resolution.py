"""SRGAN and ESRGAN: losses by hand, who moves, devices, phases, what a frozen network sees, pictures of any size."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from conftest import shared
from ml_collections import FrozenConfigDict
from PIL import Image
from running import command, state_of
from test_pix2pix import batch, begin

from ganjax import config as configs
from ganjax import parallel, perceptual
from ganjax.check import check
from ganjax.data.spec import Spec
from ganjax.errors import ConfigError, DataError
from ganjax.sample import load
from ganjax.step import make_step
from ganjax.tiles import tiled
from ganjax.train import train
from ganjax.translate import translate

SPEC = Spec('image', (8, 8, 3), name='super_resolution', source=(4, 4, 3), extra={'counterparts': True, 'scale': 2})
FIELDS = {
  'game': 'super_resolution', 'batch_size': 4, 'data': {'name': 'super_resolution', 'path': 'pictures', 'resolution': 8, 'scale': 2},
  'play': {'perceptual_weight': 0.0, 'gan_weight': 0.5, 'pixel_weight': 2.0}, 'loss': {'name': 'relativistic_average'},
  'generator': {'name': 'msrresnet', 'width': 4, 'blocks': 1, 'scale': 2},
  'discriminator': {'name': 'vgg_style', 'width': 2, 'hidden': 4},
}  # fmt: skip
RUN = {
  'steps': 4,
  'log_every': 2,
  'samples': 2,
  'devices': 1,
  'tensorboard': False,
  'evaluate_num': 2,
  'evaluate_metrics': ('psnr_y',),
}


def config(**fields):
  return configs.complete(FIELDS, {name.replace('__', '.'): value for name, value in fields.items()})


def pictures(folder, *sizes):
  """A folder with pictures of smooth noise."""
  rng = np.random.default_rng(0)
  folder.mkdir(exist_ok=True)
  for i, (width, height) in enumerate(sizes):
    small = Image.fromarray(rng.integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8))
    small.resize((width, height)).save(folder / f'{i}.png')
  return folder


def weights(folder, seed=0):
  """A file like VGG19's of torchvision, of other widths and with random tensors."""
  rng, before, found = np.random.default_rng(seed), 3, {}
  for width, places in zip((3, 4, 5, 4, 6), perceptual.STAGES, strict=True):
    for place in places:
      found[f'features.{place}.weight'] = rng.normal(size=(width, before, 3, 3)).astype(np.float32) / np.sqrt(
        9 * before / 2
      )
      found[f'features.{place}.bias'] = rng.normal(size=width).astype(np.float32) / 10
      before = width
  found['classifier.0.weight'] = np.zeros((2, 2), np.float32)
  np.savez(folder / 'vgg19.npz', **found)
  return folder / 'vgg19.npz', found


@functools.lru_cache(2)
def compiled(own, how, devices):
  game, rules, _ = begin(own, SPEC)
  return parallel.compile(game, rules, parallel.make_mesh(devices), how)


def play(own, steps, how='jit', devices=1, now=None, first=0):
  mesh, program = parallel.make_mesh(devices), compiled(FrozenConfigDict(own), how, devices)
  now = parallel.place(begin(own, SPEC)[2] if now is None else now, mesh)
  for n in range(first, first + steps):
    now, metrics = program(n, now, parallel.shard(jax.device_get(batch(n, 4, SPEC)), mesh, how))
  return jax.device_get(now), parallel.unstack(metrics)[0]


def by_hand(own, now, loss, distance):
  """G's loss and D's, from the networks alone."""
  g, d = configs.generator(own, SPEC), configs.discriminator(own, SPEC, 1, {})
  x, y = batch(0, 4, SPEC)['source'][0], batch(0, 4, SPEC)['image'][0]
  made = g.apply({'params': now.params['g']}, x)
  variables = {'params': now.params['d'], **now.extras['d']}
  judge = lambda image: d.apply(variables, image, train=True, mutable=['batch_stats'])[0]  # noqa: E731
  of_d, of_g = loss(judge(y), judge(made))
  return distance(made - y).mean(), of_g, of_d, made


def average(real, fake):
  """Equations 1 and 2 of the ESRGAN paper."""
  up, down = real - fake.mean(), fake - real.mean()
  log = lambda x: -jnp.log(jax.nn.sigmoid(x)).mean()  # noqa: E731
  return log(up) + log(-down), log(-up) + log(down)


def test_losses_of_esrgan_by_hand():
  own = config(optimizer__g__learning_rate=0.0)
  game, rules, now = begin(own, SPEC)
  after, seen = jax.jit(make_step(game, rules))(now, batch(0, 4, SPEC))
  pixel, of_g, of_d, made = by_hand(own, now, average, lambda x: abs(x) / 2)
  np.testing.assert_allclose(seen['g/loss'], 2 * pixel + 0.5 * of_g, rtol=1e-4)
  np.testing.assert_allclose(seen['d/loss'], of_d, rtol=1e-3)  # D's batch statistics of the turn before don't enter
  np.testing.assert_allclose(after.extras['shown'], made, atol=1e-6)


@pytest.mark.slow
def test_losses_of_srgan_by_hand():
  own = config(loss__name='non_saturating', play__distance='l2')
  game, rules, now = begin(own, SPEC)
  _, seen = jax.jit(make_step(game, rules))(now, batch(0, 4, SPEC))
  cross = lambda r, f: (jax.nn.softplus(-r).mean() + jax.nn.softplus(f).mean(), jax.nn.softplus(-f).mean())  # noqa: E731
  pixel, of_g, of_d, _ = by_hand(own, now, cross, lambda x: x**2 / 4)
  np.testing.assert_allclose(seen['g/loss'], 2 * pixel + 0.5 * of_g, rtol=1e-4)
  np.testing.assert_allclose(seen['d/loss'], of_d, rtol=1e-3)


def test_halves_of_basicsr():
  """Its relativistic losses, recorded, are those of this game at half the weight."""
  with np.load(shared('parity/esrgan.npz')) as stored:
    real, fake = stored['in/real_logits'], stored['in/fake_logits']
    recorded = [stored[f'out/ragan_{name}'] for name in ('D_real', 'D_fake', 'G')]
  of_d, of_g = average(jnp.asarray(real), jnp.asarray(fake))
  pair = configs.loss(config())
  np.testing.assert_allclose(pair.d(real, fake).mean(), of_d, rtol=1e-5)
  np.testing.assert_allclose([of_d / 2, of_g / 2], [recorded[0] + recorded[1], recorded[2]], rtol=1e-5)


@pytest.mark.slow
def test_movers_and_what_they_advance():
  game, rules, now = begin(config(), SPEC)
  for due, mover, moved in (((0,), 'g', {'d', 'shown'}), ((1,), 'd', {'d'})):
    after, _ = jax.jit(make_step(game, rules, due=due))(now, batch(0, 4, SPEC))
    assert {p for p in now.params if tiny.difference(now.params[p], after.params[p]) > 0} == {mover}
    assert {name for name in ('d', 'shown') if tiny.difference(now.extras[name], after.extras[name]) > 0} == moved


def test_before_the_game_d_is_not_there():
  """Without gan_weight, no operation of the step depends on D, and D stays as it is."""
  game, rules, now = begin(config(play__gan_weight=0.0), SPEC)
  assert [turn.players for turn in game.turns] == [('g',)]
  traced = jax.make_jaxpr(make_step(game, rules))(now, batch(0, 4, SPEC))
  leaves = jax.tree.unflatten(jax.tree.structure((now, batch(0, 4, SPEC))), traced.jaxpr.invars)[0].params['d']
  used = {id(v) for equation in traced.jaxpr.eqns for v in equation.invars}
  assert not used & {id(v) for v in jax.tree.leaves(leaves)}
  assert 'shown' not in now.extras


@pytest.mark.slow
def test_resume_is_exact():
  own = config()
  again, _ = play(own, 1, now=play(own, 1)[0], first=1)
  assert tiny.difference(play(own, 2)[0], again) == 0


@pytest.mark.slow
def test_devices_agree():
  """Relativistic averages and D's statistics are over all devices."""
  own = config(**{f'optimizer__{p}': {'name': 'sgd', 'learning_rate': 1e-3} for p in 'gd'})
  one, seen = play(own, 2)
  many, metrics = play(own, 2, how='pmap', devices=4)
  assert tiny.difference((one.params, one.extras), (many.params, many.extras)) < 2e-5
  assert metrics == pytest.approx(seen, rel=1e-3, abs=1e-4)


@pytest.mark.slow
def test_a_frozen_vgg_is_torchvisions(tmp_path):
  """Against convolutions by SciPy; it ends before the last activation."""
  from scipy.signal import correlate

  path, tensors = weights(tmp_path)
  image = np.random.default_rng(1).uniform(-1, 1, (1, 16, 16, 3)).astype(np.float32)
  x = ((image[0].transpose(2, 0, 1) + 1) / 2 - np.array([0.485, 0.456, 0.406])[:, None, None]) / np.array(
    [0.229, 0.224, 0.225]
  )[:, None, None]
  for stage, places in enumerate(perceptual.STAGES):
    if stage:
      x = x.reshape(len(x), x.shape[1] // 2, 2, x.shape[2] // 2, 2).max((2, 4))
    for place in places:
      x = np.maximum(x, 0) if place not in (0, *(p[0] for p in perceptual.STAGES)) else x
      wide = np.pad(x, ((0, 0), (1, 1), (1, 1)))
      x = np.stack([correlate(wide, w, 'valid')[0] for w in tensors[f'features.{place}.weight']])
      x += tensors[f'features.{place}.bias'][:, None, None]
      x = x if place == 34 else np.maximum(x, 0)
  found = jax.jit(perceptual.open('vgg19', str(path)))(image)
  np.testing.assert_allclose(found[0].transpose(2, 0, 1), x, atol=1e-4 * abs(x).max())
  assert found.min() < 0


@pytest.mark.slow
def test_perceptual_loss_moves_g_alone_and_keeps_no_weights(tmp_path):
  path, _ = weights(tmp_path)
  spec = Spec('image', (16, 16, 3), name='super_resolution', source=(8, 8, 3))
  own = config(play__perceptual_weight=3.0, play__gan_weight=0.0, play__feature_weights=str(path), data__resolution=16)
  game, rules, now = begin(own, spec)
  after, seen = jax.jit(make_step(game, rules))(now, batch(0, 4, spec))
  x, y = batch(0, 4, spec)['source'][0], batch(0, 4, spec)['image'][0]
  made = configs.generator(own, spec).apply({'params': now.params['g']}, x)
  maps = perceptual.open('vgg19', str(path))
  np.testing.assert_allclose(seen['g/perceptual'], abs(maps(made) - maps(y)).mean(), rtol=1e-4)
  np.testing.assert_allclose(seen['g/loss'], 2 * abs(made - y).mean() / 2 + 3 * seen['g/perceptual'], rtol=1e-4)
  assert after.extras.keys() == {'g', 'd'}
  configs.game(config(play__feature_weights='nowhere.npz', play__perceptual_weight=1.0), SPEC)  # samples need no file


@pytest.mark.parametrize(
  ('fields', 'named'),
  [
    (
      {'play.perceptual_weight': 1.0, 'play.feature_weights': 'nowhere.npz'},
      r'play.feature_weights: given .nowhere.npz',
    ),
    ({'play.perceptual_weight': 1.0, 'play.features': 'vgg'}, 'play.features'),
    ({'play.pixel_weight': 0.0, 'play.gan_weight': 0.0}, 'play.pixel_weight: given 0.0, valid: above 0'),
    ({'generator.scale': 4}, r'generator.scale: given 4, valid: 2, as the data'),
    ({'terms.d.r1.gamma': 1.0}, r'terms\.d'),
    ({'stabilizers.top_k.share': 0.5}, 'stabilizers.top_k'),
    ({'augment.name': 'diffaugment'}, 'augment.name'),
    ({'n_critic': 2}, 'n_critic'),
  ],
)
def test_refusals(fields, named):
  with pytest.raises(ConfigError, match=named):
    check(configs.complete(config().to_dict(), fields), SPEC, 1)


def test_damaged_weights_and_other_data_are_refused(tmp_path):
  (tmp_path / 'damaged.npz').write_bytes(b'PK')
  with pytest.raises(
    ConfigError, match=r"play.feature_weights: given '.*damaged.npz', valid: a file with torchvision's vgg19"
  ):
    check(config(play__perceptual_weight=1.0, play__feature_weights=str(tmp_path / 'damaged.npz')), SPEC, 1)
  with pytest.raises(ConfigError, match=r"data.name: given 'digits', valid: data with images at two sizes"):
    check(config(data__name='digits'), tiny.IMAGES, 1)


@pytest.mark.slow
def test_pretraining_as_a_phase_is_resumed_exactly(tmp_path, monkeypatch):
  """The command trains G alone, then both; broken in each phase, it ends in the same state, frozen network and all."""
  path, _ = weights(tmp_path)
  spec = {'data': {**FIELDS['data'], 'path': str(pictures(tmp_path / 'pictures', (32, 24))), 'resolution': 16}}
  game = {**FIELDS['play'], 'perceptual_weight': 1.0, 'feature_weights': str(path)}
  first = {'until': 4, 'play.gan_weight': 0.0, 'play.perceptual_weight': 0.0, 'optimizer.g.learning_rate': 1e-3}
  whole = configs.complete(FIELDS | RUN | spec | {'play': game, 'phases': (first,), 'steps': 8})
  train(whole, tmp_path / 'whole', progress=False)
  for stop in (2, 4, 6, 8):
    train(configs.complete(whole, {'steps': stop}), tmp_path / 'broken', progress=False)
  a, b = state_of(tmp_path / 'whole'), state_of(tmp_path / 'broken')
  assert [name for name in a if a[name].tobytes() != b[name].tobytes()] == []
  before, after = (load(tmp_path / 'broken', step).state for step in (4, 8))
  assert 'shown' not in before.extras
  assert tiny.difference(before.params['d'], after.params['d']) > 0
  path.unlink()  # samples need no frozen network
  assert command(monkeypatch, 'sample', '--workdir', tmp_path / 'broken', '--num', 2, '--out', tmp_path / 's.png') == 0


# Pictures of any size.


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  """A training that has barely begun."""
  folder = tmp_path_factory.mktemp('run')
  data = {**FIELDS['data'], 'path': str(pictures(folder / 'pictures', (32, 24), (20, 28)))}
  train(configs.complete(FIELDS | RUN | {'data': data}), folder / 'run', progress=False)
  return folder / 'run'


def test_pictures_come_out_larger_whole_or_in_tiles(run, tmp_path):
  """One residual block, so a pixel sees 6 of the small image: with as much overlap, tiles don't show."""
  folder = pictures(tmp_path / 'small', (37, 52), (5, 4))
  translate(run, folder, tmp_path / 'whole', tile=0)
  translate(run, folder, tmp_path / 'tiles', tile=9, overlap=6)
  translate(run, folder, tmp_path / 'apart', tile=9, overlap=0)
  whole, tiles, apart = ([np.asarray(Image.open(tmp_path / place / f'{i}.png')).astype(int) for i in (0, 1)]
                         for place in ('whole', 'tiles', 'apart'))  # fmt: skip
  assert [x.shape for x in whole] == [(104, 74, 3), (8, 10, 3)]
  assert max(abs(a - b).max() for a, b in zip(whole, tiles, strict=True)) <= 1  # a rounding
  assert np.mean(whole[0] != tiles[0]) < 1e-3
  assert np.mean(whole[0] != apart[0]) > 0.01


@pytest.mark.parametrize(
  ('size', 'tile', 'overlap', 'multiple'), [((16, 24), 5, 3, 1), ((16, 24), 6, 5, 4), ((8, 40), 64, 0, 8)]
)
def test_tiles_cover_an_image_and_see_what_is_around_them(size, tile, overlap, multiple):
  x, seen = np.random.default_rng(0).normal(size=(1, *size, 2)), []

  def run(piece):
    """Sums over what lies up to `overlap` pixels away, at twice the size."""
    seen.append(piece.shape)
    wide = np.pad(piece, ((0, 0), (overlap, overlap), (overlap, overlap), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(wide, (2 * overlap + 1,) * 2, (1, 2)).sum((-1, -2))
    return windows.repeat(2, 1).repeat(2, 2)

  whole = run(x)
  np.testing.assert_allclose(tiled(run, x, tile, overlap, 2, multiple), whole, atol=1e-9)
  assert len(set(seen[1:])) == 1
  assert not [side for side in seen[1][1:3] if side % multiple]


def test_flags_of_tiles(run, tmp_path, monkeypatch, capsys):
  folder = pictures(tmp_path / 'small', (8, 8))
  sample = ('sample', '--workdir', run, '--out', tmp_path / 'out')
  assert command(monkeypatch, *sample, '--input', folder, '--tile', 4, '--overlap', 2) == 0
  assert Image.open(tmp_path / 'out' / '0.png').size == (16, 16)
  for flags, told in (
    (('--input', folder, '--tile', '-1'), '--tile: given -1'), (('--tile', '4'), '--tile: given 4, valid: nothing without'),
    (('--input', folder, '--tile', '0', '--overlap', '4'), '--overlap: given 4, valid: nothing with --tile 0'),
  ):  # fmt: skip
    assert command(monkeypatch, *sample, *flags) == 2
    assert told in capsys.readouterr().err


@pytest.mark.slow
def test_what_no_network_takes_is_named(tmp_path):
  """RRDB at a scale of 2 folds 2 x 2 pixels: odd sizes are filled up, one pixel is too small."""
  data = {**FIELDS['data'], 'path': str(pictures(tmp_path / 'pictures', (32, 24)))}
  rrdb = {'name': 'rrdb', 'width': 4, 'growth': 2, 'blocks': 0, 'scale': 2}
  own = FIELDS | RUN | {'data': data, 'generator': rrdb, 'steps': 2, 'play': {**FIELDS['play'], 'gan_weight': 0.0}}
  train(configs.complete(own), tmp_path / 'run', progress=False)
  Image.new('RGB', (5, 7)).save(tmp_path / 'odd.png')
  translate(tmp_path / 'run', tmp_path / 'odd.png', tmp_path / 'out')
  assert Image.open(tmp_path / 'out' / 'odd.png').size == (10, 14)
  Image.new('RGB', (1, 7)).save(tmp_path / 'thin.png')
  with pytest.raises(DataError, match=r'thin.png: 1 x 7 pixels, too small'):
    translate(tmp_path / 'run', tmp_path / 'thin.png', tmp_path / 'out')
