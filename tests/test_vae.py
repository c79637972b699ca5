"""VAE, VAE-GAN and AAE: bounds against closed forms, likelihoods that sum to 1, who moves, devices, resume."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from running import command, experiment, metrics_of, state_of
from scipy import stats

from ganjax import config as configs
from ganjax import images as pictures
from ganjax import measure, parallel, refine
from ganjax.autoencoders import Posterior, log_normal
from ganjax.check import check
from ganjax.data.digits import digits
from ganjax.errors import ConfigError
from ganjax.evals import measures, view
from ganjax.likelihoods import LIKELIHOODS
from ganjax.sample import sampler, walking
from ganjax.step import make_step

GAMES = ('vae', 'vae_gan', 'aae')
FEW = ('vae', *(pytest.param(game, marks=pytest.mark.slow) for game in GAMES[1:]))  # by default
FIELDS = {'encoder__name': 'mlp', 'encoder__hidden': (8,)}
OF_IMAGES = {'encoder__name': 'dcgan', 'encoder__width': 4, 'encoder__norm': 'none'}


def rows(game, **fields):
  return tiny.complete(**{'game': game} | FIELDS | fields)


def images(game, **fields):
  latents = {'discriminator__name': 'mlp', 'discriminator__hidden': (8,)} if game == 'aae' else {}
  return tiny.images(**{'game': game} | OF_IMAGES | latents | fields)


# Likelihoods.


@pytest.mark.parametrize('name', ['normal', 'logistic'])
def test_the_256_levels_sum_to_one(name):
  grid = np.arange(256) / 127.5 - 1
  mean, scale = (x.reshape(-1, 1, 1, 1) for x in np.meshgrid([-1.0, -0.3, 0.999], [0.002, 0.1, 3.0]))
  x = jnp.asarray(np.broadcast_to(grid, (9, 256)).reshape(-1, 1, 1, 1), jnp.float32)

  def each(x):
    return jnp.asarray(np.repeat(x, 256, 0), jnp.float32)

  found = np.float64(LIKELIHOODS[name](x, each(mean), each(scale))).reshape(9, 256)
  np.testing.assert_allclose(np.exp(found).sum(1), 1, rtol=2e-4)
  law = getattr(stats, 'norm' if name == 'normal' else 'logistic')(mean.reshape(9, 1), scale.reshape(9, 1))
  edges = np.concatenate([[-np.inf], (grid[1:] + grid[:-1]) / 2, [np.inf]])
  exact = np.diff(law.cdf(edges), axis=1)
  told = exact > 1e-6
  np.testing.assert_allclose(np.exp(found)[told], exact[told], rtol=5e-3)
  slope = jax.grad(lambda m: LIKELIHOODS[name](x, m, each(scale)).sum())(each(mean))
  assert np.isfinite(found).all()
  assert np.isfinite(slope).all()


def test_likelihoods_by_hand():
  rng = np.random.default_rng(0)
  x, mean = rng.normal(size=(2, 5, 3)).astype(np.float32)
  for name, law in (('normal', stats.norm), ('logistic', stats.logistic)):
    found = LIKELIHOODS[name](x, mean, jnp.float32(0.7))
    np.testing.assert_allclose(found, law(mean, 0.7).logpdf(x).sum(1), rtol=1e-5)
  p, black = rng.uniform(0.1, 0.9, (2, 4, 4, 1)), -np.ones((2, 4, 4, 1))
  found = [LIKELIHOODS['bernoulli'](jnp.asarray(x), jnp.asarray(2 * p - 1), 1.0) for x in (black, -black, 0 * black)]
  np.testing.assert_allclose(found[0], np.log(1 - p).sum((1, 2, 3)), rtol=1e-4)
  np.testing.assert_allclose(found[1], np.log(p).sum((1, 2, 3)), rtol=1e-4)
  np.testing.assert_allclose(found[2], (found[0] + found[1]) / 2, rtol=1e-4)


def test_kl_is_the_textbooks_and_what_draws_say():
  rng = np.random.default_rng(1)
  mean, log_variance = rng.normal(size=(2, 4, 6))
  posterior = Posterior(jnp.asarray(mean, jnp.float32), jnp.asarray(log_variance, jnp.float32))
  exact = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).sum(1)
  np.testing.assert_allclose(posterior.kl(), exact, rtol=1e-5)
  z = jax.vmap(posterior.draw)(jax.random.split(jax.random.key(0), (20_000, 4)))
  drawn = jax.vmap(posterior.log)(z) - jax.vmap(log_normal)(z)
  np.testing.assert_allclose(drawn.mean(0), exact, atol=4 * float(drawn.std()) / np.sqrt(20_000))
  law = stats.norm(mean, np.exp(log_variance / 2))
  np.testing.assert_allclose(posterior.log(z[0]), law.logpdf(z[0]).sum(1), rtol=1e-4)


# A linear VAE, whose likelihood is known.


def linear(encoder):
  """x = W z + b + scale noise, with a W whose columns are orthogonal, and an encoder as told."""
  config = rows('vae', generator__hidden=(), encoder__hidden=(), latent_dim=2, play__scale=0.5)
  spec, game, rules = tiny.game(config)
  state = tiny.initial(config, spec, game, rules)
  w, b, variance = np.array([[1.2, 0.4], [-0.3, 0.9]]), np.array([0.2, -0.1]), 0.25
  exact = 1 / (1 + (w**2).sum(1) / variance)  # of the posterior; rows of w are orthogonal
  assert abs(w[0] @ w[1]) < 1e-9
  read = exact[:, None] * w / variance if encoder == 'exact' else 0.7 * exact[:, None] * w / variance
  log_variance = np.log(exact) if encoder == 'exact' else np.log(exact) + 0.5

  def dense(kernel, bias):
    return {'kernel': jnp.float32(kernel), 'bias': jnp.float32(bias)}

  e = {'logit': state.params['e']['logit'], 'head_mean': dense(read.T, -read @ b),
       'head_log_variance': dense(np.zeros((2, 2)), log_variance)}  # fmt: skip
  params = {'g': {'out': dense(w, b), 'log_scale': jnp.log(jnp.float32(0.5))}, 'e': e}
  assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, dict(state.params))
  law = stats.multivariate_normal(b, w.T @ w + variance * np.eye(2))
  return game, rules, state.replace(params=params), law, (w, b, read, np.exp(log_variance))


def weights(game, state, x, draws):
  keys = jax.random.split(jax.random.key(0), (draws, len(x)))
  found = jax.jit(jax.vmap(lambda k: game.reconstruct(state.params, state.extras, {'row': x}, k)['log_weight']))(keys)
  return np.asarray(found, np.float64).T


def test_with_the_exact_posterior_the_bound_is_the_likelihood():
  game, _, state, law, _ = linear('exact')
  x = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)
  np.testing.assert_allclose(weights(game, state, x, 5), np.repeat(law.logpdf(x)[:, None], 5, 1), atol=2e-5)


def test_bounds_of_another_posterior_are_below_and_approach():
  """The mean weight is the ELBO in closed form, and so is what the game trains on; IWAE is between it and log p(x)."""
  game, rules, state, law, (w, b, read, variance) = linear('poor')
  x = np.random.default_rng(0).normal(size=(16, 2)).astype(np.float32)
  mean = (x - b) @ read.T
  off = np.square(x - mean @ w - b).sum(1) + (variance * (w**2).sum(1)).sum()
  elbo = -off / 0.5 - np.log(2 * np.pi * 0.25) - 0.5 * (mean**2 + variance - 1 - np.log(variance)).sum(1)
  found = weights(game, state, x, 4096)
  np.testing.assert_allclose(found.mean(1), elbo, atol=5 * found.std(1).max() / 64)
  seen = view.View(None, None, 0, {}, rebuilt=view.Rebuilt(np.zeros(16), found, 2))
  bounds = [measures.elbo(seen._replace(rebuilt=seen.rebuilt._replace(weights=found[:, :k]))) for k in (1, 8, 64, 4096)]
  iwae = [values['iwae'] for values in bounds]
  exact = law.logpdf(x).mean()
  assert iwae == sorted(iwae)
  assert elbo.mean() < exact - 0.2
  assert iwae[0] == bounds[0]['elbo']
  assert abs(iwae[-1] - exact) < 0.01
  assert bounds[-1]['iwae_bits'] == pytest.approx(-iwae[-1] / (2 * np.log(2)))
  _, metrics = jax.jit(make_step(game, rules))(state, {'row': jnp.asarray(np.tile(x, (1, 256, 1)))})
  np.testing.assert_allclose(metrics['g/elbo'], elbo.mean(), atol=0.05)


# The contract.


@functools.cache
def played(game):
  return tiny.play(sgd(game), 2)


def sgd(game):
  return rows(
    game, **{f'optimizer__{p}': {'name': 'sgd', 'learning_rate': 1e-4} for p in ('ge' if game == 'vae' else 'gde')}
  )


@pytest.mark.parametrize('game', FEW)
def test_resume_is_exact(game):
  state, seen = played(game)
  assert all(np.isfinite(value) for values in seen for value in values.values())
  half, _ = tiny.play(sgd(game), 1)
  again, _ = tiny.play(sgd(game), 1, begin=half, first=1)
  assert tiny.difference(state, again) == 0


@pytest.mark.parametrize('game', FEW)
def test_devices_agree(game):
  state, seen = played(game)
  many, metrics = tiny.play(sgd(game), 2, how='pmap', devices=4)
  assert tiny.difference((state.params, state.extras), (many.params, many.extras)) < 1e-5
  assert metrics[-1] == pytest.approx(seen[-1], rel=1e-3, abs=1e-4)


@pytest.mark.parametrize(
  ('game', 'movers'), [('vae', [{'g', 'e'}]), ('vae_gan', [{'d'}, {'g'}, {'e'}]), ('aae', [{'g', 'e'}, {'d'}, {'e'}])]
)
def test_only_the_movers_move(game, movers):
  spec, playing, rules = tiny.game(rows(game))
  state = jax.eval_shape(lambda: tiny.initial(rows(game), spec, playing, rules))
  assert len(playing.turns) == len(movers)
  for index, expected in enumerate(movers):
    batch = tiny.batch(spec, 0, 1)
    traced, shape = jax.make_jaxpr(make_step(playing, rules, due=(index,)), return_shape=True)(state, batch)
    ins = jax.tree.unflatten(jax.tree.structure((state, batch)), traced.jaxpr.invars)[0].params
    outs = jax.tree.unflatten(jax.tree.structure(shape), traced.jaxpr.outvars)[0].params
    moved = {p for p in ins if not any(a is b for a, b in zip(*map(jax.tree.leaves, (ins[p], outs[p])), strict=True))}
    still = {p for p in ins if all(a is b for a, b in zip(*map(jax.tree.leaves, (ins[p], outs[p])), strict=True))}
    assert moved == expected
    assert still == ins.keys() - expected


# What is made of it: measures, sheets, walks.


@functools.cache
def trained(game):
  """A state of the smallest game on digits: as at step 0, which is enough to measure."""
  config = images(game)
  spec, playing, rules = tiny.game(config)
  return config, spec, playing, jax.device_get(jax.jit(lambda: tiny.initial(config, spec, playing, rules))())


def measured(game, metrics, devices=1, **options):
  config, spec, playing, state = trained(game)
  asked = measure.usual(spec, measure.Options(metrics=metrics, num=8, **options))
  return measure.Measurer(config, spec, playing, asked, parallel.make_mesh(devices))(state, 0)


def test_held_out_examples_are_rebuilt_and_bounded():
  _, _spec, game, state = trained('vae')
  found = measured('vae', ('rebuilt', 'elbo')).values
  x = digits(split='test').get(np.arange(297))['image'].astype(np.float32) / 127.5 - 1
  again = jax.jit(game.reconstruct)(state.params, state.extras, {'image': x}, None)['rebuilt']
  off = np.rint((np.asarray(again) + 1) * 127.5) - np.rint((x + 1) * 127.5)
  psnr = -10 * np.log10(np.square(off / 255).mean((1, 2, 3)))
  np.testing.assert_allclose(found['eval/rebuilt_psnr'], psnr.mean(), rtol=1e-3)
  assert found['eval/elbo'] < found['eval/iwae'] < 0
  assert found['eval/elbo_bits'] == pytest.approx(-found['eval/elbo'] / (64 * np.log(2)))
  keys = jax.random.split(jax.random.key(5), 297)
  one = jax.jit(game.reconstruct)(state.params, state.extras, {'image': x}, keys)['log_weight']
  assert found['eval/elbo'] == pytest.approx(float(one.mean()), rel=2e-2)


@pytest.mark.slow
def test_bounds_depend_neither_on_devices_nor_on_batches(monkeypatch):
  one = measured('vae', ('rebuilt', 'elbo'))
  monkeypatch.setattr(measure, 'BATCH', 50)
  many = measured('vae', ('rebuilt', 'elbo'), devices=4)
  assert one.values == pytest.approx(many.values, rel=1e-5)
  assert one.protocol == many.protocol
  assert one.protocol['metrics']['elbo'] == {'draws': 64}
  assert len(measured('vae', ('rebuilt',), split='train').values) == 1


@pytest.mark.parametrize(('game', 'metric', 'why'), [('aae', 'elbo', 'likelihood')])
def test_games_without_a_likelihood_have_no_bound(game, metric, why):
  with pytest.raises(ConfigError, match=rf"--metrics: given '{metric}'.*{why}"):
    measured(game, (metric,))


def test_games_that_do_not_encode_rebuild_nothing():
  config = tiny.images()
  spec, game, _ = tiny.game(config)
  with pytest.raises(ConfigError, match=r'--metrics: given .rebuilt..*does not'):
    measure.Measurer(config, spec, game, measure.usual(spec, measure.Options(('rebuilt',))), parallel.make_mesh(1))


@pytest.mark.parametrize('game', FEW)
def test_sheets_and_walks(game):
  """Sheets have examples beside their reconstructions; frames between samples begin at the samples."""
  _, _spec, playing, state = trained(game)
  shown = lambda number, seed: {'image': np.full((number, 8, 8, 1), 0.5, np.float32)}  # noqa: E731
  drawn = sampler(dataclasses.replace(playing, examples=shown))(state)(6, 0)
  plain = sampler(playing)(state)(6, 0)
  np.testing.assert_array_equal(drawn['image'], plain['image'])
  assert drawn['real'].shape == drawn['rebuilt'].shape == (6, 8, 8, 1)
  alone, sheet = (pictures.sheet(x, 'image', {}) for x in (plain, drawn))
  np.testing.assert_array_equal(sheet[: alone.shape[0], : alone.shape[1]], alone)
  assert sheet.shape[1] > alone.shape[1]
  path = sampler(playing, walking(None, 3))(state)(2, 0)
  np.testing.assert_allclose(path['image'][::3], plain['image'][:2], atol=1e-6)
  assert path['image'].shape == (6, 8, 8, 1)


def test_walks_between_encoded_examples():
  """Frames at the examples are these rebuilt; another key takes other examples, the same key the same."""
  _, _, playing, state = trained('vae')
  pool = np.random.default_rng(0).uniform(-1, 1, (50, 8, 8, 1)).astype(np.float32)
  asked = []

  def examples(number, seed):
    asked.append(seed)
    return {'image': pool[np.random.default_rng(seed).permutation(50)[:number]]}

  way = refine.named(dataclasses.replace(playing, examples=examples), 'encoded', {})
  first, again, other = (sampler(playing, walking(way, 3))(state)(4, seed)['image'] for seed in (0, 0, 1))
  rebuilt = jax.jit(playing.reconstruct)(state.params, state.extras, examples(4, asked[0]), None)['rebuilt']
  np.testing.assert_allclose(first[::3], rebuilt, atol=1e-6)
  np.testing.assert_array_equal(first, again)
  assert np.abs(first - other).max() > 0
  with pytest.raises(ConfigError, match=r"--method: given 'encoded'.*does not encode"):
    refine.named(tiny.game(tiny.images())[1], 'encoded', {})


@pytest.mark.slow
@pytest.mark.parametrize('game', GAMES)
def test_the_command_goes_on_samples_and_evaluates(game, tmp_path, monkeypatch):
  """Stopped and continued is the same to the bit; without the data there are samples and walks, with them numbers."""
  own = images(
    game, devices=1, ema__main__halflife_kimg=0.1, steps=4, save_every=2, samples=4, evaluate_num=8
  ).to_dict()
  own['evaluate_metrics'] = ('rebuilt', 'elbo') if game == 'vae' else ('rebuilt',)
  for name, steps in (('whole', (4,)), ('parts', (2, 4))):
    for count in steps:
      path = experiment(tmp_path, own | {'steps': count})
      assert command(monkeypatch, 'train', '--config', path, '--workdir', tmp_path / name) == 0
  whole, parts = state_of(tmp_path / 'whole'), state_of(tmp_path / 'parts')
  assert any('e' in path.split('/') for path in whole)
  assert [path for path in whole if whole[path].tobytes() != parts[path].tobytes()] == []
  measured = metrics_of(tmp_path / 'whole')[-1]
  assert measured['eval/rebuilt_psnr'] > 0
  at = ('--workdir', tmp_path / 'whole')
  assert command(monkeypatch, 'sample', *at, '--num', 5, '--out', tmp_path / 'x.npz') == 0
  with np.load(tmp_path / 'x.npz') as found:
    assert found['image'].shape == (5, 8, 8, 1)
    assert 'rebuilt' not in found
  assert command(monkeypatch, 'sample', *at, '--num', 2, '--interpolate', 3, '--out', tmp_path / 'x.gif') == 0
  walk = ('--num', 2, '--interpolate', 3, '--method', 'encoded')
  assert command(monkeypatch, 'sample', *at, *walk, '--out', tmp_path / 'y.gif') == 0
  assert (tmp_path / 'x.gif').read_bytes() != (tmp_path / 'y.gif').read_bytes()
  assert command(monkeypatch, 'evaluate', *at, '--metrics', 'rebuilt', '--num', 8) == 0
  assert command(monkeypatch, 'card', *at) == 0
  assert 'encoder' in (tmp_path / 'whole' / 'card.md').read_text()


# Refusals.


@pytest.mark.parametrize(
  ('game', 'fields', 'named'),
  [
    ('vae', {'play.likelihood': 'gaussian'}, 'play.likelihood'),
    ('vae', {'play.scale': 0}, 'play.scale'),
    ('vae', {'encoder.name': 'patchgan'}, r'encoder.name: given .patchgan., valid: a network whose discriminator has heads'),
    ('vae', {'encoder.minibatch': 'std'}, 'encoder.minibatch'),
    ('vae', {'encoder.heads': {}}, 'encoder.heads'),
    ('vae', {'terms.d.r1.gamma': 1.0}, r'terms\.d'),
    ('vae', {'augment.name': 'diffaugment'}, 'augment.name'),
    ('vae', {'n_critic': 2}, 'n_critic'),
    ('vae', {'optimizer.d.learning_rate': 1e-3}, 'optimizer'),
    ('aae', {'discriminator.name': 'dcgan'}, 'discriminator.name'),
    ('aae', {'play.prior_scale': 0.0}, 'play.prior_scale'),
    ('vae_gan', {'loss.name': 'relativistic'}, 'loss.name'),
    ('vae_gan', {'conditioning.name': 'projection'}, 'conditioning.name'),
    ('vae_gan', {'stabilizers.packing.size': 2}, 'packing'),
    ('gan', {'encoder.name': 'mlp'}, r"encoder: given .* valid: nothing: the game 'gan' has no encoder"),
  ],
)  # fmt: skip
def test_refusals(game, fields, named):
  given = tiny.images().to_dict() if game == 'gan' else images(game).to_dict()
  with pytest.raises(ConfigError, match=named):
    check(configs.complete(given, fields), tiny.IMAGES, 1)


def test_an_encoder_is_a_section_of_games_that_have_one():
  assert images('vae').encoder.width == 4
  assert set(images('aae').optimizer) == {'g', 'e', 'd'}
  assert 'encoder' not in tiny.images()
  assert configs.complete(images('vae')) == images('vae')
