"""What can be measured, by name: each reads from two streams and says what of them it needs."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ganjax.data.bicubic import resized
from ganjax.errors import ConfigError, DataError, GanjaxError, unknown
from ganjax.evals import classify, metrics, walks
from ganjax.evals.stream import Needs, resampled
from ganjax.evals.view import Latents, Measure, View

KID = {'subsets': 100, 'subset_size': 1000, 'seed': 2020}
PPL = {'epsilon': 1e-4}  # as `walks.path_length` has it
BOUND = {'draws': 64}
LPIPS_PAIRS = 1000
SPLITS = 10  # of the inception score
PRDC_K, PRECISION_RECALL_K = 5, 3


# What comes from the examples themselves, not from a network.
OWN = frozenset(('image', 'label', 'row', 'psnr', 'pair', 'given'))


def frechet(view: View, output: str = 'features', name: str = 'frechet') -> dict[str, float]:
  """Fréchet distance to the real data; beside it, one half of these to the other."""
  halves = view.real.moments[output]
  return {
    name: metrics.frechet_of(view.real.whole(output), view.fake.whole(output)),
    f'{name}_floor': metrics.frechet_of(*halves),
  }


def sfid(view: View) -> dict[str, float]:
  """Fréchet distance of spatial features (Nash et al. 2021)."""
  return frechet(view, 'spatial', 'sfid')


def frechet_infinity(view: View) -> dict[str, float]:
  """The Fréchet distance extrapolated to infinitely many samples."""
  limit, _ = metrics.frechet_infinity(view.real.whole('features'), view.fake.rows['features'])
  return {'frechet_infinity': limit}


def class_frechet(view: View) -> dict[str, float]:
  """The mean over classes of the Fréchet distance within a class, and each."""
  (real, real_labels), (fake, labels) = ((s.rows['features'], s.rows['label']) for s in (view.real, view.fake))
  mean, each = metrics.class_frechet(real, real_labels, fake, labels)
  return {'class_frechet': mean} | {f'class_frechet_{k}': value for k, value in each.items()}


def kid(view: View) -> dict[str, float]:
  """Kernel distance (Bińkowski et al. 2018), mean and standard deviation over subsets."""
  mean, std = metrics.kernel_distance(*features(view), KID['subsets'], KID['subset_size'], KID['seed'])
  return {'kid': mean, 'kid_std': std}


def inception_score(view: View) -> dict[str, float]:
  """Inception score (Salimans et al. 2016), of the fakes and of the real data."""
  mean, std = metrics.inception_score(view.fake.rows['logits'], SPLITS)
  real, _ = metrics.inception_score(view.real.rows['logits'], SPLITS)
  return {'inception_score': mean, 'inception_score_std': std, 'inception_score_real': real}


def prdc(view: View) -> dict[str, float]:
  """Precision, recall, density and coverage (Naeem et al. 2020)."""
  found = metrics.prdc(*features(view), PRDC_K)
  return {name if name in ('density', 'coverage') else f'prdc_{name}': value for name, value in found.items()}


def precision_recall(view: View) -> dict[str, float]:
  """Improved precision and recall (Kynkäänniemi et al. 2019)."""
  return metrics.precision_recall(*features(view), PRECISION_RECALL_K)


def cmmd(view: View) -> dict[str, float]:
  """Maximum mean discrepancy with a Gaussian kernel, of CLIP features (Jayasumana et al. 2024)."""
  return {'cmmd': metrics.gaussian_mmd(*features(view))}


def sure(view: View) -> dict[str, float]:
  """The share with a class of probability above .9; beside it, that of held-out (or all) real images."""
  logits = view.real.rows['logits']
  held_out = logits[view.train :] if view.train < len(logits) else logits
  return {'sure': metrics.sure_share(view.fake.rows['logits']), 'sure_real': metrics.sure_share(held_out)}


def shares(view: View) -> dict[str, float]:
  """The share of samples that are seen as each class."""
  found = metrics.class_shares(view.fake.rows['logits'])
  return {f'share_{k}': float(share) for k, share in enumerate(found)}


def as_asked(view: View) -> dict[str, float]:
  """The share of samples that are seen as the class that was asked for."""
  rows = view.fake.rows
  return {'as_asked': float((rows['logits'].argmax(1) == rows['label']).mean())}


def psnr_y(view: View) -> dict[str, float]:
  """Of super-resolution, in dB: PSNR of the luminance, with a border of `scale` pixels left out; beside it, bicubic's."""
  return beside_bicubic(view, 'psnr_y', metrics.psnr_y)


