"""Augmentations of what D looks at: functions (*, numbers) -> Augmentation."""

from ganjax.augment.ada import ada
from ganjax.augment.apa import apa
from ganjax.augment.augmentation import none
from ganjax.augment.diffaug import diffaugment

__all__ = ['ada', 'apa', 'diffaugment', 'none']
