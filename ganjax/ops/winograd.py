"""Convolutions with fewer multiplications (Winograd 1980; Lavin and Gray 2016, arXiv:1509.09308), for the CPU.

Two results of a two-tap filter take three products instead of four, two of a three-tap one four instead
of six; in two dimensions 9 for 16 and 16 for 36. A 4x4 convolution of stride 2 is four 2x2 convolutions of
the even and odd rows and columns, summed. Each map becomes sums of neighbours, one batched matrix product,
and sums of its results: y = A'[(B x)(G w)]. All sums have coefficients 1, -1 and 1/2, so rounding errors stay those
of a direct sum. The gradients are the same three steps transposed; XLA shares the steps that they repeat.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ganjax.types import Array

Matrix = tuple[tuple[float, ...], ...]


class Plan(NamedTuple):
  """One dimension of an algorithm with two results a tile, for images padded by 1."""

  phases: int  # the stride: inputs of each phase are filtered apart
  data: Matrix  # B: [products, taps of a phase]
  kernel: Matrix  # G: [products, kernel taps of a phase]
  result: Matrix  # A': [2, products]


STRIDED = Plan(2, ((1, -1, 0), (0, 1, 0), (0, -1, 1)), ((1, 0), (1, 1), (0, 1)), ((1, 1, 0), (0, 1, 1)))
PLAIN = Plan(
  1,
  ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)),
  ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1)),
  ((1, 1, 1, 0), (0, 1, -1, -1)),
)


@partial(jax.jit, static_argnums=0)
def forward(plan: Plan, x: Array, w: Array) -> Array:
  """Convolves x [B, H, W, C] with w [k, k, C, O] -> [B, H', W', O]."""
  b, h, width, _ = x.shape
  products = jnp.einsum('knc,kco->kno', analyse(plan, x), analyse_kernel(plan, w))
  return results(plan, products, (b, h // plan.phases // 2, width // plan.phases // 2))


@partial(jax.jit, static_argnums=0)
def input_gradient(plan: Plan, y: Array, w: Array) -> Array:
  """Takes y [B, H', W', O] and w [k, k, C, O] to [B, H, W, C]."""
  b, h, width, _ = y.shape
  products = jnp.einsum('kno,kco->knc', spread(plan, y), analyse_kernel(plan, w))
  return synthesise(plan, products, (b, h // 2, width // 2))


@partial(jax.jit, static_argnums=0)
def weight_gradient(plan: Plan, x: Array, y: Array) -> Array:
  """Takes x [B, H, W, C] and y [B, H', W', O] to [k, k, C, O]."""
  return synthesise_kernel(plan, jnp.einsum('knc,kno->kco', analyse(plan, x), spread(plan, y)))


def total(coefficients: Sequence[float], terms: Sequence[Array]) -> Array:
  """The sum of the terms times their coefficients, without those that are 0."""
  return sum(t if c == 1 else -t if c == -1 else c * t for c, t in zip(coefficients, terms, strict=True) if c)  # type: ignore[return-value]


def column(matrix: Matrix, index: int) -> list[float]:
  """Column `index` of a matrix."""
  return [row[index] for row in matrix]


def analyse(plan: Plan, x: Array) -> Array:
  """Takes x [B, H, W, C] to [products^2, B * tiles, phases^2 * C]: what the kernel's taps multiply."""
  padded, c = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), x.shape[-1]

  def one(x: Array, axis: int) -> list[list[Array]]:
    """[phase][product], at every tile along `axis`."""
    step = 2 * plan.phases
    count = (x.shape[axis] - 2) // step
    before = (slice(None),) * axis
    taps = [x[(*before, slice(k, k + step * (count - 1) + 1, step))] for k in range(plan.phases * len(plan.data[0]))]
    return [[total(row, taps[phase :: plan.phases]) for row in plan.data] for phase in range(plan.phases)]

  found = [[one(x, 2) for x in rows] for rows in one(padded, 1)]
  ps, qs = range(plan.phases), range(len(plan.data))
  return jnp.stack([
    jnp.concatenate([found[a][p][b][q] for a in ps for b in ps], -1).reshape(-1, plan.phases**2 * c)
    for p in qs for q in qs
  ])  # fmt: skip


