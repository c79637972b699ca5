"""pix2pix: losses by hand, who moves, one noise for both turns, noise in use, and what the game refuses."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from ml_collections import FrozenConfigDict

from ganjax import config as configs
from ganjax import parallel, state
from ganjax.check import check
from ganjax.data.spec import Spec
from ganjax.errors import ConfigError
from ganjax.step import make_step

SPEC = Spec('image', (8, 8, 2), name='pairs', source=(8, 8, 1))
FIELDS = {
  'game': 'pix2pix', 'data': {'name': 'digit_pairs', 'resolution': 8}, 'batch_size': 8, 'generator': {'name': 'unet', 'width': 4, 'downs': 3, 'dropouts': 1},
  'discriminator': {'name': 'patchgan', 'width': 4, 'depth': 1},
}  # fmt: skip


def config(**fields):
  return configs.complete(FIELDS, {name.replace('__', '.'): value for name, value in fields.items()})


def batch(n=0, size=8, spec=SPEC):
  rng = np.random.default_rng(n)
  draw = lambda shape: jnp.asarray(np.tanh(rng.normal(size=(1, size, *shape))), jnp.float32)  # noqa: E731
  return {'source': draw(spec.source), 'image': draw(spec.shape)}


def begin(own, spec=SPEC):
  game = configs.game(own, spec)
  rules = configs.rules(own, game)
  create = jax.jit(lambda: state.create(game, rules, jax.random.key(0), spec.example(), configs.hyper(own)))
  return game, rules, create()  # in one program: sooner than an operation at a time


@functools.lru_cache(2)
def compiled(own, how, devices, source):
  game, rules, _ = begin(own, Spec('image', (8, 8, 2), source=source))
  return parallel.compile(game, rules, parallel.make_mesh(devices), how)


def play(own, steps, how='jit', devices=1, now=None, first=0, spec=SPEC):
  new, mesh = begin(own, spec)[2], parallel.make_mesh(devices)
  program = compiled(FrozenConfigDict(own), how, devices, spec.source)
  now = parallel.place(new if now is None else now, mesh)
  for n in range(first, first + steps):
    now, metrics = program(n, now, parallel.shard(jax.device_get(batch(n, own.batch_size, spec)), mesh, how))
  return jax.device_get(now), parallel.unstack(metrics)[0]


@pytest.mark.parametrize(
  ('loss', 'd_of', 'g_of'),
  [
    ('non_saturating', lambda r, f: jax.nn.softplus(-r) + jax.nn.softplus(f), lambda f: jax.nn.softplus(-f)),
    ('lsgan', lambda r, f: ((r - 1) ** 2 + f**2) / 2, lambda f: (f - 1) ** 2 / 2),
  ],
)
@pytest.mark.slow
def test_losses_by_hand(loss, d_of, g_of):
  own = config(loss__name=loss, play__l1_weight=10.0, play__gan_weight=2.0, optimizer__d__learning_rate=0.0)
  game, rules, now = begin(own)
  _, seen = jax.jit(make_step(game, rules))(now, batch())
  g, d = configs.generator(own, SPEC), configs.discriminator(own, SPEC, 1, {})
  x, y = batch()['source'][0], batch()['image'][0]
  variables = lambda p: {'params': now.params[p], **now.extras[p]}  # noqa: E731
  key = jax.random.fold_in(jax.random.fold_in(jax.random.wrap_key_data(now.extras['noise']), 0), 0x6E6F)
  fake, _ = g.apply(variables('g'), x, train=True, key=key, mutable=['batch_stats'])
  judge = lambda image: d.apply(variables('d'), jnp.concatenate([x, image], -1), train=True, mutable=['batch_stats'])[0]  # noqa: E731
  real, made = judge(y), judge(fake)
  np.testing.assert_allclose(seen['d/loss'], d_of(real, made).mean() / 2, rtol=1e-4)
  np.testing.assert_allclose(seen['g/l1'], abs(fake - y).mean(), rtol=1e-4)
  np.testing.assert_allclose(seen['g/loss'], 2 * g_of(made).mean() + 10 * abs(fake - y).mean(), rtol=1e-4)


@pytest.mark.slow
def test_movers_statistics_and_noise():
  """D moves alone and then G; each forgets nothing of the other; the noise changes from step to step."""
  game, rules, now = begin(config())
  for due, mover, statistics in (((0,), 'd', {'d'}), ((1,), 'g', {'g', 'd', 'noise'})):
    after, _ = jax.jit(make_step(game, rules, due=due))(now, batch())
    assert {p for p in now.params if tiny.difference(now.params[p], after.params[p]) > 0} == {mover}
    assert {name for name in now.extras if tiny.difference(now.extras[name], after.extras[name]) > 0} == statistics


def test_resume_is_exact():
  own = config()
  again, _ = play(own, 1, now=play(own, 1)[0], first=1)
  assert tiny.difference(play(own, 2)[0], again) == 0


@pytest.mark.slow
def test_devices_agree():
  own = config(**{f'optimizer__{p}': {'name': 'sgd', 'learning_rate': 1e-3} for p in 'gd'})
  one, seen = play(own, 2)
  many, metrics = play(own, 2, how='pmap', devices=4)
  assert tiny.difference((one.params, one.extras), (many.params, many.extras)) < 2e-5
  assert metrics == pytest.approx(seen, rel=1e-3, abs=1e-4)


def test_samples_have_noise_of_their_own():
  game, _, now = begin(config())
  given = jax.tree.map(lambda x: jnp.repeat(x[0, :1], 4, 0), batch())
  drawn = game.prior(jax.random.key(1), 4, given)
  assert drawn.keys() == {'source', 'target', 'noise'}
  generate = jax.jit(game.generate)
  made = generate(now.params, now.extras, drawn)['image']
  assert np.ptp(made, axis=0).max() > 0
  part = generate(now.params, now.extras, {name: x[2:] for name, x in drawn.items()})['image']
  np.testing.assert_allclose(part, made[2:], atol=1e-6)
  quiet = generate(now.params, now.extras, {'source': given['source']})['image']
  assert np.ptp(quiet, axis=0).max() == 0
  dry = configs.game(config(generator__dropout=0.0), SPEC)
  assert 'noise' not in dry.prior(jax.random.key(1), 4, None)


@pytest.mark.parametrize(
  ('fields', 'named'),
  [
    ({'terms.d.r1.gamma': 1.0}, r'terms\.d'),
    ({'stabilizers.top_k.share': 0.5}, 'stabilizers.top_k'),
    ({'augment.name': 'diffaugment'}, 'augment.name'),
    ({'n_critic': 2}, 'n_critic'),
    ({'generator.downs': 4}, r'networks for data of shape .* multiples of 16'),
    ({'discriminator.depth': 3}, r'networks for data .* from 24'),
  ],
)
def test_refusals(fields, named):
  with pytest.raises(ConfigError, match=named):
    check(configs.complete(config().to_dict(), fields), SPEC, 1)


def test_data_of_one_domain_are_refused():
  with pytest.raises(ConfigError, match=r"data.name: given 'digits', valid: data of two domains"):
    check(config(data__name='digits'), tiny.IMAGES, 1)
