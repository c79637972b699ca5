"""The attention block of SAGAN, as in ajbrock/BigGAN-PyTorch (`layers.Attention`)."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from ganjax.interop.tensors import CONV, ROW, SAME, Layout, Path, Tensors, fill, options, shapes, size
from ganjax.nets.attention import SelfAttention
from ganjax.ops import spectral

LAYERS = ('theta', 'phi', 'g', 'o')


def attention(tensors: Tensors, constructor: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
  """`Attention(ch)`, [B, H, W, ch] -> the same; spectral norm in its own manner, an iteration in every forward."""
  given = options(constructor, ('ch', 'h', 'w', 'B'))
  channels = size(tensors, [('o.weight', 0), ('theta.weight', 1), ('phi.weight', 1), ('g.weight', 1)], given.get('ch'))
  module = SelfAttention(spectral='always')
  wanted = shapes(module, jnp.zeros((1, 2, 2, channels)))
  known = {f'{layer}.sv0': (1,) for layer in LAYERS}
  variables = fill({path: shape for path, shape in wanted.items() if path[-1] != 'v'}, tensors, place, known)
  for layer, vectors in variables['spectral'].items():  # it keeps no v
    vectors['v'] = spectral.iterate(variables['params'][layer]['kernel'], vectors['u'])[1]
  return module, variables


def place(path: Path, rank: int) -> tuple[str, Layout]:
  """Our path -> their name and the layout."""
  if path[-1] == 'gamma':
    return 'gamma', SAME
  return (f'{path[1]}.u0', ROW) if path[-1] == 'u' else (f'{path[1]}.weight', CONV)
