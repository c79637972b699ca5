"""How evenly a generator moves: perceptual path length, and whether neighbours among latents are alike in features.

Functions of arrays and of callables that run on the device. A callable takes rows [B, ...] in batches of one size, the
last one filled up, and must give each row the same whatever stands in the others. Labels and noise are its business:
both ends of a step stand at the same place of a batch, and have to be given the same label and noise.
"""

from collections.abc import Callable

import jax
import numpy as np

Make = Callable[[np.ndarray], jax.Array]  # rows [B, ...] -> images [B, H, W, C] in [-1, 1]
Distance = Callable[[jax.Array, jax.Array], jax.Array]  # two of them -> [B]
See = Callable[[np.ndarray], jax.Array]  # latents [B, Z] -> features [B, D]

BATCH = 64
SAME = 1e-7  # the sine of an angle at which two directions are on one line


def path_length(make: Make, distance: Distance, first: np.ndarray, second: np.ndarray, t: np.ndarray,
                epsilon: float = 1e-4, spherical: bool = True, *, batch_size: int = BATCH) -> np.ndarray:  # fmt: skip
  """d(G(a -> b at t), G(a -> b at t + epsilon)) / epsilon^2 of each pair: float64 [N], to be averaged by `trimmed_mean`.

  Karras et al. 2019, https://arxiv.org/abs/1812.04948, equation 2 (z, `spherical`) and 3 (w, straight). With t uniform
  in [0, 1] the path length is 'full', with t = 0 it is that of the path's 'end', as in StyleGAN2. Published numbers
  take LPIPS with VGG16 of 100,000 (StyleGAN) or 50,000 pairs, of images that are averaged to 256 pixels where they have
  more, and cut to the face for FFHQ.

  Args:
    make: what makes images of latents or styles, without rounding to pixels: steps are far smaller than these.
    distance: grows with the square of a small change, as LPIPS and squared differences do, so that the quotient has a
      limit.
    first: z [N, Z], or w [N, F] or [N, L, F].
    second: where the ways lead, of that shape.
    t: [N], where on the way.
    epsilon: the step. Images in single precision show no smaller ones.
    spherical: see `between`.
    batch_size: pairs at once.

  Raises: ValueError for shapes that don't fit, t outside [0, 1], epsilon outside (0, 1), distances that aren't finite.
  """
  first, second, t = np.asarray(first, np.float64), np.asarray(second, np.float64), np.asarray(t, np.float64)
  if first.ndim < 2 or first.shape != second.shape or not first.size:
    raise ValueError(f'first, second: shapes {first.shape} and {second.shape} given; one shape [N >= 1, ...] is needed')
  if t.shape != first.shape[:1] or not ((t >= 0) & (t <= 1)).all():
    raise ValueError(f't: shape {t.shape} given; {len(first)} numbers from 0 to 1 are needed')
  if not 0 < epsilon < 1:
    raise ValueError(f'epsilon: {epsilon} given; a number between 0 and 1 is needed')
  ends = (between(first, second, share, spherical).astype(np.float32) for share in (t, t + epsilon))
  step = lambda a, b: distance(make(a), make(b))  # noqa: E731
  found = batched('distance', step, batch_size, *ends)
  if found.ndim != 1:
    raise ValueError(f'distance: gave shape {found.shape} for {len(t)} pairs; one number for each is needed')
  return found / epsilon**2


def trimmed_mean(values: np.ndarray, share: float = 0.01) -> float:
  """The mean of values [N] without those below the percentile of `share` and above that of 1 - `share`.

  As in StyleGAN's code, percentiles are values that occur (the next lower and the next higher one), and are kept. So
  of N values at most floor(N share) fall away at each end. Raises ValueError for none or some that aren't finite.
  """
  values = np.asarray(values, np.float64)
  if values.ndim != 1 or not len(values) or not 0 <= share < 0.5:
    raise ValueError(f'values: shape {values.shape}, share {share} given; [N >= 1] and a share in [0, .5) are needed')
  finite('values', values)
  low = np.quantile(values, share, method='lower')
  high = np.quantile(values, 1 - share, method='higher')
  return float(values[(values >= low) & (values <= high)].mean())


