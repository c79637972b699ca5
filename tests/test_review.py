"""The review page, as arrays make it, as a browser shows it, and what its answers say."""

import copy
import json
import math
import re
import statistics
import time

import numpy as np
import pytest
import tiny
from browser import Browser
from scipy.stats import norm

from ganjax import sample
from ganjax.checkpoint import Checkpoints
from ganjax.errors import CheckpointError, ConfigError, DataError
from ganjax.images import to_uint8
from ganjax.review import Neighbours, Sheet, answers, page, render, summarise, write_review
from ganjax.review.answers import Counts

ABOUT = {'name': 'tiny', 'step': '1,000', 'run': 'tiny-1', 'seed': '0'}


def pictures(count, seed=0, channels=1):
  return np.random.default_rng(seed).integers(0, 256, (count, 8, 8, channels), np.uint8)


def whole(reals=4, seed=0, **about):
  sheets = [Sheet(f'step {step}', pictures(10, step)) for step in (1, 2)]
  near = [Neighbours('six <samples>', pictures(6), np.stack([pictures(3, k) for k in range(6)]), np.ones((6, 3)), 2.0)]
  return page(pictures(reals, 7), pictures(reals, 8), sheets, near, ABOUT | about, seed)


def data_of(text):
  return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])


def test_the_page_is_one_file_and_tells_the_truth_by_no_list():
  text = whole()
  assert not re.search(r'(src|href)="(?!data:)', text)
  assert 'http' not in text.replace('http-equiv', '')
  assert 'six &lt;samples&gt;' in text
  assert '<!--' not in text
  data = data_of(text)
  assert [set(trial) for trial in data['trials']] == [{'id', 'image'}] * 8
  kinds = [answers.truth(trial['id']) for trial in data['trials']]
  assert sorted(kinds) == ['generated'] * 4 + ['real'] * 4
  shown = {kind: {t['image'] for t in data['trials'] if answers.truth(t['id']) == kind} for kind in set(kinds)}
  assert shown == {'real': set(map(render.png, pictures(4, 7))), 'generated': set(map(render.png, pictures(4, 8)))}


def test_the_order_is_the_seeds_and_pages_differ_by_what_they_show():
  same, again, other = (data_of(whole(8, seed)) for seed in (0, 0, 1))
  assert same == again
  order = lambda data: [trial['image'] for trial in data['trials']]  # noqa: E731
  assert order(same) != order(other)
  assert sorted(order(same)) == sorted(order(other))
  assert len({data['page'] for data in (same, other, data_of(whole(8, 0, step='2,000')))}) == 3


def test_large_images_are_small_but_in_the_questions():
  image = np.arange(4, dtype=np.uint8).reshape(1, 2, 2, 1) * 50
  np.testing.assert_array_equal(render.small(image), image)
  large = image.repeat(200, 1).repeat(200, 2)
  assert render.small(large).shape == (1, 133, 133, 1)
  np.testing.assert_array_equal(render.small(large)[:, [0, -1]][:, :, [0, -1]], image)
  assert render.small(np.zeros((5, 3, 512, 384, 3), np.uint8)).shape == (5, 3, 128, 96, 3)
  text = page(large.repeat(2, 0), large.repeat(2, 0), [Sheet('x', large)])
  assert render.png(large[0]) in text


def test_images_that_can_t_be():
  with pytest.raises(ValueError, match=r'reals: float64 \[2, 8, 8, 1\] given; uint8'):
    page(pictures(2) / 255, pictures(2))
  with pytest.raises(ValueError, match=r'fakes: \[3, 8, 8, 1\] given; as many'):
    page(pictures(2), pictures(3))
  with pytest.raises(ValueError, match="sheet 'x'"):
    page(pictures(2), pictures(2), [Sheet('x', pictures(2, channels=2))])


def test_a_script_in_a_name_stays_text():
  text = whole(2, 0, name='</script><script>alert(1)</script>')
  assert text.count('<script') == 2
  assert data_of(text)['about']['name'] == '</script><script>alert(1)</script>'


# In a browser.


