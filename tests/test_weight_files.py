"""Files of weights: read as arrays, whoever wrote them; what could run code is refused by name, and does not run."""

import io
import json
import os
import pickle
import pickletools
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from fixtures import weights as written
from hypothesis import given, settings
from hypothesis import strategies as st

from ganjax.errors import DataError
from ganjax.interop import safetensors
from ganjax.interop.files import read_tensors

FOLDER = Path(__file__).parent / 'fixtures'
PTH = [FOLDER / 'weights.pth', FOLDER / 'weights_old.pth']  # written by PyTorch 2.13, see fixtures/weights.py


def same(found, wanted):
  assert list(found) == list(wanted)
  assert [name for name in wanted if not np.array_equal(found[name], wanted[name])] == []


@pytest.mark.parametrize('path', PTH)
def test_what_torch_saved(path):
  for key, wanted in written.players().items():
    found = read_tensors(path, key)
    assert {x.dtype for x in found.values()} == {np.dtype(np.float32)}
    average = wanted.pop('mapping.w_avg', None)
    if average is not None:  # it was saved in bfloat16
      np.testing.assert_allclose(found.pop('mapping.w_avg'), average, rtol=2**-8)
    same(found, wanted)


@pytest.mark.parametrize('zipped', [True, False])
def test_every_kind_of_tensor(zipped, tmp_path):
  torch = pytest.importorskip('torch')
  x = torch.arange(24.0).reshape(2, 3, 4)
  kinds = {str(kind): x.to(kind) for kind in (torch.float16, torch.float64, torch.int64, torch.uint8, torch.bool)}
  made = kinds | {'view': x[1:, ::2], 'turned': x.mT, 'wide': x[:1].expand(5, 3, 4), 'one': torch.tensor(3.0),
                  'none': torch.zeros(0, 3), 'parameter': torch.nn.Parameter(x), 'brain': x.bfloat16()}  # fmt: skip
  module = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
  path = tmp_path / 'w.pth'
  torch.save({'made': made, 'net': module.state_dict()}, path, _use_new_zipfile_serialization=zipped)
  same(read_tensors(path, 'made'), {name: value.detach().float().numpy() if name == 'brain' else value.detach().numpy()
                                    for name, value in made.items()})  # fmt: skip
  same(read_tensors(path, 'net'), {name: value.numpy() for name, value in module.state_dict().items()})


def test_keys(tmp_path):
  with pytest.raises(DataError, match=r'weights.pth: holds several sets of tensors.*: d, g_ema'):
    read_tensors(PTH[0])
  with pytest.raises(DataError, match=r"no tensors under the key 'g'; there are some under d, g_ema"):
    read_tensors(PTH[0], 'g')
  np.savez(tmp_path / 'w.npz', **{'param/G/a.b': np.ones(2), 'param/G/c': np.zeros(()), 'meta': np.array('x')})
  same(read_tensors(tmp_path / 'w.npz', 'param/G'), {'a.b': np.ones(2), 'c': np.zeros(())})
  np.savez(tmp_path / 'm.npz', **{'module.a': np.ones(2), 'module.b': np.zeros(1)})
  same(read_tensors(tmp_path / 'm.npz', 'module'), {'a': np.ones(2), 'b': np.zeros(1)})
  same(read_tensors(tmp_path / 'm.npz'), {'module.a': np.ones(2), 'module.b': np.zeros(1)})


class Bomb:
  """Makes a folder where it is unpickled."""

  def __init__(self, folder, function=os.mkdir):
    self.folder, self.function = folder, function

  def __reduce__(self):
    return self.function, (str(self.folder),)


def archive(path, content, **files):
  """A file as torch.save writes it, with this pickle."""
  with zipfile.ZipFile(path, 'w') as file:
    file.writestr('w/data.pkl', content)
    for name, data in files.items():
      file.writestr(f'w/data/{name[1:]}', data)


