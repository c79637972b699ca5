"""CycleGAN: two translators that undo each other, learnt from two sets without pairs (Zhu et al. 2017, arXiv:1703.10593).

g_ab makes images of domain B ('image') of those of A ('source'), and g_ba the other way. d_b and d_a judge them; there
and back again an image is to be what it was: lambda (|g_ba(g_ab(a)) - a| + |g_ab(g_ba(b)) - b|), equation 2. What is of
a translator's own target domain already it is to leave as it is, with weight lambda * identity_weight (section 5.2).
The discriminators look at the fakes that the generators made before they moved, exchanged with a pool of earlier ones
(section 4); their losses are halved. With least squares in the authors' PyTorch code, which has no halves, d_weight is 1
and gan_weight 2 of `lsgan` here, that has them.
"""

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from ganjax import config as names
from ganjax.data.spec import Spec
from ganjax.errors import ConfigError
from ganjax.ops import across
from ganjax.ops.pool import empty, exchanged
from ganjax.translators import both_ways, judged, two_domains
from ganjax.types import Array, Batch, Extras, Game, Key, Metrics, Number, Params, Scene, Turn

PLAYERS = ('g_ab', 'g_ba', 'd_a', 'd_b')
AVERAGED = ('g_ab', 'g_ba')


def game(config: ConfigDict, spec: Spec, *, cycle_weight: Number = 10.0, identity_weight: Number = 0.5,
         gan_weight: Number = 1.0, d_weight: Number = 0.5, pool_size: int = 50) -> Game:  # fmt: skip
  """The game between 'source' and 'image': both generators, then both discriminators on what these made.

  `Game.generate` translates 'source' to 'image', and 'target' to 'reverse'; 'rebuilt' and 'reverse_rebuilt' are the ways
  back. An `identity_weight` of 0 leaves that loss out. A `pool_size` of 0 shows D the new fakes.
  """
  del cycle_weight, gan_weight, d_weight  # in scene.hyper
  domains = {'a': spec.source, 'b': spec.shape}
  adversarial = names.loss(config)
  if identity_weight and spec.source and spec.source != spec.shape:
    raise ConfigError('play.identity_weight', identity_weight, f'0: images of {spec.source} and of {spec.shape} differ')
  four = two_domains(config, spec)

  def init(key: Key, batch: Batch) -> tuple[Params, Extras]:
    params, extras = four.init(key)
    pools = {side: empty(pool_size, shape) for side, shape in domains.items()}
    shown = {side: jnp.zeros((config.batch_size, *shape)) for side, shape in domains.items()}
    return params, {**extras, 'pool': pools, 'shown': shown}

  def keep(scene: Scene, fakes: dict[str, Array]) -> Extras:
    """The fakes of all devices through the pools, for the turn of the discriminators."""
    rows, pools, shown = across.gather(scene.rows, scene.axis), {}, {}
    for i, (side, fake) in enumerate(fakes.items()):
      fake = across.gather(jax.lax.stop_gradient(fake), scene.axis)
      found, pools[side] = exchanged(jax.random.fold_in(scene.key, i), rows, scene.extras['pool'][side], fake)
      shown[side] = scene.extras['shown'][side].at[rows].set(found)
    return {'pool': pools, 'shown': shown}

  def g_loss(scene: Scene) -> tuple[Array, tuple[Extras, Metrics]]:
    extras, weights, metrics = scene.extras, scene.hyper, Metrics()
    real, fakes, loss = {'a': scene.batch['source'], 'b': scene.batch['image']}, {}, jnp.float32(0)
    for call, (there, back, a, b) in enumerate((('g_ab', 'g_ba', 'a', 'b'), ('g_ba', 'g_ab', 'b', 'a'))):
      fake, extras = four.forward(scene, extras, there, real[a], 3 * call)
      again, extras = four.forward(scene, extras, back, fake, 3 * call + 1)
      judgement, extras = four.forward(scene, extras, f'd_{b}', fake)
      of_real = None
      if adversarial.g_needs_real:
        of_real, extras = four.forward(scene, extras, f'd_{b}', real[b])
      gan = adversarial.g(*judged(scene, f'd_{b}', of_real, judgement)[:2]).mean()
      cycle = jnp.abs(again - real[a]).mean()
      loss += weights['play_gan_weight'] * gan + weights['play_cycle_weight'] * cycle
      metrics |= {f'{there}/gan': gan, f'{there}/cycle': cycle}
      if identity_weight:
        same, extras = four.forward(scene, extras, there, real[b], 3 * call + 2)
        identity = jnp.abs(same - real[b]).mean()
        loss += weights['play_cycle_weight'] * weights['play_identity_weight'] * identity
        metrics |= {f'{there}/identity': identity}
      fakes[b] = fake
    return loss, (extras | keep(scene, fakes), metrics | {'g/loss': loss})

  def d_loss(scene: Scene) -> tuple[Array, tuple[Extras, Metrics]]:
    extras, loss, metrics = scene.extras, jnp.float32(0), Metrics()
    for side, x in (('a', scene.batch['source']), ('b', scene.batch['image'])):
      player = f'd_{side}'
      real, extras = four.forward(scene, extras, player, x)
      fake, extras = four.forward(scene, extras, player, scene.extras['shown'][side][scene.rows])
      real, fake, seen = judged(scene, player, real, fake)
      own = scene.hyper['play_d_weight'] * adversarial.d(real, fake).mean()
      loss, metrics = loss + own, metrics | seen | {f'{player}/loss': own}
    return loss, (extras, metrics)

  turns = (Turn(PLAYERS[:2], 'g'), Turn(PLAYERS[2:], 'd', fresh=False))
  return Game(init=init, losses={'g': g_loss, 'd': d_loss}, prior=four.prior, generate=both_ways(four), turns=turns)
