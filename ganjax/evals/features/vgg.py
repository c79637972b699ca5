"""VGG16 (Simonyan and Zisserman 2015, arXiv:1409.1556), as torchvision has it: for LPIPS and for precision and recall."""

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
  "torchvision's vgg16 (vgg16-397923af.pth)",
  'https://download.pytorch.org/models/vgg16-397923af.pth',
  'sha256:397923af',
)
STAGES = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))  # places in torchvision's `features`
WIDTHS = (64, 128, 256, 512, 512)
SIDE = 7  # of the maps that the classifier sees


class Maps(nn.Module):
  """Images [B, H, W, 3] -> the last maps of each stage, as LPIPS takes them; params as in torchvision's `features`."""

  widths: tuple[int, ...] = WIDTHS

  @nn.compact
  def __call__(self, x: Array) -> list[Array]:
    found: list[Array] = []
    for width, places in zip(self.widths, STAGES, strict=True):
      x = max_pool(x, 2, 2) if found else x
      for place in places:
        x = Conv(width, (3, 3), padding=(1, 1), name=f'features_{place}')(x)
      found.append(x)
    return found


class VGG16(nn.Module):
  """Images [B, 224, 224, 3] -> features (behind the second hidden layer) and logits."""

  widths: tuple[int, ...] = WIDTHS
  hidden: tuple[int, int] = (4096, 4096)
  classes: int = 1000
  size = 224

  @nn.compact
  def __call__(self, x: Array) -> dict[str, Array]:
    maps = Maps(self.widths)
    nn.share_scope(self, maps)
    x = max_pool(maps(x)[-1], 2, 2)
    x = x.reshape(len(x), -1)
    for width, place in zip(self.hidden, (0, 3), strict=True):
      x = nn.relu(nn.Dense(width, name=f'classifier_{place}')(x))
    return {'features': x, 'logits': nn.Dense(self.classes, name='classifier_6')(x)}


def converted(tensors: Tensors) -> tuple[VGG16, dict]:
  """torchvision's state dict; its widths may be others."""
  widths = tuple(size(tensors, [(f'features.{places[0]}.weight', 0)]) for places in STAGES)
  hidden = tuple(size(tensors, [(f'classifier.{place}.weight', 0)]) for place in (0, 3))
  module = VGG16(widths, hidden, size(tensors, [('classifier.6.weight', 0)]))  # type: ignore[arg-type]
  wanted = shapes(module, jnp.zeros((1, module.size, module.size, 3)))
  first = flat_input(SIDE, SIDE)
  return module, fill(wanted, tensors, lambda path, rank: (
    torch_name(path), first if path[1:] == ('classifier_0', 'kernel') else by_rank(rank)))  # fmt: skip


def open(weights: str | Path | None = None, resize: str | None = None) -> Extractor:  # noqa: A001
  """ImageNet's VGG16. `resize` is 'tf1' by default, as torch-fidelity's precision and recall resize."""
  return module_extractor('vgg16', SOURCE, weights, converted, resize or 'tf1')
