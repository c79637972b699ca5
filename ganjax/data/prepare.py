"""Prepares a TensorFlow Datasets set so that ganjax can read it: once, the only place that needs TensorFlow.

python -m ganjax.data.prepare mnist
python -m ganjax.data.prepare my_set --data_dir=DIR --builder=my_set.py
"""

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from ganjax.errors import DataError, GanjaxError


def prepare(dataset: str, data_dir: str | None = None, builder: str | None = None) -> Path:
  """Downloads and writes the set as array_record; `builder` is a file that defines its builder class.

  Returns: its folder. Raises: DataError without TensorFlow, or for an unknown name.
  """
  for module in ('tensorflow', 'importlib_resources'):  # TFDS imports the second without asking for it
    if importlib.util.find_spec(module) is None:
      raise DataError(f"preparing a TFDS data set needs {module}: pip install 'ganjax[tfds]' (reading it does not)")
  import tensorflow_datasets as tfds

  if builder:
    load(Path(builder))
  try:
    made = tfds.builder(dataset, data_dir=data_dir, file_format='array_record')
  except tfds.core.DatasetNotFoundError as error:
    raise DataError(f'TFDS has no data set {dataset!r}; one of your own needs --builder=FILE.py') from error
  made.download_and_prepare()
  return Path(made.data_dir)


def load(file: Path) -> None:
  """Imports a builder's file, which makes its name known to TFDS."""
  spec = importlib.util.spec_from_file_location(file.stem, file)
  if not file.is_file() or spec is None or spec.loader is None:
    raise DataError(f'{file}: no such Python file')
  module = importlib.util.module_from_spec(spec)
  sys.modules[file.stem] = module
  spec.loader.exec_module(module)


def main(arguments: Sequence[str] | None = None) -> int:
  """The command; returns its exit code."""
  parser = argparse.ArgumentParser('python -m ganjax.data.prepare', description=__doc__,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
  parser.add_argument('dataset', help="such as 'mnist' or 'name/config'")
  parser.add_argument('--data_dir', help='where to; by default $TFDS_DATA_DIR or ~/tensorflow_datasets')
  parser.add_argument('--builder', help="a Python file with your own set's builder class")
  given = parser.parse_args(arguments)
  try:
    print(f'prepared: {prepare(given.dataset, given.data_dir, given.builder)}')
  except GanjaxError as error:
    print(f'ganjax: {error}', file=sys.stderr)
    return error.code
  return 0


if __name__ == '__main__':
  sys.exit(main())
