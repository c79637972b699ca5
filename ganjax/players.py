"""A generator and a discriminator from a config: what they are, how they are called, what a play lays out.

Games are written with these; augmentation, stabilisers and packing are at work inside, so that no game repeats them.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from ganjax import config as names
from ganjax.augment.apa import mixed
from ganjax.augment.augmentation import initial, strength, unchanged
from ganjax.data.spec import Spec
from ganjax.errors import ConfigError
from ganjax.stabilizers.images import ALONE
from ganjax.terms import OF_IMAGES
from ganjax.types import Array, Batch, Extras, Key, Metrics, Params, Play, Scene

# What a play's key is folded with, by kind of draw.
LATENT, LABEL, AUGMENT, PSEUDO, NOISE, INSIDE = 0, 1, 0x6175, 0x6170, 0x6E6F, 0x696E
REAL, FAKE, TERMS, LATENTS = 0, 1, 2, 3  # what D looks at: each is augmented by draws of its own

Look = tuple[Array, dict[str, Array]]  # D's logits [B] and what its heads say [B, ...]


class Players(NamedTuple):
  """The two of them. Every function is pure; those that advance extras return them."""

  classes: int  # 0: unconditional
  init: Callable[[Key, Batch], tuple[Params, Extras]]
  draw: Callable[[Key, Array], tuple[Array, Array | None]]  # key, rows -> latents [B, Z], labels [B]
  forward: Callable[..., tuple[Any, Extras]]  # scene, extras, player, x, label -> a training forward
  judge: Callable[..., tuple[Look, Extras]]  # scene, extras, images, label, which draws -> D's look
  play: Callable[[Scene, str], tuple[Play, Extras]]  # what a loss of that player has at hand
  judged: Callable[..., tuple[Play, Extras]]  # scene, play, extras, reals -> D's look at the fakes (and reals) joins
  added: Callable[..., tuple[Array, Extras, Metrics]]  # player, scene, play, every -> its terms
  prior: Callable[[Key, int, Batch | None], Batch]
  generate: Callable[[Params, Extras, Batch], Batch]
  advance: Callable[[Params, Extras, Batch], Extras]  # the extras after a training forward of G
  look: Callable[[Params, Extras, Batch], Look]  # D's, in evaluation mode
  score: Callable[[Params, Extras, Batch], Array] | None


def players(config: ConfigDict, spec: Spec, *, heads: Mapping[str, int] | None = None,
            latent: Callable[[Key], Array] | None = None, options: Callable[[Scene], dict[str, Any]] | None = None,
            shown: Callable[[Scene, Array], Array] | None = None, made: Callable[[Scene, Array], Array] | None = None,
            paired: bool = False) -> Players:  # fmt: skip
  """The players g and d of `config` on data of `spec`; D has the further `heads` a game asks for (name -> outputs).

  `latent(key) -> [Z]` draws one example's latent, if it is not to be `latent_dim` standard normals;
  `options(scene)` are keywords for every training forward; `shown(scene, reals)` makes of reals what D is shown, and
  `made(scene, fakes)` of what G makes. With `paired`, a fake goes with the real of its row, and has its label.
  """
  augmentation, active = names.augmentation(config), names.stabilizers(config)
  terms = {player: names.terms(config, player) for player in 'dg'}
  packing = active['packing']({})() if 'packing' in active else ALONE
  nets = {'g': names.generator(config, spec), 'd': names.discriminator(config, spec, packing.size, heads or {})}
  # Terms differentiate twice, and sum squares of small slopes: they look through the same networks in float32.
  exact = {player: net.clone(dtype='float32') if hasattr(net, 'dtype') else net for player, net in nets.items()}
  classes = spec.classes if config.conditioning.name != 'none' else 0
  sample = latent or (lambda key: jax.random.normal(key, (config.latent_dim,)))

  def init(key: Key, batch: Batch) -> tuple[Params, Extras]:
    label = batch['label'][:1] if classes else None
    example = packing.pack(jnp.repeat(batch[spec.field][:1], packing.size, 0))
    params, extras = {}, {}
    for i, (player, x) in enumerate({'g': jnp.zeros((1, *jax.eval_shape(sample, key).shape)), 'd': example}.items()):
      variables = dict(nets[player].init(jax.random.fold_in(key, i), x, label))
      params[player], extras[player] = variables.pop('params'), variables
    kept = {f'{player}_{term.name}': jax.tree.map(jnp.float32, term.initial)
            for player in terms for term in terms[player] if term.initial}  # fmt: skip
    extras |= {'terms': kept} if kept else {}
    return params, extras | initial(augmentation(names.hyper(config)))

  def draw(key: Key, rows: Array) -> tuple[Array, Array | None]:
    keys = lambda kind: jax.vmap(partial(jax.random.fold_in, jax.random.fold_in(key, kind)))(rows)  # noqa: E731
    latent = jax.vmap(sample)(keys(LATENT))
    return latent, jax.vmap(lambda k: jax.random.randint(k, (), 0, classes))(keys(LABEL)) if classes else None

  def forward(scene: Scene, extras: Extras, player: str, x: Array, label: Array | None, call: int = 0,
              through: Mapping[str, Any] = nets) -> tuple[Any, Extras]:  # fmt: skip
    """A training forward: the output, float32, and the extras with what it advanced. Each `call` draws for itself."""
    own = extras[player]
    variables = {'params': scene.params[player], **own}
    given = {'train': True, 'axis': scene.axis, **inside(scene, player, call), **(options(scene) if options else {})}
    y, moved = through[player].apply(variables, x, label, mutable=list(own), **given)
    return jax.tree.map(lambda y: y.astype(jnp.float32), y), {**extras, player: moved}

  def inside(scene: Scene, player: str, call: int = 0) -> dict[str, Any]:
    """The key and rows of a network that draws for itself: noise in its layers, mixed styles."""
    if 'key' not in inspect.signature(type(nets[player]).__call__).parameters:
      return {}
    key = jax.random.fold_in(jax.random.fold_in(scene.key, INSIDE), call)
    return {'key': key, 'rows': scene.rows[:: packing.size if player == 'd' else 1]}

  def halves(scene: Scene, latent: Array, label: Array | None) -> tuple[Array, Callable[[Array], Array]]:
    """Styles [B, L, F] of latents, and the function that makes images of them; the latents, of a G without styles."""
    variables, net = {'params': scene.params['g'], **scene.extras['g']}, exact['g']
    if not hasattr(net, 'synthesize'):
      return latent[:, None], lambda ws: forward(scene, scene.extras, 'g', ws[:, 0], label, through=exact)[0]
    given = {'train': True, 'axis': scene.axis, **inside(scene, 'g')}
    ws, _ = net.apply(variables, latent, label, method='styles', mutable=list(scene.extras['g']), **given)
    draws = {'noise': 'random', **inside(scene, 'g'), **(options(scene) if options else {})}
    return ws, lambda ws: net.apply(variables, ws, method='synthesize', **draws).astype(jnp.float32)

  def make(scene: Scene, extras: Extras, latent: Array, label: Array | None) -> tuple[Array, Extras]:
    """G's training forward, as D sees it: in packs."""
    fake, extras = forward(scene, extras, 'g', latent, label)
    return packing.pack(made(scene, fake) if made else fake), extras

  def judge(scene: Scene, extras: Extras, x: Array, label: Array | None, call: int,
            through: Mapping[str, Any] = nets) -> tuple[Look, Extras]:  # fmt: skip
    """D's training forward on augmented images. A play's terms share their draws: they compare."""
    augment, key = augmentation(scene.hyper), jax.random.fold_in(scene.key, AUGMENT)
    x, key = packing.unpack(x), jax.random.fold_in(key, call)
    x = augment.apply(key, scene.rows, x, strength(augment, scene))
    if 'instance_noise' in active:
      x = active['instance_noise'](scene.hyper)(jax.random.fold_in(key, NOISE), scene.rows, x)
    said, extras = forward(scene, extras, 'd', packing.pack(x), label, call, through)
    return (said if isinstance(said, tuple) else (said, {})), extras

  def real(scene: Scene, player: str) -> tuple[Array, Array | None]:
    """Reals and their labels; with APA, D gets fakes among them."""
    x, augment = scene.batch[spec.field], augmentation(scene.hyper)
    found = shown(scene, x) if shown else x, scene.batch['label'] if classes else None
    if augment.pseudo and player == 'd':
      key = jax.random.fold_in(scene.key, PSEUDO)
      latent, label = draw(key, scene.rows)
      fake = forward(scene, scene.extras, 'g', latent, label)[0]
      found = mixed(jax.random.fold_in(key, AUGMENT), scene.rows, strength(augment, scene), found, (fake, label))
    return packing.pack(found[0]), found[1]

  def play(scene: Scene, player: str) -> tuple[Play, Extras]:
    latent, label = draw(scene.key, scene.rows)
    label = scene.batch['label'] if classes and paired else label
    generator = lambda latent, label: make(scene, scene.extras, latent, label)[0]  # noqa: E731
    cost = jnp.float32(0)
    if 'latent_optimization' in active:
      score = lambda z: judge(scene, scene.extras, generator(z, label), label, LATENTS)[0][0]  # noqa: E731
      latent, cost = active['latent_optimization'](scene.hyper)(score, latent)
    fake, extras = make(scene, scene.extras, latent, label)
    found = real(scene, player)
    return Play(*found, fake, label, latent, inspector(scene, extras), generator, halves, cost), extras

  def inspector(scene: Scene, extras: Extras, seen: Sequence[tuple[Any, ...]] = ()) -> Callable[..., Look]:
    """How terms look at D as it stands; `seen` are looks that it has had already, (images, label, look)."""

    def inspect(x: Array, label: Array | None) -> Look:
      # Taken again, the loss's look would be differentiated again: XLA merges the forward passes, not the backward.
      same = [look for image, its, look in seen if image is x and its is label]
      return same[0] if same else judge(scene, extras, x, label, TERMS, exact)[0]

    return inspect

  def judged(scene: Scene, found: Play, extras: Extras, reals: bool = True) -> tuple[Play, Extras]:
    """D looks at the reals, if asked to, and then at the fakes."""
    seen = []
    if reals:
      (logits, said), extras = judge(scene, extras, found.real, found.label, REAL)
      seen.append((found.real, found.label, (logits, said)))
      found = found._replace(real_logits=logits, real_heads=said)
    (logits, said), extras = judge(scene, extras, found.fake, found.fake_label, FAKE)
    seen.append((found.fake, found.fake_label, (logits, said)))
    # A term's look is the same as these where no draw changes the images and D keeps nothing that a look moves on.
    drawn = augmentation(scene.hyper).apply is not unchanged or 'instance_noise' in active
    inspect = inspector(scene, extras, [] if drawn or extras['d'] else seen)
    return found._replace(fake_logits=logits, fake_heads=said, inspect=inspect), extras

  def added(player: str, scene: Scene, found: Play, every: int = 1) -> tuple[Array, Extras, Metrics]:
    """The player's terms of one interval. A lazy one has a turn of its own, and weighs `every` times as much there."""
    total, kept, metrics = jnp.float32(0), Extras(), Metrics()
    for term in terms[player]:
      if term.every == every:
        name = f'{player}_{term.name}'
        value, seen, state = term.value(scene, found, scene.extras['terms'][name] if term.initial else None)
        total += value * every
        kept |= {name: state} if term.initial else {}
        metrics |= {f'{player}/{name}': value for name, value in seen.items()}
    return total, {'terms': {**scene.extras['terms'], **kept}} if kept else {}, metrics

  def prior(key: Key, count: int, batch: Batch | None = None) -> Batch:
    latent, label = draw(key, jnp.arange(count, dtype=jnp.int32))
    if batch is not None and 'label' in batch:
      label = batch['label']
    return {'latent': latent} | ({} if label is None else {'label': label})

  def evaluate(player: str, params: Params, extras: Extras, x: Array, label: Array | None) -> Any:
    return nets[player].apply({'params': params[player], **extras[player]}, x, label)

  def generate(params: Params, extras: Extras, prior: Batch) -> Batch:
    return prior | {spec.field: evaluate('g', params, extras, prior['latent'], prior.get('label')).astype(jnp.float32)}

  def advance(params: Params, extras: Extras, prior: Batch) -> Extras:
    own = extras['g']
    variables = {'params': params['g'], **own}
    _, moved = nets['g'].apply(variables, prior['latent'], prior.get('label'), train=True, mutable=list(own))
    return {**extras, 'g': moved}

  def look(params: Params, extras: Extras, batch: Batch) -> Look:
    said = evaluate('d', params, extras, batch[spec.field], batch['label'] if classes else None)
    return jax.tree.map(lambda y: y.astype(jnp.float32), said if isinstance(said, tuple) else (said, {}))

  def score(params: Params, extras: Extras, batch: Batch) -> Array:
    return look(params, extras, batch)[0]

  return Players(classes, init, draw, forward, judge, play, judged, added, prior, generate, advance, look,
                 score if packing.size == 1 else None)  # fmt: skip


def check_beside(config: ConfigDict, spec: Spec) -> None:
  """Refuses, by name, what a game has no place for in which D sees each image beside another that it goes with."""
  if spec.field != 'image':
    raise ConfigError('game', config.game, f'a game for data of this kind: {config.data.name!r} has no images')
  apart = f'{config.game!r} shows D a second image beside this one, which would stay as it is'
  if config.augment.name != 'none':
    raise ConfigError('augment.name', config.augment.name, f"'none': {apart}")
  for player, chosen in config.terms.items():
    for name in set(chosen) & set(OF_IMAGES):
      raise ConfigError(f'terms.{player}.{name}', 'in force', f'no such term: {apart}')
  if 'packing' in config.stabilizers:
    raise ConfigError('stabilizers.packing', 'in force', f'no such stabiliser: {apart}')
