"""pix2pix and CycleGAN on weights of the authors' code: images, logits, buffers, losses and gradients."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parity import BOUND, Fixture, close, flat

from ganjax import losses
from ganjax.interop import from_torch

NETS = {'U': 'pix2pix.unet', 'R': 'pix2pix.resnet', 'D': 'pix2pix.patch', 'P': 'pix2pix.pixel'}
# Their losses of one side are means: of ours, `lsgan` has the halves that the two players of D's share.
MODES = {'vanilla': (losses.non_saturating, 1), 'lsgan': (losses.lsgan, 2), 'wgangp': (losses.wasserstein, 1)}


@pytest.fixture(scope='module')
def pix2pix():
  return Fixture('pix2pix')


@pytest.fixture(scope='module')
def cyclegan():
  return Fixture('cyclegan')


def inputs(fixture, net):
  a, b = fixture['in/real_A'], fixture['in/real_B']
  return a if net in 'UR' else jnp.concatenate([a, b], -1)


def reference(fixture, name, net):
  return fixture[name] if net in 'UR' else fixture[name][..., 0]


def gan(mode, logits, real):
  """The authors' loss of D for reals or fakes; G's is that for reals."""
  pair, scale = MODES[mode]
  adversarial = pair()
  return scale * (adversarial.parts(logits, logits)[0 if real else 1]).mean()


def l1(x, y):
  return jnp.abs(x - y).mean()


def train(net, params, state, x):
  return net.apply({'params': params, **state}, x, train=True, mutable=list(state))[0]


def check_gradients(fixture, kind, net, group, grads):
  """Whole gradients and lengths of gradients, by the authors' names; those that are nothing but rounding are small."""
  tensors, found = fixture.group(f'param/{net}/'), flat(grads)
  names = [name for name, value in tensors.items() if value.dtype.kind == 'f']
  marked = tensors | {name: np.full_like(tensors[name], i) for i, name in enumerate(names)}
  leaves = flat(from_torch(kind, marked, **fixture.cfg)[1]['params'])
  places = {names[int(leaf.flat[0])]: path for path, leaf in leaves.items()}
  whole, lengths = (fixture.group(f'{what}/{group}/') for what in ('grad', 'gradnorm'))
  assert whole.keys() | lengths.keys()
  listed = fixture.meta['input_noise_2e_7']['noise_only_grads']
  noise = {name for name in places if any(f'{what}/{group}/{name}' in listed for what in ('grad', 'gradnorm'))}
  # One that their list leaves out, too small: biases in front of instance norm don't learn here.
  noise |= {name for name in places if not found[places[name]].any()}
  largest = max(np.abs(value).max() for value in found.values())
  for name in noise:
    assert np.abs(found[places[name]]).max() < BOUND * largest
    assert all(np.abs(values.get(name, 0)).max() < BOUND * largest for values in (whole, lengths))
  for name in set(lengths) - noise:
    close(np.linalg.norm(found[places[name]]), lengths[name])
  theirs = flat(from_torch(kind, tensors | whole, **fixture.cfg)[1]['params'])
  for name in set(whole) - noise:
    close(found[places[name]], theirs[places[name]])


@pytest.mark.parametrize('net', ['P', *(pytest.param(net, marks=pytest.mark.slow) for net in 'DUR')])
def test_outputs_and_statistics(pix2pix, net):
  module, variables = pix2pix.network(NETS[net], net)
  apply = jax.jit(partial(module.apply, mutable=['batch_stats']), static_argnames='train')
  x = inputs(pix2pix, net)
  close(apply(variables, x)[0], reference(pix2pix, f'out/{net}_eval', net))
  y, moved = apply(variables, x, train=True)
  close(y, reference(pix2pix, f'out/{net}_train', net))
  tensors = pix2pix.group(f'param/{net}/') | pix2pix.group(f'out/{net}_after1/')
  close(moved, {'batch_stats': from_torch(NETS[net], tensors, **pix2pix.cfg)[1]['batch_stats']})


@pytest.mark.parametrize('mode', MODES)
def test_losses_of_one_side(pix2pix, mode):
  logits = pix2pix['in/pred']
  close(gan(mode, logits, True), pix2pix[f'out/ganloss_{mode}_real'])
  close(gan(mode, logits, False), pix2pix[f'out/ganloss_{mode}_fake'])


@pytest.mark.slow
def test_pix2pix(pix2pix):
  """Equations 3 and 4: both players' losses on input and output together, and G's L1 with weight 100."""
  (g, g_variables), (d, d_variables) = pix2pix.network(NETS['U'], 'U'), pix2pix.network(NETS['D'], 'D')
  a, b, mode = pix2pix['in/real_A'], pix2pix['in/real_B'], pix2pix.cfg['mode']
  (g_params, g_state), (d_params, d_state) = (
    (dict(v)['params'], {name: x for name, x in v.items() if name != 'params'}) for v in (g_variables, d_variables)
  )

  def judge(params, image):
    return train(d, params, d_state, jnp.concatenate([a, image], -1))

  def g_loss(params):
    fake = train(g, params, g_state, a)
    said, off = gan(mode, judge(d_params, fake), True), 100 * l1(fake, b)
    return said + off, {'fake_B': fake, 'loss_G_GAN': said, 'loss_G_L1': off}

  def d_loss(params, fake):
    parts = {'loss_D_fake': gan(mode, judge(params, fake), False), 'loss_D_real': gan(mode, judge(params, b), True)}
    return sum(parts.values()) / 2, parts

  (value, seen), grads = jax.jit(jax.value_and_grad(g_loss, has_aux=True))(g_params)
  for name, found in {'loss_G': value, **seen}.items():
    close(found, pix2pix[f'out/{name}'])
  check_gradients(pix2pix, NETS['U'], 'U', 'U', grads)
  (value, parts), grads = jax.jit(jax.value_and_grad(d_loss, has_aux=True))(d_params, seen['fake_B'])
  for name, found in {'loss_D': value, **parts}.items():
    close(found, pix2pix[f'out/{name}'])
  check_gradients(pix2pix, NETS['D'], 'D', 'D', grads)


