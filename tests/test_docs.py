"""Docs: pages are what the sources say, every method has one, and the glossary's names are in the code."""

import importlib.util
import re
from pathlib import Path

import pytest

from ganjax import catalogue

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope='module')
def build():
  spec = importlib.util.spec_from_file_location('build', ROOT / 'docs' / 'build.py')
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def test_pages_are_up_to_date(build):
  folder = ROOT / 'docs' / 'methods'
  pages = build.pages()
  assert sorted(path.name for path in folder.glob('*.md')) == sorted(pages)
  stale = [name for name, text in pages.items() if (folder / name).read_text() != text]
  assert stale == [], 'run: python docs/build.py'


def test_every_method_has_a_page_that_fits_a_screen_and_names_its_source(build):
  pages = build.pages()
  for kind in catalogue.kinds():
    if kind.title in build.PAGED:
      for name, entry in kind.entries.items():
        if name != 'none':
          text = pages[build.file_of(kind, name)]
          assert text.count('\n') <= 80, name
          assert name in ('warmup', 'loss_above') or re.search(
            r'(et al\.|(and|&) \w+|[A-Z]\w+-?\w*) \(?\d{4}|StyleGAN', entry.__doc__
          ), name


def test_links_lead_somewhere(build):
  for name, text in build.pages().items():
    for link in re.findall(r'\]\(([^)]+)\)', text):
      assert (ROOT / 'docs' / 'methods' / link).exists(), (name, link)


def test_the_glossary_speaks_the_code():
  names = set(re.findall(r'`([a-z_.]+|[A-Z]\w+)`', (ROOT / 'docs' / 'glossary.md').read_text()))
  sources = ''.join(path.read_text() for path in (ROOT / 'ganjax').rglob('*.py'))
  assert {name for name in names if not re.search(rf'\b{re.escape(name)}\b', sources)} == set()
  vocabulary = set(re.findall(r'^class (\w+)', (ROOT / 'ganjax' / 'types.py').read_text(), re.M)) - {'Rules'}
  assert vocabulary <= names
