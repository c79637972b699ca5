"""LPIPS, a learned distance between images (Zhang et al. 2018, arXiv:1801.03924), version 0.1."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ganjax.errors import unknown
from ganjax.evals.features import alexnet, vgg
from ganjax.evals.features.layers import torch_name
from ganjax.evals.features.weights import Source, opened
from ganjax.interop.tensors import Tensors, by_rank, expect, fill, refuse, shapes, size
from ganjax.types import Array, Params

NETWORKS: dict[str, ModuleType] = {'alex': alexnet, 'vgg': vgg}
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of images in [-1, 1]
EPSILON = 1e-10
SIDE = 64  # any that all layers can take


class Lpips(NamedTuple):
  """A distance with its parameters: `distance(params, a, b)` is a pure function that can be jitted."""

  name: str
  protocol: dict[str, str]
  distance: Callable[[Params, Array, Array], Array]  # images [B, H, W, 3] in [-1, 1], twice -> float32 [B]
  params: Params


def open(heads: str | Path, weights: str | Path | None = None, network: str = 'alex') -> Lpips:  # noqa: A001
  """The distance.

  Args:
    heads: a file with the linear layers of version 0.1 (alex.pth, vgg.pth of richzhang/PerceptualSimilarity).
    weights: a local file of the backbone instead of torchvision's published one.
    network: 'alex', the distance that its authors recommend, or 'vgg', which path lengths use.

  Raises: ConfigError for another network; DataError for weights that can't be had or are another network's.
  """
  if network not in NETWORKS:
    raise unknown('--lpips', network, NETWORKS)
  (maps, variables), found = opened(NETWORKS[network].SOURCE, weights, lambda tensors: backbone(tensors, network))
  what = f"LPIPS's linear layers of version 0.1 for {network}: lin0.model.1.weight to lin4.model.1.weight"
  linear, own = opened(Source(what), heads, lambda tensors: converted_heads(tensors, maps.widths, network))
  params = {'maps': variables['params'], 'heads': linear}

  def distance(params: Params, a: Array, b: Array) -> Array:
    with jax.default_matmul_precision('highest'):
      return compared(lambda x: maps.apply({'params': params['maps']}, x), params['heads'], a, b)

  return Lpips(f'lpips-{network}', {'weights': found, 'heads': own, 'version': '0.1'}, distance, params)


def compared(maps: Callable[[Array], list[Array]], heads: list[Array], a: Array, b: Array) -> Array:
  """The mean over pixels of weighted squared differences between unit vectors of channels, summed over layers: [B]."""
  both = jnp.concatenate([a, b])
  both = (both - np.asarray(SHIFT, np.float32)) / np.asarray(SCALE, np.float32)
  total = jnp.zeros(len(a))
  for x, head in zip(maps(both), heads, strict=True):
    left, right = jnp.split(x / (jnp.linalg.norm(x, axis=-1, keepdims=True) + EPSILON), 2)
    total += ((left - right) ** 2 @ head).mean((1, 2))
  return total


def backbone(tensors: Tensors, network: str) -> tuple[Any, dict[str, Any]]:
  """The convolutions of torchvision's state dict; its classifier may be there or not."""
  used = {name: x for name, x in tensors.items() if not name.startswith('classifier.')}
  module = NETWORKS[network]
  places = [stage[0] for stage in vgg.STAGES] if network == 'vgg' else list(alexnet.LAYERS)
  maps = module.Maps(tuple(size(used, [(f'features.{place}.weight', 0)]) for place in places))
  wanted = shapes(maps, jnp.zeros((1, SIDE, SIDE, 3)))
  return maps, fill(wanted, used, lambda path, rank: (torch_name(path), by_rank(rank)))


def converted_heads(tensors: Tensors, widths: tuple[int, ...], network: str) -> list[Array]:
  """The weights of each layer's channels. The packages' `lin0.` ... may also be stored under `lins.0.`."""
  tensors = {name.replace('lins.', 'lin'): x for name, x in tensors.items()}
  names = [f'lin{i}.model.1.weight' for i in range(len(widths))]
  refuse('missing tensors', set(names) - set(tensors))
  refuse('tensors with no place', set(tensors) - set(names))
  for name, width in zip(names, widths, strict=True):
    expect(name, tensors[name], (1, width, 1, 1))
  return [jnp.asarray(tensors[name].reshape(-1), jnp.float32) for name in names]
