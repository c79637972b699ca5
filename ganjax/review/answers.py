"""What reviewers' answers say: accuracy, sensitivity, and whether that can be guessing."""

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ganjax.errors import DataError
from ganjax.evals import metrics

FORMAT, VERSION = 'ganjax review', 1
KINDS = ('real', 'generated')
SURE = 0.05  # below this probability of guessing so well, it isn't guessing


class Session(NamedTuple):
  """One reviewer's file."""

  path: str
  page: str  # which page the answers are of
  about: Mapping[str, str]  # the run
  reviewer: str
  complete: bool
  peeked: bool  # whether generated images were seen as such before
  counts: 'Counts'
  seconds: float  # the median for an answer


class Counts(NamedTuple):
  """Answers by what the image was and what was said of it. A 'hit' is a generated image that was found out."""

  hits: int  # generated, said generated
  misses: int  # generated, said real
  false_alarms: int  # real, said generated
  rejections: int  # real, said real

  def __add__(self, other: 'Counts') -> 'Counts':  # type: ignore[override]
    return Counts(*(a + b for a, b in zip(self, other, strict=True)))

  @property
  def right(self) -> int:
    """Right answers."""
    return self.hits + self.rejections

  @property
  def answers(self) -> int:
    """All answers."""
    return sum(self)


def truth(number: str) -> str:
  """What the image of a number is: a bit of its FNV-1a hash. page.js has the same."""
  found = 0x811C9DC5
  for letter in number.encode():
    found = (found ^ letter) * 0x01000193 & 0xFFFFFFFF
  return 'real' if found >> 16 & 1 else 'generated'


def sensitivity(counts: Counts) -> tuple[float, tuple[float, float]]:
  """d' = z(hit rate) - z(false-alarm rate), 0 for guessing, and its 95% interval.

  Rates are (n + 1/2) / (N + 1), finite for perfect answers too (Hautus 1995, doi:10.3758/BF03203619); the interval is
  by the normal approximation of Gourevitch and Galanter (1967, doi:10.1007/BF02289402).
  """
  normal, value, variance = statistics.NormalDist(), 0.0, 0.0
  for said, other, sign in ((counts.hits, counts.misses, 1), (counts.false_alarms, counts.rejections, -1)):
    rate = (said + 0.5) / (said + other + 1)
    z = normal.inv_cdf(rate)
    value += sign * z
    variance += rate * (1 - rate) / ((said + other + 1) * normal.pdf(z) ** 2)
  reach = 1.96 * math.sqrt(variance)
  return value, (value - reach, value + reach)


def chance(counts: Counts) -> float:
  """How probable answers so far from guessing would be, by Fisher's exact test, two-sided.

  It holds for a reviewer who says one of the two more often, and for unequal numbers of both kinds of images.
  """
  from scipy.stats import fisher_exact

  table = [[counts.hits, counts.misses], [counts.false_alarms, counts.rejections]]
  return float(fisher_exact(table).pvalue)


def read(path: str | Path) -> Session:
  """A file that the page saved. Raises DataError, naming it, for any other."""
  try:
    found = json.loads(Path(path).read_text(encoding='utf-8'))
  except OSError as error:
    raise DataError(f'{path}: {error.strerror or error}') from error
  except ValueError as error:
    raise DataError(f'{path}: no JSON ({error}); valid: files that the review page saved') from error
  if not isinstance(found, dict) or found.get('format') != FORMAT:
    raise DataError(f'{path}: not saved by a review page: no "format": "{FORMAT}" in it')
  if found.get('version') != VERSION:
    raise DataError(f'{path}: of version {found.get("version")!r} of the review page; valid: {VERSION}')
  try:
    answers = [checked(answer) for answer in found['answers']]
    if not answers:
      raise ValueError('no answers')
    if len({answer['id'] for answer in answers}) < len(answers):
      raise ValueError('an image was answered twice')
    pairs = [(answer['truth'], answer['answer']) for answer in answers]
    generated, real = 'generated', 'real'
    order = ((generated, generated), (generated, real), (real, generated), (real, real))
    return Session(
      str(path), str(found['page']), {k: str(v) for k, v in found['about'].items()}, str(found['reviewer']),
      bool(found['complete']), bool(found['peeked']), Counts(*map(pairs.count, order)),
      statistics.median(answer['ms'] for answer in answers) / 1000,
    )  # fmt: skip
  except (KeyError, TypeError, ValueError, AttributeError) as error:
    what = f'{error} is missing' if isinstance(error, KeyError) else error
    raise DataError(f'{path}: damaged or edited: {what}') from error


