"""Penalties and regularisers: functions (scene, play, *, numbers) -> (value [], metrics)."""

from ganjax.terms.finite_difference import r1_finite_difference, r2_finite_difference
from ganjax.terms.gradient import dragan, gradient_penalty, max_gradient_penalty, r1, r2
from ganjax.terms.latent import latent_consistency, latent_diversity, mode_seeking
from ganjax.terms.weights import orthogonal

__all__ = ['dragan', 'gradient_penalty', 'latent_consistency', 'latent_diversity', 'max_gradient_penalty',
           'mode_seeking', 'orthogonal', 'r1', 'r1_finite_difference', 'r2', 'r2_finite_difference']  # fmt: skip
