"""Our convolutions equal XLA's in values, gradients and gradients of gradient norms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from ganjax.ops import conv as ops

DIMENSIONS = ('NHWC', 'HWIO', 'NHWC')
# (height, width, channels in, channels out, kernel, options)
CASES = [
  (8, 8, 3, 4, (3, 3), {}),
  (8, 8, 4, 3, (1, 1), {}),
  (9, 7, 4, 6, (3, 3), {'stride': 2, 'padding': 1}),
  (8, 8, 4, 6, (4, 4), {'stride': 2}),
  (8, 8, 3, 6, (4, 4), {'stride': 2, 'padding': 1}),
  (7, 9, 2, 4, (5, 3), {'stride': (3, 2), 'padding': ((2, 0), (1, 3))}),
  (8, 8, 4, 2, (4, 4), {'padding': 'VALID'}),
  (8, 8, 4, 6, (3, 3), {'groups': 2}),
  (8, 8, 6, 6, (3, 3), {'groups': 6, 'stride': 2}),
  (9, 9, 2, 3, (3, 3), {'dilation': 2}),
  (8, 8, 3, 4, (1, 1), {'stride': 2, 'padding': 0}),
]
NAMES = [f'{h}x{w}-{i}to{o}-k{k}-{options}' for h, w, i, o, k, options in CASES]


def arrays(h, w, i, o, kernel, options, dtype=jnp.float32):
  groups = options.get('groups', 1)
  kx, kw = jax.random.split(jax.random.key(0))
  x = jax.random.normal(kx, (2, h, w, i), dtype)
  return x, jax.random.normal(kw, (*kernel, i // groups, o), dtype)


def reference(x, w, *, stride=1, padding='SAME', groups=1, dilation=1):
  if isinstance(padding, int):
    padding = ((padding, padding), (padding, padding))
  return lax.conv_general_dilated(
    x, w, ops.pair(stride), padding, rhs_dilation=ops.pair(dilation), dimension_numbers=DIMENSIONS,
    feature_group_count=groups,
  )  # fmt: skip


def close(ours, theirs, tolerance=2e-5):
  ours, theirs = jax.tree.leaves(ours), jax.tree.leaves(theirs)
  assert len(ours) == len(theirs)
  for a, b in zip(ours, theirs, strict=True):
    assert a.shape == b.shape
    assert a.dtype == b.dtype
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(b).max())


def penalty(f):
  """A gradient norm of a non-linear function of both arguments, as gradient penalties have."""
  inner = jax.grad(lambda x, w: jnp.sum(jnp.tanh(f(x, w)).astype(jnp.float32)), argnums=(0, 1))
  return lambda x, w: sum(jnp.sum(jnp.square(g.astype(jnp.float32))) for g in inner(x, w))


def everything(f):
  """Value, gradients, and gradients of gradient norms."""

  def run(x, w):
    loss = lambda x, w: jnp.sum(jnp.sin(f(x, w)).astype(jnp.float32))  # noqa: E731
    return f(x, w), jax.grad(loss, (0, 1))(x, w), jax.grad(penalty(f), (0, 1))(x, w)

  return jax.jit(run)


@pytest.mark.parametrize('case', CASES, ids=NAMES)
def test_conv_equals_xla(case):
  x, w = arrays(*case)
  close(
    everything(lambda x, w: ops.conv(x, w, **case[5]))(x, w), everything(lambda x, w: reference(x, w, **case[5]))(x, w)
  )


@pytest.mark.parametrize('case', CASES, ids=NAMES)
def test_native_maps_equal_xla(case):
  """What runs on GPU and TPU is the same function."""
  x, w = arrays(*case)
  spec = spec_of(x, w, **case[5])
  close(ops.native_forward(spec, x, w), reference(x, w, **case[5]))


def spec_of(x, w, **options):
  """The Spec that `conv` makes, caught on its way."""
  caught = []
  original = ops.forward
  try:
    ops.forward = lambda spec, x, w: caught.append(spec) or original(spec, x, w)
    ops.conv(x, w, **options)
  finally:
    ops.forward = original
  return caught[0]
