"""The one pass: from a game's samples to numbers, intervals and the protocol."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganjax import config as configs
from ganjax import measure, parallel, sample
from ganjax.data.digits import digits
from ganjax.data.mixture import mixture
from ganjax.data.spec import Spec
from ganjax.errors import ConfigError, DataError
from ganjax.evals import protocol
from ganjax.evals.features.lpips import Lpips
from ganjax.evals.walks import trimmed_mean
from ganjax.state import TrainState
from ganjax.types import Game

DIGITS = digits(split='train').spec


def scaled(images):
  return images.astype(np.float32) / 127.5 - 1


@pytest.fixture(scope='module')
def held_out():
  found = digits(split='test').get(np.arange(297))
  return scaled(found['image']), found['label']


def showing(samples, label=None, field='image'):
  """A game whose sample i is the i-th of these, whatever the seed."""
  own = {} if label is None else {'label': np.asarray(label)}

  def prior(key, count, batch):
    return {'number': jnp.arange(count), **{name: jnp.asarray(x)[jnp.arange(count)] for name, x in own.items()}}

  def generate(params, extras, prior):
    return prior | {field: jnp.asarray(samples, jnp.float32)[prior['number'] % len(samples)]}

  return Game(init=None, losses={}, prior=prior, generate=generate, turns=())


STATE = TrainState(*[{}] * 8)


def measured(game, spec=DIGITS, config=None, mesh=None, seed=0, **options):
  config = configs.complete({'data': {'name': spec.name}} if config is None else config)
  options = measure.usual(spec, measure.Options(**{'num': 297, **options}))
  return measure.Measurer(config, spec, game, options, mesh or parallel.make_mesh(1))(STATE, seed)


def test_new_digits_are_told_from_copies_and_noise(held_out):
  new = measured(showing(held_out[0])).values
  train = scaled(digits(split='train').get(np.arange(0, 1500, 2))['image'])
  copies = measured(showing(train), num=750).values
  noise = measured(showing(np.random.default_rng(0).uniform(-1, 1, (500, 8, 8, 1))), num=500).values
  assert new['eval/sure'] == new['eval/sure_real']
  assert new['eval/nearer'] == pytest.approx(0.5, abs=0.01)
  assert (copies['eval/nearer'], noise['eval/nearer']) == (1, 0)
  assert copies['eval/frechet'] < 2 * copies['eval/frechet_floor'] < noise['eval/frechet'] / 10
  shares = [copies[f'eval/share_{k}'] for k in range(10)]
  assert sum(shares) == pytest.approx(1)
  assert min(shares) > 0.07
  assert 'eval/as_asked' not in new  # the game takes no labels


def test_samples_of_classes_that_were_asked_for(held_out):
  images, labels = held_out
  right = measured(showing(images, labels)).values['eval/as_asked']
  wrong = measured(showing(images, (labels + 1) % 10)).values['eval/as_asked']
  assert right > 1 - 5 / 297
  assert wrong < 5 / 297


def test_modes_of_a_mixture():
  source = mixture(layout='ring', modes=8)
  values = measured(showing(source.get(np.arange(1000))['row'], field='row'), source.spec, num=1000).values
  assert values['eval/modes'] == 8
  assert values['eval/high_quality'] > 0.97
  assert values['eval/reverse_kl'] < 0.02


def test_every_metric_of_one_pass(held_out):
  """All that the digit classifier's outputs allow, from one stream; real data against themselves are good."""
  train = digits(split='train').get(np.arange(1500))
  game = showing(scaled(train['image']), train['label'])
  names = ('fid', 'frechet_infinity', 'class_frechet', 'kid', 'is', 'prdc', 'pr', 'sure', 'shares', 'as_asked', 'authenticity',
           'copying', 'nearer', 'ms_ssim', 'spectrum')  # fmt: skip
  values = measured(game, num=1500, metrics=names).values
  assert all(np.isfinite(list(values.values())))
  assert values['eval/frechet'] < values['eval/frechet_floor']
  assert values['eval/kid'] < 0  # unbiased but for the rows that both sides share
  assert values['eval/inception_score'] == pytest.approx(values['eval/inception_score_real'], rel=0.05)
  assert min(values['eval/recall'], values['eval/precision'], values['eval/coverage']) > 0.9
  assert values['eval/nearer'] == 1
  assert values['eval/authenticity'] < 0.1


