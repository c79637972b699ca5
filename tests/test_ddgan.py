"""DDGAN: what D is shown by hand, one step as the plain game, samples by row, the contract, and refusals."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from test_contract import keep_the_contract

from ganjax import config as configs
from ganjax.check import check
from ganjax.data.spec import Spec
from ganjax.errors import ConfigError
from ganjax.nets import ddgan as nets
from ganjax.ops import diffusion
from ganjax.sample import sampler
from ganjax.step import make_step

FIELDS = {
  'game': 'ddgan', 'play': {'diffusion_steps': 2}, 'latent_dim': 3, 'batch_size': 16, 'ema': {'main': {}},
  'generator': {'name': 'ddgan', 'width': 4, 'multipliers': (1,), 'blocks': 1, 'style_width': 4, 'mapping': 1},
  'discriminator': {'name': 'ddgan', 'width': 4, 'multipliers': (1,)},
  'optimizer': {player: {'name': 'sgd', 'learning_rate': 0.001} for player in 'gd'},
}  # fmt: skip


def config(**fields):
  return configs.complete(FIELDS, {name.replace('__', '.'): value for name, value in fields.items()})


@functools.cache
def begun(**fields):
  own = config(**fields)
  spec, game, rules = tiny.game(own)
  return own, game, rules, jax.jit(lambda: tiny.initial(own, spec, game, rules))()


def scene_of(own, now, batch):
  """All that the losses of one play look at."""
  from ganjax.types import Scene

  return Scene(now.params, now.extras, now.opt, batch, jnp.arange(16), jax.random.key(5), now.step, now.images,
               {name: jnp.float32(x) for name, x in configs.hyper(own).items()}, None, None)  # fmt: skip


@pytest.mark.slow
def test_losses_by_hand():
  """Real pairs are two steps of the diffusion, fake ones G's guess and the posterior; R1 is of x_(t-1)."""
  own, game, _, now = begun(terms__d__r1__gamma=2.0, discriminator__minibatch='none')
  batch = jax.tree.map(lambda x: x[0], tiny.batch(tiny.IMAGES, 0, 1))
  scene = scene_of(own, now, batch)
  _, (_, seen) = jax.jit(lambda scene_key: game.losses['d'](scene._replace(key=scene_key)))(scene.key)
  rows = lambda kind: [jax.random.fold_in(jax.random.fold_in(scene.key, kind), i) for i in range(16)]  # noqa: E731
  normal = lambda kind: jnp.stack([jax.random.normal(k, (8, 8, 1)) for k in rows(kind)])  # noqa: E731
  t = jnp.stack([jax.random.randint(k, (), 1, 3) for k in rows(0x7400)])
  assert set(np.asarray(t)) == {1, 2}
  wide = lambda x: np.asarray(x)[:, None, None, None]  # noqa: E731
  signal = diffusion.variance_preserving(2)
  beta = 1 - signal[1:] / signal[:-1]
  x0 = np.asarray(batch['image'])
  before = np.where(wide(t) == 1, x0, np.sqrt(signal[1]) * x0 + np.sqrt(1 - signal[1]) * normal(0x7401))
  after = np.sqrt(1 - wide(beta[t - 1])) * before + np.sqrt(wide(beta[t - 1])) * normal(0x7402)
  latent = jnp.stack([jax.random.normal(k, (3,)) for k in rows(0)])
  g, d = configs.generator(own, tiny.IMAGES), configs.discriminator(own, tiny.IMAGES, 1, {})
  clean = g.apply({'params': now.params['g']}, latent, noisy=after, time=t)
  mean = (
    np.sqrt(signal[1]) * beta[1] / (1 - signal[2]) * clean + np.sqrt(1 - beta[1]) * beta[0] / (1 - signal[2]) * after
  )
  drawn = mean + np.sqrt(beta[1] * beta[0] / (1 - signal[2])) * normal(0x7403)
  fake = np.where(wide(t) == 1, clean, drawn)
  judge = lambda x: d.apply({'params': now.params['d']}, x, noisy=after, time=t)  # noqa: E731
  slopes = jax.grad(lambda x: judge(x).sum())(jnp.float32(before))
  r1 = np.square(slopes).sum((1, 2, 3)).mean()
  np.testing.assert_allclose(seen['d/r1'], r1, rtol=1e-4)
  plain = (jax.nn.softplus(-judge(jnp.float32(before))) + jax.nn.softplus(judge(jnp.float32(fake)))).mean()
  np.testing.assert_allclose(seen['d/loss'], plain + r1, rtol=1e-4)


@pytest.mark.slow
def test_one_step_is_the_plain_game():
  """What D judges is the image itself, and what G makes; a sample is one pass of G on noise."""
  own, game, _, now = begun(play__diffusion_steps=1)
  drawn = game.prior(jax.random.key(1), 4, None)
  made = jax.jit(game.generate)(now.params, now.extras, drawn)
  g = configs.generator(own, tiny.IMAGES)
  one = g.apply(
    {'params': now.params['g']}, drawn['latent'][:, 0], noisy=drawn['noise'][:, 0], time=jnp.ones(4, jnp.int32)
  )
  np.testing.assert_allclose(made['image'], one, atol=1e-6)
  assert {name for name in made if name.startswith('noisy')} == {'noisy_1'}