@pytest.mark.parametrize(('function', 'name'), [(os.mkdir, 'mkdir'), (os.system, 'system'), (eval, 'eval')])
def test_bombs_do_not_go_off(function, name, tmp_path):
  crater = tmp_path / 'crater'
  bomb = Bomb(
    {os.system: f'mkdir {crater}', eval: f'__import__("os").mkdir("{crater}")'}.get(function, crater), function
  )
  for protocol in range(2, 6):
    content = pickle.dumps({'w': [1.0], 'bomb': bomb}, protocol)
    pickle.loads(content)  # a real one
    crater.rmdir()
    archive(tmp_path / 'w.pth', content)
    (tmp_path / 'w.pkl').write_bytes(content)
    (tmp_path / 'w.pt').write_bytes(PTH[1].read_bytes()[:15] + content)  # behind the magic number
    for file in ('w.pth', 'w.pkl', 'w.pt'):
      with pytest.raises(DataError, match=rf'{file}: refused, because it asks for \S*{name};'):
        read_tensors(tmp_path / file)
      assert not crater.exists()


def test_torch_agrees_that_it_is_a_bomb(tmp_path):
  torch = pytest.importorskip('torch')
  crater = tmp_path / 'crater'
  torch.save({'g': {'w': torch.zeros(2)}, 'bomb': Bomb(crater)}, tmp_path / 'w.pth')
  with pytest.raises(DataError, match=r'asks for (posix|nt)\.mkdir; only tensors in dicts are read'):
    read_tensors(tmp_path / 'w.pth', 'g')
  assert not crater.exists()
  torch.load(tmp_path / 'w.pth', weights_only=False)
  assert crater.exists()


def test_pickled_source_says_what_to_convert(tmp_path):
  content = b'\x80\x03ctorch_utils.persistence\n_reconstruct_persistent_obj\nq\x00.'
  (tmp_path / 'ffhq.pkl').write_bytes(content)
  with pytest.raises(DataError, match=r'asks for torch_utils.persistence._reconstruct_persistent_obj; it holds Python '
                     r"source.*\['G_ema'\].state_dict\(\), 'G.pth'\)"):  # fmt: skip
    read_tensors(tmp_path / 'ffhq.pkl')


def tensor_pickle(*, size=4, offset=0, shape=(2, 2), strides=(2, 1), storage='FloatStorage'):
  """The pickle of {'w': a tensor}, with these facts about it."""
  numbers = lambda values: b'(' + b''.join(b'J' + struct.pack('<i', x) for x in values) + b't'  # noqa: E731
  identity = b'(X\x07\x00\x00\x00storagectorch\n' + storage.encode() + b'\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuJ'
  content = (
    b'\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n(' + identity + struct.pack('<i', size) + b'tQ'
  )
  return content + b'J' + struct.pack('<i', offset) + numbers(shape) + numbers(strides) + b'\x89NtRs.'


def test_tensors_stay_in_their_storage(tmp_path):
  path, data = tmp_path / 'w.pth', np.arange(4, dtype=np.float32).tobytes()
  archive(path, tensor_pickle(), _0=data)
  same(read_tensors(path), {'w': np.array([[0, 1], [2, 3]], np.float32)})
  for wrong in ({'offset': 1}, {'offset': -1}, {'strides': (3, 1)}, {'shape': (3, 2)}, {'strides': (-2, 1)}, {'size': 9},
                {'shape': (2,)}, {'shape': (-1, 2)}, {'size': 3}, {'shape': (2**30, 2**30), 'strides': (0, 0), 'size': 0}):  # fmt: skip
    archive(path, tensor_pickle(**wrong), _0=data)
    with pytest.raises(DataError, match=r'w\.pth: damaged'):
      read_tensors(path)
  archive(path, tensor_pickle(storage='QInt8Storage'), _0=data)
  with pytest.raises(DataError, match=r'refused, because it asks for torch\.QInt8Storage'):
    read_tensors(path)
  with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as file:  # or it might be small only here
    file.writestr('w/data.pkl', tensor_pickle() + b' ' * 10**6)
  with pytest.raises(DataError, match='compressed'):
    read_tensors(path)


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 10**6), value=st.integers(0, 255), cut=st.booleans(), which=st.integers(0, 2))
def test_damage_is_a_data_error(tmp_path_factory, at, value, cut, which):
  made = io.BytesIO()
  safetensors.write(made, {'g_ema/w': np.ones((3, 4), np.float32), 'd/w': np.arange(3)}, {'about': 'test'})
  content = [PTH[0].read_bytes(), PTH[1].read_bytes(), made.getvalue()][which]
  at %= len(content)
  path = tmp_path_factory.mktemp('damaged') / f'w.{["pth", "pth", "safetensors"][which]}'
  path.write_bytes(content[:at] if cut else content[:at] + bytes([value]) + content[at + 1 :])
  try:
    read_tensors(path, 'g_ema')  # a flipped bit of a number can't be seen
  except DataError as error:
    assert str(path) in str(error)


