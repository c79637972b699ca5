"""Averages of any length after the training (Karras et al. 2024, arXiv:2312.02696, section 3).

A training keeps two or more power-function averages (`ema.<name>.sigma_rel`) and stores them now and then in
`workdir/ema/<step>.npz`; `synthesize` adds the stored ones up to an average of another length, or of an earlier step.
"""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ganjax import averages
from ganjax.errors import CheckpointError, ConfigError
from ganjax.images import replacing
from ganjax.snapshot import flatten, nest
from ganjax.state import TrainState

FOLDER = 'ema'


class Averaged(NamedTuple):
  """Averaged parameters by player, with the extras (batch statistics, ...) that these players had then."""

  params: dict[str, Any]
  extras: dict[str, Any]
  about: dict[str, Any]  # JSON: step, images, sigma_rel, run_id; error: the profile's, relative


def powers(ema: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
  """sigma_rel of the power-function averages in the section `ema` of a config, by name."""
  return {name: fields['sigma_rel'] for name, fields in ema.items() if fields['sigma_rel']}


def store(workdir: str | Path, state: TrainState, sigma_rels: Mapping[str, float], run_id: str) -> None:
  """Writes the power-function averages of a state on the host or a device; the file appears whole or not at all."""
  step, images = (int(np.ravel(count)[0]) for count in (state.step, state.images))  # alike for all of a population
  kept = {name: state.ema[name] for name in sigma_rels}
  shapes = sorted({path.partition('/')[2]: list(leaf.shape) for path, leaf in flatten(kept).items()}.items())
  networks = hashlib.sha256(json.dumps(shapes).encode()).hexdigest()[:12]
  about = {'step': step, 'images': images, 'sigma_rel': dict(sigma_rels), 'run_id': run_id, 'networks': networks}
  players = {player for params in kept.values() for player in params}
  extras = {player: state.extras[player] for player in sorted(players & state.extras.keys())}
  write(Path(workdir) / FOLDER / f'{step}.npz', {'ema': kept, 'extras': extras}, about)


def forget(workdir: str | Path, after: int) -> None:
  """Removes what was stored after a step: a training that goes on from there stores it anew."""
  for step, path in stored(workdir).items():
    if step > after:
      path.unlink(missing_ok=True)  # every process does this


def stored(workdir: str | Path) -> dict[int, Path]:
  """The stored averages by step, oldest first."""
  found = {int(path.stem): path for path in (Path(workdir) / FOLDER).glob('*.npz') if path.stem.isdecimal()}
  return dict(sorted(found.items()))


def synthesize(workdir: str | Path, sigma_rel: float | None = None, step: int | None = None, *,
               length_kimg: float | None = None) -> Averaged:  # fmt: skip
  """The average of relative width `sigma_rel`, or of width `length_kimg`, as of a step (by default the last stored).

  Batch statistics and other extras are those of the nearest step stored, and what was stored while networks had other
  shapes than then is left out. Raises ConfigError, CheckpointError.
  """
  files = stored(workdir)
  if not files:
    raise CheckpointError(f'{workdir}: no stored averages; train with two averages ema.<name>.sigma_rel (0.05 and 0.1), '
                          'and ema_snapshot_every')  # fmt: skip
  step = max(files) if step is None else step
  if not 0 < step <= max(files):
    raise ConfigError('--step', step, f'a step from 1 to {max(files)}, the last one stored')
  known = {at: read(path)[1] for at, path in files.items()}
  images = float(np.interp(step, [0, *known], [0, *(about['images'] for about in known.values())]))
  sigma_rel = wanted(sigma_rel, length_kimg, images)
  nearest = min(files, key=lambda at: abs(at - step))
  files = {
    at: path for at, path in files.items() if known[at]['networks'] == known[nearest]['networks']
  }  # of this phase
  known = {at: known[at] for at in files}
  parts = [(at, name, width) for at, about in known.items() for name, width in about['sigma_rel'].items()]
  times, gammas = [known[at]['images'] for at, _, _ in parts], [averages.gamma(width) for _, _, width in parts]
  found, error = averages.weights(times, gammas, images, averages.gamma(sigma_rel))
  total: dict[str, np.ndarray] = {}
  for at, path in files.items():
    share = {f'ema/{name}/': w for (there, name, _), w in zip(parts, found, strict=True) if there == at and w}
    arrays = read(path, tuple(share))[0] if share else {}
    for leaf, array in arrays.items():
      prefix = next(prefix for prefix in share if leaf.startswith(prefix))
      place = leaf.removeprefix(prefix)
      total[place] = total.get(place, 0) + share[prefix] * array.astype(np.float64)
  extras, about = read(files[nearest], ('extras/',))
  params = nest({place: array.astype(np.float32) for place, array in total.items()})
  made = {'step': step, 'images': round(images), 'sigma_rel': sigma_rel, 'run_id': about['run_id'], 'error': error}
  return Averaged(params, nest(extras).get('extras', {}), made)


def wanted(sigma_rel: float | None, length_kimg: float | None, images: float) -> float:
  """The relative width asked for at so many images shown."""
  if length_kimg is not None and sigma_rel is None:
    field, given, unit = '--kimg', length_kimg, images / 1000
  elif sigma_rel is not None and length_kimg is None:
    field, given, unit = '--sigma-rel', sigma_rel, 1.0
  else:
    raise ConfigError('--sigma-rel', sigma_rel, 'a relative width, or else --kimg, a width in thousands of images')
  if not 0 < given / unit <= averages.WIDEST:
    raise ConfigError(field, given, f'above 0, at most {averages.WIDEST * unit:.4g}, the plain mean')
  return given / unit


def write_average(workdir: str | Path, sigma_rel: float | None, length_kimg: float | None, step: int | None,
                  out: str | Path | None) -> str:  # fmt: skip
  """Writes an average that `ganjax sample --ema FILE` draws from, and says what it wrote."""
  made = synthesize(workdir, sigma_rel, step, length_kimg=length_kimg)
  about = made.about
  path = Path(out or Path(workdir) / FOLDER / f'sigma_rel_{about["sigma_rel"]:.4g}_step_{about["step"]}.npz')
  if path.suffix != '.npz':
    raise ConfigError('--out', str(out), 'a file name that ends in .npz')
  write(path, {'params': made.params, 'extras': made.extras}, about)
  told = f'{path}: sigma_rel {about["sigma_rel"]:.4g} ({about["sigma_rel"] * about["images"] / 1000:.4g} kimg), step {about["step"]}'
  return f'{told}, profile within {about["error"]:.2g} of the exact one'


def read_average(path: str | Path) -> Averaged:
  """What `write_average` wrote. Raises CheckpointError."""
  arrays, about = read(Path(path), ('params/', 'extras/'))
  tree = nest(arrays)
  if 'params' not in tree:
    raise CheckpointError(f'{path}: not written by `ganjax ema`')
  return Averaged(tree['params'], tree.get('extras', {}), about)


def write(path: Path, tree: Any, about: Mapping[str, Any]) -> None:
  """A tree of arrays and what is to be known of it."""
  arrays: dict[str, Any] = {name: np.asarray(leaf) for name, leaf in flatten(tree).items()}
  with replacing(path) as file:
    np.savez(file, **arrays, about=np.array(json.dumps(about)))


def read(path: Path, prefixes: tuple[str, ...] = ()) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
  """The arrays whose names begin with one of the prefixes, and what is to be known of the file."""
  try:
    with np.load(path, allow_pickle=False) as file:
      about = json.loads(str(file['about']))
      return {name: file[name] for name in file.files if name.startswith(prefixes)}, about
  except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
    raise CheckpointError(f'{path}: no averages can be read from it ({error})') from error
