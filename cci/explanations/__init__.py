"""Why a cluster stands where it does: pure functions from an edition's figures to one plain record a cluster.

`explain` joins the parts: what each node contributes, what moved since the last edition, what holds back, which
improvement of one indicator would gain a place, and how sure all of it is.
"""

from .improvements import Improvements, improvements_of
from .movement import Previous, movement_of
from .record import Figures, explain
from .shares import Shares, contributions_of, shares_of

__all__ = [
    "Figures",
    "Improvements",
    "Previous",
    "Shares",
    "contributions_of",
    "explain",
    "improvements_of",
    "movement_of",
    "shares_of",
]