def checked(answer: Any) -> dict[str, Any]:
  """One answer. Raises ValueError, KeyError, TypeError."""
  number, said, was, ms = (answer[name] for name in ('id', 'answer', 'truth', 'ms'))
  if said not in KINDS or was not in KINDS:
    raise ValueError(f'image {number}: answer {said!r}, truth {was!r}; valid: {", ".join(KINDS)}')
  if truth(number) != was:
    raise ValueError(f'image {number} is not {was}')
  if isinstance(ms, bool) or not isinstance(ms, (int, float)) or not 0 <= ms < math.inf:
    raise ValueError(f'image {number}: a time of {ms!r} ms')
  return dict(answer)


def summarise(paths: Sequence[str | Path]) -> str:
  """What the answers in these files say, for a person: by page, each reviewer and all together.

  Raises DataError for a file that no review page saved, that is damaged, or that has the answers of another.
  """
  seen: dict[str, str] = {}
  pages: dict[str, list[Session]] = {}
  for path in paths:
    session = read(path)
    digest = json.dumps(json.loads(Path(path).read_text(encoding='utf-8')).get('answers'), sort_keys=True)
    if digest in seen:
      raise DataError(f'{path}: the same answers as {seen[digest]}')
    seen[digest] = str(path)
    pages.setdefault(session.page, []).append(session)
  out = [text for sessions in pages.values() for text in told(sessions)]
  if len(pages) > 1:
    out += [f'These are answers on {len(pages)} different pages, which are not pooled with each other.']
  return '\n'.join(out).rstrip()


def told(sessions: Sequence[Session]) -> list[str]:
  """On the answers to one page."""
  about, pooled = sessions[0].about, total(session.counts for session in sessions)
  what = ', '.join(f'{name.replace("_", " ")} {value}' for name, value in about.items() if name != 'name')
  out = [f'{about.get("name", "review")} ({what})' if what else about.get('name', 'review')]
  for session in sessions:
    notes = [f'{session.seconds:.1f} s an answer']
    notes += [] if session.complete else ['stopped before the end']
    notes += ['had seen generated images marked as such: not blind'] if session.peeked else []
    out += [
      f'  {session.reviewer or "no name"} ({Path(session.path).name}; {"; ".join(notes)})',
      *numbers(session.counts),
    ]
  if len(sessions) > 1:
    shares = [session.counts.right / session.counts.answers for session in sessions]
    out += [f'  all {len(sessions)} together', *numbers(pooled),
            f'    reviewers\' accuracies: mean {statistics.fmean(shares):.1%}, from {min(shares):.1%} to {max(shares):.1%}']  # fmt: skip
  return [*out, f'  {verdict(pooled)}', '']


def total(several: Iterable[Counts]) -> Counts:
  """The sum."""
  found = Counts(0, 0, 0, 0)
  for counts in several:
    found += counts
  return found


def numbers(counts: Counts) -> list[str]:
  """Accuracy, rates and d', two lines."""
  _, low, high = metrics.binomial(counts.right, counts.answers)
  value, (least, most) = sensitivity(counts)
  generated, real = counts.hits + counts.misses, counts.false_alarms + counts.rejections
  return [
    f'    accuracy {counts.right / counts.answers:.1%} (95% interval {low:.1%} to {high:.1%}): {counts.right} of {counts.answers}',
    f'    found {counts.hits} of {generated} generated images (hits {rate(counts.hits, generated)}), took {counts.false_alarms} of '
    f'{real} real ones for generated (false alarms {rate(counts.false_alarms, real)}); d\' {value:.2f} ({least:.2f} to {most:.2f})',
  ]  # fmt: skip


def rate(part: int, whole: int) -> str:
  """A share; of nothing, no number."""
  return f'{part / whole:.0%}' if whole else 'unknown'


def verdict(counts: Counts) -> str:
  """Whether generated images can be told from real ones, in plain words."""
  if not (counts.hits + counts.misses and counts.false_alarms + counts.rejections):
    return 'Only one kind of image was answered: nothing can be said.'
  p = chance(counts)
  by = f"(p = {p:.2g}, Fisher's exact test)"
  if p < SURE and counts.right * 2 > counts.answers:
    return f'Generated images can be told from real ones: guessing so well is improbable {by}.'
  if p < SURE:
    return (
      f'Generated images were taken for the real ones more often than guessing gives {by}: they are seen as different.'
    )
  high = metrics.binomial(counts.right, counts.answers).high
  return (f'Not told apart: guessing gives such answers too {by}. With {counts.answers} answers, a true accuracy of up to '
          f'{high:.0%} is not ruled out.')  # fmt: skip
