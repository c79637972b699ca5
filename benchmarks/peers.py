"""Plain PyTorch implementations of what the benchmarks compare with: same networks, losses, optimisers, batch."""

import math
from collections.abc import Callable
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
    self.n0, self.n1 = nn.BatchNorm2d(c), nn.BatchNorm2d(c)
    self.c0, self.c1 = nn.Conv2d(c, c, 3, padding=1), nn.Conv2d(c, c, 3, padding=1)
    self.shortcut = nn.Conv2d(c, c, 1)

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    up = lambda x: F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=False)  # noqa: E731
    h = self.c1(F.relu(self.n1(self.c0(up(F.relu(self.n0(x)))))))
    return h + self.shortcut(up(x))


class Down(nn.Module):
  """A block of SNGAN's D."""

  def __init__(self, i: int, o: int, down: bool, first: bool = False) -> None:
    super().__init__()
    self.c0 = spectral_norm(nn.Conv2d(i, o if first else i, 3, padding=1))
    self.c1 = spectral_norm(nn.Conv2d(o if first else i, o, 3, padding=1))
    self.shortcut = spectral_norm(nn.Conv2d(i, o, 1)) if down or i != o else None
    self.down, self.first = down, first

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    x = x if self.first else F.relu(x)
    h = self.c1(F.relu(self.c0(x)))
    if self.down:
      h = F.avg_pool2d(h, 2)
    if self.shortcut is None:
      return h + x
    if self.first:
      return h + self.shortcut(F.avg_pool2d(x, 2))
    return h + F.avg_pool2d(self.shortcut(x), 2)


class SNGANGenerator(nn.Module):
  """SNGAN's G for 32 x 32."""

  def __init__(self, width: int, latent: int = 128) -> None:
    super().__init__()
    self.project = nn.Linear(latent, 16 * width)
    self.blocks = nn.Sequential(*[Up(width) for _ in range(3)])
    self.last = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(True), nn.Conv2d(width, 3, 3, padding=1), nn.Tanh())
    self.width = width

  def forward(self, z: torch.Tensor) -> torch.Tensor:
    x = self.project(z).view(-1, self.width, 4, 4).contiguous(memory_format=torch.channels_last)
    return self.last(self.blocks(x))


class SNGANDiscriminator(nn.Module):
  """SNGAN's D for 32 x 32."""

  def __init__(self, width: int) -> None:
    super().__init__()
    w = width
    self.blocks = nn.Sequential(Down(3, w, True, True), Down(w, w, True), Down(w, w, False), Down(w, w, False))
    self.logit = spectral_norm(nn.Linear(width, 1))

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    return self.logit(F.relu(self.blocks(x)).sum((2, 3)))


def mlp(inputs: int, outputs: int, activation: Callable[[], nn.Module]) -> nn.Module:
  """Two hidden layers of 128."""
  return nn.Sequential(nn.Linear(inputs, 128), activation(), nn.Linear(128, 128), activation(), nn.Linear(128, outputs))


def ring(batch: int) -> torch.Tensor:
  """A batch of the ring of 8 Gaussians."""
  angle = torch.randint(8, (batch,)) * (math.pi / 4)
  return 2 * torch.stack([angle.cos(), angle.sin()], 1) + 0.02 * torch.randn(batch, 2)


LOSSES: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
  'non_saturating': (lambda r, f: F.softplus(-r).mean() + F.softplus(f).mean(), lambda f: F.softplus(-f).mean()),
  'wasserstein': (lambda r, f: f.mean() - r.mean(), lambda f: -f.mean()),
  'hinge': (lambda r, f: F.relu(1 - r).mean() + F.relu(1 + f).mean(), lambda f: -f.mean()),
}


# What D says of reals and of fakes, and a penalty.
Penalty = Callable[[nn.Module, torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor, Any]]


def none(d: nn.Module, real: torch.Tensor, fake: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, Any]:
  """No penalty."""
  return d(real), d(fake), 0


def sloped(d: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
  """D's logits, and the squared norm of its gradient per example."""
  x = x.detach().requires_grad_()
  logits = d(x)
  (slope,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
  return logits, slope.square().sum((1, 2, 3))


def gradient_penalty(d: nn.Module, real: torch.Tensor, fake: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, Any]:
  """WGAN-GP's, of weight 10."""
  _, squares = sloped(d, torch.lerp(fake, real, torch.rand(len(real), 1, 1, 1)))
  return d(real), d(fake), 10 * (squares.sqrt() - 1).square().mean()


def r1_r2(d: nn.Module, real: torch.Tensor, fake: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, Any]:
  """R1 and R2 of gamma 10; D looks but once at each image."""
  (r, r1), (f, r2) = sloped(d, real), sloped(d, fake)
  return r, f, 5 * (r1 + r2).mean()


def stepper(g: nn.Module, d: nn.Module, loss: str, real: Callable[[], torch.Tensor], latent: Callable[[], torch.Tensor],
            rate: float = 2e-4, penalty: Penalty = none) -> Callable[[], None]:  # fmt: skip
  """One D turn and one G turn on fresh latents. D's weights get no gradient in G's turn."""
  g, d = g.to(memory_format=torch.channels_last), d.to(memory_format=torch.channels_last)
  g_opt, d_opt = (torch.optim.Adam(net.parameters(), rate, (0.5, 0.999)) for net in (g, d))
  d_loss, g_loss = LOSSES[loss]

  def step() -> None:
    d.requires_grad_(True)
    with torch.no_grad():
      fake = g(latent())
    d_opt.zero_grad()
    r, f, extra = penalty(d, real(), fake)
    (d_loss(r, f) + extra).backward()
    d_opt.step()
    d.requires_grad_(False)
    g_opt.zero_grad()
    g_loss(d(g(latent()))).backward()
    g_opt.step()

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
    g_loss(judge(ahead[0], fake)).backward(inputs=list(g.parameters()))
    g_opt.step()

  return step
