"""Denoising diffusion GAN: a diffusion of few, large steps, each undone by a conditional GAN (Xiao et al. 2022).

arXiv:2112.07804, section 3.1. Over T steps noise takes the place of an image x_0 (`ops/diffusion.py`). G guesses from x_t,
the step t and a latent what x_0 was, and x_(t-1) is drawn from q(x_(t-1) | x_t, G(x_t, z, t)); D judges whether x_(t-1)
goes with x_t and t, beside pairs in which x_(t-1) comes from the data. So many images may lead to one x_t, where a
Gaussian, right for small steps, knows a single one; and G need not go all the way from noise at once. Sampling takes T
passes of G. With one step G starts at noise of which nothing is left to see, and the game is the plain one.

Loss and terms are `gan`'s, on x_(t-1) in the place of images. The paper has R1 every 15 steps, as its code does it without
weighing it 15 times as much: here `terms.d.r1` with `every` 15 and a 15th of its gamma.
"""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from ganjax import config as names
from ganjax.data.spec import Spec
from ganjax.errors import ConfigError
from ganjax.games import gan
from ganjax.ops import diffusion
from ganjax.players import check_beside, players
from ganjax.types import Array, Batch, Extras, Game, Key, Loss, Metrics, Params, Scene

TIME, BEFORE, AFTER, BACK, LATENTS, NOISE = 0x7400, 0x7401, 0x7402, 0x7403, 0x7404, 0x7405  # what keys are folded with


def game(config: ConfigDict, spec: Spec, *, diffusion_steps: int = 4, beta_min: float = 0.1,
         beta_max: float = 20.0) -> Game:  # fmt: skip
  """The game of `gan` between G(z, noisy=x_t, time=t) and D(x_(t-1), noisy=x_t, time=t), see `nets/ddgan.py`.

  `Game.prior` draws 'latent' [B, T, latent_dim], one for each pass, and 'noise' [B, T, H, W, C]: x_T and what is added on
  the way. `Game.generate` gives 'image' and the way to it, 'noisy_4' to 'noisy_1'.
  """
  check_beside(config, spec)
  if diffusion_steps < 1:
    raise ConfigError('play.diffusion_steps', diffusion_steps, 'a number of at least 1')
  if not 0 < beta_min <= beta_max:
    raise ConfigError('play.beta_min', beta_min, f'above 0 and at most beta_max ({beta_max})')
  signal, net = diffusion.variance_preserving(diffusion_steps, beta_min, beta_max), names.generator(config, spec)

  def diffused(scene: Scene) -> Scene:
    """With x_(t-1) in the place of the images, and beside it x_t, t int32 [B], all steps as likely, and noise."""
    draw = lambda key: jax.random.randint(key, (), 1, diffusion_steps + 1)  # noqa: E731
    t = jax.vmap(draw)(per_row(scene.key, TIME, scene.rows))
    (kept, spread), (factor, step) = diffusion.marginal(signal, t - 1), diffusion.transition(signal, t)
    first, second, noise = (normal(scene.key, kind, scene.rows, spec.shape) for kind in (BEFORE, AFTER, BACK))
    before = wide(kept) * scene.batch['image'] + wide(spread) * first
    after = wide(factor) * before + wide(step) * second
    return scene._replace(batch={**scene.batch, 'image': before, 'noisy': after, 'time': t, 'noise': noise})

  def back(t: Array, noisy: Array, clean: Array, noise: Array) -> Array:
    """x_(t-1) drawn from its posterior, given x_t and x_0."""
    of_clean, of_noisy, spread = map(wide, diffusion.posterior(signal, t))
    return of_clean * clean + of_noisy * noisy + spread * noise

  def on_diffused(loss: Loss, scene: Scene) -> tuple[Array, tuple[Extras, Metrics]]:
    return loss(diffused(scene))

  both = players(
    config, spec, paired=True, options=lambda scene: {name: scene.batch[name] for name in ('noisy', 'time')},
    made=lambda scene, clean: back(scene.batch['time'], scene.batch['noisy'], clean, scene.batch['noise']),
  )  # fmt: skip

  def prior(key: Key, count: int, batch: Batch | None = None) -> Batch:
    rows, steps = jnp.arange(count, dtype=jnp.int32), diffusion_steps
    latent, noise = (
      normal(key, LATENTS, rows, (steps, config.latent_dim)),
      normal(key, NOISE, rows, (steps, *spec.shape)),
    )
    return {**both.prior(key, count, batch), 'latent': latent, 'noise': noise}

  def generate(params: Params, extras: Extras, prior: Batch) -> Batch:
    variables, found, x = {'params': params['g'], **extras['g']}, dict(prior), prior['noise'][:, 0]
    for i in range(diffusion_steps):
      t = jnp.full(len(x), diffusion_steps - i)
      found[f'noisy_{diffusion_steps - i}'] = x
      clean = net.apply(variables, prior['latent'][:, i], prior.get('label'), noisy=x, time=t).astype(jnp.float32)
      x = back(t, x, clean, prior['noise'][:, (i + 1) % diffusion_steps])  # the last pass adds none
    return found | {'image': x}

  plain = gan.between(config, spec, both)
  losses: dict[str, Loss] = {name: partial(on_diffused, loss) for name, loss in plain.losses.items()}
  return dataclasses.replace(plain, losses=losses, prior=prior, generate=generate, score=None, advance=None)


def per_row(key: Key, kind: int, rows: Array) -> Key:
  """A key for each row that no other kind of draw has."""
  return jax.vmap(partial(jax.random.fold_in, jax.random.fold_in(key, kind)))(rows)


def normal(key: Key, kind: int, rows: Array, shape: tuple[int, ...]) -> Array:
  """Each row's own draw, [B, *shape]."""
  return jax.vmap(lambda k: jax.random.normal(k, shape))(per_row(key, kind, rows))


def wide(x: Array) -> Array:
  """Numbers [B] beside images."""
  return x[:, None, None, None]
