"""Why a cluster stands where it does: pure functions from an edition's figures to one plain record a cluster.

`explain` joins the parts: what each node contributes, what moved since the last edition, what holds back, which
improvement of one indicator, or of two, would gain a place, and how sure all of it is.
"""

from .improvements import Improvements, Pairs, Ways, improvements_of, pairs_of, ways_of
from .movement import Previous, movement_of
from .record import Figures, explain, without
from .shares import Shares, contributions_of, shares_of

__all__ = [
    "Figures",
    "Improvements",
    "Pairs",
    "Previous",
    "Shares",
    "Ways",
    "contributions_of",
    "explain",
    "improvements_of",
    "movement_of",
    "pairs_of",
    "shares_of",
    "ways_of",
    "without",
]
