"""What is said of a training by its curves, and what is drawn of it."""

import json
import math

import numpy as np
import pytest
from PIL import Image

from ganjax import convergence, curves

IMAGES = np.arange(1, 11) * 1000.0
LOGISTIC = {'loss': {'name': 'logistic'}}


def curve(*values):
  return IMAGES[: len(values)], np.array(values, float)


@pytest.mark.parametrize(('name', 'best_metric', 'way'), [
  ('eval/frechet', '', 'min'), ('frechet_infinity', '', 'min'), ('class_frechet', '', 'min'), ('kid', '', 'min'),
  ('eval/frechet_floor', '', None), ('kid_std', '', None), ('eval/sure_real', '', None), ('eval/nearer', '', None),
  ('eval/sure', '', 'max'), ('eval/modes', '', 'max'), ('eval/mine', '', None), ('eval/mine', 'eval/mine', 'min'),
  ('eval/mine', '-eval/mine', 'max'), ('fidelity', '', None),
])  # fmt: skip
def test_direction(name, best_metric, way):
  assert convergence.direction(name, best_metric) == way


@pytest.mark.parametrize(('values', 'words'), [
  ((9, 8, 7, 6, 5, 4, 3, 2, 1.5, 1), ('best, 1, at 10,000 of 10,000', 'still improves', '67%')),
  ((9, 5, 3, 2, 2, 2, 2, 2, 1.99, 1.99), ('best, 1.99, at 9,000', 'level')),
  ((9, 5, 3, 2, 1, 2, 2, 2, 3, 4), ('best, 1, at 5,000', 'worse by 300%', 'earlier checkpoint')),
  ((9, 5), ('best, 5, at 2,000', 'too few measurements (2)')),
  ((math.nan,), ('never finite',)),
  ((math.nan, 4, 3, math.nan, 2), ('best, 2, at 5,000 of 5,000',)),
])  # fmt: skip
def test_course(values, words):
  said = convergence.told({'eval/frechet': curve(*values)}, LOGISTIC)
  assert len(said) == 1
  for word in words:
    assert word in said[0]


def test_course_of_what_is_to_grow():
  said = convergence.told({'eval/modes': curve(1, 2, 3, 4, 5, 6, 7, 8, 8, 4)}, LOGISTIC)
  assert 'best, 8, at 8,000' in said[0]
  assert 'worse by 50%' in said[0]


@pytest.mark.parametrize(('real', 'fake', 'words'), [
  ([0.55] * 10, [0.45] * 10, 'neither wins'),
  ([0.6] * 4 + [0.98] * 6, [0.4] * 4 + [0.02] * 6, 'D wins, and G learns little from it; the gap has grown'),
  ([0.3] * 10, [0.6] * 10, 'worse than chance'),
  (np.linspace(0.9, 0.7, 10), [0.3] * 10, 'does not win; the gap has closed'),
])  # fmt: skip
def test_balance(real, fake, words):
  found = {'d/real_prob': curve(*real), 'd/fake_prob': curve(*fake)}
  assert words in convergence.told(found, LOGISTIC)[0]
  for loss in ('wasserstein', 'relativistic'):
    assert convergence.told(found, {'loss': {'name': loss}}) == []


def test_the_best_is_marked_and_a_critic_has_no_probabilities(tmp_path, monkeypatch):
  lines = [
    {'step': k, 'images': 32 * k, 'd/loss': 1.0, 'g/loss': 1.0, 'd/real_prob': 0.6, 'd/fake_prob': 0.4,
     'eval/frechet': abs(k - 6) + 1.25, 'eval/nearer': 0.3} for k in range(1, 10)
  ]  # fmt: skip
  (tmp_path / 'metrics.jsonl').write_text(''.join(json.dumps(line) + '\n' for line in lines))
  marked, drawn = [], {}
  arrange, mark = curves.arrange, curves.mark

  def seen(axes, *given):
    mark(axes, *given)
    marked.extend(text.get_text() for text in axes.texts)

  monkeypatch.setattr(curves, 'mark', seen)
  monkeypatch.setattr(curves, 'arrange', lambda found: drawn.setdefault('panels', arrange(found)))
  for loss, judged in (('hinge', True), ('wasserstein', False)):
    marked.clear()
    drawn.clear()
    (tmp_path / 'run.json').write_text(json.dumps({'config': {'loss': {'name': loss}}}))
    Image.open(curves.curves(tmp_path)).verify()
    assert marked == ['1.25']
    assert (curves.JUDGED in [title for title, *_ in drawn['panels']]) == judged
