"""Metrics against torch-fidelity, pytorch-fid, prdc and StyleGAN2-ADA: ../shared/parity/metrics.npz."""

import json

import numpy as np
import pytest
from conftest import shared

from ganjax.evals import metrics

BOUND = 1e-4  # of the largest reference value


@pytest.fixture(scope='module')
def stored():
  with np.load(shared('parity/metrics.npz'), allow_pickle=False) as file:
    return dict(file)


@pytest.fixture(scope='module')
def rows(stored):
  return stored['in/real'], stored['in/fake']


def assert_all_near(stored, prefix, found, but=()):
  """Every stored output whose name starts so is near what `found` has of it."""
  names = [name.removeprefix('out/') for name in stored if name.startswith(f'out/{prefix}')]
  names = [name for name in names if name not in but]
  assert names
  for name in names:
    reference = stored[f'out/{name}']
    assert np.abs(found(name) - reference).max() <= BOUND * np.abs(reference).max(), name


def test_frechet(stored, rows):
  distance = metrics.frechet_distance(*rows)
  assert_all_near(stored, 'fid_', lambda name: distance)
  assert distance == pytest.approx(float(stored['out/fid_pytorch_fid_f64']), rel=1e-9)
  moments = metrics.Moments.of(rows[0])
  assert_all_near(stored, 'mu_', lambda name: moments.mean)
  assert_all_near(stored, 'sigma_', lambda name: moments.covariance)


def test_kernel_distance(stored, rows):
  size = json.loads(str(stored['meta']))['cfg']['kss']
  subsets = metrics.kernel_distances(*rows, subset_size=size)
  mean, std = metrics.kernel_distance(*rows, subset_size=size)
  found = {'mean': mean, 'std': std, 'subsets': subsets}
  assert_all_near(stored, 'kid_', lambda name: found[name.split('_')[1]], [f'kid_first_idx_input{i}' for i in (1, 2)])
  whole = {name: metrics.kernel_distance_full(*rows, name) for name in ('unbiased', 'biased', 'paired')}
  whole |= {'ustat': whole['paired'], 'torch': whole['unbiased']}
  assert_all_near(stored, 'mmd2_', lambda name: whole[name.split('_')[1]])


def test_inception_score(stored):
  splits = json.loads(str(stored['meta']))['cfg']['splits']

  def score(name):
    _, what, how = name.split('_')
    return metrics.inception_score(stored['in/logits'], splits, 2020 if how == 'shuffle1' else None)[what == 'std']

  assert_all_near(stored, 'is_', score)


def test_neighbours(stored, rows):
  found = metrics.prdc(*rows, k=5)
  assert list(found.values()) == pytest.approx(stored['out/prdc_exact'].tolist(), rel=1e-15)  # counts are equal
  assert_all_near(stored, 'prdc_', lambda name: found[name.split('_')[1]], ['prdc_exact'])
  both = metrics.precision_recall(*rows, k=3)
  assert both == {name: stored[f'out/pr_exact_{name}_k3'] for name in both}
  # StyleGAN2-ADA in half precision rounds distances: recall .8495 there, .8475 without.
  half = ['pr_stylegan2ada_fp16_recall_k3']
  assert_all_near(stored, 'pr_', lambda name: both['recall' if 'recall' in name else 'precision'], half)
