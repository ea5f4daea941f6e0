"""Say of each unit what it is strong and weak at, and what its scores are."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cci.engine.analysis.columns import cells
from cci.engine.meta import Hierarchy
from cci.engine.ranking import rank
from cci.engine.tables import FloatArray

RULES = ("gii", "peers", "coinr")
KINDS = ("strength", "weakness", "shared_last")
BoolArray = NDArray[np.bool_]


def strengths_and_weaknesses(
    values: pd.DataFrame,
    *,
    directions: "pd.Series[float]",
    rule: str = "gii",
    groups: "pd.Series[Any] | None" = None,
    imputed: pd.DataFrame | None = None,
    covered: pd.DataFrame | None = None,
    parents: Mapping[str, str] | None = None,
    count: int | None = None,
    always: int = 3,
    max_tied_share: float = 0.2,
    width: float = 1.0,
    min_peers: int = 5,
    min_discard: bool = True,
    tolerance: float = 1e-9,
) -> pd.DataFrame:
    """List the indicators on which each unit stands out.

    values : shape (n_units, n_indicators), raw or normalised; NaN means missing. Where the index is
        (uCode, Time), the units of each Time are compared among themselves.
    directions : labelled by indicator, +1 where more is better, -1 where less is (all +1 for normalised).
    rule :
        `gii` (Global Innovation Index 2023): strengths are the indicators whose percentile rank, the share of
        the other units that are worse, is at least the unit's `count`-th highest (10; ties may add), and
        those ranked `always` (3) or better; weaknesses the same from the bottom. No more than half of a
        unit's indicators are on either side by their percentile, and one that is on both is on neither. A
        strength is ranked in the better half of the units, a weakness in the worse: a rank that many share may
        be among the last three and yet in the better half.
        `peers`: strength above the peers' mean + `width` sd, weakness below mean - `width` sd.
        `coinr`: the `count` (5) best and worst ranks, ties in the order of the columns; `min_discard` drops
        first all indicators on which the unit is last or tied last, and so hides the worst.
    groups : labelled by unit; units are compared within their group, those without one not at all.
    imputed : bool, shape of `values`; such cells are as if missing.
    covered : bool, shape (n_units, n_groups), with `parents` (code of the group of each indicator): no
        indicator of a group that is False (its data are too thin) is signalled for that unit.
    max_tied_share : with `gii` and `peers`, a last place shared by more than this share of the units is no
        unit's weakness; it is listed as `shared_last`.
    min_peers : with `gii` and `peers`, least number of units, itself included, that have the indicator.

    Returns one row per unit and signal, sorted by unit, kind and rank: uCode (and Time), kind
    (`strength`, `weakness`, `shared_last`), indicator, group (of the indicator, if parents are given),
    value, rank (1 is best), n (units ranked), percentile (in [0, 1]), tied (units with that value, itself
    included), mean and sd of the peers (in the unit of the indicator). Raises ValueError for an unknown
    rule or a missing direction, DataError for an infinite value. Method note, section 12.

    >>> values = pd.DataFrame({"a": [9.0, 5.0, 4.0, 3.0, 2.0, 1.0], "b": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]},
    ...                       index=list("UVWXYZ"))
    >>> found = strengths_and_weaknesses(values, directions=pd.Series({"a": 1, "b": -1}), rule="peers")
    >>> found[["uCode", "kind", "indicator", "rank"]].to_dict("split")["data"]
    [['U', 'strength', 'a', 1], ['U', 'strength', 'b', 1], ['Z', 'weakness', 'a', 6], ['Z', 'weakness', 'b', 6]]
    """
    if rule not in RULES:
        raise ValueError(f"{rule!r} is no rule; choose {', '.join(RULES)}.")
    absent = [str(code) for code in values.columns if code not in directions.index]
    if absent:
        raise ValueError(f"No direction for {', '.join(absent)}.")
    if covered is not None and parents is None:
        raise ValueError("Coverage is by group: give the parents of the indicators too.")
    count = count if count is not None else (5 if rule == "coinr" else 10)
    values = values.sort_index()
    cells(values)  # refuses infinite values by name
    used = values if imputed is None else values.mask(imputed.loc[values.index, values.columns])
    signs: FloatArray = np.asarray(directions[list(values.columns)], dtype=np.float64)
    oriented: FloatArray = used.to_numpy(dtype=np.float64) * signs
    allowed = _allowed(values, covered, parents)

    parts: list[pd.DataFrame] = []
    # Without anything to compare the table still has its columns.
    for places in [*_comparable(values.index, groups)] or [np.empty(0, dtype=np.intp)]:
        standing, may = _Standing(oriented[places], tolerance), allowed[places]
        if rule == "gii":
            kinds = _gii(standing, may, count, always, max_tied_share, min_peers)
        elif rule == "peers":
            kinds = _peers(standing, may, width, max_tied_share, min_peers)
        else:
            kinds = _coinr(standing, may, count, min_discard)
        parts.extend(_signals(order, kinds[kind], standing, places) for order, kind in enumerate(KINDS))
    table = pd.concat(parts, ignore_index=True)
    table = table.sort_values(["unit", "kind", "rank", "column"], kind="stable", ignore_index=True)
    return _labelled(table, values, signs, parents)


def summary(
    scores: pd.DataFrame,
    hierarchy: Hierarchy,
    *,
    groups: "pd.Series[Any] | None" = None,
    ties: str = "min",
    tolerance: float = 1e-9,
) -> pd.DataFrame:
    """The scores and ranks of each unit, from the top down.

    scores : shape (n_units, n_aggregates); NaN has no rank. groups : as for `strengths_and_weaknesses`;
    ranks are then within the group.

    Returns one row per unit and aggregate, sorted by unit: uCode (and Time), element, level, score, rank,
    n_ranked. Method note, section 12 (COINr `get_unit_summary`).

    >>> from cci.engine.meta import read_meta
    >>> tree = read_meta(pd.DataFrame({"Level": [1, 2, 3], "iCode": ["a", "P", "T"], "Parent": ["P", "T", ""],
    ...                                "Direction": [1, 1, 1], "Weight": [1, 1, 1]}))
    >>> scored = pd.DataFrame({"P": [10.0, 20.0], "T": [30.0, 20.0]}, index=pd.Index(["X", "Y"], name="uCode"))
    >>> summary(scored, tree)[["uCode", "element", "rank", "n_ranked"]].to_dict("split")["data"]
    [['X', 'T', 1, 2], ['X', 'P', 2, 2], ['Y', 'T', 2, 2], ['Y', 'P', 1, 2]]
    """
    codes = [
        code
        for level in range(hierarchy.top_level, 1, -1)
        for code in hierarchy.at_level(level)
        if code in scores.columns
    ]
    scores = scores[codes].sort_index()
    ranks = pd.DataFrame(np.nan, index=scores.index, columns=codes)
    n_ranked = np.zeros(scores.shape)
    for places in _comparable(scores.index, groups):
        part = rank(scores.iloc[places], ties=ties, tolerance=tolerance)
        ranks.iloc[places] = part.to_numpy(dtype=np.float64, na_value=np.nan)
        n_ranked[places] = scores.iloc[places].notna().sum().to_numpy()
    n, k = scores.shape
    table = scores.index.repeat(k).to_frame(index=False)
    table.columns = _names(scores.index)
    numbers = ranks.to_numpy(dtype=np.float64).ravel()
    return table.assign(
        element=np.tile(np.array(codes, dtype=object), n),
        level=np.tile([hierarchy.levels[code] for code in codes], n),
        score=scores.to_numpy(dtype=np.float64).ravel(),
        rank=numbers if ties == "average" else pd.array(numbers, dtype="Int64"),
        n_ranked=n_ranked.ravel().astype(np.int64),
    )


class _Standing:
    """Where each of some comparable units stands on each indicator. oriented : (n_units, k), more is better."""

    def __init__(self, oriented: FloatArray, tolerance: float) -> None:
        frame = pd.DataFrame(oriented)
        self.oriented = oriented
        self.present: BoolArray = ~np.isnan(oriented)
        # 1 for the best; missing ones have none.
        ranks: FloatArray = rank(frame, ties="min", tolerance=tolerance).to_numpy(dtype=np.float64, na_value=np.nan)
        self.rank = ranks
        self.n = self.present.sum(axis=0)
        self.tied = np.zeros(oriented.shape, dtype=np.int64)
        for column in range(oriented.shape[1]):
            there = self.present[:, column]
            places = ranks[there, column].astype(np.int64)
            self.tied[there, column] = np.bincount(places)[places] if places.size else 0
        self.worse = self.n - (self.rank - 1) - self.tied
        with np.errstate(divide="ignore", invalid="ignore"):
            self.percentile: FloatArray = np.where(self.n > 1, self.worse / (self.n - 1), np.nan)
            total = np.where(self.present, oriented, 0).sum(axis=0)
            self.mean: FloatArray = np.where(self.n > 0, total / self.n, np.nan)
            square = np.where(self.present, oriented - self.mean, 0) ** 2
            self.sd: FloatArray = np.where(self.n > 1, np.sqrt(square.sum(axis=0) / (self.n - 1)), np.nan)


def _gii(
    standing: _Standing, may: BoolArray, count: int, always: int, max_tied_share: float, min_peers: int
) -> dict[str, BoolArray]:
    usable = may & standing.present & (standing.n >= max(min_peers, 2))
    last = (standing.worse == 0) & (standing.tied < standing.n)
    shared = usable & last & (standing.tied > max_tied_share * standing.n + 1e-9)
    usable &= ~shared
    percentile = np.where(usable, standing.percentile, np.nan)
    available = usable.sum(axis=1)
    # A unit with few indicators is not to have all of them on both lists.
    wanted = np.minimum(count, available // 2)
    ascending = np.sort(percentile, axis=1)  # missing ones last
    units = np.arange(len(percentile))
    with np.errstate(invalid="ignore"):
        top = ascending[units, np.maximum(available - wanted, 0).clip(max=max(percentile.shape[1] - 1, 0))]
        bottom = ascending[units, np.maximum(wanted - 1, 0)]
        high = (percentile >= top[:, None] - 1e-12) & (wanted > 0)[:, None]
        low = (percentile <= bottom[:, None] + 1e-12) & (wanted > 0)[:, None]
        high |= usable & (standing.rank <= always)
        low |= usable & (standing.worse < always)
        better = standing.rank <= standing.n / 2
    both = high & low
    return {"strength": high & ~both & better, "weakness": low & ~both & ~better, "shared_last": shared}


def _peers(
    standing: _Standing, may: BoolArray, width: float, max_tied_share: float, min_peers: int
) -> dict[str, BoolArray]:
    usable = may & standing.present & (standing.n >= max(min_peers, 2)) & (standing.sd > 0)
    # Equal values have sd 0, but for rounding: told by all being tied.
    usable &= standing.tied < standing.n
    with np.errstate(invalid="ignore"):
        high = usable & (standing.oriented > standing.mean + width * standing.sd)
        low = usable & (standing.oriented < standing.mean - width * standing.sd)
    shared = usable & (standing.worse == 0) & (standing.tied > max_tied_share * standing.n + 1e-9)
    return {"strength": high, "weakness": low & ~shared, "shared_last": shared}


def _coinr(standing: _Standing, may: BoolArray, count: int, min_discard: bool) -> dict[str, BoolArray]:
    usable = may & standing.present
    if min_discard:
        highest = np.nanmax(np.where(standing.present, standing.rank, 0), axis=0, initial=0)
        usable &= standing.rank != highest
    ranks = np.where(usable, standing.rank, np.nan)
    order = np.argsort(ranks, axis=1, kind="stable")  # unusable ones last
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.broadcast_to(np.arange(order.shape[1]), order.shape), axis=1)
    available = usable.sum(axis=1)[:, None]
    return {
        "strength": usable & (place < count),
        "weakness": usable & (place >= available - count),
        "shared_last": np.zeros_like(usable),
    }


def _allowed(values: pd.DataFrame, covered: pd.DataFrame | None, parents: Mapping[str, str] | None) -> BoolArray:
    allowed = np.ones(values.shape, dtype=bool)
    if covered is not None and parents is not None:
        covered = covered.loc[values.index]
        for column, code in enumerate(values.columns):
            group = parents.get(str(code), "")
            if group not in covered.columns:
                raise ValueError(f"No coverage for {group}, the group of {code}.")
            allowed[:, column] = covered[group].to_numpy(dtype=bool)
    return allowed


def _comparable(units: "pd.Index[Any]", groups: "pd.Series[Any] | None") -> Iterator[NDArray[np.intp]]:
    """The places of the units that are compared among themselves: of one time and one group."""
    keys = pd.DataFrame(index=pd.RangeIndex(len(units)))
    keys["time"] = units.get_level_values(-1) if units.nlevels > 1 else 0
    if groups is None:
        keys["group"] = 0
    elif units.nlevels > 1 and groups.index.nlevels == 1:
        keys["group"] = groups.reindex(units.get_level_values(0)).to_numpy()
    else:
        keys["group"] = groups.reindex(units).to_numpy()
    for places in keys.groupby(["time", "group"], sort=True).indices.values():
        yield np.asarray(places, dtype=np.intp)


def _names(units: "pd.Index[Any]") -> list[str]:
    return ["uCode", "Time"][: units.nlevels]


def _signals(kind: int, marked: BoolArray, standing: _Standing, places: NDArray[np.intp]) -> pd.DataFrame:
    """One row per marked cell, with the numbers of its unit, kind and column."""
    units, columns = np.nonzero(marked)
    return pd.DataFrame(
        {
            "unit": places[units],
            "kind": kind,
            "column": columns,
            "rank": standing.rank[units, columns].astype(np.int64),
            "n": standing.n[columns],
            "percentile": standing.percentile[units, columns],
            "tied": standing.tied[units, columns],
            "mean": standing.mean[columns],
            "sd": standing.sd[columns],
        }
    )


def _labelled(
    table: pd.DataFrame, values: pd.DataFrame, signs: FloatArray, parents: Mapping[str, str] | None
) -> pd.DataFrame:
    rows, columns = table["unit"].to_numpy(), table["column"].to_numpy()
    units, codes = values.index[rows], values.columns.to_numpy(dtype=object)[columns]
    result = pd.DataFrame({name: units.get_level_values(level) for level, name in enumerate(_names(units))})
    result["kind"] = np.array(KINDS, dtype=object)[table["kind"].to_numpy()]
    result["indicator"] = codes
    if parents is not None:
        result["group"] = [parents.get(str(code), "") for code in codes]
    result["value"] = values.to_numpy(dtype=np.float64)[rows, columns]
    figures = table[["rank", "n", "percentile", "tied", "mean", "sd"]]
    return result.join(figures.assign(mean=figures["mean"] * signs[columns]))
