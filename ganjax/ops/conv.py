"""Convolution and transposed convolution, fast forward, backward and twice differentiated.

XLA's own rules are the right ones on GPU and TPU. On the CPU the derivatives that JAX writes down (a
transposed convolution's, and any weight gradient inside `scan`, `cond` or `vmap`) miss XLA's fast kernels
by a factor of 15 to 90. There this file differentiates by hand: convolution, its input gradient and its
weight gradient are three bilinear maps, each one's derivatives are the two others, so the set is closed
under reverse differentiation of any order. Each map has one implementation, written in the one order of
dimensions for which XLA's kernel is fast everywhere. `jvp` (forward mode) is not defined on the CPU.

Layout: x [B, H, W, C], w [kh, kw, C / groups, O], result [B, H', W', O].
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap

from ganjax.ops import winograd
from ganjax.types import Array

Pairs = tuple[tuple[int, int], tuple[int, int]]
Padding = str | int | Sequence[tuple[int, int]]
MIN_CHANNELS = 32  # below, matrix products are too thin for fewer of them to matter
MAX_BYTES = 12 * 2**20  # of the sums that are multiplied at once: above, memory costs more than the products save
MIN_GROUP = 8  # channels of a group that is convolved for itself
MAX_UNROLLED = 16  # groups that are written out: more of them are a loop, which compiles sooner
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


def conv(
  x: Array,
  w: Array,
  *,
  stride: int | tuple[int, int] = 1,
  padding: Padding = 'SAME',
  groups: int = 1,
  dilation: int | tuple[int, int] = 1,
) -> Array:
  """Convolution (cross-correlation) of x [B, H, W, C] with w [kh, kw, C / groups, O] -> [B, H', W', O].

  Args:
    x: images.
    w: kernel, of x's dtype.
    stride: one number or (rows, columns).
    padding: 'SAME' (H' = ceil(H / stride)), 'VALID' (none), a number for all four sides, or
      ((top, bottom), (left, right)).
    groups: input and output channels are split into so many groups that don't see each other.
    dilation: distance between a kernel's taps.

  Raises:
    ValueError: channels, groups or padding that do not fit.
  """
  stride, dilation = pair(stride), pair(dilation)
  if x.shape[3] != w.shape[2] * groups or w.shape[3] % groups:
    raise ValueError(f'conv: input {x.shape} and kernel {w.shape} do not fit with {groups} group(s)')
  spans = [(k - 1) * d + 1 for k, d in zip(w.shape, dilation, strict=False)]
  pads = tuple(same(n, k, s) for n, k, s in zip(x.shape[1:3], spans, stride, strict=True))
  spec = Spec(x.shape[1:3], w.shape[:2], stride, resolve(padding, pads), dilation, groups)
  if min(spec.out) < 1:
    raise ValueError(f'conv: kernel {w.shape} with padding {padding!r} is larger than the input {x.shape}')
  return (forward if on_cpu() else native_forward)(spec, x, w)


def conv_transpose(
  x: Array,
  w: Array,
  *,
  stride: int | tuple[int, int] = 2,
  padding: Padding = 'SAME',
  output_padding: int | tuple[int, int] = 0,
  groups: int = 1,
) -> Array:
  """Transposed convolution of x [B, H, W, C] with w [kh, kw, C, O / groups] -> [B, H', W', O].

  It is the gradient, with respect to its input, of the `conv` that takes O channels to C with the same
  stride and padding and the kernel w with its last two axes swapped. Taps are not flipped:
  each x[h, w] adds x @ w[i, j] to output row h * stride + i - top and column w * stride + j - left.

  PyTorch's ConvTranspose2d(C, O, k, s, p, output_padding=q) with weight W [C, O, kh, kw] is
  `conv_transpose(x, W.transpose(2, 3, 0, 1), stride=s, padding=p, output_padding=q)`.

  Args:
    x: images.
    w: kernel, of x's dtype.
    stride: one number or (rows, columns).
    padding: of the convolution that this transposes: rows and columns cut off the result.
      'SAME': H' = H * stride; 'VALID': none cut off.
    output_padding: further rows at the bottom and columns at the right, H' = (H - 1) * stride
      - top - bottom + kh + output_padding. Not with 'SAME', which fixes H'.
    groups: input and output channels are split into so many groups.

  Raises:
    ValueError: channels, groups or padding that do not fit.
  """
  stride, extra = pair(stride), pair(output_padding)
  if x.shape[3] != w.shape[2] or x.shape[3] % groups:
    raise ValueError(f'conv_transpose: input {x.shape} and kernel {w.shape} do not fit with {groups} group(s)')
  if padding == 'SAME':
    if any(extra):
      raise ValueError("conv_transpose: output_padding has no meaning with padding 'SAME'")
    size = tuple(n * s for n, s in zip(x.shape[1:3], stride, strict=True))
    pads = tuple(same(n, k, s) for n, k, s in zip(size, w.shape, stride, strict=False))
  else:
    pads = resolve(padding, ())
    sides = zip(x.shape[1:3], stride, pads, w.shape[:2], extra, strict=True)
    size = tuple((n - 1) * s - sum(p) + k + q for n, s, p, k, q in sides)
  spec = Spec(size, w.shape[:2], stride, pads, (1, 1), groups)  # type: ignore[arg-type]
  if min(size) < 1 or spec.out != x.shape[1:3]:
    raise ValueError(f'conv_transpose: padding {padding!r}, output_padding {output_padding} do not fit {w.shape}')
  return (input_gradient if on_cpu() else native_input_gradient)(spec, x, w.swapaxes(2, 3))


def conv_pool(x: Array, w: Array) -> Array:
  """The 'SAME' convolution of x [B, 2H, 2W, C] with w [3, 3, C, O], then means over 2x2 pixels: [B, H, W, O].

  It is one convolution of stride 2 whose 4x4 kernel is the mean of w at four places: 16 products a
  result instead of 36.
  """
  if w.shape[:2] != (3, 3) or x.shape[1] % 2 or x.shape[2] % 2:
    raise ValueError(f'conv_pool: takes 3x3 kernels and even images, given {w.shape} and {x.shape}')
  shifted = [jnp.pad(w, ((i, 1 - i), (j, 1 - j), (0, 0), (0, 0))) for i in (0, 1) for j in (0, 1)]
  return conv(x, jnp.stack(shifted).mean(0), stride=2, padding=1)


def on_cpu() -> bool:
  """Whether programs traced now run on the CPU, as far as can be known then."""
  return jax.default_backend() == 'cpu'


def pair(value: int | tuple[int, int]) -> tuple[int, int]:
  """One number for rows and columns, or a number for each."""
  return (value, value) if isinstance(value, int) else tuple(value)  # type: ignore[return-value]


def same(size: int, span: int, stride: int) -> tuple[int, int]:
  """Padding for ceil(size / stride) results; the odd one goes behind."""
  total = max((-(-size // stride) - 1) * stride + span - size, 0)
  return total // 2, total - total // 2


def resolve(padding: Padding, pads: tuple) -> Pairs:
  """`padding` as ((top, bottom), (left, right)); `pads` are those of 'SAME'."""
  if isinstance(padding, int):
    return ((padding, padding), (padding, padding))
  if isinstance(padding, str):
    if padding not in ('SAME', 'VALID'):
      raise ValueError(f"padding: {padding!r}; valid are 'SAME', 'VALID', a number, or two pairs of numbers")
    return pads if padding == 'SAME' else ((0, 0), (0, 0))
  (top, bottom), (left, right) = padding
  return ((top, bottom), (left, right))


def swap(w: Array, groups: int) -> Array:
  """[kh, kw, C / groups, O] -> [kh, kw, O / groups, C] and back: the kernel of the opposite direction."""
  kh, kw, c, o = w.shape
  if groups == 1:
    return w.swapaxes(2, 3)
  return w.reshape(kh, kw, c, groups, o // groups).transpose(0, 1, 4, 3, 2).reshape(kh, kw, o // groups, groups * c)


# The three bilinear maps, as XLA has them. `y` is what the convolution returns, or a cotangent of it.


def native_forward(spec: Spec, x: Array, w: Array) -> Array:
  """Convolves x [B, H, W, C] with w [kh, kw, C / groups, O] -> [B, H', W', O]."""
  return lax.conv_general_dilated(
    x, w, spec.stride, spec.padding, rhs_dilation=spec.dilation, dimension_numbers=DIMENSIONS,
    feature_group_count=spec.groups,
  )  # fmt: skip


def native_input_gradient(spec: Spec, y: Array, w: Array) -> Array:
  """Takes y [B, H', W', O] and w [kh, kw, C / groups, O] to [B, H, W, C]."""
  pads = [
    (a, n - (m - 1) * s - 1 + b) for (a, b), n, m, s in zip(spec.reach, spec.size, spec.out, spec.stride, strict=True)
  ]
  return lax.conv_general_dilated(
    y, swap(w[::-1, ::-1], spec.groups), (1, 1), pads, lhs_dilation=spec.stride, rhs_dilation=spec.dilation,
    dimension_numbers=DIMENSIONS, feature_group_count=spec.groups,
  )  # fmt: skip


def native_weight_gradient(spec: Spec, x: Array, y: Array) -> Array:
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


# The same maps with derivatives of their own: each one's are the two others.


def plan_of(spec: Spec, batch: int, channels: int, out_channels: int) -> tuple[winograd.Plan, int] | None:
  """The algorithm with fewer products, if there is one and it pays, and in how many parts it takes the batch."""
  stride = spec.stride[0]
  plan = {(4, 2): winograd.STRIDED, (3, 1): winograd.PLAIN}.get((spec.kernel[0], stride))
  square = spec.kernel[0] == spec.kernel[1] and stride == spec.stride[1]
  if plan is None or not square or spec.groups > 1 or max(spec.dilation) > 1 or spec.padding != ((1, 1), (1, 1)):
    return None
  if any(n % (2 * stride) for n in spec.size) or min(channels, out_channels) < MIN_CHANNELS:
    return None
  tiles = spec.out[0] * spec.out[1] // 4
  each = 4 * len(plan.data) ** 2 * tiles * max(stride**2 * channels, out_channels)
  parts = next((n for n in range(1, batch + 1) if batch % n == 0 and batch // n * each <= MAX_BYTES), None)
  if parts is None or (parts > 1 and stride == 1 and min(channels, out_channels) < 4 * MIN_CHANNELS):
    return None  # measured: 64 channels of 32 x 32 lose by it, 128 win
  return plan, parts


def split(x: Array, parts: int) -> list[Array]:
  """Every `parts`-th image, from each of the first ones on: strided, so that images stay on their devices."""
  return [x] if parts == 1 else [x.reshape(-1, parts, *x.shape[1:])[:, i] for i in range(parts)]


def join(xs: list[Array]) -> Array:
  """Undoes `split`."""
  return xs[0] if len(xs) == 1 else jnp.stack(xs, 1).reshape(-1, *xs[0].shape[1:])


def apart_pays(spec: Spec, x: Array) -> bool:
  """Whether the groups are convolved one by one: of few channels each, depthwise above all, that is not worth it."""
  return spec.groups > 1 and x.shape[3] >= MIN_GROUP * spec.groups


def apart(compute: Callable[..., Array], spec: Spec, a: Array, b: Array) -> Array:
  """`compute(spec, a, b)` group by group: XLA's grouped convolution takes four times as long as all of them."""
  one = partial(compute, spec._replace(groups=1))
  if spec.groups <= MAX_UNROLLED:
    pairs = zip(*(jnp.split(x, spec.groups, 3) for x in (a, b)), strict=True)
    return jnp.concatenate([one(*pair) for pair in pairs], 3)
  # No cliff: each map has a loop of its own, of convolutions in canonical order; none is differentiated inside it.
  a, b = (jnp.moveaxis(x.reshape(*x.shape[:3], spec.groups, -1), 3, 0) for x in (a, b))
  out = jnp.moveaxis(lax.map(lambda pair: one(*pair), (a, b)), 0, 3)
  return out.reshape(*out.shape[:3], -1)


def pointwise(spec: Spec) -> bool:
  """Whether each result sees one pixel, and each pixel has one result: a matrix product, sooner done as such."""
  return spec._replace(size=()) == Spec((), (1, 1), (1, 1), ((0, 0), (0, 0)), spec.dilation, 1)


# Jitted, so that JAX traces each of them once for all layers of the same shapes: XLA inlines them.


@partial(jax.jit, static_argnums=0)
def cpu_forward(spec: Spec, x: Array, w: Array) -> Array:
  """`native_forward`, with fewer products where that pays."""
  if apart_pays(spec, x):
    return apart(cpu_forward, spec, x, w)
  if pointwise(spec):
    return (x.reshape(-1, x.shape[3]) @ w[0, 0]).reshape(*x.shape[:3], w.shape[3])
  found = plan_of(spec, x.shape[0], x.shape[3], w.shape[3])
  if found is None or x.dtype != jnp.float32:
    return native_forward(spec, x, w)
  plan, parts = found
  return join([winograd.forward(plan, part, w) for part in split(x, parts)])


@partial(jax.jit, static_argnums=0)
def cpu_input_gradient(spec: Spec, y: Array, w: Array) -> Array:
  """`native_input_gradient`, with fewer products where that pays."""
  if apart_pays(spec, y):
    return apart(cpu_input_gradient, spec, y, w)
  if pointwise(spec):
    return (y.reshape(-1, y.shape[3]) @ w[0, 0].T).reshape(*y.shape[:3], w.shape[2])
  found = plan_of(spec, y.shape[0], w.shape[2], y.shape[3])
  if found is None or y.dtype != jnp.float32:
    return native_input_gradient(spec, y, w)
  plan, parts = found
  return join([winograd.input_gradient(plan, part, w) for part in split(y, parts)])


@partial(jax.jit, static_argnums=0)
def cpu_weight_gradient(spec: Spec, x: Array, y: Array) -> Array:
  """`native_weight_gradient`, with fewer products where that pays."""
  if apart_pays(spec, x):
    return apart(cpu_weight_gradient, spec, x, y)
  if pointwise(spec):
    return (x.reshape(-1, x.shape[3]).T @ y.reshape(-1, y.shape[3]))[None, None]
  found = plan_of(spec, x.shape[0], x.shape[3], y.shape[3])
  if found is None or x.dtype != jnp.float32:
    return native_weight_gradient(spec, x, y)
  plan, parts = found
  pairs = zip(split(x, parts), split(y, parts), strict=True)
  return sum(winograd.weight_gradient(plan, a, b) for a, b in pairs)  # type: ignore[return-value]


def one_by_one(compute: Callable[..., Array], spec: Spec, a: Array, b: Array) -> Array:
  """`compute(spec, a, b)` that under `vmap` folds copies of the images into the batch, or takes them in turn.

  Copies of the kernel would otherwise become groups of one slow convolution.
  """
  call = custom_vmap(partial(compute, spec))

  @call.def_vmap
  def rule(count: int, batched: tuple[bool, bool], a: Array, b: Array) -> tuple[Array, bool]:
    if batched[0] and not batched[1] and compute is not cpu_weight_gradient:
      out = one_by_one(compute, spec, a.reshape(-1, *a.shape[2:]), b)
      return out.reshape(count, -1, *out.shape[1:]), True
    a, b = (
      x if is_batched else jnp.broadcast_to(x, (count, *x.shape)) for x, is_batched in zip((a, b), batched, strict=True)
    )
    return lax.map(lambda pair: one_by_one(compute, spec, *pair), (a, b)), True

  return call(a, b)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def forward(spec: Spec, x: Array, w: Array) -> Array:
  """`native_forward` with the derivatives below."""
  return one_by_one(cpu_forward, spec, x, w)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def input_gradient(spec: Spec, y: Array, w: Array) -> Array:
  """`native_input_gradient` with the derivatives below."""
  return one_by_one(cpu_input_gradient, spec, y, w)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def weight_gradient(spec: Spec, x: Array, y: Array) -> Array:
  """`native_weight_gradient` with the derivatives below."""
  return one_by_one(cpu_weight_gradient, spec, x, y)


forward.defvjp(
  lambda spec, x, w: (forward(spec, x, w), (x, w)),
  lambda spec, saved, g: (input_gradient(spec, g, saved[1]), weight_gradient(spec, saved[0], g)),
)
input_gradient.defvjp(
  lambda spec, y, w: (input_gradient(spec, y, w), (y, w)),
  lambda spec, saved, g: (forward(spec, g, saved[1]), weight_gradient(spec, g, saved[0])),
)
weight_gradient.defvjp(
  lambda spec, x, y: (weight_gradient(spec, x, y), (x, y)),
  lambda spec, saved, g: (input_gradient(spec, saved[1], g), forward(spec, saved[0], g)),
)