def test_only_these_instructions_are_followed():
  """Of all that a pickle can say, what makes an instance, loads an extension or changes one in place is refused."""
  from ganjax.interop import pickled

  refused = []
  for opcode in pickletools.opcodes:
    machine = pickled.Machine([{}, pickled.MARK, 'a', 1], {0: 'x', None: 'y'}, {}, lambda given: given)
    try:
      pickled.step(machine, opcode.name, 0 if opcode.name not in ('GLOBAL', 'INST') else 'os system')
    except pickled.Refused:
      refused.append(opcode.name)
    except (ValueError, TypeError, LookupError, AttributeError):
      pass
  assert {'GLOBAL', 'INST', 'OBJ', 'NEWOBJ', 'NEWOBJ_EX', 'EXT1', 'EXT2', 'EXT4', 'REDUCE', 'PERSID', 'BUILD',
          'NEXT_BUFFER', 'READONLY_BUFFER'} <= set(refused)  # fmt: skip


def test_safetensors_by_us_and_by_theirs(tmp_path):
  import ml_dtypes

  arrays = {'a': np.arange(6, dtype=np.float32).reshape(2, 3), 'b/c': np.array(5, np.int32), 'd': np.ones((2, 0), np.int8),
            'e': np.array([True, False]), 'f': np.arange(3).astype(ml_dtypes.bfloat16)}  # fmt: skip
  path = tmp_path / 'w.safetensors'
  with path.open('wb') as file:
    safetensors.write(file, arrays, {'about': 'test'})
  same(read_tensors(path, None), arrays | {'f': np.arange(3, dtype=np.float32)})
  with path.open('rb') as file:
    assert safetensors.header(file)[1] == {'about': 'test'}
  theirs = pytest.importorskip('safetensors.numpy')
  del arrays['f']
  same(
    dict(sorted(theirs.load_file(path).items())), {**dict(sorted(arrays.items()))} | {'f': theirs.load_file(path)['f']}
  )
  theirs.save_file(arrays, tmp_path / 'theirs.safetensors')
  found = read_tensors(tmp_path / 'theirs.safetensors', None)
  same({name: found[name] for name in arrays}, arrays)


@pytest.mark.parametrize(
  ('change', 'told'),
  [
    ({'dtype': 'F8_E4M3'}, 'numbers of type F8_E4M3'),
    ({'shape': [3]}, '16 bytes for F32 of shape'),
    ({'data_offsets': [4, 20]}, 'begins at byte 4'),
    ({'shape': [-2, -2]}, 'for F32 of shape'),
    ({'shape': None}, 'damaged'),
  ],
)
def test_safetensors_with_a_wrong_header(change, told, tmp_path):
  entry = {'dtype': 'F32', 'shape': [2, 2], 'data_offsets': [0, 16]} | change
  text = json.dumps({'w': entry}).encode()
  (tmp_path / 'w.safetensors').write_bytes(struct.pack('<Q', len(text)) + text + bytes(20))
  with pytest.raises(DataError, match=told):
    read_tensors(tmp_path / 'w.safetensors')


def test_other_files_are_refused(tmp_path):
  (tmp_path / 'empty.pth').touch()
  np.savez(tmp_path / 'objects.npz', w=np.array([{}], object))
  np.savez(tmp_path / 'nothing.npz')
  (tmp_path / 'text.safetensors').write_text('weights')
  for name, told in {'absent.pth': 'no such file', 'w.h5': r'ends in \.npz', 'empty.pth': 'damaged', 'objects.npz': 'damaged',
                     'nothing.npz': 'no tensors', 'text.safetensors': 'damaged'}.items():  # fmt: skip
    with pytest.raises(DataError, match=rf'{name}.*{told}'):
      read_tensors(tmp_path / name)
