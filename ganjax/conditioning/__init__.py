"""How D and G are held to the label: functions (*, numbers) -> Conditioning."""

from ganjax.conditioning.classifier import acgan, adc, tac
from ganjax.conditioning.cosine import contrastive, reacgan
from ganjax.conditioning.hinge import multi_hinge
from ganjax.conditioning.inside import concat, none, projection

__all__ = ['acgan', 'adc', 'concat', 'contrastive', 'multi_hinge', 'none', 'projection', 'reacgan', 'tac']
