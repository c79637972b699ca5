"""The adversarial game: a generator against a discriminator (Goodfellow et al. 2014).

Loss, terms, stabilisers, conditioning, augmentation and networks come from the config; variants that differ in nothing
else are configs.
"""

from functools import partial

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from ganjax import config as names
from ganjax.augment.augmentation import observe
from ganjax.conditioning.conditioning import View
from ganjax.data.spec import Spec
from ganjax.ops import across
from ganjax.players import Players, players
from ganjax.types import Array, Extras, Game, Loss, Metrics, Scene, Turn


def game(config: ConfigDict, spec: Spec) -> Game:
  """The game of `config` on data of `spec`: players g and d; turns d (n_critic times), lazy terms, g."""
  return between(config, spec, players(config, spec))


def between(config: ConfigDict, spec: Spec, both: Players) -> Game:
  """The game between two players that are given: for games that change what these do, not how it is played."""
  adversarial, active = names.loss(config), names.stabilizers(config)
  augmentation, conditioning = names.augmentation(config), names.conditioning(config)
  alone = conditioning(names.hyper(config)).alone

  def view(scene: Scene, logits: Array, heads: dict[str, Array], label: Array | None) -> View:
    """D's look with the rows of all devices: some losses compare them."""
    return jax.tree.map(lambda x: across.gather(x, scene.axis), View(logits, heads, label))

  def d_loss(scene: Scene) -> tuple[Array, tuple[Extras, Metrics]]:
    found, extras = both.judged(scene, *both.play(scene, 'd'), reals=True)
    extra, kept, metrics = both.added('d', scene, found)
    real = view(scene, found.real_logits, found.real_heads, found.label)
    fake = view(scene, found.fake_logits, found.fake_heads, found.fake_label)
    asked, told = conditioning(scene.hyper).d(real, fake)
    state, seen = observe(augmentation(scene.hyper), scene, real.logits, fake.logits)
    loss, metrics = extra + asked, metrics | seen | {f'd/{name}': value for name, value in told.items()}
    if not alone:
      r, f = found.real_logits, found.fake_logits
      if 'label_flipping' in active:
        r, f = active['label_flipping'](scene.hyper)(scene, r, f)
      r, f = across.gather(r, scene.axis), across.gather(f, scene.axis)
      loss += adversarial.d(r, f).mean()
      metrics |= seen_by_d(real.logits, fake.logits)
      if adversarial.parts:
        parts = zip(('real', 'fake'), adversarial.parts(r, f), strict=True)
        metrics |= {f'd/loss_{name}': part.mean() for name, part in parts}
    return loss, (extras | kept | state, metrics | {'d/loss': loss})

  def g_loss(scene: Scene) -> tuple[Array, tuple[Extras, Metrics]]:
    reals = adversarial.g_needs_real and not alone
    found, extras = both.judged(scene, *both.play(scene, 'g'), reals=reals)
    extra, kept, metrics = both.added('g', scene, found)
    fake = view(scene, found.fake_logits, found.fake_heads, found.fake_label)
    asked, told = conditioning(scene.hyper).g(fake)
    loss, metrics = extra + asked + found.latent_cost, metrics | {f'g/{name}': value for name, value in told.items()}
    if not alone:
      real = across.gather(found.real_logits, scene.axis) if reals else jnp.float32(0)
      losses = adversarial.g(real, fake.logits)
      loss += active['top_k'](scene.hyper)(losses, fake.logits) if 'top_k' in active else losses.mean()
    return loss, (extras | kept, metrics | {'g/loss': loss})

  def lazy_loss(player: str, every: int, scene: Scene) -> tuple[Array, tuple[Extras, Metrics]]:
    loss, kept, metrics = both.added(player, scene, both.play(scene, player)[0], every)
    return loss, (kept, metrics)

  losses: dict[str, Loss] = {'d': d_loss, 'g': g_loss}
  lazy: dict[str, list[Turn]] = {'d': [], 'g': []}
  for player, every in sorted({(p, term.every) for p in 'dg' for term in names.terms(config, p) if term.every > 1}):
    losses[f'{player}_every_{every}'] = partial(lazy_loss, player, every)
    lazy[player].append(Turn((player,), f'{player}_every_{every}', every=every, fresh=False))
  d_turn, g_turn = Turn(('d',), 'd', times=config.n_critic), Turn(('g',), 'g', fresh=adversarial.g_needs_real)
  turns = (d_turn, *lazy['d'], g_turn, *lazy['g'])
  return Game(init=both.init, losses=losses, prior=both.prior, generate=both.generate, turns=turns, score=both.score,
              advance=both.advance)  # fmt: skip


def seen_by_d(real: Array, fake: Array) -> Metrics:
  """What D's logits [B] of reals and fakes come to, as probabilities and as the share on the right side of 0."""
  right = ((real > 0).mean() + (fake < 0).mean()) / 2
  return {'d/real_prob': jax.nn.sigmoid(real).mean(), 'd/fake_prob': jax.nn.sigmoid(fake).mean(), 'd/accuracy': right}
