"""Stabilisers inside the adversarial game: functions (what they act on, *, numbers), each at its own place in a play."""

from ganjax.stabilizers.images import instance_noise, packing
from ganjax.stabilizers.latents import latent_optimization
from ganjax.stabilizers.logits import label_flipping, top_k

__all__ = ['instance_noise', 'label_flipping', 'latent_optimization', 'packing', 'top_k']
