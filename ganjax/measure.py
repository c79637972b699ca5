"""Measures samples: one generation pass on the devices, all metrics from it, and with them how they were made."""

from collections.abc import Collection, Iterator, Mapping
from functools import cached_property, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from ganjax import config as configs
from ganjax import log, parallel, rebuilding, standing, walking
from ganjax.data.examples import Examples
from ganjax.data.sources import open_source
from ganjax.data.spec import Spec
from ganjax.errors import ConfigError
from ganjax.evals import measures
from ganjax.evals.features import Extractor, lpips, open_extractor
from ganjax.evals.features.lpips import Lpips
from ganjax.evals.measures import BOUND
from ganjax.evals.reals import Reals, open_reals, see
from ganjax.evals.stream import FINITE, Rows, Seen, look
from ganjax.evals.view import Measure, Rebuilt, View, Walk
from ganjax.progress import counting
from ganjax.sample import averaged
from ganjax.state import TrainState
from ganjax.types import Array, Batch, Extras, Game, Params

VOLUMES = ('frechet', 'prdc')  # of volumes, by default
DIGITS = ('frechet', 'sure', 'shares', 'as_asked', 'nearer')  # of grey images of up to 32 pixels, by default
SEED = 2  # of the samples during training; grids use other seeds
SMALL_BATCH, BATCH = 64, 256  # rows at once: other networks than that of the digits look at 299 pixels a side


class Options(NamedTuple):
  """How to measure; what is '' or () follows from the data, see `usual`."""

  metrics: tuple[str, ...] = ()
  features: str = ''  # a network of `evals.features`
  weights: str = ''  # a file instead of the published weights
  resize: str = ''
  lpips: str = ''  # a file of LPIPS's linear layers, of version 0.1, for VGG16
  lpips_weights: str = ''  # a file of VGG16 instead of the published weights
  split: str = ''  # of the real data
  num: int = 1000
  bootstrap: int = 0  # resamples for intervals
  standing_statistics: int = 0  # batches that batch statistics are taken from anew
  truncation: float | None = None  # what the game that is measured does, for the protocol

  @classmethod
  def of(cls, config: ConfigDict) -> 'Options':
    """As a config says."""
    given = {name: config[f'evaluate_{name}'] for name in cls._fields if f'evaluate_{name}' in config}
    return cls(**given, standing_statistics=config.standing_statistics)


class Result(NamedTuple):
  """Numbers by name, 95% intervals of some of them, and the protocol."""

  values: dict[str, float]
  intervals: dict[str, tuple[float, float]]
  protocol: dict[str, Any]


def usual(spec: Spec, options: Options) -> Options:
  """Options with what follows from the data; without metrics where one has to be asked for."""
  if spec.field == 'voxel':
    features, split = options.features or 'occupancy', options.split or 'train'
    return options._replace(metrics=options.metrics or VOLUMES, features=features, split=split)
  if spec.field != 'image':
    return options._replace(metrics=options.metrics or (('modes',) if spec.name == 'mixture' else ()))
  small = spec.shape[-1] == 1 and max(spec.shape) <= 32
  features = options.features or ('digits' if small else 'inception')
  metrics = options.metrics or (DIGITS if features == 'digits' else ())
  return options._replace(metrics=metrics, features=features, split=options.split or ('all' if small else 'train'))


def measurer(config: ConfigDict, spec: Spec, game: Game, options: Options) -> 'Measurer | None':
  """What measures during a training, on this process's devices; None where no metric is asked for, and none suits.

  Raises as `Measurer` does, but names fields of the config.
  """
  options = usual(spec, options)
  if not options.metrics:
    return None
  try:
    return Measurer(config, spec, game, options, parallel.own_mesh())
  except ConfigError as error:
    field, valid = (text.replace('--', 'evaluate_') for text in (error.field, error.valid))
    raise ConfigError(field, error.given, valid, error.nearest) from error


