"""The review page of a run: draws the samples, picks the real images, looks for neighbours."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from ganjax import config as configs
from ganjax import standing
from ganjax.checkpoint import Checkpoints
from ganjax.data.sources import open_source
from ganjax.data.spec import Source, Spec
from ganjax.errors import ConfigError
from ganjax.evals import metrics
from ganjax.evals.features import open_extractor
from ganjax.evaluate import chosen_steps
from ganjax.images import replacing, to_uint8
from ganjax.review.render import Neighbours, Sheet, page
from ganjax.sample import Generate, Trained, load, sampler, with_average, with_examples

LATENTS = 16  # of the sheets
SHOWN, SEARCHED, NEAREST = (
  6,
  200,
  3,
)  # samples of a group of neighbours, those that are looked through, images beside each
AT_MOST = 4  # checkpoints, where none are asked for
MAX_REAL = 10_000  # training images that neighbours are looked for among
CHUNK = 250  # rows at once


def write_review(workdir: str | Path, *, checkpoints: str = '', num: int = 50, seed: int = 0,
                 out: str | Path = 'review.html', member: int | None = None, ema: str | None = None,
                 features: str = '', weights: str | None = None) -> str:  # fmt: skip
  """Writes the review page of a run; says what it wrote.

  Args:
    workdir: of a training on images.
    checkpoints: those on the sheets, see `evaluate.chosen_steps`; the last of them is the one under review. By default up
      to four, the newest last.
    num: questions, half of them with a real image.
    seed: of the latents, the real images and their order.
    out: .html.
    member: of a population.
    ema: chooses among averages, see `sample.with_average`.
    features: the network by which neighbours are near, or 'pixels'; by default the config's, or else the digit
      classifier for small grey images and pixels for others.
    weights: of that network, a file.

  Raises: ConfigError, CheckpointError, DataError.
  """
  if num < 2 or num % 2:
    raise ConfigError('--num', num, 'an even number of at least 2: half of the images are real')
  path = Path(out)
  if path.suffix != '.html':
    raise ConfigError('--out', str(out), 'a file name that ends in .html')
  runs = [with_average(load(workdir, step, member), ema) for step in steps(workdir, checkpoints)]
  last = runs[-1]
  if last.spec.field != 'image' or last.spec.shape[-1] not in (1, 3):
    raise ConfigError(
      '--workdir', str(workdir), f'a training on images: its data are {last.spec.field!r} {last.spec.shape}'
    )
  name = features or usual_features(last.config, last.spec)
  see = seer(name, weights)
  source = open_source(last.config.data)
  draws = drawers(runs)
  drawn = lambda draw, count, own: to_uint8(draw(count, own)['image'])  # noqa: E731
  sheets = [Sheet(f'step {run.step:,}', drawn(draw, LATENTS, seed + 1)) for run, draw in zip(runs, draws, strict=True)]
  reals = pictures(
    source, np.sort(np.random.default_rng([seed, 1]).choice(len(source), num // 2, replace=len(source) < num // 2))
  )
  fakes, others = np.split(drawn(draws[-1], num // 2 + SEARCHED, seed), [num // 2])
  if reals.shape != fakes.shape:
    raise ConfigError(
      '--workdir', str(workdir), f'samples of the size of the data: {fakes.shape[1:]}, {reals.shape[1:]}'
    )
  about = {
    'name': last.config.name, 'step': f'{last.step:,}', 'run': last.meta['run_id'], 'config': configs.fingerprint(last.config),
    **({} if member is None else {'member': str(member)}), 'average': next(iter(last.state.ema), 'none'), 'seed': str(seed),
    'real images': f'{last.spec.name}, training split',
  }  # fmt: skip
  near = neighbours(others, source, see, name)
  with replacing(path) as file:
    file.write(page(reals, fakes, sheets, near, about, seed).encode())
  return (f'{path}: {num} questions on {last.config.name}, step {last.step:,}, {len(runs)} checkpoints, neighbours by {name}; '
          f'`ganjax review --summarise FILE` reads the answers')  # fmt: skip


def steps(workdir: str | Path, wanted: str) -> list[int | None]:
  """The steps that were asked for, or some that there are."""
  if wanted:
    return chosen_steps(workdir, wanted)
  with Checkpoints(workdir, keep=1, lock=False) as there:
    found = there.steps()
  if not found:
    return [None]  # `load` says what is missing
  places = np.unique(np.linspace(0, len(found) - 1, min(len(found), AT_MOST)).round().astype(int))
  return [found[place] for place in places]


def drawers(runs: Sequence[Trained]) -> list[Generate]:
  """What draws from each checkpoint; compiled once for those with the same game."""
  made: dict[Any, Any] = {}
  for run in runs:
    key = configs.fingerprint(run.config), run.spec.shape
    if key not in made:
      settle = standing.settler(run.game, run.config.standing_statistics, run.config.batch_size)
      made[key] = sampler(with_examples(run.game, run.config, run.spec), settle=settle)
  return [made[configs.fingerprint(run.config), run.spec.shape](run.state) for run in runs]


def pictures(source: Source, rows: np.ndarray) -> np.ndarray:
  """Images of a source by number, uint8 [N, H, W, C]."""
  return to_uint8(source.get(rows)['image'])


def usual_features(config: ConfigDict, spec: Spec) -> str:
  """By what neighbours are near, where nobody says."""
  small = spec.shape[-1] == 1 and max(spec.shape) <= 32
  return config.get('evaluate_features', '') or ('digits' if small else 'pixels')


def seer(name: str, weights: str | None) -> Any:
  """uint8 images [N, H, W, C] -> float64 [N, D]: a network's features, or the pixels."""
  if name == 'pixels':
    return lambda images: images.reshape(len(images), -1) / 255
  extractor = open_extractor(name, weights)
  output = 'features' if 'features' in extractor.outputs else next(iter(extractor.outputs))
  apply = jax.jit(lambda params, images: extractor.apply(params, images)[output])

  def see(images: np.ndarray) -> np.ndarray:
    whole = np.resize(images, (-(-len(images) // CHUNK) * CHUNK, *images.shape[1:]))  # one program for any number
    parts = [np.asarray(apply(extractor.params, whole[i : i + CHUNK])) for i in range(0, len(whole), CHUNK)]
    return np.concatenate(parts)[: len(images)].reshape(len(images), -1).astype(np.float64)

  return see


def neighbours(samples: np.ndarray, source: Source, see: Any, name: str) -> list[Neighbours]:
  """Two groups of samples with their nearest training images: the first ones, and those that are nearest to any."""
  rows = np.unique(np.linspace(0, len(source) - 1, min(len(source), MAX_REAL)).astype(int))
  train = pictures(source, rows)
  seen = see(train)
  distances, places = metrics.nearest(see(samples), seen, min(NEAREST, len(rows)))
  some = np.unique(np.linspace(0, len(seen) - 1, min(len(seen), 1000)).astype(int))
  usual = float(np.median(metrics.nearest(seen[some], seen, min(2, len(seen)))[0][:, -1]))
  closest = np.argsort(distances[:, 0], kind='stable')[:SHOWN]
  by = f'by {"pixels" if name == "pixels" else f"features of the network {name}"}, among {len(rows):,} training images'
  return [
    Neighbours(f'{title} ({by})', samples[chosen], train[places[chosen]], distances[chosen], usual)
    for title, chosen in ((f'{SHOWN} samples, not selected', np.arange(min(SHOWN, len(samples)))),
                          (f'Of {len(samples)} samples, those that come nearest to a training image', closest))
  ]  # fmt: skip
