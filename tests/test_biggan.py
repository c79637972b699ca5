"""BigGAN and BigGAN-deep: official state dicts of all options against a plain reading of them, parameter counts, refusals."""

from functools import partial
from itertools import pairwise
from math import prod

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from ganjax.interop import from_torch
from ganjax.nets import biggan, biggan_deep, layers

G_PLAN = {32: (4, 4, 4, 4), 64: (16, 16, 8, 4, 2)}  # channels over ch
D_PLAN = {32: ((4, 4, 4, 4), 2, (16,) * 4), 64: ((1, 2, 4, 8, 16), 4, (32, 16, 8, 4, 4))}


class Names:
  """A state dict of random tensors, layer by layer with the official names."""

  def __init__(self, seed=0):
    self.random, self.tensors = np.random.default_rng(seed), {}

  def add(self, name, *shape, spread=1.0, centre=0.0):
    self.tensors[name] = (centre + spread * self.random.normal(size=shape)).astype(np.float32)

  def layer(self, name, *shape, bias=True, normalised=True):
    self.add(f'{name}.weight', *shape, spread=1 / np.sqrt(prod(shape[1:])))
    if bias:
      self.add(f'{name}.bias', shape[0], spread=0.1)
    if normalised:
      self.add(f'{name}.u0', 1, shape[0])
      self.add(f'{name}.sv0', 1)

  def attention(self, name, c):
    self.add(f'{name}.gamma')
    for layer, shape in {'theta': (c // 8, c), 'phi': (c // 8, c), 'g': (c // 2, c), 'o': (c, c // 2)}.items():
      self.layer(f'{name}.{layer}', *shape, 1, 1, bias=False)

  def stats(self, name, c, mybn):
    own = '.bn' if mybn else ''
    self.add(f'{name}{own}.stored_mean', c, spread=0.3)
    self.add(f'{name}{own}.stored_var', c, spread=0.1, centre=1.0)
    if mybn:
      self.add(f'{name}{own}.accumulation_counter', 1)


def generator(res, ch, channels, shared, hier, mybn, attention, chunk=3, classes=5):
  """The generator's tensors."""
  names, plan = Names(), [n * ch for n in G_PLAN[res]]
  if shared:
    names.add('shared.weight', classes, shared)
  names.layer('linear', 16 * plan[0], chunk)
  for i, (c, o) in enumerate(pairwise(plan)):
    block = f'blocks.{i}.0'
    for conv, shape in {'conv1': (o, c, 3, 3), 'conv2': (o, o, 3, 3), 'conv_sc': (o, c, 1, 1)}.items():
      names.layer(f'{block}.{conv}', *shape)
    for bn, width in {'bn1': c, 'bn2': o}.items():
      names.stats(f'{block}.{bn}', width, mybn)
      for part in ('gain', 'bias'):
        if shared:
          names.layer(f'{block}.{bn}.{part}', width, shared + (chunk if hier else 0), bias=False)
        else:
          names.add(f'{block}.{bn}.{part}.weight', classes, width)
    if 8 * 2**i in attention:
      names.attention(f'blocks.{i}.1', o)
  names.add('output_layer.0.gain', plan[-1])
  names.add('output_layer.0.bias', plan[-1])
  names.stats('output_layer.0', plan[-1], mybn)
  names.layer('output_layer.2', channels, plan[-1], 3, 3)
  return names.tensors


def discriminator(res, ch, channels, wide, attention, classes=5):
  """The discriminator's tensors."""
  names, (plan, halvings, sides), c = Names(), D_PLAN[res], channels
  for i, n in enumerate(plan):
    o, block = n * ch, f'blocks.{i}.0'
    hidden = o if wide else c
    names.layer(f'{block}.conv1', hidden, c, 3, 3)
    names.layer(f'{block}.conv2', o, hidden, 3, 3)
    if i < halvings or c != o:
      names.layer(f'{block}.conv_sc', o, c, 1, 1)
    if sides[i] in attention:
      names.attention(f'blocks.{i}.1', o)
    c = o
  names.layer('linear', 1, c)
  names.layer('embed', classes, c, bias=False)
  return names.tensors


class Reading:
  """The official forward in evaluation mode, on NCHW, as its text has it."""

  def __init__(self, tensors, mybn=False):
    self.tensors, self.own = tensors, '.bn' if mybn else ''

  def weight(self, name):
    w = self.tensors[f'{name}.weight']
    u = self.tensors.get(f'{name}.u0')
    if u is None:
      return w
    matrix = w.reshape(len(w), -1)
    v = u @ matrix
    v /= np.linalg.norm(v)
    after = v @ matrix.T
    return w / (v @ matrix.T @ (after / np.linalg.norm(after)).T).item()

  def conv(self, name, x):
    w = self.weight(name)
    y = jax.lax.conv_general_dilated(x, w, (1, 1), 'SAME', dimension_numbers=('NCHW', 'OIHW', 'NCHW'))
    return np.asarray(y) + self.tensors.get(f'{name}.bias', np.zeros(len(w), np.float32))[:, None, None]

  def attention(self, name, x):
    b, c, h, w = x.shape
    pool = lambda y: y.reshape(b, -1, h // 2, 2, w // 2, 2).max((3, 5)).reshape(b, -1, h * w // 4)  # noqa: E731
    theta = self.conv(f'{name}.theta', x).reshape(b, -1, h * w)
    beta = jax.nn.softmax(theta.transpose(0, 2, 1) @ pool(self.conv(f'{name}.phi', x)), -1)
    y = pool(self.conv(f'{name}.g', x)) @ beta.transpose(0, 2, 1)
    return self.tensors[f'{name}.gamma'] * self.conv(f'{name}.o', y.reshape(b, c // 2, h, w)) + x

  def norm(self, name, x, gain, bias):
    mean, var = (self.tensors[f'{name}{self.own}.stored_{part}'][:, None, None] for part in ('mean', 'var'))
    return (x - mean) / np.sqrt(var + 1e-5) * gain[..., None, None] + bias[..., None, None]

  def conditional(self, name, x, y):
    gain, bias = (y @ self.weight(f'{name}.{part}').T if y.ndim == 2 else self.weight(f'{name}.{part}')[y]
                  for part in ('gain', 'bias'))  # fmt: skip
    return self.norm(name, x, 1 + gain, bias)

  def generate(self, z, y, blocks, hier):
    shared = self.tensors['shared.weight'][y] if 'shared.weight' in self.tensors else y
    ys = [shared] * blocks
    if hier:
      z, *rest = np.split(z, blocks + 1, 1)
      ys = [np.concatenate([shared, chunk], 1) for chunk in rest]
    x = (z @ self.weight('linear').T + self.tensors['linear.bias']).reshape(len(z), -1, 4, 4)
    up = lambda x: x.repeat(2, 2).repeat(2, 3)  # noqa: E731
    for i in range(blocks):
      block = f'blocks.{i}.0'
      h = self.conv(f'{block}.conv1', up(np.maximum(self.conditional(f'{block}.bn1', x, ys[i]), 0)))
      h = self.conv(f'{block}.conv2', np.maximum(self.conditional(f'{block}.bn2', h, ys[i]), 0))
      x = h + self.conv(f'{block}.conv_sc', up(x))
      if f'blocks.{i}.1.gamma' in self.tensors:
        x = self.attention(f'blocks.{i}.1', x)
    out = self.norm('output_layer.0', x, self.tensors['output_layer.0.gain'], self.tensors['output_layer.0.bias'])
    return np.tanh(self.conv('output_layer.2', np.maximum(out, 0)))

  def judge(self, x, y, blocks, halvings):
    pool = lambda x: x.reshape(*x.shape[:2], x.shape[2] // 2, 2, -1, 2).mean((3, 5))  # noqa: E731
    for i in range(blocks):
      block, down = f'blocks.{i}.0', pool if i < halvings else lambda x: x
      h = self.conv(f'{block}.conv1', np.maximum(x, 0) if i else x)
      h = down(self.conv(f'{block}.conv2', np.maximum(h, 0)))
      x = h + down(self.conv(f'{block}.conv_sc', x) if f'{block}.conv_sc.weight' in self.tensors else x)
      if f'blocks.{i}.1.gamma' in self.tensors:
        x = self.attention(f'blocks.{i}.1', x)
    h = np.maximum(x, 0).sum((2, 3))
    return h @ self.weight('linear').T[:, 0] + self.tensors['linear.bias'] + (self.weight('embed')[y] * h).sum(1)


# res, ch, channels, shared_dim, hier, mybn, attention; and whether the constructor's options are given
GENERATORS = {
  'hierarchical': (32, 2, 3, 6, True, False, (8, 16)), 'flat': (32, 2, 1, 6, False, True, ()),
  'tables': (32, 2, 3, 0, False, False, (16,)), '64': (64, 1, 3, 4, True, True, (16,)),
}  # fmt: skip
DISCRIMINATORS = {'32': (32, 2, 3, True, ()), 'narrow': (32, 2, 1, False, (16,)), '64': (64, 2, 3, True, (8, 4))}


def each(cases, *fast):
  """The cases, those not in the default tier marked."""
  marked = lambda case: () if case in fast else pytest.mark.slow  # noqa: E731
  return [pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=marked(case)) for case in cases]


@pytest.mark.parametrize('name', each(GENERATORS, 'tables'))
def test_generators_of_all_options(name):
  res, ch, channels, shared, hier, mybn, attention = GENERATORS[name]
  tensors, blocks = generator(*GENERATORS[name]), len(G_PLAN[res]) - 1
  module, variables = from_torch('biggan.G', tensors)
  found = (module.resolution, module.width, module.channels, module.shared_dim, module.hierarchical,
           not module.unbiased, module.attention)  # fmt: skip
  assert found == (res, ch, channels, shared, hier, mybn, attention)
  cfg = {'gch': ch, 'dch': ch, 'res': res, 'attn': '_'.join(map(str, attention)) or '0', 'hier': hier, 'mybn': mybn,
         'z': 3 * (blocks + 1 if hier else 1) + (2 if hier else 0), 'nc': 5, 'wide': True, 'sneps': 1e-12}  # fmt: skip
  assert from_torch('biggan.G', tensors, **cfg)[0] == module
  random = np.random.default_rng(1)
  z, y = random.normal(size=(2, 3 * (blocks + 1 if hier else 1))).astype(np.float32), np.array([4, 0])
  image = jax.jit(module.apply)(variables, z, y)
  theirs = Reading(tensors, mybn).generate(z, y, blocks, hier).transpose(0, 2, 3, 1)
  np.testing.assert_allclose(image, theirs, atol=3e-5)


@pytest.mark.parametrize('name', each(DISCRIMINATORS))
def test_discriminators_of_all_options(name):
  res, ch, channels, wide, attention = DISCRIMINATORS[name]
  tensors, (plan, halvings, _) = discriminator(*DISCRIMINATORS[name]), D_PLAN[res]
  module, variables = from_torch('biggan.D', tensors)
  found = (module.resolution, module.width, module.channels, module.wide, module.attention)
  assert found == (res, ch, channels, wide, tuple(sorted(attention)))
  random = np.random.default_rng(1)
  x, y = random.normal(size=(2, channels, res, res)).astype(np.float32), np.array([4, 0])
  logits = jax.jit(module.apply)(variables, x.transpose(0, 2, 3, 1), y)
  theirs = Reading(tensors).judge(x, y, len(plan), halvings)
  np.testing.assert_allclose(logits, theirs, atol=3e-5 * abs(theirs).max())


CASES = {'G': (generator, 'hierarchical', GENERATORS), 'D': (discriminator, 'narrow', DISCRIMINATORS)}


@pytest.mark.slow
@pytest.mark.parametrize('player', CASES)
def test_every_tensor_matters(player):
  """Each, left out or of another shape, is named."""
  make, name, options = CASES[player]
  tensors, sizes = make(*options[name]), {'nc': 5, 'sd': 6}
  for key, value in list(tensors.items())[::3]:
    with pytest.raises(ValueError, match=key):
      from_torch(f'biggan.{player}', {other: tensors[other] for other in tensors if other != key}, **sizes)
    longer = np.concatenate([value, value[:1]]) if value.ndim else np.zeros(1, np.float32)
    with pytest.raises(ValueError, match=key):
      from_torch(f'biggan.{player}', tensors | {key: longer}, **sizes)


def test_a_label_may_be_shares_of_classes():
  table = layers.Embed(3, 4, spectral='always')
  variables = table.init(jax.random.key(0), jnp.array([0]))
  rows = table.apply(variables, jnp.array([2, 0]))
  mixed = table.apply(variables, jnp.array([[0, 0, 1.0], [0.5, 0, 0.5]]))
  np.testing.assert_allclose(mixed, jnp.stack([rows[0], rows.mean(0)]), rtol=1e-5)


def test_refusals():
  tensors = generator(*GENERATORS['flat'])
  with pytest.raises(ValueError, match='no place: elsewhere'):
    from_torch('biggan.G', tensors | {'elsewhere': np.zeros(3)})
  with pytest.raises(ValueError, match=r'res: 48; valid are 32, 64, 128, 256, 512'):
    from_torch('biggan.G', tensors, res=48)
  with pytest.raises(ValueError, match=r'missing tensors: blocks\.'):
    from_torch('biggan.D', {})
  with pytest.raises(ValueError, match=r'attention: 7; valid are 0 \(none\), 8, 16, 32'):
    biggan.Generator(attention=(7,))
  with pytest.raises(ValueError, match=r'resolution: 48; valid are 16, 32'):
    biggan.Discriminator(resolution=48)
  with pytest.raises(ValueError, match='shared_dim: 0'):
    biggan.Generator(classes=3, shared_dim=0)
  with pytest.raises(ValueError, match=r'latent_dim: 10; valid are multiples of 4'):
    jax.eval_shape(biggan.Generator(width=2).init, jax.random.key(0), jnp.zeros((1, 10)))
  with pytest.raises(ValueError, match=r'width: 3; valid are multiples of 4'):
    biggan_deep.Generator(resolution=128, width=3)


def count(module, *arguments):
  """Numbers in the parameters."""
  variables = jax.eval_shape(module.init, jax.random.key(0), *arguments)
  return sum(prod(leaf.shape) for leaf in jax.tree.leaves(variables['params']))


def players(latent, width, **options):
  """Parameters of both players for ImageNet at 128 pixels."""
  common = {'resolution': 128, 'classes': 1000, 'width': width, 'attention': (64,)}
  label = jnp.zeros((1,), jnp.int32)
  g = count(biggan.Generator(**common, **options), jnp.zeros((1, latent)), label)
  return g + count(biggan.Discriminator(**common), jnp.zeros((1, 128, 128, 3)), label)


# Table 1 of the paper: millions of parameters of both, with ch, shared embedding, skip-z. It leaves out the embedding.
PUBLISHED = [(64, 0, False, 81.5), (96, 0, False, 173.5), (96, 128, False, 160.6), (96, 128, True, 158.3),
             (64, 128, True, 71.3)]  # fmt: skip


@pytest.mark.parametrize(('width', 'shared_dim', 'hierarchical', 'millions'), each(PUBLISHED, PUBLISHED[-1]))
def test_published_parameter_counts(width, shared_dim, hierarchical, millions):
  latent = 120 if hierarchical else 128
  found = players(latent, width, shared_dim=shared_dim, hierarchical=hierarchical)
  assert round((found - 1000 * shared_dim) / 1e6, 1) == millions


# The published generators' (huggingface/pytorch-pretrained-BigGAN): millions, with 128 channels of the last convolution
DEEP = [(128, 50.4), (256, 55.9), (512, 56.2)]


@pytest.mark.parametrize(('resolution', 'millions'), each(DEEP, DEEP[0]))
def test_published_parameter_counts_of_deep(resolution, millions):
  module = biggan_deep.Generator(resolution=resolution, classes=1000, attention=(64,))
  found = count(module, jnp.zeros((1, 128)), jnp.zeros((1,), jnp.int32))
  assert round((found + 125 * (128 * 9 + 1)) / 1e6, 1) == millions


def normed(w):
  """A kernel divided by its largest singular value, as it is once the vectors have settled."""
  return w / np.linalg.svd(w.reshape(-1, w.shape[-1]), compute_uv=False)[0]


def settled(init, *arguments):
  """Variables with random numbers and spectral vectors at rest."""
  variables = traverse_util.flatten_dict(jax.eval_shape(init, jax.random.key(0), *arguments))
  random = np.random.default_rng(0)
  for path, leaf in variables.items():
    if path[0] != 'spectral':
      draw = random.normal(size=leaf.shape) if path[0] == 'params' else 1 + random.uniform(size=leaf.shape)
      variables[path] = draw.astype(np.float32)
  for path in [path for path in variables if path[-1] == 'u']:
    w = variables['params', *path[1:-1], 'kernel']
    left, _, right = np.linalg.svd(w.reshape(-1, w.shape[-1]), full_matrices=False)
    variables[path], variables[*path[:-1], 'v'] = right[0], left[:, 0]
  return traverse_util.unflatten_dict(variables)


def convolve(p, x):
  y = jax.lax.conv_general_dilated(x, normed(p['kernel']), (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC'))
  return np.asarray(y) + p['bias']


COMMON = {'kernel_init': jax.nn.initializers.normal(), 'spectral': 'always', 'epsilon': 1e-12, 'dtype': jnp.float32}


@pytest.mark.parametrize(('features', 'up'), each([(8, False), (4, True)], (4, True)))
def test_deep_up_block(features, up):
  """A bottleneck of 2 channels; the shortcut drops the last channels."""
  random = np.random.default_rng(2)
  x, y = random.normal(size=(2, 4, 4, 8)).astype(np.float32), random.normal(size=(2, 3)).astype(np.float32)
  block, call = biggan_deep.UpBlock(features, up, True, True, COMMON), {'train': False, 'axis': None}
  variables = settled(partial(block.init, **call), x, y)
  p, stats = variables['params'], variables['batch_stats']
  bigger = (lambda h: h.repeat(2, 1).repeat(2, 2)) if up else (lambda h: h)

  def rectified(h, name):
    running = stats[name]['norm']
    h = (h - running['mean']) / np.sqrt(running['var'] + 1e-5)
    gain, bias = (y @ normed(p[name][part]['kernel']) for part in ('gain', 'bias'))
    return np.maximum(h * (1 + gain[:, None, None]) + bias[:, None, None], 0)

  h = convolve(p['conv0'], rectified(x, 'norm0'))
  assert h.shape[-1] == 2
  h = convolve(p['conv1'], bigger(rectified(h, 'norm1')))
  h = convolve(p['conv3'], rectified(convolve(p['conv2'], rectified(h, 'norm2')), 'norm3'))
  ours = jax.jit(partial(block.apply, **call))(variables, x, y)
  np.testing.assert_allclose(ours, h + bigger(x[..., :features]), atol=1e-4)


@pytest.mark.parametrize(('features', 'down'), each([(8, False), (12, True)], (12, True)))
def test_deep_down_block(features, down):
  """A bottleneck of a quarter; further channels by a 1x1 convolution behind those that pass."""
  x = np.random.default_rng(2).normal(size=(2, 4, 4, 8)).astype(np.float32)
  block = biggan_deep.DownBlock(features, down, COMMON)
  variables = settled(partial(block.init, train=False), x)
  p = variables['params']
  smaller = (lambda h: h.reshape(2, 2, 2, 2, 2, -1).mean((2, 4))) if down else (lambda h: h)
  h = convolve(p['conv1'], np.maximum(convolve(p['conv0'], np.maximum(x, 0)), 0))
  h = convolve(p['conv3'], smaller(np.maximum(convolve(p['conv2'], np.maximum(h, 0)), 0)))
  passed = smaller(x)
  if features > 8:
    passed = np.concatenate([passed, convolve(p['shortcut'], passed)], -1)
  np.testing.assert_allclose(jax.jit(partial(block.apply, train=False))(variables, x), h + passed, atol=1e-4)


SHAPES = [(nets, *sizes) for nets in (biggan, biggan_deep) for sizes in ((0, 32, 1), (3, 64, 3))]


@pytest.mark.parametrize(('nets', 'classes', 'resolution', 'channels'), each(SHAPES, SHAPES[0]))
def test_shapes_and_dtypes(nets, classes, resolution, channels):
  """Grey and RGB, with and without classes, heads, bfloat16 with float32 variables."""
  label = jnp.zeros((2,), jnp.int32) if classes else None
  common = {'resolution': resolution, 'channels': channels, 'classes': classes, 'width': 8, 'dtype': 'bfloat16'}
  g = nets.Generator(**common, shared_dim=4, attention=(16,))
  d = nets.Discriminator(**common, attention=(16,), heads={'rotation': 4}, minibatch='std')
  z = jnp.zeros((2, 20))
  variables = jax.eval_shape(g.init, jax.random.key(0), z, label)
  image = jax.eval_shape(g.apply, variables, z, label)
  assert (image.shape, image.dtype) == ((2, resolution, resolution, channels), jnp.bfloat16)
  assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(variables))
  variables = jax.eval_shape(d.init, jax.random.key(0), image, label)
  logits, said = jax.eval_shape(d.apply, variables, image, label)
  assert (logits.shape, said['rotation'].shape) == ((2,), (2, 4))


@pytest.mark.slow
def test_biases_without_effect_do_not_learn():
  """A batch norm removes them; with attention behind, those of the sums before it matter."""
  module = biggan.Generator(resolution=16, channels=1, width=2, attention=(8,))
  z = jax.random.normal(jax.random.key(1), (3, 6))
  variables = jax.jit(module.init)(jax.random.key(0), z)
  variables['params']['attention0']['gamma'] = jnp.float32(0.5)
  kept = {name: value for name, value in variables.items() if name != 'params'}

  def loss(params):
    return jnp.square(module.apply({'params': params, **kept}, z, train=True, mutable=list(kept))[0]).sum()

  grads = jax.jit(jax.grad(loss))(variables['params'])
  learning = {'/'.join(path) for path, leaf in traverse_util.flatten_dict(grads).items()
              if path[0].startswith('block') and path[1] in ('conv0', 'conv1', 'shortcut') and path[2] == 'bias'
              and abs(leaf).max() > 0}  # fmt: skip
  assert learning == {'block0/conv1/bias', 'block0/shortcut/bias'}
