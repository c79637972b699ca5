"""Every adversarial loss against a second way of computing it, and what holds for all of them."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.integrate
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ganjax import losses
from ganjax.ops import across

OUTER = ('softplus', 'hinge', 'square', 'identity')
DIVERGENCES = ('kl', 'reverse_kl', 'pearson', 'squared_hellinger', 'jensen_shannon')
PAIRS = {
  **{
    name: getattr(losses, name)() for name in ('hinge', 'logistic', 'lsgan', 'minimax', 'non_saturating', 'wasserstein')
  },
  'lsgan(-1, 1, 0)': losses.lsgan(a=-1, b=1, c=0),
  'wasserstein(drift)': losses.wasserstein(drift=1e-3),
  'non_saturating(smooth)': losses.non_saturating(real_label=0.9, fake_label=0.1),
  'minimax(smooth)': losses.minimax(real_label=0.9, fake_label=0.1),
  **{f'relativistic({outer})': losses.relativistic(outer=outer) for outer in OUTER},
  **{f'relativistic_average({outer})': losses.relativistic_average(outer=outer) for outer in OUTER},
  **{
    f'f_divergence({name}, {s})': losses.f_divergence(divergence=name, saturating=s)
    for name in DIVERGENCES
    for s in (0, 1)
  },
}
RELATIVISTIC = [name for name in PAIRS if name.startswith('relativistic')]
AVERAGE = [name for name in PAIRS if name.startswith('relativistic_average')]
R = np.random.default_rng(0).normal(0.3, 2, 7).astype(np.float32)
F = np.random.default_rng(1).normal(-0.4, 2, 7).astype(np.float32)
LOGITS = hnp.arrays(np.float32, (6,), elements=st.floats(-80, 80, width=16))


@pytest.fixture(scope='module')
def recorded():
  return np.load(Path(__file__).parent / 'fixtures' / 'losses.npz', allow_pickle=False)


def test_every_loss_is_here():
  # The energy's own tests are in test_energy.py.
  assert {name.partition('(')[0] for name in PAIRS} == set(losses.__all__) - {'energy'}


# What holds for all.


@pytest.mark.parametrize('name', PAIRS)
@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize('shape', [(6,), (6, 1), (2, 3, 3)])
def test_shape_and_dtype_are_kept(name, dtype, shape):
  r, f = jnp.ones(shape, dtype), jnp.zeros(shape, dtype)
  for loss in (PAIRS[name].d, PAIRS[name].g, *([PAIRS[name].parts] if PAIRS[name].parts else [])):
    for out in jax.tree.leaves(jax.eval_shape(loss, r, f)):
      assert out.shape == shape
      assert out.dtype == dtype


@jax.jit
def values_and_slopes(r, f):
  """Of D's and G's loss of every pair, at logits of either precision."""

  def both(loss, dtype):
    return jax.value_and_grad(lambda r, f: loss(r.astype(dtype), f.astype(dtype)).astype(jnp.float32).sum(), (0, 1))(
      r, f
    )

  return {
    (name, dtype.__name__, side): both(getattr(pair, side), dtype)
    for name, pair in PAIRS.items() for dtype in (jnp.float32, jnp.bfloat16) for side in 'dg'
  }  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(LOGITS, LOGITS)
def test_finite_with_finite_slopes_at_large_logits(r, f):
  r[0], f[0], r[1], f[1] = 80, -80, -80, 80
  for place, found in values_and_slopes(r, f).items():
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found)), place


@pytest.mark.parametrize('name', PAIRS)
def test_each_example_is_its_own(name):
  """The loss of one example doesn't depend on the others, but for relativistic averages."""
  pair = PAIRS[name]
  for loss in (pair.d, pair.g):
    alone = np.concatenate([loss(R[i : i + 1], F[i : i + 1]) for i in range(len(R))])
    assert np.allclose(loss(R, F), alone) is (name not in AVERAGE)


