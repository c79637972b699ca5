"""The three bilinear maps of a convolution, as XLA has them: the right ones on GPU and TPU.

Layout: x [B, H, W, C], w [kh, kw, C / groups, O], y [B, H', W', O], what the convolution returns, or a cotangent of it.
"""

from typing import NamedTuple

from jax import lax

from ganjax.types import Array

Pairs = tuple[tuple[int, int], tuple[int, int]]
DIMENSIONS = ('NHWC', 'HWIO', 'NHWC')


class Spec(NamedTuple):
  """A strided convolution: everything about it that is not data. `size` is its input's height and width."""

  size: tuple[int, ...]
  kernel: tuple[int, ...]
  stride: tuple[int, int]
  padding: Pairs
  dilation: tuple[int, int]
  groups: int

  @property
  def out(self) -> tuple[int, int]:
    """Height and width of the result."""
    spans = [(k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True)]
    sides = zip(self.size, spans, self.stride, self.padding, strict=True)
    return tuple((n + sum(pad) - span) // s + 1 for n, span, s, pad in sides)  # type: ignore[return-value]

  @property
  def reach(self) -> tuple[tuple[int, int], ...]:
    """How many results before and behind a pixel see it, in pixels: rows, then columns."""
    sides = zip(self.kernel, self.dilation, self.padding, strict=True)
    return tuple(((k - 1) * d - low, low) for k, d, (low, _) in sides)


def swap(w: Array, groups: int) -> Array:
  """[kh, kw, C / groups, O] -> [kh, kw, O / groups, C] and back: the kernel of the opposite direction."""
  kh, kw, c, o = w.shape
  if groups == 1:
    return w.swapaxes(2, 3)
  return w.reshape(kh, kw, c, groups, o // groups).transpose(0, 1, 4, 3, 2).reshape(kh, kw, o // groups, groups * c)


def forward(spec: Spec, x: Array, w: Array) -> Array:
  """Convolves x [B, H, W, C] with w [kh, kw, C / groups, O] -> [B, H', W', O]."""
  return lax.conv_general_dilated(
    x, w, spec.stride, spec.padding, rhs_dilation=spec.dilation, dimension_numbers=DIMENSIONS,
    feature_group_count=spec.groups,
  )  # fmt: skip


def input_gradient(spec: Spec, y: Array, w: Array) -> Array:
  """Takes y [B, H', W', O] and w [kh, kw, C / groups, O] to [B, H, W, C]."""
  pads = [
    (a, n - (m - 1) * s - 1 + b) for (a, b), n, m, s in zip(spec.reach, spec.size, spec.out, spec.stride, strict=True)
  ]
  return lax.conv_general_dilated(
    y, swap(w[::-1, ::-1], spec.groups), (1, 1), pads, lhs_dilation=spec.stride, rhs_dilation=spec.dilation,
    dimension_numbers=DIMENSIONS, feature_group_count=spec.groups,
  )  # fmt: skip


def weight_gradient(spec: Spec, x: Array, y: Array) -> Array:
  """Takes x [B, H, W, C] and y [B, H', W', O] to [kh, kw, C / groups, O].

  A convolution of x's rows and columns by y's, summing over the batch, which stands where the input
  channels usually do: so written, with explicit transposes, it is fast in a loop too.
  """
  (b, *_, c), o, groups = x.shape, y.shape[3], spec.groups
  pads = [
    (b, (m - 1) * s + 1 - n + a) for (a, b), n, m, s in zip(spec.reach, spec.size, spec.out, spec.stride, strict=True)
  ]
  x = x.reshape(b, *spec.size, groups, c // groups).transpose(4, 1, 2, 3, 0)
  w = lax.conv_general_dilated(
    x.reshape(c // groups, *spec.size, groups * b), y.transpose(1, 2, 0, 3), spec.dilation, pads,
    rhs_dilation=spec.stride, dimension_numbers=DIMENSIONS, feature_group_count=groups,
  )  # fmt: skip
  return w.reshape(c // groups, *spec.kernel, o).transpose(1, 2, 0, 3)
