"""Vision transformers (Dosovitskiy et al. 2021, arXiv:2010.11929): DINOv2's, and the image half of CLIP."""

import math
import re
from collections.abc import Mapping
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from ganjax.evals.features import Extractor
from ganjax.evals.features.published import module_extractor
from ganjax.evals.features.resize import cubic, gathered
from ganjax.evals.features.weights import Source
from ganjax.interop import tensors as interop
from ganjax.interop.tensors import SAME, Layout, Tensors, by_rank, fill, shapes, size
from ganjax.types import Array

HEAD = 64  # channels of an attention head in all published ones
DINO_SIZE, DINO_OFFSET = 224, 0.1
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


class Block(nn.Module):
  """Attention and a hidden layer, each behind its layer norm and beside a shortcut."""

  heads: int
  hidden: int
  clip: bool  # CLIP's quick GELU; otherwise DINOv2's layer scale

  @nn.compact
  def __call__(self, x: Array) -> Array:
    width = x.shape[-1]
    y = norm('norm1', self.clip)(x)
    q, k, v = jnp.split(nn.Dense(3 * width, name='qkv')(y).reshape(*x.shape[:2], 3 * self.heads, -1), 3, 2)
    seen = jnp.einsum('bqhc,bkhc->bhqk', q, k) / math.sqrt(width // self.heads)
    y = jnp.einsum('bhqk,bkhc->bqhc', jax.nn.softmax(seen), v).reshape(x.shape)
    x = x + self.scaled('scale1', nn.Dense(width, name='out')(y))
    y = nn.Dense(self.hidden, name='up')(norm('norm2', self.clip)(x))
    y = y * nn.sigmoid(1.702 * y) if self.clip else nn.gelu(y, approximate=False)
    return x + self.scaled('scale2', nn.Dense(width, name='down')(y))

  def scaled(self, name: str, x: Array) -> Array:
    """Layer scale (Touvron et al. 2021, arXiv:2103.17239), where there is any."""
    return x if self.clip else x * self.param(name, nn.initializers.ones_init(), x.shape[-1:])


class Transformer(nn.Module):
  """Images [B, size, size, 3] -> features: the class token behind the last layer norm.

  CLIP's is projected to where texts lie: embedding, and features of length 1.
  """

  size: int
  patch: int
  width: int
  depth: int
  heads: int
  hidden: int
  projection: int = 0  # width of CLIP's embedding; 0: DINOv2

  @nn.compact
  def __call__(self, x: Array) -> dict[str, Array]:
    clip, sides = self.projection > 0, (self.patch, self.patch)
    x = nn.Conv(self.width, sides, sides, 'VALID', use_bias=not clip, name='patch')(x)
    x = x.reshape(len(x), -1, self.width)
    first = self.param('cls', nn.initializers.zeros_init(), (self.width,))
    x = jnp.concatenate([jnp.broadcast_to(first, (len(x), 1, self.width)), x], 1)
    x = x + self.param('places', nn.initializers.zeros_init(), x.shape[1:])
    x = norm('pre', clip)(x) if clip else x
    for i in range(self.depth):
      x = Block(self.heads, self.hidden, clip, name=f'block_{i}')(x)
    x = norm('post', clip)(x[:, 0])
    if not clip:
      return {'features': x}
    x = nn.Dense(self.projection, use_bias=False, name='projection')(x)
    return {'features': x / jnp.linalg.norm(x, axis=-1, keepdims=True), 'embedding': x}


def norm(name: str, clip: bool) -> nn.LayerNorm:
  """The families' layer norms."""
  return nn.LayerNorm(epsilon=1e-5 if clip else 1e-6, use_fast_variance=False, name=name)


# Our names -> theirs: the whole network's, then a block's.
DINO = {
  'patch': 'patch_embed.proj', 'cls': 'cls_token', 'places': 'pos_embed', 'post': 'norm', 'block': 'blocks',
  'norm1': 'norm1', 'qkv': 'attn.qkv', 'out': 'attn.proj', 'norm2': 'norm2', 'up': 'mlp.fc1', 'down': 'mlp.fc2',
  'scale1': 'ls1.gamma', 'scale2': 'ls2.gamma',
}  # fmt: skip
CLIP = {
  'patch': 'vision_model.embeddings.patch_embedding', 'cls': 'vision_model.embeddings.class_embedding',
  'places': 'vision_model.embeddings.position_embedding.weight', 'pre': 'vision_model.pre_layrnorm',
  'post': 'vision_model.post_layernorm', 'projection': 'visual_projection', 'block': 'vision_model.encoder.layers',
  'norm1': 'layer_norm1', 'qkv': 'self_attn.qkv', 'out': 'self_attn.out_proj', 'norm2': 'layer_norm2',
  'up': 'mlp.fc1', 'down': 'mlp.fc2',
}  # fmt: skip
# OpenAI's names -> those of transformers.
OPENAI = {
  r'^visual\.conv1\.': 'vision_model.embeddings.patch_embedding.',
  r'^visual\.class_embedding$': CLIP['cls'], r'^visual\.positional_embedding$': CLIP['places'],
  r'^visual\.ln_pre\.': 'vision_model.pre_layrnorm.', r'^visual\.ln_post\.': 'vision_model.post_layernorm.',
  r'^visual\.transformer\.resblocks\.': 'vision_model.encoder.layers.', r'\.ln_(\d)\.': r'.layer_norm\1.',
  r'\.attn\.in_proj_': '.self_attn.qkv.', r'\.attn\.out_proj\.': '.self_attn.out_proj.',
  r'\.mlp\.c_fc\.': '.mlp.fc1.', r'\.mlp\.c_proj\.': '.mlp.fc2.',
}  # fmt: skip
TEXT = (
  'text_model.', 'text_projection', 'logit_scale', 'transformer.', 'token_embedding.', 'positional_embedding',
  'ln_final.', 'input_resolution', 'context_length', 'vocab_size', 'vision_model.embeddings.position_ids',
)  # fmt: skip


def dinov2(tensors: Tensors, heads: int | None = None, side: int = DINO_SIZE) -> tuple[Transformer, dict]:
  """DINOv2's published state dict (without registers); its places are resampled to images of `side` pixels."""
  own = {name: x for name, x in tensors.items() if name != 'mask_token'}  # of its training
  patch = size(own, [('patch_embed.proj.weight', 3)])
  for name in ('cls_token', 'pos_embed'):
    if name in own:
      own[name] = own[name].reshape(-1, own[name].shape[-1])
  if 'pos_embed' in own:
    own['pos_embed'] = resampled(own['pos_embed'], side // patch)
  return transformer(own, DINO, patch, side, heads)


def clip(tensors: Tensors, heads: int | None = None) -> tuple[Transformer, dict]:
  """CLIP's state dict in the names of transformers or of OpenAI; the half that reads texts is left out."""
  own = joined(renamed({name: x for name, x in tensors.items() if not name.startswith(TEXT)}))
  patch, places = size(own, [(f'{CLIP["patch"]}.weight', 3)]), size(own, [(CLIP['places'], 0)])
  return transformer(own, CLIP, patch, patch * math.isqrt(places - 1), heads)


def transformer(
  tensors: Tensors, names: Mapping[str, str], patch: int, side: int, heads: int | None
) -> tuple[Transformer, dict]:
  """A module of the tensors' sizes, and its variables."""
  width = size(tensors, [(f'{names["patch"]}.weight', 0)])
  found = [int(match[1]) for name in tensors if (match := re.match(rf'{re.escape(names["block"])}\.(\d+)\.', name))]
  hidden = size(tensors, [(f'{names["block"]}.0.{names["up"]}.weight', 0)])
  projection = size(tensors, [(f'{names["projection"]}.weight', 0)]) if 'projection' in names else 0
  module = Transformer(side, patch, width, max(found) + 1, heads or width // HEAD, hidden, projection)
  row = Layout(lambda x: x.reshape(-1), lambda x: x.reshape(1, -1))

  def place(path: interop.Path, rank: int) -> tuple[str, Layout]:
    parts = [*path[1:-1], *({'kernel': ['weight'], 'scale': ['weight'], 'bias': ['bias']}.get(path[-1], [path[-1]]))]
    block = re.fullmatch(r'block_(\d+)', parts[0])
    start = f'{names["block"]}.{block[1]}.' if block else ''
    name, *leaf = parts[1:] if block else parts
    layout = row if name == 'cls' and names is DINO else SAME if name == 'places' else by_rank(rank)
    return start + '.'.join([names[name], *leaf]), layout

  return module, fill(shapes(module, jnp.zeros((1, side, side, 3))), tensors, place)


def resampled(places: np.ndarray, grid: int) -> np.ndarray:
  """Position embeddings [1 + n * n, C] -> [1 + grid * grid, C], bicubic without antialias, as DINOv2 does it.

  There the ratio of the sizes is (grid + .1) / n, which moves the places a little.
  """
  count = math.isqrt(len(places) - 1)
  if count == grid:
    return places
  at = (np.arange(grid, dtype=np.float32) + np.float32(0.5)) * np.float32(count / (grid + DINO_OFFSET)) - np.float32(
    0.5
  )
  taps = np.floor(at)[:, None] + np.arange(-1, 3, dtype=np.float32)
  matrix = gathered(taps.astype(np.int64), cubic(at[:, None] - taps, -0.75), count)
  square = places[1:].reshape(count, count, -1)
  moved = np.einsum('ih,hwc,jw->ijc', matrix, square, matrix).reshape(grid * grid, -1)
  return np.concatenate([places[:1], moved]).astype(np.float32)


def renamed(tensors: Tensors) -> dict[str, np.ndarray]:
  """OpenAI's names and layouts as those of transformers."""
  found = {}
  for name, x in tensors.items():
    if name == 'visual.proj':
      found['visual_projection.weight'] = x.T
      continue
    for pattern, new in OPENAI.items():
      name = re.sub(pattern, new, name)
    found[name] = x
  return found


def joined(tensors: Tensors) -> dict[str, np.ndarray]:
  """Query, key and value of each attention as one layer."""
  found = dict(tensors)
  for name in tensors:
    if (match := re.fullmatch(r'(.*self_attn)\.q_proj\.(weight|bias)', name)) is None:
      continue
    three = [f'{match[1]}.{part}_proj.{match[2]}' for part in 'qkv']
    interop.refuse('missing tensors', set(three) - set(tensors))
    found[f'{match[1]}.qkv.{match[2]}'] = np.concatenate([found.pop(part) for part in three])
  return found


DINO_SOURCE = Source(
  'DINOv2 ViT-S, B or L/14 without registers, such as '
  'https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth (its authors publish no checksum)'
)
CLIP_SOURCE = Source(
  "CLIP ViT-L/14 at 336 pixels, CMMD's, or another ViT of CLIP in the names of transformers or OpenAI, such as "
  'model.safetensors of https://huggingface.co/openai/clip-vit-large-patch14-336'
)


def open(weights: str | Path | None = None, resize: str | None = None) -> Extractor:  # noqa: A001
  """DINOv2 (Oquab et al. 2023, arXiv:2304.07193; for Fréchet distances: Stein et al. 2023, arXiv:2306.04675).

  Its size is that of the weights. `resize` is 'crop' by default, as its authors evaluate it.
  """
  return module_extractor('dinov2', DINO_SOURCE, weights, dinov2, resize or 'crop')


def open_clip(weights: str | Path | None = None, resize: str | None = None) -> Extractor:
  """CLIP (Radford et al. 2021, arXiv:2103.00020), features of length 1, as CMMD (arXiv:2401.09603) takes them.

  Its size is that of the weights. `resize` is 'bicubic' by default, as CMMD's.
  """
  return module_extractor('clip', CLIP_SOURCE, weights, clip, resize or 'bicubic', mean=CLIP_MEAN, std=CLIP_STD)
