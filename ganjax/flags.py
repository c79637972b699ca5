"""The flags of the `ganjax` command."""

import argparse
from functools import partial

from ganjax import __version__

DEFAULT = 'dcgan_digits'

OVERRIDES = """\
Any field of the config can be set with --config.FIELD=VALUE, for example
  --config.steps=20000 --config.loss.name=hinge --config.optimizer.d.learning_rate=4e-4
A field that isn't in the experiment's file has a default; run.json shows all fields of a run."""
EVALUATE = """\
  ganjax evaluate --workdir runs/dcgan_digits --checkpoints all --seeds 3
  ganjax evaluate --workdir runs/cifar --metrics fid,kid,is,prdc --num 50000
  ganjax evaluate --fake samples --real photos --metrics fid,prdc
  ganjax evaluate --fake enlarged --real photos --metrics psnr_y,ssim_y --border 2"""
IMPORT = """\
A generator, and its discriminator if there is one: each has a --kind and a --file, for example
  ganjax import --kind stylegan2.G --file ffhq.pth --key g_ema --kind stylegan2.D --file ffhq.pth --key d --workdir runs/ffhq
  ganjax import --kind r3gan.G --file g.safetensors --workdir runs/r3gan --config.data.name=cifar10
--config.FIELD=VALUE sets fields of the config as in training: to evaluate, the data."""


