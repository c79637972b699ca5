"""TransGAN of VITA-Group/TransGAN: `ViT_custom_rp.Generator` and `ViT_custom_scale2_rp_noise.Discriminator`.

D takes the noise of its attentions as `noise`, arrays [B, tokens, 1] in order; without, it adds none.
"""

import re
from collections.abc import Mapping
from math import isqrt
from typing import Any

import jax.numpy as jnp
import numpy as np

from ganjax.interop.tensors import (
  SAME,
  Layout,
  Path,
  Tensors,
  by_rank,
  channels,
  fill,
  most_common,
  options,
  shapes,
  size,
)
from ganjax.nets import transgan

# Their names of sizes: G's first side, width, blocks ('5,4,2'), latent, latent_norm; D's width and blocks; heads of
# G and D; both players' normalisation, activation, and numbers inside an MLP per number outside.
KEYWORDS = ('bw', 'gf', 'gd', 'z', 'ln', 'df', 'dd', 'gh', 'dh', 'norm', 'act', 'mlp', 'dtype')
NORMS = {'ln': 'layer', 'bn': 'batch', 'in': 'instance', 'pn': 'pixel', 'none': 'none'}
ACTIVATIONS = {'gelu': 'gelu', 'leakyrelu': 'leaky_relu'}
ENDS = {'project': 'l1', 'image': 'deconv.0', 'logit': 'head', 'patches0': 'fRGB_1', 'patches1': 'fRGB_2'}


