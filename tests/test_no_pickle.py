"""No pickled code is ever executed: nothing here can read it, and a checkpoint that holds some is refused."""

import ast
import os
import pickle
from pathlib import Path

import pytest
from running import ROWS, command, experiment

import ganjax
from ganjax.intact import write_manifest

READERS = {'pickle', '_pickle', 'cPickle', 'dill', 'cloudpickle', 'marshal', 'shelve', 'joblib'}


def unsafe(tree: ast.AST) -> list[str]:
  """What a program does that could execute data."""
  found = []
  for node in ast.walk(tree):
    if isinstance(node, ast.Import):
      found += [alias.name for alias in node.names if alias.name.split('.')[0] in READERS]
    elif isinstance(node, ast.ImportFrom):
      found += [node.module or ''] if (node.module or '').split('.')[0] in READERS else []
    elif isinstance(node, ast.Call):
      name = ast.unparse(node.func)
      given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
      if name in ('eval', 'exec', 'compile'):
        found.append(name)
      elif name in ('np.load', 'numpy.load', 'np.lib.format.read_array') and given.get('allow_pickle') != 'False':
        found.append(f'{name} without allow_pickle=False')
      elif given.get('allow_pickle', 'False') != 'False':
        found.append(f'{name} with allow_pickle')
      elif name == 'torch.load' and given.get('weights_only') != 'True':
        found.append(f'{name} without weights_only=True')
      elif name == 'yaml.load':
        found.append(name)
  return found


@pytest.mark.parametrize(
  'line',
  [
    'import pickle',
    'from joblib import load',
    'np.load(f)',
    'np.load(f, allow_pickle=True)',
    'torch.load(f)',
    'eval(x)',
  ],
)
def test_what_is_unsafe_is_found(line):
  assert len(unsafe(ast.parse(line))) == 1


def test_nothing_reads_pickles():
  package = Path(ganjax.__file__).parent
  files = [*package.rglob('*.py'), *(package.parent / 'experiments').rglob('*.py')]
  assert len(files) > 40
  found = {str(path.relative_to(package.parent)): unsafe(ast.parse(path.read_text())) for path in files}
  assert {path: what for path, what in found.items() if what} == {}


class Bomb:
  """Makes a folder where it is unpickled."""

  def __init__(self, folder: Path) -> None:
    self.folder = folder

  def __reduce__(self):
    return os.mkdir, (str(self.folder),)


def test_a_bomb_in_a_checkpoint_does_not_go_off(monkeypatch, tmp_path, capsys):
  path = experiment(tmp_path, ROWS | {'steps': 10, 'keep': 1})
  train = ['train', '--config', path, '--workdir', 'run']
  assert command(monkeypatch, *train) == 0
  crater = tmp_path / 'crater'
  bomb = pickle.dumps(Bomb(crater))
  pickle.loads(bomb)  # a real one
  crater.rmdir()
  checkpoint = Path('run/checkpoints/10')
  originals = {file: file.read_bytes() for file in checkpoint.rglob('*') if file.is_file()}
  meta = checkpoint / 'meta' / 'metadata'
  for name, targets in {
    'all': list(originals),
    'meta': [meta],
    'state': [f for f in originals if 'state' in f.parts],
  }.items():
    for file, content in originals.items():
      file.write_bytes(bomb if file in targets else content)
    write_manifest(checkpoint)  # by someone who knows how to
    for arguments in (train, ['sample', '--workdir', 'run']):
      capsys.readouterr()
      assert command(monkeypatch, *arguments) == 4, name
      assert 'no intact checkpoint' in capsys.readouterr().err
      assert not crater.exists()
