"""The arithmetic of a diffusion against closed forms, Gaussian conditioning and numerical integration."""

import jax.numpy as jnp
import numpy as np
import pytest

from ganjax.ops import diffusion


@pytest.mark.parametrize('steps', [1, 2, 4, 8])
def test_betas_are_the_papers(steps):
  t = np.arange(1, steps + 1)
  betas = 1 - np.exp(-0.1 / steps - (20 - 0.1) * (2 * t - 1) / (2 * steps**2))
  signal = diffusion.variance_preserving(steps)
  np.testing.assert_allclose(signal, np.append(1, np.cumprod(1 - betas)), rtol=1e-12)
  factor, spread = diffusion.transition(signal, jnp.asarray(t))
  np.testing.assert_allclose(factor, np.sqrt(1 - betas), rtol=1e-6)
  np.testing.assert_allclose(spread, np.sqrt(betas), rtol=1e-6)


def test_steps_make_up_the_marginal():
  """Means and variances, one transition after the other."""
  signal = diffusion.variance_preserving(5, 0.3, 7.0)
  factors, spreads = (np.float64(x) for x in diffusion.transition(signal, jnp.arange(1, 6)))
  mean, variance = 1.0, 0.0
  for t in range(1, 6):
    mean, variance = factors[t - 1] * mean, factors[t - 1] ** 2 * variance + spreads[t - 1] ** 2
    kept, spread = diffusion.marginal(signal, jnp.asarray(t))
    np.testing.assert_allclose([kept, spread**2], [mean, variance], rtol=1e-5)
    np.testing.assert_allclose(kept**2 + spread**2, 1, rtol=1e-6)


@pytest.mark.parametrize('t', [2, 3, 4])
def test_posterior_is_bayes(t):
  """q(x_(t-1) | x_t, x_0) is q(x_t | x_(t-1)) q(x_(t-1) | x_0), normalised: on a grid of x_(t-1)."""
  signal, clean, noisy = diffusion.variance_preserving(4), 0.7, -0.4
  kept, spread = (float(x) for x in diffusion.marginal(signal, jnp.asarray(t - 1)))
  factor, step = (float(x) for x in diffusion.transition(signal, jnp.asarray(t)))
  x = np.linspace(-12, 12, 200_001)
  density = np.exp(-(((noisy - factor * x) / step) ** 2) / 2 - ((x - kept * clean) / spread) ** 2 / 2)
  density /= density.sum()
  of_clean, of_noisy, deviation = (float(x) for x in diffusion.posterior(signal, jnp.asarray(t)))
  mean = (density * x).sum()
  np.testing.assert_allclose(of_clean * clean + of_noisy * noisy, mean, rtol=1e-4)
  np.testing.assert_allclose(deviation, np.sqrt((density * (x - mean) ** 2).sum()), rtol=1e-4)
  # The same from the joint Gaussian of (x_(t-1), x_t) given x_0.
  gain = factor * spread**2 / (factor**2 * spread**2 + step**2)
  np.testing.assert_allclose(of_noisy, gain, rtol=1e-5)
  np.testing.assert_allclose(of_clean, kept - gain * factor * kept, rtol=1e-5)
  np.testing.assert_allclose(deviation**2, spread**2 * (1 - gain * factor), rtol=1e-5)


def test_the_way_back_has_the_marginals():
  """From q(x_t | x_0) through the posterior with the true x_0 one is at q(x_(t-1) | x_0)."""
  signal, t = diffusion.variance_preserving(4), jnp.arange(1, 5)
  (kept, spread), (there, wide) = diffusion.marginal(signal, t - 1), diffusion.marginal(signal, t)
  of_clean, of_noisy, deviation = diffusion.posterior(signal, t)
  np.testing.assert_allclose(of_clean + of_noisy * there, kept, rtol=1e-5)
  np.testing.assert_allclose((of_noisy * wide) ** 2 + deviation**2, spread**2, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize('steps', [1, 4])
def test_the_last_step_gives_the_image(steps):
  signal = diffusion.variance_preserving(steps)
  assert [float(x) for x in diffusion.posterior(signal, jnp.asarray(1))] == [1, 0, 0]
  assert [float(x) for x in diffusion.marginal(signal, jnp.asarray(0))] == [1, 0]
  assert float(diffusion.marginal(signal, jnp.asarray(steps))[0]) == pytest.approx(
    np.exp(-20.1 / 4)
  )  # noise is what is left
  assert diffusion.posterior(signal, jnp.ones((2, 3), jnp.int32))[0].shape == (2, 3)