@pytest.mark.parametrize('name', PAIRS)
def test_d_wants_reals_up_and_fakes_down_and_g_the_contrary(name):
  pair = PAIRS[name]
  r, f = jnp.full(3, 0.2), jnp.full(3, 0.1 if name == 'lsgan' else -0.1)
  up, down = jax.grad(lambda r, f: pair.d(r, f).sum(), (0, 1))(r, f)
  assert (up < 0).all()
  assert (down > 0).all()
  of_reals, of_fakes = jax.grad(lambda r, f: pair.g(r, f).sum(), (0, 1))(r, f)
  assert (of_fakes < 0).all()
  assert (of_reals > 0).all() if pair.g_needs_real else (of_reals == 0).all()


@pytest.mark.parametrize('name', PAIRS)
def test_parts_sum_to_the_loss_of_d(name):
  parts = PAIRS[name].parts(R, F)
  if name in RELATIVISTIC and name not in AVERAGE:  # a pair has no halves: each side against the other's mean
    average = PAIRS[name.replace('relativistic', 'relativistic_average')]
    np.testing.assert_array_equal(parts, average.parts(R, F))
  else:
    np.testing.assert_allclose(sum(parts), PAIRS[name].d(R, F), rtol=1e-6)


@pytest.mark.parametrize('name', RELATIVISTIC)
@settings(max_examples=25, deadline=None)
@given(LOGITS, LOGITS, st.floats(-40, 40, width=16))
def test_relativistic_losses_see_only_differences(name, r, f, shift):
  pair = PAIRS[name]
  np.testing.assert_allclose(pair.d(r + shift, f + shift), pair.d(r, f), rtol=1e-4, atol=1e-3)
  np.testing.assert_allclose(pair.g(r, f), pair.d(f, r), rtol=1e-6)  # the players exchange the sides


@pytest.mark.parametrize('name', [name for name in PAIRS if not name.startswith('f_div') or name.endswith('1)')])
def test_zero_sum_games(name):
  """Where G's loss is minus D's on fakes."""
  zero_sum = name.startswith(('minimax', 'wasserstein', 'f_divergence'))
  pair = PAIRS[name]
  if pair.parts and name not in AVERAGE:
    assert np.allclose(pair.g(R, F), -pair.parts(R, F)[1], atol=1e-6) is zero_sum


# Each against a second way.


def bce(logits, label):
  return optax.sigmoid_binary_cross_entropy(jnp.asarray(logits), jnp.full(logits.shape, label))


@pytest.mark.parametrize(('real_label', 'fake_label'), [(1.0, 0.0), (0.9, 0.0), (0.9, 0.1)])
def test_cross_entropies(real_label, fake_label):
  d = bce(R, real_label) + bce(F, fake_label)
  smooth = {'real_label': real_label, 'fake_label': fake_label}
  np.testing.assert_allclose(losses.non_saturating(**smooth).d(R, F), d, rtol=1e-5)
  np.testing.assert_allclose(losses.non_saturating(**smooth).g(R, F), bce(F, 1.0), rtol=1e-5)
  np.testing.assert_allclose(losses.minimax(**smooth).d(R, F), d, rtol=1e-5)
  np.testing.assert_allclose(losses.minimax(**smooth).g(R, F), -bce(F, fake_label), rtol=1e-5)


def test_smoothed_labels_are_what_d_converges_to():
  """D's loss is least where sigmoid(logit) is the label."""
  d = losses.non_saturating(real_label=0.9, fake_label=0.2).d
  r, f = (jnp.log(p / (1 - p)) for p in (jnp.float32(0.9), jnp.float32(0.2)))
  np.testing.assert_allclose(jax.grad(d, (0, 1))(r, f), (0, 0), atol=1e-6)


def test_the_best_d_of_the_original_game_measures_the_jensen_shannon_divergence():
  """Over two outcomes, at D = p / (p + q): -E D's loss = 2 JSD(p, q) - 2 log 2 (Goodfellow et al. 2014, theorem 1)."""
  p, q = np.array([0.8, 0.2]), np.array([0.3, 0.7])
  logits = np.log(p / q)
  real, fake = losses.minimax().parts(logits, logits)
  m = (p + q) / 2
  jsd = (scipy.stats.entropy(p, m) + scipy.stats.entropy(q, m)) / 2
  np.testing.assert_allclose((p * real).sum() + (q * fake).sum(), 2 * np.log(2) - 2 * jsd, rtol=1e-6)


