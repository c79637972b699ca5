"""AlexNet in the form of Krizhevsky 2014 (arXiv:1404.5997), as torchvision has it."""

from pathlib import Path

import flax.linen as nn
import jax.numpy as jnp

from ganjax.evals.features import Extractor
from ganjax.evals.features.layers import Conv, max_pool, torch_name
from ganjax.evals.features.published import module_extractor
from ganjax.evals.features.weights import Source
from ganjax.interop.tensors import Tensors, by_rank, fill, flat_input, shapes, size
from ganjax.types import Array

SOURCE = Source(
  "torchvision's alexnet (alexnet-owt-7be5be79.pth)",
  'https://download.pytorch.org/models/alexnet-owt-7be5be79.pth',
  'sha256:7be5be79',
)
# Place in torchvision's `features` -> kernel, stride, padding; before those of POOLED comes a maximum pool.
LAYERS = {0: (11, 4, 2), 3: (5, 1, 2), 6: (3, 1, 1), 8: (3, 1, 1), 10: (3, 1, 1)}
POOLED = (3, 6)
SIDE = 6  # of the maps that the classifier sees


class Maps(nn.Module):
  """Images [B, H, W, 3] -> the maps behind each ReLU, as LPIPS takes them; params as in torchvision's `features`."""

  widths: tuple[int, ...] = (64, 192, 384, 256, 256)

  @nn.compact
  def __call__(self, x: Array) -> list[Array]:
    found = []
    for width, (place, (kernel, stride, padding)) in zip(self.widths, LAYERS.items(), strict=True):
      x = max_pool(x, 2) if place in POOLED else x
      x = Conv(width, (kernel, kernel), stride, (padding, padding), name=f'features_{place}')(x)
      found.append(x)
    return found


class AlexNet(nn.Module):
  """Images [B, 224, 224, 3] -> features (behind the second hidden layer) and logits."""

  widths: tuple[int, ...] = (64, 192, 384, 256, 256)
  hidden: tuple[int, int] = (4096, 4096)
  classes: int = 1000
  size = 224

  @nn.compact
  def __call__(self, x: Array) -> dict[str, Array]:
    maps = Maps(self.widths)
    nn.share_scope(self, maps)
    x = max_pool(maps(x)[-1], 2)
    x = x.reshape(len(x), -1)
    for width, place in zip(self.hidden, (1, 4), strict=True):
      x = nn.relu(nn.Dense(width, name=f'classifier_{place}')(x))
    return {'features': x, 'logits': nn.Dense(self.classes, name='classifier_6')(x)}


def converted(tensors: Tensors) -> tuple[AlexNet, dict]:
  """torchvision's state dict; its widths may be others."""
  widths = tuple(size(tensors, [(f'features.{place}.weight', 0)]) for place in LAYERS)
  hidden = tuple(size(tensors, [(f'classifier.{place}.weight', 0)]) for place in (1, 4))
  module = AlexNet(widths, hidden, size(tensors, [('classifier.6.weight', 0)]))  # type: ignore[arg-type]
  wanted = shapes(module, jnp.zeros((1, module.size, module.size, 3)))
  first = flat_input(SIDE, SIDE)
  return module, fill(wanted, tensors, lambda path, rank: (
    torch_name(path), first if path[1:] == ('classifier_1', 'kernel') else by_rank(rank)))  # fmt: skip


def open(weights: str | Path | None = None, resize: str | None = None) -> Extractor:  # noqa: A001
  """ImageNet's AlexNet. `resize` is 'crop' by default, as torchvision evaluates it."""
  return module_extractor('alexnet', SOURCE, weights, converted, resize or 'crop')
