"""Numbers about images themselves, without a feature network: likeness of pairs, patches, spectra."""

import numpy as np
import scipy

from ganjax.evals.metrics import checked

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, section 3.2
WINDOW, SIGMA = 11, 1.5  # pixels
STABILIZERS = (0.01 * 255) ** 2, (0.03 * 255) ** 2
PAIRS = 64  # that are held in float64 at a time
PATCH, COARSEST = 7, 16  # pixels
BINOMIAL = np.array([1, 4, 6, 4, 1]) / 16


def ms_ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
  """Multi-scale structural similarity of images [N, H, W, C] in [0, 255]: float64 [N], 1 for equal ones.

  Wang et al. 2003, Multi-scale structural similarity for image quality assessment, eq. 7, with the weights, window
  (11 pixels, standard deviation 1.5) and constants given there; means are over pixels and channels. Five scales, each
  the mean of 2 x 2 pixels; a window larger than its image shrinks to it, and its deviation too. Terms below zero
  count as zero. Raises ValueError for images of differing shapes or of less than 16 pixels.
  """
  a, b = checked.images('a', a, side=16), checked.images('b', b, side=16)
  if a.shape != b.shape:
    raise ValueError(f'b: shape {b.shape} given, a: {a.shape}; both need one shape')
  return _ms_ssim(a, b)


def psnr_y(a: np.ndarray, b: np.ndarray, border: int = 0) -> np.ndarray:
  """Peak signal-to-noise ratio in dB of the `luminance` of images [N, H, W, C] in [0, 255]: float64 [N], 100 at most.

  border: pixels at each edge that are left out. Raises ValueError for images of differing shapes, or with nothing left.
  """
  a, b = _without_border(a, b, border, 1)
  error = np.square(a - b).mean((1, 2)) / 255**2
  return -10 * np.log10(np.maximum(error, 1e-10))


def ssim_y(a: np.ndarray, b: np.ndarray, border: int = 0) -> np.ndarray:
  """Structural similarity of the `luminance` of images [N, H, W, C] in [0, 255]: float64 [N], 1 for equal ones.

  Wang et al. 2004, Image quality assessment: from error visibility to structural similarity, with its window (11 pixels,
  standard deviation 1.5) where it fits whole. `border` and errors as of `psnr_y`; 11 pixels must be left.
  """
  both = zip(*_without_border(a, b, border, WINDOW), strict=True)
  return np.array([_ssim(*(x[None, None] for x in pair))[0].mean() for pair in both])


def luminance(images: np.ndarray) -> np.ndarray:
  """Y of BT.601, from 16 to 235, of RGB images [N, H, W, 3] in [0, 255], not rounded: float64 [N, H, W]. Grey stays as it is."""
  if images.shape[-1] == 1:
    return images[..., 0].astype(np.float64)
  return 16 + images @ np.array([65.481, 128.553, 24.966]) / 255


def _without_border(a: np.ndarray, b: np.ndarray, border: int, least: int) -> tuple[np.ndarray, np.ndarray]:
  a, b = (checked.images(name, x, side=2 * border + least) for name, x in (('a', a), ('b', b)))
  if a.shape != b.shape:
    raise ValueError(f'b: shape {b.shape} given, a: {a.shape}; both need one shape')
  height, width = a.shape[1:3]
  inner = slice(border, height - border), slice(border, width - border)
  return luminance(a)[:, *inner], luminance(b)[:, *inner]


