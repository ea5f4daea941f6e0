"""The copy-forward tests X02 and X03, over arrays."""

import numpy as np

MONEY_ITEMS = ("UC01", "UD01", "UB09", "UD04", "UD06", "UE01")


def copied_forward(now: dict[str, np.ndarray], before: dict[str, np.ndarray]) -> np.ndarray:
    """Say which units repeat last year's money figures by one factor, or to the last digit (checks X02 and X03).

    Arrays (n_units,) by item, NaN where missing or unmatched. True where at least three of the six money items share
    the same growth within ±0.0005.
    """
    growth = []
    for item in MONEY_ITEMS:
        with np.errstate(divide="ignore", invalid="ignore"):
            g = now[item] / before[item] - 1
        growth.append(np.where((now[item] > 0) & (before[item] > 0), g, np.nan))
    table = np.sort(np.vstack(growth), axis=0)  # NaN sorts last
    found = np.zeros(table.shape[1], dtype=bool)
    for start in range(len(MONEY_ITEMS) - 2):
        with np.errstate(invalid="ignore"):
            found |= table[start + 2] - table[start] <= 0.001
    return found