@pytest.mark.slow
def test_a_review_in_a_browser(tmp_path):
  path = tmp_path / 'review.html'
  path.write_text(whole(3))
  with Browser(tmp_path) as browser:
    browser.size(390, 844)
    browser.open(path)
    browser.press('f')  # of no effect before the start
    assert not browser.run('!document.getElementById("trial").hidden')
    browser.run('document.getElementById("reviewer").value = "Ada B."')
    browser.click('#begin button')
    browser.until('ready > 0')
    assert browser.run('document.getElementById("told").textContent') == 'Image 1 of 6'
    side = browser.run('document.getElementById("shown").getBoundingClientRect().width')
    assert side == 320  # 40 times 8
    given = ['f', 'ArrowRight', 'j', 'ArrowLeft', '#real', '#generated']
    for k, way in enumerate(given):
      browser.click(way) if way.startswith('#') else browser.press(way)
      browser.until('ready > 0 || finished')
      told = browser.run('document.getElementById("trials").innerText')
      assert ('right' in told) == (k == len(given) - 1), 'nothing is told before the end'
    browser.click('#save')
    browser.until('document.getElementById("saved").textContent !== ""')
    assert browser.run('document.documentElement.scrollWidth') == 390
    browser.click('[data-part=neighbours]')
    assert browser.run('!document.querySelector("#neighbours .content").hidden')
    assert not [url for url in browser.asked if not url.startswith(('data:', 'file:', 'blob:'))]
    assert browser.problems == []
    score = browser.run('document.getElementById("accuracy").textContent')
    (saved,) = wait_for(tmp_path)
  assert saved.name.endswith('-Ada-B.json')
  said = ['real', 'generated', 'generated', 'real', 'real', 'generated']
  found = json.loads(saved.read_text())
  assert [answer['answer'] for answer in found['answers']] == said
  assert [answer['id'] for answer in found['answers']] == [trial['id'] for trial in data_of(whole(3))['trials']]
  assert (found['complete'], found['peeked'], found['page']) == (True, False, data_of(whole(3))['page'])
  read = answers.read(saved)
  assert f'{100 * read.counts.right / 6:.0f}% right' == score
  assert 'Ada B.' in summarise([saved])


def wait_for(folder):
  for _ in range(200):
    if found := list(folder.glob('*.json')):
      return found
    time.sleep(0.01)
  raise AssertionError('nothing was saved')


@pytest.mark.slow
@pytest.mark.parametrize('width', [360, 1280])
def test_stopping_and_looking_first_in_a_browser(tmp_path, width):
  path = tmp_path / 'review.html'
  path.write_text(whole(5))
  with Browser(tmp_path) as browser:
    browser.size(width, 700)
    browser.open(path)
    browser.click('[data-part=sheets]')
    assert browser.run('document.querySelector("#sheets .content").hidden')
    browser.click('#sheets .cover button')
    assert not browser.run('document.querySelector("#sheets .content").hidden')
    assert browser.run('document.documentElement.scrollWidth') == width
    browser.click('[data-part=trials]')
    browser.click('#begin button')
    browser.until('ready > 0')
    bottom = browser.run('document.getElementById("real").getBoundingClientRect().bottom')
    assert bottom < 700, 'the image and the buttons are seen at once'
    browser.press('j')
    browser.until('ready > 0')
    browser.click('#stop')
    browser.click('#save')
    (saved,) = wait_for(tmp_path)
    unnamed = """[...document.querySelectorAll('button, input, img')].filter(e => !(e.textContent.trim() || e.alt || (e.labels
      && e.labels.length)) && e.id !== 'shown').length"""
    assert browser.run(unnamed) == 0
  read = answers.read(saved)
  assert (read.complete, read.peeked, read.counts.answers) == (False, True, 1)
  assert 'stopped before the end; had seen generated images' in summarise([saved])


# Answers.


def saved_answers(path, hits, misses, false_alarms, rejections, reviewer='A', own='p1', **fields):
  """A file as the page saves it, with so many answers of each kind."""
  every = [f'{k:08x}' for k in range(1000)]
  numbers = {kind: iter([n for n in every if answers.truth(n) == kind]) for kind in answers.KINDS}
  table = [
    ('generated', 'generated', hits),
    ('generated', 'real', misses),
    ('real', 'generated', false_alarms),
    ('real', 'real', rejections),
  ]
  given = [{'id': next(numbers[was]), 'truth': was, 'answer': said, 'ms': 900 + len(reviewer)}
           for was, said, count in table for _ in range(count)]  # fmt: skip
  found = {'format': 'ganjax review', 'version': 1, 'page': own, 'about': ABOUT, 'reviewer': reviewer, 'session': 'x',
           'started': '', 'finished': '', 'complete': True, 'peeked': False, 'answers': given}  # fmt: skip
  path.write_text(json.dumps(found | fields))
  return path


def test_sensitivity():
  value, (low, high) = answers.sensitivity(Counts(20, 5, 5, 20))
  assert value == pytest.approx(2 * norm.ppf(20.5 / 26))
  assert low < value < high
  assert low == pytest.approx(0.835, abs=0.001)
  assert answers.sensitivity(Counts(5, 5, 5, 5))[0] == 0
  assert math.isfinite(answers.sensitivity(Counts(10, 0, 0, 10))[0])
  assert answers.sensitivity(Counts(2, 8, 8, 2))[0] < 0


def test_guessing_is_seldom_called_seeing():
  rng = np.random.default_rng(0)
  tables = [Counts(h, 25 - h, f, 25 - f) for h, f in rng.binomial(25, 0.7, (400, 2))]  # says 'generated' of 70%
  assert statistics.fmean(answers.chance(counts) < answers.SURE for counts in tables) <= 0.06


