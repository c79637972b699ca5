"""Averages of parameters: each kind by its definition, and averages put together from stored ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from ganjax import averages
from ganjax.averages import gamma, weights, width
from ganjax.errors import ConfigError


def power_average(trajectory, exponent):
  """The average of [T, ...] with weights s^exponent, s = 1..T, by the recursion of Karras et al. 2024, equation 2."""
  mean = np.zeros(trajectory.shape[1:])
  seen = []
  for t, value in enumerate(trajectory, 1):
    beta = (1 - 1 / t) ** (exponent + 1)
    mean = beta * mean + (1 - beta) * value
    seen.append(mean)
  return np.asarray(seen)


def walk(steps=2000, size=4, seed=0):
  """What parameters do: a way from a start to an end, with noise on it."""
  t = np.linspace(0, 1, steps)[:, None]
  noise = np.random.default_rng(seed).normal(size=(steps, size)).cumsum(0) / np.sqrt(steps)
  return 3 + np.sqrt(t) * np.arange(1, size + 1) + noise


@pytest.mark.parametrize(('sigma_rel', 'expected'), [(0.05, 16.97), (0.10, 6.94)])
def test_gamma_of_the_papers_two_averages(sigma_rel, expected):
  assert gamma(sigma_rel) == pytest.approx(expected, abs=5e-3)  # Karras et al. 2024, section 3.1


@pytest.mark.parametrize('sigma_rel', [0.001, 0.02, 0.05, 0.1, 0.2, 0.28, averages.WIDEST])
def test_sigma_rel_is_the_standard_deviation_of_the_profile(sigma_rel):
  exponent = gamma(sigma_rel)
  assert width(exponent) == pytest.approx(sigma_rel, rel=1e-9)
  s = (np.arange(200_000) + 0.5) / 200_000
  p = s**exponent / (s**exponent).sum()
  assert np.sqrt((p * s**2).sum() - (p * s).sum() ** 2) == pytest.approx(sigma_rel, rel=1e-3)
  assert gamma(averages.WIDEST) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize('sigma_rel', [0, -0.1, 0.3, np.nan])
def test_no_such_width(sigma_rel):
  with pytest.raises(ValueError, match='sigma_rel: given'):
    gamma(sigma_rel)


def test_overlap_is_the_integral_of_the_product():
  s = (np.arange(400_000) + 0.5) / 400_000 * 8
  profile = lambda t, g: np.where(s <= t, (g + 1) * s**g / t ** (g + 1), 0)  # noqa: E731
  for t, g, u, h in [(3, 2.0, 7, 5.5), (7, 5.5, 3, 2.0), (4, 1.0, 4, 9.0), (8, 0.0, 1, 0.0)]:
    expected = (profile(t, g) * profile(u, h)).sum() * (s[1] - s[0])
    assert averages.overlap(t, g, u, h) == pytest.approx(expected, rel=1e-4)


def test_power_average_in_training_is_the_recursion():
  """Images count in batches; also after a million steps the decay is not lost in rounding."""
  decay = averages.average(sigma_rel=0.1)
  found = [float(decay(jnp.int32(64 * n), jnp.int32(64 * (n + 1)))) for n in range(20)]
  np.testing.assert_allclose(found, [(1 - 1 / t) ** (gamma(0.1) + 1) for t in range(1, 21)], rtol=1e-5)
  late = 1 - np.float64(decay(jnp.int32(64 * 10**6), jnp.int32(64 * (10**6 + 1))))
  assert late == pytest.approx((gamma(0.1) + 1) / 1e6, rel=0.01)


def test_constant_decay():
  decay = averages.average(decay=0.9)
  assert float(decay(jnp.int32(0), jnp.int32(64))) == float(decay(jnp.int32(640), jnp.int32(704))) == np.float32(0.9)


def test_halflife_that_grows():
  decay = averages.average(halflife_kimg=1.0, rampup=0.0, growth_kimg=4.0)
  told = [float(decay(jnp.int32(n), jnp.int32(n + 100))) for n in (0, 1000, 2000, 4000, 9000)]
  shares = [1e-11, 0.5 - 0.125 * 8**0.5, 0.5, 1, 1]
  assert told == pytest.approx([0.5 ** (0.1 / share) for share in shares], abs=1e-5)


def test_several_at_once_each_by_its_own_definition():
  """Half-life, constant and power-function averages of one training, recomputed from the parameters of every step."""
  kinds = {'short': {'halflife_kimg': 0.02, 'rampup': 0.0}, 'fixed': {'decay': 0.8}, 'p10': {'sigma_rel': 0.1}}
  config = tiny.complete(ema=kinds, optimizer__g__learning_rate=0.1)
  first = tiny.initial(config, *tiny.game(config))
  expected = {name: first.ema[name]['g'] for name in kinds}
  for n, (state, _) in enumerate(tiny.each(config, 4)):
    betas = {'short': 0.5 ** (16 / 20), 'fixed': 0.8, 'p10': (1 - 1 / (n + 1)) ** (gamma(0.1) + 1)}
    for name, beta in betas.items():
      mix = lambda old, new, beta=beta: beta * old + (1 - beta) * new  # noqa: E731
      expected[name] = jax.tree.map(mix, expected[name], state.params['g'])
  for name in kinds:
    assert tiny.difference(state.ema[name]['g'], expected[name]) < 1e-5
  assert tiny.difference(state.ema['short'], state.ema['fixed']) > 1e-3


@pytest.mark.parametrize(
  ('ema', 'told'),
  [
    ({'sigma_rel': 0.3}, r'ema.main.sigma_rel: given 0.3, valid: at most 0.2887'),
    ({'sigma_rel': 0.1, 'decay': 0.9}, r'ema.main.decay: given 0.9, valid: 0 beside sigma_rel'),
    ({'decay': 1.0}, r'ema.main.decay: given 1.0, valid: a number from 0 to below 1'),
    ({'sigma': 0.1}, "did you mean 'sigma_rel'"),
  ],
)
def test_averages_that_cannot_be(ema, told):
  with pytest.raises(ConfigError, match=told):
    tiny.complete(ema={'main': ema})


# Put together from stored ones.


@pytest.mark.parametrize('sigma_rel', [0.03, 0.05, 0.075, 0.12, 0.2])
def test_any_width_from_two(sigma_rel):
  """Of a known trajectory: as near to the average computed directly as the profile's error lets it be."""
  path, every = walk(), 50
  kept = {exponent: power_average(path, exponent) for exponent in (gamma(0.05), gamma(0.1))}
  times = [t for _ in kept for t in range(every, len(path) + 1, every)]
  gammas = [exponent for exponent in kept for _ in range(every, len(path) + 1, every)]
  found, error = weights(times, gammas, len(path), gamma(sigma_rel))
  made = sum(w * kept[g][t - 1] for w, t, g in zip(found, times, gammas, strict=True))
  direct = power_average(path, gamma(sigma_rel))[-1]
  assert found.sum() == pytest.approx(1)
  assert error < (0.08 if sigma_rel == 0.03 else 0.01)  # Karras et al.: small but for widths far below the stored ones
  spread = path.std(0)
  assert (np.abs(made - direct) / spread).max() < 0.01
  nearest = min(kept, key=lambda g: abs(width(g) - sigma_rel))
  if sigma_rel not in (0.05, 0.1):
    assert np.abs(made - direct).max() < 0.2 * np.abs(kept[nearest][-1] - direct).max()


def test_at_an_earlier_step():
  path = walk(seed=1)  # asked for at one of the times stored, as one should: between two the profile's end is blurred
  kept = power_average(path, gamma(0.05)), power_average(path, gamma(0.1))
  times = [*range(100, 2001, 100)] * 2
  found, error = weights(times, [gamma(0.05)] * 20 + [gamma(0.1)] * 20, 1200, gamma(0.08))
  made = sum(w * kept[i // 20][t - 1] for i, (w, t) in enumerate(zip(found, times, strict=True)))
  direct = power_average(path[:1200], gamma(0.08))[-1]
  assert error < 0.02
  assert (np.abs(made - direct) / path.std(0)).max() < 0.01
  assert weights(times, [gamma(0.05)] * 20 + [gamma(0.1)] * 20, 1250, gamma(0.08))[1] > 0.2


def test_a_stored_one_is_itself():
  found, error = weights([10, 20, 10, 20], [5.0, 5.0, 2.0, 2.0], 20, 2.0)
  np.testing.assert_array_equal(found, [0, 0, 0, 1])
  assert error == 0


def test_one_alone_is_all_there_is():
  found, error = weights([10], [5.0], 20, 5.0)
  np.testing.assert_allclose(found, [1])
  assert error > 0.5
