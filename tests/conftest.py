"""Eight fake CPU devices, and a compilation cache that outlives the run."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

# Programs here run a few times: what the compiler would gain by optimising them, it takes longer to find.
QUICK = '--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true'
if version('jax').startswith('0.10.'):
  QUICK += ' --xla_cpu_use_fusion_emitters=false'  # a quarter of the time; later versions don't know it, and stop there
os.environ.setdefault('XLA_FLAGS', f'--xla_force_host_platform_device_count=8 {QUICK}')
os.environ.setdefault('JAX_PLATFORMS', 'cpu')
os.environ.setdefault('JAX_COMPILATION_CACHE_DIR', str(Path(tempfile.gettempdir()) / 'ganjax-tests-xla'))
os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0.2')
os.environ.setdefault('MPLBACKEND', 'agg')

SHARED = Path(__file__).resolve().parents[2] / 'shared'


def shared(name: str) -> Path:
  """A file that not everybody has; the test is skipped without it."""
  path = SHARED / name
  if not path.exists():
    pytest.skip(f'needs ../shared/{name}')
  return path


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
  """Nothing a test writes lands in the checkout."""
  monkeypatch.chdir(tmp_path)


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[..., Path]]:
  """Mounts a file system at a new folder, until the test ends."""
  folder = tmp_path / 'mounted'
  folder.mkdir()

  def mount(*options: str) -> Path:
    done = subprocess.run(['mount', *options, str(folder)], capture_output=True, check=False)
    if done.returncode:
      pytest.skip(f'mounting needs root: {done.stderr.decode().strip()}')
    return folder

  if shutil.which('mount') is None:
    pytest.skip('no mount command')
  yield mount
  subprocess.run(['umount', str(folder)], capture_output=True, check=False)
