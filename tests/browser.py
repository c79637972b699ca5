"""A headless Chromium, driven through its DevTools protocol on a pipe: nothing but the browser is needed."""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import pytest

NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome')
FLAGS = ('--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--hide-scrollbars',
         '--disable-extensions', '--disable-background-networking', '--remote-debugging-pipe', '--mute-audio')  # fmt: skip
# The browser reads commands from descriptor 3 and writes to 4.
START = """
import fcntl, os, sys
for target, own in enumerate([fcntl.fcntl(int(own), fcntl.F_DUPFD, 10) for own in sys.argv[1:3]], 3):
  os.dup2(own, target)
os.execv(sys.argv[3], sys.argv[3:])
"""
VIRTUAL = {'ArrowLeft': 37, 'ArrowRight': 39}


def found() -> str:
  """The browser's path; the test is skipped without one."""
  path = next(filter(None, map(shutil.which, NAMES)), None)
  if path is None:
    pytest.skip(f'no browser installed (looked for {", ".join(NAMES)})')
  return path


class Browser:
  """One window: `open`, `run` JavaScript, `press` keys, `click`, `shot`. What pages ask the network for is in `asked`."""

  def __init__(self, downloads: Path) -> None:
    path, own = found(), tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    (to_browser, self.write), (self.read, from_browser) = os.pipe(), os.pipe()
    words = [path, *FLAGS, f'--user-data-dir={own.name}', 'about:blank']
    self.process = subprocess.Popen(
      [sys.executable, '-SE', '-c', START, str(to_browser), str(from_browser), *words],
      pass_fds=(to_browser, from_browser),
      stdout=subprocess.DEVNULL,
      stderr=subprocess.DEVNULL,
    )
    os.close(to_browser)
    os.close(from_browser)
    self.folder, self.buffer, self.number, self.session = own, b'', 0, ''
    self.asked: list[str] = []
    self.problems: list[str] = []
    target = self.call('Target.createTarget', url='about:blank')['targetId']
    self.session = self.call('Target.attachToTarget', targetId=target, flatten=True)['sessionId']
    for domain in ('Page', 'Runtime', 'Network', 'Log'):
      self.call(f'{domain}.enable')
    self.call('Page.setDownloadBehavior', behavior='allow', downloadPath=str(downloads))

  def __enter__(self) -> Self:
    return self

  def __exit__(self, *_: object) -> None:
    self.process.kill()
    self.process.wait()
    os.close(self.write)
    os.close(self.read)
    self.folder.cleanup()

  def call(self, method: str, **params: Any) -> dict[str, Any]:
    """One command of the protocol."""
    self.number += 1
    message = {'id': self.number, 'method': method, 'params': params}
    if self.session:
      message['sessionId'] = self.session
    os.write(self.write, json.dumps(message).encode() + b'\0')
    while True:
      told = self.next()
      if told.get('id') == self.number:
        assert 'error' not in told, f'{method}: {told["error"]}'
        return dict(told['result'])

  def next(self) -> dict[str, Any]:
    """One message from the browser; requests and errors of the page are noted."""
    while b'\0' not in self.buffer:
      part = os.read(self.read, 1 << 20)
      assert part, 'the browser ended'
      self.buffer += part
    text, _, self.buffer = self.buffer.partition(b'\0')
    message: dict[str, Any] = json.loads(text)
    params = message.get('params', {})
    match message.get('method'):
      case 'Network.requestWillBeSent':
        self.asked.append(params['request']['url'])
      case 'Runtime.exceptionThrown':
        self.problems.append(json.dumps(params['exceptionDetails'])[:500])
      case 'Log.entryAdded' if params['entry']['level'] == 'error':
        self.problems.append(params['entry']['text'])
    return message

  def size(self, width: int, height: int, dark: bool = False) -> None:
    """Of the window, in CSS pixels."""
    self.call('Emulation.setDeviceMetricsOverride', width=width, height=height, deviceScaleFactor=1, mobile=width < 500)
    scheme = {'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'}
    self.call('Emulation.setEmulatedMedia', features=[scheme])

  def open(self, path: Path) -> None:
    """A file, until it is loaded."""
    self.call('Page.navigate', url=path.as_uri())
    self.until('document.readyState === "complete"')

  def run(self, code: str) -> Any:
    """The value of a JavaScript expression; promises are waited for."""
    told = self.call('Runtime.evaluate', expression=code, returnByValue=True, awaitPromise=True, userGesture=True)
    assert 'exceptionDetails' not in told, told['exceptionDetails']
    return told['result'].get('value')

  def until(self, code: str, seconds: float = 20) -> None:
    """Until an expression is true."""
    end = time.monotonic() + seconds
    while not self.run(code):
      assert time.monotonic() < end, f'not within {seconds} s: {code}'
      time.sleep(0.01)

  def press(self, key: str) -> None:
    """A key, as from a keyboard."""
    text = {} if len(key) > 1 else {'text': key}
    for kind in ('keyDown', 'keyUp'):
      self.call(
        'Input.dispatchKeyEvent',
        type=kind,
        key=key,
        windowsVirtualKeyCode=VIRTUAL.get(key, ord(key[0].upper())),
        **text,
      )

  def click(self, selector: str) -> None:
    """The middle of an element, as from a mouse."""
    box = (
      f'(e => (e.scrollIntoView({{block: "center"}}), e.getBoundingClientRect()))(document.querySelector({selector!r}))'
    )
    x, y = self.run(f'(b => [b.x + b.width / 2, b.y + b.height / 2])({box})')
    for kind in ('mousePressed', 'mouseReleased'):
      self.call('Input.dispatchMouseEvent', type=kind, x=x, y=y, button='left', clickCount=1)

  def shot(self, path: Path, whole: bool = False) -> Path:
    """What the window shows, or the whole page, as a PNG file."""
    data = self.call('Page.captureScreenshot', format='png', captureBeyondViewport=whole)['data']
    path.write_bytes(base64.b64decode(data))
    return path