def test_logistic_is_the_logarithms_of_probabilities():
  real, fake = (1 / (1 + np.exp(-x.astype(np.float64))) for x in (R, F))
  np.testing.assert_allclose(losses.logistic().d(R, F), -np.log(real) - np.log(1 - fake), rtol=1e-5)
  np.testing.assert_allclose(losses.logistic().g(R, F), -np.log(fake), rtol=1e-5)


def test_least_squares():
  pair = losses.lsgan(a=-1, b=1, c=0.5)
  np.testing.assert_allclose(pair.d(R, F), optax.l2_loss(R, jnp.ones(7)) + optax.l2_loss(F, -jnp.ones(7)), rtol=1e-6)
  np.testing.assert_allclose(pair.g(R, F), optax.l2_loss(F, jnp.full(7, 0.5)), rtol=1e-6)


def test_hinge():
  np.testing.assert_allclose(
    losses.hinge().d(R, F), optax.hinge_loss(R, np.ones(7)) + optax.hinge_loss(F, -np.ones(7)), rtol=1e-6
  )
  np.testing.assert_array_equal(losses.hinge().g(R, F), -F)


def test_wasserstein_and_its_drift():
  np.testing.assert_array_equal(losses.wasserstein().d(R, F), F - R)
  np.testing.assert_array_equal(losses.wasserstein().g(R, F), -F)
  np.testing.assert_allclose(losses.wasserstein(drift=0.1).d(R, F) - (F - R), 0.1 * R**2, rtol=1e-4, atol=1e-6)


OF_PAIRS = {'softplus': lambda t: bce(t, 1.0), 'hinge': lambda t: np.maximum(0, 1 - t), 'square': lambda t: (t - 1) ** 2,
            'identity': lambda t: -t}  # fmt: skip


@pytest.mark.parametrize('outer', OUTER)
def test_relativistic_pairs_and_averages(outer):
  h = OF_PAIRS[outer]
  pair, average = losses.relativistic(outer=outer), losses.relativistic_average(outer=outer)
  np.testing.assert_allclose(pair.d(R, F), h(R - F), rtol=1e-5, atol=1e-6)
  np.testing.assert_allclose(pair.g(R, F), h(F - R), rtol=1e-5, atol=1e-6)
  np.testing.assert_allclose(average.d(R, F), h(R - F.mean()) + h(R.mean() - F), rtol=1e-5, atol=1e-5)
  np.testing.assert_allclose(average.g(R, F), h(F - R.mean()) + h(F.mean() - R), rtol=1e-5, atol=1e-5)


def test_an_unknown_outer_function_is_an_error():
  with pytest.raises(KeyError):
    losses.relativistic(outer='cubic')


F_OF_U = {
  'kl': lambda u: u * np.log(u),
  'reverse_kl': lambda u: -np.log(u),
  'pearson': lambda u: (u - 1) ** 2,
  'squared_hellinger': lambda u: (np.sqrt(u) - 1) ** 2,
  'jensen_shannon': lambda u: u * np.log(u) - (u + 1) * np.log((u + 1) / 2),
}


def inverse_activation(name, t):
  """v with g_f(v) = t."""
  return {
    'kl': lambda: t, 'pearson': lambda: t, 'reverse_kl': lambda: -np.log(-t), 'squared_hellinger': lambda: -np.log(1 - t),
    'jensen_shannon': lambda: -np.log(2 * np.exp(-t) - 1),
  }[name]()  # fmt: skip


