"""BigGAN for 32 x 32 in plain PyTorch (Brock et al. 2019, arXiv:1809.11096), hierarchical latents, no attention.

Names are those of the authors' state dicts, so that `ganjax.interop` reads the weights.
"""

import torch
import torch.nn.functional as F
from torch import nn

EPSILON = 1e-12
BLOCKS = 3
Tensor = torch.Tensor


class Spectral(nn.Module):
  """A layer's weight [O, ...] divided by its largest singular value; a power iteration each forward."""

  def __init__(self, layer: nn.Module) -> None:
    super().__init__()
    self.weight, self.bias = layer.weight, layer.bias if hasattr(layer, 'bias') else None
    self.register_buffer('u0', torch.randn(1, len(self.weight)))
    self.register_buffer('sv0', torch.ones(1))

  def normal(self) -> Tensor:
    """The weight to compute with."""
    w = self.weight.flatten(1)
    with torch.no_grad():
      v = F.normalize(self.u0 @ w, eps=EPSILON)
      u = F.normalize(v @ w.T, eps=EPSILON)
      if self.training:
        self.u0.copy_(u)
    return self.weight / (v @ w.T @ u.T)


class Conv(Spectral):
  """A 'SAME' convolution."""

  def __init__(self, i: int, o: int, kernel: int = 3) -> None:
    super().__init__(nn.Conv2d(i, o, kernel))
    self.padding = kernel // 2

  def forward(self, x: Tensor) -> Tensor:
    return F.conv2d(x, self.normal(), self.bias, padding=self.padding)


class Dense(Spectral):
  """A matrix product."""

  def __init__(self, i: int, o: int, bias: bool = True) -> None:
    super().__init__(nn.Linear(i, o, bias))

  def forward(self, x: Tensor) -> Tensor:
    return F.linear(x, self.normal(), self.bias)


class Embed(Spectral):
  """A row for each class."""

  def __init__(self, classes: int, o: int) -> None:
    super().__init__(nn.Embedding(classes, o))

  def forward(self, label: Tensor) -> Tensor:
    return F.embedding(label, self.normal())


class Norm(nn.Module):
  """Batch norm with gains and biases of the condition."""

  def __init__(self, c: int, condition: int) -> None:
    super().__init__()
    self.gain, self.bias = Dense(condition, c, False), Dense(condition, c, False)
    self.register_buffer('stored_mean', torch.zeros(c))
    self.register_buffer('stored_var', torch.ones(c))

  def forward(self, x: Tensor, y: Tensor) -> Tensor:
    x = F.batch_norm(x, self.stored_mean, self.stored_var, None, None, self.training, 0.1)
    wide = lambda t: t[:, :, None, None]  # noqa: E731
    return torch.addcmul(wide(self.bias(y)), x, wide(1 + self.gain(y)))


class LastNorm(nn.Module):
  """Batch norm with gain and bias."""

  def __init__(self, c: int) -> None:
    super().__init__()
    self.gain, self.bias = nn.Parameter(torch.ones(c)), nn.Parameter(torch.zeros(c))
    self.register_buffer('stored_mean', torch.zeros(c))
    self.register_buffer('stored_var', torch.ones(c))

  def forward(self, x: Tensor) -> Tensor:
    return F.batch_norm(x, self.stored_mean, self.stored_var, self.gain, self.bias, self.training, 0.1)


class Up(nn.Module):
  """A block of G."""

  def __init__(self, c: int, condition: int) -> None:
    super().__init__()
    self.conv1, self.conv2, self.conv_sc = Conv(c, c), Conv(c, c), Conv(c, c, 1)
    self.bn1, self.bn2 = Norm(c, condition), Norm(c, condition)

  def forward(self, x: Tensor, y: Tensor) -> Tensor:
    h = self.conv1(F.interpolate(F.relu(self.bn1(x, y)), scale_factor=2))
    h = self.conv2(F.relu(self.bn2(h, y)))
    return h + self.conv_sc(F.interpolate(x, scale_factor=2))


class Generator(nn.Module):
  """Latent [B, Z], label [B] -> image [B, 3, 32, 32]."""

  def __init__(self, width: int, classes: int, latent: int, shared: int) -> None:
    super().__init__()
    c, share = 4 * width, latent // (BLOCKS + 1)
    self.shared = nn.Embedding(classes, shared)
    self.linear = Dense(share, 16 * c)
    self.blocks = nn.ModuleList(nn.ModuleList([Up(c, shared + share)]) for _ in range(BLOCKS))
    self.output_layer = nn.Sequential(LastNorm(c), nn.ReLU(True), Conv(c, 3))
    self.c = c

  def forward(self, z: Tensor, label: Tensor) -> Tensor:
    first, *rest = z.chunk(BLOCKS + 1, 1)
    y = self.shared(label)
    x = self.linear(first).view(-1, self.c, 4, 4).contiguous(memory_format=torch.channels_last)
    for (block,), share in zip(self.blocks, rest, strict=True):
      x = block(x, torch.cat([y, share], 1))
    return self.output_layer(x).tanh()


class Down(nn.Module):
  """A block of D."""

  def __init__(self, i: int, o: int, down: bool, first: bool) -> None:
    super().__init__()
    self.conv1, self.conv2 = Conv(i, o), Conv(o, o)
    self.conv_sc = Conv(i, o, 1) if down else None
    self.down, self.first = down, first

  def forward(self, x: Tensor) -> Tensor:
    h = self.conv2(F.relu(self.conv1(x if self.first else F.relu(x))))
    if not self.down:
      return h + x
    if self.first:
      return F.avg_pool2d(h, 2) + self.conv_sc(F.avg_pool2d(x, 2))
    return F.avg_pool2d(h + self.conv_sc(x), 2)


class Discriminator(nn.Module):
  """Image [B, 3, 32, 32], label [B] -> logits [B]."""

  def __init__(self, width: int, classes: int) -> None:
    super().__init__()
    c = 4 * width
    sizes = [(3, True, True), (c, True, False), (c, False, False), (c, False, False)]
    self.blocks = nn.ModuleList(nn.ModuleList([Down(i, c, down, first)]) for i, down, first in sizes)
    self.linear, self.embed = Dense(c, 1), Embed(classes, c)

  def forward(self, x: Tensor, label: Tensor) -> Tensor:
    for (block,) in self.blocks:
      x = block(x)
    x = F.relu(x).sum((2, 3))
    return self.linear(x)[:, 0] + (self.embed(label) * x).sum(1)
