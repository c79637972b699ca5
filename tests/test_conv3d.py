"""Convolutions of volumes: against XLA's own, as adjoints, in derivatives of derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from ganjax.ops import conv3d as ops
from ganjax.ops.conv3d import DIMENSIONS, conv3d, conv3d_transpose

FORMS = [(1, 3), (9, 2)]  # channels in and out: by patches, by depth


def native(x, w):
  return lax.conv_general_dilated(x, w, (2, 2, 2), [(1, 1)] * 3, dimension_numbers=DIMENSIONS)


def drawn(c, o, sides=(2, 4, 6)):
  rng = np.random.default_rng(c)
  return (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((2, *sides, c), (4, 4, 4, c, o)))


def by_hand(x, w):
  """The definition, voxel by voxel."""
  padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (1, 1), (0, 0)))
  y = np.zeros((len(x), *(n // 2 for n in x.shape[1:4]), w.shape[4]))
  for d, h, v in np.ndindex(y.shape[1:4]):
    seen = padded[:, 2 * d : 2 * d + 4, 2 * h : 2 * h + 4, 2 * v : 2 * v + 4]
    y[:, d, h, v] = np.einsum('bijkc,ijkco->bo', seen, w)
  return y


@pytest.mark.parametrize(('c', 'o'), FORMS)
def test_values(c, o):
  x, w = drawn(c, o)
  y = jax.jit(conv3d)(x, w)
  expected = by_hand(np.float64(x), np.float64(w))
  np.testing.assert_allclose(y, expected, atol=1e-5 * abs(expected).max())
  # The transposed one is the adjoint: <conv(x), y> = <x, transposed(y)>.
  back = jax.jit(conv3d_transpose)(y, w.swapaxes(3, 4))
  assert back.shape == x.shape
  np.testing.assert_allclose((y * y).sum(), (x * back).sum(), rtol=1e-4)


def test_first_and_second_derivatives():
  """A gradient penalty's: of squares of slopes, in the kernel, against XLA's own rules."""

  def penalty(convolve):
    def value(w, x):
      slope = jax.grad(lambda x: jnp.sum(jnp.tanh(convolve(x, w))))(x)
      return jnp.sum(jnp.square(slope))

    return jax.jit(jax.value_and_grad(value, (0, 1)))

  for c, o in FORMS:
    x, w = drawn(c, o, (4, 4, 4))
    (ours, ours_by), (theirs, theirs_by) = penalty(conv3d)(0.1 * w, x), penalty(native)(0.1 * w, x)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    for a, b in zip(ours_by, theirs_by, strict=True):
      np.testing.assert_allclose(a, b, atol=1e-5 * abs(b).max())


def test_derivatives_of_the_transposed_one():
  x, w = drawn(9, 2)
  small = conv3d(x, w)

  def theirs(y, w):
    """XLA's own, as a convolution of spread out voxels."""
    flipped = w[::-1, ::-1, ::-1]
    return lax.conv_general_dilated(
      y, flipped, (1, 1, 1), [(2, 2)] * 3, lhs_dilation=(2, 2, 2), dimension_numbers=DIMENSIONS
    )

  value = lambda f: jax.jit(jax.value_and_grad(lambda y, w: jnp.sum(jnp.sin(f(y, w))), (0, 1)))  # noqa: E731
  kernel = 0.1 * w.swapaxes(3, 4)
  (a, a_by), (b, b_by) = value(conv3d_transpose)(small, kernel), value(theirs)(small, kernel)
  np.testing.assert_allclose(a, b, rtol=1e-4)
  for ours, other in zip(a_by, b_by, strict=True):
    np.testing.assert_allclose(ours, other, atol=1e-4 * abs(other).max())


def test_other_places(monkeypatch):
  """On an accelerator XLA's own is taken; half precision stays; a population has kernels of its own."""
  x, w = drawn(9, 2)
  here = conv3d(x, w)
  kernels = jnp.stack([w, 2 * w])
  np.testing.assert_allclose(jax.vmap(conv3d, (None, 0))(x, kernels)[1], 2 * here, atol=1e-3)
  assert conv3d(x.astype(jnp.bfloat16), w.astype(jnp.bfloat16)).dtype == jnp.bfloat16
  monkeypatch.setattr(ops, 'on_cpu', lambda: False)
  np.testing.assert_allclose(conv3d(x, w), here, atol=1e-4)
  monkeypatch.undo()


def test_what_does_not_fit():
  x, w = drawn(1, 3)
  with pytest.raises(ValueError, match=r'even sides, given \(2, 5, 6, 8, 1\)'):
    conv3d(jnp.zeros((2, 5, 6, 8, 1)), w)
  for a, b in ((x[0], w), (x, w[:3]), (x, w.swapaxes(3, 4))):
    with pytest.raises(ValueError, match='takes volumes'):
      conv3d(a, b)
    with pytest.raises(ValueError, match='takes volumes'):
      conv3d_transpose(a, b)
