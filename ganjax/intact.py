"""Whether what is on disk is what was saved."""

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

MANIFEST = 'files.json'


class Damaged(Exception):
  """A checkpoint that can't be trusted; another may be."""


def write_manifest(folder: Path) -> None:
  """Size and hash of every file of a committed checkpoint, in its files.json."""
  found = {str(path.relative_to(folder)): measure(path) for path in sorted(folder.rglob('*')) if path.is_file()}
  part = folder / 'files.json.part'
  part.write_text(json.dumps(found, indent=1))
  part.rename(folder / MANIFEST)


def check_manifest(folder: Path) -> None:
  """Raises Damaged for the first file that isn't as it was saved.

  A process killed right after the commit leaves no files.json; then the hashes of the arrays decide.
  """
  try:
    files = json.loads((folder / MANIFEST).read_text()).items()
    for name, saved in files:
      if (found := measure(folder / name)) != saved:
        raise Damaged(f'{name}: {found["bytes"]} bytes with a hash that differs, saved were {saved["bytes"]}')
  except FileNotFoundError as error:
    if error.filename != str(folder / MANIFEST):
      raise Damaged(f'{Path(error.filename).relative_to(folder)} is missing') from error
  except (ValueError, OSError, AttributeError, TypeError, KeyError) as error:
    raise Damaged(f'{MANIFEST}: {reason(error)}') from error


def measure(path: Path) -> dict[str, Any]:
  """Size and hash of a file."""
  with path.open('rb') as file:
    return {'bytes': path.stat().st_size, 'hash': hashlib.file_digest(file, 'sha256').hexdigest()[:32]}


def digest(body: dict[str, Any]) -> str:
  """Of a JSON object without its own 'digest'."""
  text = json.dumps({name: value for name, value in body.items() if name != 'digest'}, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:32]


def reason(error: BaseException) -> str:
  """One line that a person reads; an OS error's own words where there are some."""
  if isinstance(error, OSError) and error.strerror:
    return error.strerror
  if code := re.search(r"os_error_code='(\d+)'", str(error)):  # deep in TensorStore's messages
    return os.strerror(int(code[1]))
  text = next(iter(str(error).splitlines()), '') or type(error).__name__
  return text if len(text) <= 200 else text[:200] + '...'
