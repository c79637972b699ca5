"""Images at two sizes: the reduction, patches of pictures, and likeness measured on the luminance; against plain loops."""

import json

import numpy as np
import pytest
from PIL import Image
from test_super_resolution import pictures

from ganjax import main
from ganjax.data import bicubic
from ganjax.data.feed import open_feed
from ganjax.data.sources import open_source
from ganjax.errors import ConfigError, DataError
from ganjax.evals.metrics import psnr_y, ssim_y


def kernel(x):
  """Keys' cubic, a = -1/2."""
  x = abs(x)
  if x < 1:
    return 1.5 * x**3 - 2.5 * x**2 + 1
  return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def one_row(line, new):
  """Another length, pixel by pixel, as MATLAB's imresize documents it; beyond its ends the line is mirrored."""
  n, scale = len(line), new / len(line)
  shrink, out = min(scale, 1), []
  for i in range(new):
    centre = (i + 0.5) / scale - 0.5
    taps = range(int(centre - 3 / shrink) - 1, int(centre + 3 / shrink) + 2)
    weights = np.array([kernel(shrink * (centre - j)) for j in taps])
    values = np.array([np.concatenate([line, line[::-1]])[j % (2 * n)] for j in taps])
    out.append((weights @ values) / weights.sum())
  return np.array(out)


@pytest.mark.parametrize(('size', 'new'), [((12, 8), (6, 4)), ((16, 12), (4, 3)), ((5, 7), (20, 28)), ((9, 6), (3, 2))])
def test_another_size_pixel_by_pixel(size, new):
  image = np.random.default_rng(0).integers(0, 256, (*size, 2), dtype=np.uint8)
  down = np.stack([[one_row(image[:, x, c], new[0]) for x in range(size[1])] for c in (0, 1)])  # [C, W, H']
  whole = np.stack([[one_row(down[c, :, y], new[1]) for y in range(new[0])] for c in (0, 1)])  # [C, H', W']
  np.testing.assert_array_equal(bicubic.resized(image, *new), np.rint(whole.clip(0, 255)).transpose(1, 2, 0))


def test_away_from_edges_it_is_pillows():
  image = np.asarray(Image.effect_noise((64, 48), 60))
  other = np.asarray(Image.fromarray(image).resize((16, 12), Image.Resampling.BICUBIC)).astype(int)
  assert (
    abs(bicubic.resized(image[..., None], 12, 16)[..., 0] - other)[2:-2, 2:-2].max() <= 1
  )  # Pillow rounds in between


def test_a_folder_is_reduced(tmp_path, capsys):
  folder = pictures(tmp_path / 'in', (37, 52))
  assert bicubic.main([str(folder), str(tmp_path / 'out'), '2']) == 0
  image = np.asarray(Image.open(folder / '0.png'))
  np.testing.assert_array_equal(
    np.asarray(Image.open(tmp_path / 'out' / '0.png')), bicubic.resized(image[:, :36], 26, 18)
  )
  assert bicubic.main([str(folder), str(tmp_path / 'out'), '99']) == 3
  assert '0.png: 37 x 52 pixels; valid: at least 99' in capsys.readouterr().err
  assert bicubic.main([str(folder), str(folder), '2']) == 3
  assert bicubic.main([str(folder), str(folder), 'x']) == 2


# Patches.


def source(path, split='train', **fields):
  return open_source(
    {'name': 'super_resolution', 'path': str(path), 'resolution': 16, 'scale': 4, **fields}, split=split
  )