def ms_ssim_diversity(
  images: np.ndarray, labels: np.ndarray | None = None, pairs: int | None = None, seed: int = 0
) -> float:
  """Mean `ms_ssim` of random pairs of images [N, H, W, C], within a class where `labels` [N] are given.

  Odena et al. 2017, https://arxiv.org/abs/1610.09585, section 4.2: the lower, the more varied; to be compared with
  that of real images. `pairs` of different images of each class (default 100), or of all (1,000); the mean over
  classes. Images of less than 16 pixels are enlarged by repetition, as five scales need that.
  Raises ValueError for classes with a single image, named.
  """
  images = checked.images('images', images, 2)
  labels = np.zeros(len(images), int) if labels is None else checked.labels('labels', labels, len(images))
  classes, sizes = np.unique(labels, return_counts=True)
  if alone := classes[sizes < 2].tolist():
    raise ValueError(f'labels: one image only of class {", ".join(map(str, alone))}; each needs at least 2')
  count = pairs or (1000 if len(classes) == 1 else 100)
  checked.whole('pairs', count, 1)
  times = -(-16 // min(images.shape[1:3]))
  rng = np.random.default_rng(seed)
  found = []
  for rows in (np.flatnonzero(labels == c) for c in classes):
    first = rng.integers(len(rows), size=count)
    second = (first + rng.integers(1, len(rows), size=count)) % len(rows)
    both = (images[rows[i]].repeat(times, 1).repeat(times, 2) for i in (first, second))
    found.append(_ms_ssim(*both).mean())
  return float(np.mean(found))


def _ms_ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
  parts = (slice(i, i + PAIRS) for i in range(0, len(a), PAIRS))
  return np.concatenate(
    [_of_scales(*(np.moveaxis(x[part], 3, 1).astype(np.float64) for x in (a, b))) for part in parts]
  )


def _of_scales(a: np.ndarray, b: np.ndarray) -> np.ndarray:
  """Of images [N, C, H, W]: the product over scales of mean contrasts and structures, and of the last luminance."""
  result = np.ones(len(a))
  for scale, weight in enumerate(SCALE_WEIGHTS):
    whole, structure = _ssim(a, b)
    mean = (whole if scale == len(SCALE_WEIGHTS) - 1 else structure).mean((1, 2, 3))
    result *= np.maximum(mean, 0) ** weight
    a, b = _halved(a), _halved(b)
  return result


def _ssim(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Maps over the places where the window fits: of luminance, contrast and structure, and without luminance."""
  rows, columns = _window(a.shape[2:])
  blur = lambda x: rows @ x @ columns.T  # noqa: E731
  first, second = STABILIZERS
  mean_a, mean_b = blur(a), blur(b)
  covariance = blur(a * b) - mean_a * mean_b
  variances = blur(a * a) - mean_a**2 + blur(b * b) - mean_b**2
  structure = (2 * covariance + second) / (variances + second)
  return structure * (2 * mean_a * mean_b + first) / (mean_a**2 + mean_b**2 + first), structure


def _window(shape: tuple[int, ...]) -> list[np.ndarray]:
  """For each side of an image, a matrix [places, side] of Gaussian windows."""
  size = min(WINDOW, *shape)
  at = np.arange(size) - (size - 1) / 2
  kernel = np.exp(-((at / (SIGMA * size / WINDOW)) ** 2) / 2)
  kernel /= kernel.sum()
  matrices = [np.zeros((side - size + 1, side)) for side in shape]
  for matrix in matrices:
    for i, row in enumerate(matrix):
      row[i : i + size] = kernel
  return matrices


def _halved(x: np.ndarray) -> np.ndarray:
  """Means of 2 x 2 pixels of [N, C, H, W]; the last of an odd number stands for two."""
  x = np.pad(x, [(0, 0), (0, 0), (0, x.shape[2] % 2), (0, x.shape[3] % 2)], 'edge')
  return (x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]) / 4


def sliced_wasserstein(
  real: np.ndarray, fake: np.ndarray, patches: int = 128, directions: int = 512, most: int = 16384, seed: int = 0
) -> dict[str, float]:
  """Sliced Wasserstein distances of patches of images [N, H, W, C], [M, H, W, C], by level of the Laplacian pyramid.

  Karras et al. 2018, https://arxiv.org/abs/1710.10196, section 5: `patches` of 7 x 7 pixels from each image, each
  channel normalised over its set, 1-D distances along `directions`, times 1,000. Levels are named by their smaller
  side, from the full size down to 16, then 'mean'. As many images of each set, at most `most`, spread over it.
  Raises ValueError for images of differing sizes or of less than 7 pixels.
  """
  real, fake = checked.image_pair(real, fake, PATCH)
  for name, value in (('patches', patches), ('directions', directions), ('most', most)):
    checked.whole(name, value, 1)
  count = min(len(real), len(fake), most)
  sides = [x[np.linspace(0, len(x) - 1, count).astype(int)] for x in (real, fake)]
  found = {}
  levels = 1 + max(0, int(np.log2(min(real.shape[1:3]) / COARSEST)))
  for level in range(levels):
    rng = np.random.default_rng((seed, level))
    a, b = (_patches(x, level, level == levels - 1, patches, rng) for x in sides)
    side = -(-min(real.shape[1:3]) // 2**level)
    found[str(side)] = 1e3 * _sliced(a, b, directions, rng)
  return found | {'mean': float(np.mean(list(found.values())))}


def _patches(images: np.ndarray, level: int, last: bool, count: int, rng: np.random.Generator) -> np.ndarray:
  """float32 [N * count, 49 C]: patches of one level of the pyramid, every channel of mean 0 and deviation 1."""
  found = []
  for start in range(0, len(images), 256):
    x = _level(images[start : start + 256].astype(np.float32), level, last)
    windows = np.lib.stride_tricks.sliding_window_view(x, (PATCH, PATCH), axis=(1, 2))  # [N, h, w, C, 7, 7]
    number = np.repeat(np.arange(len(x)), count)
    top, left = (rng.integers(windows.shape[i], size=len(number)) for i in (1, 2))
    found.append(windows[number, top, left])
  descriptors = np.concatenate(found)
  mean, std = (f(descriptors, axis=(0, 2, 3), keepdims=True, dtype=np.float64) for f in (np.mean, np.std))
  descriptors -= mean.astype(np.float32)
  descriptors /= np.where(std > 0, std, 1).astype(np.float32)
  return descriptors.reshape(len(descriptors), -1)


def _level(x: np.ndarray, level: int, last: bool) -> np.ndarray:
  """A level of the Laplacian pyramid of images [N, H, W, C]; the last keeps its low frequencies."""
  for _ in range(level):
    x = _blurred(x)[:, ::2, ::2]
  if last:
    return x
  coarse = np.zeros_like(x)
  coarse[:, ::2, ::2] = _blurred(x)[:, ::2, ::2]
  return x - 4 * _blurred(coarse)


def _blurred(x: np.ndarray) -> np.ndarray:
  for axis in (1, 2):
    x = scipy.ndimage.correlate1d(x, BINOMIAL, axis, mode='mirror')
  return x


def _sliced(a: np.ndarray, b: np.ndarray, directions: int, rng: np.random.Generator) -> float:
  """Mean over random directions of the 1-D Wasserstein distance of equally many points [P, F]."""
  total = 0.0
  for start in range(0, directions, 16):
    along = rng.standard_normal((a.shape[1], min(16, directions - start)))
    along = (along / np.linalg.norm(along, axis=0)).astype(np.float32)
    near, far = (np.sort(along.T @ x.T, axis=1) for x in (a, b))
    total += np.abs(near - far).mean(1, dtype=np.float64).sum()
  return float(total / directions)


def power_spectrum(images: np.ndarray) -> np.ndarray:
  """Mean power of grey images [N, H, W, C] by spatial frequency, averaged over directions: float64 [min(H, W) // 2 + 1].

  Entry i is of i cycles over the smaller side. Units are squared levels of 255 per pixel: noise of variance v has
  power v everywhere. Durall et al. 2020, https://arxiv.org/abs/2003.01826.
  """
  images = checked.images('images', images)
  height, width = images.shape[1:3]
  side = min(height, width)
  radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)) * side
  ring = np.rint(radius).astype(int).ravel()
  total = np.zeros((height, width))
  for start in range(0, len(images), 256):
    total += (np.abs(np.fft.fft2(images[start : start + 256].mean(3, dtype=np.float64))) ** 2).sum(0)
  power = np.bincount(ring, total.ravel()) / np.bincount(ring)
  return power[: side // 2 + 1] / (len(images) * height * width)


def spectrum_distance(real: np.ndarray, fake: np.ndarray) -> float:
  """Mean absolute difference, in decibels, between `power_spectrum` of real and of fake images, but for the mean grey.

  What rounding to 256 levels adds (1/12) is added to both, so that silence is not infinitely far from near silence.
  """
  real, fake = checked.image_pair(real, fake, 2)
  levels = [10 * np.log10(power_spectrum(x)[1:] + 1 / 12) for x in (real, fake)]
  return float(np.abs(levels[0] - levels[1]).mean())
