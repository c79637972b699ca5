"""What metrics cost beside what they measure: python benchmarks/evaluation.py [--num 5000] [--timed 200] [--save FILE]

FID, inception score, KID and PRDC of `num` samples from one pass, beside generating these samples (DCGAN, 32 pixels)
and extracting their Inception features (weights drawn at random: their values cost nothing). Generation and extraction
are timed on `timed` samples after the first batch, as their time is proportional to their number; the metrics on
features of the full number.
"""

import argparse
import json
import platform
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

import jax
import numpy as np

from ganjax import config as configs
from ganjax import measure, parallel
from ganjax.data.spec import Spec
from ganjax.evals import measures
from ganjax.evals.features import inception
from ganjax.evals.stream import FINITE, Seen, look
from ganjax.evals.view import View

METRICS = ('frechet', 'is', 'kid', 'prdc')


def weights(file: Path) -> None:
  """Weights drawn at random, by the published names."""
  random, shapes = np.random.default_rng(0), inception.places()[1]
  tensors = {'fc.weight': random.normal(0, 0.02, (1008, 2048)), 'fc.bias': np.zeros(1008)}
  for name, shape in shapes.items():
    tensors[f'{name}.conv.weight'] = random.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)
    tensors |= {f'{name}.bn.{leaf}': np.full(shape[:1], leaf in ('weight', 'running_var'))
                for leaf in ('weight', 'bias', 'running_mean', 'running_var')}  # fmt: skip
  np.savez(file, allow_pickle=False, **{name: x.astype(np.float32) for name, x in tensors.items()})


def generating(num: int, file: Path) -> float:
  """Seconds for so many samples and their features, after a batch that compiles."""
  config = configs.complete(
    {'data': {'name': 'digits'}, 'generator': {'name': 'dcgan'}, 'discriminator': {'name': 'dcgan'}}
  )
  spec = Spec('image', (32, 32, 3), count=num, name='digits')
  game = configs.game(config, spec)
  options = measure.Options(metrics=('frechet',), features='inception', weights=str(file), split='train', num=num)
  measurer = measure.Measurer(config, spec, game, options, parallel.own_mesh())
  params, extras = game.init(jax.random.key(0), spec.example())
  held = parallel.place((params, extras, measurer.extractor.params), measurer.mesh)
  batches = list(measurer.priors(0))
  jax.block_until_ready(measurer.program(held, batches[0]))
  began = time.perf_counter()
  for batch in batches:
    jax.block_until_ready(measurer.program(held, batch))
  return time.perf_counter() - began


def measuring(num: int) -> dict[str, float]:
  """Seconds for streaming the moments of so many rows and for each metric."""
  chosen = measures.named(METRICS)
  needs, random = measures.needs(chosen, False), np.random.default_rng(0)

  def rows() -> dict[str, np.ndarray]:
    features = np.maximum(random.normal(size=(num, 2048)), 0).astype(np.float32)
    return {
      'features': features,
      'logits': random.normal(size=(num, 1008)).astype(np.float32),
      FINITE: np.ones(num, bool),
    }

  def seen(found: dict[str, np.ndarray], half: np.ndarray | None) -> Seen:
    return look(({'row': np.arange(i, min(i + 64, num))} for i in range(0, num, 64)),
                lambda batch: {name: x[batch['row']] for name, x in found.items()}, needs, half)  # fmt: skip

  real, fake = seen(rows(), np.arange(num) % 2 == 1), rows()
  began = time.perf_counter()
  view = View(real, seen(fake, None), num, {})
  times = {'streaming': time.perf_counter() - began}
  for name, one in chosen.items():
    began = time.perf_counter()
    measures.compute(view, {name: one})
    times[name] = time.perf_counter() - began
  return times


def main() -> None:
  """Prints the table."""
  parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
  parser.add_argument('--num', type=int, default=5000)
  parser.add_argument('--timed', type=int, default=192)
  parser.add_argument('--save', type=Path)
  options = parser.parse_args()
  with tempfile.TemporaryDirectory() as folder:
    weights(Path(folder) / 'inception.npz')
    each = generating(options.timed, Path(folder) / 'inception.npz') / options.timed
  costs = measuring(options.num)
  whole = each * options.num
  share = sum(costs.values()) / (whole + sum(costs.values()))
  print(f'generating and extracting: {1 / each:.1f} images/s, {whole:.0f} s for {options.num}')
  print('metrics: ' + ', '.join(f'{name} {seconds:.2f} s' for name, seconds in costs.items()))
  print(f'share of the whole spent on metrics: {share:.1%}')
  if options.save:
    found = {
      'device': f'{jax.device_count()} x {jax.devices()[0].device_kind or platform.machine()}',
      'command': ' '.join(['python', *sys.argv]), 'versions': {name: metadata.version(name) for name in ('jax', 'numpy', 'scipy')},
      'num': options.num, 'images_per_second': round(1 / each, 2), 'seconds': {k: round(v, 3) for k, v in costs.items()},
      'share': round(share, 4),
    }  # fmt: skip
    options.save.write_text(json.dumps(found, indent=2) + '\n')


if __name__ == '__main__':
  main()
