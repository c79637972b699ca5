"""LeCam regularisation: D's logits stay near where those of the other side were of late."""

import jax
import jax.numpy as jnp
import numpy as np

from ganjax.ops import across
from ganjax.types import Array, Metrics, Number, Play, Scene

State = dict[str, Array]

LECAM_STATE = {side: np.zeros((), np.float32) for side in ('real', 'fake')}  # moving averages of D's mean logits


def lecam(
  scene: Scene,
  play: Play,
  state: State,
  *,
  weight: Number = 0.3,
  decay: Number = 0.99,
  start: int = 1000,
  one_sided: bool = True,
) -> tuple[Array, Metrics, State]:
  """LeCam, for D: weight (E (D(x) - a_f)^2 + E (D(G(z)) - a_r)^2) (Tseng et al. 2021, arXiv:2104.03310, section 3).

  a_r and a_f are moving averages of D's mean logits on reals and on fakes, which makes the divergence that the game
  measures a bounded one; `state` holds them. `one_sided`, as in the authors' code, only pulls reals down to a_f and
  fakes up to a_r: the differences are max(0, D(x) - a_f) and max(0, a_r - D(G(z))). Up to step `start` the averages are
  the last batch's and nothing is added. The weight is the paper's for CIFAR; StudioGAN's decay is .9.
  """
  real = play.critic(play.real, play.label) if play.real_logits is None else play.real_logits
  fake = play.critic(play.fake, play.fake_label) if play.fake_logits is None else play.fake_logits
  begun = scene.step > start
  keep = jnp.where(begun, decay, 0.0)

  def moved(side: str, logits: Array) -> Array:
    mean = jax.lax.stop_gradient(across.mean(logits.astype(jnp.float32).mean(), scene.axis))
    return keep * state[side] + (1 - keep) * mean

  state = {'real': moved('real', real), 'fake': moved('fake', fake)}
  above, below = real - state['fake'], state['real'] - fake
  if one_sided:
    above, below = jax.nn.relu(above), jax.nn.relu(below)
  value = jnp.where(begun, weight * (jnp.square(above).mean() + jnp.square(below).mean()), 0.0)
  return value, {'lecam': value, 'lecam_real': state['real'], 'lecam_fake': state['fake']}, state