@pytest.mark.parametrize('name', DIVERGENCES)
def test_the_best_critic_attains_the_divergence_and_others_stay_below(name):
  """Between two Gaussians on the line: D_f = int q f(p / q) is reached at T = f'(p / q) (Nguyen et al. 2010)."""
  x = np.linspace(-9, 9, 4001)
  p, q = scipy.stats.norm.pdf(x, 0.3, 1.0), scipy.stats.norm.pdf(x, -0.2, 1.1)
  divergence = scipy.integrate.trapezoid(q * F_OF_U[name](p / q), x)
  u, step = p / q, 1e-6
  best = inverse_activation(name, (F_OF_U[name](u * (1 + step)) - F_OF_U[name](u * (1 - step))) / (2 * step * u))
  pair = losses.f_divergence(divergence=name)

  def bound(v):
    real, fake = (np.asarray(part, np.float64) for part in pair.parts(jnp.float32(v), jnp.float32(v)))
    return -scipy.integrate.trapezoid(p * real + q * fake, x)

  np.testing.assert_allclose(bound(best), divergence, rtol=1e-3)
  for other in (best + 0.2, best - 0.2, 0.9 * best, best + 0.1 * np.sin(x)):
    assert bound(other) < divergence


@pytest.mark.parametrize('name', DIVERGENCES)
def test_f_divergences_conjugates(name):
  """f*(t) = sup over u of ut - f(u), on a grid of u."""
  activated, conjugate = losses.DIVERGENCES[name]
  u = np.exp(np.linspace(-14, 14, 400_001))
  for v in np.linspace(-1.5, 1.5, 13):
    best = (u * float(activated(jnp.float32(v))) - F_OF_U[name](u)).max()
    np.testing.assert_allclose(conjugate(jnp.float32(v)), best, rtol=2e-4, atol=2e-4)


def test_g_of_an_f_divergence():
  saturating, other = (losses.f_divergence(divergence='squared_hellinger', saturating=s) for s in (True, False))
  np.testing.assert_allclose(saturating.g(R, F), 1 - np.exp(F.astype(np.float64)), rtol=1e-5)
  np.testing.assert_allclose(other.g(R, F), np.exp(-F.astype(np.float64)) - 1, rtol=1e-5)


# Across devices.


@pytest.mark.parametrize('name', AVERAGE)
def test_relativistic_averages_of_gathered_logits_are_those_of_one_device(name):
  """Values and gradients of a linear critic, on four devices with `across.gather`, as a game calls it."""
  pair = PAIRS[name]
  x = np.random.default_rng(2).normal(size=(2, 8, 3)).astype(np.float32)
  w = jnp.asarray([0.5, -1.0, 2.0])

  def loss(w, real, fake, axis=None):
    r, f = (across.gather(side @ w, axis) for side in (real, fake))
    return (pair.d(r, f) + 2 * pair.g(r, f)).mean()

  value, slope = jax.value_and_grad(loss)(w, *x)
  split = [side.reshape(4, 2, 3) for side in x]
  run = jax.pmap(
    lambda r, f: across.mean(jax.value_and_grad(loss)(w, r, f, 'data')[0], 'data'), 'data', devices=jax.devices()[:4]
  )
  slopes = jax.pmap(
    lambda r, f: across.mean(jax.grad(loss)(w, r, f, 'data'), 'data'), 'data', devices=jax.devices()[:4]
  )
  np.testing.assert_allclose(run(*split), np.full(4, value), rtol=1e-5)
  np.testing.assert_allclose(slopes(*split)[3], slope, rtol=1e-4, atol=1e-6)


# Parity with published code, given its logits.


def close(ours, theirs):
  np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4 * np.abs(theirs).max())


def part(arrays, prefix):
  return {key.removeprefix(prefix): arrays[key] for key in arrays.files if key.startswith(prefix)}


MIMICRY = {
  'mimicry_sngan32': 'hinge',
  'mimicry_cgan_pd32': 'hinge',
  'mimicry_wgan_gp32': 'wasserstein',
  'mimicry_dcgan32': 'non_saturating',
}


