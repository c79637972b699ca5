"""DiscoGAN: two translators that rebuild what the other made, with D's features matched (Kim et al. 2017, arXiv:1703.05192).

As in CycleGAN g_ab and g_ba translate between domains A ('source') and B ('image'), and d_a and d_b judge them. There and
back again an image is to be what it was, by squares (equations 3 to 7); with the adversarial loss, and, in the authors'
code, the squared difference of D's mean maps of reals and of fakes after each of its convolutions. That code weighs all
this 1 - r and rebuilding r, with .1 for the adversarial part and .9 for the features: r is .01 at first and .5 after 10,000
steps. The defaults are its weights then; `schedule` can bring them there. There is no pool, and no identity loss.
"""

from typing import Any

import jax.numpy as jnp
from ml_collections import ConfigDict

from ganjax import config as names
from ganjax.data.spec import Spec
from ganjax.ops import across
from ganjax.translators import both_ways, judged, two_domains
from ganjax.types import Array, Batch, Extras, Game, Key, Metrics, Number, Params, Scene, Turn

PLAYERS = ('g_ab', 'g_ba', 'd_a', 'd_b')
AVERAGED = ('g_ab', 'g_ba')
WAYS = (('g_ab', 'g_ba', 'a', 'b'), ('g_ba', 'g_ab', 'b', 'a'))


def game(config: ConfigDict, spec: Spec, *, gan_weight: Number = 0.05, feature_weight: Number = 0.45,
         rebuilding_weight: Number = 0.5, d_weight: Number = 0.5) -> Game:  # fmt: skip
  """The game between 'source' and 'image': both discriminators, then both generators, which see the same batch.

  `Game.generate` as in `cyclegan`. `feature_weight` is for the mean over D's convolutions but the last.
  """
  del gan_weight, rebuilding_weight, d_weight  # in scene.hyper
  adversarial, four = names.loss(config), two_domains(config, spec)

  def init(key: Key, batch: Batch) -> tuple[Params, Extras]:
    return four.init(key)

  def d_loss(scene: Scene) -> tuple[Array, tuple[Extras, Metrics]]:
    extras, loss, metrics = scene.extras, jnp.float32(0), Metrics()
    real = {'a': scene.batch['source'], 'b': scene.batch['image']}
    for there, _, a, b in WAYS:
      player = f'd_{b}'
      fake, _ = four.forward(scene, scene.extras, there, real[a])  # G's statistics advance in its own turn
      of_real, extras = four.forward(scene, extras, player, real[b])
      of_fake, extras = four.forward(scene, extras, player, fake)
      of_real, of_fake, seen = judged(scene, player, of_real, of_fake)
      own = scene.hyper['play_d_weight'] * adversarial.d(of_real, of_fake).mean()
      loss, metrics = loss + own, metrics | seen | {f'{player}/loss': own}
    return loss, (extras, metrics)

  def g_loss(scene: Scene) -> tuple[Array, tuple[Extras, Metrics]]:
    extras, weights, loss, metrics = scene.extras, scene.hyper, jnp.float32(0), Metrics()
    real = {'a': scene.batch['source'], 'b': scene.batch['image']}
    for there, back, a, b in WAYS:
      fake, extras = four.forward(scene, extras, there, real[a])
      again, extras = four.forward(scene, extras, back, fake, 1)
      of_real, maps, extras = four.looked(scene, extras, f'd_{b}', real[b])
      of_fake, made, extras = four.looked(scene, extras, f'd_{b}', fake)
      gan = adversarial.g(*judged(scene, f'd_{b}', of_real, of_fake)[:2]).mean()
      rebuilding = jnp.square(again - real[a]).mean()
      loss += weights['play_gan_weight'] * gan + weights['play_rebuilding_weight'] * rebuilding
      metrics |= {f'{there}/gan': gan, f'{there}/rebuilding': rebuilding}
      if feature_weight:
        features = apart(maps, made, scene.axis)
        loss += weights['play_feature_weight'] * features
        metrics |= {f'{there}/features': features}
    return loss, (extras, metrics | {'g/loss': loss})

  turns = (Turn(PLAYERS[2:], 'd'), Turn(PLAYERS[:2], 'g', fresh=False))
  return Game(init=init, losses={'d': d_loss, 'g': g_loss}, prior=four.prior, generate=both_ways(four), turns=turns)


def apart(real: list[Any], fake: list[Any], axis: str | None) -> Array:
  """How far the mean maps [H, W, C] of reals and of fakes [B, H, W, C] are apart: squares, the mean over layers but the last."""
  means = [[across.mean(x.mean(0), axis) for x in maps[:-1]] for maps in (real, fake)]
  return sum((jnp.square(r - f).mean() for r, f in zip(*means, strict=True)), jnp.float32(0)) / max(len(means[0]), 1)
