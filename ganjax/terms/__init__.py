"""Penalties and regularisers: functions (scene, play, *, numbers) -> (value [], metrics)."""

from ganjax.terms.gradient import gradient_penalty, r1, r2

__all__ = ['gradient_penalty', 'r1', 'r2']
