"""LAPGAN: the pyramid inverts, every level is the conditional game of its own images, the contract, and refusals."""

import functools
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from running import command, state_of
from test_contract import keep_the_contract

from ganjax import config as configs
from ganjax.check import check
from ganjax.data.spec import Spec
from ganjax.errors import ConfigError
from ganjax.ops import pyramid
from ganjax.sample import sampler
from ganjax.step import make_step

FIELDS = {
  'game': 'lapgan', 'play': {'levels': 1, 'width': 2, 'd_width': 4, 'kernel': 3}, 'latent_dim': 3, 'batch_size': 16,
  'generator': {'name': 'dense', 'hidden': (8,)}, 'discriminator': {'name': 'dense', 'hidden': (8,), 'dropout': 0.5},
  'optimizer': {player: {'name': 'sgd', 'learning_rate': 0.001} for player in 'gd'}, 'ema': {'main': {}},
}  # fmt: skip


def config(**fields):
  return configs.complete(FIELDS, {name.replace('__', '.'): value for name, value in fields.items()})


@functools.cache
def begun(levels=1, **fields):
  own = config(play__levels=levels, **fields)
  spec, game, rules = tiny.game(own)
  return own, game, rules, jax.jit(lambda: tiny.initial(own, spec, game, rules))()


def batch():
  return tiny.batch(tiny.IMAGES, 0, 1)


@pytest.mark.parametrize(
  ('shape', 'levels'), [((2, 16, 24, 3), 3), pytest.param((1, 20, 12, 1), 2, marks=pytest.mark.slow), ((1, 6, 6, 2), 0)]
)
def test_the_pyramid_inverts(shape, levels):
  x = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, shape), jnp.float32)
  decompose = jax.jit(lambda x: pyramid.decompose(x, levels))
  residuals, coarsest = decompose(x)
  assert coarsest.shape == (shape[0], shape[1] >> levels, shape[2] >> levels, shape[3])
  assert [r.shape[1] for r in residuals] == [shape[1] >> k for k in range(levels)]
  compose = jax.jit(pyramid.compose)
  np.testing.assert_allclose(compose(residuals, coarsest), x, atol=3e-7)
  # Numbers that no sum rounds come back to the bit.
  whole = jnp.round(x * 64) * 4.0**levels
  np.testing.assert_array_equal(compose(*decompose(whole)), whole)


@pytest.mark.slow
def test_a_pyramid_of_what_is_smooth():
  """Of one colour nothing is lost; of what is coarse already nothing but what interpolation adds."""
  residuals, coarsest = pyramid.decompose(jnp.full((1, 8, 8, 1), 0.3), 3)
  np.testing.assert_allclose(coarsest, 0.3, rtol=1e-6)
  assert max(float(abs(r).max()) for r in residuals) < 1e-7
  ramp = jnp.broadcast_to(jnp.arange(16.0)[:, None], (16, 16))[None, ..., None]
  inside = pyramid.decompose(ramp, 1)[0][0][0, 2:-2]
  np.testing.assert_allclose(inside, 0, atol=1e-5)


@pytest.mark.slow
def test_losses_by_hand():
  """Each level is a plain conditional game, of its own images and its own draws."""
  _, game, rules, now = begun(optimizer__d__learning_rate=0.0)
  _, seen = jax.jit(make_step(game, rules))(now, batch())
  x = batch()['image'][0]
  small = pyramid.down(x)
  variables = lambda player, side: {'params': now.params[player][side], **now.extras[player][side]}  # noqa: E731
  key = jax.random.fold_in(jax.random.fold_in(now.key, 0), 0)  # of the step, of D's turn
  key = jax.random.fold_in(jax.random.fold_in(key, 0), 0x6C76)  # of its first play, of the finest level
  draw = lambda row: jax.random.normal(jax.random.fold_in(jax.random.fold_in(key, 0), row), (8, 8, 1))  # noqa: E731
  g, d = (configs.network(config(**{f'{role}__name': 'lapgan', f'{role}__width': width, f'{role}__kernel': 3}), role, tiny.IMAGES, {})
          for role, width in (('generator', 2), ('discriminator', 4)))  # fmt: skip
  coarse = pyramid.up(small)
  fake = g.apply(variables('g', '8'), jax.vmap(draw)(jnp.arange(16)), coarse=coarse)
  judge = lambda image: d.apply(variables('d', '8'), image, coarse=coarse)  # noqa: E731
  expected = (jax.nn.softplus(-judge(x)) + jax.nn.softplus(judge(fake))).mean()
  np.testing.assert_allclose(seen['d/loss_8'], expected, rtol=1e-5)
  np.testing.assert_allclose(seen['d/loss'], seen['d/loss_8'] + seen['d/loss_4'], rtol=1e-6)
  np.testing.assert_allclose(seen['d/real_prob'], (seen['d/real_prob_8'] + seen['d/real_prob_4']) / 2, rtol=1e-6)


@pytest.mark.slow
def test_without_levels_it_is_the_plain_game():
  nets = {f'{role}__name': 'dcgan' for role in ('generator', 'discriminator')}
  _, game, rules, now = begun(0, **nets)
  own = configs.complete(FIELDS | {'play': {}, 'game': 'gan'}, {name.replace('__', '.'): x for name, x in nets.items()})
  spec, plain, _ = tiny.game(own)
  then = jax.jit(lambda: tiny.initial(own, spec, plain, rules))()
  seen, expected = (jax.jit(make_step(own, rules))(state, batch())[1] for own, state in ((game, now), (plain, then)))
  for name, value in expected.items():
    np.testing.assert_allclose(seen[name], value, rtol=1e-6, err_msg=name)


