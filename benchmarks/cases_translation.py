"""The cases of step_time.py on games between images: whole training steps of CycleGAN, pix2pix and ESRGAN's first phase.

The peer has its channels last, which is quicker with all of them.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import peers_translation as peers
import torch
from cases import Calls, Case, caller

from ganjax import config as configs
from ganjax import parallel
from ganjax.data.spec import Spec
from ganjax.state import create

Built = tuple[dict[str, torch.nn.Module], Callable[[torch.Tensor, torch.Tensor], peers.Step]]
PAIR = ('g_ab', 'g_ba'), ('d_a', 'd_b')


def step_case(sections: Mapping[str, Any], peer: Callable[[], Built], source: int, image: int, batch: int) -> tuple[Calls, Calls]:  # fmt: skip
  """One step on images of noise with so many pixels a side.

  Raises:
    ValueError: networks with different numbers of parameters.
  """
  nets, stepper = peer()
  spec = Spec('image', (image, image, 3), source=(source, source, 3), extra={'counterparts': True})
  adam = {'name': 'adam', 'learning_rate': peers.RATE, 'b1': peers.BETAS[0]}
  config = configs.complete(
    dict(sections) | {'optimizer': dict.fromkeys(nets, adam), 'batch_size': batch, 'data': {'name': 'digit_pairs'}}
  )
  game = configs.game(config, spec)
  rules, mesh = configs.rules(config, game), parallel.make_mesh(1)
  given = [
    torch.rand(batch, 3, n, n).mul(2).sub(1).contiguous(memory_format=torch.channels_last) for n in (source, image)
  ]
  held = [jax.numpy.asarray(x.permute(0, 2, 3, 1).numpy()) for x in given]
  data = dict(zip(('source', 'image'), held, strict=True))
  state = create(game, rules, jax.random.key(0), data, configs.hyper(config))
  for name, net in nets.items():
    net.to(memory_format=torch.channels_last)
    counts = sum(x.size for x in jax.tree.leaves(state.params[name])), sum(p.numel() for p in net.parameters())
    if counts[0] != counts[1]:
      raise ValueError(f'{name}: not the same network: {counts[0]} parameters, the peer has {counts[1]}')
  plays = parallel.plays(game.turns, 0)
  payload = {name: jax.numpy.broadcast_to(x, (plays, *x.shape)) for name, x in data.items()}
  program = parallel.compile(game, rules, mesh)
  return (caller(program, state, mesh, parallel.place(payload, mesh)), 1), (stepper(*given), 1)


def cyclegan(width: int, blocks: int) -> Built:
  """Both translators and both PatchGANs."""
  generators = [peers.residual(width, blocks) for _ in PAIR[0]]
  judges = [peers.patchgan(3, width, torch.nn.InstanceNorm2d, True) for _ in PAIR[1]]
  nets = dict(zip(PAIR[0] + PAIR[1], generators + judges, strict=True))
  return nets, partial(peers.cyclegan_stepper, generators, judges)


def pix2pix(width: int, downs: int) -> Built:
  """U-Net and PatchGAN with batch norm."""
  g, d = peers.UNet(width, downs), peers.patchgan(6, width, torch.nn.BatchNorm2d, False)
  return {'g': g, 'd': d}, partial(peers.pix2pix_stepper, g, d)


def of_cyclegan(width: int, blocks: int) -> dict[str, Any]:
  """Our config."""
  return {
    'game': 'cyclegan', 'loss': {'name': 'lsgan'}, 'play': {'gan_weight': 2.0, 'd_weight': 1.0},
    'generator': {'name': 'resnet_translator', 'width': width, 'blocks': blocks},
    'discriminator': {'name': 'patchgan', 'width': width, 'norm': 'instance'},
  }  # fmt: skip


def of_pix2pix(width: int, downs: int) -> dict[str, Any]:
  """Our config."""
  return {
    'game': 'pix2pix', 'loss': {'name': 'non_saturating'},
    'generator': {'name': 'unet', 'width': width, 'downs': downs, 'dropout': 0.0},
    'discriminator': {'name': 'patchgan', 'width': width},
  }  # fmt: skip


def rrdb(width: int, blocks: int, growth: int) -> Built:
  """RRDBNet alone: the phase on pixels has no discriminator."""
  g = peers.RRDBNet(width, blocks, growth)
  return {'g': g}, partial(peers.pixel_stepper, g)


def of_rrdb(width: int, blocks: int, growth: int) -> dict[str, Any]:
  """Our config."""
  return {
    'game': 'super_resolution', 'play': {'pixel_weight': 1.0, 'perceptual_weight': 0.0, 'gan_weight': 0.0},
    'generator': {'name': 'rrdb', 'width': width, 'blocks': blocks, 'growth': growth},
    'discriminator': {'name': 'vgg_style', 'width': 4},
  }  # fmt: skip


CASES: dict[str, Case] = {
  'cyclegan64': lambda: step_case(of_cyclegan(64, 6), partial(cyclegan, 64, 6), 64, 64, 1),
  'pix2pix64': lambda: step_case(of_pix2pix(64, 6), partial(pix2pix, 64, 6), 64, 64, 4),
  'pix2pix256': lambda: step_case(of_pix2pix(64, 8), partial(pix2pix, 64, 8), 256, 256, 1),
  'rrdb32': lambda: step_case(of_rrdb(64, 2, 32), partial(rrdb, 64, 2, 32), 32, 128, 2),
}
