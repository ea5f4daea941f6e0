"""Fill a gap from the unit's own other indicators, over all or within the same group of indicators."""

from collections.abc import Sequence

import numpy as np

from cci.engine.imputation.column import NO_VALUE, central
from cci.engine.imputation.grid import Fill, IntArray, ranges
from cci.engine.tables import FloatArray

CONSTANT = "the indicator has one distinct value and no scale"
NO_OTHERS = "the unit has no other value to go by"


def fill_rows(
    cells: FloatArray,
    kind: str,
    *,
    sections: Sequence[IntArray],
    directions: FloatArray | None,
    fallback: bool = True,
) -> Fill:
    """Fill each gap with the mean or median of the unit's other indicators.

    cells : shape (n, k); NaN means missing.
    sections : the columns that stand for each other, an array of positions for each group of indicators.
    directions : shape (k,), +1 or -1: each indicator is first turned so that more is better and scaled
        to u = (d x - min) / (max - min), and the statistic is turned back into its unit. None takes the
        values as they are, which only suits indicators of one unit.

    An indicator with one distinct value has no scale: its gaps stay and it is no guide for others. Where
    a unit has nothing else in the section, `fallback` goes by all its indicators and marks the cell.
    Method note, section 3 (COINr `Impute` with impute_by = "row", normalise_first).

    >>> cells = np.array([[0.0, 100.0, 5.0], [10.0, 300.0, np.nan], [5.0, np.nan, 9.0]])
    >>> fill = fill_rows(cells, "mean", sections=[np.array([0, 1, 2])], directions=np.ones(3))
    >>> fill.values[2].tolist(), fill.values[1].tolist()
    ([5.0, 250.0, 9.0], [10.0, 300.0, 9.0])
    """
    gaps = np.isnan(cells)
    if directions is None:
        low, span = np.zeros(cells.shape[1]), np.ones(cells.shape[1])
        directions = span
    else:
        low, high = ranges(cells * directions)
        span = high - low
    usable = ~(np.isnan(span) | (span == 0))
    scaled = np.full_like(cells, np.nan)
    scaled[:, usable] = (cells[:, usable] * directions[usable] - low[usable]) / span[usable]

    guess = np.full_like(cells, np.nan)
    for columns in sections:
        guess[:, columns] = central(np.ascontiguousarray(scaled[:, columns].T), kind)[:, None]
    crude = np.zeros_like(gaps)
    if fallback:
        crude = gaps & np.isnan(guess)
        guess = np.where(np.isnan(guess), central(np.ascontiguousarray(scaled.T), kind)[:, None], guess)
    filled = np.where(gaps & usable, (guess * span + low) * directions, cells)
    reasons = [(np.isnan(ranges(cells)[0]), NO_VALUE), (~usable, CONSTANT), (gaps, NO_OTHERS)]
    return Fill(filled, crude & ~np.isnan(filled), reasons)