def test_numbers_depend_neither_on_devices_nor_on_batches(held_out, monkeypatch):
  game = showing(held_out[0])
  one = measured(game, metrics=('frechet', 'prdc', 'is'))
  four = measured(game, metrics=('frechet', 'prdc', 'is'), mesh=parallel.make_mesh(4))
  monkeypatch.setattr(measure, 'BATCH', 50)
  small = measured(game, metrics=('frechet', 'prdc', 'is'))
  assert one.values == pytest.approx(four.values, rel=1e-5)
  assert one.values == pytest.approx(small.values, rel=1e-5)
  assert one.protocol == four.protocol == small.protocol


def test_intervals_hold_what_other_samples_give(held_out):
  """95% intervals of halves of the same data: nearly all hold the other half's number."""
  train = scaled(digits(split='train').get(np.arange(1500))['image'])
  results = [measured(showing(train[i::5]), num=300, metrics=('frechet', 'sure'), bootstrap=20) for i in range(5)]
  values = np.array([r.values['eval/frechet'] for r in results])
  widths = np.array([np.diff(r.intervals['eval/frechet'])[0] for r in results])
  assert 0.3 < widths.mean() / (2 * 1.96 * values.std(ddof=1)) < 3
  assert all(r.intervals['eval/sure'][0] < r.values['eval/sure'] < r.intervals['eval/sure'][1] for r in results)


def test_the_protocol_tells_what_results_must_share(held_out):
  game = showing(held_out[0])
  first = measured(game, metrics=('sure',)).protocol
  assert first['real']['split'] == 'all'
  assert first['real']['num'] == 1797
  assert first['features']['network'] == 'digits'
  assert first['features']['weights'].startswith('sha256:')
  again = measured(game, metrics=('sure',), seed=5).protocol
  assert protocol.fingerprint(first) == protocol.fingerprint(again)
  assert protocol.differences(first, again) == []
  other = measured(game, metrics=('sure',), split='train', num=100).protocol
  assert protocol.fingerprint(first) != protocol.fingerprint(other)
  told = '; '.join(protocol.differences(first, other))
  assert 'real.split: all, train' in told
  assert 'fake.num: 297, 100' in told