def test_samples_by_row():
  own = config()
  spec, game, rules = tiny.game(own)
  rng, like = np.random.default_rng(0), jax.eval_shape(lambda: tiny.initial(own, spec, game, rules))
  params = jax.tree.map(lambda x: np.float32(rng.normal(size=x.shape) * 0.2), like.params)  # sooner than compiled draws
  make = sampler(game)(like.replace(params=params, ema={}))
  drawn = make(5, 3)
  assert {name: x.shape[1:] for name, x in drawn.items()} == {
    'latent': (2, 3), 'noise': (2, 8, 8, 1), 'noisy_2': (8, 8, 1), 'noisy_1': (8, 8, 1), 'image': (8, 8, 1)
  }  # fmt: skip
  np.testing.assert_array_equal(drawn['noisy_2'], drawn['noise'][:, 0])
  assert abs(drawn['image']).max() <= 1
  few = make(2, 3)
  np.testing.assert_array_equal(few['latent'], drawn['latent'][:2])
  np.testing.assert_allclose(few['image'], drawn['image'][:2], atol=1e-5)
  assert len(np.unique(drawn['noise'][:, :, 0, 0, 0])) == 10


@pytest.mark.slow
@pytest.mark.parametrize(
  'fields',
  [
    {'terms': {'d': {'r1': {'every': 2}}}},
    {'conditioning': {'name': 'projection'}, 'discriminator': FIELDS['discriminator'] | {'multipliers': (1, 2)}},
    {'microbatches': 2, 'loss': {'name': 'relativistic'}},
  ],
)
def test_contract(fields):
  own = configs.complete(FIELDS | fields)
  check(own, tiny.IMAGES, 4)
  keep_the_contract(own)


@pytest.mark.slow
def test_labels_are_the_reals():
  """The fake of a row has the label of the image that its noisy one comes from."""
  own, game, rules, now = begun(conditioning__name='projection', optimizer__d__learning_rate=0.0)
  given = tiny.batch(tiny.IMAGES, 0, 1)
  step = jax.jit(make_step(game, rules))
  seen, other = (step(now, {**given, 'label': label})[1] for label in (given['label'], (given['label'] + 1) % 10))
  assert seen['d/fake_prob'] != other['d/fake_prob']
  drawn = game.prior(jax.random.key(0), 4, {'label': jnp.arange(4)})
  assert list(np.asarray(drawn['label'])) == [0, 1, 2, 3]
  assert own.conditioning.name == 'projection'


@pytest.mark.parametrize(
  ('fields', 'named'),
  [
    ({'play.diffusion_steps': 0}, r'play\.diffusion_steps'),
    ({'play.beta_min': 30.0}, r'play\.beta_min'),
    ({'augment.name': 'ada'}, 'augment.name'),
    ({'terms.d.rotation.weight': 1.0}, 'terms.d.rotation'),
    ({'stabilizers.packing.size': 2}, 'stabilizers.packing'),
    ({'generator.multipliers': (1, 1, 1, 1, 1)}, 'generator.name: .* multipliers'),
    ({'generator.attention': 3}, 'generator.name: .* attention: 3; valid are 0'),
    ({'generator.name': 'dcgan'}, "unexpected keyword argument 'noisy'"),
    ({'game': 'gan', 'generator.name': 'ddgan'}, "networks for data of shape .* game 'ddgan'"),
  ],
)
def test_refusals(fields, named):
  given = FIELDS | {'play': {}, 'generator': {}} if 'game' in fields else config().to_dict()
  with pytest.raises(ConfigError, match=named):
    check(configs.complete(given, fields), tiny.IMAGES, 1)


def test_data_without_images_are_refused():
  with pytest.raises(ConfigError, match=r"game: given 'ddgan'.* 'mixture' has no images"):
    check(config(data__name='mixture'), Spec('row', (2,), name='mixture'), 1)


@pytest.mark.slow
def test_networks_listen():
  """To the noisy image, to time and to the latent."""
  g = nets.Generator(resolution=8, channels=1, width=8, multipliers=(1, 2), blocks=1, attention=4, style_width=8)
  x, noisy, t = (jnp.ones((2, 3)), jnp.ones((2, 8, 8, 1)), jnp.asarray([1, 4]))
  variables = g.init(jax.random.key(0), x)
  made = g.apply(variables, x, noisy=noisy, time=t)
  assert made.shape == (2, 8, 8, 1)
  assert abs(made[0] - made[1]).max() > 1e-6
  for other in ({'noisy': -noisy, 'time': t}, {'noisy': noisy, 'time': t + 1}):
    assert abs(g.apply(variables, x, **other) - made).max() > 1e-6
  assert abs(g.apply(variables, x.at[:, 0].set(-1), noisy=noisy, time=t) - made).max() > 1e-6
