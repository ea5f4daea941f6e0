"""Keep the order of the units and drop the distances: ranks, percentile ranks, classes."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from cci.engine.normalisation.common import extent, labelled, oriented
from cci.engine.tables import FloatArray

TIES = ("min", "average")
Ties = Literal["min", "average"]


def rank(
    values: pd.DataFrame, *, directions: "pd.Series[float]", ties: Ties = "min", literal: bool = False
) -> pd.DataFrame:
    """Rank the units from the worst, which has 1, to the best.

    values : shape (n_units, n_indicators); ranks are over the units that have a value, NaN stays.
    directions : labelled by indicator, +1 or -1.
    ties : `min` gives all the least of their ranks, `average` the mean.
    literal : ranks also for an indicator with one distinct value, as COINr gives them; else it becomes NaN.

    Method note, section 6 (COINr `n_rank`).

    >>> values = pd.DataFrame({"days": [9.0, 1.0, 5.0, 5.0]})
    >>> rank(values, directions=pd.Series({"days": -1}))["days"].tolist()
    [1.0, 4.0, 2.0, 2.0]
    """
    if ties not in TIES:
        raise ValueError(f"{ties!r} is no way to rank ties; choose {', '.join(TIES)}.")
    cells = oriented(values, directions)
    ranks = np.full_like(cells, np.nan)
    for place in range(cells.shape[1]):
        present = ~np.isnan(cells[:, place])
        ranks[present, place] = _ranks(cells[present, place], ties)
    if literal:
        return labelled(ranks, values)
    low, high = extent(cells)
    return labelled(np.where(low < high, ranks, np.nan), values)


def borda(
    values: pd.DataFrame, *, directions: "pd.Series[float]", ties: Ties = "min", literal: bool = False
) -> pd.DataFrame:
    """Borda points: the rank from the worst, less 1. Everything else as `rank`.

    Method note, section 6 (COINr `n_borda`).

    >>> values = pd.DataFrame({"wage": [3.0, 1.0, 5.0]})
    >>> borda(values, directions=pd.Series({"wage": 1}))["wage"].tolist()
    [1.0, 0.0, 2.0]
    """
    return rank(values, directions=directions, ties=ties, literal=literal) - 1


def percentile_rank(
    values: pd.DataFrame, *, directions: "pd.Series[float]", ties: Ties = "min", literal: bool = False
) -> pd.DataFrame:
    """The share of the other units that a unit leaves behind: (rank - 1) / (n - 1), n the units with a value.

    ties : with `min` tied units get no credit for one another, with `average` half of it.
    literal : 0 for all where there is one distinct value, as in COINr. Everything else as `rank`.
    Method note, section 6 (COINr `n_prank`).

    >>> values = pd.DataFrame({"wage": [3.0, 1.0, 5.0, 3.0, None]})
    >>> percentile_rank(values, directions=pd.Series({"wage": 1}), ties="average")["wage"].tolist()
    [0.5, 0.0, 1.0, 0.5, nan]
    """
    points = borda(values, directions=directions, ties=ties, literal=literal)
    with np.errstate(invalid="ignore"):
        return points / (values.notna().sum() - 1)


def percentile_classes(
    values: pd.DataFrame,
    *,
    directions: "pd.Series[float]",
    percentiles: Sequence[float] = (15, 25, 65, 85, 95),
    scores: Sequence[float] = (0, 20, 40, 60, 80, 100),
) -> pd.DataFrame:
    """The Handbook's categorical scale: each unit gets the score of the class of percentiles it lies in.

    percentiles : rising, between 0 and 100, of type 7 (NumPy's default); a unit at a percentile or above it
        belongs to the next class. scores : rising, one more than the percentiles.
    Returns scores labelled as `values`; NaN stays, an indicator with one distinct value becomes NaN. Raises
    ValueError for lists that do not fit. OECD/JRC Handbook (2008), step 5; method note, section 6.

    >>> values, directions = pd.DataFrame({"wage": [3.0, 1.0, 5.0]}), pd.Series({"wage": 1})
    >>> percentile_classes(values, directions=directions, percentiles=[50], scores=[0, 100])["wage"].tolist()
    [100.0, 0.0, 100.0]
    """
    limits, classes = np.asarray(percentiles, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if not ((limits > 0) & (limits < 100)).all() or not (np.diff(limits) > 0).all():
        raise ValueError("percentile_classes needs rising percentiles between 0 and 100.")
    if classes.size != limits.size + 1 or not (np.diff(classes) > 0).all():
        raise ValueError("percentile_classes needs rising scores, one more than the percentiles.")
    cells = oriented(values, directions)
    result = np.full_like(cells, np.nan)
    for place in range(cells.shape[1]):
        column = cells[:, place]
        present = ~np.isnan(column)
        ordered = np.sort(column[present])
        if ordered.size < 2 or ordered[0] == ordered[-1]:
            continue
        # No value lies between two neighbours, so to reach a percentile is to reach the upper of the two
        # it lies between: an exact comparison, without the rounding of an interpolation.
        marks = ordered[np.ceil(limits / 100 * (ordered.size - 1) - 1e-9).astype(int)]
        result[present, place] = classes[np.searchsorted(marks, column[present], side="right")]
    return labelled(result, values)


def _ranks(column: FloatArray, ties: str) -> FloatArray:
    """Ranks from the least, of a column without gaps."""
    order = np.argsort(column)
    ordered = column[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])) if column.size else order
    stops = np.append(starts[1:], column.size)
    ranks = np.empty(column.size)
    ranks[order] = np.repeat(starts + 1.0 if ties == "min" else (starts + 1 + stops) / 2, stops - starts)
    return ranks
