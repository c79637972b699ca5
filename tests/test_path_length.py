"""Path length as a term of the game: by hand on a linear G, and on StyleGAN 2's styles."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from ganjax import config as configs
from ganjax.data.spec import Spec
from ganjax.players import players
from ganjax.terms.path_length import IMAGE, path_length
from ganjax.types import Scene


def scene_of(config, spec, count=8):
  both = players(config, spec)
  params, extras = both.init(jax.random.key(0), spec.example())
  hyper = {name: jnp.float32(value) for name, value in configs.hyper(config).items()}
  batch = jax.tree.map(lambda x: x[0], tiny.batch(spec, 0, 1, count))
  zero = jnp.int32(0)
  return both, Scene(params, extras, {}, batch, jnp.arange(count), jax.random.key(1), zero, zero, hyper, None, None)


def test_of_a_linear_generator_by_hand():
  config = tiny.complete(generator__hidden=(), terms__g__path_length__weight=3.0)
  both, scene = scene_of(config, tiny.ROWS)
  value, metrics, state = path_length(scene, both.play(scene, 'g')[0], {'mean': jnp.float32(0.5)}, weight=3.0)
  kernel = np.asarray(scene.params['g']['out']['kernel'])  # [Z, F]
  key = jax.random.fold_in(scene.key, IMAGE)
  noise = np.stack([jax.random.normal(jax.random.fold_in(key, row), (2,)) for row in (0, 2, 4, 6)])
  lengths = np.linalg.norm(noise @ kernel.T, axis=1)
  mean = 0.5 + 0.01 * (lengths.mean() - 0.5)
  np.testing.assert_allclose(state['mean'], mean, rtol=1e-5)
  np.testing.assert_allclose(value, 3 * np.square(lengths - mean).mean(), rtol=1e-4)
  assert metrics['path_length_mean'] == state['mean']


def test_the_mean_goes_on_from_step_to_step_in_lazy_turns():
  config = tiny.complete(terms__g__path_length__every=2, optimizer__g__learning_rate=0.0)
  state, seen = tiny.play(config, 3)
  means = [values['g/path_length_mean'] for values in seen if 'g/path_length_mean' in values]
  assert len(means) == 2
  assert 0 < means[0] < means[1]
  assert means[1] == pytest.approx(state.extras['terms']['g_path_length']['mean'])


@pytest.mark.slow
def test_stylegan2_plays_with_its_own_draws():
  net = {'name': 'stylegan2', 'channel_base': 64, 'channel_max': 8}
  config = configs.complete({
    'data': {'name': 'digits'}, 'latent_dim': 4, 'batch_size': 8, 'generator': net | {'w_dim': 8, 'mapping_layers': 2},
    'discriminator': net, 'terms': {'g': {'path_length': {'every': 2}}, 'd': {'r1': {'every': 2}}},
    'optimizer': {player: {'name': 'sgd', 'learning_rate': 1e-3} for player in 'gd'},
  })  # fmt: skip
  spec = Spec('image', (8, 8, 1), 10, name='digits')
  both, scene = scene_of(config, spec)
  fake = both.play(scene, 'g')[0].fake
  again = both.play(scene._replace(key=jax.random.key(2)), 'g')[0]
  styles, synthesize = again.halves(scene, jnp.zeros((8, 4)), None)
  assert styles.shape == (8, 4, 8)
  assert synthesize(styles).shape == fake.shape
  (one, seen), (many, metrics) = tiny.play(config, 2), tiny.play(config, 2, how='pmap', devices=4)
  assert tiny.difference((one.params, one.extras), (many.params, many.extras)) < 1e-4
  assert seen[0]['g/path_length'] > 0
  assert seen[0]['g/path_length'] == pytest.approx(metrics[0]['g/path_length'], rel=1e-3)
