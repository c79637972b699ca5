"""Pictures that can be read, and that say where they come from."""

import numpy as np
import pytest
from PIL import Image

from ganjax import images
from ganjax.errors import DataError

ABOUT = images.provenance('run-1', 'abc', 200, 7)


def test_grid_enlarges_and_separates():
  small = np.linspace(-1, 1, 5 * 8 * 8).reshape(5, 8, 8, 1).astype(np.float32)
  sheet = images.grid(small)
  assert sheet.shape == (2 * 68 + 4, 3 * 68 + 4, 1)
  assert sheet.dtype == np.uint8
  for i, (row, column) in enumerate([(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]):
    y, x = 4 + row * 68, 4 + column * 68
    cell = sheet[y : y + 64, x : x + 64]
    shrunk = cell.reshape(8, 8, 8, 8).mean((1, 3))
    np.testing.assert_allclose(shrunk, images.to_uint8(small[i])[..., 0], atol=2)  # smooth, and the same picture
  assert (sheet[:4] == images.GAP_COLOR).all()
  assert (sheet[72:, 140:] == images.GAP_COLOR).all()  # no sixth image


@pytest.mark.parametrize(
  ('shape', 'columns', 'expected'),
  [
    ((64, 64, 64, 3), None, (8 * 66 + 2, 8 * 66 + 2, 3)),
    ((6, 100, 50, 3), 3, (2 * 202 + 2, 3 * 102 + 2, 3)),  # enlarged by its shorter side
    ((2, 64, 64, 1), 10, (68, 2 * 66 + 2, 1)),
    ((8, 256, 128, 3), None, (2 * 258 + 2, 4 * 130 + 2, 3)),  # as square as it gets
  ],
)
def test_grid_sizes(shape, columns, expected):
  assert images.grid(np.zeros(shape, np.uint8), columns, gap=2).shape == expected


def test_grid_refuses_what_is_no_image():
  for shape in [(4, 8, 8), (0, 8, 8, 3), (4, 8, 8, 2)]:
    with pytest.raises(ValueError, match=r'valid: \[N, H, W, C\]'):
      images.grid(np.zeros(shape))


def test_uint8_rounds_and_clips():
  values = np.array([-2, -1, -0.999, 0, 0.5, 1, 9, np.nan, np.inf], np.float32)
  assert images.to_uint8(values).tolist() == [0, 0, 0, 128, 191, 255, 255, 0, 255]
  levels = np.arange(256, dtype=np.uint8)
  np.testing.assert_array_equal(images.to_uint8(levels.astype(np.float32) / np.float32(127.5) - 1), levels)


def test_png_keeps_pixels_and_provenance(tmp_path):
  for channels in (1, 3):
    path = tmp_path / 'new' / f'{channels}.png'
    image = np.arange(4 * 5 * channels, dtype=np.uint8).reshape(4, 5, channels)
    images.save_png(path, image, {**ABOUT, 'note': 'Größe 8'})
    np.testing.assert_array_equal(np.asarray(Image.open(path)).reshape(image.shape), image)
    found = images.read_provenance(path)
    assert found == {**ABOUT, 'note': 'Größe 8'}
    assert found['synthetic'] == 'true'
    assert (found['run_id'], found['config_hash'], found['step'], found['seed']) == ('run-1', 'abc', '200', '7')
    assert found['software'].startswith('ganjax ')


def test_npz_keeps_arrays_and_provenance(tmp_path):
  path = tmp_path / 'samples.npz'
  arrays = {'image': np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3), 'label': np.array([1, 2])}
  images.save_npz(path, arrays, ABOUT)
  assert images.read_provenance(path) == ABOUT
  with np.load(path, allow_pickle=False) as file:
    for name, array in arrays.items():
      np.testing.assert_array_equal(file[name], array)
    assert str(file['synthetic']) == 'true'
  with pytest.raises(ValueError, match='step'):
    images.save_npz(path, {'step': np.zeros(3)}, ABOUT)
  assert [path.name for path in tmp_path.iterdir()] == ['samples.npz']


def test_a_failed_save_leaves_the_file_before(tmp_path):
  path = tmp_path / 'samples.png'
  images.save_png(path, np.zeros((2, 2, 3), np.uint8), ABOUT)
  before = path.read_bytes()
  with pytest.raises(TypeError):
    images.save_png(path, np.zeros((2, 2, 7), np.uint8), ABOUT)
  assert path.read_bytes() == before
  assert [path.name for path in tmp_path.iterdir()] == ['samples.png']


def test_other_files_have_no_provenance(tmp_path):
  for name in ('a.png', 'a.npz'):
    (tmp_path / name).write_bytes(b'nothing')
    with pytest.raises(DataError, match=name):
      images.read_provenance(tmp_path / name)


def test_scatter_has_the_same_limits_whatever_the_samples():
  centres = [[2.0, 0.0], [-2.0, 0.0], [0.0, 2.0], [0.0, -2.0]]
  near = images.scatter(np.zeros((10, 2)), centres)
  far = images.scatter(np.full((10, 2), 100.0), centres)
  assert near.dtype == np.uint8
  assert near.shape == far.shape == (600, 600, 3)
  red = [(image[..., 0] > 180) & (image[..., 1] < 80) for image in (near, far)]  # the centres' marks
  np.testing.assert_array_equal(red[0][100:], red[1][100:])
  assert red[0].any()
  assert (near != far).any()
  images.scatter(np.array([[np.nan, 0], [1, 1]]))  # alone, and not all finite


def test_picture_by_kind_of_sample():
  assert images.picture(np.zeros((4, 8, 8, 1), np.float32), {}).shape == (140, 140, 1)
  assert images.picture(np.zeros((4, 2), np.float32), {'centres': [[0, 1], [1, 0]]}).shape == (600, 600, 3)
  assert images.picture(np.zeros((4, 30), np.float32), {}) is None
