"""Convolution and transposed convolution, fast forward, backward and twice differentiated.

XLA's own rules are the right ones on GPU and TPU. On the CPU the derivatives that JAX writes down (a
transposed convolution's, and any weight gradient inside `scan`, `cond` or `vmap`) miss XLA's fast kernels
by a factor of 15 to 90. There this file differentiates by hand: convolution, its input gradient and its
weight gradient are three bilinear maps, each one's derivatives are the two others, so the set is closed
under reverse differentiation of any order. Their forms for the CPU are in conv_cpu.py. `jvp` (forward mode) is not defined
on the CPU.

Layout: x [B, H, W, C], w [kh, kw, C / groups, O], result [B, H', W', O].
"""

from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap

from ganjax.ops import conv_cpu, conv_maps
from ganjax.ops.conv_maps import Pairs, Spec
from ganjax.types import Array

Padding = str | int | Sequence[tuple[int, int]]


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
  return (forward if on_cpu() else conv_maps.forward)(spec, x, w)


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
  return (input_gradient if on_cpu() else conv_maps.input_gradient)(spec, x, w.swapaxes(2, 3))


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


# The same maps with derivatives of their own: each one's are the two others.


def one_by_one(compute: Callable[..., Array], spec: Spec, a: Array, b: Array) -> Array:
  """`compute(spec, a, b)` that under `vmap` folds copies of the images into the batch, or takes them in turn.

  Copies of the kernel would otherwise become groups of one slow convolution.
  """
  call = custom_vmap(partial(compute, spec))

  @call.def_vmap
  def rule(count: int, batched: tuple[bool, bool], a: Array, b: Array) -> tuple[Array, bool]:
    if batched[0] and not batched[1] and compute is not conv_cpu.weight_gradient:
      out = one_by_one(compute, spec, a.reshape(-1, *a.shape[2:]), b)
      return out.reshape(count, -1, *out.shape[1:]), True
    a, b = (
      x if is_batched else jnp.broadcast_to(x, (count, *x.shape)) for x, is_batched in zip((a, b), batched, strict=True)
    )
    return lax.map(lambda pair: one_by_one(compute, spec, *pair), (a, b)), True

  return call(a, b)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def forward(spec: Spec, x: Array, w: Array) -> Array:
  """`conv_maps.forward` with the derivatives below."""
  return one_by_one(conv_cpu.forward, spec, x, w)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def input_gradient(spec: Spec, y: Array, w: Array) -> Array:
  """`conv_maps.input_gradient` with the derivatives below."""
  return one_by_one(conv_cpu.input_gradient, spec, y, w)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def weight_gradient(spec: Spec, x: Array, y: Array) -> Array:
  """`conv_maps.weight_gradient` with the derivatives below."""
  return one_by_one(conv_cpu.weight_gradient, spec, x, y)


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
