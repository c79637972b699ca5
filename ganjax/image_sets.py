"""`ganjax evaluate --fake PATH --real PATH`: the metrics, for images from anywhere."""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ganjax import log, parallel
from ganjax.errors import ConfigError
from ganjax.evals import measures
from ganjax.evals.beside import BORDER, LIKENESS, beside
from ganjax.evals.features import open_extractor
from ganjax.evals.files import ImageSet, batches, open_images
from ganjax.evals.protocol import fingerprint
from ganjax.evals.stream import Seen, look
from ganjax.evals.view import Measure, View
from ganjax.images import replacing
from ganjax.measure import BATCH, SMALL_BATCH, compatible, through
from ganjax.progress import counting
from ganjax.report import table, told

TOLD = 20  # pictures that have a line each
OF_A_RUN = (
  'num',
  'split',
  'truncation',
  'standing_statistics',
  'lpips',
  'lpips_weights',
)  # options that only a run's samples have


def compare_images(fake: str, real: str, options: Mapping[str, Any], out: str | None = None) -> str:
  """Measures all images of one folder (or .npz, .npy) against all of another.

  Args:
    fake: what is measured.
    real: what it is compared with.
    options: 'metrics', 'features', 'weights', 'resize', 'bootstrap', 'border'. Metrics of `beside` take the pictures in
      pairs of the same name.
    out: a .json file that gets numbers and protocol.

  Returns: the numbers, told. Raises: ConfigError, DataError.
  """
  for name in OF_A_RUN:
    if name in options:
      raise ConfigError(
        f'--{name.replace("_", "-")}', options[name], 'nothing with --fake and --real: all their images are used'
      )
  if out is not None and Path(out).suffix != '.json':
    raise ConfigError('--out', out, 'a file name that ends in .json')
  chosen = measures.named(options.get('metrics', ('fid',)))
  resample = options.get('bootstrap', 0)
  in_pairs = [name for name in chosen if name in LIKENESS]
  border = options.get('border', BORDER)
  if border < 0:
    raise ConfigError('--border', border, 'pixels, 0 or more')
  pictures = beside(fake, real, in_pairs, border) if in_pairs else {}
  values = {f'eval/{name}': float(np.mean([found[name] for found in pictures.values()])) for name in in_pairs}
  own = {'pairs': {'border': border, 'metrics': in_pairs}} if in_pairs else {}
  chosen = {name: measure for name, measure in chosen.items() if name not in LIKENESS}
  needs = measures.needs(chosen, bool(resample))
  sets = {'fake': open_images(fake), 'real': open_images(real)}
  for name, measure in chosen.items():
    unfit(name, measure, sets)
  extractor = None
  if needs.outputs - measures.OWN:
    extractor = open_extractor(options.get('features', 'inception'), options.get('weights'), options.get('resize'))
    compatible(extractor, chosen)
  size = BATCH if extractor is None or extractor.name == 'digits' else SMALL_BATCH
  mesh = parallel.own_mesh()
  held = parallel.place({} if extractor is None else extractor.params, mesh)
  program = partial(parallel.over_rows(partial(through, extractor, needs.outputs), mesh, size), held)

  def see(which: str) -> Seen:
    images = sets[which]
    half = np.random.default_rng(0).permutation(images.size) % 2 == 1 if which == 'real' else None
    with counting(f'{which} images', images.size, shown=True) as tell:
      return look(batches(images, size), program, needs, half, tell)

  between: dict[str, tuple[float, float]] = {}
  if chosen:
    view = View(fake=see('fake'), real=see('real'), train=sets['real'].size, facts={})
    values |= measures.compute(view, chosen)
    between = measures.intervals(view, chosen, resample)
  protocol = {
    **{which: {'num': images.size, 'hash': images.hash} for which, images in sets.items()},
    'images': {'pixels': 'uint8'},
    'features': {} if extractor is None else {'network': extractor.name, **extractor.protocol},
    'metrics': {name: dict(measure.options) for name, measure in chosen.items()},
    'versions': log.versions(),
    **own,
  }
  found = {'fake': fake, 'real': real, 'fingerprint': fingerprint(protocol), 'protocol': protocol, 'values': values,
           'intervals': {name: list(ends) for name, ends in between.items()},
           **({'pictures': pictures} if pictures else {})}  # fmt: skip
  if out is not None:
    with replacing(out) as file:
      file.write(json.dumps(found, indent=2).encode() + b'\n')
  first = f'{sets["fake"].size} images of {fake} against {sets["real"].size} of {real}, protocol {found["fingerprint"]}'
  return '\n'.join([first, *each(pictures), *told(values, between), *([f'written to {out}'] if out else [])])


def each(pictures: Mapping[str, Mapping[str, float]]) -> list[str]:
  """A line for each picture, if there are few."""
  if not pictures or len(pictures) > TOLD:
    return []
  return table(
    {name: ({f'eval/{metric}': value for metric, value in found.items()}, {}) for name, found in pictures.items()}
  )


def unfit(name: str, measure: Measure, sets: Mapping[str, ImageSet]) -> None:
  """Raises ConfigError where a measure can't be taken of these sets."""
  if (
    {'row', 'psnr'} & set(measure.rows)
    or name in measures.HELD_OUT
    or measure.walks
    or measure.distance
    or measure.rebuilds
  ):
    raise ConfigError('--metrics', name, 'others: it is of a run and its data')
  for images in sets.values():
    if 'label' in measure.rows and images.labels is None:
      raise ConfigError('--metrics', name, f'others: {images.path} has no classes (sub-folders, or labels in the .npz)')
    if images.size < measure.least:
      raise ConfigError(
        '--metrics', name, f'others, or at least {measure.least} images; {images.path} has {images.size}'
      )
