"""Join the components of each group into one score, level by level."""

from cci.engine.aggregation.envelopment import benefit_of_doubt
from cci.engine.aggregation.levels import (
    METHODS,
    OF_ENVELOPE,
    LevelRule,
    aggregate,
    aggregate_with_weights,
    coverage,
    enough,
)
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
    "OF_ENVELOPE",
    "LevelRule",
    "aggregate",
    "aggregate_with_weights",
    "arithmetic_mean",
    "benefit_of_doubt",
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
