"""Describe each indicator: its range, its shape, its gaps, and what about it asks for a second look."""

import numpy as np
import pandas as pd

from cci.engine.errors import DataError, unit_name
from cci.engine.tables import FloatArray
from cci.engine.treatment import skew_and_kurtosis


def statistics(
    values: pd.DataFrame,
    *,
    min_available: float = 0.65,
    min_nonzero: float = 0.5,
    min_unique: float = 0.5,
    skew: float = 2,
    kurtosis: float = 3.5,
) -> pd.DataFrame:
    """Describe each column of a table in one row.

    values : shape (n_units, n_indicators), each column in its own unit; NaN means missing.
    min_available : least share of units with a value; min_nonzero, min_unique : least share of non-zero,
        of distinct values among those present; skew, kurtosis : |G1| and G2 that together make an outlier
        problem.

    Returns one row per indicator: minimum, maximum, mean, median, sd (n - 1), skew (G1), kurtosis (G2,
    excess); counts n_available, n_nonzero, n_unique, n_same (of the most frequent value); the shares
    available (of the units), nonzero, unique, same (of the values present); `flags`, the limits missed in
    words, divided by "; ". What is undefined (no value, constant, too few values) is NaN. Independent of
    the order of rows. Raises DataError for an infinite value. Method note, sections 4 and 10 (COINr
    `get_stats`).

    >>> table = statistics(pd.DataFrame({"wage": [1.0, 2.0, 6.0], "days": [0.0, 0.0, None]}))
    >>> table[["mean", "median", "n_same", "available", "flags"]].to_dict("index")["wage"]
    {'mean': 3.0, 'median': 2.0, 'n_same': 1, 'available': 1.0, 'flags': ''}
    >>> table.loc["days", "flags"]
    'constant; many zeros'
    """
    table, n_units = cells(values), len(values)
    rows = []
    for position in range(table.shape[1]):
        # Sorted, the sums do not depend on the order of units.
        column = np.sort(table[~np.isnan(table[:, position]), position])
        n = column.size
        starts = np.flatnonzero(np.concatenate([[True], column[1:] != column[:-1]])) if n else np.empty(0, int)
        runs = np.diff(np.append(starts, n))
        nonzero = int(np.count_nonzero(column))
        g1, g2 = skew_and_kurtosis(column)
        row = {
            "minimum": column[0] if n else np.nan,
            "maximum": column[-1] if n else np.nan,
            "mean": column.mean() if n else np.nan,
            "median": np.median(column) if n else np.nan,
            "sd": column.std(ddof=1) if n > 1 else np.nan,
            "skew": g1,
            "kurtosis": g2,
            "n_available": n,
            "n_nonzero": nonzero,
            "n_unique": starts.size,
            "n_same": int(runs.max()) if n else 0,
            "available": n / n_units if n_units else np.nan,
            "nonzero": nonzero / n if n else np.nan,
            "unique": starts.size / n if n else np.nan,
            "same": int(runs.max()) / n if n else np.nan,
        }
        flags = {
            "no data": n == 0,
            "constant": n > 0 and starts.size == 1,
            "low availability": 0 < n < min_available * n_units - 1e-9,
            "many zeros": n > 0 and nonzero < min_nonzero * n - 1e-9,
            "few distinct values": starts.size > 1 and starts.size < min_unique * n - 1e-9,
            "outliers": abs(g1) >= skew and g2 >= kurtosis,
        }
        rows.append({**row, "flags": "; ".join(words for words, holds in flags.items() if holds)})
    return pd.DataFrame(rows, index=pd.Index(values.columns, name="iCode"))


def cells(values: pd.DataFrame) -> FloatArray:
    """The numbers of a table, rows sorted by label so that no sum depends on their order.

    Raises DataError, naming unit and column, for an infinite value.

    >>> cells(pd.DataFrame({"wage": [2.0, 1.0]}, index=["Y", "X"])).tolist()
    [[1.0], [2.0]]
    """
    if not values.index.is_monotonic_increasing:
        values = values.sort_index()
    table = values.to_numpy(dtype=np.float64)
    infinite = np.argwhere(np.isinf(table))
    if infinite.size:
        row, position = infinite[0]
        raise DataError(
            f"unit {unit_name(values.index[row])} has an infinite value; give a finite number, or leave it missing.",
            column=str(values.columns[position]),
            unit=values.index[row],
        )
    return table
