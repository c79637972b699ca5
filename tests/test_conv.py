"""Our convolutions equal XLA's in values, gradients and gradients of gradient norms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from ganjax.ops import conv as ops
from ganjax.ops import conv_cpu, patches, resample, winograd

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
  (6, 6, 16, 32, (3, 3), {'groups': 2}),
  (4, 4, 136, 136, (3, 3), {'groups': 17, 'stride': 2}),
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


# The algorithm with fewer products: its own maps, over shapes that `plan_of` would take with more channels.
PLANS = [
  (winograd.STRIDED, 4, 2, 8, 12),
  (winograd.STRIDED, 4, 2, 4, 4),
  (winograd.PLAIN, 3, 1, 6, 8),
  (winograd.PLAIN, 3, 1, 2, 2),
]


@pytest.mark.parametrize(('plan', 'k', 'stride', 'h', 'w'), PLANS)
def test_fewer_products_equal_xla(plan, k, stride, h, w):
  x, kernel = arrays(h, w, 3, 5, (k, k), {})
  g = jax.random.normal(jax.random.key(1), (2, h // stride, w // stride, 5))

  @jax.jit
  def both(x, kernel, g):
    y, pull = jax.vjp(lambda x, kernel: reference(x, kernel, stride=stride, padding=1), x, kernel)
    gradients = winograd.input_gradient(plan, g, kernel), winograd.weight_gradient(plan, x, g)
    return (winograd.forward(plan, x, kernel), gradients), (y, pull(g))

  close(*both(x, kernel, g), 1e-5)


@pytest.mark.parametrize(('k', 'stride', 'parts'), [(4, 2, 1), (4, 2, 2), (3, 1, 1), (3, 1, 2)])
def test_wide_layers_take_fewer_products_and_stay_closed(k, stride, parts, monkeypatch):
  x, w = arrays(8, 8, 32, 32, (k, k), {})
  w = w / 20
  spec = conv_cpu.Spec((8, 8), (k, k), (stride, stride), ((1, 1), (1, 1)), (1, 1), 1)
  if parts == 2:
    monkeypatch.setattr(conv_cpu, 'MIN_CHANNELS', 8)
    monkeypatch.setattr(conv_cpu, 'MAX_BYTES', 4 * 9 * 4 * 128 if stride == 2 else 4 * 16 * 16 * 32)
  found = conv_cpu.plan_of(spec, 2, 32, 32)
  assert found is not None
  assert found[1] == parts
  ours = everything(lambda x, w: ops.conv(x, w, stride=stride, padding=1))
  close(ours(x, w), everything(lambda x, w: reference(x, w, stride=stride, padding=1))(x, w))


# Small maps: the kernel's outer taps may lie on the padding alone, and the image's last pixels may be seen by none.
SMALL = [(4, 4, 4, 2, 1), (2, 2, 4, 2, 1), (3, 2, 3, 1, 1), (5, 4, 3, 2, 0), (1, 1, 3, 1, 1), (4, 5, 4, 1, 1)]


@pytest.mark.parametrize(('h', 'w', 'k', 'stride', 'padding'), SMALL)
def test_small_maps_of_many_channels_equal_xla(h, w, k, stride, padding, monkeypatch):
  monkeypatch.setattr(conv_cpu, 'MIN_KERNEL', 1)
  called = []
  for name in ('forward', 'input_gradient', 'weight_gradient'):
    own = getattr(patches, name)
    monkeypatch.setattr(patches, name, lambda *given, own=own, name=name: called.append(name) or own(*given))
  x, kernel = arrays(h, w, 15, 17, (k, k), {})
  ours = everything(lambda x, w: ops.conv(x, w / 10, stride=stride, padding=padding))(x, kernel)
  assert set(called) == {'forward', 'input_gradient', 'weight_gradient'}
  close(ours, everything(lambda x, w: reference(x, w / 10, stride=stride, padding=padding))(x, kernel))


def transposed_reference(x, w, size, **options):
  """The gradient of a convolution with respect to its input [2, *size, O], by JAX."""
  zero = jnp.zeros((x.shape[0], *size, w.shape[2]))
  return jax.linear_transpose(lambda image: reference(image, w, **options), zero)(x)[0]


TRANSPOSED = [
  # height, width, kernel, ours, size of the result, the convolution's options
  (4, 4, (4, 4), {'stride': 2}, (8, 8), {'stride': 2}),
  (4, 5, (4, 4), {'stride': 2, 'padding': 1}, (8, 10), {'stride': 2, 'padding': 1}),
  (4, 4, (3, 3), {'stride': 2, 'padding': 1, 'output_padding': 1}, (8, 8), {'stride': 2, 'padding': 1}),
  (3, 3, (5, 5), {'stride': 3, 'padding': 'VALID'}, (11, 11), {'stride': 3, 'padding': 'VALID'}),
  (4, 4, (3, 3), {'stride': 1, 'padding': 1}, (4, 4), {'padding': 1}),
]


@pytest.mark.parametrize('case', TRANSPOSED, ids=[str(case[2:4]) for case in TRANSPOSED])
@pytest.mark.parametrize('channels', [(3, 4), (32, 32)])
def test_conv_transpose_is_the_input_gradient(case, channels):
  h, w, kernel, options, size, conv_options = case
  x, k = arrays(h, w, *channels, kernel, {})
  k = k / 10
  theirs = lambda x, k: transposed_reference(x, k.swapaxes(2, 3), size, **conv_options)  # noqa: E731
  close(everything(lambda x, k: ops.conv_transpose(x, k, **options))(x, k), everything(theirs)(x, k))


def test_conv_transpose_convention():
  """Each input pixel adds x @ w[i, j] at (h * stride + i - top, w * stride + j - left), as PyTorch's does."""
  x, w = arrays(3, 4, 2, 3, (3, 3), {})
  expected = np.zeros((2, 7, 9, 3))
  for h in range(3):
    for c in range(4):
      expected[:, 2 * h : 2 * h + 3, 2 * c : 2 * c + 3] += np.einsum('bi,hwio->bhwo', x[:, h, c], w)
  close(
    ops.conv_transpose(x, w, stride=2, padding=1, output_padding=1),
    jnp.float32(np.pad(expected, ((0, 0), (0, 1), (0, 1), (0, 0)))[:, 1:7, 1:9]),
  )