def neighbourhoods(see: See, latents: np.ndarray, radius: float = 0.1, seed: int = 0, spherical: bool = True, *,
                   batch_size: int = BATCH) -> dict[str, float]:  # fmt: skip
  """Whether a small step in z makes a small step in features.

  Every latent is given another of them as its partner, by a random cycle: independent of it, so that a sample and its
  partner's are a random pair. A neighbour is the latent at `radius` of the way to the partner: as probable as the
  latents themselves, for a normal prior along the sphere, for a uniform one on the line. With distances between
  features Euclidean:

  `neighbour_ratio`: the mean distance to the neighbour over the mean distance of random pairs. A linear map on straight
    ways has exactly `radius`, on the sphere in many dimensions about 1.11 `radius`; one without neighbourhoods, a hash,
    has 1.
  `neighbour_share`: the share of samples whose neighbour is nearer than the median random pair: 1 is ideal, a hash has
    about .5.
  `neighbour_correlation`: Spearman's rank correlation of latent and feature distance. Random pairs won't do for it, for
    latents of many dimensions are all about as far apart: each sample is paired with a point on its way, at shares that
    fill (0, 1) evenly. A map that keeps distances has 1, a hash about 0 +- 1 / sqrt(N).

  A map whose features are all equal has collapsed and no neighbourhoods: 1, 0 and 0.

  Args:
    see: generates, and looks at what it got; three rows for each latent.
    latents: [N >= 3, Z], independent draws from the prior.
    radius: in (0, 1).
    seed: of partners and shares.
    spherical: see `between`; False for priors on a box.
    batch_size: latents at once.

  Raises: ValueError for fewer latents, a radius outside (0, 1), latents all equal, features that aren't finite.
  """
  latents = np.asarray(latents, np.float64)
  if latents.ndim != 2 or len(latents) < 3 or not latents.shape[1]:
    raise ValueError(f'latents: shape {latents.shape} given; [N >= 3, Z] is needed')
  if not 0 < radius < 1:
    raise ValueError(f'radius: {radius} given; a share of the way between 0 and 1 is needed')
  if (latents == latents[0]).all():
    raise ValueError('latents: all rows are equal; independent draws are needed')
  count, random = len(latents), np.random.default_rng(seed)
  cycle = random.permutation(count)
  partner = np.empty(count, int)
  partner[cycle] = np.roll(cycle, 1)
  near = between(latents, latents[partner], np.full(count, radius), spherical)
  on_way = between(latents, latents[partner], (random.permutation(count) + 0.5) / count, spherical)
  rows = np.concatenate([latents, near, on_way]).astype(np.float32)
  seen, seen_near, seen_on_way = batched('see', see, batch_size, rows).reshape(3, count, -1)
  steps, pairs = lengths(seen_near - seen), lengths(seen[partner] - seen)
  if not pairs.max():
    return {'neighbour_ratio': 1.0, 'neighbour_share': 0.0, 'neighbour_correlation': 0.0}
  return {
    'neighbour_ratio': float(steps.mean() / pairs.mean()),
    'neighbour_share': float((steps < np.median(pairs)).mean()),
    'neighbour_correlation': rank_correlation(lengths(on_way - latents), lengths(seen_on_way - seen)),
  }


def between(a: np.ndarray, b: np.ndarray, t: np.ndarray, spherical: bool) -> np.ndarray:
  """From a [N, ..., Z] at t = 0 to b at t = 1, t [N]; float64, for the sake of small steps.

  Straight, or `spherical`: directions at constant speed on a great circle, as in StyleGAN's code, lengths at constant
  speed as well. That code makes all lengths 1, which is the same to its networks, which normalise latents, and would
  be far from all samples to others. Where a and b are on one line, the way is straight.
  """
  t = t.reshape(-1, *[1] * (a.ndim - 1))
  straight = a + t * (b - a)
  if not spherical:
    return straight
  length_a, length_b = (np.linalg.norm(x, axis=-1, keepdims=True) for x in (a, b))
  unit_a, unit_b = (x / np.where(length > 0, length, 1) for x, length in ((a, length_a), (b, length_b)))
  cosine = (unit_a * unit_b).sum(-1, keepdims=True)
  side = unit_b - cosine * unit_a  # of unit_b, what is at right angles to unit_a
  sine = np.linalg.norm(side, axis=-1, keepdims=True)
  angle = t * np.arctan2(sine, cosine)
  on_line = (sine < SAME) | (length_a == 0) | (length_b == 0)
  direction = np.cos(angle) * unit_a + np.sin(angle) * side / np.where(on_line, 1, sine)
  return np.where(on_line, straight, direction * (length_a + t * (length_b - length_a)))


def batched(name: str, function: Callable[..., jax.Array], batch_size: int, *arrays: np.ndarray) -> np.ndarray:
  """function(*rows of arrays) in batches of one size, so that it compiles once; float64 [N, ...], finite."""
  if batch_size < 1:
    raise ValueError(f'batch_size: {batch_size} given; a number from 1 on is needed')
  parts, count = [], len(arrays[0])
  size = min(batch_size, count)
  for start in range(0, count, size):
    rows = np.minimum(np.arange(start, start + size), count - 1)
    found = np.asarray(function(*(x[rows] for x in arrays)), np.float64)
    if found.shape[:1] != (size,):
      raise ValueError(f'{name}: gave shape {found.shape} for {size} rows; [{size}, ...] is needed')
    parts.append(found[: count - start])
  return finite(name, np.concatenate(parts))


def finite(name: str, values: np.ndarray) -> np.ndarray:
  """`values`, if they are finite. Raises ValueError."""
  if not np.isfinite(values).all():
    raise ValueError(f'{name}: values that are not finite (NaN or infinity)')
  return values


def lengths(x: np.ndarray) -> np.ndarray:
  """Euclidean, of rows [N, D]."""
  return np.linalg.norm(x, axis=1)


def rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
  """Spearman's, of x [N] and y [N]; 0 where one of them is constant."""
  a, b = (ranks - ranks.mean() for ranks in (ranked(x), ranked(y)))
  scale = np.sqrt((a @ a) * (b @ b))
  return float(a @ b / scale) if scale else 0.0


def ranked(x: np.ndarray) -> np.ndarray:
  """Ranks from 1 of x [N]; equal values share their mean rank."""
  _, place, counts = np.unique(x, return_inverse=True, return_counts=True)
  return (np.cumsum(counts) - (counts - 1) / 2)[place]