def ssim_y(view: View) -> dict[str, float]:
  """Of super-resolution: structural similarity of the luminance, likewise."""
  return beside_bicubic(view, 'ssim_y', metrics.ssim_y)


def beside_bicubic(view: View, name: str, likeness: Callable[..., np.ndarray]) -> dict[str, float]:
  """Mean likeness of what was made to what is true, and of the small images enlarged."""
  (made, true), given = np.moveaxis(view.fake.rows['pair'], 1, 0), view.fake.rows['given']
  height, width = true.shape[1:3]
  scale = height // given.shape[1]
  found = {name: float(likeness(made, true, scale).mean())}
  return found | {f'{name}_bicubic': float(likeness(resized(given, height, width), true, scale).mean())}


def psnr(view: View) -> dict[str, float]:
  """Of translations, how near they come to the true counterparts: mean peak signal-to-noise ratio, in dB."""
  means = view.fake.rows['psnr'].mean(0)
  return dict(zip(('psnr', 'reverse_psnr'), map(float, means), strict=False))


def rebuilt(view: View) -> dict[str, float]:
  """Of a game that encodes, how near held-out examples come to themselves: mean peak signal-to-noise ratio, in dB."""
  assert view.rebuilt is not None
  return {'rebuilt_psnr': float(view.rebuilt.psnr.mean())}


def elbo(view: View) -> dict[str, float]:
  """Bounds on the log-likelihood of held-out examples, in nats and as bits per dimension: ELBO, and of k draws (IWAE)."""
  assert view.rebuilt is not None
  assert view.rebuilt.weights is not None
  weights = view.rebuilt.weights.astype(np.float64)
  highest = weights.max(1)
  tighter = highest + np.log(np.exp(weights - highest[:, None]).mean(1))
  found = {'elbo': float(weights.mean()), 'iwae': float(tighter.mean())}
  bits = view.rebuilt.dimensions * np.log(2)
  return found | {f'{name}_bits': float(-value / bits) for name, value in found.items()}


def authenticity(view: View) -> dict[str, float]:
  """The share of fakes that are no copies by features: `metrics.authenticity`."""
  train = view.real.rows['features'][: view.train]
  return {'authenticity': metrics.authenticity(train, view.fake.rows['features'])}


def copying(view: View) -> dict[str, float]:
  """Whether fakes lie nearer to training than held-out data do, by features: `metrics.copying_score`."""
  real = view.real.rows['features']
  return {'copying': metrics.copying_score(view.fake.rows['features'], real[: view.train], real[view.train :])}


def nearer(view: View) -> dict[str, float]:
  """The share of fakes that lie nearer to the training data than held-out data do, by pixels."""
  real = view.real.rows['image']
  return {'nearer': metrics.nearer_share(view.fake.rows['image'], real[: view.train], real[view.train :])}


def ms_ssim(view: View) -> dict[str, float]:
  """Likeness of pairs of samples (of one class, where there are classes); beside it, of real images."""
  found = {'ms_ssim': view.fake, 'ms_ssim_real': view.real}
  return {name: metrics.ms_ssim_diversity(s.rows['image'], s.rows.get('label')) for name, s in found.items()}


def swd(view: View) -> dict[str, float]:
  """Sliced Wasserstein distance of patches, by level of the Laplacian pyramid and the mean."""
  found = metrics.sliced_wasserstein(view.real.rows['image'], view.fake.rows['image'])
  return {f'swd_{level}': value for level, value in found.items()}


def spectrum(view: View) -> dict[str, float]:
  """How far the mean power spectra are apart."""
  return {'spectrum': metrics.spectrum_distance(view.real.rows['image'], view.fake.rows['image'])}


def neighbourhoods(view: View) -> dict[str, float]:
  """Whether a small step among latents makes a small step in features."""
  assert view.walk is not None
  return walks.neighbourhoods(view.walk.see, view.walk.latents, batch_size=view.walk.size)