@pytest.mark.parametrize(('fixture', 'loss'), MIMICRY.items())
def test_torch_mimicry(recorded, fixture, loss):
  """Its 'ns' and its 'minimax' are both `non_saturating`: the G loss that it calls minimax aims at the label 1."""
  z = part(recorded, f'{fixture}/')
  close(PAIRS[loss].d(z['real'], z['fake']).mean(), z['d'])
  close(PAIRS[loss].g(z['real'], z['fake_of_g']).mean(), z['g'])


def test_biggan(recorded):
  real, fake = losses.hinge().parts(recorded['biggan32/real'], recorded['biggan32/fake'])
  close(real.mean(), recorded['biggan32/d_real'])
  close(fake.mean(), recorded['biggan32/d_fake'])


@pytest.mark.parametrize('net', 'uc')
def test_r3gan(recorded, net):
  z = part(recorded, f'r3gan/{net}/')
  pair = losses.relativistic()
  d, g = pair.d(z['real'], z['fake']), pair.g(z['real'], z['fake'])
  close(d, z['d_adv'])
  close(g, z['g_adv'])
  regularised = recorded['r3gan/gamma'] / 2 * (z['d_r1'] + z['d_r2']).mean()
  close(regularised, z['d_reg'])
  close(d.mean() + regularised, z['d_total'])
  close(g.mean(), z['g_total'])


def test_stylegan2(recorded):
  pair = losses.logistic()
  close(pair.d(recorded['stylegan2/real'], recorded['stylegan2/fake']), recorded['stylegan2/d'])
  close(pair.g(recorded['stylegan2/real'], recorded['stylegan2/fake']), recorded['stylegan2/g'])


def test_esrgan(recorded):
  """BasicSR gives each side of a relativistic average half the weight; its lsgan has no half."""
  z = part(recorded, 'esrgan/')
  r, f = z['real_logits'], z['fake_logits']
  average = losses.relativistic_average()
  close(average.g(r, f).mean() / 2, z['ragan_G'])
  real, fake = average.parts(r, f)
  close(real.mean() / 2, z['ragan_D_real'])
  close(fake.mean() / 2, z['ragan_D_fake'])
  for theirs, ours, scale in (
    ('vanilla', 'non_saturating', 1), ('lsgan', 'lsgan', 2), ('wgan', 'wasserstein', 1), ('wgan_softplus', 'logistic', 1),
    ('hinge', 'hinge', 1),
  ):  # fmt: skip
    real, fake = PAIRS[ours].parts(r, f)
    close(scale * real.mean(), z[f'ganloss_{theirs}_target1_disc1'])
    close(scale * fake.mean(), z[f'ganloss_{theirs}_target0_disc1'])
    close(scale * PAIRS[ours].g(f, r).mean(), z[f'ganloss_{theirs}_target1_disc0'])


def test_pix2pix(recorded):
  pred = recorded['pix2pix/pred']
  for theirs, ours, scale in (('lsgan', 'lsgan', 2), ('vanilla', 'non_saturating', 1), ('wgangp', 'wasserstein', 1)):
    real, fake = PAIRS[ours].parts(pred, pred)
    close(scale * real.mean(), recorded[f'pix2pix/ganloss_{theirs}_real'])
    close(scale * fake.mean(), recorded[f'pix2pix/ganloss_{theirs}_fake'])


def test_progan_and_transgan_drift(recorded):
  real = recorded['progan/real']
  drift = losses.wasserstein(drift=1e-3).d(real, 0 * real) - losses.wasserstein().d(real, 0 * real)
  np.testing.assert_allclose(drift.sum(), recorded['progan/drift_sum'], rtol=1e-3)  # a difference of larger numbers
  real, fake = recorded['transgan/D_real'], recorded['transgan/D_fake']
  # TransGAN squares the batch's mean, ProGAN (and this) each logit: these differ by 1e-3 of the logits' variance.
  d = losses.wasserstein(drift=1e-3).d(real, fake).mean() - 1e-3 * real.var() + 10 * recorded['transgan/gp']
  close(d, recorded['transgan/D_loss_wgangp_eps'])
