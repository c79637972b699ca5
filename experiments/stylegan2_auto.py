"""StyleGAN 2 with ADA on pictures of your own: the authors' heuristics `auto` (Karras et al. 2020, arXiv:2006.06676).

ganjax train --config stylegan2_auto --config.data.path=FOLDER            (256 pixels, one device)
ganjax train --config stylegan2_auto:512x4 --config.data.path=FOLDER      (512 pixels, four devices)

Result: no data set's own, so there is nothing to compare with. The authors: reasonable defaults, that are not
necessarily the best; try several gammas (--config.terms.d.r1.gamma=...), and mirrored pictures
(--config.data.flip=true) where a mirror changes nothing that matters.
"""

import re

from ml_collections import ConfigDict

from experiments import stylegan2_ffhq1024


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: pixels a side, or with 'x' and the number of devices behind; full (256) or smoke (on digits)."""
  if size == 'smoke':
    config = stylegan2_ffhq1024.get_config(size)
    config.augment = {'name': 'ada', 'operations': ('color',)}
    return config
  found = re.fullmatch(r'(\d+)(?:x([1-9]\d*))?', size.replace('full', '256'))
  if not found:
    raise ValueError(f'{size!r}: full, smoke, pixels a side such as 512, or 512x4 for four devices')
  return auto(int(found[1]), int(found[2] or 1))


def auto(resolution: int, devices: int = 1) -> ConfigDict:
  """What the authors' code would choose."""
  config = stylegan2_ffhq1024.get_config()
  batch = max(min(devices * min(4096 // resolution, 32), 64), devices)
  config.data = {'name': 'folder', 'resolution': resolution}
  config.augment = {'name': 'ada'}
  config.generator.mapping_layers = 2
  config.generator.channel_base = config.discriminator.channel_base = 32768 if resolution >= 512 else 16384
  config.discriminator.mbstd_group_size = min(batch // devices, 4)
  config.terms.d.r1.gamma = 0.0002 * resolution**2 / batch
  for player in 'gd':
    config.optimizer[player].learning_rate = 2e-3 if resolution >= 1024 else 2.5e-3
  config.ema.main = {'halflife_kimg': batch * 10 / 32, 'rampup': 0.05}
  config.batch_size = batch
  config.steps = 25_000_000 // batch
  return config