def ppl(view: View) -> dict[str, float]:
  """Perceptual path length in z, full paths (Karras et al. 2019, eq. 2), by LPIPS with VGG16."""
  walk = view.walk
  assert walk is not None
  assert view.distance is not None
  ends = halves(walk.latents)
  t = np.random.default_rng(0).uniform(size=len(ends[0]))
  return {'ppl': walks.trimmed_mean(walks.path_length(walk.make, view.distance, *ends, t, batch_size=walk.size))}


def ppl_w(view: View) -> dict[str, float]:
  """Perceptual path length in w, at the ends of paths (Karras et al. 2020, StyleGAN 2), by LPIPS with VGG16."""
  walk = view.walk
  assert walk is not None
  assert view.distance is not None
  assert walk.styles is not None
  assert walk.make_of_styles is not None
  ends = halves(walks.batched('styles', walk.styles, walk.size, walk.latents))
  found = walks.path_length(walk.make_of_styles, view.distance, *ends, np.zeros(len(ends[0])), spherical=False,
                            batch_size=walk.size)  # fmt: skip
  return {'ppl_w': walks.trimmed_mean(found)}


def halves(x: Latents) -> tuple[Latents, Latents]:
  """Where paths begin and where they lead: each row serves once."""
  count = len(x) // 2
  return x[:count], x[count : 2 * count]


def lpips(view: View) -> dict[str, float]:
  """LPIPS of random pairs of samples: the higher, the more varied; beside it, that of real images."""
  assert view.distance is not None
  found = {}
  for name, seen in {'lpips': view.fake, 'lpips_real': view.real}.items():
    order = np.random.default_rng(0).permutation(seen.size)[: 2 * LPIPS_PAIRS]
    pairs = halves(seen.rows['image'][order].astype(np.float32) / 127.5 - 1)
    found[name] = float(walks.batched('LPIPS', view.distance, walks.BATCH, *pairs).mean())
  return found


def cas(view: View) -> dict[str, float]:
  """Classification accuracy score (Ravuri & Vinyals 2019): learns from samples, is tested on held-out data."""
  return classify.accuracy_score(*labelled(view))


def augmentation(view: View) -> dict[str, float]:
  """What samples add to few or many real images for a classifier."""
  return classify.augmentation_value(*labelled(view))


def labelled(view: View) -> list[np.ndarray]:
  """Images and labels: of samples, of training data, of held-out data."""
  real, fake = view.real.rows, view.fake.rows
  parts = [(fake, slice(None)), (real, slice(view.train)), (real, slice(view.train, None))]
  return [rows[name][part] for rows, part in parts for name in ('image', 'label')]


def modes(view: View) -> dict[str, float]:
  """Of points from a mixture: modes covered, share within 3 standard deviations, KL to equal shares."""
  count, good, divergence = metrics.mode_coverage(
    view.fake.rows['row'], np.asarray(view.facts['centres']), view.facts['std']
  )
  return {'modes': float(count), 'high_quality': good, 'reverse_kl': divergence}


def features(view: View) -> tuple[np.ndarray, np.ndarray]:
  """Rows of features, real and fake."""
  return view.real.rows['features'], view.fake.rows['features']


