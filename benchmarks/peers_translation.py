"""pix2pix, CycleGAN and RRDBNet in plain PyTorch, as one writes them: networks, and a training step of each.

Isola et al. 2017 (arXiv:1611.07004), Zhu et al. 2017 (arXiv:1703.10593), Wang et al. 2018 (arXiv:1809.00219).
"""

import random
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import nn

Tensor = torch.Tensor
RATE, BETAS = 2e-4, (0.5, 0.999)


class UNet(nn.Module):
  """pix2pix's generator, without dropout."""

  def __init__(self, width: int, downs: int) -> None:
    super().__init__()
    c, last = [width * 2 ** min(i, 3) for i in range(downs)], downs - 1
    self.down = nn.ModuleList([nn.Conv2d(c[i - 1] if i else 3, c[i], 4, 2, 1, bias=False) for i in range(downs)])
    self.down_norm = nn.ModuleList([nn.BatchNorm2d(c[i]) for i in range(1, last)])
    self.up = nn.ModuleList(
      [
        nn.ConvTranspose2d(c[i] * (1 if i == last else 2), c[i - 1] if i else 3, 4, 2, 1, bias=not i)
        for i in range(downs)
      ]
    )
    self.up_norm = nn.ModuleList([nn.BatchNorm2d(c[i - 1]) for i in range(1, downs)])

  def forward(self, x: Tensor) -> Tensor:
    maps: list[Tensor] = []
    for i, down in enumerate(self.down):
      x = down(F.leaky_relu(x, 0.2) if i else x)
      x = self.down_norm[i - 1](x) if 0 < i < len(self.down) - 1 else x
      maps.append(x)
    for i in range(len(self.up) - 1, 0, -1):
      x = torch.cat([maps[i - 1], self.up_norm[i - 1](self.up[i](F.relu(x)))], 1)
    return self.up[0](F.relu(x)).tanh()


def patchgan(channels: int, width: int, norm: type[nn.Module], bias: bool) -> nn.Module:
  """PatchGAN of depth 3."""
  layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2, True)]
  for i in (0, 1, 2):
    layers += [nn.Conv2d(width * 2**i, width * 2 ** (i + 1), 4, 2 if i < 2 else 1, 1, bias=bias),
               norm(width * 2 ** (i + 1)), nn.LeakyReLU(0.2, True)]  # fmt: skip
  return nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, 1, 1))


class Block(nn.Module):
  """A residual block of CycleGAN's generator."""

  def __init__(self, c: int) -> None:
    super().__init__()
    part = lambda: [nn.ReflectionPad2d(1), nn.Conv2d(c, c, 3), nn.InstanceNorm2d(c)]  # noqa: E731
    self.body = nn.Sequential(*part(), nn.ReLU(True), *part())

  def forward(self, x: Tensor) -> Tensor:
    return x + self.body(x)


