"""Runs beside each other, from the files that trainings leave."""

import csv
import datetime
import json
import math
import re

import pytest
from browser import Browser

from ganjax import config as configs
from ganjax.compare import compare_runs, protocol_differences, runs
from ganjax.compare.page import ticks
from ganjax.errors import ConfigError, DataError

START = 1_790_000_000.0


def made(folder, name, frechet=(8, 4, 2, 3), *, seconds=10.0, population=0, evaluation=None, earlier=(), **fields):
  """A workdir: a measurement every 100 steps, a loss every 50."""
  workdir = folder / name
  workdir.mkdir(parents=True)
  given = {'data': {'name': 'digits'}, 'batch_size': 32, 'generator': {'name': 'dcgan', 'width': 4}}
  given |= {'population': {'seeds': tuple(range(population))}} if population else {}
  config = configs.complete(given, {field.replace('__', '.'): value for field, value in fields.items()}).to_dict()
  stamp = lambda t: datetime.datetime.fromtimestamp(t).astimezone().isoformat()  # noqa: E731
  info = {'run_id': name, 'time': stamp(START if not earlier else earlier[-1]), 'config': config,
          'earlier': [{'time': stamp(t)} for t in ([START, *earlier][:-1] if earlier else [])],
          'device': {'kind': 'cpu', 'devices': 1}}  # fmt: skip
  (workdir / 'run.json').write_text(json.dumps(info))
  lines = []
  for k in range(2 * len(frechet)):
    for member in range(population) if population else [None]:
      line = {'step': 50 * (k + 1), 'images': 1600 * (k + 1), 'time': START + seconds * (k + 1), 'd/loss': 1.0}
      line |= {} if member is None else {'member': member}
      lines.append(line)
      if k % 2:
        value = frechet[k // 2]
        value = value if value is None or member is None else value + member
        extra = {'eval/frechet': value, 'eval/frechet_floor': 1.0, 'eval/sure': 0.1 * k, 'eval/share_0': 0.1}
        lines.append({key: line[key] for key in line if key != 'd/loss'} | extra)
  (workdir / 'metrics.jsonl').write_text(''.join(json.dumps(line) + '\n' for line in lines))
  if evaluation is not None:
    (workdir / 'evaluation.json').write_text(json.dumps(evaluation))
  return workdir


def entry(step, frechet, seed=0, num=1000, split='all', **fields):
  """An evaluation as `ganjax evaluate` keeps it."""
  protocol = {'real': {'split': split, 'num': 1797}, 'fake': {'num': num, 'seed': seed}, 'versions': {'jax': '0.10.2'}}
  return {'step': step, 'images': 32 * step, 'seed': seed, 'protocol': protocol, 'fingerprint': f'{split}-{num}',
          'values': {'eval/frechet': frechet, 'eval/frechet_floor': 1.0}, 'intervals': {'eval/frechet': [frechet - 0.5, frechet + 0.5]}} | fields  # fmt: skip


def part(text, title):
  """The lines of one table."""
  return re.search(rf'^{title}.*?\n(.*?)(\n\n|\Z)', text, re.S | re.M)[1]


def test_two_runs(tmp_path):
  a = made(tmp_path, 'a')
  b = made(tmp_path, 'b', (9, 7, 5), loss__name='hinge', seconds=20.0, n_critic=2)
  text = compare_runs([a, b], level=['frechet=4', 'eval/sure=0.7'])
  assert re.search(r'a +1 +400 +12,800 +1 min 20 s +5 +1 x cpu', part(text, 'Runs'))
  assert re.search(r'b +1 +300 +9,600 +2 min 00 s +2.5 ', part(text, 'Runs'))
  different = part(text, 'Config fields that differ')
  assert [line.split()[0] for line in different.splitlines()] == ['field', 'loss.name', 'n_critic']
  assert re.search(r'loss.name +non_saturating +hinge', different)
  training = part(text, 'Measured during the training')
  assert 'floor' not in training
  assert 'share' not in training
  assert re.search(r'a +3 +2 +9,600 +0.7 +0.7 +12,800', training)
  assert re.search(r'b +5 +5 +9,600 ', training)
  levels = part(text, 'To reach a level')
  assert re.search(r'a +6,400 +40 s +12,800 +1 min 20 s', levels)
  assert re.search(r'b +not reached \(best 5\) +- +not reached \(best 0.5\) +-', levels)
  assert 'Protocols' not in text
  assert 'Evaluated' not in text


def test_networks_of_other_names_take_one_row(tmp_path):
  a = made(tmp_path, 'a', terms__d__r1__gamma=0.5)
  b = made(tmp_path, 'b', generator__name='resnet', generator__width=8)
  different = part(compare_runs([a, b]), 'Config fields that differ').splitlines()
  rows = {line.split('  ')[1]: line for line in different[1:]}
  assert rows['generator.name'].split() == ['generator.name', 'dcgan', 'resnet']
  assert rows['generator.width'].split() == ['generator.width', '4', '8']
  assert 'generator.spectral' not in rows
  assert re.search(r'terms.d +r1={.*gamma=0.5.*}|terms.d.r1 +.*gamma=0.5', '\n'.join(different))


def test_a_population_has_a_row_a_member_and_their_mean(tmp_path):
  a = made(tmp_path, 'a', population=3)
  text = compare_runs([a], level=['frechet=3'])
  training = part(text, 'Measured during the training')
  for line in (r'a:0 \(seed 0\) +3 +2 ', r'a:2 \(seed 2\) +5 +4 ', r'a: mean of 3 +4 +3 +9,600'):
    assert re.search(line, training)
  assert re.search(r'a +3 +400 ', part(text, 'Runs'))
  assert re.search(r'a:2 \(seed 2\) +not reached', part(text, 'To reach'))
  compare_runs([a], tmp_path / 'out.csv')
  rows = list(csv.DictReader((tmp_path / 'out.csv').open()))
  assert [row['member'] for row in rows] == ['0', '1', '2', 'mean']
  assert [float(row['best.frechet']) for row in rows] == [2, 3, 4, 3]


def test_evaluations_with_intervals(tmp_path):
  a = made(tmp_path, 'a', evaluation=[entry(200, 1.5), entry(400, 3.0), entry(400, 9.0, num=50)])
  b = made(tmp_path, 'b', evaluation=[entry(400, value, seed) for seed, value in enumerate((3.0, 4.0, 5.0))])
  evaluated = part(compare_runs([a, b]), 'Evaluated afterwards')
  assert re.search(r'a, last +400 +1 +3 \[2.5, 3.5\]', evaluated), 'by the protocol that both share, not the newest'
  assert re.search(r'a, best +200 +1 +1.5 \[1, 2\]', evaluated)
  assert re.search(r'b +400 +3 +4 \[1.516, 6.484\]', evaluated)  # Student's t
  assert 'Protocols' not in compare_runs([a, b])
  compare_runs([a, b], tmp_path / 'out.csv')
  rows = list(csv.DictReader((tmp_path / 'out.csv').open()))
  assert [row['evaluated.frechet'] for row in rows] == ['3.0', '4.0']
  assert rows[0]['evaluated_best.frechet'] == '1.5'
  assert rows[1]['evaluated_best.frechet'] == ''
  assert float(rows[1]['evaluated_low.frechet']) == pytest.approx(1.516, abs=1e-3)


def test_other_protocols_are_told(tmp_path):
  a = made(tmp_path, 'a', evaluation=[entry(400, 3.0)])
  b = made(tmp_path, 'b', evaluation=[entry(400, 3.0, split='train', num=50)], evaluate_num=50)
  told = part(compare_runs([a, b]), 'Protocols that differ')
  assert 'a and b, during the training  evaluate_num: 1000, 50' in told
  assert 'a and b, afterwards           fake.num: 1000, 50; real.split: all, train' in told


def test_protocol_differences():
  old = {'step': 1, 'num': 1000, 'seed': 0, 'average': 'main', 'standing_statistics': 0, 'values': {}}
  assert protocol_differences(old, old | {'step': 9, 'values': {'x': 1}}) == []
  assert protocol_differences(old, old | {'num': 500, 'seed': 4}) == ['fake.num: 1000, 500']
  assert protocol_differences(entry(1, 2.0), entry(2, 3.0, seed=7)) == []
  assert protocol_differences(entry(1, 2.0), entry(1, 2.0, split='test')) == ['real.split: all, test']
  assert 'real.split: (not told), all' in protocol_differences(old, entry(1, 2.0))


def test_old_entries_are_read(tmp_path):
  old = {'step': 400, 'num': 1000, 'seed': 0, 'values': {'eval/frechet': 2.5}}
  evaluated = part(compare_runs([made(tmp_path, 'a', evaluation=[old])]), 'Evaluated afterwards')
  assert re.search(r'a +400 +1 +2.5', evaluated)


def test_pauses_are_no_time_of_training():
  times = [10.0, 20.0, 1010.0, 1020.0]
  assert runs.elapsed(times, [0.0, 1000.0]) == [10, 20, 30, 40]
  assert runs.elapsed(times, []) == [0, 10, 1000, 1010]
  lines = [{'step': 10 * k, 'time': t, 'd/loss': 1} for k, t in enumerate(times)]
  assert runs.speed(lines, [0.0, 1000.0]) == 1.0
  assert math.isnan(runs.speed(lines[:1], []))


def test_labels_and_broken_lines(tmp_path):
  a, b = made(tmp_path, 'x/run'), made(tmp_path, 'y/run', (8, None, 2))
  with (b / 'metrics.jsonl').open('a') as file:
    file.write(json.dumps({'step': 400, 'images': 1, 'fingerprint': 'f', 'eval/frechet': 0.1}) + '\n{"step": 5')
  training = part(compare_runs([a, b]), 'Measured during the training')
  assert re.search(r'x/run +3 +2 ', training)
  assert re.search(r'y/run +2 +2 ', training), 'evaluations made afterwards are no part of the course'


def test_what_can_t_be_compared(tmp_path):
  a = made(tmp_path, 'a')
  empty = made(tmp_path, 'empty')
  (empty / 'metrics.jsonl').write_text('')
  damaged = made(tmp_path, 'damaged')
  (damaged / 'run.json').write_text('{')
  listed = made(tmp_path, 'listed', evaluation={'step': 1})
  for path, message in ((tmp_path / 'nowhere', 'nowhere: not a run: no run.json'), (tmp_path, 'not a run'),
                        (empty, 'empty: no metrics yet'), (damaged, r'run.json: damaged'),
                        (listed, r'evaluation.json: damaged: not a list')):  # fmt: skip
    with pytest.raises(DataError, match=message):
      compare_runs([a, path])
  for level, message in (('frechet', 'NAME=VALUE'), ('frechet=x', 'NAME=VALUE'), ('d/loss=1', 'known what is better'),
                         ('frechat=2', "did you mean 'eval/frechet'")):  # fmt: skip
    with pytest.raises(ConfigError, match=message):
      compare_runs([a], level=[level])
  with pytest.raises(ConfigError, match=r'\.csv or \.html'):
    compare_runs([a], tmp_path / 'x.png')
  with pytest.raises(DataError, match='given twice'):
    compare_runs([a, tmp_path / 'empty' / '..' / 'a'])
  with pytest.raises(DataError, match='workdirs'):
    compare_runs([])


def test_the_page(tmp_path):
  a = made(tmp_path, 'a', evaluation=[entry(400, 3.0)])
  b = made(tmp_path, 'b<i>', (900, 90, 9), population=2)
  out = tmp_path / 'out.html'
  assert compare_runs([a, b], out, ['frechet=3']) == f'{out}: 2 runs compared'
  page = out.read_text()
  assert '<i>' not in page
  assert 'b&lt;i&gt;' in page
  assert not re.search(r'(src|href)="(?!data:)|url\(', page)
  assert page.count('<figure>') == 4  # frechet and sure, over images and over time
  assert page.count('class="line member"') == 2 * 4
  assert page.count('class="level"') == 2
  assert 'best 2 at 9.6 thousand images' in page
  assert 'nan' not in page.split('<main>')[1].lower()


@pytest.mark.slow
@pytest.mark.parametrize('width', [360, 1280])
def test_the_page_in_a_browser(tmp_path, width):
  compare_runs([made(tmp_path, 'a'), made(tmp_path, 'b', population=3, n_critic=5)], tmp_path / 'out.html')
  with Browser(tmp_path) as browser:
    browser.size(width, 800)
    browser.open(tmp_path / 'out.html')
    assert browser.run('document.documentElement.scrollWidth') == width
    assert browser.run('document.querySelectorAll("svg path.line").length') > 4
    assert browser.problems == []
    assert not [url for url in browser.asked if not url.startswith(('data:', 'file:'))]


def test_ticks_are_round():
  assert ticks(0, 10, False) == [0, 2, 4, 6, 8, 10]
  assert ticks(0.9, 110, True) == [1, 2, 5, 10, 20, 50, 100]
