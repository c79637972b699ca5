"""ganjax: generative adversarial networks as pure functions."""

__version__ = '0.1.0'
