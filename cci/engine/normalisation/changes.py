"""Compare each unit with itself at the time before."""

import numpy as np
import pandas as pd

from cci.engine.errors import DataError, unit_name
from cci.engine.normalisation.common import aligned, labelled


def change(values: pd.DataFrame, *, directions: "pd.Series[float]") -> pd.DataFrame:
    """The percentage change on the time before: 100 (x_t - x_before) / x_before, turned where less is better.

    The time before is the one before in the data as a whole; a unit that has no value then has no change.

    values : labelled by uCode and Time, shape (n_rows, n_indicators); NaN means missing and stays.
    directions : labelled by indicator, +1 or -1.

    Returns per cent, labelled as `values`; NaN at the first time. Raises ValueError where the data hold no
    times, DataError where the value before is not above 0 and so has no percentage.
    OECD/JRC Handbook (2008), step 5; method note, section 6.

    >>> index = pd.MultiIndex.from_product([["X"], [2020, 2021, 2022]], names=["uCode", "Time"])
    >>> values = pd.DataFrame({"wage": [200.0, 210.0, 168.0]}, index=index)
    >>> change(values, directions=pd.Series({"wage": 1}))["wage"].tolist()
    [nan, 5.0, -20.0]
    """
    if values.index.nlevels < 2:
        raise ValueError("change needs data with a Time.")
    signs = aligned(directions, values.columns)
    cells = values.to_numpy(dtype=np.float64)
    units, times = values.index.get_level_values(0), values.index.get_level_values(1)
    order, position = np.unique(times.to_numpy(), return_inverse=True)
    # The first time has none before it; it is looked up as itself and blanked after.
    before = values.index.get_indexer(pd.MultiIndex.from_arrays([units, order[np.maximum(position - 1, 0)]]))
    base = np.where(((before < 0) | (position == 0))[:, None], np.nan, cells[before])
    refused = np.argwhere((base <= 0) & ~np.isnan(cells))
    if refused.size:
        row, column = refused[0]
        raise DataError(
            f"unit {unit_name(values.index[row])}: the value of the time before is {float(base[row, column])!r}, and a "
            "percentage needs one above 0; choose another normalisation.",
            column=str(values.columns[column]),
            unit=values.index[row],
        )
    with np.errstate(all="ignore"):
        return labelled(100 * (cells - base) / base * signs, values)
