"""The cases of step_time.py on volumes: whole training steps of 3D-GAN, the peer a plain PyTorch script."""

import jax
import peers
import torch
from cases import ADAM, Calls, Case, caller
from torch import nn

from ganjax import config as configs
from ganjax import parallel
from ganjax.data.spec import Spec
from ganjax.state import create

LATENT = 200


def generator(resolution: int, width: int) -> nn.Module:
  """3D-GAN's, from maps of 4 voxels: transposed convolutions with batch norm and ReLU."""
  c = width * resolution // 8
  layers = [nn.Linear(LATENT, 64 * c, bias=False), nn.Unflatten(1, (c, 4, 4, 4))]
  while c > width:
    layers += [nn.BatchNorm3d(c), nn.ReLU(), nn.ConvTranspose3d(c, c // 2, 4, 2, 1, bias=False)]
    c //= 2
  return nn.Sequential(*layers, nn.BatchNorm3d(c), nn.ReLU(), nn.ConvTranspose3d(c, 1, 4, 2, 1), nn.Tanh())


def discriminator(resolution: int, width: int) -> nn.Module:
  """Its mirror with leaky ReLU; no norm after the first convolution."""
  layers, c, side = [nn.Conv3d(1, width, 4, 2, 1), nn.LeakyReLU(0.2)], width, resolution // 2
  while side > 4:
    layers += [nn.Conv3d(c, 2 * c, 4, 2, 1, bias=False), nn.BatchNorm3d(2 * c), nn.LeakyReLU(0.2)]
    c, side = 2 * c, side // 2
  return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * c, 1), nn.Flatten(0))


def volume_case(resolution: int, width: int, batch: int) -> tuple[Calls, Calls]:
  """A D turn and a G turn on volumes of noise."""
  nets = {role: {'name': 'voxgan', 'width': width} for role in ('generator', 'discriminator')}
  config = configs.complete({'optimizer': ADAM, 'batch_size': batch, 'latent_dim': LATENT, **nets})
  game = configs.game(config, Spec('voxel', (resolution,) * 3 + (1,)))
  rules, mesh = configs.rules(config, game), parallel.make_mesh(1)
  voxel = jax.random.bernoulli(jax.random.key(1), 0.2, (batch, *[resolution] * 3, 1)) * 2.0 - 1
  state = create(game, rules, jax.random.key(0), {'voxel': voxel}, configs.hyper(config))
  plays = parallel.plays(game.turns, 0)
  payload = parallel.place({'voxel': jax.numpy.broadcast_to(voxel, (plays, *voxel.shape))}, mesh)
  g, d = generator(resolution, width), discriminator(resolution, width)
  for player, net in {'g': g, 'd': d}.items():
    counts = sum(x.size for x in jax.tree.leaves(state.params[player])), sum(p.numel() for p in net.parameters())
    if counts[0] != counts[1]:
      raise ValueError(f'{player}: not the same network: {counts[0]} parameters, the peer has {counts[1]}')
  real = torch.bernoulli(torch.full((batch, 1, *[resolution] * 3), 0.2)).mul(2).sub(1)
  real = real.contiguous(memory_format=torch.channels_last_3d)
  peer = peers.stepper(g, d, 'non_saturating', lambda: real, lambda: torch.randn(batch, LATENT))
  return (caller(parallel.compile(game, rules, mesh), state, mesh, payload), 1), (peer, 1)


CASES: dict[str, Case] = {
  'gan3d16': lambda: volume_case(16, 32, 64),
  'gan3d32': lambda: volume_case(32, 64, 16),
}
