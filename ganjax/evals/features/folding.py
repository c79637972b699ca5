"""Batch norm in evaluation mode is linear: folded into the convolution before it, it costs nothing."""

import numpy as np

from ganjax.interop.tensors import Tensors


def folded(tensors: Tensors, conv: str, norm: str, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
  """PyTorch's convolution (without bias) and the batch norm behind it, by their names, as kernel HWIO and bias [O]."""
  weight, bias, mean, var = (
    tensors[f'{norm}.{leaf}'].astype(np.float64) for leaf in ('weight', 'bias', 'running_mean', 'running_var')
  )
  scale = weight / np.sqrt(var + epsilon)
  kernel = tensors[f'{conv}.weight'].transpose(2, 3, 1, 0) * scale
  return kernel.astype(np.float32), (bias - mean * scale).astype(np.float32)
