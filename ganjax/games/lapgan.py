"""LAPGAN: a pyramid of adversarial games, sampled from coarse to fine (Denton et al. 2015, arXiv:1506.05751).

The coarsest images, halved `levels` times, are made from latents by `generator` against `discriminator`, the game `gan`.
At each finer level G_k makes what is missing from the coarser image l_k brought to its size: l_k + G_k(z_k, l_k), z_k a
plane of noise, and D_k judges that sum beside l_k (section 3.2; `nets/lapgan.py`). In training l_k is the real image's,
so that no level waits for another, and all train at the same time; in use it is what the coarser levels made.

Players g and d are the networks of all levels, by the side of their images: `params['g']['8']`. A loss, with the terms
in it, is the sum over the levels: each trains as if it were alone, but for a `clip_norm`, which takes them together.
`d/loss_8` is a level's, `d/loss` the sum, and other metrics without a side are means. With a conditioning every level
is told the label.
"""

import dataclasses
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from ganjax import config as names
from ganjax.data.spec import Spec
from ganjax.errors import ConfigError
from ganjax.games import gan
from ganjax.ops import pyramid
from ganjax.players import Players, check_beside, players
from ganjax.types import Array, Batch, Extras, Game, Key, Metrics, Params, Scene

LEVEL = 0x6C76  # what keys of finer levels are folded with


class Level(NamedTuple):
  """One of the games, the finest first."""

  side: str  # of its images, in pixels
  net: Any  # G's module
  both: Players
  game: Game


def game(config: ConfigDict, spec: Spec, *, levels: int = 1, width: int = 64, depth: int = 2, d_width: int = 64,
         d_depth: int = 2, kernel: int = 5, show_coarse: bool = True) -> Game:  # fmt: skip
  """The game on images that are halved `levels` times; with 0 it is `gan`.

  `width`, `depth` (hidden convolutions) and `kernel` are those of the finer levels' G, `d_width` and `d_depth` of their D.
  Without `show_coarse` these D see sums alone, as in the paper. `Game.generate` gives the coarser images, too: 'image_8'.
  """
  check_beside(config, spec)
  pyramid.check('play.levels', levels, spec.shape)
  if levels and 'latent_optimization' in config.stabilizers:
    raise ConfigError('stabilizers.latent_optimization', 'in force', 'no such stabiliser: noise comes in planes here')
  refining = {
    'generator': {'width': width, 'depth': depth},
    'discriminator': {'width': d_width, 'depth': d_depth, 'beside': show_coarse},
  }

  def level(k: int) -> Level:
    shape = (spec.shape[0] >> k, spec.shape[1] >> k, spec.shape[2])
    own, given, options = dataclasses.replace(spec, shape=shape), config, {}
    if k < levels:
      sections = {role: {'name': 'lapgan', 'kernel': kernel, **fields} for role, fields in refining.items()}
      given = ConfigDict(config.to_dict() | sections)
      noise = partial(jax.random.normal, shape=(*shape[:2], 1))
      options = {'latent': noise, 'options': lambda scene: {'coarse': scene.batch['coarse']}, 'paired': True}
    both = players(given, own, **options)  # type: ignore[arg-type]
    return Level(str(shape[0]), names.generator(given, own), both, gan.between(given, own, both))

  stack = [level(k) for k in range(levels + 1)]
  coarsest = stack[-1]

  def key_of(key: Key, k: int) -> Key:
    return key if k == levels else jax.random.fold_in(key, LEVEL + k)

  def batches(batch: Batch) -> list[Batch]:
    """Each level's images and, beside the finer ones, what a coarser level knows of them."""
    images = pyramid.gaussian(jnp.asarray(batch['image']), levels)
    coarse = [{'coarse': pyramid.up(image)} for image in images[1:]] + [{}]
    return [{**batch, 'image': image, **beside} for image, beside in zip(images, coarse, strict=True)]

  def init(key: Key, batch: Batch) -> tuple[Params, Extras]:
    made = [one.both.init(key_of(key, k), own) for k, (one, own) in enumerate(zip(stack, batches(batch), strict=True))]
    by_side = lambda trees: {  # noqa: E731
      name: {one.side: tree[name] for one, tree in zip(stack, trees, strict=True)} for name in trees[0]
    }
    return by_side([params for params, _ in made]), by_side([extras for _, extras in made])

  def loss(name: str, scene: Scene) -> tuple[Array, tuple[Extras, Metrics]]:
    total, extras, metrics = jnp.float32(0), {name: dict(parts) for name, parts in scene.extras.items()}, Metrics()
    for k, (one, batch) in enumerate(zip(stack, batches(scene.batch), strict=True)):
      own = scene._replace(params=of(scene.params, one.side), extras=of(scene.extras, one.side), batch=batch,
                           key=key_of(scene.key, k))  # fmt: skip
      value, (moved, seen) = one.game.losses[name](own)
      total += value
      for player, values in moved.items():
        extras[player][one.side] = values
      metrics |= {f'{metric}_{one.side}': value for metric, value in seen.items()}
      for metric, value in seen.items():
        share = 1 if '/loss' in metric else len(stack)
        metrics[metric] = metrics.get(metric, 0) + value / share
    return total, (extras, metrics)

  def prior(key: Key, count: int, batch: Batch | None = None) -> Batch:
    """'latent' of the coarsest level (and 'label'), and 'noise_16' [count, 16, 16, 1] of each finer one."""
    rows = jnp.arange(count, dtype=jnp.int32)
    planes = {f'noise_{one.side}': one.both.draw(key_of(key, k), rows)[0] for k, one in enumerate(stack[:-1])}
    return coarsest.both.prior(key, count, batch) | planes

  def generate(params: Params, extras: Extras, prior: Batch) -> Batch:
    found = coarsest.both.generate(of(params, coarsest.side), of(extras, coarsest.side), prior)
    for coarser, one in zip(stack[:0:-1], stack[-2::-1], strict=True):
      found[f'image_{coarser.side}'] = found['image']
      variables = {'params': params['g'][one.side], **extras['g'][one.side]}
      coarse = pyramid.up(found['image'])
      made = one.net.apply(variables, prior[f'noise_{one.side}'], prior.get('label'), coarse=coarse)
      found['image'] = made.astype(jnp.float32)
    return found

  def advance(params: Params, extras: Extras, prior: Batch) -> Extras:
    """The finer levels have no statistics."""
    moved = coarsest.both.advance(of(params, coarsest.side), of(extras, coarsest.side), prior)
    return {name: {**parts, coarsest.side: moved[name]} for name, parts in extras.items()}

  losses = {name: partial(loss, name) for name in coarsest.game.losses}
  return Game(init=init, losses=losses, prior=prior, generate=generate, turns=coarsest.game.turns, advance=advance)


def of(tree: dict[str, Any], side: str) -> dict[str, Any]:
  """A level's own of the parameters or extras."""
  return {name: parts[side] for name, parts in tree.items()}
