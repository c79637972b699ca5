"""Penalties and regularisers: functions (scene, play, *, numbers) -> (value [], metrics).

Those in `STATES` keep something from step to step: (scene, play, state, *, numbers) -> (value [], metrics, state).
"""

from ganjax.terms.consistency import consistency_fake, consistency_real
from ganjax.terms.drift import drift
from ganjax.terms.features import feature_matching
from ganjax.terms.finite_difference import r1_finite_difference, r2_finite_difference
from ganjax.terms.gradient import dragan, gradient_penalty, max_gradient_penalty, r1, r2
from ganjax.terms.latent import latent_consistency, latent_diversity, mode_seeking
from ganjax.terms.lecam import LECAM_STATE, lecam
from ganjax.terms.path_length import PATH_LENGTH_STATE, path_length
from ganjax.terms.pulling_away import pulling_away
from ganjax.terms.rotation import rotation
from ganjax.terms.weights import orthogonal

__all__ = ['consistency_fake', 'consistency_real', 'dragan', 'drift', 'feature_matching', 'gradient_penalty',
           'latent_consistency', 'latent_diversity', 'lecam', 'max_gradient_penalty', 'mode_seeking', 'orthogonal', 'path_length', 'pulling_away',
           'r1', 'r1_finite_difference', 'r2', 'r2_finite_difference', 'rotation']  # fmt: skip

STATES = {'lecam': LECAM_STATE, 'path_length': PATH_LENGTH_STATE}  # at step 0
# What a term asks of D besides the logit: head -> outputs, where 'features' stands for the features themselves (0).
HEADS = {'rotation': {'rotation': 4}, 'feature_matching': {'features': 0}, 'pulling_away': {'features': 0}}
# Terms that depend on one player's parameters alone: no gradient of theirs reaches the other.
ONLY = dict.fromkeys(('consistency_real', 'dragan', 'drift', 'r1', 'r1_finite_difference'), 'd') | dict.fromkeys(
  ('latent_diversity', 'mode_seeking', 'path_length'), 'g'
)
# Terms that turn or shift images.
OF_IMAGES = ('consistency_fake', 'consistency_real', 'rotation')
