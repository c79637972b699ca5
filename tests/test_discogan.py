"""DiscoGAN: losses by hand, who moves, devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from test_cyclegan import FIELDS, SPEC
from test_pix2pix import batch, begin, play

from ganjax import config as configs
from ganjax.check import check
from ganjax.nets import layers
from ganjax.step import make_step

DISCO = FIELDS | {'game': 'discogan', 'loss': {'name': 'non_saturating'}, 'play': {}}


def config(**fields):
  return configs.complete(DISCO, {name.replace('__', '.'): value for name, value in fields.items()})


def test_it_can_be_made():
  check(config(), SPEC, 1)
  assert configs.rules(config(), configs.game(config(), SPEC)).averaged == ('g_ab', 'g_ba')


@pytest.mark.slow
def test_losses_by_hand():
  own = config(play__gan_weight=0.2, play__rebuilding_weight=0.7, play__feature_weight=3.0)
  game, rules, now = begin(own, SPEC)
  step = jax.jit(make_step(game, rules, due=(1,)))
  _, seen = step(now, batch(0, 4, SPEC))
  g, d = configs.generator(own, SPEC), configs.discriminator(own, SPEC, 1, {})
  through = lambda player, x: g.apply({'params': now.params[player]}, x)  # noqa: E731

  def look(player, x):
    """D's logits, and its maps before the last."""
    keep = lambda module, _: isinstance(module, layers.Conv)  # noqa: E731
    said, kept = d.apply({'params': now.params[player]}, x, mutable=['intermediates'], capture_intermediates=keep)
    return said, [kept['intermediates'][f'conv{i}']['__call__'][0] for i in range(2)]

  a, b = batch(0, 4, SPEC)['source'][0], batch(0, 4, SPEC)['image'][0]
  fake_b, fake_a = through('g_ab', a), through('g_ba', b)
  total = 0.7 * (((through('g_ba', fake_b) - a) ** 2).mean() + ((through('g_ab', fake_a) - b) ** 2).mean())
  for player, real, fake in (('d_b', b, fake_b), ('d_a', a, fake_a)):
    (_, maps), (said, made) = look(player, real), look(player, fake)
    features = np.mean([((r.mean(0) - f.mean(0)) ** 2).mean() for r, f in zip(maps, made, strict=True)])
    total += 0.2 * jax.nn.softplus(-said).mean() + 3 * features
  np.testing.assert_allclose(seen['g/loss'], total, rtol=1e-5)
  _, told = jax.jit(make_step(game, rules, due=(0,)))(now, batch(0, 4, SPEC))
  by_hand = jax.nn.softplus(-look('d_b', b)[0]).mean() + jax.nn.softplus(look('d_b', fake_b)[0]).mean()
  np.testing.assert_allclose(told['d_b/loss'], by_hand / 2, rtol=1e-5)
  assert jnp.isfinite(told['d_a/loss'])


@pytest.mark.slow
def test_movers_and_resume():
  own = config()
  game, rules, now = begin(own, SPEC)
  for due, movers in (((0,), {'d_a', 'd_b'}), ((1,), {'g_ab', 'g_ba'})):
    after, _ = jax.jit(make_step(game, rules, due=due))(now, batch(0, 4, SPEC))
    assert {p for p in now.params if tiny.difference(now.params[p], after.params[p]) > 0} == movers
  again, _ = play(own, 1, now=play(own, 1, spec=SPEC)[0], first=1, spec=SPEC)
  assert tiny.difference(play(own, 2, spec=SPEC)[0], again) == 0


@pytest.mark.slow
def test_devices_agree():
  own = config(**{f'optimizer__{p}': {'name': 'sgd', 'learning_rate': 1e-2} for p in ('g_ab', 'g_ba', 'd_a', 'd_b')})
  one, seen = play(own, 2, spec=SPEC)
  many, metrics = play(own, 2, how='pmap', devices=4, spec=SPEC)
  assert tiny.difference((one.params, one.extras), (many.params, many.extras)) < 2e-5
  assert metrics == pytest.approx(seen, rel=1e-3, abs=1e-4)
