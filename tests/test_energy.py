"""EBGAN and BEGAN: energies of an autoencoder, the balance k, the pulling-away term."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from ganjax import config as configs
from ganjax import losses, terms
from ganjax.check import check
from ganjax.errors import ConfigError
from ganjax.nets.autoencoder import Discriminator, Generator
from ganjax.step import make_step
from ganjax.types import Play

NETS = {'width': 4, 'smallest': 8}  # one resolution, the least to compile


def images(**fields):
  given = {f'{role}__{name}': value for role in ('generator', 'discriminator') for name, value in NETS.items()}
  names = {'generator__name': 'autoencoder', 'discriminator__name': 'autoencoder', 'discriminator__code': 6}
  return tiny.images(**names, **given, **fields)


def began(**fields):
  """On rows, where minus the logit of any D is an energy: the game asks for no more."""
  return tiny.complete(**{'game': 'began', 'play__balance_rate': 0.5} | fields)


@pytest.mark.parametrize('distance', ['absolute', pytest.param('square', marks=pytest.mark.slow)])
def test_the_logit_is_minus_the_distance_to_the_reconstruction(distance):
  net = Discriminator(resolution=8, channels=1, code=6, distance=distance, heads={'features': 0}, **NETS)
  x = jax.random.uniform(jax.random.key(0), (3, 8, 8, 1), minval=-1)
  params = jax.jit(net.init)(jax.random.key(1), x)['params']
  logits, said = jax.jit(net.apply)({'params': params}, x)
  decoder = Generator(resolution=8, channels=1, **NETS)
  rebuilt = jax.jit(decoder.apply)({'params': params['decoder']}, said['features'])
  assert said['features'].shape == (3, 6)
  off = np.asarray(x - rebuilt)
  expected = -(np.abs(off) if distance == 'absolute' else off**2).mean((1, 2, 3))
  np.testing.assert_allclose(logits, expected, rtol=1e-5)


def test_shapes():
  for resolution, smallest in ((8, 2), (32, 8)):
    g = Generator(resolution=resolution, channels=3, width=4, smallest=smallest)
    made = jax.eval_shape(lambda g=g: g.init_with_output(jax.random.key(0), jnp.zeros((2, 5)))[0])
    assert made.shape == (2, resolution, resolution, 3)


def test_ebgan_by_hand():
  pair = losses.energy(margin=2.0)
  real, fake = jnp.array([-0.5, -3.0]), jnp.array([-1.5, -2.5])
  np.testing.assert_allclose(pair.d(real, fake), [0.5 + 0.5, 3.0])
  np.testing.assert_allclose(pair.g(real, fake), [1.5, 2.5])


def test_pulling_away_by_hand():
  s = np.array(jax.random.normal(jax.random.key(0), (5, 3)))
  cosine = lambda a, b: a @ b / np.sqrt((a @ a) * (b @ b))  # noqa: E731
  pairs = [cosine(s[i], s[j]) ** 2 for i in range(5) for j in range(5) if i != j]
  play = Play(*[None] * 7, fake_heads={'features': jnp.asarray(s)})  # type: ignore[arg-type]
  scene = type('scene', (), {'axis': None})
  value, _ = terms.pulling_away(scene, play, weight=2.0)
  np.testing.assert_allclose(value, 2 * np.mean(pairs), rtol=1e-5)


def test_a_step_of_began_by_hand():
  config = began()
  spec, game, rules = tiny.game(config)
  before = tiny.initial(config, spec, game, rules)
  before = before.replace(extras={**before.extras, 'balance': {'k': jnp.float32(0.3), 'real': jnp.float32(0.0)}})
  batch = tiny.batch(spec, 0, 1)
  after, seen = jax.jit(make_step(game, rules))(before, batch)
  key = lambda turn: jax.random.fold_in(jax.random.fold_in(jax.random.fold_in(before.key, 0), turn), 0)  # noqa: E731

  @partial(jax.jit, static_argnums=1)
  def energy(params, turn=None):
    x = batch['row'][0]
    if turn is not None:
      x = game.generate(params, before.extras, game.prior(key(turn), 16, None))['row']
    return -game.score(params, before.extras, {'row': x}).mean()

  real, fake = energy(before.params), energy(before.params, 0)
  np.testing.assert_allclose(seen['d/loss'], real - 0.3 * fake, rtol=1e-5)
  moved = energy({'g': before.params['g'], 'd': after.params['d']}, 1)
  np.testing.assert_allclose(seen['g/loss'], moved, rtol=1e-5)
  k = 0.3 + 0.5 * (0.5 * real - moved)
  np.testing.assert_allclose(after.extras['balance']['k'], np.clip(k, 0, 1), rtol=1e-5)
  np.testing.assert_allclose(after.extras['balance']['real'], real, rtol=1e-6)
  np.testing.assert_allclose(seen['g/convergence'], real + abs(0.5 * real - moved), rtol=1e-5)


def test_only_the_mover_moves():
  config = began()
  spec, game, rules = tiny.game(config)
  before = tiny.initial(config, spec, game, rules)
  for due, mover in (((0,), 'd'), ((1,), 'g')):
    after, _ = jax.jit(make_step(game, rules, due=due))(before, tiny.batch(spec, 0, 1))
    assert {p for p in 'gd' if tiny.difference(before.params[p], after.params[p]) > 0} == {mover}


def test_devices_agree_and_resume_is_exact():
  config = began(optimizer__g__name='sgd', optimizer__d__name='sgd')
  one, seen = tiny.play(config, 2)
  many, metrics = tiny.play(config, 2, how='pmap', devices=4)
  assert tiny.difference((one.params, one.extras['balance']), (many.params, many.extras['balance'])) < 2e-6
  assert metrics[-1] == pytest.approx(seen[-1], rel=1e-4, abs=1e-5)
  half, _ = tiny.play(config, 1)
  again, _ = tiny.play(config, 1, begin=half, first=1)
  assert tiny.difference(one, again) == 0


def test_ebgan_trains_with_the_term_on_codes():
  config = images(loss__name='energy', terms__g__pulling_away__weight=0.1)
  _, seen = tiny.play(config, 1)
  assert 0 <= seen[-1]['g/pulling_away'] <= 0.1
  assert seen[-1]['d/loss_real'] > 0


@pytest.mark.parametrize(
  ('fields', 'named'),
  [
    ({'microbatches': 2}, 'microbatches'),
    ({'discriminator.smallest': 3}, r'discriminator.name.*smallest: 3'),
    ({'conditioning.name': 'projection'}, 'autoencoder'),
    ({'terms.d.rotation.weight': 1.0}, r'autoencoder|features'),
    ({'discriminator.distance': 'cubic'}, 'distance'),
  ],
)
def test_refusals(fields, named):
  with pytest.raises(ConfigError, match=named):
    check(configs.complete(images(game='began').to_dict(), fields), tiny.IMAGES, 1)
