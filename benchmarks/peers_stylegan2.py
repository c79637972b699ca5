"""StyleGAN 2 in plain PyTorch (Karras et al. 2020, arXiv:1912.04958): G with skips, D with shortcuts, no labels.

Names are those of the authors' state dicts, so that `ganjax.interop` reads the weights. Of several ways of doing a
thing the quickest on the CPU is here: features are scaled before and after a convolution common to all images; filters
are banded matrices (depthwise convolutions take longer, their second derivatives above all).
"""

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import nn

Tensor = torch.Tensor
TAPS = torch.tensor([1.0, 3, 3, 1]) / 8
GAIN = math.sqrt(2)


@cache
def band(n: int, pad: int, down: int) -> Tensor:
  """What the filter, at every `down`-th pixel, makes of n pixels padded on both sides, as a matrix [n', n]."""
  size = (n + 2 * pad - len(TAPS)) // down + 1
  found = torch.zeros(size, n + 2 * pad)
  for i in range(size):
    found[i, i * down : i * down + len(TAPS)] = TAPS
  return found[:, pad : pad + n].contiguous()


def along_both(x: Tensor, m: Tensor) -> Tensor:
  """The matrix [n', n] times the rows and the columns of x [B, C, n, n]."""
  b, c, n, _ = x.shape
  x = m @ x.permute(0, 2, 3, 1).reshape(b, n, n * c)
  return (m @ x.view(-1, n, c)).view(b, len(m), len(m), c).permute(0, 3, 1, 2)


def filtered(x: Tensor, pad: int, gain: float = 1.0, down: int = 1) -> Tensor:
  """Pads, filters, and takes every `down`-th pixel."""
  return along_both(x, band(x.shape[2], pad, down) * math.sqrt(gain))


def enlarged(x: Tensor) -> Tensor:
  """Twice the size: the transpose of filtering and halving, times 4."""
  return along_both(x, 2 * band(2 * x.shape[2], 1, 2).T)


def conv_up(x: Tensor, w: Tensor) -> Tensor:
  """Transposed convolution with w [O, I, 3, 3], then the filter."""
  return filtered(F.conv_transpose2d(x, w.transpose(0, 1), stride=2), 1, 4.0)


def conv_down(x: Tensor, w: Tensor) -> Tensor:
  """The filter, then a convolution of stride 2."""
  if w.shape[2] == 1:
    return F.conv2d(filtered(x, 1, down=2), w)
  return F.conv2d(filtered(x, 2), w, stride=2)


class Dense(nn.Module):
  """A matrix product with an equalised learning rate."""

  def __init__(self, i: int, o: int, activate: bool = False, rate: float = 1.0, bias: float = 0.0) -> None:
    super().__init__()
    self.weight, self.bias = nn.Parameter(torch.randn(o, i) / rate), nn.Parameter(torch.full((o,), bias))
    self.gain, self.rate, self.activate = rate / math.sqrt(i), rate, activate

  def forward(self, x: Tensor) -> Tensor:
    bias = self.bias if self.rate == 1 else self.bias * self.rate
    x = F.linear(x, self.weight * self.gain, bias)
    return F.leaky_relu(x, 0.2) * GAIN if self.activate else x


class Mapping(nn.Module):
  """Latent [B, Z] -> w [B, F]."""

  def __init__(self, latent: int, w: int, depth: int) -> None:
    super().__init__()
    for i in range(depth):
      setattr(self, f'fc{i}', Dense(latent if i == 0 else w, w, True, 0.01))
    self.register_buffer('w_avg', torch.zeros(w))
    self.depth = depth

  def forward(self, z: Tensor, count: bool = True) -> Tensor:
    x = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
    for i in range(self.depth):
      x = getattr(self, f'fc{i}')(x)
    if self.training and count:
      self.w_avg.copy_(x.detach().mean(0).lerp(self.w_avg, 0.995))
    return x


class Styled(nn.Module):
  """Modulated convolution, noise, bias, leaky ReLU."""

  def __init__(self, i: int, o: int, w: int, side: int, up: bool) -> None:
    super().__init__()
    self.affine = Dense(w, i, bias=1.0)
    self.weight, self.bias = nn.Parameter(torch.randn(o, i, 3, 3)), nn.Parameter(torch.zeros(o))
    self.noise_strength = nn.Parameter(torch.zeros([]))
    self.register_buffer('noise_const', torch.randn(side, side))
    self.register_buffer('resample_filter', TAPS[:, None] * TAPS)
    self.up, self.side = up, side

  def forward(self, x: Tensor, w: Tensor) -> Tensor:
    style = self.affine(w)
    scale = (style.square() @ self.weight.square().sum((2, 3)).T + 1e-8).rsqrt()
    x = x * style[:, :, None, None]
    x = conv_up(x, self.weight) if self.up else F.conv2d(x, self.weight, padding=1)
    noise = torch.randn(len(x), 1, self.side, self.side) if self.training else self.noise_const
    x = torch.addcmul(noise * self.noise_strength, x, scale[:, :, None, None])
    return F.leaky_relu(x + self.bias.view(1, -1, 1, 1), 0.2) * GAIN


class ToRGB(nn.Module):
  """Modulated 1x1 convolution."""

  def __init__(self, i: int, w: int) -> None:
    super().__init__()
    self.affine = Dense(w, i, bias=1.0)
    self.weight, self.bias = nn.Parameter(torch.randn(3, i, 1, 1)), nn.Parameter(torch.zeros(3))

  def forward(self, x: Tensor, w: Tensor) -> Tensor:
    style = self.affine(w) / math.sqrt(x.shape[1])
    return F.conv2d(x * style[:, :, None, None], self.weight, self.bias)


