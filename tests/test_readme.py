"""The README's Python runs as it stands."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / 'README.md'


def blocks(kind: str) -> list[str]:
  return re.findall(rf'```{kind}\n(.*?)```', README.read_text(), re.DOTALL)


@pytest.mark.parametrize('code', blocks('python'))
def test_python_blocks_run(code, tmp_path):
  done = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, capture_output=True, text=True)
  assert done.returncode == 0, done.stderr


def test_commands_exist():
  from ganjax.main import parser

  commands = {line.split()[1] for block in blocks('bash') for line in block.splitlines() if line.startswith('ganjax ')}
  assert commands == {
    'list', 'plan', 'train', 'sample', 'evaluate', 'review', 'compare', 'card', 'import', 'export',
  }  # fmt: skip
  text = parser().format_help()
  assert all(command in text for command in commands)
