"""DiffAugment and ADA in plain PyTorch, as quick as was found (on the CPU), on images [B, 3, H, W] in channels_last.

The same operations as ganjax.augment with the same distributions: DiffAugment with color, translation and cutout; ADA
with blit, geometric and color. Of several ways of doing a thing the quickest is here: rows gathered by `index_select`
for translation; banded matrices for mirroring, sampling up and down (depthwise convolutions are slower);
`grid_sample` for the affine map.
"""

import math
from functools import cache

import torch
import torch.nn.functional as F

from ganjax.augment.geometric import BORDER, SYM6

Tensor = torch.Tensor


def diffaugment(x: Tensor, shift: float = 0.125, cut: float = 0.5) -> Tensor:
  """Color, translation, cutout."""
  return cutout(translate(jitter(x), shift), cut)


def jitter(x: Tensor) -> Tensor:
  """Brightness, saturation, contrast."""
  brightness, saturation, contrast = torch.rand(3, len(x), 1, 1, 1)
  x = x + (brightness - 0.5)
  x = torch.lerp(x.mean(1, keepdim=True), x, 2 * saturation)
  return torch.lerp(x.mean((1, 2, 3), keepdim=True), x, contrast + 0.5)


def translate(x: Tensor, share: float) -> Tensor:
  """Moves each image; zeros come in."""
  b, c, h, w = x.shape
  most = [round(n * share) for n in (h, w)]
  padded = F.pad(x, [most[1], most[1], most[0], most[0]]).permute(0, 2, 3, 1)
  rows, columns = (torch.randint(2 * m + 1, (b, 1)) + torch.arange(n) for m, n in zip(most, (h, w), strict=True))
  index = torch.arange(b)[:, None, None] * padded.shape[1] + rows[:, :, None]
  index = index * padded.shape[2] + columns[:, None, :]
  return padded.reshape(-1, c).index_select(0, index.flatten()).view(b, h, w, c).permute(0, 3, 1, 2)


def cutout(x: Tensor, share: float) -> Tensor:
  """A square of zeros."""
  outside = []
  for n in x.shape[2:]:
    box = round(n * share)
    start = torch.randint(n + 1 - box % 2, (len(x), 1)) - box // 2
    at = torch.arange(n)
    outside.append((at < start) | (at >= start + box))
  return x * (outside[0][:, None, :, None] | outside[1][:, None, None, :])


# ADA.


def ada(x: Tensor, p: float) -> Tensor:
  """Blit, geometric, color, each operation with probability p."""
  b, _, h, w = x.shape
  x = affine(x.contiguous(), geometry(b, h, w, p))
  matrix = colors(b, p)
  x = torch.baddbmm(matrix[:, :3, 3:], matrix[:, :3, :3], x.view(b, 3, -1)).view(b, 3, h, w)
  return x.contiguous(memory_format=torch.channels_last)


def perhaps(p: float, value: Tensor, idle: float = 0.0) -> Tensor:
  """`value` [..., B], or `idle` with probability 1 - p, one chance for each of B."""
  return torch.where(torch.rand(value.shape[-1]) < p, value, idle)


def matrix(rows: list[list[Tensor | float]], b: int) -> Tensor:
  """[B, n, n] from entries [B] or numbers."""
  entries = [entry if isinstance(entry, Tensor) else torch.full((b,), float(entry)) for row in rows for entry in row]
  return torch.stack(entries, 1).view(b, len(rows), len(rows))


def geometry(b: int, h: int, w: int, p: float) -> Tensor:
  """From the output's pixels to the input's, [B, 3, 3]."""
  size = torch.tensor([[w], [h]])
  scaled = lambda x, y: matrix([[x, 0, 0], [0, y, 0], [0, 0, 1]], b)  # noqa: E731
  moved = lambda t: matrix([[1, 0, -t[0]], [0, 1, -t[1]], [0, 0, 1]], b)  # noqa: E731

  def turned(angle: Tensor) -> Tensor:
    sin, cos = angle.sin(), angle.cos()
    return matrix([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], b)

  angle = lambda: perhaps(1 - math.sqrt(1 - p), (2 * torch.rand(b) - 1) * math.pi)  # noqa: E731
  flip = 1 - 2 * perhaps(p, torch.randint(2, (b,)).float())
  factor = perhaps(p, torch.exp2(-0.2 * torch.randn(b)), 1)
  aniso = perhaps(p, torch.exp2(0.2 * torch.randn(b)), 1)
  return (
    scaled(flip, 1)
    @ turned(perhaps(p, torch.randint(4, (b,)) * (math.pi / 2)))
    @ moved(perhaps(p, ((2 * torch.rand(2, b) - 1) * 0.125 * size).round()))
    @ scaled(factor, factor)
    @ turned(angle())
    @ scaled(1 / aniso, aniso)
    @ turned(angle())
    @ moved(perhaps(p, 0.125 * torch.randn(2, b) * size))
  )