def residual(width: int, blocks: int) -> nn.Module:
  """CycleGAN's generator."""
  normed = lambda c: [nn.InstanceNorm2d(c), nn.ReLU(True)]  # noqa: E731
  layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7), *normed(width)]
  for i in (1, 2):
    layers += [nn.Conv2d(width * i, width * i * 2, 3, 2, 1), *normed(width * i * 2)]
  layers += [Block(4 * width) for _ in range(blocks)]
  for i in (4, 2):
    layers += [nn.ConvTranspose2d(width * i, width * i // 2, 3, 2, 1, 1), *normed(width * i // 2)]
  return nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh())


class Dense(nn.Module):
  """A residual dense block."""

  def __init__(self, width: int, growth: int) -> None:
    super().__init__()
    self.convs = nn.ModuleList([nn.Conv2d(width + i * growth, growth if i < 4 else width, 3, 1, 1) for i in range(5)])

  def forward(self, x: Tensor) -> Tensor:
    seen = x
    for conv in self.convs[:4]:
      seen = torch.cat([seen, F.leaky_relu(conv(seen), 0.2)], 1)
    return x + 0.2 * self.convs[4](seen)


class RRDB(nn.Module):
  """Three dense blocks."""

  def __init__(self, width: int, growth: int) -> None:
    super().__init__()
    self.body = nn.Sequential(*(Dense(width, growth) for _ in range(3)))

  def forward(self, x: Tensor) -> Tensor:
    return x + 0.2 * self.body(x)


class RRDBNet(nn.Module):
  """ESRGAN's generator, four times the size."""

  def __init__(self, width: int, blocks: int, growth: int) -> None:
    super().__init__()
    conv = lambda i, o: nn.Conv2d(i, o, 3, 1, 1)  # noqa: E731
    self.first, self.trunk, self.last = conv(3, width), conv(width, width), conv(width, 3)
    self.body = nn.Sequential(*(RRDB(width, growth) for _ in range(blocks)))
    self.ups, self.high = nn.ModuleList([conv(width, width) for _ in range(2)]), conv(width, width)

  def forward(self, x: Tensor) -> Tensor:
    x = self.first(x)
    x = x + self.trunk(self.body(x))
    for up in self.ups:
      x = F.leaky_relu(up(F.interpolate(x, scale_factor=2, mode='nearest')), 0.2)
    return self.last(F.leaky_relu(self.high(x), 0.2))


Step = Callable[[], None]


def adam(*nets: nn.Module) -> torch.optim.Optimizer:
  """One for the parameters of all of them."""
  return torch.optim.Adam([p for net in nets for p in net.parameters()], RATE, BETAS, fused=True)


def learnt(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
  """One step of it."""
  optimizer.zero_grad()
  loss.backward()
  optimizer.step()


def pix2pix_stepper(g: nn.Module, d: nn.Module, source: Tensor, image: Tensor) -> Step:
  """D, then G on the fakes that D has seen: G is run once, as in the authors' code."""
  optimizers = adam(g), adam(d)

  def step() -> None:
    fake = g(source)
    d.requires_grad_(True)
    judged = d(torch.cat([source, fake.detach()], 1)), d(torch.cat([source, image], 1))
    learnt(optimizers[1], (F.softplus(judged[0]).mean() + F.softplus(-judged[1]).mean()) * 0.5)
    d.requires_grad_(False)
    gan = F.softplus(-d(torch.cat([source, fake], 1))).mean()
    learnt(optimizers[0], gan + 100 * (fake - image).abs().mean())

  return step


class Pool:
  """Fakes of before, of which half are shown again (section 4)."""

  def __init__(self, size: int) -> None:
    self.size, self.held = size, list[Tensor]()

  def __call__(self, fakes: Tensor) -> Tensor:
    shown = []
    for fake in fakes.detach().unbind():
      if len(self.held) < self.size:
        self.held.append(fake)
      elif random.random() < 0.5:
        i = random.randrange(self.size)
        self.held[i], fake = fake, self.held[i]
      shown.append(fake)
    return torch.stack(shown)


def cyclegan_stepper(generators: Sequence[nn.Module], judges: Sequence[nn.Module], a: Tensor, b: Tensor) -> Step:
  """Both generators, then both discriminators on the pools; least squares, cycle 10, identity 5."""
  g_ab, g_ba = generators
  d_a, d_b = judges
  optimizers, pools = (adam(*generators), adam(*judges)), (Pool(50), Pool(50))
  real = lambda logits: (logits - 1).square().mean()  # noqa: E731

  def step() -> None:
    for d in judges:
      d.requires_grad_(False)
    fake_b, fake_a = g_ab(a), g_ba(b)
    cycle = (g_ba(fake_b) - a).abs().mean() + (g_ab(fake_a) - b).abs().mean()
    same = (g_ab(b) - b).abs().mean() + (g_ba(a) - a).abs().mean()
    learnt(optimizers[0], real(d_b(fake_b)) + real(d_a(fake_a)) + 10 * cycle + 5 * same)
    losses = []
    for d, x, fake, pool in zip(judges, (a, b), (fake_a, fake_b), pools, strict=True):
      d.requires_grad_(True)
      losses.append((real(d(x)) + d(pool(fake)).square().mean()) * 0.5)
    learnt(optimizers[1], losses[0] + losses[1])

  return step


def pixel_stepper(g: nn.Module, source: Tensor, image: Tensor) -> Step:
  """ESRGAN's first phase: L1 alone."""
  optimizer = adam(g)
  return lambda: learnt(optimizer, (g(source) - image).abs().mean())
