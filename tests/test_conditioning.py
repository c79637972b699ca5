"""Every conditioning against sums written from its paper, and what holds for all of them."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ganjax import conditioning
from ganjax.conditioning import cosine
from ganjax.conditioning.conditioning import View, accuracy, cross_entropy
from ganjax.errors import ConfigError
from ganjax.types import Number

B, K, DIMENSION = 7, 4, 5
METHODS = {name: getattr(conditioning, name) for name in conditioning.__all__}
SMALL = {'contrastive': {'dimension': DIMENSION}, 'reacgan': {'dimension': DIMENSION}}
WITH_LOSS = [name for name in METHODS if name not in ('none', 'concat', 'projection')]


def method(name, **numbers):
  return METHODS[name](**SMALL.get(name, {}), **numbers)


def look(name, seed, scale=2.0):
  """A view with every head that the method asks for, of random numbers."""
  rng, asked = np.random.default_rng(seed), method(name)
  heads = dict(asked.heads(K)) | ({'proxy': asked.proxies} if asked.proxies else {}) | {'features': 3}
  said = {head: jnp.float32(rng.normal(0, scale, (B, size))) for head, size in heads.items()}
  return View(jnp.float32(rng.normal(size=B)), said, jnp.int32(rng.integers(0, K, B)))


def values(name, real, fake, **numbers):
  """What D's and G's loss get."""
  found = method(name, **numbers)
  return found.d(real, fake)[0], found.g(fake)[0]


# Second ways: loops over float64, from the papers' sums.


def softmax_loss(x, label):
  x = np.asarray(x, np.float64)
  return -np.mean([x[i, y] - np.log(sum(np.exp(v) for v in x[i])) for i, y in enumerate(np.asarray(label))])


def crammer_singer(x, label):
  x = np.asarray(x, np.float64)
  per_row = []
  for i, y in enumerate(np.asarray(label)):
    wrong = max(x[i, k] for k in range(x.shape[1]) if k != y)
    per_row.append(max(0.0, 1 - x[i, y] + wrong))
  return np.mean(per_row)


def cos(a, b):
  return a @ b / np.sqrt((a @ a) * (b @ b))


def loss_2c(view, t):
  l, v, y = (np.asarray(x, np.float64) for x in (view.heads['embedding'], view.heads['proxy'], view.label))  # noqa: E741
  rows = []
  for i in range(B):
    own = np.exp(cos(l[i], v[i]) / t)
    same = sum(np.exp(cos(l[i], l[k]) / t) for k in range(B) if k != i and y[k] == y[i])
    every = sum(np.exp(cos(l[i], l[k]) / t) for k in range(B) if k != i)
    rows.append(-np.log((own + same) / (own + every)))
  return np.mean(rows)


def loss_d2d(view, t, m):
  f, v, y = (np.asarray(x, np.float64) for x in (view.heads['embedding'], view.heads['proxy'], view.label))
  rows = []
  for i in range(B):
    own = np.exp(min(cos(f[i], v[i]) - m, 0) / t)
    apart = sum(np.exp(max(cos(f[i], f[k]) - (1 - m), 0) / t) for k in range(B) if y[k] != y[i])
    rows.append(-np.log(own / (own + apart)))
  return np.mean(rows)


def by_hand(name, real, fake):
  """D's and G's value at the default numbers, but for weights of 2 and 3."""
  r, f, y, z = real.heads.get('class'), fake.heads.get('class'), real.label, fake.label
  return {
    'acgan': lambda: (2 * (softmax_loss(r, y) + softmax_loss(f, z)), 3 * softmax_loss(f, z)),
    'tac': lambda: (
      2 * softmax_loss(r, y) + 3 * softmax_loss(fake.heads['twin'], z),
      2 * softmax_loss(f, z) - 3 * softmax_loss(fake.heads['twin'], z),
    ),
    'adc': lambda: (
      2 * (softmax_loss(r, y) + softmax_loss(f, z + K)), 3 * (softmax_loss(f, z) - softmax_loss(f, z + K))
    ),
    'contrastive': lambda: (2 * loss_2c(real, 0.7), 2 * loss_2c(fake, 0.7)),
    'reacgan': lambda: (2 * loss_d2d(real, 0.3, 0.9), 2 * loss_d2d(fake, 0.3, 0.9)),
    'multi_hinge': lambda: (crammer_singer(r, y) + crammer_singer(f, np.full(B, K)), 3 * crammer_singer(f, z)),
  }[name]()  # fmt: skip


NUMBERS = {
  'acgan': {'d_weight': 2, 'g_weight': 3}, 'tac': {'weight': 2, 'twin_weight': 3}, 'adc': {'d_weight': 2, 'g_weight': 3},
  'contrastive': {'weight': 2, 'temperature': 0.7}, 'reacgan': {'weight': 2, 'temperature': 0.3, 'margin': 0.9},
  'multi_hinge': {'g_weight': 3},
}  # fmt: skip


@pytest.mark.parametrize('name', WITH_LOSS)
@pytest.mark.parametrize('seed', [0, 1, 2])
def test_it_is_the_papers_sum(name, seed):
  real, fake = look(name, 2 * seed), look(name, 2 * seed + 1)
  np.testing.assert_allclose(values(name, real, fake, **NUMBERS[name]), by_hand(name, real, fake), rtol=2e-5)


def test_acgan_may_learn_from_reals_alone():
  real, fake = look('acgan', 0), look('acgan', 1)
  found = values('acgan', real, fake, d_on_fakes=False)
  np.testing.assert_allclose(found[0], softmax_loss(real.heads['class'], real.label), rtol=1e-5)


def test_the_logit_alone():
  for name in ('none', 'concat', 'projection'):
    found = method(name)
    assert (found.inside, found.heads(K), found.proxies, found.alone) == (name, {}, 0, False)
    assert found.d(look(name, 0), look(name, 1)) == (0, {})
    assert found.g(look(name, 0)) == (0, {})


def test_heads():
  assert {name: dict(method(name).heads(K)) for name in WITH_LOSS} == {
    'acgan': {'class': K}, 'adc': {'class': 2 * K}, 'tac': {'class': K, 'twin': K}, 'multi_hinge': {'class': K + 1},
    'contrastive': {'embedding': DIMENSION}, 'reacgan': {'embedding': DIMENSION},
  }  # fmt: skip
  assert [name for name in WITH_LOSS if method(name).proxies] == ['contrastive', 'reacgan']
  assert [name for name in METHODS if method(name).alone] == ['multi_hinge']
  assert all(method(name).inside == 'none' for name in WITH_LOSS)


# What holds for all.


@pytest.mark.parametrize('name', METHODS)
def test_its_fields_are_documented_and_have_defaults(name):
  function = METHODS[name]
  fields = inspect.signature(function).parameters.values()
  assert all(f.kind is f.KEYWORD_ONLY and f.default is not f.empty for f in fields)
  assert all(f.name in function.__doc__ or f.annotation is Number for f in fields)
  assert name == 'none' or 'arXiv:' in function.__doc__


@pytest.mark.parametrize('name', WITH_LOSS)
def test_values_and_metrics_are_scalars_of_float32(name):
  half = lambda view: jax.tree.map(lambda x: x.astype(jnp.bfloat16) if x.dtype == jnp.float32 else x, view)  # noqa: E731
  for real, fake in ((look(name, 0), look(name, 1)), (half(look(name, 0)), half(look(name, 1)))):
    found = method(name)
    for value, metrics in (found.d(real, fake), found.g(fake)):
      assert all(x.shape == () and x.dtype == jnp.float32 for x in (value, *metrics.values()))
      assert any(metric.startswith('class_') for metric in metrics)


def sloped(name, dtype):
  """D's and G's values, and their gradients in everything that D said."""

  def both(real, fake, of_real, of_fake):
    views = (View(None, real, of_real), View(None, fake, of_fake))
    cast = jax.tree.map(lambda x: x.astype(dtype) if x.dtype == jnp.float32 else x, views)
    return values(name, *cast)

  return jax.jit(lambda *x: (both(*x), jax.jacrev(both, (0, 1))(*x)))


@pytest.mark.parametrize('name', WITH_LOSS)
@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16])
def test_finite_with_finite_slopes_at_large_outputs(name, dtype):
  run, real, fake = sloped(name, dtype), look(name, 0), look(name, 1)
  sizes = {head: x.shape for head, x in fake.heads.items()}

  @settings(max_examples=20, deadline=None)
  @given(st.fixed_dictionaries({
    head: hnp.arrays(np.float32, shape, elements=st.sampled_from([-80, -3, -1e-3, 0, 1, 80])) for head, shape in sizes.items()
  }))  # fmt: skip
  def check(said):
    said = {head: jnp.asarray(x) for head, x in said.items()}
    for a, b in ((real.heads, said), (said, fake.heads)):
      assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(run(a, b, real.label, fake.label)))

  check()


@pytest.mark.parametrize('name', WITH_LOSS)
def test_the_order_of_the_batch_is_of_no_account(name):
  real, fake = look(name, 4), look(name, 5)
  expected = values(name, real, fake)

  @settings(max_examples=10, deadline=None)
  @given(st.permutations(range(B)), st.permutations(range(B)))
  def check(first, second):
    orders = np.array(first), np.array(second)
    moved = [jax.tree.map(lambda x, i=i: x[i], view) for view, i in zip((real, fake), orders, strict=True)]
    np.testing.assert_allclose(values(name, *moved), expected, rtol=1e-5, atol=1e-6)

  check()


@pytest.mark.parametrize('name', WITH_LOSS)
def test_the_names_of_classes_are_of_no_account(name):
  """Classes renumbered, with the columns that speak of them."""
  real, fake = look(name, 6), look(name, 7)
  order = np.random.default_rng(0).permutation(K)  # class k is called order[k]
  columns = np.argsort(
    np.concatenate([order, *([order + K] if name == 'adc' else [[K]] if name == 'multi_hinge' else [])])
  )

  def renamed(view):
    heads = {head: x[:, columns] if head in ('class', 'twin') else x for head, x in view.heads.items()}
    return View(view.logits, heads, jnp.asarray(order)[view.label])

  np.testing.assert_allclose(values(name, renamed(real), renamed(fake)), values(name, real, fake), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('name', WITH_LOSS)
def test_players_descend_towards_classes_that_are_right(name):
  """A step of D's loss classifies reals better; a step of G's makes its fakes be taken for the class that was asked."""
  found, real, fake = method(name), look(name, 8, 0.5), look(name, 9, 0.5)
  metric = 'class_cosine' if name in SMALL else 'class_accuracy'

  def after(loss, view, side, steps=300):
    slope = jax.grad(lambda said: loss(view._replace(heads=said)))
    descend = lambda _, said: jax.tree.map(lambda x, g: x - g, said, slope(said))  # noqa: E731
    said = jax.jit(lambda said, n: jax.lax.fori_loop(0, n, descend, said))(view.heads, steps)
    of = found.d(view._replace(heads=said), fake) if side == 'real' else found.g(view._replace(heads=said))
    return float(of[1][f'{metric}_{side}'])

  least = 0.6 if name in SMALL else 1.0
  assert after(lambda view: found.d(view, fake)[0], real, 'real') >= least
  if name not in ('tac', 'adc'):  # these have no end: they push two heads apart
    assert after(lambda view: found.g(view)[0], fake, 'fake') >= least


def test_without_labels_it_says_so():
  view = look('acgan', 0)._replace(label=None)
  with pytest.raises(ConfigError, match='labels'):
    method('acgan').g(view)


def test_accuracy_and_cross_entropy():
  x = jnp.log(jnp.float32([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]]))
  np.testing.assert_allclose(cross_entropy(x, jnp.int32([0, 1])), -(np.log(0.5) + np.log(0.2)) / 2, rtol=1e-5)
  assert accuracy(x, jnp.int32([0, 1])) == 0.5


# Each by itself.


def test_adc_at_its_best_classifier_measures_the_ratio_of_the_joint_distributions():
  """At C's optimum z_{y+} - z_{y-} = log p(x, y) / q(x, y), so that G descends KL(q | p)."""
  rng = np.random.default_rng(0)
  p, q = (rng.dirichlet(np.ones(6 * K)).reshape(6, K) for _ in range(2))  # joint, of 6 values of x
  x, y = (index.ravel() for index in np.indices((6, K)))
  best = jnp.log(jnp.float32(np.concatenate([p, q], 1)))[x]
  view = View(None, {'class': best}, jnp.int32(y))
  per_row = jax.vmap(lambda said, y: method('adc').g(View(None, {'class': said[None]}, y[None]))[0])(best, view.label)
  np.testing.assert_allclose((q.ravel() * np.asarray(per_row)).sum(), (q * np.log(q / p)).sum(), rtol=1e-5)


