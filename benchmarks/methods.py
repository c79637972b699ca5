"""What each method costs, and what it was seen to do: the same small training with and without it.

python benchmarks/methods.py [KIND/NAME ...]    (as in docs/methods: Terms/r1; all of them without a name)

Three seeds in one program. A step's time is the median of 15 calls, taking turns with the plain training's, and given as
a multiple of it. Writes benchmarks/results/methods.json, which the pages in docs/methods quote; with names, those
entries alone are made anew.
"""

import argparse
import json
import os
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import jax

from ganjax import catalogue, parallel, population
from ganjax import config as configs
from ganjax.assemble import Setup, assemble, payload
from ganjax.measure import SEED, Options, measurer

OUT = Path(__file__).parent / 'results' / 'methods.json'
SEEDS, REPEATS = 3, 15
ADAM = {player: {'name': 'adam', 'learning_rate': 1e-3, 'b1': 0.5} for player in 'gd'}
CONV = {'name': 'dcgan', 'width': 16, 'smallest': 2, 'norm': 'none', 'initializer': 'he'}
BASES: dict[str, dict[str, Any]] = {
  'ring': {
    'data': {'name': 'mixture', 'layout': 'ring', 'modes': 8, 'std': 0.02}, 'latent_dim': 2, 'batch_size': 128,
    'generator': {'name': 'mlp'}, 'discriminator': {'name': 'mlp'}, 'steps': 3000, 'steps_per_call': 50,
    'optimizer': ADAM, 'ema': {'main': {'halflife_kimg': 10.0}}, 'evaluate_num': 5000,
  },
  'digits': {
    'data': {'name': 'digits'}, 'latent_dim': 16, 'batch_size': 32, 'generator': CONV, 'discriminator': CONV,
    'steps': 800, 'steps_per_call': 1, 'optimizer': ADAM, 'ema': {'main': {'halflife_kimg': 10.0}},
  },
}  # fmt: skip
BASES['labelled'] = BASES['digits'] | {'conditioning': {'name': 'projection'}}
ABOUT = {
  'ring': 'An MLP GAN (non-saturating loss, 3,000 steps of 128) on a ring of 8 Gaussians:',
  'digits': 'A small DCGAN (non-saturating loss, 800 steps of 32) on 8 x 8 handwritten digits:',
  'labelled': 'A small DCGAN (non-saturating loss, 800 steps of 32) on labelled 8 x 8 digits, beside `projection`:',
}
TOLD = {'ring': ('modes', 'high_quality'), 'digits': ('frechet', 'sure'),
        'labelled': ('frechet', 'as_asked')}  # fmt: skip
PLACE = {'Losses': 'loss', 'Conditioning': 'conditioning', 'Augmentations': 'augment'}
OF_IMAGES = ('ada', 'apa', 'consistency_fake', 'consistency_real', 'diffaugment', 'rotation', 'infogan', 'energy')
AUTOENCODER: dict[str, Any] = {'discriminator': {'name': 'autoencoder', 'width': 8}}
# What a method is nothing without, or shows more of.
WITH: dict[str, dict[str, Any]] = {
  'Games/unrolled': {'optimizer': {player: ADAM[player] | {'eps_root': 1e-12} for player in 'gd'}},
  'Losses/energy': AUTOENCODER, 'Losses/wasserstein': {'terms': {'d': {'gradient_penalty': {}}}},
  'Terms/lecam': {'terms': {'d': {'lecam': {'start': 500}}}},
  'Stabilisers/instance_noise': {'schedule': {'instance_noise_sigma': {'over_kimg': 256.0}}},
  'Stabilisers/top_k': {'schedule': {'top_k_share': {'over_kimg': 256.0, 'end': 0.5}}, 'stabilizers': {'top_k': {'share': 1.0}}},
}  # fmt: skip