def test_grouped_transposed():
  x = jax.random.normal(jax.random.key(0), (2, 4, 4, 6))
  w = jax.random.normal(jax.random.key(1), (4, 4, 6, 2))
  halves = [ops.conv_transpose(x[..., 3 * i : 3 * i + 3], w[:, :, 3 * i : 3 * i + 3]) for i in range(2)]
  close(ops.conv_transpose(x, w, groups=2), jnp.concatenate(halves, -1))


@pytest.mark.parametrize(
  ('channels', 'options'),
  [((4, 6), {'stride': 2}), pytest.param((32, 32), {'stride': 1}, marks=pytest.mark.slow)],
)
def test_inside_scan_cond_and_vmap(channels, options):
  """The same gradients of gradient norms inside control flow, and mapped over images, kernels or both."""
  k = 4 if options['stride'] == 2 else 3
  x, w = arrays(8, 8, *channels, (k, k), options)
  w = w / 10
  gradient = jax.grad(penalty(lambda x, w: ops.conv(x, w, padding=1, **options)), (0, 1))
  plain = jax.jit(gradient)(x, w)
  scanned = jax.jit(lambda x, w: jax.lax.scan(lambda carry, _: (carry, gradient(x, w)), 0, length=2)[1])(x, w)
  close(jax.tree.map(lambda leaf: leaf[1], scanned), plain)
  chosen = jax.jit(lambda go, x, w: jax.lax.cond(go, gradient, lambda x, w: (x, w), x, w))(True, x, w)
  close(chosen, plain)
  xs, ws = jnp.stack([x, 2 * x]), jnp.stack([w, 0.5 * w])
  for axes, a, b in (((0, None), xs, w), ((None, 0), x, ws), ((0, 0), xs, ws)):
    mapped = jax.jit(jax.vmap(gradient, axes))(a, b)
    pairs = [gradient(a[i] if axes[0] == 0 else a, b[i] if axes[1] == 0 else b) for i in range(2)]
    close(mapped, jax.tree.map(lambda *leaves: jnp.stack(leaves), *pairs))


def test_bfloat16():
  x, w = arrays(8, 8, 4, 6, (4, 4), {'stride': 2})
  low = everything(lambda x, w: ops.conv(x, w, stride=2))(x.astype(jnp.bfloat16), w.astype(jnp.bfloat16))
  assert {leaf.dtype for leaf in jax.tree.leaves(low)} == {jnp.dtype(jnp.bfloat16)}
  full = everything(lambda x, w: ops.conv(x, w, stride=2))(x, w)
  close(low[0], full[0].astype(jnp.bfloat16), 0.02)
  up = ops.conv_transpose(x.astype(jnp.bfloat16), w.astype(jnp.bfloat16))
  close(up, ops.conv_transpose(x, w).astype(jnp.bfloat16), 0.02)


def test_pooled_convolution():
  x, w = arrays(8, 8, 4, 6, (3, 3), {})
  pooled = resample.average_pool(reference(x, w))
  close(ops.conv_pool(x, w), pooled)


def test_native_path_equals_ours(monkeypatch):
  """What GPU and TPU run, differentiated by JAX, on the CPU."""
  x, w = arrays(8, 8, 4, 6, (4, 4), {})
  run = lambda f: everything(f)(x, w)  # noqa: E731
  ours = run(lambda x, w: ops.conv(x, w, stride=2)), run(ops.conv_transpose)
  monkeypatch.setattr(ops, 'on_cpu', lambda: False)
  close(ours, (run(lambda x, w: ops.conv(x, w, stride=2)), run(ops.conv_transpose)))


@pytest.mark.parametrize(
  ('call', 'message'),
  [
    (lambda x, w: ops.conv(x, w[:, :, :2]), 'do not fit'),
    (lambda x, w: ops.conv(x, w, padding='same'), "'SAME', 'VALID'"),
    (lambda x, w: ops.conv(x[:, :2], w, padding='VALID'), 'larger than the input'),
    (lambda x, w: ops.conv_transpose(x, w, output_padding=1), 'output_padding'),
    (lambda x, w: ops.conv_transpose(x, w, stride=2, padding=1, output_padding=2), 'output_padding'),
    (lambda x, w: ops.conv_pool(x, w[:1]), '3x3'),
  ],
)
def test_what_does_not_fit_is_named(call, message):
  x, w = arrays(8, 8, 4, 6, (3, 3), {})
  with pytest.raises(ValueError, match=message):
    call(x, w)


def test_resampling():
  x = jax.random.normal(jax.random.key(0), (2, 3, 4, 5))
  close(resample.upsample_bilinear(x), jax.image.resize(x, (2, 6, 8, 5), 'bilinear'))
  close(resample.upsample_nearest(x), jax.image.resize(x, (2, 6, 8, 5), 'nearest'))