def synthesise(plan: Plan, products: Array, tiles: tuple[int, int, int]) -> Array:
  """The transpose of `analyse`: [products^2, B * tiles, phases^2 * C] -> [B, H, W, C]; `tiles` is (B, rows, columns)."""
  count, phases, step = len(plan.data), plan.phases, 2 * plan.phases
  x = products.reshape(count, count, *tiles, phases, phases, -1)
  ps, qs = range(phases), range(count)

  def one(forms: list[list[Array]], axis: int) -> Array:
    """Undoes `one` of `analyse`: a tap that reaches into the next tile is added there."""
    pixels = []
    for pixel in range(step):
      parts = []
      for tile in (-1, 0, 1):
        tap, phase = divmod(pixel + 1 - step * tile, phases)
        if 0 <= tap < len(plan.data[0]):
          parts.append(moved(total(column(plan.data, tap), forms[phase]), tile, axis))
      pixels.append(sum(parts))
    stacked = jnp.stack(pixels, axis + 1)  # type: ignore[arg-type]
    return stacked.reshape(*stacked.shape[:axis], -1, *stacked.shape[axis + 2 :])

  rows = [[one([[x[p, q, ..., a, b, :] for q in qs] for b in ps], 2) for p in qs] for a in ps]
  return one(rows, 1)


def moved(x: Array, by: int, axis: int) -> Array:
  """Puts entry i + by of x at place i along `axis`, zeros where there is none."""
  if by == 0:
    return x
  pads = [(0, 0)] * x.ndim
  pads[axis] = (max(-by, 0), max(by, 0))
  start = max(by, 0)
  return jnp.pad(x, pads)[(*(slice(None),) * axis, slice(start, start + x.shape[axis]))]


def results(plan: Plan, products: Array, tiles: tuple[int, int, int]) -> Array:
  """[products^2, B * tiles, O] -> [B, H', W', O]."""
  count = len(plan.data)
  m = products.reshape(count, count, *tiles, -1)
  rows = [[total(row, [m[p, q] for p in range(count)]) for q in range(count)] for row in plan.result]
  grid = jnp.stack([jnp.stack([total(row, columns) for row in plan.result], 3) for columns in rows], 2)
  b, h, width = tiles
  return grid.reshape(b, 2 * h, 2 * width, -1)  # from [B, rows, 2, columns, 2, O]


def spread(plan: Plan, y: Array) -> Array:
  """The transpose of `results`: y [B, H', W', O] -> [products^2, B * tiles, O]."""
  ps = range(len(plan.data))
  rows = [total(column(plan.result, p), [y[:, 0::2], y[:, 1::2]]) for p in ps]
  return jnp.stack([
    total(column(plan.result, q), [row[:, :, 0::2], row[:, :, 1::2]]).reshape(-1, y.shape[-1]) for row in rows for q in ps
  ])  # fmt: skip


def analyse_kernel(plan: Plan, w: Array) -> Array:
  """Takes w [k, k, C, O] to [products^2, phases^2 * C, O]."""
  s, taps, count, (*_, c, o) = plan.phases, len(plan.kernel[0]), len(plan.data), w.shape
  w = w.reshape(taps, s, taps, s, c, o)
  w = jnp.stack([total(row, [w[u] for u in range(taps)]) for row in plan.kernel])
  w = jnp.stack([total(row, [w[:, :, u] for u in range(taps)]) for row in plan.kernel], 1)
  return w.reshape(count**2, s * s * c, o)


def synthesise_kernel(plan: Plan, g: Array) -> Array:
  """The transpose of `analyse_kernel`: [products^2, phases^2 * C, O] -> [k, k, C, O]."""
  s, taps, count = plan.phases, len(plan.kernel[0]), len(plan.data)
  g = g.reshape(count, count, s, s, -1, g.shape[-1])
  g = jnp.stack(
    [total(column(plan.kernel, u), [g[p] for p in range(count)]) for u in range(taps)]
  )  # [u, q, a, b, C, O]
  g = jnp.stack(
    [total(column(plan.kernel, u), [g[:, q] for q in range(count)]) for u in range(taps)], 2
  )  # [u, a, v, b, ...]
  return g.reshape(taps * s, taps * s, *g.shape[4:])
