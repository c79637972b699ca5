"""Parameters of published PyTorch models -> ours: the same network on the same weights gives the same images."""

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from ganjax.errors import unknown

# kind -> where it is read; a mimicry kind names the network family, as in 'mimicry/sngan32.G'.
MIMICRY = ('sngan32', 'cgan_pd32', 'ssgan32', 'wgan_gp32', 'dcgan32', 'sagan32')
KINDS = {
  'stylegan2.G': 'stylegan2.generator',
  'stylegan2.D': 'stylegan2.discriminator',
  'stylegan2.mapping': 'stylegan2.mapping',
  'r3gan.G': 'r3gan.generator',
  'r3gan.D': 'r3gan.discriminator',
}


def from_torch(kind: str, tensors: Mapping[str, np.ndarray], **constructor: Any) -> tuple[Any, dict[str, Any]]:
  """A network of ours with the weights of a published one: (Linen module, variables).

  `module.apply(variables, latent or image, label=None, train=False)` takes and gives NHWC images in the network's
  own range; a discriminator gives logits [B], or (logits, {head: [B, outputs]}).

  Args:
    kind: one of `KINDS`.
    tensors: the official state dict, name -> array. What its names and shapes tell is read from them.
    constructor: the rest, by the names that the official constructor or the paper has.

  Raises:
    ConfigError: a kind that there isn't.
    ValueError: tensors missing, left over or of the wrong shape, by name; or an unknown keyword.
  """
  if kind not in KINDS:
    raise unknown('kind', kind, KINDS)
  module, function = KINDS[kind].split('.')
  read = getattr(importlib.import_module(f'ganjax.interop.{module}'), function)
  return read({name: np.asarray(value) for name, value in tensors.items()}, constructor)
