"""What every metric asks of its arguments, in one place: errors name the argument, what was given, what is needed."""

import numpy as np


def rows(name: str, x: np.ndarray, least: int = 1, need: str = '') -> np.ndarray:
  """`x` as floating-point rows [N >= least, D], finite; float32 and float64 stay as they are.

  Raises ValueError for another shape, fewer rows (`need` says what for) or values that are not finite.
  """
  x = np.asarray(x)
  if x.ndim != 2 or len(x) < least or not x.shape[1]:
    raise ValueError(f'{name}: shape {x.shape} given; [N >= {least}, D] is needed{need and f" ({need})"}')
  return finite(name, x)


def pair(real: np.ndarray, fake: np.ndarray, least: int = 1, need: str = '') -> tuple[np.ndarray, np.ndarray]:
  """Real and fake `rows` of one width."""
  real, fake = rows('real', real, least, need), rows('fake', fake, least, need)
  same_width('real', real, 'fake', fake)
  return real, fake


def same_width(name: str, x: np.ndarray, other: str, y: np.ndarray) -> None:
  """Raises ValueError unless both [N, D], [M, D] have one D."""
  if x.shape[1] != y.shape[1]:
    raise ValueError(f'{other}: shape {y.shape} given, {name}: {x.shape}; both need one number of features')


def flat(name: str, x: np.ndarray, least: int = 1, need: str = '') -> np.ndarray:
  """`x` [N, ...] as `rows` [N, D]."""
  x = np.asarray(x)
  if x.ndim < 2:
    raise ValueError(f'{name}: shape {x.shape} given; [N >= {least}, ...] is needed')
  return rows(name, x.reshape(len(x), -1), least, need)


def finite(name: str, x: np.ndarray) -> np.ndarray:
  """`x` as floating point of at least single precision. Raises ValueError if some of it is not finite."""
  if x.dtype not in (np.float32, np.float64):
    x = x.astype(np.float32 if x.dtype.itemsize < 4 and x.dtype.kind != 'i' else np.float64)
  for start in range(0, len(x), 4096):  # no mask as long as x
    if not np.isfinite(x[start : start + 4096]).all():
      raise ValueError(f'{name}: shape {x.shape} with values that are not finite (NaN or infinity)')
  return x


def labels(name: str, y: np.ndarray, count: int) -> np.ndarray:
  """Class numbers [count]. Raises ValueError for another shape or what isn't an integer."""
  y = np.asarray(y)
  if y.shape != (count,) or y.dtype.kind not in 'iu':
    raise ValueError(f'{name}: {y.dtype} of shape {y.shape} given; one integer for each of {count} rows is needed')
  return y


def images(name: str, x: np.ndarray, least: int = 1, side: int = 1) -> np.ndarray:
  """Images [N >= least, H, W, C] of at least `side` pixels: uint8, or numbers in [0, 255]."""
  x = np.asarray(x)
  if x.ndim != 4 or len(x) < least or min(x.shape[1:3]) < side or not x.shape[3]:
    raise ValueError(f'{name}: shape {x.shape} given; [N >= {least}, H >= {side}, W >= {side}, C] is needed')
  if x.dtype == np.uint8:
    return x
  x = finite(name, x)
  if x.min() < 0 or x.max() > 255:
    raise ValueError(f'{name}: values from {x.min():.4g} to {x.max():.4g} given; uint8, or 0 to 255, is needed')
  return x


def image_pair(real: np.ndarray, fake: np.ndarray, side: int = 1) -> tuple[np.ndarray, np.ndarray]:
  """Real and fake `images` of one size."""
  real, fake = images('real', real, side=side), images('fake', fake, side=side)
  if real.shape[1:] != fake.shape[1:]:
    raise ValueError(f'fake: images of {fake.shape[1:]} given, real: {real.shape[1:]}; both need one size')
  return real, fake


def whole(name: str, value: int, least: int, most: int | None = None, why: str = '') -> None:
  """Raises ValueError unless `value` is an integer from `least` to `most`."""
  integer = isinstance(value, int | np.integer) and not isinstance(value, bool)
  if not integer or value < least or (most is not None and value > most):
    upto = '' if most is None else f' to {most}'
    raise ValueError(f'{name}: {value!r} given; an integer from {least}{upto or " on"} is needed{why and f" ({why})"}')
