"""The SNGAN networks on torch-mimicry's weights give torch-mimicry's outputs, buffers and gradients."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from ganjax.nets import resnet

FOLDER = Path(__file__).parent / 'fixtures'
FIXTURES = ['mimicry_sngan32', 'mimicry_dcgan32', 'mimicry_wgan_gp32', 'mimicry_cgan_pd32']


class Reference:
  """One fixture, with state-dict names and layouts turned into ours."""

  def __init__(self, name: str) -> None:
    self.arrays = np.load(FOLDER / f'{name}.npz', allow_pickle=False)
    self.meta = json.loads(str(self.arrays['meta']))
    self.cfg = self.meta['cfg']
    classes = self.cfg.get('nc', 0)
    self.classes, self.loss = classes, self.meta['loss_type']
    self.g = resnet.Generator(resolution=32, width=self.cfg['ngf'], classes=classes)
    pool = 'mean' if self.loss == 'wasserstein' else 'sum'
    spectral = self.loss == 'hinge'
    self.d = resnet.Discriminator(resolution=32, width=self.cfg['ndf'], classes=classes, spectral=spectral, pool=pool)

  def __getitem__(self, name):
    return self.arrays[name]

  def group(self, prefix):
    return {key[len(prefix) :]: self.arrays[key] for key in self.arrays.files if key.startswith(prefix)}

  def images(self, name):
    return jnp.asarray(self[name].transpose(0, 2, 3, 1))

  def label(self, which):
    return jnp.asarray(self[f'in/y_{which}']) if self.classes else None


def ours_d(arrays):
  """State-dict arrays of D -> {'params': ..., 'spectral': ...}; also takes gradients or buffers alone."""
  out = {}
  for key, value in arrays.items():
    layer, kind = key.rsplit('.', 1)
    path = d_layer(layer)
    kind = {'sn_u': 'weight_u'}.get(kind, kind)
    if kind in ('weight', 'weight_orig'):
      name = 'embedding' if path[0] == 'embed' else 'kernel'
      out['params', *path, name] = value if name == 'embedding' else kernel(value)
    elif kind == 'bias':
      out['params', *path, 'bias'] = value
    elif kind == 'weight_u':
      out['spectral', *path, 'u'] = value.reshape(-1)
      # torch-mimicry's own spectral norm keeps no v: any will do before a training forward
      if key.endswith('sn_u'):
        weight = arrays[f'{layer}.weight'].reshape(value.size, -1)
        out['spectral', *path, 'v'] = np.zeros(weight.shape[1], np.float32)
    elif kind == 'weight_v':
      shape = {'block1.c1': (3, 3, 3), 'block1.c_sc': (3, 1, 1)}.get(layer)
      if shape is None:
        taps = 9 if layer[-2:] in ('c1', 'c2') else 1
        shape = (value.size // taps, *((3, 3) if taps == 9 else (1, 1)))
      out['spectral', *path, 'v'] = value.reshape(shape).transpose(1, 2, 0).reshape(-1)
  return traverse_util.unflatten_dict({path: jnp.asarray(value) for path, value in out.items()})


def d_layer(layer):
  if layer in ('l5', 'l_y'):
    return ('logit' if layer == 'l5' else 'embed',)
  block, name = layer.split('.')
  return f'block{int(block[5:]) - 1}', {'c1': 'conv0', 'c2': 'conv1', 'c_sc': 'shortcut'}[name]


def kernel(value):
  """[O, I, kh, kw] or [O, I] -> ours."""
  return value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T


def ours_g(arrays, side, shifts=None):
  """State-dict arrays of G -> {'params': ..., 'batch_stats': ...}; `shifts` are subtracted from running means."""
  out = {}
  for key, value in arrays.items():
    layer, kind = key.rsplit('.', 1)
    if layer == 'l1':  # features are (channel, row, column) there, (row, column, channel) here
      channels = value.shape[0] // side**2
      moved = value.reshape(channels, side * side, -1).transpose(1, 0, 2).reshape(value.shape[0], -1)
      out['params', 'project', 'kernel' if kind == 'weight' else 'bias'] = moved.T if kind == 'weight' else moved[:, 0]
    elif layer == 'c5':
      out['params', 'image', 'kernel' if kind == 'weight' else 'bias'] = kernel(value) if kind == 'weight' else value
    elif '.c' in layer:
      block, name = g_block(layer), {'c1': 'conv0', 'c2': 'conv1', 'c_sc': 'shortcut'}[layer.split('.')[1]]
      if kind == 'weight':
        out['params', block, name, 'kernel'] = kernel(value)
    else:
      place = ('norm',) if layer == 'b5' else (g_block(layer), f'norm{int(layer.split(".")[1][1]) - 1}')
      conditional = layer.endswith(('.bn', '.embed'))
      place = (*place, 'batch')
      if kind == 'weight' and layer.endswith('.embed'):
        half = value.shape[1] // 2
        out['params', *place, 'scale'], out['params', *place, 'bias'] = value[:, :half], value[:, half:]
      elif kind in ('weight', 'bias'):
        out['params', *place, 'scale' if kind == 'weight' else 'bias'] = value
      elif kind in ('running_mean', 'running_var'):
        name = kind.removeprefix('running_')
        shift = shifts[layer.removesuffix('.bn')] if shifts and name == 'mean' else 0
        out['batch_stats', *place, *(['norm'] if conditional else []), name] = value - shift
  return traverse_util.unflatten_dict({path: jnp.asarray(value) for path, value in out.items()})


def g_block(layer):
  return f'block{int(layer.split(".")[0][5:]) - 2}'


def shifts_of(arrays):
  """What the biases that we leave out add to each batch norm's input: the running means must not see it."""
  shifts, passed = {}, 0.0
  for block in ('block2', 'block3', 'block4'):
    weight = arrays[f'{block}.c_sc.weight'][:, :, 0, 0]
    shifts[f'{block}.b1'] = passed
    shifts[f'{block}.b2'] = arrays[f'{block}.c1.bias']
    passed = (
      arrays[f'{block}.c2.bias'] + arrays[f'{block}.c_sc.bias'] + weight @ np.broadcast_to(passed, weight.shape[1])
    )
  return shifts | {'b5': passed}


