"""`ganjax sample --input`: a trained translator on pictures of any size."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ganjax import config as configs
from ganjax import images
from ganjax.data.examples import scaled
from ganjax.data.folder import listed
from ganjax.data.images import Fit, opened
from ganjax.errors import ConfigError, DataError, unknown
from ganjax.sample import Trained, averaged, load, with_average
from ganjax.tiles import tiled
from ganjax.types import Array, Batch

WAYS = {'a_to_b': ('source', 'image'), 'b_to_a': ('target', 'reverse')}  # what of a prior, and what is made of it
TILE, OVERLAP, WHOLE = 256, 32, 512 * 512  # pixels: of super-resolution, what is larger than the last is done in tiles
LARGEST = 10  # sides are filled up to multiples of at most 2 to the power of this


def translate(workdir: str | Path, input: str | Path, out: str | Path, direction: str = 'a_to_b',  # noqa: A002
              checkpoint: int | None = None, ema: str | None = None, *, seed: int = 0, member: int | None = None,
              tile: int | None = None, overlap: int | None = None) -> str:  # fmt: skip
  """Translates a picture, or those of a folder, to .png files of the same names; says what it wrote.

  They have the sizes of their sources, times the scale of a game of super-resolution. A picture is filled up at its right
  and lower edge, by reflection, to a size that the network takes, and what comes out is cut back.

  Args:
    workdir: of a training of a game that translates.
    input: a picture or a folder of pictures, at any depth.
    out: a folder, made where there is none.
    direction: 'a_to_b', from the domain that was 'source' in training, or 'b_to_a' of a game that has both.
    checkpoint: its step; by default the newest intact one.
    ema: chooses among averages, see `sample.with_average`.
    seed: of the generator's noise, if it has any: a file's depends on its place among the others.
    member: of a population.
    tile: pixels of a side that are translated at once; 0: whole pictures. By default super-resolution takes what is
      larger than 512 x 512 pixels in tiles of 256. Other translators may see the whole picture in every pixel.
    overlap: pixels around a tile that are looked at, too.

  Raises: ConfigError, CheckpointError, and DataError naming the file.
  """
  if direction not in WAYS:
    raise unknown('--direction', direction, WAYS)
  trained = with_average(load(workdir, checkpoint, member), ema)
  if not trained.spec.source:
    raise ConfigError('--input', str(input), f'nothing: {trained.config.name} does not translate images')
  given, made = WAYS[direction]
  drawn = jax.eval_shape(lambda: trained.game.prior(jax.random.key(0), 1, None))
  if made not in jax.eval_shape(trained.game.generate, trained.state.params, trained.state.extras, drawn):
    raise ConfigError('--direction', direction, f"'a_to_b': the game {trained.config.game!r} translates one way")
  tile, overlap = tiling(tile, overlap)
  through = translator(trained, given, made, tile, overlap)
  channels = (trained.spec.source if given == 'source' else trained.spec.shape)[-1]
  root, files = found(Path(input).expanduser())
  noise = jax.device_get(jax.random.bits(jax.random.key(seed), (len(files),), jnp.uint32))
  about = images.provenance(trained.meta['run_id'], configs.fingerprint(trained.config), trained.step, seed, member)
  about |= {'direction': direction, 'average': next(iter(trained.state.ema), 'none')}
  targets = written(Path(out), root, files)
  for i, (file, target) in enumerate(zip(files, targets, strict=True)):
    x = np.asarray(opened(file.read_bytes(), Fit(1, channels), str(file)))
    result = through(str(file), scaled(x.reshape(1, *x.shape[:2], channels)), noise[i : i + 1])
    images.save_png(target, images.to_uint8(result[0]), about | {'input': file.name})
  return f'{out}: {len(files)} pictures by {trained.config.name}, step {trained.step}, {direction}'


def tiling(tile: int | None, overlap: int | None) -> tuple[int | None, int]:
  """The fields, checked."""
  for flag, value, least in (('--tile', tile, 0), ('--overlap', overlap, 0)):
    if value is not None and value < least:
      raise ConfigError(flag, value, f'pixels, at least {least}')
  if overlap is not None and tile == 0:
    raise ConfigError('--overlap', overlap, 'nothing with --tile 0: pictures are translated whole')
  return tile, OVERLAP if overlap is None else overlap


def translator(trained: Trained, given: str, made: str, tile: int | None = None,
               overlap: int = OVERLAP) -> Callable[[str, np.ndarray, np.ndarray], np.ndarray]:  # fmt: skip
  """`through(file, image [1, H, W, C] in [-1, 1], noise uint32 [1])`, of any size; compiled once for each."""
  scale = trained.spec.shape[0] // trained.spec.source[0] if given == 'source' else 1
  params, extras = averaged(trained.state), trained.state.extras
  noisy = 'noise' in jax.eval_shape(lambda: trained.game.prior(jax.random.key(0), 1, None))

  @jax.jit
  def run(params: Any, extras: Any, x: Array, noise: Array) -> Array:
    prior: Batch = {given: x} | ({'noise': noise} if noisy else {})
    return trained.game.generate(params, extras, prior)[made]

  @lru_cache
  def fitting(height: int, width: int, channels: int) -> tuple[int, int, int]:
    """The least size at or above this one that goes through and stays in form, and of what it is a multiple. Raises ValueError."""
    why = ValueError()
    for power in range(LARGEST + 1):
      size = tuple(-(-side // 2**power) * 2**power for side in (height, width))
      try:
        seen = jax.eval_shape(run, params, extras, jnp.zeros((1, *size, channels)), jnp.zeros(1, jnp.uint32))
      except (TypeError, ValueError) as error:
        why = ValueError(str(error).partition('\n')[0])
        continue
      if seen.shape[1:3] == (size[0] * scale, size[1] * scale):
        return size[0], size[1], 2**power
    raise why

  def through(file: str, x: np.ndarray, noise: np.ndarray) -> np.ndarray:
    height, width, channels = x.shape[1:]
    about = f'{file}: {width} x {height} pixels'
    side = (TILE if scale > 1 and height * width > WHOLE else 0) if tile is None else tile
    seen = [min(size, side + 2 * overlap) if side else size for size in (height, width)]
    try:
      *least, multiple = fitting(*seen, channels)
    except ValueError as error:
      raise DataError(f'{about}, which this network does not take ({error})') from error
    if any(filled >= 2 * size for filled, size in zip(least, seen, strict=True)):
      raise DataError(f'{about}, too small for this network: it would have to be filled up to {least[1]} x {least[0]}')
    filled = np.pad(x, ((0, 0), (0, -height % multiple), (0, -width % multiple), (0, 0)), 'reflect')
    once = lambda piece: np.asarray(run(params, extras, piece, noise))  # noqa: E731
    result = tiled(once, filled, side, overlap, scale, multiple) if side else once(filled)
    return result[:, : height * scale, : width * scale]

  return through


def found(place: Path) -> tuple[Path, list[Path]]:
  """A folder and the pictures below it, or a picture's folder and it alone."""
  if place.is_file():
    return place.parent, [place]
  return place, [place / name for name in listed(place)]


def written(out: Path, root: Path, files: Sequence[Path]) -> list[Path]:
  """Where the results go. Raises DataError where two would have the same name, or one that of its own source."""
  targets = [(out / file.relative_to(root)).with_suffix('.png') for file in files]
  taken: dict[Path, Path] = {}
  for file, target in zip(files, targets, strict=True):
    if target in taken:
      raise DataError(
        f'{file} and {taken[target]}: both would be {target}; valid: names that differ before their ending'
      )
    if target.exists() and target.samefile(file):
      raise ConfigError('--out', str(out), f'another folder: {file} would be overwritten')
    taken[target] = file
  return targets
