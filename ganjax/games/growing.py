"""Progressive growing: the adversarial game at one resolution after the other (Karras et al. 2018, arXiv:1710.10196).

Each resolution is a phase of the training: both networks' `stage` is the side of the images that are learned in it. A
new stage fades in: alpha, the weight of its layers, goes from 0 to 1, and reals lose the detail that the fakes still
lack (section 2). alpha is a number of the state and takes a schedule as any other:

  play = {'alpha': 0.0}
  schedule = {'play_alpha': {'start_kimg': 600, 'over_kimg': 600, 'end': 1.0}}
  phases = ({'until': 9375, 'generator.stage': 4, 'discriminator.stage': 4, 'play.alpha': 1.0},)

One tree of parameters has the layers of all stages. They and their averages carry over to the next phase; optimisers
start anew there, as they do wherever a phase has another network.
"""

from ml_collections import ConfigDict

from ganjax.data.spec import Spec
from ganjax.errors import ConfigError
from ganjax.games import gan
from ganjax.nets.progan import faded
from ganjax.players import players
from ganjax.types import Array, Game, Number, Scene


def game(config: ConfigDict, spec: Spec, *, alpha: Number = 1.0) -> Game:
  """The game `gan` between networks that grow; `alpha`, from 0 to 1, is the weight of the newest layers."""
  stage = staged(config, spec)
  weight = lambda scene: scene.hyper['play_alpha']  # noqa: E731

  def shown(scene: Scene, reals: Array) -> Array:
    return faded(reals, stage, weight(scene))

  return gan.between(config, spec, players(config, spec, options=lambda scene: {'alpha': weight(scene)}, shown=shown))


def staged(config: ConfigDict, spec: Spec) -> int:
  """The side of the images that are learned. Raises ConfigError for networks that don't grow, or not together."""
  for role in ('generator', 'discriminator'):
    if 'stage' not in config[role]:
      raise ConfigError(f'{role}.name', config[role].name, "a network that grows ('progan', 'stylegan1')")
  if not 0 <= config.play.alpha <= 1:
    raise ConfigError('play.alpha', config.play.alpha, 'from 0 (the resolution before) to 1 (this one)')
  g, d = (config[role].stage or spec.shape[0] for role in ('generator', 'discriminator'))
  if g != d:
    raise ConfigError('discriminator.stage', d, f"{g}, G's: they grow together")
  return int(g)
