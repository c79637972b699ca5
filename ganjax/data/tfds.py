"""TensorFlow Datasets that were prepared as array_record: read without TensorFlow."""

import os
from functools import partial
from typing import Any

import numpy as np

from ganjax.data.images import Fit, decode
from ganjax.data.spec import Source, Spec
from ganjax.errors import ConfigError, DataError, nearest


def tfds(*, split: str = 'train', dataset: str, data_dir: str = '', train_split: str = 'train',
         test_split: str = 'test', image_key: str = 'image', label_key: str = 'label', resolution: int | None = None,
         channels: int = 0, fit: str = 'crop', resize: str = 'lanczos', background: str = 'white',
         classes: int = 0) -> Source:  # fmt: skip
  """A TensorFlow Datasets image set, prepared once with `python -m ganjax.data.prepare NAME`.

  Args:
    split: 'train' reads `train_split`, 'test' reads `test_split`.
    dataset: such as 'mnist' or 'name/config:1.0.0'.
    data_dir: where it was prepared; '' is TFDS's own ($TFDS_DATA_DIR or ~/tensorflow_datasets).
    train_split: of the data set, also a part: 'train[:90%]'.
    test_split: held out.
    image_key: the image feature.
    label_key: the label feature; a set without it has no labels.
    resolution: pixels per side; None keeps the set's own, if it is one for all, and square.
    channels: 1 (grey) or 3 (RGB); 0 keeps the set's own.
    fit: non-square pictures: 'crop' the centre, 'pad' with the background, or 'stretch'.
    resize: the filter: lanczos, bicubic, bilinear, box or nearest.
    background: under transparent pixels and in the padding: white, grey or black.
    classes: how many classes there must be; 0 takes what the set says.
  """
  from tensorflow_datasets import decode as tfds_decode

  builder = prepared(dataset, data_dir)
  features = builder.info.features
  form = Fit(*sizes(dataset, features, image_key, resolution, channels), fit, resize, background)
  field, wanted = ('data.train_split', train_split) if split == 'train' else ('data.test_split', test_split)
  try:
    records = builder.as_data_source(wanted, decoders={image_key: tfds_decode.SkipDecoding()})
  except NotImplementedError as error:
    raise DataError(
      f'{builder.data_dir}: prepared as {builder.info.file_format.value}, which has no random access. '
      f'Prepare it once more, elsewhere: {command(dataset, "DIR")}'
    ) from error
  except ValueError as error:
    raise ConfigError(field, wanted, ', '.join(sorted(builder.info.splits))) from error
  names = label_names(dataset, features, label_key, classes)
  spec = Spec('image', form.shape, len(names), names, len(records), f'tfds/{builder.info.full_name}')
  read = partial(read_many, records=records, form=form, image=image_key, label=label_key if names else '',
                 where=f'{builder.data_dir} {wanted}')  # fmt: skip
  read(np.zeros(1, int))  # a missing or damaged file is known now
  return Source(spec, read)


def read_many(indices: np.ndarray, *, records: Any, form: Fit, image: str, label: str,
              where: str) -> dict[str, np.ndarray]:  # fmt: skip
  """The pictures and labels at `indices`; Pillow decodes them, the same way whatever else is installed."""
  try:
    found = records.__getitems__([int(i) for i in indices])
  except (RuntimeError, OSError) as error:
    raise DataError(f'{where}: damaged, prepare it once more ({error})') from error
  pictures = [decode(r[image], form, f'{where} record {i}') for i, r in zip(indices, found, strict=True)]
  batch = {'image': np.stack(pictures)}
  return {**batch, 'label': np.asarray([r[label] for r in found], np.int32)} if label else batch


def prepared(dataset: str, data_dir: str) -> Any:
  """The builder of a prepared set, from its files. ConfigError for a name that nobody knows."""
  import tensorflow_datasets as tfds
  from google.protobuf.json_format import ParseError
  from tensorflow_datasets.core import read_only_builder

  where = {'data_dir': os.path.expanduser(data_dir)} if data_dir else {}
  try:
    return read_only_builder.builder_from_files(dataset, **where)
  except tfds.core.DatasetNotFoundError as error:
    names = tfds.list_builders(with_community_datasets=False)
    if dataset.split('/')[0].split(':')[0] in names:
      raise DataError(
        f'TFDS data set {dataset!r} is not prepared in {data_dir or "$TFDS_DATA_DIR or ~/tensorflow_datasets"}. Prepare it once, where '
        f"there is a network: pip install 'ganjax[tfds]' && {command(dataset, data_dir)}"
      ) from error
    valid = 'a TFDS data set, or one of your own that was prepared in data.data_dir (see ganjax.data.prepare --help)'
    raise ConfigError('data.dataset', dataset, valid, nearest(dataset, names)) from error
  except (OSError, ParseError) as error:
    raise DataError(f'TFDS data set {dataset!r}: damaged, prepare it once more ({error})') from error
  except ValueError as error:  # the name can't be parsed
    raise ConfigError('data.dataset', dataset, "a name such as 'mnist', 'name/config' or 'name:1.0.0'") from error


def command(dataset: str, data_dir: str) -> str:
  """What prepares the set."""
  return f'python -m ganjax.data.prepare {dataset}' + (f' --data_dir={data_dir}' if data_dir else '')


def sizes(dataset: str, features: Any, key: str, resolution: int | None, channels: int) -> tuple[int, int]:
  """Pixels per side and channels: what was asked for, or the set's own."""
  images = [name for name, feature in features.items() if type(feature).__name__ == 'Image']
  if key not in images:
    raise ConfigError('data.image_key', key, f'an image feature of {dataset}: {images or "there is none"}')
  height, width, depth = features[key].shape
  if not resolution and (height is None or height != width):
    size = 'of many sizes' if height is None else f'{height}x{width}'
    raise ConfigError('data.resolution', None, f'pixels per side: the images of {dataset} are {size}')
  if not channels and depth not in (1, 3):
    raise ConfigError('data.channels', 0, f'1 or 3: the images of {dataset} have {depth} channels')
  return resolution or height, channels or depth


def label_names(dataset: str, features: Any, key: str, classes: int) -> tuple[str, ...]:
  """The class names, () for a set without labels."""
  labelled = key in features and type(features[key]).__name__ == 'ClassLabel'
  names = tuple(features[key].names) if labelled else ()
  if classes and classes != len(names):
    raise DataError(f'{dataset}: {len(names)} classes in {key!r}, but data.classes={classes}')
  return names
