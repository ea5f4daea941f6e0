"""Compare editions of an index: what moved, why a rank moved, and which indicators moved a score."""

from cci.engine.comparison.attribution import Attribution, Edition, attribute_score_change
from cci.engine.comparison.editions import Score, compare, decompose_rank_change, decompose_ranks

__all__ = [
    "Attribution",
    "Edition",
    "Score",
    "attribute_score_change",
    "compare",
    "decompose_rank_change",
    "decompose_ranks",
]
