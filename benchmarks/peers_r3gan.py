"""R3GAN in plain PyTorch (Huang et al. 2024, arXiv:2501.05441), no labels, all stages of one width.

Names are those of the authors' state dicts, so that `ganjax.interop` reads the weights.
"""

import math

import torch
import torch.nn.functional as F
from peers_stylegan2 import TAPS, enlarged, filtered
from torch import nn

Tensor = torch.Tensor
GAIN = math.sqrt(2 / (1 + 0.2**2))


class Layer(nn.Module):
  """A convolution under the name it has there."""

  def __init__(self, i: int, o: int, kernel: int = 1, groups: int = 1, gain: float = 1.0) -> None:
    super().__init__()
    self.Layer = nn.Conv2d(i, o, kernel, padding=kernel // 2, groups=groups, bias=False)
    nn.init.normal_(self.Layer.weight, std=gain / math.sqrt(kernel**2 * i / groups))

  def forward(self, x: Tensor) -> Tensor:
    return self.Layer(x)


class Activation(nn.Module):
  """Bias and leaky ReLU."""

  def __init__(self, c: int) -> None:
    super().__init__()
    self.Bias = nn.Parameter(torch.zeros(c))

  def forward(self, x: Tensor) -> Tensor:
    return F.leaky_relu(x + self.Bias.view(1, -1, 1, 1), 0.2)


class Residual(nn.Module):
  """1x1, grouped and 1x1 convolution, with leaky ReLUs between."""

  def __init__(self, c: int, groups: int, gain: float) -> None:
    super().__init__()
    self.LinearLayer1, self.LinearLayer2 = Layer(c, 2 * c, gain=gain), Layer(2 * c, 2 * c, 3, groups, gain)
    self.LinearLayer3 = Layer(2 * c, c, gain=0.1)  # at 0, as it starts, the check of the weights would see little
    self.NonLinearity1, self.NonLinearity2 = Activation(2 * c), Activation(2 * c)

  def forward(self, x: Tensor) -> Tensor:
    y = self.LinearLayer2(self.NonLinearity1(self.LinearLayer1(x)))
    return x + self.LinearLayer3(self.NonLinearity2(y))


class Resampler(nn.Module):
  """Filtered, twice or half the size."""

  def __init__(self, up: bool) -> None:
    super().__init__()
    self.register_buffer('Kernel', TAPS[:, None] * TAPS)
    self.up = up

  def forward(self, x: Tensor) -> Tensor:
    return enlarged(x) if self.up else filtered(x, 1, down=2)


class Transition(nn.Module):
  """Between stages of one width."""

  def __init__(self, up: bool) -> None:
    super().__init__()
    self.Resampler = Resampler(up)

  def forward(self, x: Tensor) -> Tensor:
    return self.Resampler(x)


class First(nn.Module):
  """The latent's shares of 4x4 images."""

  def __init__(self, latent: int, c: int) -> None:
    super().__init__()
    self.Basis, self.LinearLayer = nn.Parameter(torch.randn(c, 4, 4)), nn.Linear(latent, c, bias=False)

  def forward(self, z: Tensor) -> Tensor:
    x = self.Basis * self.LinearLayer(z)[:, :, None, None]
    return x.contiguous(memory_format=torch.channels_last)


class End(nn.Module):
  """A weighted sum of the pixels of each channel, and the logit."""

  def __init__(self, c: int) -> None:
    super().__init__()
    self.Basis, self.LinearLayer = nn.Conv2d(c, c, 4, groups=c, bias=False), nn.Linear(c, 1, bias=False)

  def forward(self, x: Tensor) -> Tensor:
    return self.LinearLayer((x * self.Basis.weight[:, 0]).sum((2, 3)))


class Stage(nn.Module):
  """Layers one after the other."""

  def __init__(self, *layers: nn.Module) -> None:
    super().__init__()
    self.Layers = nn.ModuleList(layers)

  def forward(self, x: Tensor) -> Tensor:
    for layer in self.Layers:
      x = layer(x)
    return x


class Generator(nn.Module):
  """Latent [B, Z] -> image [B, 3, 32, 32]."""

  def __init__(self, width: int, groups: int, blocks: int, latent: int, stages: int = 4) -> None:
    super().__init__()
    gain = GAIN * (stages * blocks) ** -0.25
    starts = [First(latent, width), *(Transition(True) for _ in range(stages - 1))]
    self.MainLayers = nn.Sequential(
      *(Stage(start, *(Residual(width, groups, gain) for _ in range(blocks))) for start in starts)
    )
    self.AggregationLayer = Layer(width, 3)

  def forward(self, z: Tensor) -> Tensor:
    return self.AggregationLayer(self.MainLayers(z))


class Discriminator(nn.Module):
  """Image [B, 3, 32, 32] -> logits [B]."""

  def __init__(self, width: int, groups: int, blocks: int, stages: int = 4) -> None:
    super().__init__()
    gain = GAIN * (stages * blocks) ** -0.25
    ends = [*(Transition(False) for _ in range(stages - 1)), End(width)]
    self.ExtractionLayer = Layer(3, width)
    self.MainLayers = nn.Sequential(
      *(Stage(*(Residual(width, groups, gain) for _ in range(blocks)), end) for end in ends)
    )

  def forward(self, x: Tensor) -> Tensor:
    return self.MainLayers(self.ExtractionLayer(x))[:, 0]
