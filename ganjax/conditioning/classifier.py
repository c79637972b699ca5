"""Conditioning by a classifier that shares D's features. D's logit doesn't see the label.

H(z, y) = -log softmax(z)_y below; z are the outputs of a head [B, ...], y the labels [B].
"""

from ganjax.conditioning.conditioning import Conditioning, View, accuracy, cross_entropy, label_of, picked
from ganjax.types import Array, Metrics, Number


def acgan(*, d_weight: Number = 1.0, g_weight: Number = 1.0, d_on_fakes: bool = True) -> Conditioning:
  """AC-GAN: both players lose the cross-entropy of a classifier C (Odena et al. 2017, arXiv:1610.09585, equation 3).

  D: d_weight (E H(C(x), y) + E H(C(G(z)), y)), G: g_weight E H(C(G(z)), y); head 'class', K outputs. Without
  `d_on_fakes` C learns from reals alone, as in StudioGAN, and bad fakes don't teach it.
  """

  def d(real: View, fake: View) -> tuple[Array, Metrics]:
    loss, metrics = classified(real, 'class', 'real')
    if d_on_fakes:
      of_fakes, seen = classified(fake, 'class', 'fake')
      loss, metrics = loss + of_fakes, metrics | seen
    return d_weight * loss, metrics

  def g(fake: View) -> tuple[Array, Metrics]:
    loss, metrics = classified(fake, 'class', 'fake')
    return g_weight * loss, metrics

  return Conditioning('none', lambda classes: {'class': classes}, 0, d, g)


def tac(*, weight: Number = 1.0, twin_weight: Number = 1.0) -> Conditioning:
  """TAC-GAN: AC-GAN and a twin classifier that plays against G (Gong et al. 2019, arXiv:1907.02690, section 3).

  D: weight E H(C(x), y) + twin_weight E H(T(G(z)), y), G: weight E H(C(G(z)), y) - twin_weight E H(T(G(z)), y).
  C learns from reals and the twin T from fakes, so that the difference vanishes where their classes overlap alike;
  AC-GAN's G leaves that overlap out. Heads 'class' and 'twin', K outputs each; both weights are the paper's lambda_c,
  1 in StudioGAN.
  """

  def d(real: View, fake: View) -> tuple[Array, Metrics]:
    loss, metrics = classified(real, 'class', 'real')
    twin, seen = classified(fake, 'twin', 'fake')
    return weight * loss + twin_weight * twin, metrics | seen

  def g(fake: View) -> tuple[Array, Metrics]:
    loss, metrics = classified(fake, 'class', 'fake')
    twin, seen = classified(fake, 'twin', 'fake')
    return weight * loss - twin_weight * twin, metrics | seen

  return Conditioning('none', lambda classes: {'class': classes, 'twin': classes}, 0, d, g)


def adc(*, d_weight: Number = 1.0, g_weight: Number = 1.0) -> Conditioning:
  """ADC-GAN: a classifier of real classes y+ and fake ones y- (Hou et al. 2022, arXiv:2107.10060, section 3).

  D: d_weight (E H(C(x), y+) + E H(C(G(z)), y-)), G: g_weight (E H(C(G(z)), y+) - E H(C(G(z)), y-)), which is the mean
  of z_{y-} - z_{y+}: it stays finite, and alone would already draw G to the joint distribution. Head 'class', 2K
  outputs, the real classes first. The weights are the paper's lambda, 1 in the authors' script for CIFAR-10.
  """

  def d(real: View, fake: View) -> tuple[Array, Metrics]:
    loss, metrics = classified(real, 'class', 'real')
    of_fakes, seen = classified(fake, 'class', 'fake', shift=fake.heads['class'].shape[1] // 2)
    return d_weight * (loss + of_fakes), metrics | seen

  def g(fake: View) -> tuple[Array, Metrics]:
    said, label = fake.heads['class'], label_of(fake)
    value = (picked(said, label + said.shape[1] // 2) - picked(said, label)).mean()
    return g_weight * value, {'class_loss_fake': value, 'class_accuracy_fake': accuracy(said, label)}

  return Conditioning('none', lambda classes: {'class': 2 * classes}, 0, d, g)


def classified(view: View, head: str, side: str, shift: int = 0) -> tuple[Array, Metrics]:
  """E H of a head with the labels, `shift` further on, and metrics '<head>_loss_<side>', '<head>_accuracy_<side>'."""
  said, label = view.heads[head], label_of(view) + shift
  loss = cross_entropy(said, label)
  return loss, {f'{head}_loss_{side}': loss, f'{head}_accuracy_{side}': accuracy(said, label)}
