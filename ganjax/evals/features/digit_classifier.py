"""The project's own digit classifier as a feature network: for small grey images, the default."""

import hashlib
from pathlib import Path

import jax.numpy as jnp

from ganjax.errors import ConfigError
from ganjax.evals import digits
from ganjax.evals.features import Extractor
from ganjax.types import Array, Params


def open(weights: str | Path | None = None, resize: str | None = None) -> Extractor:  # noqa: A001
  """The digit classifier that comes with the package: for small grey images.

  Raises ConfigError for other weights or another way of resizing.
  """
  if weights is not None:
    raise ConfigError('--weights', str(weights), "nothing: the digit classifier's weights come with the package")
  if resize not in (None, 'area'):
    raise ConfigError('--resize', resize, "'area': the digit classifier's images are averaged to 8x8")
  found = hashlib.sha256(digits.WEIGHTS.read_bytes()).hexdigest()
  protocol = {'weights': f'sha256:{found}', 'resize': 'area 8'}
  return Extractor('digits', protocol, {'features': 64, 'logits': 10}, apply, digits.load())


def apply(params: Params, images: Array) -> dict[str, Array]:
  """uint8 images [B, H, W, 1] -> features [B, 64], logits [B, 10]. Colour images are looked at in grey."""
  x = images.astype(jnp.float32).mean(-1, keepdims=True) / 127.5 - 1
  features, logits = digits.seen(params, x)
  return {'features': features, 'logits': logits}
