"""TensorBoard's event files, written with TensorBoard's own records and messages, and without TensorFlow.

(Its EventFileWriter would import TensorFlow where that is installed, into the training process.)
"""

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class EventFile:
  """One event file in a folder. Starting at a step hides what earlier files say of it and of later steps."""

  def __init__(self, folder: Path, start: int = 0) -> None:
    from tensorboard.compat.proto import event_pb2
    from tensorboard.summary.writer.record_writer import RecordWriter

    folder.mkdir(parents=True, exist_ok=True)
    name = f'events.out.tfevents.{time.time():.6f}.{socket.gethostname()}.{os.getpid()}'
    self.message, self.file = event_pb2.Event, (folder / name).open('ab', buffering=0)
    self.records = RecordWriter(self.file)
    self.write(0, file_version='brain.Event:2')
    if start:
      self.write(start, session_log=event_pb2.SessionLog(status=event_pb2.SessionLog.START))

  def scalars(self, step: int, values: Mapping[str, float]) -> None:
    """One event with these values."""
    self.write(step, summary={'value': [{'tag': tag, 'simple_value': value} for tag, value in values.items()]})

  def image(self, step: int, tag: str, png: bytes, shape: tuple[int, int, int]) -> None:
    """A picture, as PNG, of this height, width and number of channels."""
    height, width, channels = shape
    image = {'height': height, 'width': width, 'colorspace': channels, 'encoded_image_string': png}
    self.write(step, summary={'value': [{'tag': tag, 'image': image}]})

  def write(self, step: int, **content: Any) -> None:
    """An event of this step."""
    self.records.write(self.message(wall_time=time.time(), step=step, **content).SerializeToString())

  def close(self) -> None:
    """Closes the file."""
    self.file.close()
