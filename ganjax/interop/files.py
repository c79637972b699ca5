"""Files of weights -> arrays by name. Nothing in a file is ever executed."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from ganjax.errors import DataError
from ganjax.interop import pickled, safetensors, torch_file

SHOWN = 12  # sets of tensors that an error lists
PERSISTENCE = ('torch_utils.', 'dnnlib.')  # what the pickles of StyleGAN 2, 3 and R3GAN begin with: source code
HINTS = {
  True: "it holds Python source that would have to be run. In its own repository, whose code you trust: import pickle, torch; "
        "torch.save(pickle.load(open('FILE', 'rb'))['G_ema'].state_dict(), 'G.pth'), and import G.pth",
  False: "only tensors in dicts are read: torch.save(model.state_dict(), 'weights.pth') makes such a file",
}  # fmt: skip


def read_tensors(path: str | Path, key: str | None = '') -> dict[str, np.ndarray]:
  """The tensors of a state dict in a file, by name; bfloat16 as float32.

  Args:
    path: .npz; .safetensors; or .pth, .pt, .bin, .ckpt, .pkl as torch.save writes them. Of pickles only dicts, numbers,
      texts and tensors are read; one that asks for anything else is refused by name, and nothing in it is executed.
    key: which of several, such as 'g_ema' of {'g_ema': {...}, 'd': {...}}, or 'a/b' of a dict in a dict; or what all
      names begin with, before a '.' or '/', such as 'module'. None: all there is, by its full name.

  Raises: DataError that names the file, and the keys where one must be chosen.
  """
  path = Path(path)
  readers: dict[str, Callable[..., dict[str, np.ndarray]]] = {'.npz': read_npz, '.safetensors': safetensors.read}
  readers |= dict.fromkeys(('.pth', '.pt', '.bin', '.ckpt', '.pkl'), torch_file.read)
  if path.suffix not in readers:
    raise DataError(f'{path}: a file of weights ends in {", ".join(readers)}')
  if not path.is_file():
    raise DataError(f'{path}: no such file')
  try:
    return readers[path.suffix](path, partial(chosen, path, key))
  except DataError:
    raise
  except pickled.Refused as error:
    raise DataError(
      f'{path}: refused, because it asks for {error!s:.300}; {HINTS[str(error).startswith(PERSISTENCE)]}'
    ) from error
  except Exception as error:  # whatever a damaged file makes NumPy, zipfile and the formats raise
    raise DataError(f'{path}: damaged, or not such a file ({error!s:.300})') from error


def read_npz(path: Path, choose: torch_file.Choose) -> dict[str, np.ndarray]:
  """The chosen arrays by their new names."""
  with np.load(path, allow_pickle=False) as file:
    return {new: file[name] for name, new in choose(file.files).items()}


def chosen(path: Path, key: str | None, names: Iterable[str]) -> Mapping[str, str]:
  """The names below a key without it; without a key all, if they are of one set. Raises DataError."""
  names = list(names)
  sets = sorted({name.rpartition('/')[0] for name in names}, key=lambda found: (found.count('/'), found))
  more = f' and {len(sets) - SHOWN} more' if len(sets) > SHOWN else ''
  listed = ', '.join(found or '(no key)' for found in sets[:SHOWN]) + more
  if not names:
    raise DataError(f'{path}: no tensors in it')
  if key is None:
    return {name: name for name in names}
  if key:
    below = {name: name[len(key) + 1 :] for name in names if name.startswith((f'{key}/', f'{key}.'))}
    if not below:
      raise DataError(f'{path}: no tensors under the key {key!r}; there are some under {listed}')
    return below
  if len(sets) > 1:
    raise DataError(f'{path}: holds several sets of tensors, choose one by its key: {listed}')
  start = len(sets[0]) + 1 if sets[0] else 0
  return {name: name[start:] for name in names}
