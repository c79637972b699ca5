"""Unrolled GAN: G plays against the D that D will become (Metz et al. 2017, arXiv:1611.02163).

In G's turn D looks k moves ahead with its own loss, terms and optimiser: D_0 = D, D_(i+1) = one step from D_i
(section 2.2). G then descends its own loss against D_k, through those moves as well: its gradient has the term that
section 2.4 calls missing, how D reacts to a change of G. Adam starts from D's own moments, and all k moves and G's
loss see one batch and one draw of latents, both as in the authors' demonstration (github.com/poolio/unrolled_gan).

The look-ahead is imagined: D's parameters, optimiser, spectral vectors and batch statistics move on for G's loss and
are put back; of the extras, G's turn advances what G's loss advances, once, save D's. A turn of G costs k turns of D
more, and their derivative.
"""

import dataclasses

import jax
from ml_collections import ConfigDict

from ganjax.data.spec import Spec
from ganjax.errors import ConfigError
from ganjax.games import gan
from ganjax.types import Array, Extras, Game, Metrics, Scene, Turn


def game(config: ConfigDict, spec: Spec, *, unroll_steps: int = 5, unroll_gradient: bool = True) -> Game:
  """The game `gan` with `unroll_steps` (k) imagined moves of D in G's loss; with 0 it is `gan`.

  Without `unroll_gradient` the moved D is a constant to G: the missing term stays missing. Adam's root has no
  derivative where a gradient is exactly 0 (a unit that is dead, a label that is absent): it needs an `eps_root`.
  """
  plain = gan.game(config, spec)
  if not unroll_steps:
    return plain
  if config.microbatches > 1:
    raise ConfigError('microbatches', config.microbatches, '1: the imagined moves of D take the whole batch')
  if unroll_gradient and config.optimizer.d.name != 'sgd' and not config.optimizer.d.get('eps_root'):
    raise ConfigError('optimizer.d.eps_root', config.optimizer.d.get('eps_root'),
                      'a number above 0, such as 1e-12, with adam (or sgd): the moves are differentiated')  # fmt: skip
  ahead = Turn(('d',), 'd')

  def g_loss(scene: Scene) -> tuple[Array, tuple[Extras, Metrics]]:
    moved = scene if unroll_gradient else scene._replace(params=jax.lax.stop_gradient(scene.params))
    for _ in range(unroll_steps):
      moved, _ = scene.move(ahead, moved)
    with_d = lambda now, d: {**now, 'd': d['d']}  # noqa: E731
    last = scene._replace(params=with_d(scene.params, moved.params), extras=with_d(scene.extras, moved.extras))
    loss, (extras, metrics) = plain.losses['g'](last)
    return loss, (with_d(extras, scene.extras), metrics)

  # G's turn has reals of its own: on those that D has just moved on, the imagined moves would be less of a look ahead.
  turns = tuple(turn._replace(fresh=True) if turn.loss == 'g' else turn for turn in plain.turns)
  return dataclasses.replace(plain, losses={**plain.losses, 'g': g_loss}, turns=turns)
