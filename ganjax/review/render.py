"""The review page from arrays."""

import base64
import hashlib
import html
import io
import json
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ganjax.review.answers import FORMAT, VERSION, truth

HERE = Path(__file__).parent
COLUMNS = 8  # samples in a strip of a sheet
GAP_COLOR = 128
COVER = (
  'This part tells which images are generated. Answer the questions first, so that your answers stay blind; '
  'otherwise they are marked.'
)
INTRO = (
  '<p>Left the sample, beside it the nearest training images with their distances. 1 is the usual distance of a training '
  'image to the nearest other one; far below it, a sample may be a copy.</p>'
)
Images = np.ndarray  # uint8 [N, H, W, C], C = 1 or 3


class Sheet(NamedTuple):
  """Samples of one checkpoint. All sheets of a page are of the same latents."""

  title: str  # 'step 4,000'
  images: Images


class Neighbours(NamedTuple):
  """Samples with the training images that are nearest to them."""

  title: str  # which samples these are
  samples: Images  # [N, H, W, C]
  nearest: np.ndarray  # uint8 [N, K, H, W, C], nearest first
  distances: np.ndarray  # [N, K]
  usual: float  # of a training image to the nearest other one: their median


def page(reals: Images, fakes: Images, sheets: Sequence[Sheet] = (), neighbours: Sequence[Neighbours] = (),
         about: Mapping[str, str] | None = None, seed: int = 0) -> str:  # fmt: skip
  """The page as one HTML text, without anything to fetch.

  Args:
    reals: from the data set.
    fakes: as many, of the same size; both as an image file would keep them.
    sheets: in their order.
    neighbours: groups.
    about: which run this is of; 'name' and 'step' are in the title, all of it is in the saved answers.
    seed: of the order of the questions.

  Raises ValueError for images of different numbers or sizes, or other than uint8 [N, H, W, 1 or 3].
  """
  for name, images in (('reals', reals), ('fakes', fakes), *((f'sheet {s.title!r}', s.images) for s in sheets)):
    if images.dtype != np.uint8 or images.ndim != 4 or not len(images) or images.shape[-1] not in (1, 3):
      raise ValueError(f'{name}: {images.dtype} {list(images.shape)} given; uint8 [N > 0, H, W, 1 or 3] is needed')
  if reals.shape != fakes.shape:
    raise ValueError(f'fakes: {list(fakes.shape)} given; as many and of the same size as reals, {list(reals.shape)}')
  facts = {name: str(value) for name, value in (about or {}).items()}
  own = identity(reals, fakes, facts, seed)
  title = ', '.join(filter(None, (facts.get('name'), f'step {facts["step"]}' if 'step' in facts else '')))
  data = {
    'format': FORMAT, 'version': VERSION, 'page': own, 'about': facts, 'width': reals.shape[2], 'height': reals.shape[1],
    'trials': trials(reals, fakes, own, seed),
  }  # fmt: skip
  parts = {'sheets': ('Checkpoints', sheets and sheet_html(sheets)),
           'neighbours': ('Nearest images', neighbours and INTRO + ''.join(map(neighbours_html, neighbours)))}  # fmt: skip
  known = {part: (tab, content) for part, (tab, content) in parts.items() if content}
  return filled({
    '<!--title-->': html.escape(f'Review of {title}' if title else 'Review of generated images'),
    '<!--about-->': html.escape(' · '.join(f'{k.replace("_", " ")}: {v}' for k, v in facts.items() if k not in ('name', 'step'))),
    '<!--count-->': f'{2 * len(reals):,}',
    '<!--tabs-->': '\n'.join(f'<button type="button" data-part="{part}">{tab}</button>' for part, (tab, _) in known.items()),
    '<!--parts-->': '\n'.join(part_html(part, tab, content) for part, (tab, content) in known.items()),
    '<!--data-->': json.dumps(data).replace('<', '\\u003c'),
  })  # fmt: skip


def filled(values: Mapping[str, str]) -> str:
  """page.html with its style, its script and what stands for the marks."""
  text = (HERE / 'page.html').read_text(encoding='utf-8')
  for mark, name in (('/*style*/', 'page.css'), ('/*script*/', 'page.js')):
    text = text.replace(mark, '\n' + (HERE / name).read_text(encoding='utf-8'))
  for mark, value in values.items():
    text = text.replace(mark, value)
  return text


