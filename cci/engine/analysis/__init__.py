"""Look at an index as a statistician would: columns, correlations, dimensions, and all of it as an audit."""

from cci.engine.analysis.columns import cells, statistics
from cci.engine.analysis.correlation import (
    correlation_flags,
    correlations,
    pairs_within_groups,
    with_parents,
)
from cci.engine.analysis.dimensions import cronbach_alpha, principal_components
from cci.engine.analysis.statistical_audit import audit

__all__ = [
    "audit",
    "cells",
    "correlation_flags",
    "correlations",
    "cronbach_alpha",
    "pairs_within_groups",
    "principal_components",
    "statistics",
    "with_parents",
]
