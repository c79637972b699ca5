"""Conditioning by D's logit alone: the loss stays what it is."""

from typing import Literal

import jax.numpy as jnp

from ganjax.conditioning.conditioning import Conditioning


def by_logit(inside: Literal['none', 'concat', 'projection']) -> Conditioning:
  """D's logit sees the label in the way named; nothing is added to the losses."""
  return Conditioning(
    inside,
    heads=lambda classes: {},  # noqa: ARG005
    proxies=0,
    d=lambda real, fake: (jnp.float32(0), {}),  # noqa: ARG005
    g=lambda fake: (jnp.float32(0), {}),  # noqa: ARG005
  )


def none() -> Conditioning:
  """D doesn't see the label."""
  return by_logit('none')


def concat() -> Conditioning:
  """cGAN: the one-hot label joins D's input (Mirza and Osindero 2014, arXiv:1411.1784, equation 2).

  It joins every pixel of an image as further channels, or a row of numbers as further columns.
  """
  return by_logit('concat')


def projection() -> Conditioning:
  """cGAN-PD: D(x, y) = e_y . f(x) + l(f(x)), e_y the class's vector (Miyato and Koyama 2018, arXiv:1802.05637).

  f are D's features, l its linear layer (the paper's equation 3, V and phi there).
  """
  return by_logit('projection')
