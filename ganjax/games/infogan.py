"""InfoGAN: codes in the latent that G must let a reader find again in its images (Chen et al. 2016, arXiv:1606.03657).

The latent is noise, categories as one-hot vectors and continuous codes from [-1, 1]. A third player q looks at D's
features of a fake and says what the codes were; G and q together descend G's loss minus lambda L_I, L_I the bound
of their mutual information with the image (equations 5 and 6): E log Q(c | x) up to the entropy of c, which is fixed.
A category is a softmax; a continuous code is normal of unit variance around what q says. D's features are what its
own loss made them: q's gradient ends there, where the authors' code lets it into D's trunk as well.

Terms and stabilisers that draw or change latents by themselves take the codes for noise.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from ganjax.conditioning.conditioning import accuracy, cross_entropy
from ganjax.data.spec import Spec
from ganjax.errors import ConfigError
from ganjax.games import gan
from ganjax.nets import layers
from ganjax.players import players
from ganjax.types import Array, Batch, Extras, Game, Key, Metrics, Number, Params, Play, Scene

PLAYERS = ('g', 'd', 'q')


class Reader(nn.Module):
  """D's features [B, F] -> what they say of the codes, [B, outputs]."""

  outputs: int
  hidden: int

  @nn.compact
  def __call__(self, x: Array) -> Array:
    x = nn.leaky_relu(layers.Dense(self.hidden, kernel_init=layers.INITIALIZERS['he'], name='hidden')(x), 0.2)
    return layers.Dense(self.outputs, name='out')(x)


def game(config: ConfigDict, spec: Spec, *, categories: Sequence[int] = (10,), continuous: int = 2,
         category_weight: Number = 1.0, continuous_weight: Number = 0.1, reader_width: int = 128) -> Game:  # fmt: skip
  """The game of `gan` with codes behind the noise: one of each of `categories` (how many values) and `continuous` ones.

  `Game.prior` draws 'latent' [B, latent_dim], 'category' int32 [B, categories] and 'code' [B, continuous] apart, for
  G to be asked for them; a batch that has them is obeyed. The two weights are lambda, for each kind of code.
  """
  del category_weight, continuous_weight  # in scene.hyper
  sizes, noise = tuple(categories), config.latent_dim
  if not sizes and not continuous:
    raise ConfigError('play.categories', sizes, 'at least one number of values, or play.continuous above 0')
  if min(sizes, default=2) < 2:
    raise ConfigError('play.categories', sizes, 'numbers of values of at least 2')
  reader = Reader(sum(sizes) + continuous, reader_width)

  def sample(key: Key) -> Array:
    """One latent: noise, one-hot categories, codes."""
    keys = jax.random.split(key, 2 + len(sizes))
    chosen = [jax.nn.one_hot(jax.random.randint(k, (), 0, n), n) for k, n in zip(keys[2:], sizes, strict=True)]
    code = jax.random.uniform(keys[1], (continuous,), minval=-1, maxval=1)
    return jnp.concatenate([jax.random.normal(keys[0], (noise,)), *chosen, code])

  def split(x: Array) -> tuple[list[Array], Array]:
    """What belongs to each category, and to the codes, of [B, sum(sizes) + continuous]."""
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    *parts, code = jnp.split(x, ends, axis=1)
    return parts, code

  def information(scene: Scene, found: Play) -> tuple[Array, Metrics]:
    """-lambda L_I, with the entropies left out of the loss and in the metrics."""
    said = reader.apply({'params': scene.params['q']}, found.fake_heads['features'])
    (guesses, means), (truths, code) = split(said), split(found.latent[:, noise:])  # type: ignore[arg-type]
    entropies = [cross_entropy(guess, truth.argmax(1)) for guess, truth in zip(guesses, truths, strict=True)]
    hits = [accuracy(guess, truth.argmax(1)) for guess, truth in zip(guesses, truths, strict=True)]
    total, metrics = jnp.float32(0), Metrics()
    if sizes:
      total += scene.hyper['play_category_weight'] * sum(entropies)
      metrics |= {'q/category_loss': sum(entropies), 'q/category_accuracy': sum(hits) / len(hits)}  # type: ignore[dict-item]
    if continuous:
      error = jnp.square(means - code).mean(0).sum()
      total += scene.hyper['play_continuous_weight'] * error / 2
      metrics |= {'q/code_error': error / continuous}
    return total, metrics

  both = players(config, spec, heads={'features': 0}, latent=sample)
  if both.score is None:
    raise ConfigError('stabilizers.packing', config.stabilizers.packing.to_dict(), 'nothing: q reads single examples')

  def added(player: str, scene: Scene, found: Play, every: int = 1) -> tuple[Array, Extras, Metrics]:
    total, kept, metrics = both.added(player, scene, found, every)
    if player != 'g' or every > 1:
      return total, kept, metrics
    extra, seen = information(scene, found)
    return total + extra, kept, metrics | seen

  def init(key: Key, batch: Batch) -> tuple[Params, Extras]:
    params, extras = both.init(key, batch)
    features = jax.eval_shape(both.look, params, extras, batch)[1]['features']
    q: dict[str, Any] = dict(reader.init(jax.random.fold_in(key, 2), jnp.zeros(features.shape)))
    return {**params, 'q': q['params']}, {**extras, 'q': {}}

  def prior(key: Key, count: int, batch: Batch | None = None) -> Batch:
    drawn = both.prior(key, count, batch)
    chosen, code = split(drawn['latent'][:, noise:])
    category = jnp.stack([one.argmax(1) for one in chosen], 1) if sizes else jnp.zeros((count, 0), jnp.int32)
    codes = {'category': category.astype(jnp.int32), 'code': code}
    kept = {name: batch[name] for name in codes if batch is not None and name in batch}
    return {**drawn, 'latent': drawn['latent'][:, :noise], **codes, **kept}

  def generate(params: Params, extras: Extras, prior: Batch) -> Batch:
    chosen = [jax.nn.one_hot(prior['category'][:, i], n) for i, n in enumerate(sizes)]
    latent = jnp.concatenate([prior['latent'], *chosen, prior['code']], 1)
    return both.generate(params, extras, {**prior, 'latent': latent}) | {'latent': prior['latent']}

  plain = gan.between(config, spec, both._replace(added=added))
  turns = tuple(turn._replace(players=('g', 'q')) if turn.loss == 'g' else turn for turn in plain.turns)
  return dataclasses.replace(plain, init=init, turns=turns, prior=prior, generate=generate)
