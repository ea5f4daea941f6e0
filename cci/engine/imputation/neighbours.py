"""Fill a gap from the units most alike on the other indicators."""

import numpy as np

from cci.engine.imputation.column import NO_VALUE
from cci.engine.imputation.grid import BoolArray, Fill, IntArray, ranges
from cci.engine.tables import FloatArray

NO_DONOR = "no unit with a value is comparable on half of the unit's indicators"
BLOCK = 256


def fill_knn(cells: FloatArray, *, neighbours: int = 5) -> Fill:
    """Fill each gap with the mean of the indicator over the nearest units that have it.

    cells : shape (n, k), rows sorted by unit; NaN means missing. See `donors` for who is near. A gap
    with fewer than `neighbours` donors is filled from those there are, and marked. Method note, section 3.

    >>> cells = np.array([[1.0, 10.0], [1.1, 12.0], [9.0, 90.0], [1.2, np.nan]])
    >>> fill_knn(cells, neighbours=2).values[3].tolist()
    [1.2, 11.0]
    """
    gaps = np.isnan(cells)
    rows, columns = np.nonzero(gaps)
    near = donors(cells, neighbours)
    found = (near >= 0).sum(axis=1)
    total = np.where(near >= 0, cells[near, columns[:, None]], 0.0).sum(axis=1)
    filled, crude = cells.copy(), np.zeros_like(gaps)
    mean = np.full(len(rows), np.nan)
    np.divide(total, found, out=mean, where=found > 0)
    low, high = ranges(cells)
    filled[rows, columns] = np.clip(mean, low[columns], high[columns])
    crude[rows, columns] = (found > 0) & (found < neighbours)
    return Fill(filled, crude, [(np.isnan(low), NO_VALUE), (gaps, NO_DONOR)])


def donors(cells: FloatArray, neighbours: int) -> IntArray:
    """The nearest units that have the indicator, for each gap (row by row), shape (n_gaps, neighbours).

    Distance is the root mean square difference of standardised values over the indicators both units
    have; they must be at least half of those the unit itself has. The nearest come first, equals in the
    order of the rows; -1 where there are not enough.
    """
    gaps = np.isnan(cells)
    z, have = _on_a_grid(cells, gaps), (~gaps).astype(np.float64)
    square = z * z
    result = np.full((int(gaps.sum()), neighbours), -1, dtype=np.int64)
    first = np.concatenate([[0], np.cumsum(gaps.sum(axis=1))])
    incomplete = np.flatnonzero(gaps.any(axis=1))
    for begin in range(0, len(incomplete), BLOCK):
        block = incomplete[begin : begin + BLOCK]
        common = have[block] @ have.T
        apart = square[block] @ have.T + have[block] @ square.T - 2 * (z[block] @ z.T)
        distance = np.full_like(apart, np.inf)
        enough = (common > 0) & (2 * common >= have[block].sum(axis=1, keepdims=True))
        np.divide(apart, common, out=distance, where=enough)
        for place, row in enumerate(block):
            result[first[row] : first[row + 1]] = _nearest(distance[place], gaps, np.flatnonzero(gaps[row]), neighbours)
    return result


def _on_a_grid(cells: FloatArray, gaps: BoolArray) -> FloatArray:
    """Standardised values as whole steps of a fine grid, gaps 0.

    The steps are so chosen that sums of products of a row are whole numbers below 2^52: they are exact,
    and the distances do not depend on the order in which a linear algebra library adds.
    """
    count = np.maximum((~gaps).sum(axis=0), 1)
    deviation = np.where(gaps, 0.0, cells - np.where(gaps, 0.0, cells).sum(axis=0) / count)
    largest = np.abs(deviation).max(axis=0, initial=0)
    low, high = ranges(cells)
    varies = low < high
    deviation = np.divide(deviation, largest, out=np.zeros_like(deviation), where=varies)
    sd = np.sqrt((deviation * deviation).sum(axis=0) / count)
    z = np.divide(deviation, sd, out=np.zeros_like(deviation), where=varies)
    bound = max(1.0, float(np.abs(z).max(initial=0))) ** 2 * max(1, cells.shape[1]) * 4
    result: FloatArray = np.rint(np.ldexp(z, int(26 - np.ceil(np.log2(bound) / 2))))
    return result


def _nearest(distance: FloatArray, gaps: BoolArray, columns: IntArray, neighbours: int) -> IntArray:
    """The nearest rows that have each of the columns, shape (len(columns), neighbours)."""
    result = np.full((len(columns), neighbours), -1, dtype=np.int64)
    wanted = min(len(distance), 8 * neighbours + 32)
    while True:
        # The nearest few nearly always do; all rows are put in order only where they do not.
        reach = np.partition(distance, wanted - 1)[wanted - 1]
        near = np.flatnonzero(distance <= reach)
        near = near[np.argsort(distance[near], kind="stable")]
        near = near[distance[near] < np.inf]
        usable = ~gaps[near][:, columns]
        if wanted == len(distance) or reach == np.inf or (usable.sum(axis=0) >= neighbours).all():
            break
        wanted = len(distance)
    for place in range(len(columns)):
        chosen = near[usable[:, place]][:neighbours]
        result[place, : len(chosen)] = chosen
    return result
