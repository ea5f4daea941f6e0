"""Fill a gap from the other units: mean or median of the indicator, over all or within the group."""

import numpy as np

from cci.engine.imputation.grid import Fill, IntArray, ranges
from cci.engine.tables import FloatArray

NO_VALUE = "no unit has a value of this indicator"
NO_VALUE_IN_GROUP = "no unit of the group has a value of this indicator"
NO_GROUP = "the unit has no group"


def central(cells: FloatArray, kind: str) -> FloatArray:
    """The mean or median of each column over its non-missing cells.

    cells : shape (n, k); NaN means missing. kind : `mean` or `median`.
    Returns shape (k,), NaN for a column without a value; never beyond the column's own range.

    >>> central(np.array([[1.0, np.nan], [2.0, np.nan], [9.0, np.nan]]), "median").tolist()
    [2.0, nan]
    """
    if not len(cells):
        return np.full(cells.shape[1], np.nan)
    gaps = np.isnan(cells)
    count = len(cells) - gaps.sum(axis=0)
    result = np.full(cells.shape[1], np.nan)
    if kind == "median":
        ordered, columns = np.sort(cells, axis=0), np.arange(cells.shape[1])  # NaN come last
        result = (ordered[np.maximum(count - 1, 0) // 2, columns] + ordered[count // 2, columns]) / 2
    else:
        np.divide(np.where(gaps, 0.0, cells).sum(axis=0), count, out=result, where=count > 0)
    # A mean of equal values may miss them by the last digit.
    low, high = ranges(cells)
    bounded: FloatArray = np.clip(result, low, high)
    return bounded


def fill_columns(cells: FloatArray, kind: str) -> Fill:
    """Fill each gap with the mean or median of its column. Method note, section 3 (COINr `i_mean`, `i_median`).

    cells : shape (n, k); NaN means missing.

    >>> fill_columns(np.array([[1.0], [2.0], [np.nan]]), "mean").values[:, 0].tolist()
    [1.0, 2.0, 1.5]
    """
    gaps = np.isnan(cells)
    filled = np.where(gaps, central(cells, kind), cells)
    return Fill(filled, np.zeros_like(gaps), [(np.isnan(filled), NO_VALUE)])


def fill_groups(cells: FloatArray, kind: str, groups: IntArray, *, fallback: bool = True) -> Fill:
    """Fill each gap with the mean or median of its column within the unit's group.

    cells : shape (n, k); NaN means missing. groups : shape (n,), the group's number, -1 for a unit
    without one: its gaps stay. Where a group has no value, `fallback` takes the column's statistic and
    marks the cell; without it the gap stays, as in COINr. Method note, section 3 (COINr `i_mean_grp`).

    >>> cells = np.array([[1.0], [np.nan], [7.0], [np.nan], [np.nan]])
    >>> fill = fill_groups(cells, "mean", np.array([0, 0, 1, 2, -1]))
    >>> fill.values[:, 0].tolist(), fill.fallback[:, 0].tolist()
    ([1.0, 1.0, 7.0, 4.0, nan], [False, False, False, True, False])
    """
    gaps = np.isnan(cells)
    filled, crude = cells.copy(), np.zeros_like(gaps)
    overall = central(cells, kind)
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-2))
    for rows in np.split(order, starts)[1:]:
        if groups[rows[0]] < 0:
            continue
        own = central(cells[rows], kind)
        filled[rows] = np.where(gaps[rows], own, cells[rows])
        if fallback:
            crude[rows] = gaps[rows] & np.isnan(own) & ~np.isnan(overall)
    filled[crude] = np.broadcast_to(overall, cells.shape)[crude]
    reasons = [((groups < 0)[:, None], NO_GROUP), (np.isnan(overall), NO_VALUE), (gaps, NO_VALUE_IN_GROUP)]
    return Fill(filled, crude, reasons)
