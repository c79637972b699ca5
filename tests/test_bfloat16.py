"""Networks that compute in bfloat16 stay near those in float32; penalties on their slopes are added up in float32.

How near is in the table below: the share of the outputs' root mean square, and of the largest output, that rounding may
make, about twice what it makes of these small networks as they start. ProGAN and TransGAN have theirs in their own
tests.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from ganjax.nets import biggan, biggan_deep, dcgan, r3gan, resnet, stylegan1, stylegan2
from ganjax.step import make_step
from ganjax.terms.gradient import squared_norms
from ganjax.terms.path_length import path_lengths

SMALL = {'resolution': 16, 'channels': 1}
TINY = {'resolution': 8, 'channels': 1}
R3GAN = SMALL | {'widths': (8,), 'cardinalities': (2,), 'blocks': (1,)}
ATTENTIVE = {'width': 8, 'attention': (16,)}
STYLES = {'w_dim': 8, 'mapping_layers': 2}
# Family: module, G's fields, D's fields; how much of G's images may be rounded: root mean square, largest. Four logits
# near 0 say less: of the largest, D_ROUNDED may.
FAMILIES = {
  'dcgan': (dcgan, SMALL | {'width': 8}, SMALL | {'width': 8, 'spectral': True}, 0.01, 0.02),
  'sngan': (resnet, {'width': 8}, {'width': 8}, 0.015, 0.04),
  'sagan': (resnet, {'width': 16, 'attention': 16, 'spectral': True}, {'width': 16, 'attention': 16}, 0.015, 0.02),
  'biggan': (biggan, ATTENTIVE, ATTENTIVE, 0.015, 0.03),
  'biggan_deep': (biggan_deep, ATTENTIVE, ATTENTIVE, 0.02, 0.2),
  'stylegan1': (stylegan1, TINY | STYLES | {'widths': (8, 8)}, TINY | {'widths': (8, 8)}, 0.03, 0.05),
  'stylegan2': (stylegan2, SMALL | STYLES | {'channel_max': 8}, SMALL | {'channel_max': 8}, 0.015, 0.03),
  'r3gan': (r3gan, R3GAN, R3GAN, 0.02, 0.05),
}
D_ROUNDED = 0.03
LATENT = jax.random.normal(jax.random.key(1), (4, 12))


def both(make, fields, x):
  """Outputs in float32 and bfloat16, of the same variables."""
  variables = jax.jit(make(**fields).init)(jax.random.key(0), x)
  exact, low = (make(**fields, dtype=dtype) for dtype in ('float32', 'bfloat16'))
  return jax.jit(lambda v, x: (exact.apply(v, x), low.apply(v, x)))(variables, x)


@pytest.mark.parametrize(
  ('family', 'player'),
  [
    pytest.param(name, player, marks=() if name == 'stylegan1' else pytest.mark.slow)
    for name in FAMILIES
    for player in ('Generator', 'Discriminator')
  ],
)
def test_networks(family, player):
  module, g, d, mean, largest = FAMILIES[family]
  side = g.get('resolution', 32)
  image = jnp.tanh(jax.random.normal(jax.random.key(2), (4, side, side, g.get('channels', 3))))
  fields, x = (g, LATENT) if player == 'Generator' else (d, image)
  exact, low = (np.asarray(y, np.float32) for y in both(getattr(module, player), fields, x))
  if player == 'Generator':
    assert 0 < np.sqrt(np.square(low - exact).mean() / np.square(exact).mean()) < mean
  assert 0 < np.abs(low - exact).max() < (largest if player == 'Generator' else D_ROUNDED) * np.abs(exact).max()


def test_squared_slopes_are_added_in_float32():
  """R1 and R2: what a bfloat16 critic's slope is, exactly; a sum of 4,096 squares in bfloat16 stops growing at 256."""
  w = jnp.asarray(np.random.default_rng(0).normal(size=(64, 64, 1)), jnp.bfloat16)
  critic = lambda x: (x.astype(jnp.bfloat16) * w).sum((1, 2, 3))  # noqa: E731
  found = squared_norms(critic, jnp.zeros((3, 64, 64, 1)))
  assert found.dtype == jnp.float32
  np.testing.assert_allclose(found, np.square(np.asarray(w, np.float64)).sum(), rtol=1e-6)


def test_path_lengths_are_added_in_float32():
  """|J' y| of a generator whose output is bfloat16: its rows of J are w, so that J' y is w times the sum of y."""
  w = jnp.asarray(np.random.default_rng(0).normal(size=(2, 2048)), jnp.bfloat16)
  synthesize = lambda ws: (ws.astype(jnp.bfloat16) * w).sum((1, 2)).reshape(-1, 1, 1, 1)  # noqa: E731
  y = jnp.array([1.0, -2.0, 0.5]).reshape(3, 1, 1, 1)
  found = path_lengths(synthesize, jnp.zeros((3, 2, 2048)), y)
  assert found.dtype == jnp.float32
  length = np.sqrt(np.square(np.asarray(w, np.float64)).sum(1).mean())
  np.testing.assert_allclose(found, length * np.array([1, 2, 0.5]), rtol=1e-6)


@pytest.mark.parametrize(
  ('term', 'fields'),
  [
    ('d/r1', {'terms__d__r1__every': 2}),
    pytest.param('g/path_length', {'generator': {'name': 'stylegan2'} | STYLES | {'channel_max': 4},
                                   'terms__g__path_length__every': 2}, marks=pytest.mark.slow),
  ],
)  # fmt: skip
def test_terms_see_networks_in_float32(term, fields):
  """A lazy turn of the term alone says the same, whatever the dtype of the networks."""
  seen = []
  for dtype in ('float32', 'bfloat16'):
    spec, game, rules = tiny.game(tiny.images(dtype=dtype, **fields))
    state = tiny.initial(tiny.images(dtype=dtype, **fields), spec, game, rules)
    due = next(i for i, turn in enumerate(game.turns) if turn.every == 2)
    metrics = jax.jit(make_step(game, rules, due=(due,)))(state, tiny.batch(spec, 0, 1))[1]
    seen.append(float(metrics[term]))
  assert seen[0] > 0
  assert seen[1] == pytest.approx(seen[0], rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['stylegan1', 'stylegan2'])
def test_what_a_step_keeps_and_says(name):
  """All of it is float32: parameters, Adam's moments, averages, metrics."""
  widths = {'widths': (4, 4)} if name == 'stylegan1' else {'channel_max': 4}
  config = tiny.images(dtype='bfloat16', batch_size=4, generator={'name': name} | STYLES | widths,
                       discriminator={'name': name} | widths, terms__d={'r1': {}}, terms__g={'path_length': {}})  # fmt: skip
  spec, playing, rules = tiny.game(config)
  state = jax.eval_shape(lambda: tiny.initial(config, spec, playing, rules))
  step = tiny.parallel.compile(playing, rules, tiny.parallel.make_mesh(1)).at(0)
  batch = jax.eval_shape(lambda: tiny.batch(spec, 0, tiny.parallel.plays(playing.turns, 0), 4))
  after, metrics = jax.eval_shape(step, state, batch)
  assert {'d/r1', 'g/path_length'} <= set(metrics)
  assert {leaf.dtype for leaf in jax.tree.leaves(metrics)} == {np.dtype('float32')}
  assert jax.tree.map(lambda leaf: leaf.dtype, after) == jax.tree.map(lambda leaf: leaf.dtype, state)
  floats = [leaf for leaf in jax.tree.leaves(after) if jnp.issubdtype(leaf.dtype, jnp.floating)]
  assert {leaf.dtype for leaf in floats} == {np.dtype('float32')}
