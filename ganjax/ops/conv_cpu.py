"""The three bilinear maps of a convolution for the CPU: each in the form that takes least there.

Groups are convolved one by one, 1x1 kernels and small maps are matrix products, 3x3 and strided 4x4 kernels of many
channels have forms with fewer products. What is left is XLA's own, in the one order of dimensions for which its kernel
is fast everywhere.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from ganjax.ops import conv_maps, patches, winograd
from ganjax.ops.conv_maps import Spec
from ganjax.types import Array

MIN_CHANNELS = 32  # below, matrix products are too thin for fewer of them to matter
MAX_BYTES = 12 * 2**20  # of the sums that are multiplied at once: above, memory costs more than the products save
MIN_GROUP = 8  # channels of a group that is convolved for itself
MAX_RESULTS = 256  # pixels, of all images, of a small map
MIN_KERNEL = 512  # numbers of each of the kernel's taps, for each result, from which on the kernel is the larger part
MAX_UNROLLED = 16  # groups that are written out: more of them are a loop, which compiles sooner


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


def small(spec: Spec, batch: int, channels: int, out_channels: int, weight: int = 1) -> bool:
  """Whether there are so few results, for the size of the kernel, that this is best read once, as it lies.

  They count `weight` times: 2 in the forward map, which sums one for each of the kernel's taps.
  """
  results = weight * batch * spec.out[0] * spec.out[1]
  plain = spec.groups == 1 and max(spec.dilation) == 1
  return plain and results <= MAX_RESULTS and results * MIN_KERNEL <= channels * out_channels


# Jitted, so that JAX traces each of them once for all layers of the same shapes: XLA inlines them.


@partial(jax.jit, static_argnums=0)
def forward(spec: Spec, x: Array, w: Array) -> Array:
  """`conv_maps.forward`, with fewer products where that pays."""
  if apart_pays(spec, x):
    return apart(forward, spec, x, w)
  if pointwise(spec):
    return (x.reshape(-1, x.shape[3]) @ w[0, 0]).reshape(*x.shape[:3], w.shape[3])
  if small(spec, x.shape[0], w.shape[2], w.shape[3], 2):
    return patches.forward(spec, x, w)
  found = plan_of(spec, x.shape[0], x.shape[3], w.shape[3])
  if found is None or x.dtype != jnp.float32:
    return conv_maps.forward(spec, x, w)
  plan, parts = found
  return join([winograd.forward(plan, part, w) for part in split(x, parts)])


@partial(jax.jit, static_argnums=0)
def input_gradient(spec: Spec, y: Array, w: Array) -> Array:
  """`conv_maps.input_gradient`, with fewer products where that pays."""
  if apart_pays(spec, y):
    return apart(input_gradient, spec, y, w)
  if pointwise(spec):
    return (y.reshape(-1, y.shape[3]) @ w[0, 0].T).reshape(*y.shape[:3], w.shape[2])
  if small(spec, y.shape[0], w.shape[2], w.shape[3]):
    return patches.input_gradient(spec, y, w)
  found = plan_of(spec, y.shape[0], w.shape[2], y.shape[3])
  if found is None or y.dtype != jnp.float32:
    return conv_maps.input_gradient(spec, y, w)
  plan, parts = found
  return join([winograd.input_gradient(plan, part, w) for part in split(y, parts)])


@partial(jax.jit, static_argnums=0)
def weight_gradient(spec: Spec, x: Array, y: Array) -> Array:
  """`conv_maps.weight_gradient`, with fewer products where that pays."""
  if apart_pays(spec, x):
    return apart(weight_gradient, spec, x, y)
  if pointwise(spec):
    return (x.reshape(-1, x.shape[3]).T @ y.reshape(-1, y.shape[3]))[None, None]
  if small(spec, x.shape[0], x.shape[3], y.shape[3]):
    return patches.weight_gradient(spec, x, y)
  found = plan_of(spec, x.shape[0], x.shape[3], y.shape[3])
  if found is None or x.dtype != jnp.float32:
    return conv_maps.weight_gradient(spec, x, y)
  plan, parts = found
  pairs = zip(split(x, parts), split(y, parts), strict=True)
  return sum(winograd.weight_gradient(plan, a, b) for a, b in pairs)  # type: ignore[return-value]