@pytest.mark.slow
def test_gradient_penalty(pix2pix):
  """Theirs adds 1e-16 to the slope, looks at D in evaluation, and weighs 10."""
  module, variables = pix2pix.network(NETS['D'], 'D')
  real, fake = inputs(pix2pix, 'D'), pix2pix['in/gp_fake']
  alpha = pix2pix['in/gp_alpha'][:, :, None, None]
  mixed = alpha * real + (1 - alpha) * fake

  def penalty(params):
    look = lambda x: module.apply({**variables, 'params': params}, x).sum()  # noqa: E731
    slopes = jax.grad(look)(mixed)
    norms = jnp.linalg.norm(slopes.reshape(len(slopes), -1) + 1e-16, axis=1)
    return 10 * jnp.square(norms - 1).mean(), slopes

  (value, slopes), grads = jax.jit(jax.value_and_grad(penalty, has_aux=True))(variables['params'])
  close(value, pix2pix['out/gp_mixed'])
  close(slopes, pix2pix['out/gp_gradients'])
  check_gradients(pix2pix, NETS['D'], 'D', 'gp/D', grads)


@pytest.mark.slow
def test_cyclegan(cyclegan):
  """Equation 3, with the identity loss of section 5.2, and D's half of the sum."""
  a, b, mode = cyclegan['in/real_A'], cyclegan['in/real_B'], cyclegan.cfg['mode']
  nets = {
    net: cyclegan.network('cyclegan.G' if net[0] == 'G' else 'cyclegan.D', net) for net in ('G_A', 'G_B', 'D_A', 'D_B')
  }
  run = lambda net, params, x: nets[net][0].apply({**nets[net][1], 'params': params}, x, train=True)  # noqa: E731
  given = {net: variables['params'] for net, (_, variables) in nets.items()}

  def g_loss(params):
    to_b, to_a = partial(run, 'G_A', params['G_A']), partial(run, 'G_B', params['G_B'])
    images = {'fake_B': to_b(a), 'fake_A': to_a(b), 'idt_A': to_b(b), 'idt_B': to_a(a)}
    images |= {'rec_A': to_a(images['fake_B']), 'rec_B': to_b(images['fake_A'])}
    parts = {
      'loss_G_A': gan(mode, run('D_A', given['D_A'], images['fake_B']), True),
      'loss_G_B': gan(mode, run('D_B', given['D_B'], images['fake_A']), True),
      'loss_cycle_A': 10 * l1(images['rec_A'], a), 'loss_cycle_B': 10 * l1(images['rec_B'], b),
      'loss_idt_A': 5 * l1(images['idt_A'], b), 'loss_idt_B': 5 * l1(images['idt_B'], a),
    }  # fmt: skip
    return sum(parts.values()), (parts, images)

  def d_loss(net, params, real, fake):
    return (gan(mode, run(net, params, real), True) + gan(mode, run(net, params, fake), False)) / 2

  generators = {net: given[net] for net in ('G_A', 'G_B')}
  (value, (parts, images)), grads = jax.jit(jax.value_and_grad(g_loss, has_aux=True))(generators)
  for name, found in {'loss_G': value, **parts}.items():
    close(found, cyclegan[f'out/{name}'])
  for name, found in images.items():
    close(found, cyclegan[f'out/{name}'], 2 * BOUND if name.startswith('rec') else BOUND)
  for net in generators:
    check_gradients(cyclegan, 'cyclegan.G', net, net, grads[net])
  for net, real, fake in (('D_A', b, images['fake_B']), ('D_B', a, images['fake_A'])):
    close(run(net, given[net], real), cyclegan[f'out/{net}_real_{"B" if net == "D_A" else "A"}'][..., 0])
    value, grads = jax.jit(jax.value_and_grad(partial(d_loss, net)))(given[net], real, fake)
    close(value, cyclegan[f'out/loss_{net}'])
    check_gradients(cyclegan, 'cyclegan.D', net, net, grads)


@pytest.mark.slow
@pytest.mark.parametrize('net', NETS)
def test_every_tensor_matters(pix2pix, net):
  check_refusals(NETS[net], pix2pix.group(f'param/{net}/'), pix2pix.cfg)


@pytest.mark.slow
@pytest.mark.parametrize('net', ['G_A', 'D_A'])
def test_every_tensor_of_cyclegan_matters(cyclegan, net):
  check_refusals(f'cyclegan.{net[0]}', cyclegan.group(f'param/{net}/'), cyclegan.cfg)


def check_refusals(kind, tensors, cfg):
  """Tensors, left out or a row longer, are named; with and without the constructor's sizes."""
  for i, (key, value) in enumerate(tensors.items()):
    if i % 7 and 4 < i < len(tensors) - 4:
      continue
    longer = np.concatenate([value, value[:1]]) if value.ndim else np.zeros(1, value.dtype)
    hints = cfg if i % 2 else {}
    with pytest.raises(ValueError, match=key):
      from_torch(kind, {other: tensors[other] for other in tensors if other != key}, **hints)
    with pytest.raises(ValueError, match=key):
      from_torch(kind, tensors | {key: longer}, **hints)
  with pytest.raises(ValueError, match='no place: elsewhere'):
    from_torch(kind, tensors | {'elsewhere': np.zeros(3)}, **cfg)
