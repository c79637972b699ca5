"""Plain PyTorch implementations of what the benchmarks compare with: same networks, losses, optimisers, batch."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import spectral_norm

WIDTH = 64
EPS_ROOT = 1e-12  # in Adam's root, where it is differentiated


def dcgan_generator(width: int = WIDTH, latent: int = 128) -> nn.Module:
  """DCGAN's G for 32 x 32."""
  up = lambda i, o: nn.ConvTranspose2d(i, o, 4, 2, 1, bias=False)  # noqa: E731
  return nn.Sequential(
    nn.Linear(latent, 64 * width, bias=False), nn.Unflatten(1, (4 * width, 4, 4)),
    nn.BatchNorm2d(4 * width), nn.ReLU(True), up(4 * width, 2 * width),
    nn.BatchNorm2d(2 * width), nn.ReLU(True), up(2 * width, width),
    nn.BatchNorm2d(width), nn.ReLU(True), nn.ConvTranspose2d(width, 3, 4, 2, 1), nn.Tanh(),
  )  # fmt: skip


def dcgan_discriminator(width: int = WIDTH, norm: bool = True) -> nn.Module:
  """DCGAN's D for 32 x 32, with batch norm or biases."""
  conv = lambda i, o: nn.Conv2d(i, o, 4, 2, 1, bias=not norm)  # noqa: E731
  normal = lambda o: [nn.BatchNorm2d(o)] if norm else []  # noqa: E731
  return nn.Sequential(
    nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2, True),
    conv(width, 2 * width), *normal(2 * width), nn.LeakyReLU(0.2, True),
    conv(2 * width, 4 * width), *normal(4 * width), nn.LeakyReLU(0.2, True),
    nn.Flatten(), nn.Linear(64 * width, 1),
  )  # fmt: skip


class Up(nn.Module):
  """A block of SNGAN's G."""

  def __init__(self, c: int) -> None:
    super().__init__()
    self.b1, self.b2 = nn.BatchNorm2d(c), nn.BatchNorm2d(c)
    self.c1, self.c2 = nn.Conv2d(c, c, 3, padding=1), nn.Conv2d(c, c, 3, padding=1)
    self.c_sc = nn.Conv2d(c, c, 1)

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    up = lambda x: F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=False)  # noqa: E731
    h = self.c2(F.relu(self.b2(self.c1(up(F.relu(self.b1(x)))))))
    return h + self.c_sc(up(x))


class Down(nn.Module):
  """A block of SNGAN's D."""

  def __init__(self, i: int, o: int, down: bool, first: bool = False) -> None:
    super().__init__()
    self.c1 = spectral_norm(nn.Conv2d(i, o if first else i, 3, padding=1))
    self.c2 = spectral_norm(nn.Conv2d(o if first else i, o, 3, padding=1))
    self.c_sc = spectral_norm(nn.Conv2d(i, o, 1)) if down or i != o else None
    self.down, self.first = down, first

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    x = x if self.first else F.relu(x)
    h = self.c2(F.relu(self.c1(x)))
    if self.down:
      h = F.avg_pool2d(h, 2)
    if self.c_sc is None:
      return h + x
    if self.first:
      return h + self.c_sc(F.avg_pool2d(x, 2))
    return h + F.avg_pool2d(self.c_sc(x), 2)


class SNGANGenerator(nn.Module):
  """SNGAN's G for 32 x 32, with torch-mimicry's names."""

  def __init__(self, width: int, latent: int = 128) -> None:
    super().__init__()
    self.l1 = nn.Linear(latent, 16 * width)
    self.block2, self.block3, self.block4 = Up(width), Up(width), Up(width)
    self.b5, self.c5 = nn.BatchNorm2d(width), nn.Conv2d(width, 3, 3, padding=1)
    self.width = width

  def forward(self, z: torch.Tensor) -> torch.Tensor:
    x = self.l1(z).view(-1, self.width, 4, 4).contiguous(memory_format=torch.channels_last)
    x = self.block4(self.block3(self.block2(x)))
    return self.c5(F.relu(self.b5(x))).tanh()


class SNGANDiscriminator(nn.Module):
  """SNGAN's D for 32 x 32, with torch-mimicry's names."""

  def __init__(self, width: int) -> None:
    super().__init__()
    w = width
    self.block1, self.block2 = Down(3, w, True, True), Down(w, w, True)
    self.block3, self.block4 = Down(w, w, False), Down(w, w, False)
    self.l5 = spectral_norm(nn.Linear(width, 1))

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    x = self.block4(self.block3(self.block2(self.block1(x))))
    return self.l5(F.relu(x).sum((2, 3)))[:, 0]


def mlp(inputs: int, outputs: int, activation: Callable[[], nn.Module]) -> nn.Module:
  """Two hidden layers of 128."""
  return nn.Sequential(nn.Linear(inputs, 128), activation(), nn.Linear(128, 128), activation(), nn.Linear(128, outputs))


def ring(batch: int) -> torch.Tensor:
  """A batch of the ring of 8 Gaussians."""
  angle = torch.randint(8, (batch,)) * (math.pi / 4)
  return 2 * torch.stack([angle.cos(), angle.sin()], 1) + 0.02 * torch.randn(batch, 2)


# D's loss and G's, of the logits of reals and fakes.
LOSSES: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
  'non_saturating': (lambda r, f: F.softplus(-r).mean() + F.softplus(f).mean(), lambda _, f: F.softplus(-f).mean()),
  'wasserstein': (lambda r, f: f.mean() - r.mean(), lambda _, f: -f.mean()),
  'hinge': (lambda r, f: F.relu(1 - r).mean() + F.relu(1 + f).mean(), lambda _, f: -f.mean()),
  'relativistic': (lambda r, f: F.softplus(f - r).mean(), lambda r, f: F.softplus(r - f).mean()),
}

