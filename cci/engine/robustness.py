"""Ask how much the ranks rest on one element or one choice: leave it out, or do otherwise, and compare."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from cci.engine.aggregation import LevelRule, aggregate
from cci.engine.analysis.correlation import coefficients
from cci.engine.errors import DataError, unit_name
from cci.engine.meta import Hierarchy
from cci.engine.ranking import rank

NOMINAL = "Nominal"


@dataclass(frozen=True)
class Removal:
    """What leaving out each element does.

    summary : one row per element, in the order of the meta: element, level, parent, removed (the element
        whose weight became 0: the element, or its group where it alone has weight there; empty at the
        top), mean_abs_rank_change, max_abs_rank_change, n_moved (units whose rank changes), moved_most
        (the unit of the maximum), n_lost (units without a score then), spearman (with the nominal
        scores).
    scores, ranks : shape (n_units, 1 + n_elements); the first column, `Nominal`, leaves out nothing.
    """

    summary: pd.DataFrame
    scores: pd.DataFrame
    ranks: pd.DataFrame


def removal(
    normalised: pd.DataFrame,
    hierarchy: Hierarchy,
    rules: Sequence[LevelRule],
    *,
    target: str | None = None,
    elements: Sequence[str] | None = None,
    ties: str = "min",
    tolerance: float = 1e-9,
    **aggregation: Any,
) -> Removal:
    """Set the weight of one element after the other to 0, score and rank again, and compare with all in.

    It is left out of the aggregation only: screening, imputation and treatment stay as they are, and the
    limits on missing components still count it, so a unit loses its score only where nothing that weighs
    is left to it. Ranks are compared among the units that have a score both times.

    normalised, rules, aggregation : as for `aggregate`. target : the aggregate whose ranks are watched;
    without it the top. elements : those to leave out; without it all below the target.
    ties, tolerance : as for `rank`. Where the index is (uCode, Time), ranks are made within each Time.

    Raises ValueError for an unknown target or element, or for several tops without a target. Method note,
    section 13 (COINr `remove_elements`).

    >>> from cci.engine.meta import read_meta
    >>> tree = read_meta(pd.DataFrame({"Level": [1, 1, 2], "iCode": ["a", "b", "T"], "Parent": ["T", "T", ""],
    ...                                "Direction": [1, 1, 1], "Weight": [1, 1, 1]}))
    >>> scaled = pd.DataFrame({"a": [0.0, 50.0, 100.0], "b": [100.0, 60.0, 5.0]}, index=list("XYZ"))
    >>> found = removal(scaled, tree, [LevelRule()])
    >>> found.summary[["element", "max_abs_rank_change", "moved_most"]].to_dict("records")[0]
    {'element': 'a', 'max_abs_rank_change': 2.0, 'moved_most': 'X'}
    >>> found.ranks.to_dict("list")
    {'Nominal': [3, 1, 2], 'a': [1, 2, 3], 'b': [3, 2, 1]}
    """
    tops = [code for code in hierarchy.aggregates if code not in hierarchy.parents]
    if target is None:
        if len(tops) != 1:
            raise ValueError(f"The hierarchy has {len(tops)} tops ({', '.join(tops)}); name one as the target.")
        target = tops[0]
    if target not in hierarchy.aggregates:
        raise ValueError(f"The hierarchy has no aggregate {target}; name one of {', '.join(hierarchy.aggregates)}.")
    below = [c for c in (*hierarchy.indicators, *hierarchy.aggregates) if target in _path(c, hierarchy)[1:]]
    chosen = below if elements is None else list(elements)
    unknown = [code for code in chosen if code not in below]
    if unknown:
        raise ValueError(f"Not below {target}: {', '.join(unknown)}; name elements that are.")

    scored = {NOMINAL: aggregate(normalised, hierarchy, rules, **aggregation)[target]}
    weightless = {code: _weightless(code, target, hierarchy) for code in chosen}
    for code, removed in weightless.items():
        weights = hierarchy.weights.copy()
        weights[removed] = 0.0
        scored[code] = (
            aggregate(normalised, replace(hierarchy, weights=weights), rules, **aggregation)[target]
            if removed
            else pd.Series(np.nan, index=normalised.index)
        )
    scores = pd.DataFrame(scored).sort_index()
    ranks = _ranks(scores, ties=ties, tolerance=tolerance)
    nominal, rows = scores[NOMINAL], []
    for code, removed in weightless.items():
        changed = scores[code]
        row = {"element": code, "level": hierarchy.levels[code], "parent": hierarchy.parents[code], "removed": removed}
        row |= _change_figures(_rank_changes(nominal, changed, ties=ties, tolerance=tolerance, ranks=ranks))
        row["n_lost"] = int((nominal.notna() & changed.isna()).sum())
        rows.append({**row, "spearman": _agreement(nominal, changed, "spearman")})
    return Removal(pd.DataFrame(rows), scores, ranks)


@dataclass(frozen=True)
class Alternatives:
    """Versions of one index side by side.

    ranks : shape (n_units, n_versions). changes : shape (n_units, n_versions - 1), places gained against
        the first version, among the units that both score.
    agreement : one row per pair of versions: first, second, n_common, n_moved, mean_abs_rank_change,
        max_abs_rank_change, moved_most, pearson, spearman, kendall (of the scores).
    """

    ranks: pd.DataFrame
    changes: pd.DataFrame
    agreement: pd.DataFrame


def alternatives(
    versions: "Mapping[str, pd.Series[float]]", *, ties: str = "min", tolerance: float = 1e-9
) -> Alternatives:
    """Put the ranks of several versions of an index side by side and say how far they agree.

    versions : scores of the same index made otherwise (another mean, other weights …), by name, labelled
        by unit; the first is the one to compare with. Scales may differ. NaN: no score.

    Raises ValueError for fewer than two versions, DataError for a unit that stands twice. Method note,
    section 13 (COINr `compare_coins`, whose difference has the same sign: first less second).

    >>> units = list("WXYZ")
    >>> found = alternatives({"arithmetic": pd.Series([60.0, 50.0, 40.0, 10.0], index=units),
    ...                       "geometric": pd.Series([40.0, 45.0, 39.0, 1.0], index=units)})
    >>> found.changes["geometric"].tolist(), found.agreement[["n_moved", "spearman"]].to_dict("records")
    ([-1, 1, 0, 0], [{'n_moved': 2, 'spearman': 0.8}])
    """
    if len(versions) < 2:
        raise ValueError("Alternatives need at least two versions.")
    for scores in versions.values():
        refuse_doubles(scores.index)
    table, names = pd.DataFrame(dict(versions)).sort_index(), list(versions)
    how: dict[str, Any] = {"ties": ties, "tolerance": tolerance}
    changes = {name: _rank_changes(table[names[0]], table[name], **how) for name in names[1:]}
    rows = []
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            change = _rank_changes(table[first], table[second], **how)
            rows.append(
                {
                    "first": first,
                    "second": second,
                    "n_common": int(change.notna().sum()),
                    **_change_figures(change),
                    **{m: _agreement(table[first], table[second], m) for m in ("pearson", "spearman", "kendall")},
                }
            )
    moves = pd.DataFrame(changes, index=table.index)
    return Alternatives(
        ranks=_ranks(table, **how),
        changes=moves if ties == "average" else moves.astype("Int64"),
        agreement=pd.DataFrame(rows),
    )


def movers(found: Alternatives) -> pd.DataFrame:
    """The units whose rank another version changes, version by version, those that move most first.

    found : see `alternatives`. Returns one row per version and unit: version, uCode (and Time), rank (in the first
    version), rank_in_version, places (gained; missing where one of the ranks is), note (`no rank in the version`,
    `no rank in the first`, or empty). Both ranks are among all units that the version in question scores; places
    are counted among the units that both score. Units that stay are left out.

    >>> units = pd.Index(list("WXYZ"), name="uCode")
    >>> found = alternatives({"arithmetic": pd.Series([60.0, 50.0, 40.0, 10.0], index=units),
    ...                       "geometric": pd.Series([40.0, 45.0, 39.0, 1.0], index=units)})
    >>> movers(found)[["version", "uCode", "rank", "rank_in_version", "places"]].values.tolist()
    [['geometric', 'W', 1, 2, -1], ['geometric', 'X', 2, 1, 1]]
    """
    first, units = found.ranks.columns[0], found.ranks.index
    parts = []
    for version in found.changes.columns:
        places, own, other = found.changes[version], found.ranks[first], found.ranks[version]
        size = places.abs().to_numpy(dtype=np.float64, na_value=np.nan)
        note = np.select(
            [own.notna() & other.isna(), own.isna() & other.notna()],
            ["no rank in the version", "no rank in the first"],
            default="",
        )
        # Those without two ranks come last; units in their order where they move as far.
        order = np.argsort(-np.nan_to_num(size, nan=-1.0), kind="stable")
        order = order[(size[order] > 0) | (note[order] != "")]
        part = units[order].to_frame(index=False)
        part.columns = pd.Index(["uCode", "Time"][: units.nlevels])
        part.insert(0, "version", version)
        part["rank"], part["rank_in_version"] = own.iloc[order].array, other.iloc[order].array
        part["places"], part["note"] = places.iloc[order].array, note[order]
        parts.append(part)
    table: pd.DataFrame = pd.concat(parts, ignore_index=True)
    return table


def refuse_doubles(units: "pd.Index[Any]") -> None:
    """Raise DataError, naming the unit, where one stands twice."""
    if not units.is_unique:
        unit = units[units.duplicated()][0]
        raise DataError(f"unit {unit_name(unit)} stands twice; keep one row of it.", unit=unit)


def _path(code: str, hierarchy: Hierarchy) -> list[str]:
    """The element, its parent, and so on up to the top."""
    path = [code]
    while path[-1] in hierarchy.parents:
        path.append(hierarchy.parents[path[-1]])
    return path


def _weightless(code: str, target: str, hierarchy: Hierarchy) -> str:
    """The element to set to 0: the code, or the highest group that would have no weight without it; else ''."""
    for element in _path(code, hierarchy):
        if element == target:
            break
        siblings = [c for c in hierarchy.components(hierarchy.parents[element]) if c != element]
        if float(hierarchy.weights[siblings].sum()) > 0:
            return element
    return ""


def _ranks(scores: pd.DataFrame, *, ties: str, tolerance: float) -> pd.DataFrame:
    if scores.index.nlevels == 1:
        return rank(scores, ties=ties, tolerance=tolerance)
    times = scores.index.get_level_values(-1)
    parts = [rank(scores[times == time], ties=ties, tolerance=tolerance) for time in times.unique()]
    return pd.concat(parts).loc[scores.index] if parts else rank(scores, ties=ties, tolerance=tolerance)


def _rank_changes(
    first: pd.Series, second: pd.Series, *, ties: str, tolerance: float, ranks: pd.DataFrame | None = None
) -> pd.Series:
    """Places gained from the first to the second, among the units with both; NaN for the others.

    ranks : of both, if known; they serve where both score the same units.
    """
    both = first.notna() & second.notna()
    if ranks is None or not (first.notna() == second.notna()).all():
        ranks = _ranks(
            pd.DataFrame({first.name: first.where(both), second.name: second.where(both)}),
            ties=ties,
            tolerance=tolerance,
        )
    old, new = (ranks[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in (first.name, second.name))
    return pd.Series(old - new, index=first.index)


def _change_figures(change: pd.Series) -> dict[str, Any]:
    size = change.abs()
    known = bool(size.notna().any())
    most = unit_name(size.idxmax()) if known and size.max() > 0 else ""
    return {
        "mean_abs_rank_change": float(size.mean()) if known else np.nan,
        "max_abs_rank_change": float(size.max()) if known else np.nan,
        "n_moved": int((size > 0).sum()),
        "moved_most": most,
    }


def _agreement(first: pd.Series, second: pd.Series, method: str) -> float:
    r, _ = coefficients(
        first.to_numpy(dtype=np.float64)[:, None], second.to_numpy(dtype=np.float64)[:, None], method=method
    )
    return float(r[0, 0])