class SynthesisBlock(nn.Module):
  """Two layers of one size, the first of them up, and the image."""

  def __init__(self, i: int, o: int, w: int, side: int) -> None:
    super().__init__()
    if i:
      self.conv0 = Styled(i, o, w, side, True)
    else:
      self.const = nn.Parameter(torch.randn(o, 4, 4))
    self.conv1, self.torgb = Styled(o, o, w, side, False), ToRGB(o, w)
    self.register_buffer('resample_filter', TAPS[:, None] * TAPS)


class Synthesis(nn.Module):
  """ws [B, L, F] -> image."""

  def __init__(self, widths: list[int], w: int) -> None:
    super().__init__()
    self.sides = [4 * 2**i for i in range(len(widths))]
    for side, i, o in zip(self.sides, [0, *widths], widths, strict=False):
      setattr(self, f'b{side}', SynthesisBlock(i, o, w, side))

  def forward(self, ws: Tensor) -> Tensor:
    each, image = iter(range(ws.shape[1])), None
    for side in self.sides:
      block = getattr(self, f'b{side}')
      if side == 4:
        x = block.const.expand(len(ws), -1, -1, -1).contiguous(memory_format=torch.channels_last)
      else:
        x = block.conv0(x, ws[:, next(each)])
      layer = next(each)
      x = block.conv1(x, ws[:, layer])
      rgb = block.torgb(x, ws[:, layer + 1])
      image = rgb if image is None else enlarged(image) + rgb
    return image


class Generator(nn.Module):
  """Latent [B, Z] -> image; in training with random noise, and styles mixed with probability .9."""

  def __init__(self, widths: list[int], latent: int, w: int, depth: int) -> None:
    super().__init__()
    self.mapping, self.synthesis = Mapping(latent, w, depth), Synthesis(widths, w)
    self.layers = 2 * len(widths)

  def forward(self, z: Tensor) -> Tensor:
    return self.synthesis(self.styles(z))

  def styles(self, z: Tensor) -> Tensor:
    """The w of every layer."""
    ws = self.mapping(z)[:, None].expand(-1, self.layers, -1)
    if not self.training:
      return ws
    first = torch.randint(1, self.layers, (len(z), 1))
    first = torch.where(torch.rand(len(z), 1) < 0.9, first, self.layers)
    other = self.mapping(torch.randn_like(z), False)
    return torch.where((torch.arange(self.layers) < first)[:, :, None], ws, other[:, None])


class Conv(nn.Module):
  """Convolution with an equalised learning rate, and activation."""

  def __init__(self, i: int, o: int, kernel: int = 3, down: bool = False, activate: bool = True) -> None:
    super().__init__()
    self.weight = nn.Parameter(torch.randn(o, i, kernel, kernel))
    self.bias = nn.Parameter(torch.zeros(o)) if activate else None
    self.register_buffer('resample_filter', TAPS[:, None] * TAPS)
    self.scale, self.down = 1 / math.sqrt(i * kernel**2), down

  def forward(self, x: Tensor, gain: float = 1.0) -> Tensor:
    if self.bias is None:
      return conv_down(x, self.weight * (self.scale * gain))
    w = self.weight * self.scale
    if self.down:
      x = conv_down(x, w) + self.bias.view(1, -1, 1, 1)
    else:
      x = F.conv2d(x, w, self.bias, padding=w.shape[2] // 2)
    return F.leaky_relu(x, 0.2) * (GAIN * gain)


class Block(nn.Module):
  """A block of D."""

  def __init__(self, i: int, o: int, first: bool) -> None:
    super().__init__()
    self.fromrgb = Conv(3, i, 1) if first else None
    self.conv0, self.conv1 = Conv(i, i), Conv(i, o, down=True)
    self.skip = Conv(i, o, 1, True, False)
    self.register_buffer('resample_filter', TAPS[:, None] * TAPS)

  def forward(self, x: Tensor) -> Tensor:
    x = self.fromrgb(x) if self.fromrgb else x
    gain = math.sqrt(0.5)
    return self.skip(x, gain) + self.conv1(self.conv0(x), gain)


class Last(nn.Module):
  """D's end."""

  def __init__(self, c: int) -> None:
    super().__init__()
    self.conv, self.fc, self.out = Conv(c + 1, c), Dense(16 * c, c, True), Dense(c, 1)

  def forward(self, x: Tensor) -> Tensor:
    groups = x.view(4, -1, *x.shape[1:])
    spread = (groups.var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))
    spread = spread.repeat(4).view(-1, 1, 1, 1).expand(-1, 1, *x.shape[2:])
    x = self.conv(torch.cat([x, spread], 1))
    return self.out(self.fc(x.flatten(1)))[:, 0]


class Discriminator(nn.Module):
  """Image -> logits [B]."""

  def __init__(self, widths: list[int]) -> None:
    super().__init__()
    self.sides = [4 * 2**i for i in range(len(widths))][:0:-1]
    for side, i, o in zip(self.sides, widths[:0:-1], widths[-2::-1], strict=True):
      setattr(self, f'b{side}', Block(i, o, side == self.sides[0]))
    self.b4 = Last(widths[0])

  def forward(self, x: Tensor) -> Tensor:
    for side in self.sides:
      x = getattr(self, f'b{side}')(x)
    return self.b4(x)
