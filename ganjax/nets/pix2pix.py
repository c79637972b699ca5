"""What the networks of pix2pix and CycleGAN have in common: norms, and which convolutions have biases.

Batch norm has initial gains N(1, .02), instance norm has no gains. Biases come only with the latter; those in front of
it don't learn, since it takes them away again.
"""

from typing import Literal

from ganjax.nets import layers
from ganjax.nets.dcgan import scale_init

Normalisation = Literal['batch', 'instance', 'none']


def normalisation(kind: Normalisation, dtype: str, name: str | None = None) -> layers.Norm:
  """The norm of these networks, to be called inside a compact method."""
  return layers.Norm(kind, affine=False, scale_init=scale_init, dtype=dtype, name=name)


def bias_before(norm: Normalisation, normed: bool) -> layers.Bias:
  """Whether a convolution has a bias; `normed`: the norm follows at once."""
  if norm != 'instance':
    return False
  return 'fixed' if normed else True
