"""A folder of pictures, sub-folders as classes."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from ganjax.data.download import cache_folder
from ganjax.data.images import Fit, decode, known
from ganjax.data.spec import Source, Spec, in_memory
from ganjax.errors import ConfigError, DataError

EXTENSIONS = ('.png', '.jpg', '.jpeg', '.webp', '.bmp', '.gif', '.tif', '.tiff', '.ppm', '.pgm')
HELD_BYTES = 64 * 2**20  # decoded sets up to this size are kept in memory
SPLITS = {'train', 'training', 'test', 'testing', 'val', 'valid', 'validation'}
NAMED = 10  # damaged files named in a message

Item = TypeVar('Item')
Result = TypeVar('Result')


def folder(*, split: str = 'train', path: str, test_path: str = '', resolution: int, channels: int = 3,
           fit: str = 'crop', resize: str = 'lanczos', background: str = 'white', damaged: str = 'refuse',
           classes: int = 0) -> Source:  # fmt: skip
  """A folder of pictures (PNG, JPEG, WebP, ...) of any size; its sub-folders are the classes.

  Grey, RGB, palette, 16-bit and transparent pictures become squares with `channels` channels. All are
  decoded once at the start, so that damaged ones are known before the training.

  Args:
    split: 'train' reads `path`, 'test' reads `test_path`.
    path: the folder. Pictures lie in it, or in sub-folders named after their classes, at any depth.
    test_path: a folder of held-out pictures in the same form.
    resolution: pixels per side.
    channels: 1 (grey) or 3 (RGB).
    fit: non-square pictures: 'crop' the centre, 'pad' with the background, or 'stretch'.
    resize: the filter: lanczos, bicubic, bilinear, box or nearest.
    background: under transparent pixels and in the padding: white, grey or black.
    damaged: 'refuse' stops, naming the files; 'skip' names them and leaves them out.
    classes: how many classes there must be; 0 takes the sub-folders.
  """
  known('data.damaged', damaged, ('refuse', 'skip'))
  form = Fit(resolution, channels, fit, resize, background)
  if split == 'test' and not test_path:
    raise ConfigError('data.test_path', test_path, 'a folder of held-out pictures')
  names = class_names(listed(Path(path).expanduser()), Path(path))
  if classes and classes != len(names):
    raise DataError(f'{path}: {len(names)} sub-folders with pictures, but data.classes={classes}')
  root = Path(path if split == 'train' else test_path).expanduser()
  files = listed(root)
  strangers = set(class_names(files, root)) - set(names)
  if strangers:
    raise DataError(f'{root}: sub-folders {sorted(strangers)} are no classes of {path}, which has {list(names)}')

  def read(file: str) -> np.ndarray:
    return decode((root / file).read_bytes(), form, str(root / file))

  small = len(files) * int(np.prod(form.shape)) <= HELD_BYTES
  decoded, bad = surveyed(files, read) if small else (None, verdict(root, files, read))
  refuse_or_tell(root, bad, len(files), damaged)
  good = [i for i, file in enumerate(files) if file not in bad]
  chosen = [files[i] for i in good]
  labels = np.asarray([names.index(file.split('/')[0]) for file in chosen] if names else [], np.int32)
  label = {'label': labels} if names else {}
  spec = Spec('image', form.shape, len(names), names, len(chosen), 'folder')
  if decoded is not None:
    return in_memory(spec, {'image': np.stack([decoded[file] for file in chosen]), **label})
  return Source(spec, partial(read_many, read=read, files=chosen, label=label))


def read_many(indices: np.ndarray, *, read: Callable[[str], np.ndarray], files: Sequence[str],
              label: dict[str, np.ndarray]) -> dict[str, np.ndarray]:  # fmt: skip
  """The pictures and labels at `indices`."""
  image = np.stack([read(files[i]) for i in indices])
  return {'image': image, **{name: values[indices] for name, values in label.items()}}


def listed(root: Path) -> list[str]:
  """All pictures below `root` as sorted relative paths with '/': the same order on every machine."""
  if not root.is_dir():
    raise DataError(f'{root}: no such folder')
  found = [
    (Path(where) / name).relative_to(root).as_posix()
    for where, folders, names in os.walk(root, followlinks=True)
    for name in names
    if name.lower().endswith(EXTENSIONS) and not name.startswith('.')
  ]
  if not found:
    raise DataError(f'{root}: no pictures in it; valid: {", ".join(EXTENSIONS)}')
  return sorted(found)


def class_names(files: Iterable[str], root: Path) -> tuple[str, ...]:
  """The sub-folders in order; () where all pictures lie in `root` itself or in one sub-folder."""
  tops = {file.split('/')[0] if '/' in file else '' for file in files}
  if '' in tops and len(tops) > 1:
    loose = next(file for file in files if '/' not in file)
    raise DataError(f'{root}: pictures beside class folders ({loose}); valid: all in sub-folders, or none')
  if tops <= SPLITS and len(tops) > 1:
    raise DataError(f'{root}: {sorted(tops)} look like splits; give data.path and data.test_path one each')
  return tuple(sorted(tops)) if len(tops) > 1 else ()


def surveyed(files: Sequence[str], read: Callable[[str], np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
  """Every picture decoded, by file; and what is wrong with the damaged ones."""
  results = dict(zip(files, in_threads(partial(attempt, read=read), files), strict=True))
  bad = {file: result for file, result in results.items() if isinstance(result, str)}
  return {file: result for file, result in results.items() if not isinstance(result, str)}, bad


def attempt(file: str, read: Callable[[str], np.ndarray]) -> np.ndarray | str:
  """The picture, or what is wrong with it."""
  try:
    return read(file)
  except (DataError, OSError) as error:
    return str(error)


def verdict(root: Path, files: Sequence[str], read: Callable[[str], np.ndarray]) -> dict[str, str]:
  """What is wrong with the damaged files of a large folder; remembered in the user's cache while no file changes."""
  stats = [(file, os.stat(root / file)) if (root / file).exists() else (file, None) for file in files]
  facts = [(file, s and (s.st_size, s.st_mtime_ns)) for file, s in stats]
  note = cache_folder() / 'folders' / f'{hashlib.sha256(json.dumps([str(root.resolve()), facts]).encode()).hexdigest()}'
  if note.is_file():
    return json.loads(note.read_text())
  # The verdict alone: a large folder's pictures would not fit into memory.
  tried = in_threads(lambda file: found if isinstance(found := attempt(file, read), str) else '', files)
  bad = {file: wrong for file, wrong in zip(files, tried, strict=True) if wrong}
  note.parent.mkdir(parents=True, exist_ok=True)
  draft = note.with_suffix(f'.{os.getpid()}')
  draft.write_text(json.dumps(bad))
  draft.replace(note)
  return bad


def in_threads(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
  """`function` of every item, in order: decoders release the interpreter's lock."""
  with ThreadPoolExecutor(os.cpu_count()) as pool:
    return list(pool.map(function, items))


def refuse_or_tell(root: Path, bad: dict[str, str], count: int, damaged: str) -> None:
  """Raises or prints what is wrong."""
  if not bad:
    return
  more = [f'and {len(bad) - NAMED} more'] if len(bad) > NAMED else []
  lines = '\n  '.join([*list(bad.values())[:NAMED], *more])
  message = f'{root}: {len(bad)} of {count} pictures are damaged:\n  {lines}'
  if damaged == 'refuse' or len(bad) == count:
    way = '' if len(bad) == count else "\ndata.damaged='skip' leaves them out"
    raise DataError(message + way)
  print(f'{message}\nthey are left out', flush=True)