MEASURES: dict[str, Measure] = {
  'frechet': Measure(frechet, moments=('features',)),
  'sfid': Measure(sfid, moments=('spatial',)),
  'frechet_infinity': Measure(frechet_infinity, moments=('features',), rows=('features',), least=1000, resamples=False),
  'class_frechet': Measure(class_frechet, rows=('features', 'label'), resamples=False),
  'kid': Measure(kid, rows=('features',), least=KID['subset_size'], options=KID, resamples=False),
  'is': Measure(inception_score, rows=('logits',), least=SPLITS, options={'splits': SPLITS}),
  'prdc': Measure(prdc, rows=('features',), least=PRDC_K + 1, options={'k': PRDC_K}, resamples=False),
  'pr': Measure(precision_recall, rows=('features',), least=PRECISION_RECALL_K + 1, options={'k': PRECISION_RECALL_K},
                resamples=False),
  'cmmd': Measure(cmmd, rows=('features',), resamples=False, network='clip'),
  'sure': Measure(sure, rows=('logits',), options={'above': 0.9}),
  'shares': Measure(shares, rows=('logits',)),
  'as_asked': Measure(as_asked, rows=('logits', 'label')),
  'authenticity': Measure(authenticity, rows=('features',), resamples=False),
  'copying': Measure(copying, rows=('features',), resamples=False),
  'nearer': Measure(nearer, rows=('image',), resamples=False),
  'ms_ssim': Measure(ms_ssim, rows=('image',), resamples=False),
  'swd': Measure(swd, rows=('image',), resamples=False),
  'spectrum': Measure(spectrum, rows=('image',), resamples=False),
  'neighbourhoods': Measure(neighbourhoods, rows=('features',), least=3, resamples=False, walks=True),
  'ppl': Measure(ppl, least=100, resamples=False, walks=True, distance=True, options=PPL),
  'ppl_w': Measure(ppl_w, least=100, resamples=False, walks=True, styles=True, distance=True, options=PPL),
  'lpips': Measure(lpips, rows=('image',), resamples=False, distance=True, options={'pairs': LPIPS_PAIRS}),
  'cas': Measure(cas, rows=('image', 'label'), resamples=False, options={'steps': classify.STEPS}),
  'augmentation': Measure(augmentation, rows=('image', 'label'), resamples=False, options={'steps': classify.STEPS}),
  'psnr_y': Measure(psnr_y, rows=('pair', 'given'), alone=True, resamples=False),
  'ssim_y': Measure(ssim_y, rows=('pair', 'given'), alone=True, resamples=False),
  'modes': Measure(modes, rows=('row',)),
  'psnr': Measure(psnr, rows=('psnr',)),
  'rebuilt': Measure(rebuilt, resamples=False, rebuilds=True),
  'elbo': Measure(elbo, resamples=False, rebuilds=True, bounds=True, options=BOUND),
}  # fmt: skip
HELD_OUT = ('augmentation', 'cas', 'copying', 'nearer')  # they compare training data with data that were held out
ALIASES = {'fid': 'frechet', 'inception_score': 'is', 'precision_recall': 'pr', 'kept': 'as_asked'}


def named(names: Sequence[str]) -> dict[str, Measure]:
  """The measures of these names or aliases. Raises ConfigError for one that there isn't, or for none."""
  if not names:
    raise ConfigError('--metrics', list(names), ', '.join([*MEASURES, *ALIASES]))
  for name in names:
    if name not in (*MEASURES, *ALIASES):
      raise unknown('--metrics', name, [*MEASURES, *ALIASES])
  chosen = [ALIASES.get(name, name) for name in names]
  return {name: MEASURES[name] for name in chosen}


def needs(chosen: Mapping[str, Measure], resample: bool) -> Needs:
  """What they need together; rows of all moments, too, to resample them."""
  moments = frozenset(output for measure in chosen.values() for output in measure.moments)
  rows = frozenset(output for measure in chosen.values() for output in measure.rows)
  return Needs(moments, rows | moments if resample else rows)


def compute(view: View, chosen: Mapping[str, Measure]) -> dict[str, float]:
  """All numbers, as 'eval/name'. Raises DataError where a metric can't be taken of these examples."""
  values: dict[str, float] = {}
  for name, measure in chosen.items():
    try:
      values |= measure.compute(view)
    except GanjaxError:
      raise
    except ValueError as error:  # what a metric says of its arguments
      raise DataError(f'{name}: {error}') from error
  return {f'eval/{name}': value for name, value in values.items()}


def intervals(view: View, chosen: Mapping[str, Measure], count: int, seed: int = 0) -> dict[str, tuple[float, float]]:
  """How far chance in the drawing of samples may move the numbers, by `count` bootstraps of the fakes.

  A normal interval of 95% about the number, with the bootstraps' standard deviation: repeated rows bias a
  bootstrapped Fréchet distance itself, but hardly its spread. Numbers of measures that are too slow are left out.
  """
  quick = {name: measure for name, measure in chosen.items() if measure.resamples}
  if not count or not quick:
    return {}
  random = np.random.default_rng(seed)
  draws = [random.integers(view.fake.size, size=view.fake.size) for _ in range(count)]
  found = [compute(view._replace(fake=resampled(view.fake, index)), quick) for index in draws]
  about = compute(view, quick)
  spread = {name: float(np.std([values[name] for values in found], ddof=1)) for name in about}
  return {
    name: (value - 1.96 * spread[name], value + 1.96 * spread[name]) for name, value in about.items() if spread[name]
  }
