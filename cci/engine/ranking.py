"""Rank units by score, without letting rounding noise split a tie."""

from typing import Any

import numpy as np
import pandas as pd

from cci.engine.tables import FloatArray

TIES = ("min", "dense", "average")


def rank(scores: pd.DataFrame, *, ties: str = "min", tolerance: float = 1e-9) -> pd.DataFrame:
    """Rank each column, 1 for the highest score.

    scores : shape (n_units, n_scores); NaN has no rank.
    ties : `min` gives all tied units the best of their places (1, 2, 2, 4), `dense` the next number
        (1, 2, 2, 3), `average` the mean of their places (1, 2.5, 2.5, 4).
    tolerance : neighbours in the order are tied where they differ by no more than this share of the
        larger one; 0 ties only equal doubles, as COINr does.

    Returns ranks labelled as `scores`: whole numbers with missing (Int64), floats for `average`.
    Method note, section 9. Rank before rounding for display.

    >>> scores = pd.DataFrame({"Index": [50.0, 0.1 + 0.2, 0.3, None]}, index=list("WXYZ"))
    >>> rank(scores)["Index"].tolist()
    [1, 2, 2, <NA>]
    """
    if ties not in TIES:
        raise ValueError(f"{ties!r} is no rule for ties; choose {', '.join(TIES)}.")
    ranked = {code: _ranked(scores[code].to_numpy(dtype=np.float64), ties, tolerance) for code in scores.columns}
    table = pd.DataFrame(ranked, index=scores.index, columns=scores.columns, dtype=np.float64)
    return table if ties == "average" else table.astype("Int64")


def rank_within(scores: pd.DataFrame, groups: "pd.Index[Any]", *, ties: str, tolerance: float) -> pd.DataFrame:
    """Rank the units of each group among themselves, as `rank` does; here the groups are times."""
    parts = [rank(scores[groups == group], ties=ties, tolerance=tolerance) for group in groups.unique()]
    return pd.concat(parts).loc[scores.index] if parts else rank(scores, ties=ties, tolerance=tolerance)


def _ranked(values: FloatArray, ties: str, tolerance: float) -> FloatArray:
    ranks = np.full(values.size, np.nan)
    present = np.flatnonzero(~np.isnan(values))
    if not present.size:
        return ranks
    order = present[np.argsort(-values[present], kind="stable")]
    ordered = values[order]
    size = np.maximum(np.abs(ordered[:-1]), np.abs(ordered[1:]))
    opens = np.concatenate([[True], ordered[:-1] - ordered[1:] > tolerance * size])
    group = np.cumsum(opens) - 1
    first = np.flatnonzero(opens)
    if ties == "dense":
        ranks[order] = group + 1
    elif ties == "min":
        ranks[order] = first[group] + 1
    else:
        last = np.append(first[1:], ordered.size) - 1
        ranks[order] = (first[group] + last[group]) / 2 + 1
    return ranks
