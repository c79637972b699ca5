"""Configs: complete, checked, and refused with one message that names the field."""

import pytest
import tiny
from ml_collections import ConfigDict

from ganjax import config as configs
from ganjax import fields
from ganjax.check import check
from ganjax.data.spec import Spec
from ganjax.errors import ConfigError


def refused(overrides, given=None, contains=()):
  with pytest.raises(ConfigError) as caught:
    config = configs.complete(given or {}, overrides)
    check(config, tiny.IMAGES if config.data.name == 'digits' else tiny.ROWS, 8)
  message = str(caught.value)
  assert '\n' not in message
  for part in contains:
    assert part in message
  return message


def test_complete_says_everything():
  config = configs.complete({}, {'terms.d.r1.gamma': 3})
  assert config.generator.to_dict()['width'] > 0
  assert config.optimizer.d.learning_rate == 2e-4
  assert config.terms.d.r1.to_dict() == {'gamma': 3.0, 'every': 1}
  assert configs.hyper(config)['d_r1_gamma'] == 3.0
  assert configs.complete(config) == config, 'complete is idempotent'


@pytest.mark.parametrize(
  ('overrides', 'parts'),
  [
    ({'latent_dimm': 3}, ('config.latent_dimm', '3', "did you mean 'latent_dim'")),
    ({'generator.widht': 3}, ('config.generator.widht', "did you mean 'width'")),
    ({'loss.name': 'hinged'}, ('config.loss.name', "'hinged'", 'wasserstein', "did you mean 'hinge'")),
    ({'data.name': 'digit'}, ('config.data.name', "did you mean 'digits'")),
    ({'generator.name': 'dcgam'}, ('config.generator.name', "did you mean 'dcgan'")),
    ({'game': 'gam'}, ('config.game', "did you mean 'gan'")),
    ({'optimizer.d.name': 'adamw'}, ('config.optimizer.d.name', "did you mean 'adam'")),
    ({'optimizer.e.learning_rate': 0.1}, ('optimizer', "'e'", 'd, g')),
    ({'terms.d.r3.gamma': 1}, ('config.terms.d', "'r3'", 'r1')),
    ({'terms.d.r1.gama': 1}, ('config.terms.d.r1.gama', "did you mean 'gamma'")),
    ({'batch_size': 'many'}, ('config.batch_size', "'many'", 'int')),
    ({'batch_size': 6}, ('config.batch_size', '6', '8 devices')),
    ({'batch_size': 0}, ('config.batch_size', 'above 0')),
    ({'batch_size': 64.5}, ('config.batch_size', 'whole')),
    ({'tensorboard': 1}, ('config.tensorboard', 'bool')),
    ({'optimizer.g.learning_rate': -1e-3}, ('config.optimizer.g.learning_rate', 'at least 0')),
    ({'optimizer.g.b1': 1.0}, ('config.optimizer.g.b1', 'below 1')),
    ({'dtype': 'float23'}, ('config.dtype', "did you mean 'float32'")),
    ({'parallel': 'pmapp'}, ('config.parallel', "did you mean 'pmap'")),
    ({'generator.norm': 'batchnorm'}, ('config.generator.norm', "did you mean 'batch'")),
    ({'schedule.g_learning_rat.over_kimg': 3}, ('config.schedule.g_learning_rat', "did you mean 'g_learning_rate'")),
    ({'schedule.g_learning_rate.name': 'linear'}, ('config.schedule.g_learning_rate.over_kimg', 'no default')),
    ({'ema.main.halflife': 3}, ('config.ema.main.halflife', "did you mean 'halflife_kimg'")),
    ({'steps': 10, 'steps_per_call': 3}, ('config.steps_per_call', 'divisor')),
    ({'generator.name': 'mlp'}, ('config.generator.name', "'mlp'", '(8, 8, 1)')),
    ({'data.name': 'mixture'}, ('generator.name', "'dcgan'", '(2,)')),
    ({'generator': 3}, ('config.generator', 'section')),
    ({'game': '.a'}, ('config.game', "'.a'")),
    ({'microbatches': 3, 'batch_size': 64}, ('config.batch_size', '3 microbatches')),
    ({'steps': float('inf')}, ('config.steps', 'finite')),
  ],
)  # fmt: skip
def test_refusals(overrides, parts):
  refused(overrides, contains=parts)


def test_size_that_the_network_cannot_make():
  config = configs.complete({})
  with pytest.raises(ConfigError, match=r'generator.name.*resolution: 24'):
    check(config, Spec('image', (24, 24, 1)), 1)
  with pytest.raises(ConfigError, match='square'):
    check(config, Spec('image', (32, 16, 1)), 1)
  with pytest.raises(ConfigError, match='no labels'):
    check(configs.complete({'conditioning': {'name': 'projection'}}), Spec('image', (8, 8, 1)), 1)


def test_another_name_drops_the_fields_of_the_old_one():
  given = {'loss': {'name': 'lsgan', 'a': -1.0}, 'data': {'name': 'mixture', 'modes': 4}}
  config = configs.complete(given, {'loss.name': 'hinge', 'data.name': 'digits'})
  assert config.loss.to_dict() == {'name': 'hinge'}
  assert 'modes' not in config.data


def test_parse():
  values = {
    '3': 3,
    '1e-3': 1e-3,
    'true': True,
    'False': False,
    'hinge': 'hinge',
    'none': 'none',
    'None': None,
    '(1, 2)': (1, 2),
    'a-b': 'a-b',
    '': '',
  }
  assert {text: fields.parse(text) for text in values} == values


def test_fingerprint_tells_configs_apart():
  a, b = configs.complete({}), configs.complete({}, {'seed': 1})
  assert configs.fingerprint(a) != configs.fingerprint(b)
  assert configs.fingerprint(a) == configs.fingerprint(configs.complete(ConfigDict(a.to_dict())))


def test_load_refuses():
  for reference in ('dcgan_digit', 'experiments/dcgan_digit.py', 'dcgan_digits:smok'):
    with pytest.raises(ConfigError, match=r'dcgan_digits|smoke'):
      configs.load(reference)


def test_sections_that_were_one_dict_are_changed_apart():
  both = {'name': 'mlp', 'hidden': (4,)}
  given = {'data': {'name': 'mixture'}, 'generator': both, 'discriminator': both}
  config = configs.complete(given, {'discriminator.hidden': (8,)})
  assert (config.generator.hidden, config.discriminator.hidden) == ((4,), (8,))
  assert both == {'name': 'mlp', 'hidden': (4,)}
