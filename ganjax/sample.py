"""Samples from a checkpoint alone: its config and spec make the game, no data set is needed."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from ganjax import config as configs
from ganjax import fields, images, latents, population, posthoc, refine, standing, videos
from ganjax import state as states
from ganjax.data.examples import open_examples
from ganjax.data.spec import Spec
from ganjax.errors import CheckpointError, ConfigError, nearest
from ganjax.snapshot import flatten
from ganjax.state import TrainState
from ganjax.types import Batch, Extras, Game, Key, Params, Rules

Generate = Callable[[int, int], dict[str, np.ndarray]]  # (number, seed) -> the prior's draws and the samples

CHUNK = 256  # samples generated at once
FLAGS = {'truncation_psi': '--truncation', 'noise': '--noise'}  # keywords of a generator, by `with_options`


class Trained(NamedTuple):
  """A checkpoint with what it takes to use it; of a population, one member's, as if it were of a lone run."""

  config: ConfigDict
  spec: Spec
  game: Game
  state: TrainState
  step: int
  meta: dict[str, Any]
  member: int | None = None


def initializer(config: ConfigDict, spec: Spec, game: Game, rules: Rules) -> Any:
  """A jitted function of nothing that makes the state at step 0, of all members; it has `eval_shape()`."""
  init = lambda seed, hyper: states.create(game, rules, jax.random.key(seed), spec.example(), hyper)  # noqa: E731
  members = fields.members(config)
  hyper = population.joined(config.population, [configs.hyper(own) for own in members])
  if not config.population:
    return jax.jit(lambda: init(config.seed, hyper))
  return jax.jit(lambda: population.create(init, [own.seed for own in members], hyper))


def load(workdir: str | Path, checkpoint: int | None = None, member: int | None = None) -> Trained:
  """The newest intact checkpoint of a workdir, or the one of a step; of a population, a member's view of it.

  Raises CheckpointError; ConfigError where a population's member isn't told, or isn't there.
  """
  whole = load_all(workdir, checkpoint)
  return of_member(whole, population.chosen(whole.config.population, member))


def load_all(workdir: str | Path, checkpoint: int | None = None) -> Trained:
  """What `load` loads, with the state and the config of all members."""
  from ganjax.checkpoint import Checkpoints

  if not Path(workdir).is_dir():
    raise CheckpointError(f'{workdir}: no such folder; `ganjax train --workdir {workdir}` makes one')
  with Checkpoints(workdir, keep=1, lock=False) as checkpoints:
    meta = checkpoints.meta(checkpoint)
    config, spec, game, like = described(meta)
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    step, state, meta = checkpoints.restore(like, checkpoint, sharding=device)
  return Trained(config, spec, game, state, step, meta)


def described(meta: Mapping[str, Any]) -> tuple[ConfigDict, Spec, Game, TrainState]:
  """Config, spec, game and the shapes of the state that a checkpoint's meta tells of."""
  config, spec = configs.complete(meta['config']), Spec.from_json(meta['spec'])
  game = configs.game(config, spec)
  return config, spec, game, initializer(config, spec, game, configs.rules(config, game)).eval_shape()


def of_member(whole: Trained, member: int | None) -> Trained:
  """One member's view; None: `whole` is of a lone run."""
  config = fields.members(whole.config)[member or 0]
  return whole._replace(config=config, state=population.view(whole.state, member), member=member)


def with_examples(game: Game, config: ConfigDict, spec: Spec) -> Game:
  """A game that samples from sources, with those of its data; other games as they are. Raises DataError, ConfigError."""
  return replace(game, examples=open_examples(config.data)) if spec.source else game


def averaged(state: TrainState) -> dict[str, Any]:
  """The parameters that samples are drawn with: the first EMA's where there is one."""
  first = next(iter(state.ema.values()), {})
  return {**state.params, **first}