class Measurer:
  """`measure(state, seed)` measures samples of a lone run's state, or a member's: compiled once, for any state.

  Args:
    config: complete; its data are what samples are compared with.
    spec: of the data that the game was made for.
    game: whose samples.
    options: with metrics.
    mesh: the devices.
    shown: whether to tell how far it is.

  Raises: ConfigError, DataError where something can't be measured, before anything is generated.
  """

  def __init__(self, config: ConfigDict, spec: Spec, game: Game, options: Options, mesh: jax.sharding.Mesh,
               shown: bool = False) -> None:  # fmt: skip
    self.config, self.spec, self.game, self.options, self.mesh = config, spec, game, options, mesh
    self.counting = partial(counting, shown=shown)
    draw = lambda seed, count, batch=None: game.prior(jax.random.key(seed), count, batch)  # noqa: E731
    self.prior = jax.jit(draw, static_argnums=1)
    self.drawn = frozenset(jax.eval_shape(lambda: draw(0, 1)))  # names: 'latent', 'label', ...
    self.chosen = self.fitting(measures.named(options.metrics), explicit=options.metrics != DIGITS)
    self.needs = measures.needs(self.chosen, bool(options.bootstrap))
    self.extractor = self.opened()
    self.size = BATCH if self.extractor is None or self.extractor.name in ('digits', 'occupancy') else SMALL_BATCH
    self.lpips = self.opened_lpips()
    self.distance = self.lpips and partial(jax.jit(self.lpips.distance), self.lpips.params)
    self.program = parallel.over_rows(self.generate_and_see, mesh, self.size)
    self.settle = standing.settler(game, options.standing_statistics, config.batch_size)

  def __call__(self, state: TrainState, seed: int) -> Result:
    """Samples of `seed` against the data."""
    params = averaged(state)
    extras = state.extras if self.settle is None else self.settle(params, state.extras)
    weights = {} if self.extractor is None else self.extractor.params
    held = parallel.place((params, extras, weights), self.mesh)
    with self.counting('samples', self.options.num) as tell:
      fake = look(self.priors(seed), partial(self.program, held), self.needs, tell=tell)
    real, train = (fake, 0) if self.reals is None else (self.seen, self.reals.train)
    facts = dict(self.spec.extra)
    view = View(real, fake, train, facts, self.walk(held, seed), self.distance, self.rebuilt(held, seed))
    values = measures.compute(view, self.chosen)
    return Result(values, measures.intervals(view, self.chosen, self.options.bootstrap), self.protocol(state, seed))

  def fitting(self, chosen: dict[str, Measure], explicit: bool) -> dict[str, Measure]:
    """The measures that fit the data and the game. Raises ConfigError where one that was asked for doesn't."""
    fits = {}
    for name, measure in chosen.items():
      why = self.unfit(name, measure)
      if why and explicit:
        raise ConfigError('--metrics', name, f'others: {why}')
      if not why:
        fits[name] = measure
    return fits

  def unfit(self, name: str, measure: Measure) -> str:
    """Why something can't be measured here, or ''."""
    if ('row' in measure.rows) != (self.spec.name == 'mixture'):
      return 'it is of points from a mixture' if 'row' in measure.rows else 'it is of images'
    if self.spec.field == 'voxel' and ('image' in measure.rows or measure.distance):
      return 'it is of images'
    if 'psnr' in measure.rows and not self.spec.extra.get('counterparts'):
      return 'its samples have no true counterparts to compare with'
    if 'given' in measure.rows and not self.spec.extra.get('scale'):
      return 'it is of super-resolution'
    if name == 'ssim_y' and min(self.spec.shape[:2]) < 11 + 2 * self.spec.extra['scale']:
      return f'within a border of {self.spec.extra["scale"]} pixels no window of 11 fits into images of {min(self.spec.shape[:2])}'
    if measure.styles and not hasattr(configs.generator(self.config, self.spec), 'styles'):
      return f'the generator {self.config.generator.name!r} has no styles'
    if measure.walks and 'latent' not in self.drawn:
      return 'it walks among latents, and this game has none'
    if measure.rebuilds and (self.game.reconstruct is None or self.spec.field != 'image'):
      return 'it rebuilds images, and this game does not'
    if measure.bounds and not rebuilding.bounds(self.game, jax.tree.map(jnp.asarray, self.spec.example())):
      return 'it is of a likelihood, and this game has none'
    if measure.distance and min(self.spec.shape[:2]) < 16:
      return f'LPIPS takes images of 16 pixels or more, and these are of {min(self.spec.shape[:2])}'
    if 'label' in measure.rows and 'label' not in self.drawn:
      return 'its samples are asked for by class, and this game is not conditional'
    if name in measures.HELD_OUT and (self.reals is None or self.reals.split != 'all'):
      return 'it compares with held-out data: --split=all, where the data have some'
    if self.options.num < measure.least:
      raise ConfigError('--num', self.options.num, f'at least {measure.least}: {name!r} needs so many samples')
    if self.reals is not None and len(self.reals.source) < measure.least:
      raise ConfigError(
        '--split',
        self.reals.split,
        f'data with at least {measure.least} examples, for {name!r}; it has {len(self.reals.source)}',
      )
    return ''

  def opened(self) -> Extractor | None:
    """The feature network, where a measure looks through one."""
    if not self.needs.outputs - measures.OWN:
      return None
    volumes = self.options.features == 'occupancy'
    if volumes != (self.spec.field == 'voxel'):
      valid = 'a network that sees images' if volumes else "'occupancy': the data are volumes"
      raise ConfigError('--features', self.options.features, valid)
    extractor = open_extractor(self.options.features, self.options.weights or None, self.options.resize or None)
    compatible(extractor, self.chosen)
    return extractor

  def opened_lpips(self) -> Lpips | None:
    """The distance between images, with VGG16, where a measure asks for it."""
    if not any(measure.distance for measure in self.chosen.values()):
      return None
    if not self.options.lpips:
      raise ConfigError(
        '--lpips', '', "a file with LPIPS's linear layers, version 0.1 (vgg.pth of PerceptualSimilarity)"
      )
    return lpips.open(self.options.lpips, self.options.lpips_weights or None, 'vgg')

  @cached_property
  def reals(self) -> Reals | None:
    """The data to compare with; None for a distribution."""
    if self.spec.field == 'row':
      return None
    return open_reals(self.options.split, lambda split: open_source(self.config.data, split=split))

  @cached_property
  def seen(self) -> Seen:
    """What the network sees of the data: once, for all samples. Nothing, where no measure looks at it."""
    assert self.reals is not None
    if all(measure.alone for measure in self.chosen.values()):
      return Seen(0, {}, {})
    network = {} if self.extractor is None else {'name': self.extractor.name, **self.extractor.protocol}
    held = parallel.place({} if self.extractor is None else self.extractor.params, self.mesh)
    see_real = partial(through, self.extractor, self.needs.outputs)
    program = partial(parallel.over_rows(see_real, self.mesh, self.size), held)
    with self.counting('real images', len(self.reals.source)) as tell:
      return see(self.reals, program, self.needs, network, self.size, tell)

  def priors(self, seed: int) -> Iterator[Rows]:
    """Latents (and labels) in batches: a sample depends on the seed and its own number alone."""
    from_sources = self.game.examples is not None and self.game.reconstruct is None
    given = self.game.examples(self.options.num, seed) if from_sources and self.game.examples else None
    drawn = jax.device_get(self.prior(seed, self.options.num, given))
    for first in range(0, self.options.num, self.size):
      yield {name: x[first : first + self.size] for name, x in drawn.items()}

  def walk(self, held: Any, seed: int) -> Walk | None:
    """The generator to walk through, where a measure does."""
    if not any(measure.walks for measure in self.chosen.values()):
      return None
    see = lambda rows: self.program(held, rows)['features']  # noqa: E731
    return walking.walk(self.config, self.spec, self.game, self.mesh, self.size, held, list(self.priors(seed)), see)

  def rebuilt(self, held: Any, seed: int) -> Rebuilt | None:
    """Real examples through the game, where a measure asks for them."""
    if not any(measure.rebuilds for measure in self.chosen.values()):
      return None
    assert self.reals is not None
    draws = BOUND['draws'] if any(measure.bounds for measure in self.chosen.values()) else 0
    near = lambda again, real: psnr(pixels(again), pixels(real))  # noqa: E731
    key = jax.random.fold_in(jax.random.key(seed), rebuilding.KEY)
    return rebuilding.rebuild(self.game, self.reals, self.mesh, self.size, held, key, draws, near)

  def generate_and_see(self, held: tuple[Params, Extras, Params], prior: Batch) -> Batch:
    """Samples, rounded to pixels as an image file would, and what the network sees of them."""
    params, extras, weights = held
    drawn = self.game.generate(params, extras, prior)
    x = drawn[self.spec.field]
    own: Batch = {FINITE: jnp.isfinite(x).reshape(len(x), -1).all(1)}
    own |= {'label': drawn['label']} if 'label' in self.drawn else {}
    outputs = self.needs.outputs
    own |= {'psnr': counterparts(drawn)} if 'psnr' in outputs else {}
    own |= {'given': pixels(drawn['source'])} if 'given' in outputs else {}
    own |= {'pair': pixels(jnp.stack([x, drawn['target']], 1))} if 'pair' in outputs else {}
    if self.spec.field == 'row':
      return own | {'row': x}
    return own | through(self.extractor, outputs, weights, {self.spec.field: pixels(x)})

  def protocol(self, state: TrainState, seed: int) -> dict[str, Any]:
    """All that the numbers depend on."""
    real, sources = self.reals, self.game.examples
    return {
      'data': self.config.data.name,
      'real': {} if real is None else {'split': real.split, 'num': len(real.source), 'hash': real.hash},
      'fake': {
        'num': self.options.num, 'seed': seed, 'average': next(iter(state.ema), None),
        'standing_statistics': self.options.standing_statistics, 'truncation': self.options.truncation,
        **({'sources': sources.split} if isinstance(sources, Examples) and self.spec.source else {}),
      },
      'images': {} if real is None else {'shape': list(self.spec.shape), 'pixels': 'uint8'},
      'features': {} if self.extractor is None else {'network': self.extractor.name, **self.extractor.protocol},
      'lpips': {} if self.lpips is None else {'network': self.lpips.name, **self.lpips.protocol},
      'metrics': {name: dict(measure.options) for name, measure in self.chosen.items()},
      'versions': log.versions(),
    }  # fmt: skip


