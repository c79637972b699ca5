"""The one evaluation pass: samples in, numbers by name out. What is measured follows from the data."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from ganjax.data.sources import open_source
from ganjax.data.spec import Source, Spec
from ganjax.errors import ConfigError
from ganjax.evals import digits, metrics

Generate = Callable[[int, int], dict[str, np.ndarray]]  # (number, seed) -> samples by field
Evaluate = Callable[[Generate], dict[str, float]]

SEED = 2  # of the samples; grids use other seeds
MAX_REAL = 10_000  # images of each split that are looked at


def evaluator(config: ConfigDict, spec: Spec, source: Source) -> Evaluate | None:
  """What measures samples of this data, or None where nothing here applies.

  Grey images of up to 32 pixels are seen through the digit classifier (`digit_metrics`), mixtures of Gaussians
  by their modes (`mixture_metrics`). `source` is the training data; held-out data are opened where there are any.
  """
  if spec.name == 'mixture':
    return lambda generate: mixture_metrics(spec, generate(config.evaluate_num, SEED)[spec.field])
  if spec.field != 'image' or spec.shape[-1] != 1 or max(spec.shape) > 32:
    return None
  seen: list[Reals] = []  # read when first needed

  def evaluate(generate: Generate) -> dict[str, float]:
    if not seen:
      seen.append(look(source, held_out(config)))
    samples = generate(config.evaluate_num, SEED)
    return digit_metrics(seen[0], samples[spec.field], samples.get('label'))

  return evaluate


def held_out(config: ConfigDict) -> Source | None:
  """The test split, where the source has one."""
  try:
    return open_source(config.data, split='test')
  except ConfigError:
    return None


class Reals(NamedTuple):
  """Real images as the classifier sees them: what samples are compared with."""

  train: np.ndarray  # [N, H, W, 1]
  test: np.ndarray | None  # held out
  features: np.ndarray  # of all of them
  floor: float  # Fréchet distance of one half to the other
  sure: float  # share of the held-out images (of all, if there are none)


def look(train: Source, test: Source | None) -> Reals:
  """Real images, once, for all evaluations of a run."""
  images = [read(source) for source in (train, test) if source is not None]
  seen = [digits.features(x) for x in images]
  features = np.concatenate([found for found, _ in seen])
  half = np.random.default_rng(0).permutation(len(features)) % 2 == 0
  floor = metrics.frechet_distance(features[half], features[~half])
  return Reals(images[0], None if test is None else images[1], features, floor, metrics.sure_share(seen[-1][1]))


def read(source: Source) -> np.ndarray:
  """Up to MAX_REAL images of a source, float32 in [-1, 1], spread over it."""
  rows = np.unique(np.linspace(0, len(source) - 1, min(len(source), MAX_REAL)).astype(int))
  return scaled(source.get(rows)['image'])


def digit_metrics(reals: Reals, samples: np.ndarray, asked: np.ndarray | None = None) -> dict[str, float]:
  """Samples [N, H, W, 1] in [-1, 1] against real images, through the digit classifier.

  `eval/frechet` to all real images, beside it `eval/frechet_floor`, one half of the real images against the
  other; `eval/sure`, the share of samples with a class of probability above .9, beside it `eval/sure_real`;
  `eval/share_0` ...; `eval/nearer`, see `metrics.nearer_share`, between pixels; where classes were `asked` [N], the
  share of samples that are seen as theirs, `eval/as_asked`.
  """
  samples = quantised(samples)
  found, logits = digits.features(samples)
  values = {
    'eval/frechet': metrics.frechet_distance(reals.features, found),
    'eval/frechet_floor': reals.floor,
    'eval/sure': metrics.sure_share(logits),
    'eval/sure_real': reals.sure,
  }
  values |= {f'eval/share_{k}': float(share) for k, share in enumerate(metrics.class_shares(logits))}
  if asked is not None:
    values['eval/as_asked'] = float((logits.argmax(1) == asked).mean())
  if reals.test is not None:
    values['eval/nearer'] = metrics.nearer_share(samples, reals.train, reals.test)
  return values


def mixture_metrics(spec: Spec, points: np.ndarray) -> dict[str, float]:
  """Points [N, F] against the mixture of `spec`: modes covered, share within 3 std, KL to equal shares."""
  facts: dict[str, Any] = dict(spec.extra)
  modes, good, divergence = metrics.mode_coverage(points, np.asarray(facts['centres']), facts['std'])
  return {'eval/modes': float(modes), 'eval/high_quality': good, 'eval/reverse_kl': divergence}


def quantised(images: np.ndarray) -> np.ndarray:
  """Images in [-1, 1] as an image file would keep them: 256 levels."""
  return scaled(np.clip(np.rint((np.asarray(images, np.float32) + 1) * 127.5), 0, 255).astype(np.uint8))


def scaled(images: np.ndarray) -> np.ndarray:
  """uint8, or float32 in [-1, 1], -> float32 in [-1, 1]."""
  return images.astype(np.float32) / np.float32(127.5) - 1 if images.dtype == np.uint8 else images
