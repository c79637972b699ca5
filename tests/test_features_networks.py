"""The other feature networks against torchvision, timm and transformers, as tests/fixtures/features.py recorded them."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import shared
from parity import close
from PIL import Image

from ganjax.errors import ConfigError, DataError
from ganjax.evals.features import NETWORKS, alexnet, lpips, open_extractor, resnet, vgg, vit

FIXTURES = Path(__file__).parent / 'fixtures'
CONVERTERS: dict[str, Callable[..., Any]] = {
  'alexnet': alexnet.converted,
  'vgg16': vgg.converted,
  'resnet': resnet.converted,
  'dinov2': lambda tensors: vit.dinov2(tensors, heads=2, side=28),
  'clip': lambda tensors: vit.clip(tensors, heads=2),
}


def recipe() -> ModuleType:
  """tests/fixtures/features.py."""
  spec = importlib.util.spec_from_file_location('features_recipe', FIXTURES / 'features.py')
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


RECIPE = recipe()


def slowly(*names: str) -> list[Any]:
  """Cases of the slow tier."""
  return [pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.fixture(scope='module')
def recorded() -> dict[str, np.ndarray]:
  with np.load(FIXTURES / 'features.npz', allow_pickle=False) as file:
    return dict(file)


def tensors(recorded: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
  shapes = json.loads(str(recorded['shapes']))[name]
  return RECIPE.weights({key: tuple(shape) for key, shape in shapes.items()})


def applied(module: Any, variables: dict[str, Any], x: np.ndarray) -> dict[str, np.ndarray]:
  return jax.jit(module.apply)(variables, x)


@pytest.mark.parametrize('name', [*slowly('alexnet', 'vgg16'), 'resnet', 'dinov2', 'clip'])
def test_as_recorded(recorded: dict[str, np.ndarray], name: str) -> None:
  module, variables = CONVERTERS[name](tensors(recorded, name))
  found = applied(module, variables, RECIPE.images(name))
  wanted = {key.split('/')[1]: x for key, x in recorded.items() if key.startswith(f'{name}/')}
  assert close(found, wanted) < 2e-5


@pytest.mark.parametrize('name', ['alex', *slowly('vgg')])
def test_lpips_as_recorded(recorded: dict[str, np.ndarray], name: str, tmp_path: Path) -> None:
  backbone = tensors(recorded, {'alex': 'alexnet', 'vgg': 'vgg16'}[name])
  np.savez(tmp_path / 'backbone.npz', **backbone)
  np.savez(tmp_path / 'heads.npz', **tensors(recorded, f'lpips-{name}'))
  opened = lpips.open(tmp_path / 'heads.npz', tmp_path / 'backbone.npz', name)
  a, b = np.split(RECIPE.images(f'lpips-{name}', 4), 2)
  distance = jax.jit(opened.distance)
  close(distance(opened.params, a, b), recorded[f'lpips-{name}/distance'])
  assert np.array_equal(distance(opened.params, a, a), np.zeros(2))
  assert opened.protocol['heads'].startswith('sha256:')
  with pytest.raises(DataError, match=r'heads\.npz: missing tensors: features\.0\.weight'):
    lpips.open(tmp_path / 'backbone.npz', tmp_path / 'heads.npz', name)


def test_names_of_openai(recorded: dict[str, np.ndarray]) -> None:
  """The names that OpenAI gave the same tensors."""
  theirs = tensors(recorded, 'clip')
  stored = {'visual.proj': theirs['visual_projection.weight'].T, 'logit_scale': np.float32(0).reshape(())}
  for name, x in theirs.items():
    if 'self_attn.q_proj' in name:
      three = [theirs[name.replace('q_proj', f'{part}_proj')] for part in 'qkv']
      name, x = name.replace('self_attn.q_proj.', 'attn.in_proj_'), np.concatenate(three)
    elif 'k_proj' in name or 'v_proj' in name or name == 'visual_projection.weight':
      continue
    for old, new in {
      'vision_model.encoder.layers': 'visual.transformer.resblocks', 'layer_norm': 'ln_', 'self_attn': 'attn',
      'mlp.fc1': 'mlp.c_fc', 'mlp.fc2': 'mlp.c_proj', 'vision_model.pre_layrnorm': 'visual.ln_pre',
      'vision_model.post_layernorm': 'visual.ln_post', 'embeddings.patch_embedding': 'conv1',
      'embeddings.class_embedding': 'class_embedding', 'embeddings.position_embedding.weight': 'positional_embedding',
      'vision_model.': 'visual.',
    }.items():  # fmt: skip
      name = name.replace(old, new)
    stored[name] = x
  close(vit.clip(stored, heads=2)[1], vit.clip(theirs, heads=2)[1], 0)


def test_refuses_by_name(recorded: dict[str, np.ndarray]) -> None:
  given = tensors(recorded, 'resnet')
  with pytest.raises(ValueError, match=r'blocks of the stages: \(2, 1, 1, 2\); valid are \(3, 4, 6, 3\)'):
    resnet.fifty(given)
  with pytest.raises(ValueError, match=r'missing tensors: layer1\.0\.bn2\.running_var'):
    resnet.converted({name: x for name, x in given.items() if name != 'layer1.0.bn2.running_var'})
  with pytest.raises(ValueError, match=r'no place: layer1\.0\.extra'):
    resnet.converted(given | {'layer1.0.extra': np.zeros(1, np.float32)})
  for convert in (vit.dinov2, vit.clip, alexnet.converted, vgg.converted):
    with pytest.raises(ValueError, match='missing tensors'):
      convert(given)
  dino = tensors(recorded, 'dinov2')
  with pytest.raises(ValueError, match=r'no place: register_tokens'):
    vit.dinov2(dino | {'register_tokens': np.zeros((1, 4, 32), np.float32)}, heads=2, side=28)


def test_networks_open() -> None:
  """Those without a published checksum ask for a file; all tell a wrong way of resizing before they fetch anything."""
  for name in ('swav', 'dinov2', 'clip', 'cifar_resnet20', 'cifar_resnet56'):
    with pytest.raises(ConfigError, match='--weights: given None, valid: a file with'):
      open_extractor(name)
  for name in set(NETWORKS) - {'digits'}:
    with pytest.raises(ConfigError, match='--resize'):
      open_extractor(name, resize='nearest')


@pytest.mark.slow
def test_swav_leaves_its_head_out(
  recorded: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
  monkeypatch.setattr(resnet, 'of_depth', lambda own, _, small: resnet.converted(own, small=small))
  own = {f'module.{name}': x for name, x in tensors(recorded, 'resnet').items() if not name.startswith('fc.')}
  extra = {'module.prototypes.weight': np.zeros((3, 4)), 'module.projection_head.0.weight': np.zeros((4, 256))}
  np.savez(tmp_path / 'swav.npz', **own, **extra)
  opened = open_extractor('swav', tmp_path / 'swav.npz')
  assert opened.outputs == {'features': 256}
  assert opened.protocol['resize'] == 'crop 224'
  assert opened.name == 'swav'


@pytest.mark.slow
def test_cifar_resnet20_knows_its_images() -> None:
  stored = np.load(shared('data/cifar10_test1k.npz'), allow_pickle=False)
  images = decoded(stored)
  opened = open_extractor('cifar_resnet20', shared('data/weights_cifar_resnet20.npz'))
  seen = jax.jit(opened.apply)(opened.params, images)
  assert opened.outputs == {'features': 64, 'logits': 10}
  accuracy = (np.asarray(seen['logits']).argmax(1) == stored['labels']).mean()
  assert round(accuracy, 3) == 0.915


def decoded(stored: Any) -> np.ndarray:
  """A sheet of 1,000 images."""
  import io

  sheet = np.asarray(Image.open(io.BytesIO(stored['data'].tobytes())).convert('RGB'))
  return sheet.reshape(25, 32, 40, 32, 3).transpose(0, 2, 1, 3, 4).reshape(1000, 32, 32, 3)


@pytest.mark.slow
@pytest.mark.parametrize('name', sorted(CONVERTERS))
def test_as_the_package(name: str) -> None:
  """The narrow networks once more, as the packages that are installed compute them."""
  torch = pytest.importorskip('torch')
  pytest.importorskip({'dinov2': 'timm', 'clip': 'transformers'}.get(name, 'torchvision'))
  model, given = RECIPE.loaded(RECIPE.MODELS[name]())
  x = RECIPE.images(name)
  with torch.inference_mode():
    wanted = RECIPE.outputs(name, model, torch.from_numpy(x.transpose(0, 3, 1, 2)))
  module, variables = CONVERTERS[name](given)
  close(applied(module, variables, x), {output: value.numpy() for output, value in wanted.items()})


@pytest.mark.slow
@pytest.mark.parametrize('name', ['alexnet', 'vgg16', 'resnet50'])
def test_the_whole_of_torchvisions(name: str) -> None:
  torch = pytest.importorskip('torch')
  models = pytest.importorskip('torchvision.models')
  torch.manual_seed(0)
  model = getattr(models, name)(weights=None).eval()
  convert = {'alexnet': alexnet.converted, 'vgg16': vgg.converted, 'resnet50': resnet.fifty}[name]
  module, variables = convert({key: x.numpy() for key, x in model.state_dict().items()})
  x = np.random.default_rng(0).standard_normal((1, 224, 224, 3), np.float32)
  with torch.inference_mode():
    wanted = model(torch.from_numpy(x.transpose(0, 3, 1, 2))).numpy()
  close(applied(module, variables, x)['logits'], wanted)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['alex', 'vgg'])
def test_lpips_with_its_own_heads(name: str, tmp_path: Path) -> None:
  torch = pytest.importorskip('torch')
  models = pytest.importorskip('torchvision.models')
  file = shared(f'data/weights_lpips_{name}_heads.npz')
  torch.manual_seed(0)
  model = {'alex': models.alexnet, 'vgg': models.vgg16}[name](weights=None).eval()
  np.savez(tmp_path / 'b.npz', **{key: x.numpy() for key, x in model.state_dict().items()})
  opened = lpips.open(file, tmp_path / 'b.npz', name)
  a, b = np.random.default_rng(0).uniform(-1, 1, (2, 3, 64, 64, 3)).astype(np.float32)
  with np.load(file) as heads, torch.inference_mode():
    found = [torch.from_numpy(heads[f'lin{i}.model.1.weight']) for i in range(5)]
    theirs = [torch.from_numpy(x.transpose(0, 3, 1, 2)) for x in (a, b)]
    wanted = RECIPE.lpips(model.features, RECIPE.CUTS[name], found, *theirs).numpy()
  close(jax.jit(opened.distance)(opened.params, a, b), wanted)


@pytest.mark.slow
def test_dinov2_small_at_224_pixels() -> None:
  """The published size, 37 x 37 places resampled to 16 x 16 as its authors' code does."""
  torch = pytest.importorskip('torch')
  timm = pytest.importorskip('timm')
  torch.manual_seed(0)
  whole = timm.create_model('vit_small_patch14_dinov2', pretrained=False, num_classes=0)
  state = {key: x.clone() for key, x in whole.state_dict().items()}
  state['pos_embed'] = torch.randn_like(state['pos_embed'])
  module, variables = vit.dinov2({key: x.numpy() for key, x in state.items()} | {'mask_token': np.zeros((1, 384))})
  square = state['pos_embed'][:, 1:].reshape(1, 37, 37, 384).permute(0, 3, 1, 2)
  moved = torch.nn.functional.interpolate(square, scale_factor=(16.1 / 37, 16.1 / 37), mode='bicubic')
  small = timm.create_model('vit_small_patch14_dinov2', pretrained=False, num_classes=0, img_size=224).eval()
  places = torch.cat([state['pos_embed'][:, :1], moved.permute(0, 2, 3, 1).reshape(1, 256, 384)], 1)
  small.load_state_dict(state | {'pos_embed': places})
  x = np.random.default_rng(0).standard_normal((2, 224, 224, 3), np.float32)
  with torch.inference_mode():
    wanted = small(torch.from_numpy(x.transpose(0, 3, 1, 2))).numpy()
  close(variables['params']['places'], places[0].numpy(), 1e-5)
  close(applied(module, variables, jnp.asarray(x))['features'], wanted)
