"""Progressive growing as phases: the fade is resumed to the bit, optimisers start anew, averages carry over."""

import jax
import numpy as np
import pytest
import tiny
from running import ROWS, state_of

from ganjax import config as configs
from ganjax import fields
from ganjax.checkpoint import Checkpoints
from ganjax.errors import ConfigError
from ganjax.nets import progan
from ganjax.resume import enter
from ganjax.sample import load, sampler
from ganjax.step import make_step
from ganjax.train import train

NETWORK = {'name': 'progan', 'widths': (4, 3)}
FIRST = {'until': 4, 'generator.stage': 4, 'discriminator.stage': 4, 'play.alpha': 1.0}
GROWS = ROWS | {
  'game': 'growing', 'data': {'name': 'digits'}, 'generator': NETWORK, 'discriminator': NETWORK, 'play': {'alpha': 0.0},
  'schedule': {'play_alpha': {'start_kimg': 0.064, 'over_kimg': 0.128, 'end': 1.0}}, 'phases': (FIRST,),
  'steps': 10, 'log_every': 1, 'sample_every': 0, 'save_every': 2, 'keep': 9, 'samples': 4,
}  # fmt: skip


def config(**more):
  return configs.complete(GROWS, {name.replace('__', '.'): value for name, value in more.items()})


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
  """A run over the growth and into the fade, and the same one broken in mid-fade."""
  folder = tmp_path_factory.mktemp('runs')
  train(config(), folder / 'whole', progress=False)
  train(config(steps=6), folder / 'broken', progress=False)
  train(config(), folder / 'broken', progress=False)
  return folder


def test_a_fade_is_resumed_to_the_bit(runs):
  whole, broken = state_of(runs / 'whole'), state_of(runs / 'broken')
  assert whole.keys() == broken.keys()
  assert [path for path in whole if whole[path].tobytes() != broken[path].tobytes()] == []


def test_what_carries_over(runs, tmp_path):
  """Into the next stage: parameters and averages to the bit. Optimisers are new."""
  train(config(steps=4), tmp_path / 'run', progress=False)
  with Checkpoints(tmp_path / 'run', keep=9) as checkpoints:
    setup, after, n, state, _ = enter(fields.phases(config()), 1, checkpoints)
  setup.feed.close()
  grown = load(runs / 'whole', 4).state
  assert (after, n, int(state.images)) == (4, 4, 64)
  for kept in ('params', 'ema', 'extras'):
    assert tiny.difference(getattr(state, kept), getattr(grown, kept)) == 0
  assert any(np.any(leaf) for leaf in jax.tree.leaves(grown.opt))
  assert not any(np.any(leaf) for leaf in jax.tree.leaves(state.opt))


def test_where_the_fade_is(runs):
  """The last step began with 9 batches shown, 5 of them of the 8 that it takes; waiting layers had waited."""
  new = tiny.initial(config(), *tiny.game(config()))
  grown, after = (load(runs / 'whole', n).state for n in (4, 10))
  for player in 'gd':
    assert (float(grown.extras[player]['fade']['alpha']), float(after.extras[player]['fade']['alpha'])) == (1, 5 / 8)
  first, then, last = (state.params['g']['b8_conv0']['kernel'] for state in (new, grown, after))
  np.testing.assert_array_equal(first, then)
  assert np.abs(last - then).max() > 0


def test_samples_of_each_stage(runs):
  """A checkpoint of the first stage makes images of 4 x 4 squares, one in mid-fade more than that."""
  small, grown = (sampler(found.game)(found.state)(4, 0)['image'] for found in
                  (load(runs / 'whole', 4), load(runs / 'whole', 10)))  # fmt: skip
  squares = small.reshape(4, 4, 2, 4, 2, 1)
  assert np.ptp(squares, axis=(2, 4)).max() == 0
  assert np.ptp(grown.reshape(4, 4, 2, 4, 2, 1), axis=(2, 4)).max() > 0


def test_d_is_shown_faded_reals():
  """With alpha 0 only the means of 2 x 2 pixels reach D."""
  own = config(phases=(), schedule={})
  spec, game, rules = tiny.game(own)
  state, batch = tiny.initial(own, spec, game, rules), tiny.batch(spec, 0, 1)
  blocky = {**batch, 'image': progan.faded(batch['image'][0], 4, 1.0)[None]}
  step = jax.jit(make_step(game, rules))

  def seen(alpha):
    began = state.replace(hyper={**state.hyper, 'play_alpha': np.float32(alpha)})
    return [float(step(began, one)[1]['d/real_prob']) for one in (batch, blocky)]

  assert seen(0)[0] == pytest.approx(seen(0)[1], rel=1e-5)
  assert abs(seen(1)[0] - seen(1)[1]) > 1e-4


@pytest.mark.slow
def test_devices_agree():
  own = config(phases=(), **{f'optimizer__{player}': {'name': 'sgd', 'learning_rate': 1e-3} for player in 'gd'})
  one, others = tiny.play(own, 2)[0], tiny.play(own, 2, how='pmap', devices=2)[0]
  assert tiny.difference(one.params, others.params) < 1e-5
  assert tiny.difference(one.extras, others.extras) == 0


@pytest.mark.parametrize(
  ('changed', 'told'),
  [
    ({'phases': (), 'generator__name': 'dcgan'}, r"generator.name: given 'dcgan', valid: a network that grows"),
    ({'discriminator__stage': 4}, r'discriminator.stage: given 4, valid: 8'),
    ({'play__alpha': 1.5}, r'play.alpha: given 1.5, valid: from 0'),
    ({'generator__stage': 16, 'discriminator__stage': 16}, r'stage: 16; valid are 0 \(all\), 4, 8'),
  ],
)
def test_what_cannot_grow_is_refused(changed, told, tmp_path):
  with pytest.raises(ConfigError, match=told):
    train(config(**changed), tmp_path / 'run', progress=False)
  assert not (tmp_path / 'run' / 'metrics.jsonl').exists()


def test_each_phase_is_a_config():
  first, last = fields.phases(config())
  assert (first.generator.stage, first.play.alpha, last.generator.stage, last.play.alpha) == (4, 1.0, 0, 0.0)
