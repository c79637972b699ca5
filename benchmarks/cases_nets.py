"""The cases of step_time.py on the larger networks: a forward of either player, and a whole training step.

A forward's case gives ours the peer's weights, through `ganjax.interop`, and compares what comes out before it measures.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
import peers
import peers_biggan
import peers_r3gan
import peers_stylegan2
import torch
from cases import ADAM, Calls, Case, caller

from ganjax import config as configs
from ganjax import parallel
from ganjax.data.spec import Spec
from ganjax.interop import from_torch
from ganjax.state import create

LATENT, CLASSES = 128, 10
TOLERANCE = 1e-4  # of the largest entry
R1_EVERY, PATH_EVERY = 16, 4


class Net(NamedTuple):
  """A pair of players, in both frameworks, and how they are trained."""

  kinds: tuple[str, str]  # of G and D, for ganjax.interop
  peer: Callable[[], tuple[torch.nn.Module, torch.nn.Module]]
  sections: Mapping[str, Any]  # of our config
  loss: str
  penalty: peers.Penalty
  batch: int
  classes: int = 0


def sngan(width: int, batch: int) -> Net:
  """SNGAN."""
  same = {'name': 'resnet', 'width': width}
  return Net(
    ('mimicry/sngan32.G', 'mimicry/sngan32.D'),
    lambda: (peers.SNGANGenerator(width), peers.SNGANDiscriminator(width)),
    {'generator': same, 'discriminator': same}, 'hinge', peers.none, batch,
  )  # fmt: skip


def biggan(width: int, batch: int) -> Net:
  """BigGAN with the shared embedding and shares of the latent for each block."""
  g, d = peers_biggan.Generator, peers_biggan.Discriminator
  own = {'generator': {'name': 'biggan', 'width': width, 'shared_dim': 128},
         'discriminator': {'name': 'biggan', 'width': width}, 'conditioning': {'name': 'projection'}}  # fmt: skip
  return Net(
    ('biggan.G', 'biggan.D'), lambda: (g(width, CLASSES, LATENT, 128), d(width, CLASSES)), own, 'hinge', peers.none,
    batch, CLASSES,
  )  # fmt: skip


def stylegan2(base: int, most: int, batch: int, terms: Mapping[str, Any] | None = None) -> Net:
  """StyleGAN 2 with min(base / side, most) channels."""
  widths = [min(base // side, most) for side in (4, 8, 16, 32)]
  same = {'name': 'stylegan2', 'channel_base': base, 'channel_max': most}
  own = {'generator': same | {'w_dim': LATENT}, 'discriminator': same, 'terms': terms or {}}
  g, d = peers_stylegan2.Generator, peers_stylegan2.Discriminator
  return Net(
    ('stylegan2.G', 'stylegan2.D'), lambda: (g(widths, LATENT, LATENT, 8), d(widths)), own, 'non_saturating',
    peers.none, batch,
  )  # fmt: skip


def r3gan(width: int, groups: int, blocks: int, batch: int) -> Net:
  """R3GAN with R1 and R2."""
  same = {'name': 'r3gan', 'widths': (width,), 'cardinalities': (groups,), 'blocks': (blocks,)}
  own = {'generator': same, 'discriminator': same, 'terms': {'d': {'r1': {}, 'r2': {}}}}
  g, d = peers_r3gan.Generator, peers_r3gan.Discriminator
  return Net(
    ('r3gan.G', 'r3gan.D'), lambda: (g(width, groups, blocks, LATENT), d(width, groups, blocks)), own, 'relativistic',
    peers.r1_r2, batch,
  )  # fmt: skip


def forward_case(net: Net, player: str) -> tuple[Calls, Calls]:
  """A forward in evaluation mode.

  Raises:
    ValueError: networks that differ.
  """
  kind, peer = dict(zip('gd', zip(net.kinds, net.peer(), strict=True), strict=True))[player]
  peer = peer.to(memory_format=torch.channels_last).eval()
  module, variables = from_torch(kind, {name: x.numpy() for name, x in peer.state_dict().items()})
  x = torch.randn(net.batch, LATENT) if player == 'g' else images(net.batch)
  labels = (torch.randint(net.classes, (net.batch,)),) if net.classes else ()
  inputs = [jax.numpy.asarray(nhwc(value)) for value in (x, *labels)]
  apply = jax.jit(module.apply)

  def ours() -> Any:
    return jax.block_until_ready(apply(variables, *inputs))

  @torch.inference_mode()
  def theirs() -> torch.Tensor:
    return peer(x, *labels)

  found, expected = np.asarray(ours()), nhwc(theirs())
  error = np.abs(found - expected).max() / np.abs(expected).max()
  if not error <= TOLERANCE:
    raise ValueError(f'{kind}: not the same network: outputs differ by {error:.1e} of the largest')
  return (ours, 1), (theirs, 1)


def step_case(net: Net, n: int = 1, lazy: tuple[peers.Lazy, ...] = ()) -> tuple[Calls, Calls]:
  """A D turn and a G turn on images of noise; with `n` 0 every lazy turn of ours, and the peer's `lazy`.

  Raises:
    ValueError: networks with different numbers of parameters.
  """
  spec = Spec('image', (32, 32, 3), net.classes)
  config = configs.complete(
    {'loss': {'name': net.loss}, 'optimizer': ADAM, 'batch_size': net.batch, 'latent_dim': LATENT} | dict(net.sections)
  )
  game = configs.game(config, spec)
  rules = configs.rules(config, game)
  mesh = parallel.make_mesh(1)
  real = images(net.batch)
  batch = {'image': jax.numpy.asarray(nhwc(real))}
  label = partial(torch.randint, net.classes, (net.batch,)) if net.classes else None
  if label:
    batch['label'] = jax.numpy.asarray(label().numpy(), 'int32')
  state = create(game, rules, jax.random.key(0), batch, configs.hyper(config))
  players = net.peer()
  for name, peer in zip('gd', players, strict=True):
    counts = sum(x.size for x in jax.tree.leaves(state.params[name])), sum(p.numel() for p in peer.parameters())
    if counts[0] != counts[1]:
      raise ValueError(f'{name}: not the same network: {counts[0]} parameters, the peer has {counts[1]}')
  plays = parallel.plays(game.turns, n)
  payload = {name: jax.numpy.broadcast_to(x, (plays, *x.shape)) for name, x in batch.items()}
  program = parallel.compile(game, rules, mesh)
  latent = partial(torch.randn, net.batch, LATENT)
  peer = peers.stepper(*players, net.loss, lambda: real, latent, penalty=net.penalty, label=label, lazy=lazy)
  return (caller(program, state, mesh, parallel.place(payload, mesh), n), 1), (peer, 1)


def images(batch: int) -> torch.Tensor:
  """Images of noise."""
  return torch.rand(batch, 3, 32, 32).mul(2).sub(1).contiguous(memory_format=torch.channels_last)


def nhwc(x: torch.Tensor) -> np.ndarray:
  """As ours has it."""
  return (x.permute(0, 2, 3, 1) if x.ndim == 4 else x).contiguous().numpy()


# Lazy terms of the peer: those of ours with the same numbers.


def r1(d: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
  """R1 of gamma 10."""
  _, squares = peers.sloped(d, x)
  return squares.mean() * (5 * R1_EVERY)


class PathLength:
  """Path length of weight 2, on half the batch."""

  def __init__(self) -> None:
    self.mean = torch.zeros([])

  def __call__(self, g: torch.nn.Module, z: torch.Tensor) -> torch.Tensor:
    ws = g.styles(z[::2])
    image = g.synthesis(ws)
    noise = torch.randn_like(image) / 32
    (slope,) = torch.autograd.grad((image * noise).sum(), ws, create_graph=True)
    lengths = slope.square().sum(2).mean(1).sqrt()
    mean = self.mean.lerp(lengths.mean(), 0.01)
    self.mean = mean.detach()
    return (lengths - mean).square().mean() * (2 * PATH_EVERY)


LAZY_R1 = {'d': {'r1': {'every': R1_EVERY}}}
LAZY_PATH = {'g': {'path_length': {'every': PATH_EVERY}}}
SIZES: dict[str, Net] = {
  'sngan32': sngan(64, 16),
  'biggan32': biggan(24, 16),
  'stylegan2_32': stylegan2(2048, 128, 16),
  'r3gan32': r3gan(64, 8, 2, 8),
}

CASES: dict[str, Case] = {
  **{f'{name}_forward_{p}': partial(forward_case, net, p) for name, net in SIZES.items() for p in 'gd'},
  **{name: partial(step_case, net) for name, net in SIZES.items() if name != 'sngan32'},
  'stylegan2_32_r1': lambda: step_case(stylegan2(2048, 128, 16, LAZY_R1), 0, (('d', r1),)),
  'stylegan2_32_path': lambda: step_case(stylegan2(2048, 128, 16, LAZY_PATH), 0, (('g', PathLength()),)),
}
