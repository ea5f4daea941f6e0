"""Fill a gap from the same unit's other years."""

import numpy as np

from cci.engine.imputation.grid import Fill, IntArray
from cci.engine.tables import FloatArray

METHODS = ("latest", "linear", "constant", "linear_constant")
NO_YEAR = "the unit has no value of this indicator at any time"
NO_EARLIER = "the unit has no earlier value of this indicator within reach"


def fill_panel(
    cells: FloatArray, unit: IntArray, time: FloatArray, method: str, *, max_periods: float | None = None
) -> Fill:
    """Fill each gap from the same unit's values at other times.

    cells : shape (n, k), rows sorted by unit, then time; NaN means missing.
    unit : shape (n,), the unit's number. time : shape (n,), the time as a number.
    method : `latest` takes the most recent earlier value, at most `max_periods` back, and never looks
        ahead. `constant` does so too, and takes the first value back to the times before it. `linear`
        goes straight from the value before to the value after, and holds the ends flat; a single value
        is held flat as well, and its cells are marked as fallback. `linear_constant` is `linear` with
        that rule chosen, and marks nothing.

    The rows used are kept in `source` and `source_to` (the later end of an interpolation); the report
    counts `looks_ahead`, the cells that rest on a later time: they would not have been known then.
    Method note, section 3 (COINr `impute_panel`).

    >>> cells = np.array([[1.0], [np.nan], [np.nan], [4.0], [np.nan]])
    >>> unit, time = np.zeros(5, dtype=int), np.arange(2018.0, 2023.0)
    >>> fill_panel(cells, unit, time, "linear").values[:, 0].tolist()
    [1.0, 2.0, 3.0, 4.0, 4.0]
    >>> fill_panel(cells, unit, time, "latest", max_periods=1).values[:, 0].tolist()
    [1.0, 1.0, nan, 4.0, 4.0]
    """
    n = len(cells)
    gaps = np.isnan(cells)
    row = np.arange(n)[:, None]
    first = np.flatnonzero(np.diff(unit, prepend=-1))
    sizes = np.diff(first, append=n)
    starts, ends = np.repeat(first, sizes)[:, None], np.repeat(first + sizes, sizes)[:, None]
    before = np.maximum.accumulate(np.where(gaps, -1, row), axis=0)
    before = np.where(before >= starts, before, -1)
    after = np.minimum.accumulate(np.where(gaps, n, row)[::-1], axis=0)[::-1]
    after = np.where(after < ends, after, -1)

    source_to = np.full(cells.shape, -1, dtype=np.int64)
    crude = np.zeros_like(gaps)
    if method == "latest":
        source = before
        if max_periods is not None:
            source = np.where(time[:, None] - time[before] <= max_periods, before, -1)
        reason = NO_EARLIER
    elif method in METHODS:
        source = np.where(before >= 0, before, after)
        reason = NO_YEAR
        if method != "constant":
            source_to = np.where((before >= 0) & (after >= 0), after, -1)
        if method == "linear":
            alone = np.add.reduceat(~gaps, first, axis=0, dtype=np.int64) == 1 if n else ~gaps
            crude = gaps & np.repeat(alone, sizes, axis=0)
    else:
        raise ValueError(f"{method!r} is no method over time; choose {', '.join(METHODS)}.")
    source, source_to = np.where(gaps, source, -1), np.where(gaps, source_to, -1)

    filled = np.where(source >= 0, np.take_along_axis(cells, source, axis=0), cells)
    rows, columns = np.nonzero(source_to >= 0)
    left, right = source[rows, columns], source_to[rows, columns]
    share = (time[rows] - time[left]) / (time[right] - time[left])
    filled[rows, columns] += (cells[right, columns] - cells[left, columns]) * share
    ahead = (source > row) | (source_to > row)
    return Fill(filled, crude, [(gaps, reason)], source, source_to, {"looks_ahead": int(ahead.sum())})
