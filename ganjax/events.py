"""TensorBoard's event files, written without TensorFlow.

Records (TFRecord): length, its masked CRC, data, its masked CRC. The data are `Event` messages in
protocol-buffer encoding; only the fields used here are spelt out. (tensorboardX would do, but imports
PyTorch where it is installed, for seconds and into the training process.)
"""

import os
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

VARINT, DOUBLE, BYTES, FLOAT = 0, 1, 2, 5  # wire types


class EventFile:
  """One event file in a folder. Starting at a step hides what earlier files say of it and of later steps."""

  def __init__(self, folder: Path, start: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    now = time.time()
    name = f'events.out.tfevents.{now:.6f}.{socket.gethostname()}.{os.getpid()}'
    self.file = (folder / name).open('ab', buffering=0)
    self.write(0, field(3, BYTES, b'brain.Event:2'))
    if start:
      self.write(start, field(7, BYTES, field(1, VARINT, 1)))  # SessionLog.START: discard from this step on

  def scalars(self, step: int, values: Mapping[str, float]) -> None:
    """One event with these values."""
    summary = [field(1, BYTES, field(1, BYTES, tag.encode()) + field(2, FLOAT, value)) for tag, value in values.items()]
    self.write(step, field(5, BYTES, b''.join(summary)))

  def image(self, step: int, tag: str, png: bytes, shape: tuple[int, int, int]) -> None:
    """A picture, as PNG, of this height, width and number of channels."""
    parts = [field(i, VARINT, size) for i, size in enumerate(shape, 1)] + [field(4, BYTES, png)]
    value = field(1, BYTES, tag.encode()) + field(4, BYTES, b''.join(parts))
    self.write(step, field(5, BYTES, field(1, BYTES, value)))

  def write(self, step: int, content: bytes) -> None:
    """An event of this step."""
    data = field(1, DOUBLE, time.time()) + field(2, VARINT, step) + content
    length = struct.pack('<Q', len(data))
    self.file.write(length + masked_crc(length) + data + masked_crc(data))

  def close(self) -> None:
    """Closes the file."""
    self.file.close()


def field(number: int, kind: int, value: float | bytes) -> bytes:
  """One protocol-buffer field."""
  tag = varint(number << 3 | kind)
  if isinstance(value, bytes):
    return tag + varint(len(value)) + value
  if kind == VARINT:
    return tag + varint(int(value))
  return tag + np.asarray(value, '<f8' if kind == DOUBLE else '<f4').tobytes()


def varint(value: int) -> bytes:
  """A non-negative integer, seven bits a byte."""
  parts = []
  while value > 127:
    parts.append(value & 127 | 128)
    value >>= 7
  return bytes([*parts, value])


def crc32c(data: bytes) -> int:
  """The Castagnoli CRC (RFC 3720, B.4)."""
  crc = 0xFFFFFFFF
  for byte in data:
    crc = TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
  return crc ^ 0xFFFFFFFF


def masked_crc(data: bytes) -> bytes:
  """As TFRecord stores it, so that a CRC of data with CRCs in it stays a good one."""
  crc = crc32c(data)
  return struct.pack('<I', ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def table() -> list[int]:
  """The CRC of each byte."""
  values = []
  for value in range(256):
    for _ in range(8):
      value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    values.append(value)
  return values


TABLE = table()
