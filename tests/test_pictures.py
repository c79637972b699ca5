"""Folders of pictures and TensorFlow Datasets: every kind of picture, damaged ones, and what is refused."""

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from feeding import assert_same, batch_of
from PIL import Image

from ganjax.data import folder as folders
from ganjax.data.feed import open_feed
from ganjax.data.sources import open_source
from ganjax.data.spec import Source, Spec
from ganjax.errors import ConfigError, DataError

FIXTURES = Path(__file__).parent / 'fixtures'

# Folders.


def picture(file: Path, array: np.ndarray, **options) -> Path:
  file.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(array).save(file, **options)
  return file


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
  """Two classes of pictures of many kinds."""
  rgb = np.zeros((10, 20, 3), np.uint8)
  rgb[:, 5:15] = (200, 100, 50)  # the middle square
  picture(tmp_path / 'cat/a.png', rgb)
  picture(tmp_path / 'cat/b.jpg', rgb, quality=95)
  rgba = np.full((8, 8, 4), 255, np.uint8)
  rgba[..., :3] = (200, 100, 50)
  rgba[:, 4:, 3] = 0
  picture(tmp_path / 'cat/deep/c.png', rgba)
  picture(tmp_path / 'dog/d.png', np.full((8, 8), 77, np.uint8))
  picture(tmp_path / 'dog/e.png', np.full((8, 8), 77 * 257, np.uint16))
  (tmp_path / 'dog/notes.txt').write_text('not a picture')
  return tmp_path


def opened(root: Path, split: str = 'train', **options) -> Source:
  return open_source({'name': 'folder', 'path': str(root), 'resolution': 8, **options}, split=split)


def test_a_folder_of_many_kinds(zoo: Path) -> None:
  source = opened(zoo)
  assert source.spec == Spec('image', (8, 8, 3), 2, ('cat', 'dog'), 5, 'folder')
  found = source.get(np.arange(5))
  np.testing.assert_array_equal(found['label'], [0, 0, 0, 1, 1])
  wide, jpeg, transparent, grey, deep = found['image'].astype(int)
  np.testing.assert_array_equal(wide[2:6, 2:6], np.broadcast_to((200, 100, 50), (4, 4, 3)))
  assert np.abs(jpeg[2:6, 2:6] - (200, 100, 50)).max() < 8
  assert (transparent[:, :4] == (200, 100, 50)).all()
  assert (transparent[:, 4:] == 255).all()
  assert (grey == 77).all()
  assert (deep == 77).all()


def test_fits_channels_and_backgrounds(zoo: Path) -> None:
  padded = opened(zoo, fit='pad', background='grey').get(np.arange(1))['image'][0]
  assert (padded[:2] == 128).all()
  assert np.abs(padded[3:5, 3:5].astype(int) - (200, 100, 50)).max() < 8  # the filter is wide
  stretched = opened(zoo, fit='stretch', resize='nearest').get(np.arange(1))['image'][0]
  assert (stretched[:, 0] == 0).all()
  assert (stretched[:, 4] == (200, 100, 50)).all()
  black = opened(zoo, background='black').get(np.arange(5))['image'][2]
  assert (black[:, 4:] == 0).all()
  grey = opened(zoo, channels=1)
  assert grey.spec.shape == (8, 8, 1)
  assert grey.get(np.arange(5))['image'][3, 0, 0, 0] == 77


def test_palettes_turned_photos_and_transparent_palettes(tmp_path: Path) -> None:
  image = Image.fromarray(np.full((8, 8, 3), (200, 100, 50), np.uint8)).quantize(4)
  image.save(tmp_path / 'a.png')
  image.save(tmp_path / 'b.gif', transparency=image.getpixel((0, 0)))
  turned = Image.Exif()
  turned[0x0112] = 6  # a camera held upright
  half = np.zeros((8, 8, 3), np.uint8)
  half[:4] = 255
  picture(tmp_path / 'c.png', half, exif=turned)
  a, b, c = opened(tmp_path).get(np.arange(3))['image']
  assert (a == (200, 100, 50)).all()
  assert (b == 255).all()
  assert (c[:, 4:] == 255).all()
  assert (c[:, :4] == 0).all()


def test_one_folder_without_classes(tmp_path: Path) -> None:
  for name in ('b.png', 'a.png', 'C.PNG'):
    picture(tmp_path / name, np.full((8, 8), ord(name[0]), np.uint8))
  source = opened(tmp_path)
  assert source.spec.classes == 0
  found = source.get(np.arange(3))
  assert set(found) == {'image'}
  assert found['image'][:, 0, 0, 0].tolist() == [ord('C'), ord('a'), ord('b')]
  with pytest.raises(DataError, match=r'0 sub-folders with pictures, but data.classes=2'):
    opened(tmp_path, classes=2)


