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
from ganjax.types import Array, Batch

WAYS = {'a_to_b': ('source', 'image'), 'b_to_a': ('target', 'reverse')}  # what of a prior, and what is made of it
LARGEST = 10  # sides are filled up to multiples of at most 2 to the power of this


def translate(workdir: str | Path, input: str | Path, out: str | Path, direction: str = 'a_to_b',  # noqa: A002
              checkpoint: int | None = None, ema: str | None = None, *, seed: int = 0, member: int | None = None) -> str:  # fmt: skip
  """Translates a picture, or those of a folder, to .png files of the same names and sizes; says what it wrote.

  A picture is filled up at its right and lower edge, by reflection, to a size that the network takes, and what comes
  out is cut back.

  Args:
    workdir: of a training of a game that translates.
    input: a picture or a folder of pictures, at any depth.
    out: a folder, made where there is none.
    direction: 'a_to_b', from the domain that was 'source' in training, or 'b_to_a' of a game that has both.
    checkpoint: its step; by default the newest intact one.
    ema: chooses among averages, see `sample.with_average`.
    seed: of the generator's noise, if it has any: a file's depends on its place among the others.
    member: of a population.

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
  through = translator(trained, given, made)
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


def translator(trained: Trained, given: str, made: str) -> Callable[[str, np.ndarray, np.ndarray], np.ndarray]:
  """`through(file, image [1, H, W, C] in [-1, 1], noise uint32 [1])`, of any size; compiled once for each."""
  params, extras = averaged(trained.state), trained.state.extras
  noisy = 'noise' in jax.eval_shape(lambda: trained.game.prior(jax.random.key(0), 1, None))

  @jax.jit
  def run(params: Any, extras: Any, x: Array, noise: Array) -> Array:
    prior: Batch = {given: x} | ({'noise': noise} if noisy else {})
    return trained.game.generate(params, extras, prior)[made]

  @lru_cache
  def fitting(height: int, width: int, channels: int) -> tuple[int, int]:
    """The least size at or above this one that goes through and stays as it is. Raises ValueError."""
    why = ValueError()
    for power in range(LARGEST + 1):
      size = tuple(-(-side // 2**power) * 2**power for side in (height, width))
      try:
        seen = jax.eval_shape(run, params, extras, jnp.zeros((1, *size, channels)), jnp.zeros(1, jnp.uint32))
      except (TypeError, ValueError) as error:
        why = ValueError(str(error).partition('\n')[0])
        continue
      if seen.shape[1:3] == size:
        return size[0], size[1]
    raise why

  def through(file: str, x: np.ndarray, noise: np.ndarray) -> np.ndarray:
    height, width = x.shape[1:3]
    given = f'{file}: {width} x {height} pixels'
    try:
      rows, columns = fitting(*x.shape[1:])
    except ValueError as error:
      raise DataError(f'{given}, which this network does not take ({error})') from error
    if rows >= 2 * height or columns >= 2 * width:
      raise DataError(f'{given}, too small for this network: it would have to be filled up to {columns} x {rows}')
    filled = np.pad(x, ((0, 0), (0, rows - height), (0, columns - width), (0, 0)), 'reflect')
    return np.asarray(run(params, extras, filled, noise))[:, :height, :width]

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