def test_tac_at_its_best_classifiers_leaves_g_nothing_to_gain_where_the_distributions_agree():
  view = look('tac', 0)
  alike = view._replace(heads=view.heads | {'twin': view.heads['class']})
  slope = jax.grad(lambda said: method('tac').g(alike._replace(heads={'class': said, 'twin': said}))[0])(
    view.heads['class']
  )
  np.testing.assert_allclose(slope, 0, atol=1e-7)


@pytest.mark.parametrize('name', SMALL)
def test_lengths_are_of_no_account_to_cosines(name):
  real, fake = look(name, 0), look(name, 1)
  longer = lambda view: view._replace(heads={head: 7 * x for head, x in view.heads.items()})  # noqa: E731
  np.testing.assert_allclose(values(name, longer(real), longer(fake)), values(name, real, fake), rtol=1e-5)


def test_d2d_leaves_easy_pairs_alone():
  """An image within the margin of its class, and images of other classes further apart than it: no slope."""
  v = jnp.eye(3, DIMENSION)
  view = View(None, {'embedding': 3 * v, 'proxy': v}, jnp.int32([0, 1, 2]))
  assert not jax.grad(lambda f: method('reacgan').g(view._replace(heads=view.heads | {'embedding': f}))[0])(3 * v).any()
  assert jax.grad(lambda f: method('contrastive').g(view._replace(heads=view.heads | {'embedding': f}))[0])(3 * v).any()


def test_units():
  x = jnp.float32([[3, 4], [0, 0], [1e-12, 0], [1e18, 0]])
  np.testing.assert_allclose(cosine.unit(x), [[0.6, 0.8], [0, 0], [0, 0], [1, 0]], rtol=1e-6)
  assert np.isfinite(jax.jacobian(cosine.unit)(x[:3])).all()
