"""GANs and VAEs, measured: games with the same networks on the same data.

python benchmarks/games.py [--games 'VAE;AAE'] [--seeds 0,1,2] [--pictures FOLDER]

scikit-learn's digits at 16 pixels; decoder, encoder and discriminator of images are those of `experiments/vae_digits.py`.
The GAN is `experiments/vae_gan_digits.py` without its encoder: the same loss, R1, rates and steps. Of each: distance to the
data, precision and coverage, how evenly classes are covered, bounds on the likelihood of held-out images, how well these are
rebuilt, and times. Times are CPU seconds of this process, whose programs run on one thread
(XLA_FLAGS=--xla_cpu_multi_thread_eigen=false): what others do on the machine hardly changes them.
Writes benchmarks/results/gan_vae_cpu2.json; with --games or --seeds, those entries alone are made anew.
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

os.environ.setdefault('XLA_FLAGS', '--xla_cpu_multi_thread_eigen=false')

import jax
import numpy as np
from ml_collections import ConfigDict

from ganjax import config as configs
from ganjax import images, parallel
from ganjax.assemble import assemble, payload
from ganjax.data.digits import table
from ganjax.log import versions
from ganjax.measure import Options, measurer
from ganjax.sample import sampler, walking

OUT = Path(__file__).parent / 'results' / 'gan_vae_cpu2.json'
GAMES: dict[str, tuple[str, dict[str, Any]]] = {  # an experiment, and what is changed of it
  'GAN': ('vae_gan_digits', {}), 'VAE': ('vae_digits', {}), 'VAE, beta 8': ('vae_digits', {'play.beta': 8.0}),
  'VAE-GAN': ('vae_gan_digits', {}), 'AAE': ('aae_digits', {}),
}  # fmt: skip
METRICS = ('frechet', 'prdc', 'sure', 'shares', 'nearer')
NUM, REPEATS, SAMPLE_SEED = 1000, 7, 0


def config_of(game: str, seed: int) -> ConfigDict:
  """An experiment's config, or what is left of one without an encoder."""
  experiment, changes = GAMES[game]
  config = configs.load(experiment, {'devices': 1, 'seed': seed} | changes)
  metrics = METRICS + ('rebuilt',) * (game != 'GAN') + ('elbo',) * (config.game == 'vae')
  fields = config.to_dict() | {'evaluate_metrics': metrics, 'evaluate_num': NUM}
  if game == 'GAN':
    fields = {name: value for name, value in fields.items() if name not in ('encoder', 'play')} | {'game': 'gan'}
    fields |= {section: {name: of for name, of in fields[section].items() if name[0] != 'e'}
               for section in ('optimizer', 'schedule')}  # fmt: skip
  return configs.complete(fields)


def run(game: str, seed: int, pictures: Path | None) -> dict[str, float]:
  """Trains and measures one."""
  setup = assemble(config_of(game, seed))
  config = setup.config
  state = parallel.place(setup.initial(), setup.mesh)
  state, metrics = setup.play(0, state, payload(setup, 0))  # compiles
  jax.block_until_ready(metrics)
  began = time.process_time()
  for n in range(1, config.steps):
    state, metrics = setup.play(n, state, payload(setup, n))
    if n % 8 == 0:
      jax.block_until_ready(metrics)
  jax.block_until_ready(state)
  found = {'training_seconds': time.process_time() - began}
  state = parallel.local(state)
  measure = measurer(config, setup.spec, setup.game, Options.of(config))
  assert measure is not None
  values = {name.removeprefix('eval/'): value for name, value in measure(state, SAMPLE_SEED).values.items()}
  seen = np.array([values.pop(f'share_{k}') for k in range(10)])
  true = np.bincount(table()[1]) / len(table()[1])
  found |= {'classes_chi2': float(NUM * (np.square(seen - true) / true).sum()), **values}
  found['sampling_seconds'] = sampling(setup.game, state)
  found |= {'steps': config.steps, 'parameters_g': sum(x.size for x in jax.tree.leaves(state.params['g']))}
  if pictures:
    draw(setup, state, pictures / f'{game.replace(", ", "_").replace(" ", "")}_{seed}.png')
  return found


def sampling(game: Any, state: Any) -> float:
  """CPU seconds for 1,000 images in one batch, latents and all, median."""
  make = jax.jit(
    lambda seed: game.generate(state.params, state.extras, game.prior(jax.random.key(seed), NUM, None))['image']
  )
  np.asarray(make(0))
  taken = []
  for seed in range(REPEATS):
    began = time.process_time()
    np.asarray(make(seed))
    taken.append(time.process_time() - began)
  return statistics.median(taken)


def draw(setup: Any, state: Any, path: Path) -> None:
  """A sheet of samples (and reconstructions), and one of walks between samples, a row each."""
  images.save_png(path, images.sheet(sampler(setup.game)(state)(64, 0), 'image', {}), {})
  walked = sampler(setup.game, walking(None, 10))(state)(8, 0)['image']
  images.save_png(path.with_name(f'{path.stem}_walk.png'), images.grid(walked, columns=10), {})


def main() -> None:
  """Runs them and writes what was found."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--games', default=';'.join(GAMES), help='separated by ;')
  parser.add_argument('--seeds', default='0')
  parser.add_argument('--pictures', type=Path)
  asked = parser.parse_args()
  result: dict[str, Any] = json.loads(OUT.read_text()) if OUT.exists() else {'games': {}}
  for seed in map(int, asked.seeds.split(',')):
    for game in asked.games.split(';'):
      found = {name: round(value, 4) for name, value in run(game, seed, asked.pictures).items()}
      result['games'].setdefault(game, {})[str(seed)] = found
      print(game, seed, found, flush=True)
      about = {'command': 'python benchmarks/games.py', 'data': 'scikit-learn digits at 16 pixels, 1,500 to train on, 297 held out',
               'machine': f'{os.cpu_count()} x {jax.devices()[0].device_kind}, one thread',
               'num': NUM, 'sample_seed': SAMPLE_SEED, 'versions': versions()}  # fmt: skip
      OUT.write_text(json.dumps(result | about, indent=1) + '\n')


if __name__ == '__main__':
  main()