def test_held_out_folders(zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
  other = tmp_path_factory.mktemp('held_out')
  picture(other / 'dog/x.png', np.zeros((8, 8), np.uint8))
  picture(other / 'dog/y.png', np.zeros((8, 8), np.uint8))
  with pytest.raises(ConfigError, match=r'config.data.test_path'):
    opened(zoo, 'test')
  test = opened(zoo, 'test', test_path=str(other))
  assert (len(test), test.spec.class_names) == (2, ('cat', 'dog'))


@pytest.mark.parametrize('large', [False, True])
def test_damaged_pictures_are_named(
  zoo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
  tmp_path_factory: pytest.TempPathFactory, large: bool,
) -> None:  # fmt: skip
  if large:
    monkeypatch.setattr(folders, 'HELD_BYTES', 0)
    monkeypatch.setenv('GANJAX_CACHE', str(tmp_path_factory.mktemp('cache')))
  whole = (zoo / 'cat/b.jpg').read_bytes()
  for name, content in (('cut.jpg', whole[: len(whole) // 2]), ('empty.png', b''), ('text.png', b'hello')):
    (zoo / 'dog' / name).write_bytes(content)
  (zoo / 'dog' / 'gone.png').symlink_to(zoo / 'nowhere')
  with pytest.raises(DataError) as caught:
    opened(zoo)
  assert '4 of 9 pictures are damaged' in str(caught.value)
  assert "data.damaged='skip'" in str(caught.value)
  for name in ('cut.jpg', 'empty.png', 'text.png', 'gone.png'):
    assert f'dog/{name}' in str(caught.value)
  source = opened(zoo, damaged='skip')
  assert len(source) == 5
  assert (source.arrays is None) == large
  assert 'cut.jpg' in capsys.readouterr().out
  for file in zoo.rglob('*.*'):
    file.write_bytes(b'')
  with pytest.raises(DataError, match='9 of 9 pictures are damaged'):
    opened(zoo, damaged='skip')


def test_large_folders_are_streamed_and_their_survey_remembered(
  zoo: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
  small = opened(zoo)
  monkeypatch.setattr(folders, 'HELD_BYTES', 0)
  monkeypatch.setenv('GANJAX_CACHE', str(tmp_path_factory.mktemp('cache')))
  source = opened(zoo)
  assert source.arrays is None
  streamed, resident = (open_feed(s, batch=4, seed=0, resident=r) for s, r in ((source, False), (small, True)))
  assert_same(batch_of(streamed, 1, 2, range(4)), batch_of(resident, 1, 2, range(4)))
  streamed.close()
  surveyed = []
  monkeypatch.setattr(folders, 'attempt', lambda file, read: surveyed.append(file) or read(file))
  opened(zoo)
  assert not surveyed  # nothing has changed
  picture(zoo / 'dog/new.png', np.zeros((8, 8), np.uint8))
  opened(zoo)
  assert len(surveyed) == 6


@pytest.mark.parametrize(('options', 'field'), [
  ({'resolution': 0}, 'resolution'), ({'channels': 4}, 'channels'), ({'fit': 'crpo'}, 'fit'),
  ({'resize': 'x'}, 'resize'), ({'background': 'red'}, 'background'), ({'damaged': 'ignore'}, 'damaged'),
])  # fmt: skip
def test_folder_fields_that_can_t_be(zoo: Path, options: dict, field: str) -> None:
  with pytest.raises(ConfigError) as caught:
    opened(zoo, **options)
  assert caught.value.field == f'data.{field}'


def test_folders_that_can_t_be(tmp_path: Path) -> None:
  with pytest.raises(DataError, match='no such folder'):
    opened(tmp_path / 'none')
  (tmp_path / 'empty').mkdir()
  with pytest.raises(DataError, match=r'no pictures in it; valid: .png'):
    opened(tmp_path / 'empty')
  for file in ('fish/cat/a.png', 'fish/cod/a.png', 'pets/cat/a.png', 'pets/dog/a.png'):
    picture(tmp_path / file, np.zeros((8, 8), np.uint8))
  with pytest.raises(DataError, match=r"sub-folders \['dog'\] are no classes of"):
    opened(tmp_path / 'fish', 'test', test_path=str(tmp_path / 'pets'))
  for split in ('train', 'test'):
    picture(tmp_path / 'splits' / split / 'a.png', np.zeros((8, 8), np.uint8))
  with pytest.raises(DataError, match='look like splits'):
    opened(tmp_path / 'splits')
  picture(tmp_path / 'fish/loose.png', np.zeros((8, 8), np.uint8))
  with pytest.raises(DataError, match=r'pictures beside class folders \(loose.png\)'):
    opened(tmp_path / 'fish')


# TensorFlow Datasets: tiny_shapes was prepared by TensorFlow from tests/fixtures/tiny_shapes.py.


@pytest.fixture(scope='module')
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict:
  folder = tmp_path_factory.mktemp('tfds')
  with zipfile.ZipFile(FIXTURES / 'tiny_shapes.zip') as archive:
    archive.extractall(folder)
  return {'name': 'tfds', 'dataset': 'tiny_shapes', 'data_dir': str(folder)}


def shape_picture(number: int) -> np.ndarray:
  """What tests/fixtures/tiny_shapes.py draws."""
  image = np.full((8, 8, 3), number, np.uint8)
  image[2:6, 2:6] = 40 if number % 2 == 0 else 200
  image[..., 2] = 255 - image[..., 2]
  return image


def check_shapes(config: dict) -> None:
  train, test = open_source(config), open_source(config, split='test')
  assert train.spec == Spec('image', (8, 8, 3), 2, ('square', 'bar'), 10, 'tfds/tiny_shapes/1.0.0')
  for source, numbers in ((train, range(10)), (test, range(10, 14))):
    found = source.get(np.arange(len(source)))
    order = np.argsort(found['image'][:, 0, 0, 0])  # TFDS shuffles when it prepares
    np.testing.assert_array_equal(found['image'][order], [shape_picture(i) for i in numbers])
    np.testing.assert_array_equal(found['label'][order], [i % 2 for i in numbers])
    assert found['label'].dtype == np.int32


def test_tfds_is_read_without_tensorflow(tiny: dict) -> None:
  check_shapes(tiny)
  assert 'tensorflow' not in sys.modules
  a, b = (batch_of(open_feed(open_source(tiny), batch=4, seed=0, resident=r), 3, 2, range(4)) for r in (True, False))
  assert_same(a, b)


def test_tfds_parts_sizes_and_channels(tiny: dict) -> None:
  assert len(open_source({**tiny, 'train_split': 'train[:30%]'})) == 3
  source = open_source({**tiny, 'resolution': 4, 'channels': 1, 'label_key': 'none'})
  assert source.spec.shape == (4, 4, 1)
  assert source.spec.classes == 0
  assert source.get(np.arange(2))['image'].shape == (2, 4, 4, 1)


@pytest.mark.parametrize(('options', 'error', 'message'), [
  ({'dataset': 'tiny_shape'}, ConfigError, 'config.data.dataset'),
  ({'dataset': 'mnits'}, ConfigError, "did you mean 'mnist'"),
  ({'dataset': 'not a name!'}, ConfigError, 'config.data.dataset'),
  ({'dataset': 'mnist'}, DataError, "'mnist' is not prepared.*pip install 'ganjax.tfds.' && "
                                    "python -m ganjax.data.prepare mnist --data_dir="),
  ({'train_split': 'trian'}, ConfigError, "config.data.train_split: given 'trian', valid: test, train"),
  ({'image_key': 'picture'}, ConfigError, r"config.data.image_key: .*\['image'\]"),
  ({'classes': 3}, DataError, "2 classes in 'label', but data.classes=3"),
  ({'classes': 2, 'label_key': 'none'}, DataError, "0 classes in 'none', but data.classes=2"),
])  # fmt: skip
def test_tfds_that_can_t_be(tiny: dict, options: dict, error: type, message: str) -> None:
  with pytest.raises(error, match=message):
    open_source({**tiny, **options})


@pytest.mark.parametrize(('name', 'content'), [
  ('*train*', None), ('*train*', b'short'), ('*train*', bytes(2**17)), ('dataset_info.json', b'{'),
  ('dataset_info.json', None), ('features.json', b'{'), ('features.json', None),
])  # fmt: skip
def test_tfds_damaged(tmp_path: Path, name: str, content: bytes | None) -> None:
  with zipfile.ZipFile(FIXTURES / 'tiny_shapes.zip') as archive:
    archive.extractall(tmp_path)
  file = next(tmp_path.rglob(name))
  file.unlink()
  if content is not None:
    file.write_bytes(content)
  with pytest.raises((DataError, ConfigError), match=r'damaged, prepare it once more|config.data.dataset'):
    open_source({'name': 'tfds', 'dataset': 'tiny_shapes', 'data_dir': str(tmp_path)})


def test_preparing_without_tensorflow_says_what_to_install() -> None:
  code = "import sys; sys.modules['tensorflow'] = None; from ganjax.data.prepare import main; sys.exit(main(['mnist']))"
  result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=120, check=False)
  assert result.returncode == DataError.code
  assert "needs tensorflow: pip install 'ganjax[tfds]'" in result.stderr
  assert 'Traceback' not in result.stderr


@pytest.mark.slow
def test_tfds_prepared_for_real(tmp_path: Path) -> None:
  pytest.importorskip('tensorflow', reason='TensorFlow is not installed')
  command = [sys.executable, '-m', 'ganjax.data.prepare', 'tiny_shapes', f'--data_dir={tmp_path}',
             f'--builder={FIXTURES / "tiny_shapes.py"}']  # fmt: skip
  subprocess.run(command, check=True, capture_output=True, timeout=300)
  check_shapes({'name': 'tfds', 'dataset': 'tiny_shapes', 'data_dir': str(tmp_path)})
