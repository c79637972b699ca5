"""What a training tells: metrics.jsonl, TensorBoard, W&B, pictures, a progress bar. Process 0 only.

`metrics.jsonl` has one JSON object a line: step, images shown, time (seconds since 1970) and the values; of a
population each line is one member's, which it names as `member`.
A resumed run first drops the lines after its checkpoint, so the file is the uninterrupted run's but for
the times.
"""

import datetime
import json
import math
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Self

import jax
import numpy as np
from ml_collections import ConfigDict

from ganjax import config as configs
from ganjax import images
from ganjax.curves import curves
from ganjax.data.spec import Spec
from ganjax.errors import ConfigError
from ganjax.events import EventFile
from ganjax.progress import Progress

PACKAGES = ('ganjax', 'jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint', 'ml-collections', 'numpy', 'scipy')


class Log:
  """Everything that a run writes for people, in `workdir`.

  Args:
    workdir: with the run.json of `write_run`.
    total_steps: where the training ends.
    batch_size: images a step.
    progress: a bar on a terminal and a line now and then elsewhere (None), a bar (True), nothing (False).
    tensorboard: whether to write event files.
    wandb: a Weights & Biases project ('' for none), or the keywords of wandb.init.
    resume_step: the step of the checkpoint that the run goes on from.

  Raises ConfigError if wandb is asked for and missing.
  """

  def __init__(
    self, workdir: str | os.PathLike[str], *, total_steps: int, batch_size: int, progress: bool | None = None,
    tensorboard: bool = True, wandb: str | Mapping[str, Any] = '', resume_step: int = 0,
  ) -> None:  # fmt: skip
    self.workdir, self.main = Path(workdir), jax.process_index() == 0
    self.bar = Progress(total_steps, batch_size, resume_step, progress if self.main else False)
    self.events: dict[int | None, EventFile] = {}  # by member, opened when first needed
    self.wandb: Any = None
    if not self.main:
      return
    self.workdir.mkdir(parents=True, exist_ok=True)
    self.wandb = start_wandb(self.workdir, {'project': wandb} if isinstance(wandb, str) else wandb) if wandb else None
    self.tensorboard = tensorboard
    # Unbuffered and appending: a line is one write, so a kill leaves at most a broken last one.
    self.lines = (self.workdir / 'metrics.jsonl').open('ab', buffering=0)
    self.rewind(resume_step)

  def __enter__(self) -> Self:
    return self

  def __exit__(self, *_: object) -> None:
    self.close()

  def rewind(self, step: int) -> None:
    """Forgets what was logged after `step`. (TensorBoard hides it; W&B has no way to.)"""
    self.bar.rewind(step)
    if not self.main:
      return
    os.truncate(self.workdir / 'metrics.jsonl', length_until(self.workdir / 'metrics.jsonl', step))
    self.close_events()
    self.first = step + 1

  def event_file(self, member: int | None) -> EventFile:
    """A member's own: TensorBoard shows each as a run."""
    if member not in self.events:
      self.events[member] = EventFile(folder(self.workdir / 'tensorboard', member), start=self.first)
    return self.events[member]

  def scalars(self, step: int, images: int, values: Mapping[str, float], member: int | None = None) -> None:
    """One line of metrics, of a population's member; values that aren't finite become null there."""
    if not self.main:
      return
    numbers = {name: float(value) for name, value in values.items()}
    line: dict[str, float | None] = {'step': step, 'images': images, 'time': round(time.time(), 3)}
    line |= {} if member is None else {'member': member}
    line |= {name: value if math.isfinite(value) else None for name, value in numbers.items()}
    self.lines.write(json.dumps(line).encode() + b'\n')
    if self.tensorboard:
      self.event_file(member).scalars(step, numbers)
    if self.wandb is not None:
      self.wandb.log({'images': images, **{tagged(name, member): value for name, value in numbers.items()}}, step=step)

  def progress(self, step: int, images: int, values: Mapping[str, Any]) -> None:
    """Tells how far it is; cheap enough for every step."""
    self.bar.update(step, images, values)

  def say(self, message: str) -> None:
    """A line for the reader, above the bar."""
    self.bar.say(message)

  def samples(self, step: int, drawn: Mapping[str, np.ndarray], spec: Spec, run: Mapping[str, Any],
              member: int | None = None) -> Path | None:  # fmt: skip
    """Saves samples with their provenance: samples/<step>.png, or .npz where they make no picture.

    A population's are in samples/member_<m>/.
    """
    if not self.main:
      return None
    about = images.provenance(run['run_id'], run['config_hash'], step, run['config']['seed'], member)
    image = images.sheet(drawn, spec.field, spec.extra)
    if image is None:
      path = folder(self.workdir / 'samples', member) / f'{step:08d}.npz'
      images.save_npz(path, {spec.field: drawn[spec.field]}, about)
      return path
    return self.image('samples', step, image, about, member)

  def image(self, name: str, step: int, image: np.ndarray, about: Mapping[str, str],
            member: int | None = None) -> Path | None:  # fmt: skip
    """Saves uint8 [H, W, C] as <name>/<step>.png, with `about` in it, and shows it in TensorBoard and W&B."""
    if not self.main:
      return None
    path = folder(self.workdir / name, member) / f'{step:08d}.png'
    images.save_png(path, image, about)
    if self.tensorboard:
      self.event_file(member).image(step, name, path.read_bytes(), (image.shape[0], image.shape[1], image.shape[2]))
    if self.wandb is not None:
      import wandb

      self.wandb.log({tagged(name, member): wandb.Image(str(path))}, step=step)
    return path

  def curves(self) -> Path | None:
    """Draws curves.png from metrics.jsonl."""
    return curves(self.workdir) if self.main else None

  def close(self) -> None:
    """Ends the bar and closes the files."""
    self.bar.close()
    if not self.main:
      return
    self.lines.close()
    self.close_events()
    if self.wandb is not None:
      self.wandb.finish()

  def close_events(self) -> None:
    """Closes the event files; what is written later goes to new ones."""
    for file in self.events.values():
      file.close()
    self.events = {}


