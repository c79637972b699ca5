"""Averages of any length after the training: what is stored, what is made of it, and the commands."""

import jax
import numpy as np
import pytest
import tiny

from ganjax import posthoc
from ganjax.averages import gamma
from ganjax.errors import CheckpointError, ConfigError

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