@pytest.mark.slow
def test_levels_train_for_themselves():
  """What a level learns depends on its own images alone: another detail changes the finest level, no other."""
  _, game, rules, now = begun(2, optimizer__g__learning_rate=0.1, optimizer__d__learning_rate=0.1)
  step = jax.jit(make_step(game, rules))
  detail = jnp.tile(jnp.asarray([[0.1, -0.1], [-0.1, 0.1]]), (4, 4))[None, None, ..., None]
  given = batch()
  one, other = (step(now, {**given, 'image': x})[0].params for x in (given['image'], given['image'] + detail))
  for player in 'gd':
    moved = {side: tiny.difference(one[player][side], other[player][side]) for side in one[player]}
    assert moved['8'] > 1e-5
    assert max(moved['4'], moved['2']) < 1e-7


def test_samples_from_coarse_to_fine():
  own = config(play__levels=2)
  spec, game, rules = tiny.game(own)
  rng, like = np.random.default_rng(0), jax.eval_shape(lambda: tiny.initial(own, spec, game, rules))
  params = jax.tree.map(lambda x: np.float32(rng.normal(size=x.shape) * 0.2), like.params)  # sooner than compiled draws
  extras = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), like.extras)
  make = sampler(game)(like.replace(params=params, extras=extras, ema={}))
  drawn = make(5, 3)
  assert {name: x.shape[1:] for name, x in drawn.items()} == {
    'latent': (3,), 'noise_8': (8, 8, 1), 'noise_4': (4, 4, 1), 'image_2': (2, 2, 1), 'image_4': (4, 4, 1), 'image': (8, 8, 1)
  }  # fmt: skip
  few = make(2, 3)
  np.testing.assert_allclose(few['image'], drawn['image'][:2], atol=1e-6)
  again = jax.jit(game.generate)(params, extras, {**drawn, 'noise_8': -drawn['noise_8']})
  np.testing.assert_allclose(again['image_4'], drawn['image_4'], atol=1e-6)
  assert np.abs(again['image'] - drawn['image']).max() > 1e-6


@pytest.mark.parametrize(
  'fields',
  [
    pytest.param({'terms': {'d': {'r1': {'every': 2}, 'lecam': {'start': 0}}}, 'conditioning': {'name': 'projection'}}, id='1'),
    pytest.param({'play': FIELDS['play'] | {'levels': 2}, 'loss': {'name': 'relativistic'}}, id='2', marks=pytest.mark.slow),
    pytest.param({'microbatches': 2, 'play': FIELDS['play'] | {'show_coarse': False}}, id='micro', marks=pytest.mark.slow),
  ],
)  # fmt: skip
def test_contract(fields):
  own = configs.complete(FIELDS | fields)
  check(own, tiny.IMAGES, 4)
  keep_the_contract(own)


@pytest.mark.parametrize(
  ('fields', 'named'),
  [
    ({'play.levels': 4}, r'play\.levels: given 4, valid: at most 3'),
    ({'augment.name': 'diffaugment'}, 'augment.name'),
    ({'terms.d.consistency_real.weight': 1.0}, 'terms.d.consistency_real'),
    ({'stabilizers.packing.size': 2}, 'stabilizers.packing'),
    ({'stabilizers.latent_optimization.rate': 0.5}, 'stabilizers.latent_optimization'),
    ({'generator.name': 'dcgan'}, r'generator.name: given .dcgan.* resolution: 4'),
    ({'generator.name': 'lapgan'}, "takes planes, which the game 'lapgan' gives its finer levels"),
    ({'game': 'gan', 'discriminator.name': 'lapgan'}, "coarse: .* the game 'lapgan'"),
    ({'game': 'gan', 'generator.name': 'lapgan'}, 'networks for data of shape'),
  ],
)
def test_refusals(fields, named):
  with pytest.raises(ConfigError, match=named):
    check(
      configs.complete(config().to_dict() if 'game' not in fields else FIELDS | {'play': {}}, fields), tiny.IMAGES, 1
    )


def test_data_without_images_are_refused():
  with pytest.raises(ConfigError, match=r"game: given 'lapgan'.* 'mixture' has no images"):
    check(config(data__name='mixture'), Spec('row', (2,), name='mixture'), 1)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['lapgan_digits', 'ddgan_digits'])
def test_the_real_command(name, monkeypatch, tmp_path):
  """Trains, goes on from a checkpoint to the same bits, and writes the way from coarse to fine, or from noise."""
  fields = ('--config.save_every=2', '--config.devices=1', '--config.tensorboard=false')
  train = lambda run: command(monkeypatch, 'train', '--config', f'{name}:smoke', '--workdir', run, *fields)  # noqa: E731
  assert train(tmp_path / 'a') == 0
  shutil.copytree(tmp_path / 'a', tmp_path / 'b')
  shutil.rmtree(tmp_path / 'b' / 'checkpoints' / '4')
  assert train(tmp_path / 'b') == 0
  whole, resumed = state_of(tmp_path / 'a', 4), state_of(tmp_path / 'b', 4)
  assert [path for path in whole if whole[path].tobytes() != resumed[path].tobytes()] == []
  assert command(monkeypatch, 'sample', '--workdir', tmp_path / 'a', '--num', 3, '--out', tmp_path / 'x.npz') == 0
  with np.load(tmp_path / 'x.npz') as found:
    assert found['image'].shape == (3, 16, 16, 1)
    assert {'image_4', 'image_8'} <= set(found) or {f'noisy_{t}' for t in (1, 2, 3, 4)} <= set(found)
