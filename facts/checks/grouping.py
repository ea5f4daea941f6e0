"""Counts, medians and quantiles by group, over arrays, without a loop over groups."""

import numpy as np


def codes_of(*columns: np.ndarray) -> tuple[np.ndarray, int]:
    """Number the different combinations of whole-number columns: (n,) group of each row, and how many groups.

    A row with a negative number in any column belongs to no group: −1.
    """
    known = np.ones(len(columns[0]), dtype=bool)
    joined = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        known &= column >= 0
        span = int(column.max(initial=0)) + 1
        joined = joined * span + np.maximum(column, 0)
    group = np.full(len(joined), -1)
    values, group[known] = np.unique(joined[known], return_inverse=True)
    return group, len(values)


def counts(group: np.ndarray, n_groups: int, keep: np.ndarray) -> np.ndarray:
    """Rows kept in each group, (n_groups,)."""
    keep = keep & (group >= 0)
    return np.bincount(group[keep], minlength=n_groups)


def quantile(values: np.ndarray, group: np.ndarray, n_groups: int, share: float = 0.5) -> np.ndarray:
    """The quantile of each group, (n_groups,), linear between neighbours; NaN is left out, an empty group is NaN."""
    keep = np.isfinite(values) & (group >= 0)
    values, group = values[keep], group[keep]
    order = np.lexsort((values, group))
    values = values[order]
    n = np.bincount(group, minlength=n_groups)
    start = np.concatenate([[0], np.cumsum(n)[:-1]]).astype(int)
    out = np.full(n_groups, np.nan)
    filled = n > 0
    place = share * (n[filled] - 1)
    low = np.floor(place).astype(int)
    high = np.ceil(place).astype(int)
    first, last = values[start[filled] + low], values[start[filled] + high]
    out[filled] = first + (last - first) * (place - low)
    return out


def spread_back(of_group: np.ndarray, group: np.ndarray) -> np.ndarray:
    """A figure of each group, given to each of its rows; NaN where a row has no group."""
    out = np.full(len(group), np.nan)
    inside = group >= 0
    out[inside] = of_group[group[inside]]
    return out