def parser() -> argparse.ArgumentParser:
  """All sub-commands and flags."""
  top = argparse.ArgumentParser(
    'ganjax', description='Train, sample and evaluate generative adversarial networks.', allow_abbrev=False,
    epilog='Start with `ganjax train`: it trains on handwritten digits that need no download, in about two minutes.',
  )  # fmt: skip
  top.add_argument('--version', action='version', version=f'ganjax {__version__}')
  commands = top.add_subparsers(dest='command', required=True, metavar='COMMAND')

  def command(name: str, summary: str, epilog: str = '') -> argparse.ArgumentParser:
    return commands.add_parser(
      name, help=summary, description=summary, epilog=epilog, allow_abbrev=False,
      formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip

  train = command('train', 'Train an experiment, or continue it where it stopped.', OVERRIDES)
  plan = command('plan', 'Say what a training will take, measured on a few real steps, without training.', OVERRIDES)
  for sub in (train, plan):
    sub.add_argument('--config', default=DEFAULT, metavar='FILE', help='experiment: a file experiments/X.py or a name from '
                     '`ganjax list`, with :smoke for a size that runs in seconds (default: %(default)s)')  # fmt: skip
  train.add_argument('--workdir', metavar='DIR', help='where all of it is written (default: runs/<experiment>)')
  train.add_argument('--adopt', action='store_true', help='continue from a checkpoint of another shape: parameters that no '
                     'longer fit start anew')  # fmt: skip
  train.add_argument(
    '--profile', action='store_true', help='write a trace of a few steps that TensorBoard (xprof) opens'
  )
  train.add_argument('--coordinator', metavar='HOST:PORT', help='several processes: where process 0 listens')
  train.add_argument('--processes', type=int, metavar='N', help='several processes: how many')
  train.add_argument('--process', type=int, metavar='I', help='several processes: which one this is, from 0')

  sample = command('sample', 'Draw samples from a checkpoint; the data set is not needed.')
  sample.add_argument('--num', type=int, metavar='N', help='how many (default: 64; 8 with --interpolate or --mix)')
  sample.add_argument('--seed', type=int, default=0, metavar='S', help='of the latents (default: %(default)s)')
  sample.add_argument('--out', metavar='FILE', help='.png: a grid; .npz: the arrays; with --interpolate .gif or .mp4 '
                      '(default: samples.png, samples.gif)')  # fmt: skip
  sample.add_argument('--interpolate', type=int, metavar='N', help='a video that goes from each sample to the next in N '
                      'frames')  # fmt: skip
  sample.add_argument('--truncation', type=float, metavar='PSI', help='of a style-based generator: pulls styles to their '
                      'mean, 1 not at all, 0 wholly; of BigGAN: cuts off the latents at +-PSI')  # fmt: skip
  sample.add_argument('--mix', type=layer_numbers, metavar='LAYERS', help='of a style-based generator: a table of samples by '
                      "samples, with the column's styles in these layers, such as 0-3 or 4,5")  # fmt: skip
  sample.add_argument(
    '--noise', choices=('const', 'none'), help='of a style-based generator: in its layers (default: const)'
  )
  sample.add_argument('--method', default='plain', choices=('plain', 'rejection', 'langevin', 'encoded'), help='with D\'s '
                      'help: keep what D takes for data, or walk through the latents towards it; or, of a game that encodes, the '
                      'latents of examples (default: %(default)s)')  # fmt: skip
  sample.add_argument('--percentile', type=float, metavar='P', help='of rejection: higher is choosier (default: 80)')
  sample.add_argument('--steps', type=int, metavar='N', help='of langevin (default: 1000)')
  sample.add_argument('--step-size', type=float, metavar='E', help='of langevin (default: 0.01)')
  sample.add_argument('--input', metavar='PATH', help='of a game that translates: a picture or a folder of them, of any size; '
                      '--out is a folder')  # fmt: skip
  sample.add_argument('--direction', default='a_to_b', metavar='WAY', help='with --input: a_to_b or b_to_a (default: '
                      '%(default)s)')  # fmt: skip
  sample.add_argument('--tile', type=int, metavar='N', help='with --input: translate tiles of N pixels a side, 0 whole pictures '
                      '(default: 256 of large pictures in super-resolution, else whole)')  # fmt: skip
  sample.add_argument(
    '--overlap', type=int, metavar='N', help='pixels around a tile that are looked at, too (default: 32)'
  )
  evaluate = command('evaluate', 'Measure checkpoints against their data set, or any two sets of images.', EVALUATE)
  evaluate.add_argument('--workdir', metavar='DIR', help='of the training')
  evaluate.add_argument('--fake', metavar='PATH', help='instead of --workdir: a folder of pictures, .npz or .npy')
  evaluate.add_argument('--real', metavar='PATH', help='what --fake is compared with')
  evaluate.add_argument('--out', metavar='FILE', help='with --fake: a .json file that gets the numbers')
  evaluate.add_argument('--metrics', metavar='A,B', type=lambda text: tuple(text.split(',')), help='which: fid, kid, is, '
                        'prdc, ... (default: what suits the data; all are in `ganjax list`)')  # fmt: skip
  evaluate.add_argument('--num', type=int, metavar='N', help="samples (default: the config's evaluate_num)")
  evaluate.add_argument('--checkpoints', '--checkpoint', dest='checkpoints', default='last', metavar='WHICH', help='a step, '
                        'steps (1000,2000), a range (first:last:every), all, best or last (default: last)')  # fmt: skip
  evaluate.add_argument('--seed', type=int, default=0, metavar='S', help='of the latents (default: %(default)s)')
  evaluate.add_argument(
    '--seeds', type=int, default=1, metavar='K', help='so many seeds from --seed on: means with intervals'
  )
  evaluate.add_argument(
    '--bootstrap', type=int, metavar='B', help='resamples for intervals of one seed (default: none)'
  )
  evaluate.add_argument('--features', metavar='NAME', help='feature network (default: what suits the data)')
  evaluate.add_argument('--weights', metavar='FILE', help='its weights, where the published ones are not to be fetched')
  evaluate.add_argument('--resize', metavar='HOW', help="how images are brought to the network's size")
  evaluate.add_argument('--lpips', metavar='FILE', help="LPIPS's linear layers for VGG16, for ppl, ppl_w and lpips")
  evaluate.add_argument(
    '--lpips-weights', metavar='FILE', help="VGG16's weights, where torchvision's are not to be fetched"
  )
  evaluate.add_argument('--border', type=int, metavar='N', help='with --fake, of psnr_y and ssim_y: pixels at each edge that are '
                        'left out (default: 4; usually the scale)')  # fmt: skip
  evaluate.add_argument('--split', metavar='SPLIT', help='real data: train, test or all')
  evaluate.add_argument('--truncation', type=float, metavar='PSI', help='as of `ganjax sample`')
  review = command('review', 'Make a page for people: blind trials, sheets of checkpoints, nearest training images; or sum '
                   'up their answers.')  # fmt: skip
  review.add_argument('--workdir', metavar='DIR', help='of the training')
  review.add_argument('--checkpoints', default='', metavar='WHICH', help='as of `ganjax evaluate`; the last is under review '
                      '(default: up to four, the newest last)')  # fmt: skip
  review.add_argument(
    '--num', type=int, default=50, metavar='N', help='questions, half of them real (default: %(default)s)'
  )
  review.add_argument(
    '--seed', type=int, default=0, metavar='S', help='of the latents and the order (default: %(default)s)'
  )
  review.add_argument('--features', default='', metavar='NAME', help='network by which neighbours are near, or pixels')
  review.add_argument('--weights', metavar='FILE', help='its weights')
  review.add_argument('--out', default='review.html', metavar='FILE', help='(default: %(default)s)')
  review.add_argument(
    '--summarise', nargs='+', metavar='ANSWERS', help='instead: say what saved answers, .json, amount to'
  )
  compare = command('compare', 'Set runs side by side: configs that differ, metrics, protocols, time to a level.')
  compare.add_argument('runs', nargs='+', metavar='RUN', help='workdirs of trainings')
  compare.add_argument('--out', metavar='FILE', help='.html, with plots, or .csv (default: a table here)')
  compare.add_argument('--level', action='append', default=[], metavar='NAME=VALUE', help='also: images and time to reach this '
                       'value of a metric, such as eval/frechet=2')  # fmt: skip
  card = command('card', 'Write the model card of a run: data, config, protocol, metrics, intended use.')
  card.add_argument('--workdir', required=True, metavar='DIR', help='of the training')
  card.add_argument('--checkpoint', type=int, metavar='STEP', help='which (default: the newest)')
  card.add_argument('--out', metavar='FILE', help='(default: card.md in DIR)')
  export = command('export', "Write a checkpoint's parameters to a .safetensors file that `ganjax import` reads.")
  export.add_argument('--out', required=True, metavar='FILE', help='.safetensors')
  for sub in (sample, export):
    sub.add_argument('--workdir', required=True, metavar='DIR', help='of the training')
    sub.add_argument('--checkpoint', type=int, metavar='STEP', help='which checkpoint (default: the newest intact one)')
  for sub in (sample, evaluate, review, export):
    sub.add_argument(
      '--member', type=int, metavar='M', help='of a population: whose, from 0 (evaluate: by default all)'
    )
    sub.add_argument('--ema', metavar='NAME', help='which average of the parameters: a name, a file that `ganjax ema` '
                     'wrote, or none (default: the first)')  # fmt: skip
  for sub in (sample, evaluate):
    sub.add_argument('--standing-statistics', type=int, metavar='N', help="take G's batch statistics anew from so many "
                     'batches, for these very parameters (default: as the config says)')  # fmt: skip
  ema = command('ema', "Make an average of any length from the stored ones of a training's ema_snapshot_every.")
  ema.add_argument('--workdir', required=True, metavar='DIR', help='of the training')
  ema.add_argument('--sigma-rel', type=float, metavar='R', help='width, as a share of the training so far: 0.05, 0.15')
  ema.add_argument('--kimg', type=float, metavar='K', help='or the width in thousands of images')
  ema.add_argument(
    '--step', type=int, metavar='STEP', help='as of which step; best one stored (default: the last stored)'
  )
  ema.add_argument('--out', metavar='FILE', help='.npz file for `ganjax sample --ema FILE` (default: in DIR/ema)')
  bring = command('import', 'Make a workdir with published weights, to sample, evaluate and train on.', IMPORT)
  add_networks(bring)
  command('list', 'List experiments, games, networks, losses, terms, optimisers and data.')
  return top


def add_networks(sub: argparse.ArgumentParser) -> None:
  """The flags of `ganjax import`; those that describe networks keep their order."""
  for flag, metavar, summary in (
    ('kind', 'KIND', 'what the weights are: stylegan2.G, stylegan2.D, mimicry/sngan32.G, ...; or ganjax'),
    ('file', 'FILE', '.npz, .safetensors, or .pth, .pt, .pkl by torch.save, which are read without running anything'),
    ('key', 'KEY', 'which of several state dicts in the file, such as g_ema'),
    ('set', 'NAME=VALUE', "a keyword of the official constructor that the weights' shapes don't tell"),
  ):
    named = partial(pair, flag)
    sub.add_argument(f'--{flag}', dest='networks', action='append', metavar=metavar, type=named, help=summary)
  sub.add_argument('--workdir', required=True, metavar='DIR', help='a new one')


def layer_numbers(text: str) -> list[int]:
  """Numbers and ranges such as '0-3,6'."""
  numbers: list[int] = []
  try:
    for part in text.split(','):
      first, _, last = part.partition('-')
      numbers += range(int(first), int(last or first) + 1)
  except ValueError:
    raise argparse.ArgumentTypeError(f'given {text!r}, valid: numbers of layers such as 0-3 or 4,5') from None
  return numbers


def pair(flag: str, value: str) -> tuple[str, str]:
  """A flag with its value."""
  return flag, value
