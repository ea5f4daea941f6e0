"""Keep the units that have enough data."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

METHODS = ("by_na", "by_zeros", "by_na_and_zeros")


def screen(
    values: pd.DataFrame,
    *,
    method: str = "by_na",
    min_available: float = 2 / 3,
    min_nonzero: float = 0.05,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    exact_counts: bool = True,
) -> pd.DataFrame:
    """Count each unit's data and say which units stay.

    values : shape (n_units, n_indicators), each column in its own unit; NaN means missing.
    method : `by_na` keeps a unit whose share of available indicators reaches `min_available`;
        `by_zeros` one whose share of non-zero values among the available reaches `min_nonzero`;
        `by_na_and_zeros` asks for both. A unit without any data has no share of non-zero values and
        fails `by_zeros`.
    include, exclude : unit codes that stay or leave whatever their data.
    exact_counts : compare whole counts, n_available >= ceil(share * n - 1e-9). False compares
        1 - missing / n with the share in floating point, as COINr does, which drops a unit with 66 of
        100 indicators at 0.66.

    Returns, labelled as the units, the columns `available`, `zeros` (counts), `available_share`,
    `nonzero_share` (NaN without data) and `kept` (bool). Method note, section 1 (COINr `Screen`).

    >>> values = pd.DataFrame({"a": [1.0, None], "b": [0.0, None], "c": [2.0, 5.0]}, index=["X", "Y"])
    >>> screen(values, min_available=2 / 3)["kept"].to_dict()
    {'X': True, 'Y': False}
    """
    if method not in METHODS:
        raise ValueError(f"{method!r} is no screening method; choose {', '.join(METHODS)}.")
    cells = values.to_numpy(dtype=np.float64)
    n_indicators = cells.shape[1]
    available = np.count_nonzero(~np.isnan(cells), axis=1)
    zeros = np.count_nonzero(cells == 0, axis=1)
    available_share = 1 - (n_indicators - available) / n_indicators
    nonzero_share = np.full(len(available), np.nan)
    np.divide(zeros, available, out=nonzero_share, where=available > 0)
    nonzero_share = 1 - nonzero_share

    if exact_counts:
        enough_data = available >= math.ceil(min_available * n_indicators - 1e-9)
        enough_nonzero = available - zeros >= np.ceil(min_nonzero * available - 1e-9)
    else:
        enough_data = available_share >= min_available
        enough_nonzero = nonzero_share >= min_nonzero
    enough_nonzero &= available > 0
    kept = {
        "by_na": enough_data,
        "by_zeros": enough_nonzero,
        "by_na_and_zeros": enough_data & enough_nonzero,
    }[method]
    codes = values.index.get_level_values(0)
    kept = (kept | codes.isin(include)) & ~codes.isin(exclude)
    return pd.DataFrame(
        {
            "available": available,
            "zeros": zeros,
            "available_share": available_share,
            "nonzero_share": nonzero_share,
            "kept": kept,
        },
        index=values.index,
    )
