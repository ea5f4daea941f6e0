"""Whether the indicators of an edition hang together: the statistical audit of its ranked clusters. Pure.

For the staff: it judges the framework, moves no score, and stands in the edition's report beside what it judges.
"""

from typing import Any

import numpy as np
import pandas as pd

from cci.engine.analysis import audit
from cci.engine.meta import read_meta

from .methodology import Method

LEAST = 3  # clusters without which no correlation says anything
DIGITS = 4
KEPT = (
    "flags",
    "statistics_observed",
    "correlations_within_groups",
    "correlations_with_parents",
    "principal_component_groups",
    "principal_components",
    "cronbach_alpha",
    "size_correlations",
)


def coherence_of(
    inputs: pd.DataFrame, normalised: pd.DataFrame, scores: pd.DataFrame, frame: pd.DataFrame, method: Method
) -> dict[str, Any]:
    """Audit an edition (method note, sections 10, 11 and 13), compactly, fit for JSON.

    inputs : ranked clusters × indicators, in their own units. normalised : the same, 0–100. scores : × nodes. frame :
    × sizes of a cluster that no indicator should merely repeat. NaN = missing.

    Returns `clusters` (how many) and, from three clusters on, `tables`: by name `columns` and `rows`; numbers to four
    significant digits. Correlations stand with the direct parent alone.
    """
    if len(scores) < LEAST:
        return {"clusters": len(scores), "tables": {}}
    tree = read_meta(method.meta)
    found = audit(
        normalised[list(tree.indicators)],
        scores[list(tree.aggregates)],
        tree,
        observed=inputs[list(tree.indicators)],
        denominators=frame.astype(float),
    )
    own = found["correlations_with_parents"]
    found["correlations_with_parents"] = own[own["ancestor_level"] == own["level"] + 1]
    return {"clusters": len(scores), "tables": {name: _compact(found[name]) for name in KEPT if name in found}}


def _compact(table: pd.DataFrame) -> dict[str, Any]:
    return {"columns": list(table.columns), "rows": [[_plain(v) for v in row] for row in table.itertuples(index=False)]}


def _plain(value: Any) -> Any:
    if pd.isna(value) or value in (np.inf, -np.inf):
        return None
    if isinstance(value, float | np.floating):
        return float(f"{value:.{DIGITS}g}")
    return value.item() if isinstance(value, np.generic) else value
