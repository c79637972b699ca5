"""The diagnosis names what went wrong first, and is silent while all is well."""

import itertools
import math

import pytest

from ganjax.monitor import Bad, first_bad, warnings

GOOD = {'d/loss': 1.2, 'd/real_prob': 0.6, 'd/fake_prob': 0.4, 'd/grad_norm': 1.0, 'd/norm': 9.0, 'g/loss': 0.9,
        'g/grad_norm': 0.3, 'g/norm': 8.0}  # fmt: skip
NAN = math.nan


def varied(n: int, **changes: float) -> list[dict[str, float]]:
  """Records with a little noise, so that nothing is constant."""
  return [{name: value * (1 + 0.01 * (i % 3)) for name, value in GOOD.items()} | changes for i in range(n)]


def test_finite_metrics_are_not_bad():
  assert first_bad([(1, GOOD), (2, GOOD)], ['d', 'g']) is None
  assert first_bad([], ['d', 'g']) is None


def test_the_first_step_counts():
  bad = first_bad([(7, GOOD), (8, GOOD | {'g/loss': math.inf}), (9, dict.fromkeys(GOOD, NAN))], ['d', 'g'])
  assert bad == Bad(8, 'g', 'loss', math.inf)


def test_blames_in_the_order_of_computation():
  order = ['d/r1', 'd/real_prob', 'd/loss', 'd/grad_norm', 'd/norm', 'g/path_length', 'g/loss', 'g/grad_norm', 'g/norm',
           'data/brightness']  # fmt: skip
  for i, name in enumerate(order):
    for shuffled in (order[i:], order[i:][::-1]):
      bad = first_bad([(3, GOOD | {'d/r1': 0.0} | dict.fromkeys(shuffled, NAN))], ['d', 'g'])
      assert bad is not None
      assert f'{bad.player}/{bad.term}' == name
      assert math.isnan(bad.value)


def test_turn_order_decides_between_players():
  both = GOOD | {'d/loss': NAN, 'g/loss': NAN}
  for players in itertools.permutations(['d', 'g']):
    assert first_bad([(1, both)], players).player == players[0]
  assert first_bad([(1, {'total': NAN})], ['d', 'g']) == pytest.approx(Bad(1, '', 'total', NAN), nan_ok=True)


def test_silent_while_all_is_well():
  assert warnings(varied(50)) == []
  assert warnings([GOOD | {'d/loss': 1.0}] * 3) == []  # too few to tell
  assert warnings([{'eval/frechet': 3.0}] * 20) == []


@pytest.mark.parametrize(
  ('changes', 'words'),
  [
    ({'d/real_prob': 0.999, 'd/fake_prob': 0.001}, ['D has won', 'D(x) 0.999', 'r1']),
    ({'d/real_prob': 0.3, 'd/fake_prob': 0.6}, ['worse than chance', 'n_critic']),
    ({'g/loss': 0.6931}, ["g's loss", 'exactly 0.6931', 'optimizer.g.learning_rate']),
    ({'g/grad_norm': 1e-12}, ["g's gradient has vanished", 'non_saturating']),
  ],
)
def test_says_what_is_wrong_and_what_to_try(changes, words):
  (message,) = warnings(varied(10) + varied(5, **changes))
  assert all(word in message for word in words), message
  assert warnings(varied(10) + varied(4, **changes)) == []  # not yet sure
  assert warnings(varied(5, **changes) + varied(5)) == []  # over


def test_exploding_gradient():
  (message,) = warnings(varied(20) + varied(2, **{'d/grad_norm': 500.0}))
  assert "d's gradient explodes (norm 5.0e+02, usually 1.0e+00)" in message
  assert warnings(varied(20) + varied(1, **{'d/grad_norm': 500.0})) == []  # one peak is none


def test_a_critic_has_no_probabilities():
  records = varied(10, **{'d/real_prob': 1.0, 'd/fake_prob': 0.0})
  assert len(warnings(records)) == 1
  assert warnings(records, probabilities=False) == []
