"""Configs changed at random: refused with one message that names the field, or the step traces. Never a traceback."""

import jax
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ganjax import config as configs
from ganjax import parallel
from ganjax.assemble import assemble, payload
from ganjax.errors import ConfigError

EXPERIMENTS = ('gan_ring8:smoke', 'dcgan_digits:smoke', 'wgan_gp_digits:smoke')
BASES = {name: configs.load(name) for name in EXPERIMENTS}
EXTRA = (
  'terms.d.r1.gamma', 'terms.d.r1.every', 'terms.g.r2.gamma', 'terms.d.gradient_penalty.weight', 'terms.d', 'terms.x.r1.gamma',
  'ema.main.rampup', 'ema.other.halflife_kimg', 'ema', 'schedule.g_learning_rate.over_kimg', 'schedule.d_r1_gamma.end',
  'optimizer.d.weight_clip', 'optimizer.q.learning_rate', 'generator.spectral', 'discriminator.spectral', 'data.path',
  'data.layout', 'loss.a', 'loss.c', 'nothing', 'generator.nothing', 'generator.hidden', 'data.centres',
)  # fmt: skip
FIELDS = sorted({field for config in BASES.values() for field in configs.flat(config)} | set(EXTRA))
VALUES = st.one_of(
  st.sampled_from([
    -1, 0, 1, 2, 3, 4, 7, 8, 16, 32, 100, 10**6, 2**31, 10**30, -0.5, 0.0, 0.25, 1.0, 2.5, 1e-30, 1e30, float('inf'),
    float('nan'), True, False, None, '', 'auto', 'adam', 'sgd', 'rmsprop', 'hinge', 'lsgan', 'wasserstein', 'relativistic',
    'minimax', 'dcgan', 'mlp', 'resnet', 'digits', 'mixture', 'folder', 'ring', 'grid', 'bfloat16', 'float32', 'pmap', 'jit',
    'rollback', 'batch', 'none', 'instance', 'layer', 'no/such/file.npz', (), (4,), (0,), (4, 4), ((0, 0), (1, 1)), {}, [1],
  ]),
  st.text('abcgn_.0', max_size=6),
  st.integers(-3, 70),
)  # fmt: skip
NOW = {field: value for config in BASES.values() for field, value in configs.flat(config).items()}


def alike(field: str) -> st.SearchStrategy:
  """Values of the type that the field has: most of these can be trained with."""
  now = NOW.get(field, 1.0)
  if isinstance(now, bool):
    return st.booleans()
  if isinstance(now, int):
    return st.sampled_from([1, 2, 8, 16, 40])
  if isinstance(now, float):
    return st.floats(0, 0.9)
  if isinstance(now, tuple):
    return st.lists(st.integers(1, 20), max_size=3).map(tuple)
  choices = [
    'adam',
    'sgd',
    'rmsprop',
    'hinge',
    'lsgan',
    'minimax',
    'relativistic',
    'dcgan',
    'resnet',
    'mlp',
    'batch',
    'layer',
    'none',
  ]
  return st.sampled_from([now, *choices])


CHANGES = st.lists(
  st.sampled_from(FIELDS).flatmap(lambda field: st.tuples(st.just(field), alike(field) | alike(field) | VALUES)),
  min_size=1,
  max_size=3,
).map(dict)

traced = 0


def attempt(name: str, changes: dict) -> str:
  """'refused', 'traced' or 'ran'."""
  global traced
  config = None
  try:
    config = configs.complete(BASES[name], changes)
    setup = assemble(config)
  except ConfigError as error:
    assert str(error).startswith('config.'), error
    assert '\n' not in str(error)
    return 'refused'
  state = setup.initial.eval_shape()
  after, metrics = jax.eval_shape(setup.play.at(0), state, payload(setup, 0))
  after = jax.tree.map(lambda a, b: (a.shape, a.dtype) == (b.shape, b.dtype), state, after)
  assert all(jax.tree.leaves(after)), 'the state keeps its shape'
  traced += 1
  size = sum(int(np.prod(x.shape)) for x in jax.tree.leaves(state.params)) * config.batch_size * config.steps_per_call
  if traced % 20 or size > 10**8:
    return 'traced'
  state = parallel.place(setup.initial(), setup.mesh)
  for n in range(0, 2 * config.steps_per_call, config.steps_per_call):
    state, metrics = setup.play(n, state, payload(setup, n))
  jax.block_until_ready(metrics)
  return 'ran'


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(EXPERIMENTS), CHANGES)
def test_a_hundred_changed_configs(name, changes):
  assert attempt(name, changes) in ('refused', 'traced', 'ran')


@pytest.mark.slow
@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(EXPERIMENTS), CHANGES)
def test_a_thousand_changed_configs(name, changes):
  assert attempt(name, changes) in ('refused', 'traced', 'ran')
