"""Rank many replicates at once, and say what the ranks of each unit tell."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cci.engine.tables import FloatArray

# Whole numbers, 0 for no rank; half numbers too where ties share the mean of their places.
RankArray = NDArray[Any]
PART = 512  # units summarised together: 512 x 1,000 short ranks stay in the cache


def rank_rows(scores: FloatArray, *, ties: str = "min", tolerance: float = 1e-9) -> RankArray:
    """Rank each row, 1 for the highest score; 0 where there is no score. As `rank`, for rows of an array.

    scores : shape (n_replicates, n_units). Returns the same shape, the smallest integers that hold n_units
    (int16 below 32,768 units), for `average` float32.

    >>> rank_rows(np.array([[50.0, 0.1 + 0.2, 0.3, np.nan]])).tolist()
    [[1, 2, 2, 0]]
    """
    rows, n = scores.shape
    kind: type = np.float32 if ties == "average" else np.int16 if n < 2**15 else np.int32
    ranks: RankArray = np.empty((rows, n), dtype=kind)
    if not n:
        return ranks
    missing = np.isnan(scores)
    keys = np.where(missing, np.inf, -scores)
    order = keys.argsort(axis=1)
    ordered = np.take_along_axis(keys, order, axis=1)
    with np.errstate(invalid="ignore"):
        margin = tolerance * np.maximum(np.abs(ordered[:, 1:]), np.abs(ordered[:, :-1]))
        if missing.any():
            margin[np.isinf(margin)] = 0  # those without a score are no neighbours of the last one
        opens = ordered[:, 1:] - ordered[:, :-1] > margin
    place: NDArray[np.generic] = np.broadcast_to(np.arange(1, n + 1, dtype=kind), (rows, n))
    if not opens.all():
        opens = np.concatenate([np.ones((rows, 1), dtype=bool), opens], axis=1)
        if ties == "dense":
            place = np.cumsum(opens, axis=1, dtype=kind)
        else:
            first = np.maximum.accumulate(np.where(opens, place, 0), axis=1)
            place = first
            if ties == "average":
                closes = np.concatenate([opens[:, 1:], np.ones((rows, 1), dtype=bool)], axis=1)
                last = np.where(closes, np.arange(1, n + 1), n)[:, ::-1]
                place = (first + np.minimum.accumulate(last, axis=1)[:, ::-1]) / 2
    np.put_along_axis(ranks, order, place.astype(kind, copy=False), axis=1)
    if missing.any():
        ranks[missing] = 0
    return ranks


def rank_statistics(
    ranks: RankArray,
    nominal: RankArray,
    *,
    units: "pd.Index",
    quantiles: Sequence[float] = (0.05, 0.95),
    top: Sequence[int] = (10,),
    within: Sequence[int] = (1, 2, 5),
) -> pd.DataFrame:
    """Summarise the ranks of each unit over the replicates.

    ranks : shape (n_replicates, n_units), 0 where a replicate gives no rank. nominal : shape (n_units,), 0 for
        no rank. quantiles : in [0, 1], the first and last bound the interval; type 7 (NumPy's "linear").

    Returns, labelled by unit: `nominal`; `ranked`, the number of replicates that rank it; `mean`, `median`;
    `q5` … one per quantile; `q5_low`, `q5_high` … bounds of 95 % confidence for each quantile, ranks of the
    replicates themselves (the quantile of a finite sample is an estimate); `width` of the interval; `within_1`
    … share of replicates at most so many ranks from the nominal; `top_10` … share among the first so many;
    `note`, where the interval leaves the nominal rank out. NaN where no replicate ranks the unit.
    Method note, section 14.

    >>> ranks = np.array([[1, 2, 3], [2, 1, 3], [1, 2, 3], [1, 3, 2], [1, 2, 3]])
    >>> table = rank_statistics(ranks, np.array([1, 2, 3]), units=pd.Index(list("XYZ")), top=[1])
    >>> table[["nominal", "mean", "q5", "q95", "within_1", "top_1"]].round(2).values.tolist()
    [[1, 1.2, 1.0, 1.8, 1.0, 0.8], [2, 2.0, 1.2, 2.8, 1.0, 0.2], [3, 2.8, 2.2, 3.0, 1.0, 0.0]]
    """
    n = len(units)
    names = ["mean", "median"]
    for level in quantiles:
        names += [_named(level), f"{_named(level)}_low", f"{_named(level)}_high"]
    found = {
        name: np.full(n, np.nan) for name in (*names, *(f"within_{k}" for k in within), *(f"top_{m}" for m in top))
    }
    counts: NDArray[np.int64] = np.zeros(n, dtype=np.int64)
    for start in range(0, n, PART):
        part = slice(start, min(start + PART, n))
        block = np.array(ranks[:, part].T, order="C")  # a copy: it is sorted below
        counts[part] = (block > 0).sum(axis=1)
        distance = np.abs(block.astype(np.float32 if block.dtype.kind == "f" else np.int32) - nominal[part, None])
        there = (block > 0) & (nominal[part, None] > 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            found["mean"][part] = block.sum(axis=1, dtype=np.float64) / counts[part]
            for k in within:
                share = ((distance <= k) & there).sum(axis=1) / counts[part]
                found[f"within_{k}"][part] = np.where(nominal[part] > 0, share, np.nan)
            for m in top:
                found[f"top_{m}"][part] = ((block > 0) & (block <= m)).sum(axis=1) / counts[part]
        block.sort(axis=1)  # replicates without a rank stand first
        for count in np.unique(counts[part]):
            if count:
                rows = np.flatnonzero(counts[part] == count)
                _quantiles(found, start + rows, block[rows, -count:], quantiles)
    table = pd.DataFrame({"nominal": _whole(nominal), "ranked": counts}, index=units)
    low, high = _named(min(quantiles)), _named(max(quantiles))
    for name in names:
        table[name] = found.pop(name)
    table["width"] = table[high] - table[low]
    for name, column in found.items():
        table[name] = column
    outside = (nominal > 0) & ((nominal < table[low].to_numpy()) | (nominal > table[high].to_numpy()))
    table["note"] = np.where(outside, "the interval leaves the nominal rank out", "")
    return table


def neighbours(ranks: RankArray, nominal: RankArray, *, units: "pd.Index") -> pd.DataFrame:
    """How sure the order of neighbours is: each ranked unit and the next one below it in the nominal order.

    Arguments as `rank_statistics`. Returns the columns `unit`, `next`, `nominal`, `nominal_next`, `above` (share
    of the replicates that rank both in which the unit stands above the next, ties counted half) and `tied`.

    >>> neighbours(np.array([[1, 2], [1, 2], [2, 1], [1, 1]]), np.array([1, 2]), units=pd.Index(["X", "Y"]))
      unit next  nominal  nominal_next  above  tied
    0    X    Y        1             2  0.625  0.25
    """
    order = np.argsort(np.where(nominal > 0, nominal, np.inf), kind="stable")[: int((nominal > 0).sum())]
    upper, lower = order[:-1], order[1:]
    above, tied = np.full(len(upper), np.nan), np.full(len(upper), np.nan)
    by_unit = ranks.T
    for start in range(0, len(upper), PART):
        rows = np.ascontiguousarray(by_unit[order[start : start + PART + 1]])
        one, other = rows[:-1], rows[1:]
        both = (one > 0) & (other > 0)
        same, count = (both & (one == other)).sum(axis=1), both.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            tied[start : start + PART] = same / count
            above[start : start + PART] = ((both & (one < other)).sum(axis=1) + same / 2) / count
    columns = {"unit": units[upper], "next": units[lower], "nominal": nominal[upper], "nominal_next": nominal[lower]}
    return pd.DataFrame(columns | {"above": above, "tied": tied})


def _quantiles(
    found: dict[str, FloatArray], places: NDArray[np.intp], ordered: RankArray, levels: Sequence[float]
) -> None:
    """Type 7 quantiles of sorted rows, and order statistics around each that hold it in 95 % of samples."""
    n = ordered.shape[1]
    for name, level in (("median", 0.5), *((_named(level), level) for level in levels)):
        position = (n - 1) * level
        below = int(position)
        first, second = ordered[:, below].astype(np.float64), ordered[:, min(below + 1, n - 1)].astype(np.float64)
        found[name][places] = first + (position - below) * (second - first)
        if name != "median":
            # The binomial count of replicates below the quantile, by its normal approximation.
            half = 1.96 * np.sqrt(n * level * (1 - level))
            found[f"{name}_low"][places] = ordered[:, max(int(np.floor(n * level - half)) - 1, 0)]
            found[f"{name}_high"][places] = ordered[:, min(int(np.ceil(n * level + half)), n - 1)]


def _named(level: float) -> str:
    return f"q{100 * level:g}"


def _whole(ranks: RankArray) -> Any:
    if ranks.dtype.kind == "f":
        return pd.array(np.where(ranks > 0, ranks, np.nan))
    return pd.Series(ranks).astype("Int64").mask(ranks == 0).array
