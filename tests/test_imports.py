"""Imports point down, and training is importable without what only some commands need."""

import ast
import subprocess
import sys
from pathlib import Path

import ganjax

ROOT = Path(ganjax.__file__).parent

# Room -> the rooms of ganjax that it may import. A package stands for all its modules.
BASE = {'errors', 'types'}
GAME = BASE | {
  'losses', 'terms', 'augment', 'conditioning', 'stabilizers', 'ops', 'nets', 'config', 'data', 'players', 'translators',
  'autoencoders', 'likelihoods', 'perceptual',
}  # fmt: skip
STEP = BASE | {'ops', 'state', 'step'}
LEAVES = BASE | {'state', 'snapshot', 'intact'}
TRAIN = GAME | STEP | LEAVES | {
  'games', 'optim', 'parallel', 'population', 'evals', 'checkpoint', 'log', 'images', 'monitor', 'record', 'run', 'sample', 'check', 'refine', 'posthoc', 'standing', 'latents', 'videos', 'measure', 'walking',
}  # fmt: skip
ALLOWED = {
  'errors': set(),
  'types': set(),
  'schema': BASE,
  'lookup': BASE,
  'fields': BASE | {'schema', 'lookup', 'population'},
  'config': BASE | {'schema', 'lookup', 'fields', 'balance'},
  'standing': BASE,
  'check': BASE | {'terms', 'config', 'monitor', 'standing'},
  'losses': BASE,
  'terms': BASE | {'ops'},
  'augment': BASE | {'ops'},
  'conditioning': BASE | {'ops'},
  'stabilizers': BASE,
  'players': GAME,
  'translators': GAME,
  'autoencoders': GAME,
  'likelihoods': BASE,
  'tiles': set(),
  'perceptual': BASE | {'evals', 'interop'},
  'ops': BASE,
  'nets': BASE | {'ops'},
  'interop': BASE | {'nets', 'ops'},
  'data': BASE,
  'games': GAME,
  'optim': BASE,
  'averages': BASE,
  'balance': BASE,
  'posthoc': LEAVES | {'averages', 'images'},
  'state': BASE,
  'population': BASE | {'schema', 'state'},
  'step': BASE | {'ops', 'state'},
  'parallel': STEP,
  'snapshot': BASE | {'state'},
  'checkpoint': LEAVES,
  'images': BASE | {'volumes'},
  'volumes': BASE,
  'convergence': BASE | {'monitor'},
  'curves': BASE | {'convergence'},
  'events': BASE,
  'intact': BASE,
  'progress': BASE,
  'monitor': BASE,
  'log': LEAVES | {'images', 'curves', 'data', 'config', 'events', 'progress'},
  'evals': BASE | {'data', 'nets', 'ops', 'optim', 'images', 'interop'},
  'record': BASE | {'monitor', 'parallel', 'population'},
  'run': BASE,
  'refine': BASE | {'schema'},
  'latents': BASE | {'nets'},
  'videos': BASE | {'images', 'volumes'},
  'sample': GAME | LEAVES | {
    'checkpoint', 'images', 'refine', 'posthoc', 'standing', 'fields', 'population', 'latents', 'videos',
  },
  'translate': TRAIN | {'tiles'},
  'convert': TRAIN | {'card', 'fields', 'interop', 'lookup', 'schema'},
  'assemble': TRAIN | {'fields'},
  'resume': TRAIN | {'assemble', 'fields'},
  'train': TRAIN | {'assemble', 'resume', 'fields'},
  'measure': GAME | LEAVES | {'evals', 'log', 'parallel', 'progress', 'sample', 'standing', 'walking', 'rebuilding'},
  'walking': GAME | {'evals', 'parallel'},
  'rebuilding': GAME | {'evals', 'parallel'},
  'report': BASE | {'evals'},
  'evaluate': TRAIN | {'report', 'train'},
  'image_sets': TRAIN | {'measure', 'report', 'progress'},
  'plan': TRAIN | {'assemble'},
  'compare': BASE | {'convergence', 'evals', 'images', 'population', 'progress'},
  'card': TRAIN | {'compare', 'convergence', 'curves', 'progress'},
  'review': TRAIN | {'evaluate'},
  'summary': TRAIN | {'convergence', 'curves', 'report'},
  'catalogue': BASE | {'config', 'evals', 'lookup', 'schema'},
  'flags': BASE | {'__version__'},
  'main': None,  # the top: anything
  '__init__': set(),
}  # fmt: skip


def imported(path: Path) -> set[str]:
  """The rooms of ganjax that a file imports, anywhere in it."""
  rooms = set()
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.ImportFrom) and node.module == 'ganjax':
      rooms |= {alias.name for alias in node.names}
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
    rooms |= {name.split('.')[1] for name in names if name.startswith('ganjax.')}
  return rooms - {'__version__'}


def test_imports_point_down():
  files = list(ROOT.rglob('*.py'))
  assert len(files) > 30
  wrong = {}
  for path in files:
    room = path.relative_to(ROOT).parts[0].removesuffix('.py')
    assert room in ALLOWED, f'{room} is a new room: say what it may import'
    allowed = ALLOWED[room]
    if allowed is not None and (extra := imported(path) - allowed - {room}):
      wrong[str(path.relative_to(ROOT))] = extra
  assert not wrong


def test_step_and_loop_name_no_game():
  for name in ('step.py', 'train.py'):
    assert not [
      line for line in (ROOT / name).read_text().splitlines() if 'games' in line.split('#')[0] and 'import' in line
    ]


def test_train_imports_without_the_heavy():
  heavy = (
    'tensorflow',
    'tensorflow_datasets',
    'torch',
    'sklearn',
    'matplotlib',
    'orbax',
    'grain',
    'wandb',
    'tensorboard',
  )
  code = f'import sys, ganjax.train; print([m for m in {heavy!r} if m in sys.modules])'
  assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout.strip() == '[]'