Seen = tuple[torch.Tensor, ...]  # an image, and its label if there are labels
# What D says of reals and of fakes, and a penalty.
Penalty = Callable[[nn.Module, Seen, Seen], tuple[torch.Tensor, torch.Tensor, Any]]
Lazy = tuple[str, Callable[[nn.Module, torch.Tensor], torch.Tensor]]  # whose it is; the network and its input -> loss


def none(d: nn.Module, real: Seen, fake: Seen) -> tuple[torch.Tensor, torch.Tensor, Any]:
  """No penalty."""
  return d(*real), d(*fake), 0


def sloped(d: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
  """D's logits, and the squared norm of its gradient per example."""
  x = x.detach().requires_grad_()
  logits = d(x)
  (slope,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
  return logits, slope.square().sum((1, 2, 3))


def gradient_penalty(d: nn.Module, real: Seen, fake: Seen) -> tuple[torch.Tensor, torch.Tensor, Any]:
  """WGAN-GP's, of weight 10."""
  _, squares = sloped(d, torch.lerp(fake[0], real[0], torch.rand(len(real[0]), 1, 1, 1)))
  return d(*real), d(*fake), 10 * (squares.sqrt() - 1).square().mean()


def r1_r2(d: nn.Module, real: Seen, fake: Seen) -> tuple[torch.Tensor, torch.Tensor, Any]:
  """R1 and R2 of gamma 10; D looks but once at each image."""
  (r, r1), (f, r2) = sloped(d, *real), sloped(d, *fake)
  return r, f, 5 * (r1 + r2).mean()


def stepper(g: nn.Module, d: nn.Module, loss: str, real: Callable[[], torch.Tensor], latent: Callable[[], torch.Tensor],
            rate: float = 2e-4, penalty: Penalty = none, label: Callable[[], torch.Tensor] | None = None,
            lazy: Sequence[Lazy] = ()) -> Callable[[], None]:  # fmt: skip
  """One D turn and one G turn on fresh latents (and labels). D's weights get no gradient in G's turn.

  `lazy` are losses that get an Adam step of their own after their player's: the terms due in this step.
  """
  volumes = any(x.ndim == 5 for x in g.parameters())
  kind = torch.channels_last_3d if volumes else torch.channels_last
  g, d = g.to(memory_format=kind), d.to(memory_format=kind)
  opt = {name: torch.optim.Adam(net.parameters(), rate, (0.5, 0.999), fused=True) for name, net in (('g', g), ('d', d))}
  d_loss, g_loss = LOSSES[loss]
  labels = (lambda: (label(),)) if label else tuple

  def move(player: str, value: torch.Tensor) -> None:
    opt[player].zero_grad()
    value.backward()
    opt[player].step()

  def step() -> None:
    d.requires_grad_(True)
    own, seen = labels(), (real(), *labels())
    with torch.no_grad():
      fake = g(latent(), *own)
    r, f, extra = penalty(d, seen, (fake, *own))
    move('d', d_loss(r, f) + extra)
    for player, value in lazy:
      if player == 'd':
        move('d', value(d, *seen))
    d.requires_grad_(False)
    r = d(real(), *labels()) if loss == 'relativistic' else None
    own = labels()
    move('g', g_loss(r, d(g(latent(), *own), *own)))
    for player, value in lazy:
      if player == 'g':
        move('g', value(g, latent()))

  return step


def unrolled_stepper(g: nn.Module, d: nn.Module, k: int, real: Callable[[], torch.Tensor],
                     latent: Callable[[], torch.Tensor], rate: float = 2e-4) -> Callable[[], None]:  # fmt: skip
  """A D turn, then a G turn against D after k further Adam moves, differentiated through; the non-saturating loss.

  D's parameters are one vector: Adam written out is then as few operations as can be.
  """
  d_loss, g_loss = LOSSES['non_saturating']
  g_opt = torch.optim.Adam(g.parameters(), rate, (0.5, 0.999))
  names, shapes = zip(*((name, p.shape) for name, p in d.named_parameters()), strict=True)
  start = nn.utils.parameters_to_vector(d.parameters()).detach()
  held = [start, torch.zeros_like(start), torch.zeros_like(start)]  # and Adam's moments
  moves = 0

  def judge(vector: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    parts = vector.split([shape.numel() for shape in shapes])
    weights = {name: part.view(shape) for name, part, shape in zip(names, parts, shapes, strict=True)}
    return torch.func.functional_call(d, weights, (x,))

  def move(state: list[torch.Tensor], t: int, x: torch.Tensor, fake: torch.Tensor, graph: bool) -> list[torch.Tensor]:
    vector, first, second = state
    (slope,) = torch.autograd.grad(d_loss(judge(vector, x), judge(vector, fake)), vector, create_graph=graph)
    first, second = 0.5 * first + 0.5 * slope, 0.999 * second + 0.001 * slope.square()
    root = (second / (1 - 0.999**t) + EPS_ROOT).sqrt() + 1e-8
    return [vector - rate / (1 - 0.5**t) * first / root, first, second]

  def step() -> None:
    nonlocal held, moves
    with torch.no_grad():
      fake = g(latent())
    moves += 1
    held[0].requires_grad_()
    held = [part.detach() for part in move(held, moves, real(), fake, False)]
    fake, x, ahead = g(latent()), real(), held
    held[0].requires_grad_()
    for i in range(k):
      ahead = move(ahead, moves + 1 + i, x, fake, True)
    g_opt.zero_grad()
    g_loss(None, judge(ahead[0], fake)).backward(inputs=list(g.parameters()))
    g_opt.step()

  return step
