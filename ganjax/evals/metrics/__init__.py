"""Numbers about samples, as pure functions of arrays: float64 inside, Python floats out.

SciPy loads its parts when they are first used: `import scipy` here, rather than of parts, keeps the start quick.
"""

from ganjax.evals.metrics.frechet import (
  Moments,
  class_frechet,
  extrapolated,
  frechet_distance,
  frechet_infinity,
  frechet_of,
  frechet_of_gaussians,
)
from ganjax.evals.metrics.images import (
  ms_ssim,
  ms_ssim_diversity,
  power_spectrum,
  psnr_y,
  sliced_wasserstein,
  spectrum_distance,
  ssim_y,
)
from ganjax.evals.metrics.intervals import Interval, binomial, bootstrap, bootstrapped, over_seeds
from ganjax.evals.metrics.kernel import gaussian_mmd, kernel_distance, kernel_distance_full, kernel_distances
from ganjax.evals.metrics.neighbours import (
  authenticity,
  copying_score,
  nearer_share,
  nearest,
  nearest_distance,
  prdc,
  precision_recall,
)
from ganjax.evals.metrics.score import class_shares, inception_score, mode_counts, mode_coverage, sure_share

__all__ = [
  'Interval', 'Moments', 'authenticity', 'binomial', 'bootstrap', 'bootstrapped', 'class_frechet', 'class_shares',
  'copying_score', 'extrapolated', 'frechet_distance', 'frechet_infinity', 'frechet_of', 'frechet_of_gaussians',
  'gaussian_mmd', 'inception_score', 'kernel_distance', 'kernel_distance_full', 'kernel_distances', 'mode_counts',
  'mode_coverage', 'ms_ssim', 'ms_ssim_diversity', 'nearer_share', 'nearest', 'nearest_distance', 'over_seeds',
  'power_spectrum', 'prdc', 'precision_recall', 'psnr_y', 'sliced_wasserstein', 'spectrum_distance', 'ssim_y', 'sure_share',
]  # fmt: skip
