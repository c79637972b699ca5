"""Generators as something to walk through: what path lengths and neighbourhoods need of a trained game."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from ganjax import config as configs
from ganjax import parallel
from ganjax.data.spec import Spec
from ganjax.evals.view import Latents, Walk
from ganjax.types import Array, Batch, Game


def walk(config: ConfigDict, spec: Spec, game: Game, mesh: jax.sharding.Mesh, size: int, held: Any,
         priors: Sequence[dict[str, np.ndarray]], see: Callable[[Any], Array]) -> Walk:  # fmt: skip
  """A `Walk` of a generator.

  Args:
    config: whose generator may have styles.
    spec: of the data.
    game: generates.
    mesh: the devices.
    size: of a batch.
    held: parameters and extras to generate with, and whatever else `see` needs.
    priors: all draws from the prior, in batches. Labels and the like of the first go with each row's place in a batch:
      the two ends of a step have to share them.
    see: a batch of the prior -> features.
  """
  others = {name: np.resize(x, (size, *x.shape[1:])) for name, x in priors[0].items() if name != 'latent'}

  def filled(latents: Latents, name: str = 'latent') -> Any:
    return {name: latents, **{other: x[: len(latents)] for other, x in others.items()}}

  def compiled(function: Callable[[Any, Batch], Array], name: str = 'latent') -> Callable[[Latents], Array]:
    program = parallel.over_rows(function, mesh, size)
    return lambda latents: program(held, filled(latents, name))[: len(latents)]

  latents = np.concatenate([prior['latent'] for prior in priors])
  walking = Walk(
    latents, size, lambda latents: see(filled(latents))[: len(latents)],
    compiled(lambda held, prior: game.generate(held[0], held[1], prior)[spec.field]),
  )  # fmt: skip
  net = configs.generator(config, spec)
  if not hasattr(net, 'styles'):
    return walking

  def styles(held: Any, prior: Batch) -> Array:
    return net.apply(variables(held), prior['latent'], prior.get('label'), method='styles')

  def synthesize(held: Any, prior: Batch) -> Array:
    return net.apply(variables(held), prior['styles'], method='synthesize').astype(jnp.float32)

  return walking._replace(styles=compiled(styles), make_of_styles=compiled(synthesize, 'styles'))


def variables(held: Any) -> dict[str, Any]:
  """The generator's."""
  params, extras, *_ = held
  return {'params': params['g'], **extras['g']}