def append(workdir: Path, about: Mapping[str, Any], values: Mapping[str, float]) -> None:
  """Adds a line to metrics.jsonl after the training: what was measured of a checkpoint, with its fingerprint."""
  line = {**about, **{name: value if math.isfinite(value) else None for name, value in values.items()}}
  with (workdir / 'metrics.jsonl').open('ab', buffering=0) as lines:
    lines.write(json.dumps(line).encode() + b'\n')


def folder(path: Path, member: int | None) -> Path:
  """Where a member's files are."""
  return path if member is None else path / f'member_{member}'


def tagged(name: str, member: int | None) -> str:
  """A metric's name, where members have no files of their own."""
  return name if member is None else f'member_{member}/{name}'


def length_until(path: Path, step: int) -> int:
  """Bytes of the whole lines up to `step`; what is broken, and all after it, doesn't count."""
  length = 0
  with path.open('rb') as file:
    for line in file:
      try:
        if not line.endswith(b'\n') or json.loads(line)['step'] > step:
          break
      except (ValueError, KeyError, TypeError):
        break
      length += len(line)
  return length


def start_wandb(workdir: Path, options: Mapping[str, Any]) -> Any:
  """A W&B run of this run's id, which goes on if there was one; WANDB_MODE=offline works."""
  try:
    import wandb
  except ImportError as error:
    given = options.get('project', dict(options))
    raise ConfigError('wandb', given, "'' or, after `pip install ganjax[wandb]`, a project's name") from error
  try:
    run = json.loads((workdir / 'run.json').read_text())
    about = {'id': run['run_id'], 'name': run['run_id'], 'config': run['config']}
  except FileNotFoundError:
    about = {}
  return wandb.init(**{'dir': str(workdir), 'resume': 'allow', **about, **options})


def write_run(workdir: str | os.PathLike[str], config: ConfigDict, *, resumed: int = 0) -> dict[str, Any]:
  """Writes and returns run.json: config, its hash, run id, versions, commit, device, command, time.

  A run resumed at a step keeps its id; under 'earlier' is how it was started before.
  """
  path = Path(workdir) / 'run.json'
  before: dict[str, Any] = {}
  if resumed and path.exists():
    before = json.loads(path.read_text())
  now = datetime.datetime.now().astimezone()
  session = {
    'time': now.isoformat(timespec='seconds'),
    'from_step': resumed,
    'command': shlex.join(sys.argv),
    'device': device(),
    'versions': versions(),
    'git': commit(),
  }
  run = {
    'run_id': before.get('run_id') or f'{config.name or "run"}-{now:%Y%m%d-%H%M%S}-{os.urandom(2).hex()}',
    'config_hash': configs.fingerprint(config),
    **session,
    'earlier': [*before.get('earlier', []), *([{name: before.get(name) for name in session}] if before else [])],
    'config': config.to_dict(),
  }
  if jax.process_index() == 0:
    with images.replacing(path) as file:
      file.write(json.dumps(run, indent=2).encode() + b'\n')
  return run


def device() -> dict[str, Any]:
  """What the run computes on."""
  devices = jax.devices()
  return {
    'platform': devices[0].platform,
    'kind': devices[0].device_kind,
    'devices': len(devices),
    'processes': jax.process_count(),
    'cpu_cores': os.cpu_count(),
  }


def versions() -> dict[str, str]:
  """Of Python and the packages that a result depends on."""
  found = {'python': '.'.join(map(str, sys.version_info[:3]))}
  for name in PACKAGES:
    try:
      found[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
      found[name] = 'not installed'
  return found


def commit() -> dict[str, Any] | None:
  """The git commit of this package's source, and whether files differ from it; None where it isn't in a repository."""

  def git(*arguments: str) -> str:
    command = ['git', '-C', str(Path(__file__).parent), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()

  try:
    git('ls-files', '--error-unmatch', '__init__.py')  # installed beside someone else's repository?
    return {'commit': git('rev-parse', 'HEAD'), 'dirty': bool(git('status', '--porcelain'))}
  except (OSError, subprocess.SubprocessError):
    return None
