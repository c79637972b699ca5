"""Kernel distances (maximum mean discrepancies, MMD) between sets of features.

Products of rows are taken of centred rows, in float32 where they would take long; the means that centring took away,
and all that follows, are float64. What float32 leaves is below 1e-6 of the distance.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from ganjax.evals.metrics import checked

LONG = 2e10  # operations: about half a second in float64
PANEL, PART = 2**22, 2**18  # numbers in a block, and in the part of it that stays in a cache meanwhile
ELSEWHERE = 32  # products of two numbers that take as long as the rest of the work on a pair
Kernel = Callable[[np.ndarray, np.ndarray], np.ndarray]  # of products or squared distances, into an array


def kernel_distance(
  real: np.ndarray, fake: np.ndarray, subsets: int = 100, subset_size: int = 1000, seed: int = 2020
) -> tuple[float, float]:
  """KID: mean and standard deviation (ddof 0) of `kernel_distances`."""
  found = kernel_distances(real, fake, subsets, subset_size, seed)
  return float(found.mean()), float(found.std())


def kernel_distances(
  real: np.ndarray, fake: np.ndarray, subsets: int = 100, subset_size: int = 1000, seed: int = 2020
) -> np.ndarray:
  """Unbiased squared MMD of random subsets of features [N, D], [M, D], with the kernel (xy / D + 1)^3: [subsets].

  Binkowski et al. 2018, https://arxiv.org/abs/1801.01401, section 4. Subsets are those of torch-fidelity: of the
  fakes, then of the reals, without replacement, from one `numpy.random.RandomState(seed)`.
  Raises ValueError for fewer rows than `subset_size` on either side, differing D or values that are not finite.
  """
  checked.whole('subsets', subsets, 1)
  checked.whole('subset_size', subset_size, 2)
  real, fake = checked.pair(real, fake, subset_size, f'subset_size {subset_size}')
  rng = np.random.RandomState(seed)
  draws = [[rng.choice(len(x), subset_size, replace=False) for x in (fake, real)] for _ in range(subsets)]
  # The products of all rows serve all subsets; where subsets use few of them, theirs alone cost less.
  width = real.shape[1] + ELSEWHERE
  whole = (len(real) + len(fake)) ** 2 * (width + 2 * subsets) < subsets * (2 * subset_size) ** 2 * width
  sums = _sums_of_all if whole else _sums_of_each
  x, y, xy = sums(*_prepared(fake, real, subsets * subset_size**2), draws)
  return (x + y) / (subset_size * (subset_size - 1)) - 2 * xy / subset_size**2


def kernel_distance_full(real: np.ndarray, fake: np.ndarray, estimator: str = 'unbiased') -> float:
  """The squared MMD of `kernel_distances` over all rows [N, D], [M, D].

  Estimators (Gretton et al. 2012, section 2.2): 'unbiased'; 'biased', with the kernel of each row with itself; 'paired',
  the U-statistic that leaves out each real with the fake of its number too, for N = M.
  """
  if estimator not in ('unbiased', 'biased', 'paired'):
    raise ValueError(f"estimator: {estimator!r} given; valid are 'unbiased', 'biased', 'paired'")
  real, fake = checked.pair(real, fake, 2)
  n, m = len(real), len(fake)
  if estimator == 'paired' and n != m:
    raise ValueError(
      f'fake: shape {fake.shape} given, real: {real.shape}; the paired estimator needs one number of rows'
    )
  x, y = _prepared(real, fake, n * m)
  (xx, x_own), (yy, y_own), (xy, pairs) = _sum(x, x), _sum(y, y), _sum(x, y)
  if estimator == 'biased':
    return (xx + x_own) / n**2 + (yy + y_own) / m**2 - 2 * xy / (n * m)
  cross = (xy - pairs) / (n * (n - 1)) if estimator == 'paired' else xy / (n * m)
  return xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * cross


def gaussian_mmd(real: np.ndarray, fake: np.ndarray, sigma: float = 10.0, scale: float = 1000.0) -> float:
  """CMMD: the squared MMD of features [N, D], [M, D] with the kernel exp(-|x - y|^2 / (2 sigma^2)), times `scale`.

  Jayasumana et al. 2024, https://arxiv.org/abs/2401.09603, for image embeddings of CLIP ViT-L/14 at 336 px,
  normalised to length 1. As published: the biased (minimum-variance) estimator, and 1000 times its value.
  Raises ValueError for differing D, values that are not finite, or a sigma that isn't positive.
  """
  if not sigma > 0:
    raise ValueError(f'sigma: {sigma} given; a positive number is needed')
  real, fake = checked.pair(real, fake)
  x, y = _prepared(real, fake, len(real) * len(fake), lambda squares, out: np.exp(squares / (-2 * sigma**2), out=out))
  (xx, _), (yy, _), (xy, _) = _sum(x, x), _sum(y, y), _sum(x, y)
  n, m = len(real), len(fake)
  return float(scale * (xx / n**2 + 1 / n + yy / m**2 + 1 / m - 2 * xy / (n * m)))


class _Rows(NamedTuple):
  """Rows for a kernel of `weight` * (their product when centred) + offset of the one + offset of the other."""

  centred: np.ndarray  # [N, D], float32 or float64
  offset: np.ndarray  # float64 [N]
  weight: float
  kernel: Kernel


def _cubic(x: np.ndarray, out: np.ndarray) -> np.ndarray:
  return np.multiply(x * x, x, out=out)


def _prepared(x: np.ndarray, y: np.ndarray, pairs: int, gaussian: Kernel | None = None) -> tuple[_Rows, _Rows]:
  """Rows of both for the polynomial kernel, or for one of squared distances."""
  width = x.shape[1]
  centre = (x.mean(0, dtype=np.float64) * len(x) + y.mean(0, dtype=np.float64) * len(y)) / (len(x) + len(y))
  dtype = np.float64 if 2.0 * pairs * width <= LONG else np.float32

  def prepare(rows: np.ndarray) -> _Rows:
    centred, offset = np.empty(rows.shape, dtype), np.empty(len(rows))
    for start in range(0, len(rows), 2048):
      part = rows[start : start + 2048] - centre
      centred[start : start + 2048] = part
      # xy = (x - c)(y - c) + (x - c)c + (y - c)c + cc
      along = part @ centre / width + (centre @ centre / width + 1) / 2
      offset[start : start + 2048] = along if gaussian is None else np.einsum('ij,ij->i', part, part)
    return _Rows(centred, offset, 1 / width if gaussian is None else -2, gaussian or _cubic)

  return prepare(x), prepare(y)


def _blocks(x: _Rows, y: _Rows) -> Iterator[tuple[slice, int, np.ndarray]]:
  """Kernels, float64: some rows of x by the rows of y from a first one on.

  Of x with itself: pairs of different rows only, each once and doubled.
  """
  total = len(x.centred)
  step = max(16, PANEL // len(y.centred))
  for low in range(0, total, step):
    rows = slice(low, min(low + step, total))
    start = low if x is y else 0
    block = _kernels(x, rows, y, start)
    if x is y:
      block *= 2
      block[np.tril_indices(len(block), 0, block.shape[1])] = 0
    yield rows, start, block


def _kernels(x: _Rows, rows: slice, y: _Rows, start: int) -> np.ndarray:
  products = x.centred[rows] @ y.centred[start:].T
  found = np.empty(products.shape)
  step = max(1, PART // products.shape[1])
  for low in range(0, len(found), step):
    part = np.multiply(products[low : low + step], x.weight, dtype=np.float64)
    part += x.offset[rows][low : low + step, None]
    part += y.offset[start:]
    x.kernel(part, found[low : low + step])
  return found


def _own(x: _Rows, y: _Rows) -> np.ndarray:
  """The kernels of the rows of x with those of y of the same number, as many as there are of both."""
  a, b = (rows.centred[: min(len(x.centred), len(y.centred))] for rows in (x, y))
  products = np.einsum('ij,ij->i', a, b, dtype=np.float64)
  products = products * x.weight + x.offset[: len(a)] + y.offset[: len(a)]
  return x.kernel(products, products)


def _sum(x: _Rows, y: _Rows) -> tuple[float, float]:
  """The sum of all kernels (of x with itself: of different rows), and of rows of the same number."""
  return float(sum(block.sum() for _, _, block in _blocks(x, y))), float(_own(x, y).sum())


def _sums_of_all(x: _Rows, y: _Rows, draws: list[list[np.ndarray]]) -> list[np.ndarray]:
  """Sums of kernels in each subset, of x, of y and between: with M the subsets' members, the diagonal of M'KM."""
  members = [np.zeros((len(rows.centred), len(draws))) for rows in (x, y)]
  for i, both in enumerate(draws):
    for member, chosen in zip(members, both, strict=True):
      member[chosen, i] = 1
  sums = []
  for a, b in ((0, 0), (1, 1), (0, 1)):
    total = np.zeros(len(draws))
    for rows, start, block in _blocks((x, y)[a], (x, y)[b]):
      total += (members[a][rows] * (block @ members[b][start:])).sum(0)
    sums.append(total)
  return sums


def _sums_of_each(x: _Rows, y: _Rows, draws: list[list[np.ndarray]]) -> list[np.ndarray]:
  """The same, subset by subset."""
  sums = []
  for first, second in draws:
    a, b = (rows._replace(centred=rows.centred[i], offset=rows.offset[i]) for rows, i in ((x, first), (y, second)))
    sums.append([sum(block.sum() for _, _, block in _blocks(*two)) for two in ((a, a), (b, b), (a, b))])
  return list(np.array(sums).T)