@pytest.mark.parametrize(
  ('options', 'match'),
  [
    ({'metrics': ('fdi',)}, "--metrics: given 'fdi'.*did you mean 'fid'"),
    ({'metrics': ('kid',)}, '--num: given 297, valid: at least 1000'),
    ({'metrics': ('sfid',)}, "--features: given 'digits'.*'spatial'.*'sfid'.*features, logits"),
    ({'metrics': ('as_asked',)}, "--metrics: given 'as_asked'.*not conditional"),
    ({'metrics': ('nearer',), 'split': 'train'}, "--metrics: given 'nearer'.*--split=all"),
    ({'metrics': ('cmmd',)}, "--features: given 'digits', valid: 'clip'"),
    ({'metrics': ('neighbourhoods',)}, "--metrics: given 'neighbourhoods'.*latents"),
    ({'metrics': ('ppl',)}, "--metrics: given 'ppl'"),
    ({'metrics': ('modes',)}, "--metrics: given 'modes'.*mixture"),
    ({'split': 'validation'}, "--split: given 'validation'.*train, test, all"),
    ({'metrics': ('fid',), 'features': 'incepton'}, "--features: given 'incepton'"),
    ({'metrics': ('fid',), 'resize': 'lanczos'}, "--resize: given 'lanczos'"),
  ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is_generated(held_out, options, match):
  def never(*_):
    raise AssertionError

  game = showing(held_out[0])
  game = Game(init=None, losses={}, prior=game.prior, generate=never, turns=())
  with pytest.raises(ConfigError, match=match):
    measured(game, **options)


def test_neighbourhoods_of_a_generator(held_out):
  """Latents that are weights of the same few images: neighbours are alike; of a generator that hashes, they aren't."""
  images = jnp.asarray(held_out[0][:8])

  def game(mixed):
    def prior(key, count, batch):
      return {'latent': jax.random.normal(key, (count, 8))}

    def generate(params, extras, prior):
      z = prior['latent']
      share = jax.nn.softmax(z if mixed else 1e3 * jnp.sin(1e6 * z))
      return prior | {'image': jnp.einsum('bi,ihwc->bhwc', share, images)}

    return Game(init=None, losses={}, prior=prior, generate=generate, turns=())

  smooth, hashed = (measured(game(m), metrics=('neighbourhoods',)).values for m in (True, False))
  assert smooth['eval/neighbour_ratio'] < 0.4 < 0.8 < hashed['eval/neighbour_ratio']
  assert smooth['eval/neighbour_share'] > 0.95


@pytest.mark.slow
def test_walks_through_a_style_based_generator(monkeypatch):
  """Path lengths in z and w, and LPIPS of pairs; here with squared differences in LPIPS's place."""
  squares = Lpips('squares', {'weights': 'none'}, lambda params, a, b: ((a - b) ** 2).mean((1, 2, 3)), {})
  monkeypatch.setattr(measure.lpips, 'open', lambda *_: squares)
  config = configs.load('stylegan2_digits:smoke', {})
  spec = digits(split='train', resolution=16).spec
  game = configs.game(config, spec)
  state = sample.initializer(config, spec, game, configs.rules(config, game))()
  options = measure.Options(metrics=('ppl', 'ppl_w', 'lpips'), num=120, split='test', lpips='given')
  found = measure.Measurer(config, spec, game, options, parallel.make_mesh(2))(state, 0)
  assert found.protocol['lpips'] == {'network': 'squares', 'weights': 'none'}
  assert 0 < found.values['eval/lpips'] < found.values['eval/lpips_real']
  again = measure.Measurer(config, spec, game, options, parallel.make_mesh(1))(state, 0)
  assert found.values == pytest.approx(again.values, rel=1e-2)  # differences of 1e-4 in single precision
  # As defined, on the styles themselves: a step of 1e-3 is well above rounding, and the paths are smooth.
  net = configs.generator(config, spec)
  variables = {'params': sample.averaged(state)['g'], **state.extras['g']}
  w = net.apply(variables, game.prior(jax.random.key(0), 120, None)['latent'], method='styles')
  make = jax.jit(lambda w: net.apply(variables, w, method='synthesize'))
  a, b = make(w[:60]), make(w[:60] + 1e-3 * (w[60:] - w[:60]))
  lengths = np.asarray(((a - b) ** 2).mean((1, 2, 3))) / 1e-6
  assert found.values['eval/ppl_w'] == pytest.approx(trimmed_mean(lengths), rel=0.1)


@pytest.mark.slow
def test_classifiers_learn_from_samples(held_out):
  train = digits(split='train').get(np.arange(1500))
  game = showing(scaled(train['image']), train['label'])
  values = measured(game, num=1500, metrics=('cas',)).values
  assert values['eval/classification_accuracy'] == pytest.approx(values['eval/classification_accuracy_real'], abs=0.04)
  assert values['eval/classification_accuracy'] > 0.9


def test_a_class_that_is_missing_is_named(held_out):
  images, labels = held_out
  with pytest.raises(DataError, match='class_frechet: fake_labels: class 3 has 0'):
    measured(
      showing(images[labels != 3], labels[labels != 3]), num=int((labels != 3).sum()), metrics=('class_frechet',)
    )


def test_a_sample_that_is_not_finite_is_named(held_out):
  images = held_out[0].copy()
  images[263, 3, 3] = np.nan
  with pytest.raises(DataError, match='sample 263: not finite'):
    measured(showing(images))


def test_nothing_is_measured_by_default_where_nothing_suits():
  colour = Spec('image', (32, 32, 3), count=10, name='arrays')
  config = configs.complete({'data': {'name': 'digits'}})
  assert measure.measurer(config, colour, showing(np.zeros((1, 32, 32, 3))), measure.Options()) is None


def test_a_training_names_fields_of_its_config(held_out):
  config = configs.complete({'data': {'name': 'digits'}, 'evaluate_metrics': ('kid',), 'evaluate_num': 50})
  with pytest.raises(ConfigError, match=r'config\.evaluate_num: given 50, valid: at least 1000'):
    measure.measurer(config, DIGITS, showing(held_out[0]), measure.Options.of(config))


def test_real_statistics_are_cached(held_out, tmp_path, monkeypatch):
  from ganjax.evals import reals

  monkeypatch.setenv('GANJAX_CACHE', str(tmp_path))
  monkeypatch.setattr(reals, 'WORTH_KEEPING', 0)
  game = showing(held_out[0])
  first = measured(game, metrics=('frechet', 'prdc'))
  (file,) = (tmp_path / 'reals').iterdir()
  monkeypatch.setattr(reals, 'look', None)  # what is in the cache isn't looked at again
  assert measured(game, metrics=('frechet', 'prdc')).values == first.values
  file.write_bytes(file.read_bytes()[:1000])
  monkeypatch.undo()
  monkeypatch.setenv('GANJAX_CACHE', str(tmp_path))
  assert measured(game, metrics=('frechet', 'prdc')).values == first.values


def test_pixels_are_as_files_have_them():
  x = jnp.asarray([-1.2, -1, 0, 0.999, 1, 3])
  assert jax.device_get(measure.pixels(x)).tolist() == [0, 0, 128, 255, 255, 255]
