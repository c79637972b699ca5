"""Two folders or arrays of anyone's images, compared by the command."""

import json

import numpy as np
import pytest
from PIL import Image

from ganjax import main
from ganjax.data.digits import digits
from ganjax.errors import GanjaxError
from ganjax.evals.files import batches, open_images


@pytest.fixture(scope='module')
def sets(tmp_path_factory):
  """Digits as files: the training images in folders by class, the held-out ones flat; both also as .npz."""
  root = tmp_path_factory.mktemp('sets')
  for split in ('train', 'test'):
    found = digits(split=split).get(np.arange(297))
    np.savez(root / f'{split}.npz', images=found['image'], labels=found['label'])
    for i, (image, label) in enumerate(zip(*found.values(), strict=True)):
      file = root / split / (str(label) if split == 'train' else '') / f'{i}.png'
      file.parent.mkdir(parents=True, exist_ok=True)
      Image.fromarray(image[..., 0]).save(file)
  return root


def compare(sets, *flags):
  out = sets / 'found.json'
  main.run(['evaluate', '--real', str(sets / 'train'), '--features', 'digits', '--out', str(out), *flags])
  return json.loads(out.read_text())


def test_a_folder_says_what_its_arrays_say(sets, capsys):
  metrics = ('--metrics', 'fid,prdc,sure')
  folder = compare(sets, '--fake', str(sets / 'test'), *metrics)
  arrays = compare(sets, '--fake', str(sets / 'test.npz'), *metrics)
  assert folder['values'] == pytest.approx(arrays['values'], rel=1e-5)
  assert folder['values']['eval/frechet'] < 4 * folder['values']['eval/frechet_floor']
  assert folder['protocol']['fake']['num'] == 297
  assert 'Frechet distance' in capsys.readouterr().out


def test_classes_are_sub_folders_or_labels(sets):
  found = compare(sets, '--fake', str(sets / 'test.npz'), '--metrics', 'class_frechet')
  assert len([name for name in found['values'] if name.startswith('eval/class_frechet_')]) == 10


def test_pictures_of_several_sizes_are_batched_by_size(sets, tmp_path):
  random = np.random.default_rng(0)
  for i, size in enumerate([(8, 8), (12, 9), (8, 8), (12, 9), (5, 5)]):
    Image.fromarray(random.integers(0, 256, (*size, 3), dtype=np.uint8)).save(tmp_path / f'{i}.png')
  found = [batch['image'].shape for batch in batches(open_images(tmp_path), 2)]
  assert sorted(found) == [(1, 5, 5, 3), (2, 8, 8, 3), (2, 12, 9, 3)]


def test_what_cannot_be_compared_is_named(sets, tmp_path):
  broken = tmp_path / 'broken'
  broken.mkdir()
  (broken / 'good.png').write_bytes((sets / 'test' / '0.png').read_bytes())
  (broken / 'bad.png').write_bytes((sets / 'test' / '1.png').read_bytes()[:60])
  np.save(tmp_path / 'floats.npy', np.zeros((20, 8, 8, 3)))
  for flags, match in [
    (['--fake', str(broken)], r'1 of 2 pictures are damaged:\n  .*bad\.png'),
    (['--fake', str(tmp_path / 'none')], 'none: no such folder'),
    (['--fake', str(tmp_path / 'floats.npy')], r'floats.npy: float64 \[20, 8, 8, 3\]; valid: uint8'),
    (['--fake', str(sets / 'test'), '--metrics', 'class_frechet'], 'test has no classes'),
    (['--fake', str(sets / 'test'), '--metrics', 'kid'], "'kid'.*at least 1000 images; .* has 297"),
    (['--fake', str(sets / 'test'), '--metrics', 'nearer'], "'nearer'"),
    (['--fake', str(sets / 'test'), '--num', '5'], '--num'),
    (['--fake', str(sets / 'test'), '--workdir', 'x'], '--fake'),
  ]:
    out = tmp_path / 'out.json'
    with pytest.raises(GanjaxError, match=match):
      main.run(['evaluate', '--real', str(sets / 'train'), '--features', 'digits', '--out', str(out), *flags])
    assert not out.exists()
