"""Rank units by score, without letting rounding noise split a tie."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

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
    return rank_within(scores, np.zeros(len(scores), dtype=np.int8), ties=ties, tolerance=tolerance)


def rank_within(
    scores: pd.DataFrame,
    groups: "pd.Index[Any] | pd.Series[Any] | NDArray[Any]",
    *,
    ties: str = "min",
    tolerance: float = 1e-9,
) -> pd.DataFrame:
    """Rank the units of each group among themselves, as `rank` does; a unit without a group has no rank.

    groups : the units' labels, shape (n_units,), in the order of `scores` or, as a Series, labelled like
        it: times, sectors, places. Missing means no group. Raises ValueError where they do not fit.

    >>> scores = pd.DataFrame({"Index": [50.0, 40.0, 30.0, 20.0]}, index=list("WXYZ"))
    >>> rank_within(scores, pd.Series({"Z": "small", "Y": "small", "X": "large", "W": None}))["Index"].tolist()
    [<NA>, 1, 1, 2]
    """
    if ties not in TIES:
        raise ValueError(f"{ties!r} is no rule for ties; choose {', '.join(TIES)}.")
    if isinstance(groups, pd.Series) and not groups.index.equals(scores.index):
        absent = scores.index.difference(groups.index)
        if len(absent):
            raise ValueError(f"No group is given for {absent[0]}; label every unit, with a missing one for none.")
        groups = groups.loc[scores.index]
    if len(groups) != len(scores):
        raise ValueError(f"{len(scores)} units need {len(scores)} groups, not {len(groups)}.")
    codes, found = pd.factorize(groups)
    cells = np.ascontiguousarray(scores.to_numpy(dtype=np.float64).T)
    ranks = np.full(cells.shape, np.nan)
    if len(found) == 1 and (codes == 0).all():
        ranks = _ranked(cells, ties, tolerance)
    else:
        # One stable sort puts each group's units together; a group's places are then one slice.
        order = np.argsort(codes, kind="stable")
        bounds = np.searchsorted(codes[order], np.arange(len(found) + 1))
        for first, last in zip(bounds[:-1], bounds[1:], strict=True):
            places = order[first:last]
            ranks[:, places] = _ranked(cells[:, places], ties, tolerance)
    if ties == "average":
        return pd.DataFrame(ranks.T, index=scores.index, columns=scores.columns)
    missing = np.isnan(ranks)
    whole = np.where(missing, 0, ranks).astype(np.int64)
    columns = [pd.arrays.IntegerArray(*parts) for parts in zip(whole, missing, strict=True)]
    table = pd.DataFrame(dict(enumerate(columns)), index=scores.index)
    return table.set_axis(scores.columns, axis=1)


def _ranked(values: FloatArray, ties: str, tolerance: float) -> FloatArray:
    """Rank along the rows of an array, shape (n_scores, n_units)."""
    n = values.shape[1]
    if not n:
        return values
    keys = -values
    if not np.isinf(keys).any():
        keys[np.isnan(keys)] = np.inf  # last, as NaN would be, and sorted three times as fast
    # Which of two tied units is sorted first makes no difference, so the sort need not be stable.
    order = np.argsort(keys, axis=1)
    ordered = np.take_along_axis(values, order, axis=1)
    opens = np.ones(values.shape, dtype=bool)
    above, below = ordered[:, :-1], ordered[:, 1:]
    with np.errstate(invalid="ignore", over="ignore"):
        # The bound keeps an infinite score apart from the finite ones. A missing one opens no group.
        size = np.minimum(np.maximum(np.abs(above), np.abs(below)), np.finfo(np.float64).max)
        opens[:, 1:] = above - below > tolerance * size
    place = np.arange(1, n + 1)
    if ties == "dense":
        ranks = np.cumsum(opens, axis=1).astype(np.float64)
    else:
        ranks = np.maximum.accumulate(np.where(opens, place, 0), axis=1).astype(np.float64)
        if ties == "average":
            # The last place of a group is the one before the next group opens, or the last present one's.
            last = np.where(np.isnan(ordered), 0, place).max(axis=1, keepdims=True)
            closing = np.where(opens[:, 1:], place[:-1], last)
            closing = np.concatenate([closing, last], axis=1)
            ranks = (ranks + np.minimum.accumulate(closing[:, ::-1], axis=1)[:, ::-1]) / 2
    ranks[np.isnan(ordered)] = np.nan
    result = np.empty_like(ranks)
    np.put_along_axis(result, order, ranks, axis=1)
    return result
