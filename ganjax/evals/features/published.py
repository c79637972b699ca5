"""From weights, a network and a way of resizing to an extractor."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ganjax.evals.features import Extractor
from ganjax.evals.features.resize import resizer
from ganjax.evals.features.weights import Source, opened
from ganjax.interop.tensors import Tensors
from ganjax.types import Array, Params

Seen = Callable[[Params, Array], dict[str, Array]]  # scaled images [B, size, size, 3] -> outputs by name
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's colours


def extractor(name: str, source: Source, weights: str | Path | None, convert: Callable[[Tensors], Params], seen: Seen,
              way: str, size: int, scale: Callable[[Array], Array], outputs: Mapping[str, int]) -> Extractor:  # fmt: skip
  """The extractor of a network with published weights.

  Args:
    name: of the network.
    source: where the weights are published.
    weights: a local file instead.
    convert: tensors by name -> parameters; raises ValueError for those of another network.
    seen: the network.
    way: of resizing, one of `resize.WAYS`.
    size: of the images that it takes.
    scale: from levels 0 to 255 to what the network takes.
    outputs: widths.
  """
  resize = resizer(way, size)
  params, found = opened(source, weights, convert)
  return Extractor(name, {'weights': found, 'resize': f'{way} {size}'}, outputs, applied(seen, scale, resize), params)


def module_extractor(name: str, source: Source, weights: str | Path | None, convert: Callable[[Tensors], Any],
                     way: str, size: int | None = None, mean: tuple[float, ...] = MEAN,
                     std: tuple[float, ...] = STD) -> Extractor:  # fmt: skip
  """The same of a Linen module that `convert` finds with its variables: (module, {'params': ...}).

  The module says how large its images are where `size` is None.
  """
  resizer(way, 1)  # a wrong name is told before weights are fetched
  (module, variables), found = opened(source, weights, convert)
  size = size or module.size
  seen: Seen = lambda params, x: module.apply({'params': params}, x)  # noqa: E731
  apply = applied(seen, lambda x: normalised(x, mean, std), resizer(way, size))
  image = jax.ShapeDtypeStruct((1, size, size, 3), jnp.uint8)
  outputs = {output: x.shape[-1] for output, x in jax.eval_shape(apply, variables['params'], image).items()}
  return Extractor(name, {'weights': found, 'resize': f'{way} {size}'}, outputs, apply, variables['params'])


def applied(seen: Seen, scale: Callable[[Array], Array], resize: Callable[[Array], Array]) -> Seen:
  """uint8 images [B, H, W, C] -> outputs by name, float32 [B, width], on every device in full precision."""

  def apply(params: Params, images: Array) -> dict[str, Array]:
    with jax.default_matmul_precision('highest'):
      return seen(params, scale(resize(images)))

  return apply


def normalised(x: Array, mean: tuple[float, ...], std: tuple[float, ...]) -> Array:
  """Levels 0 to 255 with the mean and standard deviation of colours in [0, 1]."""
  return (x - 255 * np.asarray(mean, np.float32)) / (255 * np.asarray(std, np.float32))