def affine(x: Tensor, inverse: Tensor) -> Tensor:
  """Mirrors as far as the batch reaches, samples up by 2, moves, samples down."""
  b, c, h, w = x.shape
  half = torch.tensor([[(w - 1) / 2], [(h - 1) / 2]])
  corners = torch.tensor([[-1.0, -1, 1, 1], [-1, 1, -1, 1]]) * half
  reached = inverse[:, :2] @ torch.cat([corners, torch.ones(1, 4)])
  near, far = (-reached).amax((0, 2)), reached.amax((0, 2))
  ends = torch.stack([near, far]) - half.T + 2 * BORDER
  (left, top), (right, bottom) = ends.clamp(torch.zeros(2), 2 * half.T).ceil().int().tolist()
  x = mirrored(h, top, bottom) @ (x @ mirrored(w, left, right).T)
  # From pixels of the enlarged output, about its centre, to those of the enlarged input: half a pixel off each time.
  half_pixel = lambda d: torch.tensor([[1, 0, d], [0, 1, d], [0, 0, 1]])  # noqa: E731
  double = torch.diag(torch.tensor([2.0, 2, 1]))
  shift = torch.tensor([[1, 0, float(left - right)], [0, 1, float(top - bottom)], [0, 0, 1]])
  turn = shift @ half_pixel(-0.5) @ double @ inverse @ double.inverse() @ half_pixel(0.5)
  sides = [2 * (n + 2 * BORDER) for n in (w, h)]
  to_units = torch.diag(torch.tensor([2 / x.shape[3], 2 / x.shape[2], 1]))
  from_units = torch.diag(torch.tensor([sides[0] / 2, sides[1] / 2, 1]))
  grid = F.affine_grid((to_units @ turn @ from_units)[:, :2], [b, c, sides[1], sides[0]], align_corners=False)
  x = F.grid_sample(x, grid, align_corners=False)
  return reducing(h) @ (x @ reducing(w).T)


@cache
def enlarging(n: int) -> Tensor:
  """Mirrors n pixels as far as they go, n - 1 at both ends, and samples up by 2: [2 (3 n - 2), n]."""
  most, size = n - 1, 3 * n - 2
  found = torch.zeros(2 * size, n)
  for m in range(2 * size):
    for j in range(size):
      if 0 <= m - 2 * j + 5 < len(SYM6):
        k = abs(j - most)
        found[m, k if k < n else 2 * most - k] += 2 * float(SYM6[m - 2 * j + 5])
  return found


def mirrored(n: int, near: int, far: int) -> Tensor:
  """Those rows of `enlarging` that are of `near` pixels before and `far` behind: [2 (near + n + far), n]."""
  return enlarging(n)[2 * (n - 1 - near) : 2 * (2 * n - 1 + far)]


@cache
def reducing(n: int) -> Tensor:
  """Samples down by 2 to n pixels: [n, 2 (n + 2 BORDER)]."""
  found = torch.zeros(n, 2 * (n + 2 * BORDER))
  for m in range(n):
    found[m, 2 * m + 1 : 2 * m + 1 + len(SYM6)] = torch.from_numpy(SYM6)
  return found


def colors(b: int, p: float) -> Tensor:
  """One map of (r, g, b, 1), [B, 4, 4]."""
  one, grey = torch.eye(4), torch.full((4, 4), 1 / 3)
  grey[3], grey[:, 3] = 0, 0
  rest = torch.diag(torch.tensor([1.0, 1, 1, 0]))
  lift, cross = torch.zeros(4, 4), torch.zeros(4, 4)
  lift[:3, 3] = 1
  cross[:3, :3] = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
  wide = lambda x: x[:, None, None]  # noqa: E731
  angle = perhaps(p, (2 * torch.rand(b) - 1) * math.pi)
  return (
    (one + wide(perhaps(p, torch.exp2(torch.randn(b)), 1) - 1) * (rest - grey))  # saturation
    @ (one + wide(angle.cos() - 1) * (rest - grey) + wide(angle.sin()) * cross)  # hue
    @ (one - 2 * wide(perhaps(p, torch.randint(2, (b,)).float())) * grey)  # luma flip
    @ (one + wide(perhaps(p, torch.exp2(0.5 * torch.randn(b)), 1) - 1) * rest)  # contrast
    @ (one + wide(perhaps(p, 0.2 * torch.randn(b))) * lift)  # brightness
  )
