"""Human review: a page of blind trials, sheets of checkpoints and nearest training images, and what its answers say.

The page is one HTML file that works without a network; people's answers are JSON files that it saves.
"""

from ganjax.review.answers import summarise
from ganjax.review.make import write_review
from ganjax.review.render import Neighbours, Sheet, page

__all__ = ['Neighbours', 'Sheet', 'page', 'summarise', 'write_review']