def with_average(trained: Trained, ema: str | None) -> Trained:
  """`trained` with one average: of that name, from a file that `ganjax ema` wrote, or 'none'; None leaves it as it is.

  Raises ConfigError for a name that isn't there, CheckpointError for a file that doesn't fit.
  """
  state, names = trained.state, ('none', *trained.state.ema)
  if ema is None:
    return trained
  if ema in names:
    return trained._replace(state=state.replace(ema={name: state.ema[name] for name in state.ema if name == ema}))
  if not ema.endswith('.npz'):
    raise ConfigError('--ema', ema, f'{", ".join(names)}, or a file .npz that `ganjax ema` wrote', nearest(ema, names))
  made = posthoc.read_average(ema)
  found = {'params': made.params, 'extras': made.extras}
  if trained.member is not None:
    found = population.taken(found, trained.member)
  own = {'params': {p: state.params[p] for p in made.params}, 'extras': {p: state.extras[p] for p in made.extras}}
  shapes = [{path: np.shape(leaf) for path, leaf in flatten(tree).items()} for tree in (own, found)]
  if shapes[0] != shapes[1]:
    raise CheckpointError(f'{ema} does not fit: it is of other networks than this run has')
  return trained._replace(
    state=state.replace(ema={ema: found['params']}, extras=state.extras | found.get('extras', {}))
  )