def compatible(extractor: Extractor, chosen: Mapping[str, Measure]) -> None:
  """Raises ConfigError where a measure needs what the network hasn't."""
  for name, measure in chosen.items():
    if measure.network not in ('', extractor.name):
      raise ConfigError('--features', extractor.name, f'{measure.network!r}, which alone {name!r} is defined for')
    for output in {*measure.moments, *measure.rows} - measures.OWN:
      if output not in extractor.outputs:
        there = ', '.join(extractor.outputs)
        raise ConfigError('--features', extractor.name, f'a network with {output!r}, for {name!r}; it has {there}')


def through(extractor: Extractor | None, outputs: Collection[str], weights: Params, batch: Batch) -> Batch:
  """Of uint8 images or volumes: those `outputs` that the network gives, and the images where they are among them."""
  x = batch['voxel' if 'voxel' in batch else 'image']
  found = batch if extractor is None else batch | extractor.apply(weights, x)
  return {name: x for name, x in found.items() if name in outputs}


def counterparts(drawn: Batch) -> Array:
  """PSNR of translations to what is true, [B, 1], or [B, 2] of a game that translates both ways."""
  ways = (('image', 'target'), ('reverse', 'source'))
  return jnp.stack([psnr(pixels(drawn[made]), pixels(drawn[true])) for made, true in ways if made in drawn], 1)


def psnr(a: Array, b: Array) -> Array:
  """Peak signal-to-noise ratio in dB of uint8 images [B, H, W, C] -> [B]; 100 where they are the same."""
  error = jnp.square((a.astype(jnp.float32) - b.astype(jnp.float32)) / 255).mean((1, 2, 3))
  return -10 * jnp.log10(jnp.maximum(error, 1e-10))


def pixels(x: Array) -> Array:
  """Images in [-1, 1] as uint8, as an image file would keep them."""
  return jnp.rint((jnp.clip(x.astype(jnp.float32), -1, 1) + 1) * 127.5).astype(jnp.uint8)