def identity(reals: Images, fakes: Images, about: Mapping[str, str], seed: int) -> str:
  """16 hex digits that tell pages apart: answers are pooled only with others of the same page."""
  found = hashlib.sha256(json.dumps([about, seed, reals.shape], sort_keys=True).encode())
  for images in (reals, fakes):
    found.update(np.ascontiguousarray(images).tobytes())
  return found.hexdigest()[:16]


def trials(reals: Images, fakes: Images, own: str, seed: int) -> list[dict[str, str]]:
  """Images with their numbers, in a random order that the seed fixes."""
  images = [('real', x) for x in reals] + [('generated', x) for x in fakes]
  order = np.random.default_rng(seed).permutation(len(images))
  taken: set[str] = set()
  return [{'id': number(own, place, images[place][0], taken), 'image': png(images[place][1])} for place in order]


def number(own: str, place: int, what: str, taken: set[str]) -> str:
  """8 hex digits for an image, that tell by `answers.truth` alone what it is, and are none of `taken`."""
  for attempt in count():
    found = hashlib.sha256(f'{own}:{place}:{attempt}'.encode()).hexdigest()[:8]
    if truth(found) == what and found not in taken:
      taken.add(found)
      return found
  raise AssertionError


def png(image: np.ndarray) -> str:
  """uint8 [H, W, C] as a data URI, by one encoder and without text, whatever it shows."""
  from PIL import Image

  file = io.BytesIO()
  Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, 'png')
  return 'data:image/png;base64,' + base64.b64encode(file.getvalue()).decode()


def small(images: np.ndarray, side: int = 128) -> np.ndarray:
  """uint8 [..., H, W, C] at most about `side` pixels wide, by averaging squares; only the questions need all pixels."""
  factor = max(1, round(max(images.shape[-3:-1]) / side))
  height, width = (size // factor for size in images.shape[-3:-1])
  cut = images[..., : height * factor, : width * factor, :]
  squares = cut.reshape(*images.shape[:-3], height, factor, width, factor, images.shape[-1])
  return squares.mean((-4, -2)).round().astype(np.uint8)


def part_html(part: str, tab: str, content: str) -> str:
  """A part behind its cover."""
  return (f'<section id="{part}" aria-label="{tab}" hidden><h2>{tab}</h2><div class="cover"><p>{COVER}</p>'
          f'<button type="button">Show anyway</button></div><div class="content" hidden>{content}</div></section>')  # fmt: skip


def sheet_html(sheets: Sequence[Sheet]) -> str:
  """The sheets as strips, one under the other: each column is a latent."""
  out = ['<p>Each column is one latent, each row a checkpoint: going down, you see what training makes of it.</p>']
  for first in range(0, min(len(sheet.images) for sheet in sheets), COLUMNS):
    out.append(f'<h3>Latents {first + 1} to {first + len(sheets[0].images[first : first + COLUMNS])}</h3>')
    for sheet in sheets:
      title, image = html.escape(sheet.title), png(strip(sheet.images[first : first + COLUMNS]))
      out.append(
        f'<figure class="strip"><figcaption>{title}</figcaption><img src="{image}" alt="Samples, {title}"></figure>'
      )
  return '\n'.join(out)


def strip(images: Images) -> np.ndarray:
  """uint8 [N, H, W, C] -> [H', COLUMNS * (W' + gap) - gap, C]: one row, empty places blank."""
  images = small(images)
  count, height, width, channels = images.shape
  gap = max(1, width // 16)
  made = np.full((height, COLUMNS * (width + gap) - gap, channels), GAP_COLOR, np.uint8)
  for k in range(count):
    made[:, k * (width + gap) : k * (width + gap) + width] = images[k]
  return made


def neighbours_html(group: Neighbours) -> str:
  """A group of samples with their nearest training images."""
  out = [f'<h3>{html.escape(group.title)}</h3><div class="pairs">']
  for sample, nearest, distances in zip(small(group.samples), small(group.nearest), group.distances, strict=True):
    cells = [f'<div><img src="{png(sample)}" alt="Sample"><span>sample</span></div><i></i>']
    for image, distance in zip(nearest, distances, strict=True):
      relative = distance / group.usual if group.usual else float('inf')
      near = ' class="near"' if relative < 0.5 else ''
      cells.append(f'<div><img src="{png(image)}" alt="Training image"><span{near}>{relative:.2f}</span></div>')
    out.append(f'<div class="pair">{"".join(cells)}</div>')
  return '\n'.join([*out, '</div>'])
