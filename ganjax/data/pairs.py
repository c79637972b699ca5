"""Two domains of images, A ('source') and B ('image'): pairs of one thing each, or sets that know nothing of each other."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ganjax.data.arrays import as_images, as_labels, loaded
from ganjax.data.folder import HELD_BYTES, in_threads, listed
from ganjax.data.images import Fit, known, opened, squared
from ganjax.data.spec import Source, Spec, in_memory
from ganjax.errors import ConfigError, DataError

DIRECTIONS = ('a_to_b', 'b_to_a')
SPLITS = {'train': ('train',), 'test': ('test', 'val')}
TOLD = 5  # files named in a message


class Layout(NamedTuple):
  """Where the pictures of a split are: two folders, or one of pictures side by side."""

  a: Path
  b: Path | None  # None: B is the right half of each picture in `a`


def pairs(*, split: str = 'train', path: str, test_path: str = '', resolution: int = 0, channels: int = 3,
          source_channels: int = 0, direction: str = 'a_to_b', fit: str = 'stretch', resize: str = 'bicubic',
          background: str = 'white') -> Source:  # fmt: skip
  """Pairs of images: folders trainA and trainB with the same names, pictures side by side, or a .npz with a and b.

  A folder has trainA and trainB (testA, valA, ... held out), or `train` (`test` or `val`) with pictures whose left half
  is A and whose right half is B; such pictures may lie in `path` itself. A .npz has uint8 `a` and `b` [N, H, W, C] or
  [N, H, W], and maybe `label` [N].

  Args:
    split: 'train', or 'test' for the held-out pairs.
    path: the folder or the file.
    test_path: held-out pairs in another folder or file.
    resolution: pixels a side; arrays are as they are, and it may be left out.
    channels: of the images to be made, 1 or 3.
    source_channels: of the images to be translated; 0: as many.
    direction: 'a_to_b' or 'b_to_a', from the domain that is translated to the other.
    fit: pictures that are not square: 'stretch', 'crop' the centre or 'pad'. Both of a pair alike.
    resize: the filter: lanczos, bicubic, bilinear, box or nearest.
    background: under transparent pixels and in the padding: white, grey or black.
  """
  known('data.direction', direction, DIRECTIONS)
  place = place_of(split, path, test_path)
  if place.suffix == '.npz':
    return paired_arrays(place, resolution, direction)
  forms = forms_of(resolution, channels, source_channels, direction, fit, resize, background)
  layout = layout_of(place, split, alone=split == 'train' or bool(test_path))
  files = matched(layout.a, layout.b) if layout.b else [(layout.a / name,) for name in listed(layout.a)]
  return decoded(files, partial(pair_of, forms=forms), named(forms, direction), 'pairs')


def domains(*, split: str = 'train', path: str, test_path: str = '', resolution: int = 0, channels: int = 3,
            source_channels: int = 0, direction: str = 'a_to_b', fit: str = 'crop', resize: str = 'bicubic',
            background: str = 'white') -> Source:  # fmt: skip
  """Two sets of images without pairs, of any two sizes: folders trainA and trainB, or a .npz with arrays a and b.

  Each epoch of a set is a shuffle of its own. Fields are those of `pairs`; of held-out sets (testA and testB, or
  `test_path`) samples are made.
  """
  known('data.direction', direction, DIRECTIONS)
  place = place_of(split, path, test_path)
  if place.suffix == '.npz':
    a, b, _ = two_arrays(place, resolution)
    both = [in_memory(Spec('image', x.shape[1:], count=len(x), name='domains'), {'image': x}) for x in (a, b)]
    return apart(*turned(both, direction))
  forms = forms_of(resolution, channels, source_channels, direction, fit, resize, background)
  layout = layout_of(place, split, alone=False)
  if layout.b is None:
    raise DataError(f'{place}: two domains are two folders, trainA and trainB (or testA and testB); found {layout.a}')
  both = [
    decoded([(root / name,) for name in listed(root)], partial(one_of, form=form), {'image': form.shape}, 'domains')
    for root, form in zip((layout.a, layout.b), forms, strict=True)
  ]
  return apart(*turned(both, direction))


def apart(source: Source, image: Source) -> Source:
  """One source of two that know nothing of each other: the images of the first are to be translated."""
  renamed = lambda batch: {'source': batch['image']}  # noqa: E731
  beside = Source(
    Spec('source', source.spec.shape, count=len(source)), lambda indices: renamed(source.get(indices)),
    None if source.arrays is None else renamed(source.arrays),
  )  # fmt: skip
  return replace(image, spec=replace(image.spec, source=source.spec.shape), beside=beside)


def turned(both: Sequence[Any], direction: str) -> tuple[Any, Any]:
  """What is of A and of B, as it is of the domain to be translated and of the other."""
  first, second = both
  return (first, second) if direction == 'a_to_b' else (second, first)


def place_of(split: str, path: str, test_path: str) -> Path:
  """Where a split is to be looked for. Raises ConfigError for a file without held-out examples."""
  place = Path(path).expanduser()
  if split == 'test' and test_path:
    return Path(test_path).expanduser()
  if split == 'test' and place.suffix == '.npz':
    raise ConfigError('data.test_path', test_path, 'a .npz file of held-out examples')
  return place


def forms_of(resolution: int, channels: int, source_channels: int, direction: str, fit: str, resize: str,
             background: str) -> tuple[Fit, Fit]:  # fmt: skip
  """How pictures of A and of B become images."""
  if not resolution:
    raise ConfigError('data.resolution', resolution, 'pixels a side, 1 or more: pictures are brought to it')
  source, image = (Fit(resolution, c, fit, resize, background) for c in (source_channels or channels, channels))
  return turned((source, image), direction)


def named(forms: tuple[Fit, Fit], direction: str) -> dict[str, tuple[int, ...]]:
  """Shapes of A and of B, in this order, by the names that they go by."""
  names = ('source', 'image') if direction == 'a_to_b' else ('image', 'source')
  return {name: form.shape for name, form in zip(names, forms, strict=True)}


def layout_of(root: Path, split: str, alone: bool) -> Layout:
  """Where pictures of a split are below `root`; `alone`: they may lie in it. Raises DataError, ConfigError."""
  if not root.is_dir():
    raise DataError(f'{root}: no such folder')
  for name in (*SPLITS[split], ''):
    a, b = root / f'{name}A', root / f'{name}B'
    if a.is_dir() != b.is_dir():
      raise DataError(f'{root}: {(a if a.is_dir() else b).name} is there, and {(b if a.is_dir() else a).name} is not')
    if a.is_dir() and (name or alone):
      return Layout(a, b)
    if name and (root / name).is_dir():
      return Layout(root / name, None)
  if alone:
    return Layout(root, None)
  if split == 'test':
    raise ConfigError('data.test_path', '', f'a folder of held-out pictures: {root} has no testA, valA, test or val')
  raise DataError(f'{root}: no trainA and trainB in it, and no train')


def matched(a: Path, b: Path) -> list[tuple[Path, ...]]:
  """Pictures of the same name, but for its ending, in two folders. Raises DataError where one stands alone."""
  found = [{str(Path(name).with_suffix('')): root / name for name in listed(root)} for root in (a, b)]
  for own, other, where in ((found[0], found[1], b), (found[1], found[0], a)):
    lonely = sorted(own.keys() - other.keys())
    if lonely:
      more = f' and {len(lonely) - TOLD} more' if len(lonely) > TOLD else ''
      files = ', '.join(str(own[name]) for name in lonely[:TOLD])
      raise DataError(f'{a.parent}: {len(found[0])} pictures in {a.name}, {len(found[1])} in {b.name}; without one of the '
                      f'same name in {where.name}: {files}{more}')  # fmt: skip
  return [(found[0][name], found[1][name]) for name in sorted(found[0])]


def decoded(files: Sequence[tuple[Path, ...]], read: Callable[..., Sequence[np.ndarray]],
            shapes: dict[str, tuple[int, ...]], name: str) -> Source:  # fmt: skip
  """The source of what `read` makes of each of the files: images of these shapes. All are read once, at the start."""
  sizes = {key: int(np.prod(shape)) for key, shape in shapes.items()}
  small = len(files) * sum(sizes.values()) <= HELD_BYTES
  # What doesn't fit into memory is decoded and forgotten: damaged files are known before the training.
  results = in_threads(partial(attempt, read=read, keep=small), files)
  bad = [found for found in results if isinstance(found, str)]
  if bad:
    more = [f'and {len(bad) - TOLD} more'] if len(bad) > TOLD else []
    raise DataError(f"{len(bad)} of {len(files)} can't be used:\n  " + '\n  '.join([*bad[:TOLD], *more]))
  extra = {'counterparts': True} if 'source' in shapes else {}
  spec = Spec('image', shapes['image'], count=len(files), name=name, extra=extra, source=shapes.get('source', ()))
  if small:
    return in_memory(
      spec, {key: np.stack(column) for key, column in zip(shapes, zip(*results, strict=True), strict=True)}
    )

  def get(indices: np.ndarray) -> dict[str, np.ndarray]:
    columns = zip(*(read(files[i]) for i in indices), strict=True)
    return {key: np.stack(column) for key, column in zip(shapes, columns, strict=True)}

  return Source(spec, get)


def attempt(files: tuple[Path, ...], read: Callable[..., Sequence[np.ndarray]], keep: bool) -> Any:
  """What `read` makes of files, if it is to be kept; or what is wrong with them."""
  try:
    found = read(files)
  except (DataError, OSError) as error:
    return str(error)
  return found if keep else ()


def one_of(files: tuple[Path, ...], form: Fit) -> tuple[np.ndarray, ...]:
  """The image of one file."""
  (file,) = files
  return (array(opened(file.read_bytes(), form, str(file)), form),)


def pair_of(files: tuple[Path, ...], forms: tuple[Fit, Fit]) -> tuple[np.ndarray, ...]:
  """A and B, of two files or of one with both. Raises DataError where they differ in size."""
  if len(files) == 2:
    a, b = (opened(file.read_bytes(), form, str(file)) for file, form in zip(files, forms, strict=True))
    if a.size != b.size:
      raise DataError(f'{files[0]}: {a.size[0]} x {a.size[1]} pixels, and {files[1]}: {b.size[0]} x {b.size[1]}; valid: '
                      'the same of both of a pair')  # fmt: skip
  else:
    halves = [opened(files[0].read_bytes(), form, str(files[0])) for form in forms]
    width, height = halves[0].size
    if width % 2:
      raise DataError(f'{files[0]}: {width} pixels wide; valid: an even number, of A on the left and B on the right')
    a, b = halves[0].crop((0, 0, width // 2, height)), halves[1].crop((width // 2, 0, width, height))
  return array(a, forms[0]), array(b, forms[1])


def array(image: Any, form: Fit) -> np.ndarray:
  """A Pillow image as uint8 [H, W, C] of a form."""
  return np.asarray(squared(image, form)).reshape(form.shape)


def two_arrays(file: Path, resolution: int) -> tuple[np.ndarray, np.ndarray, Any]:
  """Arrays a and b, uint8 [N, H, W, C], and labels or None, of a .npz file."""
  a, _ = loaded(file, 'a', '')
  b, labels = loaded(file, 'b', '')
  found = []
  for name, x in (('a', a), ('b', b)):
    if x.dtype != np.uint8:
      raise DataError(f'{file}: {name} is {x.dtype}; valid: uint8')
    found.append(as_images(file, x, ''))
  sides = {x.shape[1:3] for x in found}
  if len(sides) > 1 or (resolution and sides != {(resolution, resolution)}):
    wanted = f'data.resolution={resolution}' if resolution else 'the same height and width'
    raise DataError(f'{file}: a has shape {found[0].shape}, b {found[1].shape}; valid: {wanted} of both')
  return found[0], found[1], labels


def paired_arrays(file: Path, resolution: int, direction: str) -> Source:
  """The pairs of a .npz file."""
  a, b, labels = two_arrays(file, resolution)
  if len(a) != len(b):
    raise DataError(f'{file}: {len(a)} images in a and {len(b)} in b; valid: as many, one of each pair')
  source, image = turned((a, b), direction)
  held = {'source': source, 'image': image} | ({} if labels is None else {'label': as_labels(file, labels, len(a))})
  classes = 0 if labels is None else int(held['label'].max()) + 1
  spec = Spec('image', image.shape[1:], classes, tuple(map(str, range(classes))), len(image), 'pairs',
              {'counterparts': True}, source.shape[1:])  # fmt: skip
  return in_memory(spec, held)
