"""The cases of step_time.py: the same work by ganjax and by plain PyTorch (peers.py, peers_augment.py).

Those of the larger networks are in cases_nets.py.

A case is built by a call, as (ours, peer): each of them one timed call, and how many steps (or images) it is.
"""

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

import jax
import jax.numpy as jnp
import peers
import peers_augment
import torch

from ganjax import augment, parallel
from ganjax import config as configs
from ganjax.data.feed import open_feed
from ganjax.data.sources import open_source
from ganjax.data.spec import Spec
from ganjax.state import create

ADAM = {player: {'name': 'adam', 'learning_rate': 2e-4} for player in 'gd'}
IMAGES = Spec('image', (32, 32, 3))

Calls = tuple[Callable[[], None], int]  # one timed call, and how many steps it makes
Case = Callable[[], tuple[Calls, Calls]]


def image_case(
  loss: str, net: str, width: int, batch: int, terms: tuple[str, ...] = (), penalty: peers.Penalty = peers.none
) -> tuple[Calls, Calls]:
  """A D turn, with the terms or the peer's penalty, and a G turn, on images of noise: neither side reads data.

  With a penalty, D has no batch norm.
  """
  own = {'norm': 'none'} if terms else {}
  players = {'generator': {'name': net, 'width': width}, 'discriminator': {'name': net, 'width': width} | own}
  config = configs.complete(
    {'loss': {'name': loss}, 'optimizer': ADAM, 'batch_size': batch, 'latent_dim': 128, **players}
    | {'terms': {'d': {name: {} for name in terms}}}
  )
  game = configs.game(config, IMAGES)
  rules = configs.rules(config, game)
  mesh = parallel.make_mesh(1)
  images = jax.random.uniform(jax.random.key(1), (batch, 32, 32, 3), minval=-1, maxval=1)
  state = create(game, rules, jax.random.key(0), {'image': images}, configs.hyper(config))
  program = parallel.compile(game, rules, mesh)
  real = torch.rand(batch, 3, 32, 32).mul(2).sub(1).contiguous(memory_format=torch.channels_last)
  g, d = {
    'dcgan': (peers.dcgan_generator, partial(peers.dcgan_discriminator, norm=not terms)),
    'resnet': (peers.SNGANGenerator, peers.SNGANDiscriminator),
  }[net]
  latent = lambda: torch.randn(batch, 128)  # noqa: E731
  peer = peers.stepper(g(width), d(width), loss, lambda: real, latent, penalty=penalty)
  return (caller(program, state, mesh, parallel.place({'image': images[None]}, mesh)), 1), (peer, 1)


def ring_case(batch: int, steps: int = 100, unroll: int = 0) -> tuple[Calls, Calls]:
  """The ring of 8 Gaussians; both sides draw their data. `unroll`: D's moves that G looks ahead."""
  ahead = {'game': 'unrolled', 'play.unroll_steps': unroll, 'optimizer.d.eps_root': peers.EPS_ROOT} if unroll else {}
  config = configs.complete(
    {
      'data': {'name': 'mixture'}, 'generator': {'name': 'mlp'}, 'discriminator': {'name': 'mlp'}, 'latent_dim': 2,
      'optimizer': ADAM, 'batch_size': batch, 'steps': steps, 'steps_per_call': steps,
    }, ahead,
  )  # fmt: skip
  source = open_source(config.data)
  feed = open_feed(source, batch=batch, seed=0)
  game = configs.game(config, source.spec)
  rules = configs.rules(config, game)
  mesh = parallel.make_mesh(1)
  state = create(game, rules, jax.random.key(0), {'row': jnp.zeros((batch, 2))}, configs.hyper(config))
  program = parallel.compile(game, rules, mesh, steps=steps, read=feed.read, resident=batch, unroll=False)
  d = peers.mlp(2, 1, lambda: torch.nn.LeakyReLU(0.2))
  g = peers.mlp(2, 2, torch.nn.ReLU)
  data, latent = (lambda: peers.ring(batch)), (lambda: torch.randn(batch, 2))
  if unroll:
    peer = peers.unrolled_stepper(g, d, unroll, data, latent)
  else:
    peer = peers.stepper(g, d, 'non_saturating', data, latent)
  several = 20 if not unroll else 5

  def call() -> None:
    for _ in range(several):
      peer()

  return (caller(program, state, mesh, parallel.place(feed.payload(0, ()), mesh)), steps), (call, several)


def caller(program: parallel.Program, state: Any, mesh: Any, payload: Any, n: int = 0) -> Callable[[], None]:
  """Calls the program, as of step `n`, on the state that it returned last, and waits for it."""
  held = [parallel.place(state, mesh)]

  def call() -> None:
    held[0], _ = program(n, held[0], payload)
    jax.block_until_ready(held[0])

  return call


def augment_case(
  augmentation: Any, peer: Callable[[torch.Tensor], torch.Tensor], p: float = 1.0, batch: int = 64
) -> tuple[Calls, Calls]:
  """The augmentation alone, new draws each time, forward and its gradient for the images; counted by images."""
  rows, keys = jnp.arange(batch), map(partial(jax.random.fold_in, jax.random.key(0)), count())
  images, cotangent = jax.random.uniform(jax.random.key(1), (2, batch, 32, 32, 3), minval=-1, maxval=1)

  @jax.jit
  def both(key: jax.Array, x: jax.Array, g: jax.Array) -> Any:
    y, pull = jax.vjp(lambda x: augmentation.apply(key, rows, x, jnp.float32(p)), x)
    return y, pull(g)

  nchw = torch.rand(2, batch, 3, 32, 32).mul(2).sub(1)
  x, g = (half.contiguous(memory_format=torch.channels_last) for half in nchw)
  x.requires_grad_()

  def ours() -> None:
    jax.block_until_ready(both(next(keys), images, cotangent))

  def theirs() -> None:
    torch.autograd.grad(peer(x), x, g)

  return (ours, batch), (theirs, batch)


FINITE = ('r1_finite_difference', 'r2_finite_difference')
P = 0.6  # of ADA's operations

CASES: dict[str, Case] = {
  'dcgan32': lambda: image_case('non_saturating', 'dcgan', 64, 64),
  'sngan32': lambda: image_case('hinge', 'resnet', 64, 16),
  'sngan32_w128': lambda: image_case('hinge', 'resnet', 128, 16),
  'ring_mlp_b512': lambda: ring_case(512),
  'ring_mlp_b128': lambda: ring_case(128),
  'ring_unrolled5_b512': lambda: ring_case(512, steps=20, unroll=5),
  'ring_unrolled5_b128': lambda: ring_case(128, steps=20, unroll=5),
  'wgan_gp32': lambda: image_case('wasserstein', 'dcgan', 64, 64, ('gradient_penalty',), peers.gradient_penalty),
  'r1r2_32': lambda: image_case('non_saturating', 'dcgan', 64, 64, ('r1', 'r2'), peers.r1_r2),
  # The peer's is exact.
  'r1r2_finite32': lambda: image_case('non_saturating', 'dcgan', 64, 64, FINITE, peers.r1_r2),
  'diffaugment32': lambda: augment_case(augment.diffaugment(), peers_augment.diffaugment),
  'ada32': lambda: augment_case(augment.ada(), partial(peers_augment.ada, p=P), P),
}
