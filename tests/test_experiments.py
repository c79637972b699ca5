"""Every experiment, full and smoke: the config completes and its step traces; in the slow tier each smoke size trains."""

import json

import jax
import numpy as np
import pytest

from ganjax import config as configs
from ganjax.assemble import assemble, payload
from ganjax.train import train

EXPERIMENTS = sorted(configs.experiments())
LONG = {'biggan_cifar10', 'sngan_cifar10', 'transgan_cifar10'}  # whose full size takes half a minute and more to trace
TRAINED = {'gan_ring8', 'wgan_gp_digits', 'sngan_cifar10'}  # one per family in the default tier


@pytest.fixture(scope='module')
def cifar(tmp_path_factory):
  """A file like CIFAR-10's, of noise."""
  path = tmp_path_factory.mktemp('data') / 'cifar10.npz'
  rng = np.random.default_rng(0)
  np.savez(path, images=rng.integers(0, 256, (64, 32, 32, 3), dtype=np.uint8), labels=np.arange(64) % 10)
  return path


def load(name, size, cifar):
  here = {'devices': 1} | ({'data.path': str(cifar)} if 'cifar10' in name else {})
  return configs.load(f'{name}:{size}', here)


@pytest.mark.parametrize(
  ('name', 'size'),
  [
    pytest.param(name, size, marks=pytest.mark.slow if size == 'full' and name in LONG else ())
    for name in EXPERIMENTS
    for size in ('full', 'smoke')
  ],
)
def test_step_traces(name, size, cifar):
  setup = assemble(load(name, size, cifar))
  state = setup.initial.eval_shape()
  after, metrics = jax.eval_shape(setup.play.at(0), state, payload(setup, 0))
  assert jax.tree.structure(after) == jax.tree.structure(state)
  assert metrics


@pytest.mark.parametrize(
  'name', [name if name in TRAINED else pytest.param(name, marks=pytest.mark.slow) for name in EXPERIMENTS]
)
def test_smoke_size_trains(name, cifar, tmp_path):
  state = train(load(name, 'smoke', cifar), tmp_path, progress=False)
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(jax.device_get(state.params)))
  lines = [json.loads(line) for line in (tmp_path / 'metrics.jsonl').read_text().splitlines()]
  assert lines[-1]['step'] == state.step
  assert list((tmp_path / 'samples').glob('*.png'))


def test_headers():
  """Each says how to run it, and what comes of it."""
  for name, path in configs.experiments().items():
    header = path.read_text().split('"""')[1]
    assert f'ganjax train --config {name}' in header or name == 'dcgan_digits'
    assert 'Result' in header, name