def sampler(game: Game, refined: refine.Refine | None = None,
            settle: standing.Settle | None = None) -> Callable[[TrainState], Generate]:  # fmt: skip
  """`sampler(game)(state)(num, seed)` generates: compiled once for a game, for any state and number.

  A sample depends on the seed and its own number, not on how many are drawn with it. `refined` is one of the ways
  of `refine` to choose latents with D's help; `settle` of `standing` takes batch statistics anew. A game that encodes and
  has examples also gives some of them, 'real', and what comes back of these, 'rebuilt'.
  """
  prior = jax.jit(lambda seed, count, batch: game.prior(jax.random.key(seed), count, batch), static_argnums=1)
  chunk = jax.jit(game.generate)
  coded = game.reconstruct and jax.jit(game.reconstruct)

  def of(state: TrainState) -> Generate:
    @cache
    def drawn_from() -> tuple[Params, Extras]:  # late: not every state is drawn from
      params = averaged(state)
      return params, state.extras if settle is None else settle(params, state.extras)

    def generate(num: int, seed: int) -> dict[str, np.ndarray]:
      given = None if game.examples is None else game.examples(num, seed)
      (params, extras), drawn = drawn_from(), jax.device_get(prior(seed, num, given))
      if refined is not None:
        drawn = refined(params, extras, jax.random.fold_in(jax.random.key(seed), refine.KEY), drawn)
      count = len(next(iter(drawn.values())))
      padded = {name: np.resize(x, (-(-count // CHUNK) * CHUNK, *x.shape[1:])) for name, x in drawn.items()}
      if count < CHUNK:
        padded = drawn
      parts = [
        jax.device_get(chunk(params, extras, {name: x[i : i + CHUNK] for name, x in padded.items()}))
        for i in range(0, count, CHUNK)
      ]
      made = {name: np.concatenate([part[name] for part in parts])[:count] for name in parts[0]}
      if coded is None or given is None or 'image' not in given:
        return made
      shown = {name: x[:CHUNK] for name, x in given.items()}
      return made | {'real': shown['image'], 'rebuilt': jax.device_get(coded(params, extras, shown, None)['rebuilt'])}

    return generate

  return of


def with_options(trained: Trained, options: Mapping[str, Any]) -> Trained:
  """`trained` whose generator is called with these keywords, such as 'truncation_psi'. Raises ConfigError without them.

  Where the generator is one that truncates latents, not styles, that is what 'truncation_psi' stands for.
  """
  if not options:
    return trained
  net, field, name = configs.generator(trained.config, trained.spec), trained.spec.field, trained.config.generator.name
  threshold = options.get('truncation_psi') if getattr(net, 'truncates_latents', False) else None
  if threshold is not None and threshold <= 0:
    raise ConfigError(FLAGS['truncation_psi'], threshold, f'a number above 0: {name!r} cuts off latents there')
  given = {option: value for option, value in options.items() if threshold is None or option != 'truncation_psi'}
  for option, value in given.items():
    if option not in inspect.signature(type(net).__call__).parameters:
      raise ConfigError(FLAGS[option], value, f'nothing: the generator {name!r} has no such thing')

  def generate(params: Params, extras: Extras, prior: Batch) -> Batch:
    variables = {'params': params['g'], **extras['g']}
    latent = prior['latent'] if threshold is None else latents.truncated_normal(prior['latent'], threshold)
    made = net.apply(variables, latent, prior.get('label'), **given)
    return prior | {'latent': latent, field: made.astype(jnp.float32)}

  return trained._replace(game=replace(trained.game, generate=generate))


def with_mixing(trained: Trained, layers: Sequence[int], options: Mapping[str, Any]) -> Trained:
  """`trained` whose samples have the styles of a second latent in some layers. Raises ConfigError for another network.

  The prior then has 'latent' and 'other' (and labels 'label', 'other_label'), see `crossing`.
  """
  net, name = configs.generator(trained.config, trained.spec), trained.config.generator.name
  if not hasattr(net, 'styles'):
    raise ConfigError('--mix', list(layers), f'nothing: the generator {name!r} has no styles')
  if not set(layers) <= set(range(net.num_ws)):
    raise ConfigError('--mix', list(layers), f'layers from 0 to {net.num_ws - 1}')
  psi = {name: value for name, value in options.items() if name == 'truncation_psi'}
  noise = {name: value for name, value in options.items() if name == 'noise'}

  def generate(params: Params, extras: Extras, prior: Batch) -> Batch:
    variables = {'params': params['g'], **extras['g']}
    styles = lambda latent, label: net.apply(variables, latent, label, method='styles', **psi)  # noqa: E731
    ws = latents.mixed(
      styles(prior['latent'], prior.get('label')), styles(prior['other'], prior.get('other_label')), layers
    )
    made = net.apply(variables, ws, method='synthesize', **noise)
    return prior | {trained.spec.field: made.astype(jnp.float32)}

  return trained._replace(game=replace(trained.game, generate=generate))


def crossing(refined: refine.Refine | None) -> refine.Refine:
  """The way `refined`, and then a table of what it chose, row by row: each with each as the `other` one."""

  def refine_and_cross(params: Params, extras: Extras, key: Key, prior: refine.Drawn) -> dict[str, np.ndarray]:
    chosen = prior if refined is None else refined(params, extras, key, prior)
    n = len(chosen['latent'])
    row, column = np.divmod(np.arange(n * n), n)
    others = {'latent': 'other', 'label': 'other_label'}
    second = {others[name]: x[column] for name, x in chosen.items() if name in others}
    return {name: x[row] for name, x in chosen.items()} | second

  return refine_and_cross


def walking(refined: refine.Refine | None, frames: int) -> refine.Refine:
  """The way `refined`, and then frames between what it chose. Raises ConfigError for a game without latents."""

  def refine_and_walk(params: Params, extras: Extras, key: Key, prior: refine.Drawn) -> dict[str, np.ndarray]:
    if 'latent' not in prior:
      raise ConfigError('--interpolate', frames, 'nothing: this game has no latents')
    chosen = prior if refined is None else refined(params, extras, key, prior)
    return jax.device_get(latents.along(chosen, frames))

  return refine_and_walk


def write_samples(workdir: str | Path, num: int | None = None, seed: int = 0, out: str | Path | None = None,
                  checkpoint: int | None = None, member: int | None = None, method: str = 'plain',
                  options: Mapping[str, Any] | None = None, *, ema: str | None = None, batches: int | None = None,
                  frames: int | None = None, generator: Mapping[str, Any] | None = None,
                  mix: Sequence[int] | None = None) -> str:  # fmt: skip
  """Draws samples and writes a grid (.png), arrays (.npz) or a video (.gif, .mp4), with provenance; says what it wrote.

  Args:
    workdir: of a training.
    num: how many; by default 64, or 8 that a video goes through.
    seed: of the latents.
    out: the file. An .npz has the samples under the data's field ('image' uint8 [N, H, W, C], 'voxel' uint8
      [N, D, H, W, C], or 'row' [N, F]) with latents and labels.
    checkpoint: its step; by default the newest intact one.
    member: of a population.
    method: 'rejection' or 'langevin' draws with D's help, 'encoded' takes latents of examples, see `refine`.
    options: of the method.
    ema: chooses among averages, see `with_average`.
    batches: instead of the config's `standing_statistics`.
    frames: from each sample to the next, along `latents.walk`.
    generator: keywords that the generator is called with.
    mix: layers; makes a table of num x num, where row i and column j have the styles of sample i but in these layers
      those of sample j. The samples themselves are the diagonal.

  Raises: ConfigError, CheckpointError.
  """
  if mix is not None and frames is not None:
    raise ConfigError('--mix', list(mix), 'nothing beside --interpolate')
  num = (64 if frames is None and mix is None else 8) if num is None else num
  path = Path(out or ('samples.png' if frames is None else 'samples.gif'))
  suffixes = ('.png', '.npz') if frames is None else (*videos.SUFFIXES, '.npz')
  for flag, count in {'--num': num, '--interpolate': frames}.items():
    if count is not None and count < 1:
      raise ConfigError(flag, count, 'a number of at least 1')
  if path.suffix not in suffixes:
    raise ConfigError('--out', str(path), f'a file name that ends in {", ".join(suffixes[:-1])} or {suffixes[-1]}'
                      + ('; videos need --interpolate' if frames is None else ''))  # fmt: skip
  videos.check(path)
  trained = with_average(load(workdir, checkpoint, member), ema)
  trained = trained._replace(game=with_examples(trained.game, trained.config, trained.spec))
  trained = with_options(trained, generator or {}) if mix is None else with_mixing(trained, mix, generator or {})
  coding = method == 'encoded' and trained.game.reconstruct is not None
  shown = replace(trained.game, examples=open_examples(trained.config.data)) if coding else trained.game
  refined = refine.named(shown, method, options or {})
  batches = trained.config.standing_statistics if batches is None else batches
  settle = standing.settler(trained.game, batches, trained.config.batch_size)
  way = walking(refined, frames) if frames is not None else refined if mix is None else crossing(refined)
  drawn = sampler(trained.game, way, settle)(trained.state)(num, seed)
  about = images.provenance(trained.meta['run_id'], configs.fingerprint(trained.config), trained.step, seed, member)
  about |= {} if refined is None else {'method': ' '.join([method, *(f'{k}={v}' for k, v in (options or {}).items())])}
  about |= {'average': next(iter(trained.state.ema), 'none'), 'standing_statistics': str(batches)}
  about |= {name: str(value) for name, value in (generator or {}).items()}
  about |= {} if frames is None else {'frames_between': str(frames)}
  about |= {} if mix is None else {'mixed_layers': ','.join(map(str, mix))}
  save(path, drawn, trained.spec, about)
  of = '' if member is None else f', member {member}'
  return f'{path}: {num} samples of {trained.config.name}{of}, step {trained.step}, seed {seed}, {method}'


def save(path: Path, drawn: Mapping[str, np.ndarray], spec: Spec, about: Mapping[str, str]) -> None:
  """Writes samples in the form that the file's name asks for. Raises ConfigError where they have no such form."""
  samples = drawn[spec.field]
  if path.suffix == '.npz':
    kept = {name: images.to_uint8(x) for name, x in drawn.items() if name in (*images.TRANSLATED, 'voxel')}
    images.save_npz(path, {**drawn, **kept}, about)
  elif path.suffix in videos.SUFFIXES:
    videos.save(path, samples, about)
  else:
    picture = images.sheet(drawn, spec.field, spec.extra)
    if picture is None:
      raise ConfigError('--out', str(path), f'an .npz file: samples of shape {samples.shape[1:]} make no picture')
    images.save_png(path, picture, about)
