"""Fill the gaps of a table of units by a named method, and keep a record of every cell filled."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from cci.engine.errors import ConfigError, DataError, unit_name
from cci.engine.imputation import panel
from cci.engine.imputation.column import fill_columns, fill_groups
from cci.engine.imputation.grid import BoolArray, Fill, Grid, IntArray, grid_of, refuse_too_large
from cci.engine.imputation.multivariate import fill_em
from cci.engine.imputation.neighbours import fill_knn
from cci.engine.imputation.row import fill_rows
from cci.engine.meta import Hierarchy
from cci.engine.screening import indicators_below
from cci.engine.tables import FloatArray

METHODS = (
    "none",
    *("mean", "median"),
    *("group_mean", "group_median"),
    *("row_mean", "row_median"),
    *panel.METHODS,
    *("em", "knn"),
)


@dataclass(frozen=True)
class Imputation:
    """A table with its gaps filled, and what was done.

    values : labelled as the table given; what was observed is the same to the bit.
    cells : one row per filled cell: uCode[, Time], indicator, value, method, source_time (the time of the
        value used), source_time_to (the later end of an interpolation), fallback (filled by a cruder
        statistic than the method's own). Sorted by unit, time and indicator.
    left : one row per gap that stays: uCode[, Time], indicator, reason.
    report : counts (filled, left, fallback), and what the method adds; for `em` by time where the data
        hold several.
    """

    values: pd.DataFrame
    cells: pd.DataFrame
    left: pd.DataFrame
    report: dict[str, Any] = field(default_factory=dict)


def impute(
    values: pd.DataFrame,
    *,
    method: str = "none",
    groups: "pd.Series | None" = None,
    hierarchy: Hierarchy | None = None,
    normalise_first: bool = True,
    within_level: int | None = None,
    max_periods: float | None = None,
    neighbours: int = 5,
    ridge: float | None = None,
    max_iterations: int = 500,
    tolerance: float = 1e-6,
    keep_range: bool = True,
    fallback: bool = True,
    scope: str = "time",
) -> Imputation:
    """Fill the gaps of a table.

    values : shape (n_units, n_indicators), each column in its own unit, labelled by uCode or by
        (uCode, Time); NaN means missing.
    method : `none`; `mean`, `median` of the indicator; `group_mean`, `group_median` over the units of the
        same group (needs `groups`); `row_mean`, `row_median` of the unit's own other indicators (needs
        the `hierarchy`); `latest`, `linear`, `constant`, `linear_constant` over time (need several
        times, see `fill_panel`); `em`, multivariate normal (see `fill_em`); `knn`, nearest neighbours
        (see `donors`).
    groups : a label per unit, by uCode or as the values; NaN or "" for a unit without a group, whose
        gaps stay.
    normalise_first, within_level : for the rows: scale indicators first (see `fill_rows`); go only by
        the indicators below the same aggregate of this level, 2 for pillars; None for all.
    max_periods : for `latest`, how far back, in the unit of Time; where Time is text, in times of the data.
    neighbours : for `knn`. ridge, max_iterations, tolerance, keep_range : for `em`.
    fallback : where a group has no value take the indicator's over all units, and where a unit has
        nothing in the section take all its indicators, and mark the cell. False leaves the gap, as COINr.
    scope : where the data hold several times, methods that compare units do so within each `time`, so
        that no later value finds its way into an earlier edition; `all` pools the times.

    The result does not depend on the order of rows or columns. Raises DataError, naming the place, for
    a unit given twice or without a row in `groups`, numbers beyond 1e300, too little data for `em`;
    ConfigError for a method without what it needs. Method note, section 3 (COINr `Impute`, `impute_panel`).

    >>> values = pd.DataFrame({"a": [1.0, 2.0, None]}, index=pd.Index(["X", "Y", "Z"], name="uCode"))
    >>> result = impute(values, method="mean")
    >>> result.values["a"].tolist(), result.cells[["uCode", "indicator", "value"]].to_dict("records")
    ([1.0, 2.0, 1.5], [{'uCode': 'Z', 'indicator': 'a', 'value': 1.5}])
    """
    if method not in METHODS:
        raise _refusal(f"{method!r} is not known; choose {', '.join(METHODS)}.", "method")
    if scope not in ("time", "all"):
        raise _refusal(f"{scope!r} is not known; choose time, all.", "scope")
    grid = grid_of(values)
    several = isinstance(values.index, pd.MultiIndex)
    if method in panel.METHODS and not several:
        raise _refusal(f"{method} fills from other times, and the data hold one; give a Time to each row.", "method")
    numbers = sections = directions = None
    if method.startswith("group_"):
        if groups is None:
            raise _refusal(f"{method} needs a group for each unit; name the column.", "group")
        numbers = group_numbers(groups, grid.units)
    if method.startswith("row_"):
        sections, directions = _sections(grid, hierarchy, within_level, normalise_first)

    def fill(rows: IntArray) -> Fill:
        cells = grid.cells[rows]
        kind = method.rpartition("_")[2]
        if sections is not None:
            return fill_rows(cells, kind, sections=sections, directions=directions, fallback=fallback)
        if numbers is not None:
            return fill_groups(cells, kind, numbers[rows], fallback=fallback)
        if method == "em":
            return fill_em(
                cells,
                grid.codes,
                ridge=ridge,
                max_iterations=max_iterations,
                tolerance=tolerance,
                keep_range=keep_range,
            )
        if method == "knn":
            return fill_knn(cells, neighbours=neighbours)
        return fill_columns(cells, method)

    everything = np.arange(len(grid.cells))
    if method == "none":
        gaps = np.isnan(grid.cells)
        done = Fill(grid.cells, np.zeros_like(gaps), [(gaps, "no imputation was asked for")])
    elif method in panel.METHODS:
        units, _ = pd.factorize(grid.units.get_level_values(0))
        done = panel.fill_panel(grid.cells, units, _times(grid, method), method, max_periods=max_periods)
    elif several and scope == "time":
        times = grid.units.get_level_values(1)
        parts = [(time, np.flatnonzero(times == time)) for time in times.unique().sort_values()]
        done = _joined(grid.cells, [(time, rows, _at(time, fill, rows)) for time, rows in parts])
    else:
        done = fill(everything)
    refuse_too_large(done.values, grid, "the value imputed is infinite or too large; use a larger unit of measure")
    return _imputation(grid, done, method)


def group_numbers(groups: "pd.Series", units: "pd.Index") -> IntArray:
    """Number the groups 0, 1, … in the order of their labels; -1 for a unit without one."""
    index = units
    if isinstance(units, pd.MultiIndex) and not isinstance(groups.index, pd.MultiIndex):
        index = units.get_level_values(0)
    if groups.index.has_duplicates:
        unit = groups.index[groups.index.duplicated()][0]
        raise DataError(f"unit {unit_name(unit)} has two groups; keep one.", unit=unit)
    place = groups.index.get_indexer(index)
    if (place < 0).any():
        unit = units[int(np.flatnonzero(place < 0)[0])]
        raise DataError(f"unit {unit_name(unit)} is not in the groups; give it one, or an empty one.", unit=unit)
    labels = groups.iloc[place]
    labels = labels.where(labels.notna() & (labels.astype(str).str.strip() != ""))
    numbers, _ = pd.factorize(labels.astype(object).map(str, na_action="ignore"), sort=True)
    return numbers.astype(np.int64)


def _sections(
    grid: Grid, hierarchy: Hierarchy | None, level: int | None, normalise_first: bool
) -> tuple[list[IntArray], FloatArray | None]:
    """The columns that stand for each other, and the directions where indicators are scaled first."""
    if hierarchy is None:
        if normalise_first or level is not None:
            raise _refusal("imputing from the unit's other indicators needs the hierarchy.", "method")
        return [np.arange(len(grid.codes))], None
    unknown = [code for code in grid.codes if code not in hierarchy.levels]
    if unknown:
        raise DataError("the hierarchy has no such indicator; add it to the meta.", column=unknown[0])
    directions = np.asarray(hierarchy.directions[grid.codes], dtype=np.float64) if normalise_first else None
    if level is None:
        return [np.arange(len(grid.codes))], directions
    aggregates = hierarchy.at_level(level) if level > 1 else []
    if not aggregates:
        raise _refusal(f"level {level} has no aggregates; choose 2 to {hierarchy.top_level}.", "within_level")
    place = {code: position for position, code in enumerate(grid.codes)}
    below = [indicators_below(hierarchy, aggregate) for aggregate in aggregates]
    sections = [sorted(place[code] for code in codes if code in place) for codes in below]
    return [np.array(section, dtype=np.int64) for section in sections], directions


def _times(grid: Grid, method: str) -> FloatArray:
    """Times as numbers: their own, or, where they are text, their place among the times of the data."""
    times = grid.units.get_level_values(1)
    if pd.api.types.is_numeric_dtype(times):
        return times.to_numpy(dtype=np.float64)
    if method.startswith("linear"):
        raise _refusal(
            "a straight line in time needs times that are numbers; write years, or choose constant.", "method"
        )
    return pd.factorize(times, sort=True)[0].astype(np.float64)


def _at(time: Any, fill: Callable[[IntArray], Fill], rows: IntArray) -> Fill:
    """Fill the rows of one time; a refusal names it."""
    try:
        return fill(rows)
    except DataError as exc:
        exc.message = f"at {time}, {exc.message}"
        raise


def _joined(cells: FloatArray, parts: list[tuple[Any, IntArray, Fill]]) -> Fill:
    """Put the fills of several times together again."""
    done = Fill(cells.copy(), np.zeros(cells.shape, dtype=bool))
    for time, rows, part in parts:
        done.values[rows], done.fallback[rows] = part.values, part.fallback
        for mask, reason in part.reasons:
            whole = np.zeros(cells.shape, dtype=bool)
            whole[rows] = mask
            done.reasons.append((whole, reason))
        if part.report:
            done.report.setdefault("times", {})[str(time)] = part.report
    return done


def _imputation(grid: Grid, done: Fill, method: str) -> Imputation:
    gaps, missing = np.isnan(grid.cells), np.isnan(done.values)
    filled = gaps & ~missing
    # What was observed is taken from the table given, never through any arithmetic.
    values = np.where(filled, done.values, grid.cells)
    rows, columns = np.nonzero(filled)
    cells = _labels(grid, filled)
    cells["value"], cells["method"] = values[rows, columns], method
    for name, source in (("source_time", done.source), ("source_time_to", done.source_to)):
        cells[name] = _times_of(grid, source[rows, columns]) if source is not None else None
    cells["fallback"] = done.fallback[rows, columns]
    left = _labels(grid, missing)
    reason = np.full(missing.shape, "", dtype=object)
    for mask, text in reversed(done.reasons):
        reason[np.broadcast_to(mask, missing.shape)] = text
    left["reason"] = reason[missing]
    counts = {"filled": len(cells), "left": len(left), "fallback": int(cells["fallback"].sum())}
    frame = pd.DataFrame(grid.back(values), index=grid.frame.index, columns=grid.frame.columns)
    return Imputation(frame, cells, left, {"method": method, **counts, **done.report})


def _labels(grid: Grid, mask: BoolArray) -> pd.DataFrame:
    """One row per marked cell: its unit and indicator."""
    rows, columns = np.nonzero(mask)
    names = ["uCode", "Time"] if grid.units.nlevels == 2 else ["uCode"]
    labels = {name: grid.units.get_level_values(level)[rows] for level, name in enumerate(names)}
    return pd.DataFrame({**labels, "indicator": np.array(grid.codes, dtype=object)[columns]})


def _times_of(grid: Grid, source: IntArray) -> "pd.Series":
    times = grid.units.get_level_values(1).to_numpy(dtype=object)[source]
    times[source < 0] = None
    return pd.Series(times)


def _refusal(message: str, key: str) -> ConfigError:
    return ConfigError(message, table="impute", key=key)