def changed(kind: str, name: str) -> tuple[str, dict[str, Any]]:
  """The base that a method is tried on, and the fields that bring it in."""
  base = 'labelled' if kind == 'Conditioning' else 'digits' if name in OF_IMAGES else 'ring'
  if kind == 'Games':
    fields: dict[str, Any] = {'game': name}
  elif kind == 'Terms':
    player = 'g' if 'for G' in catalogue.first_line(getattr(catalogue.functions('terms')[name], '__doc__', '')) else 'd'
    fields = {'terms': {player: {name: {}}}}
  elif kind == 'Stabilisers':
    fields = {'stabilizers': {name: {}}}
  elif kind == 'Balance':
    fields = {'balance': {'d': {'name': name}}}
  else:
    fields = {PLACE[kind]: {'name': name}}
  return base, fields | WITH.get(f'{kind}/{name}', {})


class Training:
  """A population of SEEDS members: trained, measured, and ready to be timed."""

  def __init__(self, fields: dict[str, Any]) -> None:
    config = configs.complete(fields | {'devices': 1, 'population': {'seeds': tuple(range(SEEDS))}})
    self.setup: Setup = assemble(config)
    self.state, self.n = parallel.place(self.setup.initial(), self.setup.mesh), 0

  def call(self) -> float:
    """Seconds that the next call takes."""
    start = time.perf_counter()
    self.state, metrics = self.setup.play(self.n, self.state, payload(self.setup, self.n))
    jax.block_until_ready(metrics)
    self.n += self.setup.config.steps_per_call
    return time.perf_counter() - start

  def train(self) -> dict[str, list[float]]:
    """The outcome of each member, by name."""
    while self.n < self.setup.config.steps:
      self.call()
    setup = self.setup
    measure = measurer(setup.config, setup.spec, setup.game, Options.of(setup.config))
    assert measure is not None
    found = [measure(view, SEED).values for _, view in population.views(parallel.local(self.state))]
    return {name.removeprefix('eval/'): [member[name] for member in found] for name in found[0]}


def told(base: str, outcome: dict[str, list[float]]) -> dict[str, list[float]]:
  """The figures that a page quotes."""
  return {name: [round(value, 4) for value in outcome[name]] for name in TOLD[base]}


def main() -> None:
  """Tries every method, or those named."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('method', nargs='*')
  chosen = parser.parse_args().method
  every = {
    f'{kind.title}/{name}': changed(kind.title, name)
    for kind in catalogue.kinds()
    if kind.title in ('Games', 'Losses', 'Terms', 'Conditioning', 'Stabilisers', 'Augmentations', 'Balance')
    for name in kind.entries
    if name not in ('none', 'gan', 'non_saturating', 'projection', 'began')  # the bases; and one that takes minutes
  }
  result = json.loads(OUT.read_text()) if chosen else {'methods': {}, 'plain': {}}
  plain: dict[str, Training] = {}
  for key in chosen or every:
    base, fields = every[key]
    if base not in plain:
      plain[base] = Training(BASES[base])
      result['plain'][base] = {'outcome': told(base, plain[base].train())}
      print(base, result['plain'][base], flush=True)
    training = Training(BASES[base] | fields)
    outcome = training.train()
    pairs = [(plain[base].call(), training.call()) for _ in range(REPEATS)]
    ratio = statistics.median(ours for _, ours in pairs) / statistics.median(theirs for theirs, _ in pairs)
    result['methods'][key] = {'base': base, 'config': fields, 'time': round(ratio, 2), 'outcome': told(base, outcome)}
    print(key, result['methods'][key], flush=True)
    about = {'bases': ABOUT, 'seeds': SEEDS, 'machine': f'{os.cpu_count()} x {jax.devices()[0].device_kind}, jax {jax.__version__}, '
             f'Python {platform.python_version()}', 'command': 'python benchmarks/methods.py'}  # fmt: skip
    OUT.write_text(json.dumps(about | result, indent=1, sort_keys=True) + '\n')


if __name__ == '__main__':
  main()
