"""Import, sample, export, import again: by the command, on files that PyTorch wrote."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import running
from conftest import shared
from fixtures import weights as written
from parity import Fixture
from PIL import Image
from test_interop import r3gan_g

from ganjax import config as configs
from ganjax import convert, images, main, sample, videos
from ganjax.errors import CheckpointError, ConfigError, DataError
from ganjax.images import to_uint8
from ganjax.interop import from_torch
from ganjax.snapshot import flatten

PTH = Path(__file__).parent / 'fixtures' / 'weights.pth'
G = ['--kind', 'stylegan2.G', '--file', PTH, '--key', 'g_ema']


def command(*arguments):
  main.run([str(argument) for argument in arguments])


@pytest.fixture(scope='module')
def imported(tmp_path_factory):
  """A workdir with both networks."""
  workdir = tmp_path_factory.mktemp('imported')
  command('import', *G, '--kind', 'stylegan2.D', '--file', PTH, '--key', 'd', '--workdir', workdir,
          '--config.data.name=digits', '--config.steps=2', '--config.batch_size=4', '--config.devices=1', '--config.evaluate_num=40')  # fmt: skip
  return workdir


def drawn(workdir, *flags):
  command('sample', '--workdir', workdir, '--num', 4, '--seed', 3, '--out', 'x.npz', *flags)
  with np.load('x.npz') as file:
    return dict(file)


def test_a_sample_is_what_the_network_makes(imported):
  tensors = written.players()['g_ema']
  tensors['mapping.w_avg'] = np.asarray(jnp.asarray(tensors['mapping.w_avg'], jnp.bfloat16), np.float32)
  module, variables = from_torch('stylegan2.G', tensors)
  found, flat = drawn(imported), drawn(imported, '--truncation', '0', '--noise', 'none')
  assert found['latent'].shape == (4, 4)
  for samples, options in ((found, {}), (flat, {'truncation_psi': 0.0, 'noise': 'none'})):
    wanted = jax.jit(lambda z, options=options: module.apply(variables, z, **options))(samples['latent'])
    assert abs(samples['image'].astype(int) - images.to_uint8(np.asarray(wanted))).max() <= 1
    assert {name: str(value) for name, value in options.items()} == {name: str(samples[name]) for name in options}
  assert abs(found['image'].astype(int) - found['image'][:1]).max() > 50
  np.testing.assert_array_equal(flat['image'], np.repeat(flat['image'][:1], 4, 0))


def test_styles_are_mixed_in_a_table(imported):
  """The diagonal is the samples; in all layers the column's, in none of them the row's."""
  plain, table = drawn(imported), drawn(imported, '--mix', '0-1,3')
  images = table['image'].reshape(4, 4, *plain['image'].shape[1:]).astype(int)
  assert abs(images[range(4), range(4)] - plain['image']).max() <= 1
  assert table['mixed_layers'] == '0,1,3'
  np.testing.assert_array_equal(table['other'].reshape(4, 4, -1)[2], plain['latent'])
  found = sample.load(imported)
  net, variables = (
    configs.generator(found.config, found.spec),
    {'params': sample.averaged(found.state)['g'], **found.state.extras['g']},
  )
  ws = jax.jit(lambda z: net.apply(variables, z, method='styles'))(plain['latent'])
  both = ws[1].at[jnp.array([0, 1, 3])].set(ws[2][jnp.array([0, 1, 3])])
  wanted = jax.jit(lambda ws: net.apply(variables, ws, method='synthesize'))(both[None])
  assert abs(images[1, 2] - to_uint8(np.asarray(wanted))[0]).max() <= 1
  with pytest.raises(ConfigError, match=r'--mix: given \[7\], valid: layers from 0 to 3'):
    drawn(imported, '--mix', '7')


def test_both_players_are_the_imported_ones(imported):
  trained = sample.load(imported)
  assert (trained.step, trained.config.latent_dim, trained.spec.shape) == (0, 4, (8, 8, 1))
  assert trained.meta['imported'][1] | {'sha256': ''} == {
    'kind': 'stylegan2.D',
    'file': 'weights.pth',
    'key': 'd',
    'sha256': '',
  }
  assert json.loads((imported / 'run.json').read_text())['config_hash'] == configs.fingerprint(trained.config)
  module, variables = from_torch('stylegan2.D', written.players()['d'])
  x = jax.random.normal(jax.random.key(0), (4, 8, 8, 1))
  ours = jax.jit(trained.game.score)(trained.state.params, trained.state.extras, {'image': x})
  np.testing.assert_allclose(ours, jax.jit(module.apply)(variables, x), rtol=1e-5)


@pytest.mark.slow
def test_it_trains_on_and_is_exported(imported, monkeypatch, tmp_path, capsys):
  config = sample.load(imported).config.to_dict() | {'ema': {'main': {'decay': 0.5}}}
  path = running.experiment(tmp_path, config)
  assert running.command(monkeypatch, 'train', '--config', path, '--workdir', imported, '--adopt') == 0
  command('evaluate', '--workdir', imported)
  assert 'Frechet' in capsys.readouterr().out
  for ema in ('none', 'main'):
    command('export', '--workdir', imported, '--ema', ema, '--out', f'{ema}.safetensors')
    command('import', '--kind', 'ganjax', '--file', f'{ema}.safetensors', '--workdir', ema)
    before, after = drawn(imported, '--ema', ema), drawn(ema)
    np.testing.assert_array_equal(before['image'], after['image'])
    trained, again = (sample.load(workdir).state for workdir in (imported, ema))
    kept = trained.params if ema == 'none' else trained.params | trained.ema['main']
    for a, b in ((kept, again.params), (trained.extras, again.extras), (again.params['g'], again.ema['main']['g'])):
      assert all(np.array_equal(x, flatten(b)[name]) for name, x in flatten(a).items())


def test_a_walk_as_a_video(imported, tmp_path):
  command('sample', '--workdir', imported, '--num', 3, '--interpolate', 4, '--out', 'x.gif')
  with Image.open('x.gif') as film:
    assert (film.n_frames, film.size) == (12, (128, 128))
  about = images.read_provenance('x.gif')
  assert about['synthetic'] == 'true'
  assert (about['frames_between'], about['seed'], about['step']) == ('4', '0', str(sample.load(imported).step))
  command('sample', '--workdir', imported, '--num', 3, '--interpolate', 4, '--out', 'x.npz')
  command('sample', '--workdir', imported, '--num', 3, '--out', 'y.npz')
  with np.load('x.npz') as path, np.load('y.npz') as points:
    assert path['image'].shape == (12, 8, 8, 1)
    np.testing.assert_array_equal(path['image'][::4], points['image'])


def test_mp4(tmp_path, monkeypatch):
  ffmpeg = pytest.importorskip('imageio_ffmpeg')
  frames = np.random.default_rng(0).integers(0, 255, (5, 33, 33, 1), np.uint8)
  videos.save(tmp_path / 'x.mp4', frames, {'run_id': 'test', 'synthetic': 'true'})
  about = next(ffmpeg.read_frames(tmp_path / 'x.mp4'))
  assert about['size'] == (132, 132)
  assert b'"synthetic": "true"' in (tmp_path / 'x.mp4').read_bytes()
  assert [path.name for path in tmp_path.iterdir()] == ['x.mp4']


def test_what_cannot_be_sampled_so_is_refused(imported, monkeypatch):
  monkeypatch.setitem(__import__('sys').modules, 'imageio_ffmpeg', None)
  for flags, told in {
    ('--out', 'x.gif'): 'x.gif.*--interpolate',
    ('--out', 'x.png', '--interpolate', '3'): r'\.gif, \.mp4 or \.npz',
    ('--interpolate', '0'): '--interpolate: given 0',
    ('--interpolate', '3', '--out', 'x.mp4'): r'ganjax\[video\]',
  }.items():
    with pytest.raises(ConfigError, match=told):
      command('sample', '--workdir', imported, *flags)


@pytest.mark.slow
def test_a_generator_alone_with_classes_in_another_format(tmp_path):
  tensors = r3gan_g(classes=7)
  np.savez('w.npz', **{f'param/G/{name}': x for name, x in tensors.items()}, meta=np.array('no tensor'))
  command('import', '--file', 'w.npz', '--key', 'param/G', '--kind', 'r3gan.G', '--set', 'z=5', '--workdir', 'run')
  trained = sample.load('run')
  assert (trained.config.name, trained.config.latent_dim, trained.config.conditioning.name) == (
    'r3gan',
    5,
    'projection',
  )
  module, variables = from_torch('r3gan.G', tensors)
  found = drawn('run')
  wanted = jax.jit(module.apply)(variables, found['latent'], found['label'])
  assert abs(found['image'].astype(int) - images.to_uint8(np.asarray(wanted))).max() <= 1
  with pytest.raises(ConfigError, match=r"--truncation: given 0.5, .*'r3gan' has no such thing"):
    command('sample', '--workdir', 'run', '--truncation', '0.5')
  with pytest.raises(ConfigError, match=r'data\.path'):
    command('evaluate', '--workdir', 'run')


@pytest.mark.parametrize(
  ('flags', 'error', 'told'),
  [
    ([], ConfigError, '--kind: given None'),
    (['--kind', 'stylegan2.G'], ConfigError, '--file: given None'),
    ([*G, *G], ConfigError, 'at most one discriminator'),
    (['--kind', 'stylegan2.D', '--file', PTH], ConfigError, 'also a generator'),
    (['--kind', 'stylegan2.mapping', '--file', PTH], ConfigError, "one generator, 'FAMILY.G'"),
    (['--kind', 'stylegan.G', *G[2:]], ConfigError, r"--kind: given 'stylegan.G'.*did you mean 'stylegan2\.G'"),
    (['--kind', 'r3gan.G', *G[2:]], DataError, r'weights\.pth: no r3gan\.G: missing tensors'),
    ([*G[:4], '--key', 'd'], DataError, r'weights\.pth: no stylegan2\.G: missing tensors'),
    ([*G[:4]], DataError, 'choose one by its key: d, g_ema'),
    ([*G, '--set', 'res'], ConfigError, '--set: given .res., valid: NAME=VALUE'),
    ([*G, '--set', 'size=8'], DataError, 'size: unknown keyword; valid are'),
    ([*G, '--set', 'res=eight'], DataError, 'no stylegan2.G'),
    (
      [*G, '--config.generator.w_dim=8'],
      ConfigError,
      r'--kind: given .stylegan2\.G.*arrays differ, such as extras/g/averages/mapping/w',
    ),
    ([*G, '--config.discriminator.name=resnet'], ConfigError, r'discriminator\.name.*32, 48, 64, 128'),
    ([*G, '--config.phases=[{"until": 1}]'], ConfigError, 'a lone run of one phase'),
    (['--kind', 'ganjax', '--file', PTH], ConfigError, r'\.safetensors'),
  ],
)
def test_refusals(flags, error, told, tmp_path):
  with pytest.raises(error, match=told):
    command('import', *flags, '--workdir', 'new')
  assert not Path('new').exists()


def test_other_refusals(imported, tmp_path):
  with pytest.raises(CheckpointError, match='has checkpoints already'):
    command('import', *G, '--workdir', imported)
  with pytest.raises(ConfigError, match=r'ends in \.safetensors'):
    command('export', '--workdir', imported, '--out', 'x.pth')
  from ganjax.interop import safetensors

  with Path('x.safetensors').open('wb') as file:
    safetensors.write(file, {'w': np.ones(2)}, {})
  with pytest.raises(DataError, match='not written by `ganjax export`'):
    command('import', '--kind', 'ganjax', '--file', 'x.safetensors', '--workdir', 'new')
  assert convert.networks([('file', 'a'), ('kind', 'x.D'), ('kind', 'x.G'), ('set', 'n=2'), ('file', 'b'), ('key', 'k')]) == [
    convert.Network('x.G', 'b', 'k', {'n': 2}), convert.Network('x.D', 'a')]  # fmt: skip


ROTATION = ['--config.terms.d.rotation.weight=1.0']  # asks for SSGAN's head
PAIRS = [('stylegan2', 'stylegan2', ('G', 'Drc'), []), ('r3gan', 'r3gan', ('Gc', 'Dc'), []), ('r3gan', 'r3gan', ('Gu', 'Du'), []),
         ('biggan', 'biggan32', ('G', 'D'), []), ('progan', 'progan', ('G', 'D'), []), ('transgan', 'transgan', ('G', 'D'), []),
         *((f'mimicry/{m}', f'mimicry_{m}', ('G', 'D'), []) for m in ('sngan32', 'cgan_pd32', 'wgan_gp32', 'sagan32')),
         ('mimicry/ssgan32', 'mimicry_ssgan32', ('G', 'D'), ROTATION)]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(('kind', 'name', 'nets', 'flags'), PAIRS)
def test_every_published_pair_samples(kind, name, nets, flags, tmp_path):
  fixture = Fixture(name)
  for player, net in zip('GD', nets, strict=True):
    options = [word for option, value in fixture.cfg.items() for word in ('--set', f'{option}={value!r}')]
    flags = [
      '--kind',
      f'{kind}.{player}',
      '--file',
      shared(f'parity/{name}.npz'),
      '--key',
      f'param/{net}',
      *options,
      *flags,
    ]
  command('import', *flags, '--workdir', 'run')
  found, trained = drawn('run'), sample.load('run')
  x = np.asarray(jax.random.normal(jax.random.key(0), (8, *trained.spec.shape)))
  label = np.arange(8) % trained.spec.classes if trained.spec.classes else None
  (g, g_variables), (d, d_variables) = (fixture.network(f'{kind}.{p}', net) for p, net in zip('GD', nets, strict=True))
  wanted = jax.jit(g.apply)(g_variables, found['latent'], found.get('label'))
  assert abs(found['image'].astype(int) - images.to_uint8(np.asarray(wanted))).max() <= 1
  logits = jax.jit(d.apply)(d_variables, x, label)
  ours = jax.jit(trained.game.score)(trained.state.params, trained.state.extras, {'image': x, 'label': label})
  np.testing.assert_allclose(ours, logits[0] if isinstance(logits, tuple) else logits, rtol=1e-4, atol=1e-5)