def test_summary_of_several(tmp_path):
  a = saved_answers(tmp_path / 'a.json', 20, 5, 6, 19, 'Ada')
  b = saved_answers(tmp_path / 'b.json', 18, 7, 9, 16, 'Bo', peeked=True)
  text = summarise([a, b])
  for part in (
    'tiny (step 1,000, run tiny-1, seed 0)', 'Ada (a.json; 0.9 s an answer)', 'accuracy 78.0% (95% interval 64.8% to 87.2%): 39 of 50',
    'found 20 of 25 generated images (hits 80%), took 6 of 25 real ones for generated (false alarms 24%)', 'not blind',
    'all 2 together', 'accuracy 73.0%', 'mean 73.0%, from 68.0% to 78.0%', 'Generated images can be told from real ones',
  ):  # fmt: skip
    assert part in text
  guessed = summarise([saved_answers(tmp_path / 'c.json', 13, 12, 12, 13)])
  assert 'Not told apart' in guessed
  assert 'together' not in guessed
  assert 'more often than guessing' in summarise([saved_answers(tmp_path / 'd.json', 3, 22, 20, 5)])
  other = saved_answers(tmp_path / 'e.json', 1, 1, 1, 0, own='p2')
  assert '2 different pages, which are not pooled' in summarise([a, other])
  assert 'Only one kind' in summarise([saved_answers(tmp_path / 'f.json', 3, 1, 0, 0)])


def test_answers_that_can_t_be(tmp_path):
  good = json.loads(saved_answers(tmp_path / 'good.json', 3, 2, 2, 3).read_text())

  def changed(change):
    found = copy.deepcopy(good)
    change(found)
    return json.dumps(found)

  cases = {
    'text.json': ('hello', 'no JSON'),
    'list.json': ('[1]', 'not saved by a review page'),
    'other.json': ('{"answers": []}', 'not saved by a review page'),
    'newer.json': (changed(lambda f: f.update(version=2)), 'of version 2'),
    'none.json': (changed(lambda f: f.update(answers=[])), 'damaged or edited: no answers'),
    'lacks.json': (changed(lambda f: f.pop('page')), "damaged or edited: 'page' is missing"),
    'cut.json': (changed(lambda f: f['answers'][0].pop('ms')), "'ms' is missing"),
    'word.json': (changed(lambda f: f['answers'][0].update(answer='maybe')), "answer 'maybe'"),
    'better.json': (changed(lambda f: f['answers'][0].update(truth='real')), 'is not real'),
    'time.json': (changed(lambda f: f['answers'][0].update(ms=-1)), 'a time of -1 ms'),
    'twice.json': (changed(lambda f: f['answers'].append(f['answers'][0])), 'answered twice'),
  }
  for name, (text, message) in cases.items():
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message) as caught:
      summarise([tmp_path / 'good.json', tmp_path / name])
    assert name in str(caught.value)
  with pytest.raises(DataError, match=r'gone\.json: No such file'):
    summarise([tmp_path / 'gone.json'])
  (tmp_path / 'copy.json').write_text(json.dumps(good))
  with pytest.raises(DataError, match=r'copy\.json: the same answers as .*good\.json'):
    summarise([tmp_path / 'good.json', tmp_path / 'copy.json'])


# Of a run.


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  """A workdir with two checkpoints of a tiny DCGAN."""
  workdir = tmp_path_factory.mktemp('runs') / 'tiny'
  config = tiny.images(name='tiny')
  spec, game, rules = tiny.game(config)
  state = sample.initializer(config, spec, game, rules)()
  about = {'config': config.to_dict(), 'spec': spec.to_json(), 'run_id': 'tiny-1'}
  with Checkpoints(workdir, keep=3) as checkpoints:
    for step in (1, 2):
      checkpoints.save(step, state.replace(step=state.step + step), about, wait=True)
  return workdir


def test_review_of_a_run(run, tmp_path):
  said = write_review(run, num=6, seed=3, out=tmp_path / 'r.html')
  assert 'r.html: 6 questions on tiny, step 2, 2 checkpoints, neighbours by digits' in said
  text = (tmp_path / 'r.html').read_text()
  data = data_of(text)
  assert (data['about']['run'], data['about']['seed'], len(data['trials'])) == ('tiny-1', '3', 6)
  assert 'step 1<' in text
  assert 'among 1,500 training images' in text
  trained = sample.load(run)
  fakes = {render.png(x) for x in to_uint8(sample.sampler(trained.game)(trained.state)(3, 3)['image'])}
  assert fakes == {t['image'] for t in data['trials'] if answers.truth(t['id']) == 'generated'}


def test_runs_and_flags_that_can_t_be(run, tmp_path):
  out = tmp_path / 'r.html'
  with pytest.raises(ConfigError, match='--num: given 5, valid: an even number'):
    write_review(run, num=5, out=out)
  with pytest.raises(ConfigError, match=r'ends in \.html'):
    write_review(run, out='r.png')
  with pytest.raises(CheckpointError, match='no checkpoint of step 7'):
    write_review(run, checkpoints='7', out=out)
  with pytest.raises(ConfigError, match='--checkpoints'):
    write_review(run, checkpoints='7:9:1', out=out)
  with pytest.raises(CheckpointError, match='no such folder'):
    write_review(tmp_path / 'nowhere', out=out)
  with pytest.raises(ConfigError, match='--features'):
    write_review(run, num=2, out=out, features='digitz')
  assert not out.exists()
