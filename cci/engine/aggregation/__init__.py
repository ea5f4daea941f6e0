"""Join the components of each group into one score, level by level."""

from cci.engine.aggregation.levels import METHODS, LevelRule, aggregate, coverage, enough
from cci.engine.aggregation.means import (
    arithmetic_mean,
    generalised_mean,
    geometric_mean,
    harmonic_mean,
    mazziotta_pareto,
    median,
)
from cci.engine.aggregation.outranking import copeland, dominance, outranking

__all__ = [
    "METHODS",
    "LevelRule",
    "aggregate",
    "arithmetic_mean",
    "copeland",
    "coverage",
    "dominance",
    "enough",
    "generalised_mean",
    "geometric_mean",
    "harmonic_mean",
    "mazziotta_pareto",
    "median",
    "outranking",
]
