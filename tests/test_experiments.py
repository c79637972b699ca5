"""Every experiment, full and smoke: the config completes and its step traces; in the slow tier each smoke size trains."""

import json

import jax
import numpy as np
import pytest
from PIL import Image
from test_super_resolution import weights

from ganjax import config as configs
from ganjax.assemble import assemble, payload
from ganjax.data.spec import Spec
from ganjax.errors import ConfigError
from ganjax.fields import phases
from ganjax.train import train

EXPERIMENTS = sorted(configs.experiments())
# Traced in the default tier; the others take seconds, up to half a minute at full size. All are made there, see below.
TRACED = {
  'acgan_digits', 'began_digits', 'biggan_digits', 'dcgan_cifar10', 'dcgan_digits', 'ebgan_digits', 'gan_grid25',
  'gan_ring8', 'infogan_digits', 'lapgan_digits', 'projection_digits', 'reacgan_digits', 'transgan_digits',
  'unrolled_ring8', 'wgan_gp_digits',
}  # fmt: skip
TRAINED = {'gan_ring8', 'wgan_gp_digits'}  # in the default tier
FOLDERS = ('ffhq', 'celeba', 'imagenet', 'lsun', 'stl10', 'auto')  # in the names of those whose data must be given
PAIRS = ('facades', 'horse2zebra', 'people', 'edges2shoes')  # the same, of two domains
VOLUMES = ('modelnet10', 'shapenet64')  # of volumes: to be given in any size


@pytest.fixture(scope='module')
def cifar(tmp_path_factory):
  """A file like CIFAR-10's, of noise."""
  path = tmp_path_factory.mktemp('data') / 'cifar10.npz'
  rng = np.random.default_rng(0)
  np.savez(path, images=rng.integers(0, 256, (64, 32, 32, 3), dtype=np.uint8), labels=np.arange(64) % 10)
  return path


@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
  """A folder of two classes with pictures of noise."""
  folder = tmp_path_factory.mktemp('pictures')
  rng = np.random.default_rng(0)
  for i in range(4):
    file = folder / 'ab'[i % 2] / f'{i}.png'
    file.parent.mkdir(exist_ok=True)
    Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(file)
    for side in 'AB':  # and beside it of two domains
      other = folder.with_name(f'{folder.name}_pairs') / f'train{side}' / file.name
      other.parent.mkdir(parents=True, exist_ok=True)
      other.write_bytes(file.read_bytes())
  np.savez(f'{folder}_volumes.npz', X_train=rng.integers(0, 2, (24, 30, 30, 30)), y_train=np.arange(24) % 10)
  return folder


def load(name, size, cifar, pictures):
  given = {'data.path': str(cifar)} if 'cifar10' in name or ('mnist' in name and size == 'full') else {}
  if size == 'full' and any(part in name for part in FOLDERS):
    given = {'data.path': str(pictures)}
  if size == 'full' and 'div2k' in name:  # a photograph, and a file like VGG19's
    given = {'data.path': '', 'play.feature_weights': str(weights(pictures)[0])}
  if size == 'full' and any(part in name for part in PAIRS):
    given = {'data.path': f'{pictures}_pairs'}
  if any(part in name for part in VOLUMES):
    given = {'data.path': f'{pictures}_volumes.npz'}
  return configs.load(f'{name}:{size}', {'devices': 1} | given)


@pytest.mark.parametrize('name', EXPERIMENTS)
def test_networks_can_be_made(name, cifar, pictures):
  for size in ('full', 'smoke'):
    config = load(name, size, cifar, pictures)
    assert config.steps % config.steps_per_call == 0
    for part in phases(config):
      if part.data.name == 'mixture':
        continue
      shape = (part.data.get('resolution', 32),) * 2 + (1 if part.data.name == 'digits' else 3,)
      shape = (part.data.resolution,) * 3 + (1,) if part.data.name == 'voxels' else shape
      assert configs.generator(part, Spec('image', shape, 10))
      assert configs.discriminator(part, Spec('image', shape, 10), 1, {})


@pytest.mark.parametrize(
  ('name', 'size'),
  [
    pytest.param(name, size, marks=() if name in TRACED and size == 'full' else pytest.mark.slow)
    for name in EXPERIMENTS
    for size in ('full', 'smoke')
  ],
)
def test_step_traces(name, size, cifar, pictures):
  setup = assemble(load(name, size, cifar, pictures))
  state = setup.initial.eval_shape()
  after, metrics = jax.eval_shape(setup.play.at(0), state, payload(setup, 0))
  assert jax.tree.structure(after) == jax.tree.structure(state)
  assert metrics


@pytest.mark.parametrize(
  'name', [name if name in TRAINED else pytest.param(name, marks=pytest.mark.slow) for name in EXPERIMENTS]
)
def test_smoke_size_trains(name, cifar, pictures, tmp_path):
  state = train(load(name, 'smoke', cifar, pictures), tmp_path, progress=False)
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(jax.device_get(state.params)))
  lines = [json.loads(line) for line in (tmp_path / 'metrics.jsonl').read_text().splitlines()]
  assert lines[-1]['step'] == state.step
  assert list((tmp_path / 'samples').glob('*.png'))


def test_headers():
  """Each says how to run it, and what comes of it, or who got what."""
  for name, path in configs.experiments().items():
    header = path.read_text().split('"""')[1]
    assert f'ganjax train --config {name}' in header or name == 'dcgan_digits'
    assert 'Result' in header, name


def test_data_that_must_be_given():
  with pytest.raises(ConfigError, match=r'data\.path: given None, valid: a value: this field has no default'):
    configs.load('biggan_imagenet128')


@pytest.mark.parametrize(
  ('size', 'batch', 'gamma', 'halflife', 'rate', 'base'),
  [
    ('full', 16, 0.8192, 5, 2.5e-3, 16384),
    ('512', 8, 6.5536, 2.5, 2.5e-3, 32768),
    ('1024x8', 32, 6.5536, 10, 2e-3, 32768),
    ('128x4', 64, 0.0512, 20, 2.5e-3, 16384),
  ],
)
def test_stylegan2s_own_choice(size, batch, gamma, halflife, rate, base):
  config = configs.load(f'stylegan2_auto:{size}', {'data.path': 'somewhere'})
  assert config.batch_size == batch
  assert config.terms.d.r1.gamma == pytest.approx(gamma)
  assert config.ema.main.halflife_kimg == halflife
  assert config.optimizer.d.learning_rate == rate
  assert config.generator.channel_base == base


def test_sizes_that_there_are_not():
  for size in ('512x0', 'x4', 'big'):
    with pytest.raises(ConfigError, match='512x4 for four devices'):
      configs.load(f'stylegan2_auto:{size}', {'data.path': 'somewhere'})
