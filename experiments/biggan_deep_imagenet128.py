"""BigGAN-deep on ImageNet at 128 pixels, by class: the authors' script for PyTorch (Brock et al. 2019, appendix B).

ganjax train --config biggan_deep_imagenet128 --config.data.path=FOLDER     (a sub-folder for each of the 1,000 classes)

Result: not run in full; eight GPUs are needed.
Paper (abstract): Inception Score 166.5, FID 7.4 at 128 pixels; of which of its networks and truncations is not checked.
The script, `launch_BigGAN_deep.sh`, differs from that of `biggan_imagenet128` in its networks alone.
"""

from ml_collections import ConfigDict

from experiments import biggan_imagenet128


def get_config(size: str = 'full') -> ConfigDict:
  """`size`: full or smoke (on digits)."""
  config = biggan_imagenet128.get_config(size)
  config.latent_dim = 128
  for net in (config.generator, config.discriminator):
    net.name, net.width, net.depth = 'biggan_deep', 128, 2
  if size == 'smoke':
    config.data.resolution = 32
    config.latent_dim = 8
    for net in (config.generator, config.discriminator):
      net.width, net.depth, net.attention = 4, 1, (16,)
  return config
