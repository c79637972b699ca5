"""Parameters of published PyTorch models -> ours: the same network on the same weights gives the same images."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ganjax.errors import unknown

# kind -> where it is read. Those of mimicry go by the model: 'mimicry/sngan32.G'.
KINDS = {
  'stylegan2.G': 'stylegan2.generator',
  'stylegan2.D': 'stylegan2.discriminator',
  'stylegan2.mapping': 'stylegan2.mapping',
  'r3gan.G': 'r3gan.generator',
  'r3gan.D': 'r3gan.discriminator',
  'progan.G': 'progan.generator',
  'progan.D': 'progan.discriminator',
  'transgan.G': 'transgan.generator',
  'transgan.D': 'transgan.discriminator',
  'sagan.attention': 'sagan.attention',
  'biggan.G': 'biggan.generator',
  'biggan.D': 'biggan.discriminator',
  'pix2pix.unet': 'pix2pix.unet_generator',
  'pix2pix.resnet': 'pix2pix.resnet',
  'pix2pix.patch': 'pix2pix.patch',
  'pix2pix.pixel': 'pix2pix.pixel',
  'cyclegan.G': 'pix2pix.generator',
  'cyclegan.D': 'pix2pix.discriminator',
  'esrgan.rrdb': 'esrgan.generator',
  'esrgan.msrresnet': 'esrgan.residual',
  'esrgan.unet_sn': 'esrgan.unet_discriminator',
  'srgan.vgg_d': 'esrgan.vgg_discriminator',
}
MIMICRY = {'G': 'mimicry.generator', 'D': 'mimicry.discriminator'}


def from_torch(kind: str, tensors: Mapping[str, np.ndarray], **constructor: Any) -> tuple[Any, dict[str, Any]]:
  """A network of ours with the weights of a published one: (Linen module, variables).

  `module.apply(variables, latent or image, label=None, train=False)` takes and gives NHWC images in the network's
  own range; a discriminator gives logits [B], or (logits, {head: [B, outputs]}).

  Args:
    kind: one of `KINDS`, or 'mimicry/<model><resolution>.<player>'.
    tensors: the official state dict, name -> array. What its names and shapes tell is read from them.
    constructor: the rest, by the names that the official constructor or the paper has.

  Raises:
    ConfigError: a kind that there isn't.
    ValueError: tensors missing, left over or of the wrong shape, by name; or an unknown keyword.
  """
  tensors = {name: np.asarray(value) for name, value in tensors.items()}
  family, _, model = kind.partition('/')
  model, _, player = model.rpartition('.')
  if family == 'mimicry' and player in MIMICRY:
    return reader(MIMICRY[player])(tensors, constructor, model)
  if kind not in KINDS:
    raise unknown('kind', kind, [*KINDS, 'mimicry/<model>.G', 'mimicry/<model>.D'])
  return reader(KINDS[kind])(tensors, constructor)


def reader(place: str) -> Callable[..., tuple[Any, dict[str, Any]]]:
  """The function at 'module.function' of this package."""
  module, function = place.split('.')
  return getattr(importlib.import_module(f'ganjax.interop.{module}'), function)