def test_examples_are_all_crops_each_once(tmp_path):
  """Of a picture whose edges the scale does not divide, and of one that is a single patch."""
  folder = pictures(tmp_path / 'in', (30, 23), (16, 16))
  made = source(folder)
  assert (len(made), made.spec.shape, made.spec.source) == (2 * 4 + 1, (16, 16, 3), (4, 4, 3))
  batch = made.get(np.arange(len(made)))
  large = np.asarray(Image.open(folder / '0.png'))[:20, :28]
  small = bicubic.resized(large, 5, 7)
  for i in range(8):
    y, x = 4 * (i // 4), 4 * (i % 4)
    np.testing.assert_array_equal(batch['image'][i], large[y : y + 16, x : x + 16])
    np.testing.assert_array_equal(batch['source'][i], small[y // 4 : y // 4 + 4, x // 4 : x // 4 + 4])
  np.testing.assert_array_equal(batch['image'][8], np.asarray(Image.open(folder / '1.png')))


def test_batches_are_pure_and_flips_are_of_both(tmp_path):
  """The low-resolution image of a mirrored crop is the mirrored one; the same step has the same batch."""
  images = pictures(tmp_path / 'in', (64, 64))
  np.savez(tmp_path / 'all.npz', images=np.asarray(Image.open(images / '0.png'))[None])
  made = source(tmp_path / 'all.npz', resolution=32)
  feeds = [open_feed(made, batch=8, seed=3, flip=True, resident=resident) for resident in (True, False)]
  rows = np.arange(8, dtype=np.int32)
  plain, flipped = open_feed(made, batch=8, seed=3), []
  for feed in feeds:
    for first in (5, 9, 5):
      seen = feed.read(
        feed.payload(first, [1])[0] if not feed.resident else feed.payload(first, [1]), np.array([first]), rows
      )
    flipped.append({name: np.asarray(x[0]) for name, x in seen.items()})
    feed.close()
  for name in ('image', 'source'):
    assert flipped[0][name].tobytes() == flipped[1][name].tobytes()
  whole = {name: np.asarray(x[0]) for name, x in plain.read(plain.payload(5, [1]), np.array([5]), rows).items()}
  mirrored = [{name: bool((flipped[0][name][i] == whole[name][i, :, ::-1]).all()) for name in whole} for i in rows]
  assert all(each['image'] == each['source'] for each in mirrored)
  assert 0 < sum(each['image'] for each in mirrored) < 8


def test_held_out_patches_stand_side_by_side(tmp_path):
  folder = pictures(tmp_path / 'in', (40, 52))
  assert len(source(folder, 'test', test_path=str(folder))) == 2 * 3
  with pytest.raises(ConfigError, match=r'data\.test_path'):
    source(folder, 'test')


def test_photographs_without_a_file():
  """One to train on, the other held out; grey ones as the eye sees them."""
  colour, held_out, grey = (open_source({'name': 'super_resolution', 'resolution': 64, 'channels': c}, split=split)
                            for split, c in (('train', 3), ('test', 3), ('train', 1)))  # fmt: skip
  assert (len(held_out), len(colour)) == (6 * 10, len(grey))
  image = [made.get(np.array([7]))['image'][0].astype(float) for made in (colour, grey)]
  assert abs(image[0] @ np.array([0.299, 0.587, 0.114]) - image[1][..., 0]).max() <= 0.5


@pytest.mark.parametrize(
  ('fields', 'named'),
  [
    ({'resolution': 18}, 'data.scale: given 4, valid: a number of at least 2 that divides data.resolution'),
    ({'stride': 6}, 'data.stride: given 6, valid: a multiple of data.scale'),
    ({'channels': 2}, 'data.channels'),
  ],
)
def test_fields_that_cannot_be(fields, named, tmp_path):
  with pytest.raises(ConfigError, match=named):
    source(pictures(tmp_path / 'in', (32, 32)), **fields)


def test_pictures_that_cannot_be_used_are_named(tmp_path):
  folder = pictures(tmp_path / 'in', (32, 32), (32, 15))
  (folder / '2.png').write_bytes(b'nothing')
  with pytest.raises(
    DataError, match=r"(?s)2 of 3 pictures can't.*1.png: 32 x 12 pixels; valid: at least 16.*2.png: damaged"
  ):
    source(folder)
  np.savez(tmp_path / 'grey.npz', images=np.zeros((2, 32, 32), np.uint8))
  with pytest.raises(DataError, match=r'grey\.npz: uint8 images of 1 channels; valid: uint8, data\.channels=3'):
    source(tmp_path / 'grey.npz')
  with pytest.raises(ConfigError, match=r'data\.jitter: given 40, valid: 0: the images of a pair are of two sizes'):
    open_feed(source(pictures(tmp_path / 'good', (32, 32))), batch=2, seed=0, jitter=40)


# Likeness.


def by_hand(a, b, border):
  """PSNR and SSIM of Y, window by window."""
  y = [16 + x[..., 0] * 65.481 / 255 + x[..., 1] * 128.553 / 255 + x[..., 2] * 24.966 / 255 for x in (a, b)]
  a, b = (x[border:-border, border:-border] for x in y)
  psnr = 20 * np.log10(255) - 10 * np.log10(((a - b) ** 2).mean())
  at = np.arange(11) - 5
  window = np.exp(-(at**2) / (2 * 1.5**2))
  window = np.outer(window, window) / window.sum() ** 2
  values = []
  for i in range(a.shape[0] - 10):
    for j in range(a.shape[1] - 10):
      p, q = a[i : i + 11, j : j + 11], b[i : i + 11, j : j + 11]
      mean_p, mean_q = (window * p).sum(), (window * q).sum()
      covariance = (window * (p - mean_p) * (q - mean_q)).sum()
      spread = (window * (p - mean_p) ** 2).sum() + (window * (q - mean_q) ** 2).sum()
      c1, c2 = 6.5025, 58.5225
      values.append((2 * mean_p * mean_q + c1) * (2 * covariance + c2) / ((mean_p**2 + mean_q**2 + c1) * (spread + c2)))
  return psnr, np.mean(values)


def test_likeness_window_by_window():
  rng = np.random.default_rng(0)
  a = rng.integers(0, 256, (2, 24, 31, 3), dtype=np.uint8)
  b = (a + rng.integers(-30, 30, a.shape)).clip(0, 255).astype(np.uint8)
  found = list(zip(psnr_y(a, b, 4), ssim_y(a, b, 4), strict=True))
  np.testing.assert_allclose(
    found, [by_hand(*pair, 4) for pair in zip(a.astype(float), b.astype(float), strict=True)], rtol=1e-9
  )
  assert psnr_y(a, a, 4).tolist() == [100, 100]
  np.testing.assert_allclose(ssim_y(a, a, 4), 1)
  for bad in (a[:, :17], a[:, :, :30]):
    with pytest.raises(ValueError, match='shape'):
      ssim_y(a, bad, 4)


def test_folders_are_compared_picture_by_picture(tmp_path, capsys):
  """By the command: pictures of the same name, and small ones as bicubic enlarges them."""
  real = pictures(tmp_path / 'real', (50, 41), (32, 36))
  bicubic.reduce_folder(str(real), str(tmp_path / 'small'), 2)
  (tmp_path / 'made').mkdir()
  for i in (0, 1):
    image = np.asarray(Image.open(tmp_path / 'small' / f'{i}.png'))
    Image.fromarray(bicubic.resized(image, 2 * image.shape[0], 2 * image.shape[1])).save(tmp_path / 'made' / f'{i}.png')
  found = []
  for fake in ('small', 'made'):
    out = tmp_path / f'{fake}.json'
    main.run(['evaluate', '--fake', str(tmp_path / fake), '--real', str(real), '--metrics', 'psnr_y,ssim_y', '--border', '2',
              '--out', str(out)])  # fmt: skip
    found.append(json.loads(out.read_text()))
  assert found[0]['pictures'] == found[1]['pictures']
  a, b = (np.asarray(Image.open(tmp_path / place / '0.png')).astype(float) for place in ('made', 'real'))
  psnr, ssim = by_hand(a, b[:40], 2)  # 41 rows: one that 2 does not divide
  assert found[0]['pictures']['0.png'] == pytest.approx({'psnr_y': psnr, 'ssim_y': ssim})
  assert found[0]['values']['eval/psnr_y'] == pytest.approx(
    np.mean([x['psnr_y'] for x in found[0]['pictures'].values()])
  )
  assert found[0]['protocol']['pairs'] == {'border': 2, 'metrics': ['psnr_y', 'ssim_y']}
  assert '0.png' in capsys.readouterr().out


def test_pictures_that_do_not_go_together_are_named(tmp_path):
  real = pictures(tmp_path / 'real', (48, 40), (32, 32))
  compare = lambda fake: main.run(['evaluate', '--fake', str(fake), '--real', str(real), '--metrics', 'psnr_y'])  # noqa: E731
  with pytest.raises(DataError, match=r'0.png: 48 x 16 pixels, and .*0.png: 48 x 40 pixels; valid: the same size'):
    compare(pictures(tmp_path / 'flat', (48, 16), (32, 32)))
  with pytest.raises(DataError, match=r'1 pictures in alone, 2 in real; without one .*1.png'):
    compare(pictures(tmp_path / 'alone', (48, 40)))
  with pytest.raises(ConfigError, match='--border: given 2, valid: nothing without'):
    main.run(['evaluate', '--workdir', 'somewhere', '--border', '2'])
  np.savez(tmp_path / 'a.npz', images=np.zeros((2, 32, 32, 3), np.uint8))
  np.savez(tmp_path / 'b.npz', images=np.zeros((3, 32, 32, 3), np.uint8))
  with pytest.raises(DataError, match=r'b.npz: uint8 \[3, 32, 32, 3\]; valid: .* as many as in'):
    main.run(['evaluate', '--fake', str(tmp_path / 'a.npz'), '--real', str(tmp_path / 'b.npz'), '--metrics', 'psnr_y'])
