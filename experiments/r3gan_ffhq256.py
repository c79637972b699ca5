"""R3GAN on FFHQ at 256 pixels: the authors' preset, schedules in images shown (Huang et al. 2024, arXiv:2501.05441).

ganjax train --config r3gan_ffhq256 --config.data.path=FOLDER     (of the 70,000 pictures, of any size)

Result: not run in full; eight GPUs, as the authors', are needed.
Paper: FID 2.75.
The training ends with the schedules, after 20 million images; the authors' goes on until it is stopped. They compute in
float16 where maps are large; here float32, or --config.dtype=bfloat16.
"""

from ml_collections import ConfigDict

from experiments import r3gan_cifar10


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke (on digits)."""
  config = r3gan_cifar10.get_config(size)
  config.data = {'name': 'folder', 'resolution': 256, 'flip': True}
  del config.conditioning
  for term in ('r1', 'r2'):
    config.terms.d[term].gamma = 150.0
    config.schedule[f'd_{term}_gamma'].end = 15.0
  config.augment.p = 0.3
  config.ema.main.halflife_kimg = 500.0
  if size == 'smoke':
    config.data = {'name': 'digits', 'resolution': 8}
    return config
  for net in (config.generator, config.discriminator):
    net.widths = (768, 768, 768, 768, 384, 192, 96)  # at 4 pixels a side, 8, ...
    net.cardinalities = (96, 96, 96, 96, 48, 24, 12)
  config.batch_size = 256
  config.steps = 78_125
  return config
