"""Terms that ask of D to say the same of an image and of the image a little changed."""

import jax
import jax.numpy as jnp

from ganjax.errors import ConfigError
from ganjax.terms.draws import per_row
from ganjax.types import Array, Key, Metrics, Number, Play, Scene

OF_REAL, OF_FAKE = 0x6372, 0x6366


def consistency_real(
  scene: Scene, play: Play, *, weight: Number = 10.0, shift: float = 0.125, flip: bool = True
) -> tuple[Array, Metrics]:
  """CR, for D: weight E (D(x) - D(T(x)))^2 on reals x (Zhang et al. 2020, arXiv:1910.12027).

  T mirrors with probability 1/2, if `flip`, and shifts by up to `shift` of the size either way, reflecting at the edge:
  4 pixels of 32. With `consistency_fake` it is bCR; with `latent_consistency` and, for G, `latent_diversity` as well it
  is ICR (Zhao et al. 2021, arXiv:2002.04724). Costs two forwards of D.
  """
  value = weight * apart(scene, play, OF_REAL, play.real, play.label, shift, flip)
  return value, {'consistency_real': value}


def consistency_fake(
  scene: Scene, play: Play, *, weight: Number = 10.0, shift: float = 0.125, flip: bool = True
) -> tuple[Array, Metrics]:
  """The other half of bCR, for D: weight E (D(y) - D(T(y)))^2 on fakes y (Zhao et al. 2021, arXiv:2002.04724).

  T is that of `consistency_real`, which it goes with: alone it lets artefacts of T into the fakes. Two forwards of D.
  """
  value = weight * apart(scene, play, OF_FAKE, play.fake, play.fake_label, shift, flip)
  return value, {'consistency_fake': value}


def apart(scene: Scene, play: Play, kind: int, x: Array, label: Array | None, shift: float, flip: bool) -> Array:
  """E (D(x) - D(T(x)))^2, []."""
  if x.ndim != 4:
    raise ConfigError(
      'terms.d', 'consistency', f'data of images [H, W, C]: rows of shape {list(x.shape[1:])} have no T'
    )
  most = [round(n * shift) for n in x.shape[1:3]]
  draws = per_row(scene, kind, lambda key: draw(key, most, flip), x.shape[0])
  return jnp.square(play.critic(x, label) - play.critic(changed(x, draws, most), label)).mean()


def draw(key: Key, most: list[int], flip: bool) -> Array:
  """Mirrored or not, rows and columns to shift by: int32 [3]."""
  mirror, down = jax.random.split(key)
  limit = jnp.asarray(most)
  moves = jax.random.randint(down, (2,), -limit, limit + 1)
  return jnp.concatenate([jax.random.bernoulli(mirror, 0.5 * flip, (1,)).astype(moves.dtype), moves])


def changed(x: Array, draws: Array, most: list[int]) -> Array:
  """T(x) of x [B, H, W, C]: mirrored where draws [B, 3] say so, then moved down and right, reflected at the edges."""
  x = jnp.where(draws[:, :1, None, None] > 0, x[:, :, ::-1], x)
  padded = jnp.pad(x, [(0, 0), *((m, m) for m in most), (0, 0)], 'reflect')
  shape = x.shape[1:]
  one = lambda x, d: jax.lax.dynamic_slice(x, (most[0] - d[1], most[1] - d[2], 0), shape)  # noqa: E731
  return jax.vmap(one)(padded, draws)