def generator(tensors: Tensors, constructor: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
  """`Generator`: l1, pos_embed_*, blocks, upsample_blocks, deconv."""
  given = options(constructor, KEYWORDS)
  stages = ('blocks.block', 'upsample_blocks.0.block', 'upsample_blocks.1.block')
  depths = blocks(given['gd']) if 'gd' in given else tuple(count(tensors, stage) for stage in stages)
  width = size(tensors, [('pos_embed_1', 2), ('blocks.block.0.norm1.norm.weight', 0),
                         ('blocks.block.0.attn.proj.weight', 0), ('blocks.block.0.attn.proj.weight', 1)],
               given.get('gf'))  # fmt: skip
  sides = [isqrt(tensors[name].shape[1]) // 2**i for i, name in enumerate(f'pos_embed_{j}' for j in (1, 2, 3))
           if name in tensors and tensors[name].ndim == 3]  # fmt: skip
  if not sides and 'bw' not in given:
    raise ValueError('missing tensors: pos_embed_1, pos_embed_2, pos_embed_3')
  smallest = given.get('bw') or most_common(sides)
  module = transgan.Generator(
    resolution=smallest * 4, channels=channels(tensors, [('deconv.0.weight', 0), ('deconv.0.bias', 0)]),
    smallest=smallest, width=width, depths=depths, attention_heads=heads(tensors, given.get('gh'), 4),
    window=smallest * 4, latent_norm=bool(given.get('ln', False)), **common(tensors, given),
  )  # fmt: skip
  wanted = shapes(module, jnp.zeros((1, size(tensors, [('l1.weight', 1)], given.get('z')))))

  def place(path: Path, rank: int) -> tuple[str, Layout]:
    if path[1].startswith('position'):
      return f'pos_embed_{int(path[1][8:]) + 1}', SAME
    stage, _, block = path[1].partition('_block')
    return (inside(path, f'{stages[int(stage[5:])]}.{block}') if block else end(path)), layout(path, rank)

  scopes = [f'{stage}.{j}' for stage, depth in zip(stages, depths, strict=False) for j in range(depth)]
  return module, fill(wanted, tensors, place, buffers(tensors, scopes, module.norm))


def discriminator(tensors: Tensors, constructor: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
  """`Discriminator`: cls_token, pos_embed_*, fRGB_*, blocks_1, blocks_2, last_block, norm, head."""
  given = options(constructor, KEYWORDS)
  found = max(count(tensors, 'blocks_1'), count(tensors, 'blocks_2'))
  width = size(tensors, [('cls_token', 2), ('pos_embed_2', 2), ('head.weight', 1), ('norm.norm.weight', 0),
                         ('last_block.0.attn.proj.bias', 0)], given.get('df'))  # fmt: skip
  patch = most_common([tensors[name].shape[axis] // scale for name, scale in (('fRGB_1.weight', 1), ('fRGB_2.weight', 2))
                       for axis in (2, 3) if name in tensors and tensors[name].ndim == 4] or [0])  # fmt: skip
  if not patch:
    raise ValueError('missing tensors: fRGB_1.weight, fRGB_2.weight')
  sides = [isqrt(tensors[name].shape[1]) * scale for name, scale in (('pos_embed_1', 1), ('pos_embed_2', 2))
           if name in tensors and tensors[name].ndim == 3]  # fmt: skip
  tables = [isqrt(value.shape[0]) // 2 + 1 for name, value in tensors.items()
            if re.match(r'blocks_1\.\d+\.attn\.relative_position_bias_table', name) and value.ndim]  # fmt: skip
  if not sides and not tables and 'bw' not in given:
    raise ValueError('missing tensors: pos_embed_1, pos_embed_2')
  side = 2 * given['bw'] if 'bw' in given else most_common([*tables, *sides])
  module = transgan.Discriminator(
    resolution=side * patch, channels=channels(tensors, [('fRGB_1.weight', 1), ('fRGB_2.weight', 1)]), patch=patch,
    width=width, depth=given.get('dd', found), attention_heads=heads(tensors, given.get('dh'), 4), window=side,
    **common(tensors, given),
  )  # fmt: skip
  wanted = shapes(module, jnp.zeros((1, side * patch, side * patch, module.channels)))

  def place(path: Path, rank: int) -> tuple[str, Layout]:
    if path[1].startswith('position'):
      return f'pos_embed_{int(path[1][8:]) + 1}', SAME
    if path[1] == 'cls':
      return 'cls_token', SAME
    stage, _, block = path[1].partition('_block')
    scope = f'blocks_{int(stage[5:]) + 1}.{block}' if block else 'last_block.0' if stage == 'last' else ''
    return (inside(path, scope) if scope else end(path)), layout(path, rank)

  scopes = [f'blocks_{i}.{j}' for i in (1, 2) for j in range(module.depth)] + ['last_block.0']
  known = buffers(tensors, scopes, module.norm)
  return module, fill(wanted, tensors, place, known | counted('norm', module.norm))


def inside(path: Path, scope: str) -> str:
  """The tensor of a leaf of a block."""
  part, leaf = path[2], path[-1]
  if part.startswith('norm'):
    return f'{scope}.{part}.norm.{statistic(path)}'
  if part != 'attention':
    return f'{scope}.mlp.{part}.{weight(leaf)}'
  own = {'relative': 'relative_position_bias_table', 'noise_strength': 'noise_strength_1'}
  return f'{scope}.attn.{own[leaf] if leaf in own else f"{path[3]}.{weight(leaf)}"}'


def end(path: Path) -> str:
  """The tensor of a leaf outside the blocks."""
  return f'norm.norm.{statistic(path)}' if path[1] == 'norm' else f'{ENDS[path[1]]}.{weight(path[-1])}'


def layout(path: Path, rank: int) -> Layout:
  """How a leaf of theirs is laid out."""
  return SAME if path[-1] == 'relative' else by_rank(rank)


def weight(leaf: str) -> str:
  """Their name of a layer's leaf."""
  return 'weight' if leaf == 'kernel' else leaf


def statistic(path: Path) -> str:
  """Their name of a norm's leaf."""
  return f'running_{path[-1]}' if path[0] == 'batch_stats' else {'scale': 'weight'}.get(path[-1], path[-1])


def blocks(text: str | Any) -> tuple[int, ...]:
  """'5,4,2' -> (5, 4, 2)."""
  depths = tuple(int(depth) for depth in (text.split(',') if isinstance(text, str) else text))
  if len(depths) != 3:
    raise ValueError(f"gd: {text!r}; valid are three numbers, such as '5,4,2'")
  return depths


def count(tensors: Tensors, scope: str) -> int:
  """How many blocks there are."""
  pattern = rf'{re.escape(scope)}\.(\d+)\.'
  return max((int(found[1]) + 1 for name in tensors if (found := re.match(pattern, name))), default=0)


def heads(tensors: Tensors, given: int | None, default: int) -> int:
  """The heads of attention, each of which has a column in the tables of positions."""
  tables = [value.shape[1] for name, value in tensors.items()
            if name.endswith('.relative_position_bias_table') and value.ndim == 2]  # fmt: skip
  return given or (most_common(tables) if tables else default)


def common(tensors: Tensors, given: Mapping[str, Any]) -> dict[str, Any]:
  """The fields that both players have."""
  norm, act = given.get('norm') or normalisation(tensors), given.get('act', 'gelu')
  for field, value, valid in (('norm', norm, NORMS), ('act', act, ACTIVATIONS)):
    if value not in valid:
      raise ValueError(f'{field}: {value!r}; valid are {", ".join(valid)}')
  ratios = [value.shape[0] / value.shape[1] for name, value in tensors.items()
            if name.endswith('.mlp.fc1.weight') and value.ndim == 2]  # fmt: skip
  ratios += [value.shape[1] / value.shape[0] for name, value in tensors.items()
             if name.endswith('.mlp.fc2.weight') and value.ndim == 2]  # fmt: skip
  if not ratios and 'mlp' not in given:
    raise ValueError('missing tensors: none is called <block>.mlp.fc1.weight')
  own = {'dtype': given['dtype']} if 'dtype' in given else {}
  return {
    'norm': NORMS[norm],
    'activation': ACTIVATIONS[act],
    'mlp_ratio': given.get('mlp') or most_common(ratios),
  } | own


def normalisation(tensors: Tensors) -> str:
  """The norms that tensors tell apart; those without any must be given."""
  if any(name.endswith('.norm.running_mean') for name in tensors):
    return 'bn'
  if any(name.endswith('.norm.weight') for name in tensors):
    return 'ln'
  raise ValueError("missing tensors: <block>.norm1.norm.weight, or the keyword norm ('in', 'pn' or 'none')")


def buffers(tensors: Tensors, scopes: list[str], norm: str) -> dict[str, tuple[int, ...] | None]:
  """Tensors of these blocks that have no place: counts of batch norms, and computed positions, if they are stored."""
  known: dict[str, tuple[int, ...] | None] = {}
  for scope in scopes:
    known |= counted(f'{scope}.norm1', norm) | counted(f'{scope}.norm2', norm)
    name = f'{scope}.attn.relative_position_index'
    if name in tensors and scope != 'last_block.0':
      w = isqrt(isqrt(tensors[name].size))
      offsets = np.indices((w, w)).reshape(2, -1)
      dy, dx = offsets[:, :, None] - offsets[:, None, :]
      if not np.array_equal(tensors[name], (dy + w - 1) * (2 * w - 1) + dx + w - 1):
        raise ValueError(f'{name}: shape {tensors[name].shape}; valid are the distances of the pairs of a square')
      known[name] = None
  return known


def counted(scope: str, norm: str) -> dict[str, tuple[int, ...] | None]:
  """The count of batches that a batch norm of theirs keeps."""
  return {f'{scope}.norm.num_batches_tracked': ()} if norm == 'batch' else {}