def close(ours, theirs, tolerance=1e-4):
  flat = traverse_util.flatten_dict(theirs, sep='/') if isinstance(theirs, dict) else {'': theirs}
  found = traverse_util.flatten_dict(ours, sep='/') if isinstance(ours, dict) else {'': ours}
  assert set(flat) == set(found)
  for name, value in flat.items():
    difference = np.abs(np.asarray(found[name]) - np.asarray(value)).max()
    assert difference <= tolerance * np.abs(value).max(), (name, difference)


@pytest.fixture(params=FIXTURES)
def reference(request):
  return Reference(request.param)


@pytest.fixture
def generator(reference):
  arrays = reference.group('param/G/')
  return ours_g(arrays, reference.cfg['bw'], shifts_of(arrays))


@pytest.fixture
def discriminator(reference):
  return ours_d(reference.group('param/D/'))


def test_generator(reference, generator):
  apply = jax.jit(reference.g.apply, static_argnames=('train', 'mutable'))
  z, label = jnp.asarray(reference['in/z']), reference.label('fake')
  evaluated = apply(generator, z, label)
  close(evaluated[:4], reference.images('out/G_eval'))
  image, moved = apply(generator, z, label, train=True, mutable=('batch_stats',))
  close(image, reference.images('out/G_train'))
  after = ours_g(reference.group('out/G_after1/'), reference.cfg['bw'], shifts_of(reference.group('param/G/')))
  close(moved, after)


def test_discriminator(reference, discriminator):
  real, label = reference.images('in/real'), reference.label('real')
  if not reference.classes:  # where its two last layers iterate at evaluation too
    close(reference.d.apply(discriminator, real, label), reference['out/D_eval'][:, 0])
  logits, moved = reference.d.apply(discriminator, real, label, train=True, mutable=('spectral',))
  close(logits, reference['out/D_train'][:, 0])
  if reference.loss == 'hinge':
    after = traverse_util.flatten_dict(ours_d(reference.group('out/D_after1/')))
    moved = traverse_util.flatten_dict(moved)
    close({'/'.join(k): moved[k] for k in after}, {'/'.join(k): v for k, v in after.items()})


def critic(reference, params, spectral, x, label):
  """Training forward: logits and the advanced vectors."""
  logits, moved = reference.d.apply({'params': params, **spectral}, x, label, train=True, mutable=('spectral',))
  return logits, dict(moved)


def d_loss(reference, params, spectral):
  fake, real = reference.images('out/G_train'), reference.images('in/real')
  r, spectral = critic(reference, params, spectral, real, reference.label('real'))
  f, spectral = critic(reference, params, spectral, fake, reference.label('fake'))
  if reference.loss == 'hinge':
    return jax.nn.relu(1 - r).mean() + jax.nn.relu(1 + f).mean()
  if reference.loss == 'ns':
    return jax.nn.softplus(-r).mean() + jax.nn.softplus(f).mean()
  alpha = jnp.asarray(reference['in/gp_alpha']).reshape(-1, 1, 1, 1)
  between = alpha * real + (1 - alpha) * fake
  slope = jax.grad(lambda x: critic(reference, params, spectral, x, None)[0].sum())(between)
  norms = jnp.sqrt(jnp.square(slope).sum((1, 2, 3)))
  return f.mean() - r.mean() + 10 * jnp.square(norms - 1).mean()


def test_discriminator_gradients(reference, discriminator):
  params = discriminator.pop('params')
  loss, grads = jax.jit(jax.value_and_grad(lambda p: d_loss(reference, p, discriminator)))(params)
  if reference.loss != 'ns':  # there the losses carry an epsilon inside the logarithm
    close(loss, reference['out/D_loss_total'])
  theirs = ours_d(reference.group('grad/D/'))['params']
  if reference.loss == 'wasserstein':  # no gradient but rounding: the last bias
    assert abs(float(grads['logit'].pop('bias')[0])) < 1e-5
    theirs['logit'].pop('bias')
  close(grads, theirs)


def test_generator_gradients(reference, generator, discriminator):
  stats = {'batch_stats': generator['batch_stats']}
  d_params = discriminator.pop('params')
  label = reference.label('fake')

  def loss(params):
    image, _ = reference.g.apply(
      {'params': params, **stats}, jnp.asarray(reference['in/z']), label, train=True, mutable=('batch_stats',)
    )
    logits, _ = critic(reference, d_params, discriminator, image, label)
    return jax.nn.softplus(-logits).mean() if reference.loss == 'ns' else -logits.mean()

  value, grads = jax.jit(jax.value_and_grad(loss))(generator['params'])
  close(value, reference['out/G_loss_total'])
  close(grads, ours_g(reference.group('grad/G/'), reference.cfg['bw'])['params'])
