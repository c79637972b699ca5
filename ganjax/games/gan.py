"""The adversarial game: a generator against a discriminator (Goodfellow et al. 2014).

Loss, terms, networks and conditioning come from the config; variants that differ in nothing else are configs.
"""

from functools import partial

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from ganjax import config as names
from ganjax.augment.apa import mixed
from ganjax.augment.augmentation import initial, observe, strength
from ganjax.data.spec import Spec
from ganjax.ops import across
from ganjax.types import Array, Batch, Extras, Game, Key, Loss, Metrics, Params, Play, Scene, Turn

LATENT, LABEL, AUGMENT, PSEUDO = 0, 1, 0x6175, 0x6170  # what a play's key is folded with, for each kind of draw
REAL, FAKE, TERMS = 0, 1, 2  # what D looks at: each is augmented by draws of its own


def game(config: ConfigDict, spec: Spec) -> Game:
  """The game of `config` on data of `spec`: players g and d; turns d (n_critic times), lazy terms, g."""
  nets = {'g': names.network(config, 'generator', spec), 'd': names.network(config, 'discriminator', spec)}
  adversarial = names.loss(config)
  augmentation = names.augmentation(config)
  terms = {player: names.terms(config, player) for player in 'dg'}
  classes = spec.classes if config.conditional else 0
  dim = config.latent_dim

  def init(key: Key, batch: Batch) -> tuple[Params, Extras]:
    label = batch['label'][:1] if classes else None
    params, extras = {}, {}
    for i, (player, x) in enumerate({'g': jnp.zeros((1, dim)), 'd': batch[spec.field][:1]}.items()):
      variables = dict(nets[player].init(jax.random.fold_in(key, i), x, label))
      params[player], extras[player] = variables.pop('params'), variables
    return params, extras | initial(augmentation(names.hyper(config)))

  def draw(key: Key, rows: Array) -> tuple[Array, Array | None]:
    """Latents [B, dim] and labels [B] or None, row by row."""
    keys = lambda kind: jax.vmap(partial(jax.random.fold_in, jax.random.fold_in(key, kind)))(rows)  # noqa: E731
    latent = jax.vmap(lambda k: jax.random.normal(k, (dim,)))(keys(LATENT))
    return latent, jax.vmap(lambda k: jax.random.randint(k, (), 0, classes))(keys(LABEL)) if classes else None

  def forward(scene: Scene, extras: Extras, player: str, x: Array, label: Array | None) -> tuple[Array, Extras]:
    """A training forward: the output, float32, and the extras with what it advanced."""
    own = extras[player]
    variables = {'params': scene.params[player], **own}
    y, moved = nets[player].apply(variables, x, label, train=True, axis=scene.axis, mutable=list(own))
    return y.astype(jnp.float32), {**extras, player: moved}

  def judge(scene: Scene, extras: Extras, x: Array, label: Array | None, call: int) -> tuple[Array, Extras]:
    """D's training forward on augmented images. A play's terms share their draws: they compare."""
    augment = augmentation(scene.hyper)
    key = jax.random.fold_in(jax.random.fold_in(scene.key, AUGMENT), call)
    return forward(scene, extras, 'd', augment.apply(key, scene.rows, x, strength(augment, scene)), label)

  def real(scene: Scene, player: str) -> tuple[Array, Array | None]:
    """Reals and their labels; with APA, D gets fakes among them."""
    found = scene.batch[spec.field], scene.batch['label'] if classes else None
    augment = augmentation(scene.hyper)
    if not augment.pseudo or player != 'd':
      return found
    key = jax.random.fold_in(scene.key, PSEUDO)
    latent, label = draw(key, scene.rows)
    fake = forward(scene, scene.extras, 'g', latent, label)[0]
    return mixed(jax.random.fold_in(key, AUGMENT), scene.rows, strength(augment, scene), found, (fake, label))

  def play(scene: Scene, player: str) -> tuple[Play, Extras]:
    latent, label = draw(scene.key, scene.rows)
    fake, extras = forward(scene, scene.extras, 'g', latent, label)
    found = Play(
      *real(scene, player), fake, label, latent,
      critic=lambda x, label: judge(scene, extras, x, label, TERMS)[0],
      generator=lambda latent, label: forward(scene, scene.extras, 'g', latent, label)[0],
    )  # fmt: skip
    return found, extras

  def added(player: str, scene: Scene, found: Play, every: int = 1) -> tuple[Array, Metrics]:
    """The player's terms of one interval. A lazy one has a turn of its own, and weighs `every` times as much there."""
    total, metrics = jnp.float32(0), Metrics()
    for term in terms[player]:
      if term.every == every:
        value, seen = term.value(scene, found)
        total += value * every
        metrics |= {f'{player}/{name}': value for name, value in seen.items()}
    return total, metrics

  def d_loss(scene: Scene) -> tuple[Array, tuple[Extras, Metrics]]:
    found, extras = play(scene, 'd')
    r, extras = judge(scene, extras, found.real, found.label, REAL)
    f, extras = judge(scene, extras, found.fake, found.fake_label, FAKE)
    critic = lambda x, label: judge(scene, extras, x, label, TERMS)[0]  # noqa: E731, with the advanced extras
    extra, metrics = added('d', scene, found._replace(critic=critic))
    r, f = across.gather(r, scene.axis), across.gather(f, scene.axis)  # relativistic averages are of the whole batch
    loss = adversarial.d(r, f).mean() + extra
    metrics |= {'d/loss': loss, 'd/real_prob': jax.nn.sigmoid(r).mean(), 'd/fake_prob': jax.nn.sigmoid(f).mean()}
    if adversarial.parts:
      metrics |= {
        f'd/loss_{name}': part.mean() for name, part in zip(('real', 'fake'), adversarial.parts(r, f), strict=True)
      }
    state, seen = observe(augmentation(scene.hyper), scene, r, f)
    return loss, (extras | state, metrics | seen)

  def g_loss(scene: Scene) -> tuple[Array, tuple[Extras, Metrics]]:
    found, extras = play(scene, 'g')
    r = jnp.float32(0)
    if adversarial.g_needs_real:
      r, extras = judge(scene, extras, found.real, found.label, REAL)
      r = across.gather(r, scene.axis)
    f, extras = judge(scene, extras, found.fake, found.fake_label, FAKE)
    extra, metrics = added('g', scene, found)
    loss = adversarial.g(r, across.gather(f, scene.axis)).mean() + extra
    return loss, (extras, metrics | {'g/loss': loss})

  def lazy_loss(player: str, every: int, scene: Scene) -> tuple[Array, tuple[Extras, Metrics]]:
    loss, metrics = added(player, scene, play(scene, player)[0], every)
    return loss, ({}, metrics)

  losses: dict[str, Loss] = {'d': d_loss, 'g': g_loss}
  lazy: dict[str, list[Turn]] = {'d': [], 'g': []}
  for player, every in sorted({(p, term.every) for p in terms for term in terms[p] if term.every > 1}):
    losses[f'{player}_every_{every}'] = partial(lazy_loss, player, every)
    lazy[player].append(Turn((player,), f'{player}_every_{every}', every=every, fresh=False))
  d_turn, g_turn = Turn(('d',), 'd', times=config.n_critic), Turn(('g',), 'g', fresh=adversarial.g_needs_real)

  def prior(key: Key, count: int, batch: Batch | None = None) -> Batch:
    latent, label = draw(key, jnp.arange(count, dtype=jnp.int32))
    if batch is not None and 'label' in batch:
      label = batch['label']
    return {'latent': latent} | ({} if label is None else {'label': label})

  def evaluate(player: str, params: Params, extras: Extras, x: Array, label: Array | None) -> Array:
    return nets[player].apply({'params': params[player], **extras[player]}, x, label).astype(jnp.float32)

  def generate(params: Params, extras: Extras, prior: Batch) -> Batch:
    return prior | {spec.field: evaluate('g', params, extras, prior['latent'], prior.get('label'))}

  def score(params: Params, extras: Extras, batch: Batch) -> Array:
    return evaluate('d', params, extras, batch[spec.field], batch['label'] if classes else None)

  turns = (d_turn, *lazy['d'], g_turn, *lazy['g'])
  return Game(init=init, losses=losses, prior=prior, generate=generate, turns=turns, score=score)
