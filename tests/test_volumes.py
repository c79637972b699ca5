"""Volumes: files, networks, the game of 3D-GAN, pictures, metrics."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from PIL import Image
from running import command, experiment

from ganjax import config as configs
from ganjax import images, parallel, state
from ganjax.check import check
from ganjax.data.feed import open_feed
from ganjax.data.sources import open_source
from ganjax.data.spec import Spec
from ganjax.data.voxels import binvox, resampled, upright
from ganjax.errors import ConfigError, DataError
from ganjax.evals.features import open_extractor
from ganjax.nets import voxgan
from ganjax.volumes import rendered

SPEC = Spec('voxel', (8, 8, 8, 1), 2, ('a', 'b'), 12, 'voxels')


def cubes(count=12, n=6):
  return np.random.default_rng(0).integers(0, 2, (count, n, n, n))


@pytest.fixture
def file(tmp_path):
  path = tmp_path / 'set.npz'
  x = cubes()
  np.savez(path, X_train=x, y_train=np.arange(12) % 2, X_test=x[:3] * 1.0, y_test=np.array([1, 0, 1]))
  return path


def source(path, split='train', **fields):
  return open_source({'name': 'voxels', 'path': str(path), 'resolution': 8, **fields}, split=split)


# Files.


def test_an_array_file(file):
  found = source(file)
  assert found.spec == Spec('voxel', (8, 8, 8, 1), 2, ('0', '1'), 12, 'voxels')
  batch = found.get(np.array([3, 1]))
  expected = upright(np.pad(cubes()[3], 1), 'z')
  np.testing.assert_array_equal(batch['voxel'][0, ..., 0], expected * 255)
  np.testing.assert_array_equal(batch['label'], [1, 1])
  held_out = source(file, 'test')
  assert len(held_out) == 3
  np.testing.assert_array_equal(held_out.get(np.arange(3))['label'], [1, 0, 1])
  assert len(source(file, labels=(1,))) == 6


def test_sides():
  x = np.zeros((30, 30, 30), bool)
  x[0, 0, 0] = x[29, 29, 29] = x[14, 14, 14] = True
  same, half, double = (resampled(x, n, 'any') for n in (32, 16, 64))
  assert same.sum() == half.sum() == 3
  assert same[1, 1, 1]
  assert half[0, 0, 0]
  assert half[15, 15, 15]
  assert half[7, 7, 7]
  assert double[2:4, 2:4, 2:4].all()
  assert double.sum() == 24
  assert resampled(x, 16, 'half').sum() == 0
  assert resampled(np.ones((30, 30, 30), bool), 16, 'half')[1:-1, 1:-1, 1:-1].all()
  blocks = np.random.default_rng(1).random((8, 8, 8)) < 0.5
  by_hand = blocks.reshape(4, 2, 4, 2, 4, 2).sum((1, 3, 5))
  np.testing.assert_array_equal(resampled(blocks, 4, 'half'), by_hand >= 4)
  np.testing.assert_array_equal(resampled(blocks, 4, 'any'), by_hand > 0)


@pytest.mark.parametrize('up', ['x', 'y', 'z'])
def test_up_is_the_first_row(up):
  x = np.zeros((3, 4, 5), bool)
  top = {'x': (-1,), 'y': (slice(None), -1), 'z': (slice(None), slice(None), -1)}[up]
  x[top] = True
  turned = upright(x, up)
  assert turned[:, 0].all()
  assert not turned[:, 1:].any()
  # A turn, not a mirror image: x, y, z are right-handed, and so are right, up and towards the viewer.
  dots = [np.zeros((3, 3, 3), bool) for _ in range(4)]
  for dot, place in zip(dots, [(1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2)], strict=True):
    dot[place] = True
  middle, *ends = (np.argwhere(upright(dot, up))[0] for dot in dots)
  depth, row, column = np.stack([end - middle for end in ends], 1)
  assert np.linalg.det([column, -row, -depth]) == pytest.approx(1)


def write_binvox(path, x, dim=None, head=b'#binvox 1'):
  """x [X, Y, Z]; the format has y fastest, then z, then x, in runs of up to 255."""
  flat = np.asarray(x, np.uint8).transpose(0, 2, 1).ravel()
  runs = []
  for value in flat:
    if runs and runs[-1][0] == value and runs[-1][1] < 255:
      runs[-1][1] += 1
    else:
      runs.append([value, 1])
  depth, width, height = x.shape
  side = dim or f'dim {depth} {height} {width}'
  path.write_bytes(head + f'\n{side}\ntranslate 0 0 0\nscale 1\ndata\n'.encode() + bytes(np.ravel(runs).tolist()))


def test_a_folder(tmp_path):
  x = cubes(3, 8)
  for i, folder in enumerate('bab'):
    (tmp_path / folder).mkdir(exist_ok=True)
    place = tmp_path / folder / f'{i}'
    (write_binvox(place.with_suffix('.binvox'), x[0]) if i == 0 else
     np.save(place.with_suffix('.npy'), x[1]) if i == 1 else np.savez(place.with_suffix('.npz'), x[2] > 0))  # fmt: skip
  np.testing.assert_array_equal(binvox(tmp_path / 'b' / '0.binvox'), x[0])
  found = source(tmp_path)
  assert found.spec.class_names == ('a', 'b')
  batch = found.get(np.arange(3))  # a/1, b/0, b/2
  np.testing.assert_array_equal(batch['label'], [0, 1, 1])
  for row, own in zip(batch['voxel'], (x[1], x[0], x[2]), strict=True):
    np.testing.assert_array_equal(row[..., 0] // 255, upright(own, 'z'))
  with pytest.raises(ConfigError, match='test_path'):
    source(tmp_path, 'test')
  assert len(source(tmp_path, 'test', test_path=str(tmp_path))) == 3
  for name in 'cd':
    (tmp_path.with_name('others') / name).mkdir(parents=True)
    np.save(tmp_path.with_name('others') / name / '1.npy', x[0])
  with pytest.raises(DataError, match=r"others: sub-folders \['c', 'd'\] are no classes"):
    source(tmp_path, 'test', test_path=str(tmp_path.with_name('others')))


def test_bad_arrays(tmp_path):
  bad = tmp_path / 'bad.npz'
  for arrays, message in (
    ({'voxel': cubes()[..., :5]}, r'voxel has shape \(12, 6, 6, 5\); valid: cubes \[N, D, D, D\]'),
    ({'voxel': cubes()[0]}, r'voxel has shape \(6, 6, 6\)'),
    ({'voxel': cubes() * 3}, r'voxel\[0\]: holds 3; valid: 0 \(empty\) and 1 \(occupied\)'),
    ({'voxel': cubes() * np.nan}, 'holds nan'),
    ({'other': cubes()}, r"holds \['other'\]; valid: volumes as one of voxel, voxels, X_train"),
    ({'voxel': cubes(), 'label': np.arange(3)}, r'12 examples, but labels of shape \(3,\)'),
  ):
    np.savez(bad, **arrays)
    with pytest.raises(DataError, match=f'bad.npz.*{message}'):
      source(bad)
  bad.write_bytes(b'PK nothing')
  with pytest.raises(DataError, match=r'bad\.npz: damaged'):
    source(bad)
  for name in ('none.npz', 'none'):
    with pytest.raises(DataError, match=f'{name}: no such'):
      source(tmp_path / name)
  np.savez(bad, x=cubes())
  with pytest.raises(ConfigError, match=r'data\.test_path'):
    source(bad, 'test')
  for field, value in (('resolution', 24), ('pooling', 'mean'), ('up', 'w')):
    with pytest.raises(ConfigError, match=f'data.{field}'):
      source(bad, **{field: value})


def test_bad_files_of_a_folder(tmp_path):
  with pytest.raises(DataError, match='no volumes in it'):
    source(tmp_path)
  np.save(tmp_path / 'a.npy', np.zeros((4, 4, 5)))
  np.save(tmp_path / 'b.npy', np.zeros((4, 4)))
  np.save(tmp_path / 'c.npy', np.full((4, 4, 4), 2))
  (tmp_path / 'd.binvox').write_bytes(b'#binvox 1\ndim 2 2 2\n')
  write_binvox(tmp_path / 'e.binvox', cubes(1, 4)[0], dim='dim 5 5 5')
  write_binvox(tmp_path / 'f.binvox', cubes(1, 4)[0], head=b'#vox 1')
  (tmp_path / 'g.npy').write_bytes(b'\x93NUMPY')
  with pytest.raises(DataError) as error:
    source(tmp_path)
  for part in ('7 of 7', r'a.npy: shape (4, 4, 5); valid: a cube', 'b.npy: shape (4, 4)', 'c.npy: holds 2.0', 'd.binvox',
               'runs of 64 voxels in all, dim says 125', 'f.binvox: damaged, or no .binvox', 'g.npy: damaged'):  # fmt: skip
    assert part.replace('2.0', '2') in str(error.value).replace('2.0', '2')


# To the device.


@pytest.mark.parametrize('resident', [True, pytest.param(False, marks=pytest.mark.slow)])
def test_feed(file, resident):
  feed = open_feed(source(file), batch=4, seed=1, flip=True, resident=resident)
  rows = np.arange(4, dtype=np.int32)
  payload = feed.payload(0, [2])
  batch = jax.jit(feed.read)(payload if resident else payload[0], np.arange(2), rows)
  feed.close()
  assert batch['voxel'].shape == (2, 4, 8, 8, 8, 1)
  assert set(np.unique(batch['voxel'])) == {-1, 1}
  originals = {x.tobytes() for x in source(file).get(np.arange(12))['voxel']}
  seen = (np.asarray(batch['voxel']).reshape(-1, 8, 8, 8, 1) > 0) * np.uint8(255)
  plain = [x.tobytes() in originals for x in seen]
  mirrored = [np.ascontiguousarray(x[:, :, ::-1]).tobytes() in originals for x in seen]
  assert all(a != b for a, b in zip(plain, mirrored, strict=True))
  assert any(plain)
  assert any(mirrored)
  with pytest.raises(ConfigError, match='jitter'):
    open_feed(source(file), batch=4, seed=1, jitter=9)


# Networks and the game.


@pytest.mark.parametrize('resolution', [16, pytest.param(64, marks=pytest.mark.slow)])
def test_networks(resolution):
  """Shapes at the paper's width: 64 channels at half the resolution, 512 at 4 voxels of 64."""
  g, d = voxgan.Generator(resolution), voxgan.Discriminator(resolution)
  made, params = jax.eval_shape(lambda: g.init_with_output(jax.random.key(0), jnp.zeros((2, 200))))
  assert made.shape == (2, *[resolution] * 3, 1)
  widest = 64 * resolution // 8
  assert params['params']['project']['kernel'].shape == (200, 64 * widest)
  assert params['params']['up0']['kernel'].shape == (4, 4, 4, widest, widest // 2)
  said, params = jax.eval_shape(lambda: d.init_with_output(jax.random.key(0), jnp.zeros((2, *[resolution] * 3, 1))))
  assert said.shape == (2,)
  assert params['params']['down0']['kernel'].shape == (4, 4, 4, 1, 64)
  assert 'norm0' not in params['params']


def test_networks_refuse():
  with pytest.raises(ValueError, match='resolution: 20; valid are 8, 16, 32, 64'):
    voxgan.Generator(20)
  with pytest.raises(ConfigError, match=r'voxgan.*\(8, 8, 1\).*volumes'):
    check(tiny.images(discriminator={'name': 'voxgan', 'width': 4}), tiny.IMAGES, 1)
  with pytest.raises(ConfigError, match=r'\(8, 8, 8, 1\)'):
    check(config(generator={'name': 'dcgan', 'width': 4}), SPEC, 1)
  with pytest.raises(ConfigError, match='no grey or RGB'):
    check(config(augment={'name': 'diffaugment'}), SPEC, 1)


def config(**fields):
  given = {
    'data': {'name': 'voxels', 'path': 'set.npz', 'resolution': 8}, 'latent_dim': 3, 'batch_size': 16,
    'generator': {'name': 'voxgan', 'width': 4}, 'discriminator': {'name': 'voxgan', 'width': 4, 'spectral': True},
    'balance': {'d': {'name': 'accuracy_below', 'bound': 0.8}},
    'optimizer': {player: {'name': 'sgd', 'learning_rate': 0.01} for player in 'gd'},
  }  # fmt: skip
  return configs.complete(given | fields)


def batch(n, plays):
  rng = np.random.default_rng(n)
  voxel = rng.choice([-1.0, 1.0], (plays, 16, 8, 8, 8, 1)).astype(np.float32)
  return {'voxel': voxel, 'label': rng.integers(0, 2, (plays, 16)).astype(np.int32)}


def played(own, steps, how='jit', devices=1, begin=None, first=0):
  game = configs.game(own, SPEC)
  rules, mesh = configs.rules(own, game), parallel.make_mesh(devices)
  program = parallel.compile(game, rules, mesh, how)
  if begin is None:
    one = jax.tree.map(lambda x: x[0], batch(0, 1))
    begin = jax.device_get(jax.jit(lambda: state.create(game, rules, jax.random.key(0), one, configs.hyper(own)))())
  now, seen = parallel.place(jax.tree.map(jnp.copy, begin), mesh), []
  for n in range(first, first + steps):
    placed = parallel.shard(batch(n, parallel.plays(game.turns, n)), mesh, how)
    now, metrics = program(n, now, placed)
    seen.append({name: float(x) for name, x in metrics.items()})
  return jax.device_get(now), seen


@pytest.mark.slow
def test_the_game_keeps_the_contract():
  own = config(terms={'d': {'gradient_penalty': {}}}, conditioning={'name': 'projection'})
  begin, _ = played(own, 0)
  one, seen = played(own, 2, begin=begin)
  many, told = played(own, 2, 'pmap', 4, begin=begin)
  assert all(np.isfinite(list(metrics.values())).all() for metrics in seen)
  assert tiny.difference((one.params, one.extras), (many.params, many.extras)) < 2e-5
  for a, b in zip(seen, told, strict=True):
    assert a == pytest.approx(b, rel=1e-3, abs=1e-4)
  again, _ = played(own, 1, begin=played(own, 1, begin=begin)[0], first=1)
  assert tiny.difference(one, again) == 0


@pytest.mark.slow
def test_d_is_held_while_it_is_right_too_often():
  own = config(balance={'d': {'name': 'accuracy_below', 'bound': 0.0}})
  begin, _ = played(own, 0)
  after, seen = played(own, 1, begin=begin)
  assert seen[0]['d/moved'] == 0
  assert tiny.difference(begin.params['d'], after.params['d']) == 0
  assert tiny.difference(begin.params['g'], after.params['g']) > 0


# Pictures.


def test_a_voxel_is_seen_where_it_is():
  n, side = 8, 96
  x = np.full((5, n, n, n, 1), -1.0)
  x[1, 0, 7, 7] = 1  # in front, below, right
  x[2, 7, 0, 0] = 1  # behind, above, left
  x[3, :, 7] = 1  # the floor
  x[4] = 1
  empty, near, far, floor, full = rendered(x)
  assert (empty == 245).all()
  seen = [np.argwhere((picture != 245).any(-1)) for picture in (near, far, floor, full)]
  assert seen[0].mean(0)[0] > side / 2 > seen[1].mean(0)[0]
  assert seen[0].mean(0)[1] > seen[1].mean(0)[1]
  assert seen[2][:, 0].min() > side / 2 - 5
  assert seen[3].min() >= 0
  # Its faces: of light, the top before the right before the front; what is far is darker.
  tops = [picture.sum(-1)[tuple(place[0])] for picture, place in zip((near, far), seen[:2], strict=True)]
  assert tops[0] > tops[1]
  bright = full.astype(int).sum(-1)
  top, front, right = bright[side // 4, side // 2], bright[60, 30], bright[60, 75]
  assert top > right > front
  np.testing.assert_array_equal(rendered(np.where(x > 0, 200, 90).astype(np.uint8)), rendered(x))
  # What is behind is hidden.
  hidden = x[4:].copy()
  hidden[:, 1:7, 1:7, 1:7] = -1
  np.testing.assert_array_equal(rendered(hidden)[0], full)


def test_pictures_of_samples():
  x = np.where(cubes(5, 8)[..., None] > 0, 1.0, -1.0)
  picture = images.picture(x, {})
  assert picture.shape == (2 * 100 + 4, 3 * 100 + 4, 3)
  np.testing.assert_array_equal(picture[4:100, 4:100], rendered(x)[0])
  with pytest.raises(ValueError, match=r'given \[5, 8, 8, 8\]'):
    rendered(x[..., 0])


# Metrics.


def test_occupancy():
  x = cubes(3, 8)
  extractor = open_extractor('occupancy')
  found = np.asarray(extractor.apply({}, (x[..., None] * 255).astype(np.uint8))['features'])
  share = x.reshape(3, 4, 2, 4, 2, 4, 2).mean((2, 4, 6)).reshape(3, -1)
  np.testing.assert_allclose(found[:, :64], 10 * share, rtol=1e-5)
  faces = np.zeros((3, 8, 8, 8))
  for b, *place in np.ndindex(x.shape):
    for axis in range(3):
      ahead = list(place)
      ahead[axis] += 1
      other = x[(b, *ahead)] if ahead[axis] < 8 else 0
      faces[(b, *place)] += (x[(b, *place)] != other) / 3
  surface = faces.reshape(3, 4, 2, 4, 2, 4, 2).mean((2, 4, 6)).reshape(3, -1)
  np.testing.assert_allclose(found[:, 64:], 10 * surface, rtol=1e-5)
  with pytest.raises(ConfigError, match='--weights'):
    open_extractor('occupancy', weights='x.npz')


@pytest.mark.slow
def test_the_commands(file, tmp_path, monkeypatch, capsys):
  fields = {'data': {'name': 'voxels', 'path': str(file), 'resolution': 8}, 'latent_dim': 3, 'batch_size': 8, 'devices': 1,
            'generator': {'name': 'voxgan', 'width': 2}, 'discriminator': {'name': 'voxgan', 'width': 2},
            'balance': {'d': {'name': 'accuracy_below'}}, 'steps': 2, 'log_every': 1, 'save_every': 2, 'samples': 4,
            'evaluate_every': 2, 'evaluate_num': 8, 'tensorboard': False}  # fmt: skip
  run = tmp_path / 'run'
  assert command(monkeypatch, 'train', '--config', experiment(tmp_path, fields), '--workdir', run) == 0
  with Image.open(run / 'samples' / '00000002.png') as grid:
    assert grid.size == (204, 204)
  assert command(monkeypatch, 'sample', '--workdir', run, '--num', 3, '--out', run / 'x.npz') == 0
  with np.load(run / 'x.npz') as found:
    assert found['voxel'].shape == (3, 8, 8, 8, 1)
    assert found['voxel'].dtype == np.uint8
  assert command(monkeypatch, 'sample', '--workdir', run, '--num', 2, '--interpolate', 2, '--out', run / 'x.gif') == 0
  capsys.readouterr()
  assert command(monkeypatch, 'evaluate', '--workdir', run, '--metrics', 'fid,prdc,authenticity', '--split', 'all') == 0
  assert 'Frechet distance' in capsys.readouterr().out
  entry = json.loads((run / 'evaluation.json').read_text())[-1]
  assert entry['protocol']['features']['network'] == 'occupancy'
  assert entry['protocol']['real']['num'] == 15
  assert command(monkeypatch, 'evaluate', '--workdir', run, '--metrics', 'swd') == 2
  assert 'it is of images' in capsys.readouterr().err
  assert command(monkeypatch, 'evaluate', '--workdir', run, '--features', 'inception') == 2
  assert "'occupancy': the data are volumes" in capsys.readouterr().err
