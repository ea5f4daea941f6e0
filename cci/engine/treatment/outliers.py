"""Decide for each indicator whether and how it is treated, and treat later data as a base edition was."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from cci.engine.errors import DataError, unit_name
from cci.engine.tables import FloatArray, cells_table
from cci.engine.treatment.distribution import moments, skew_and_kurtosis, within
from cci.engine.treatment.transforms import Transform, apply_transform, fitted
from cci.engine.treatment.winsorising import winsorising_limits

MODES = ("standard", "improved")
STILL_FAILS = "still fails the test"


@dataclass(frozen=True)
class Treatment:
    """What was done to one indicator and why; `retreat` does the same to other data.

    `action` is one of `none` (passed), `winsorised`, the name of a transform, `winsorised+<transform>`
    (the transform was applied to the winsorised values), or `left` with a `reason`. `points` lists the
    cells moved in the result: (unit, original, value it was moved to, before any transform). `low` and
    `high` are the ends they were moved to, None at an end that was left alone; `transform` rebuilds every
    other cell. `passes` tells of the result; where it fails after treatment, `reason` says so.
    `n_winsorised` counts the points winsorised on the way, also where a transform of the original values
    took their place.
    """

    indicator: str
    action: str
    skew: float
    kurtosis: float
    skew_after: float
    kurtosis_after: float
    passes: bool
    n_winsorised: int = 0
    reason: str = ""
    points: tuple[tuple[Any, float, float], ...] = ()
    low: float | None = None
    high: float | None = None
    transform: Transform | None = None


@dataclass(frozen=True)
class _Decision:
    """What is to be done to one column: cut it, transform it, both, or leave it for a reason."""

    action: str
    low: float = -math.inf
    high: float = math.inf
    transform: Transform | None = None
    moved: int = 0
    reason: str = ""

    @property
    def changes(self) -> bool:
        return self.transform is not None or math.isfinite(self.low) or math.isfinite(self.high)

    def apply(self, values: FloatArray) -> FloatArray:
        cut = np.clip(values, self.low, self.high)
        return cut if self.transform is None else apply_transform(cut, self.transform)


def treat(
    values: pd.DataFrame,
    *,
    skew: float = 2,
    kurtosis: float = 3.5,
    winsorise_max: int = 5,
    winsorise_share: float = 0.0,
    transform: str = "log_ct",
    combine: bool = False,
    power: float = 0.0,
    mode: str = "standard",
    force: Collection[str] = (),
) -> tuple[pd.DataFrame, list[Treatment]]:
    """Treat each indicator with an outlier problem: |G1| >= `skew` and G2 >= `kurtosis`.

    First winsorise, at most `winsorise_max` points or `winsorise_share` of the values, whichever is
    more; if the test still fails, transform the original values instead (`combine`: the winsorised
    ones). The result stands even where it fails the test, and its record says so. An indicator with
    fewer than 4 values, with one distinct value, or whose only outlier is its only other value is left
    as it is.

    mode : `standard` is that (COINr `qTreat`). `improved` fits the transform to the side of the tail, and
        of the original, the winsorised and the transformed values keeps those that pass; among several,
        or none, those with the least |G1|, and the least treatment on equality. A transform that does not
        lower |G1| is never kept.
    force : indicators to treat though they pass: winsorised to the limit, or transformed where the limit is 0.
    transform : of TRANSFORMS: see `Transform`; `none` allows none, `unchanged` puts the original values back
        (as COINr 1.1.14 does under the name log_GII). power : of boxcox.
    values : shape (n_units, n_indicators), each column in its own unit; NaN means missing and stays.

    Returns a frame labelled as `values`, and one Treatment per indicator in the same order. Raises
    DataError for an infinite value or range, ValueError for an unknown option. Method note, section 4.

    >>> values = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0, 5.0, 90.0]}, index=list("UVWXYZ"))
    >>> treated, records = treat(values)
    >>> treated["a"].tolist(), records[0].action, records[0].points
    ([1.0, 2.0, 3.0, 4.0, 5.0, 5.0], 'winsorised', (('Z', 90.0, 5.0),))
    """
    if mode not in MODES:
        raise ValueError(f"{mode!r} is no mode of treatment; choose {', '.join(MODES)}.")
    unknown = [code for code in force if code not in values.columns]
    if unknown:
        raise ValueError(f"No indicator {', '.join(unknown)} to force a treatment on.")
    rows, before = _rows_and_moments(values)
    n = rows.shape[1] - np.isnan(rows).sum(axis=1)
    fine = within(*before, skew=skew, kurtosis=kurtosis)
    decisions = []
    for position, indicator in enumerate(values.columns):
        if n[position] < 4:
            decisions.append(_Decision("left", reason="fewer than 4 values"))
        elif math.isnan(before[0][position]):
            decisions.append(_Decision("left", reason="one distinct value"))
        elif fine[position] and indicator not in force:
            decisions.append(_Decision("none"))
        else:
            row = rows[position]
            decision = _decide(
                row[~np.isnan(row)],
                limits={"skew": skew, "kurtosis": kurtosis},
                # Counts, so that a share of 0.07 of 100 values is 7, as on paper.
                winsorise_max=max(winsorise_max, math.ceil(winsorise_share * int(n[position]) - 1e-9)),
                transform=transform,
                combine=combine,
                power=power,
                mode=mode,
                force=indicator in force,
            )
            decisions.append(decision)
    return _carried_out(values, rows, before, decisions, {"skew": skew, "kurtosis": kurtosis})


def retreat(
    values: pd.DataFrame, treatments: Iterable[Treatment], *, skew: float = 2, kurtosis: float = 3.5
) -> tuple[pd.DataFrame, list[Treatment]]:
    """Treat other data as a base edition was: the same cuts, the same transforms with the same parameters.

    A value beyond an end at which the base edition cut is cut there too; one beyond the end at which a
    transform begins is held at that end. Both are listed in `points`. So an unchanged unit keeps its
    treated value whatever the others do.

    values : shape (n_units, n_indicators); NaN stays. An indicator without a Treatment is not changed.
    treatments : what `treat` gave for the base edition. skew, kurtosis : limits of the test `passes` tells of.

    Returns and raises as `treat`. Method note, section 17.

    >>> base = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0, 5.0, 90.0]}, index=list("UVWXYZ"))
    >>> treated, records = retreat(pd.DataFrame({"a": [2.5, 7.0]}, index=["U", "V"]), treat(base)[1])
    >>> treated["a"].tolist(), records[0].points
    ([2.5, 5.0], (('V', 7.0, 5.0),))
    """
    known = {record.indicator: record for record in treatments}
    rows, before = _rows_and_moments(values)
    decisions = []
    for indicator in values.columns:
        base = known.get(str(indicator))
        if base is None:
            decisions.append(_Decision("none"))
        else:
            low = -math.inf if base.low is None else base.low
            high = math.inf if base.high is None else base.high
            decisions.append(_Decision(base.action, low, high, base.transform, reason=base.reason))
    return _carried_out(values, rows, before, decisions, {"skew": skew, "kurtosis": kurtosis}, again=True)


def read_treatments(entries: Sequence[Mapping[str, Any]]) -> list[Treatment]:
    """Make records of their entries in a report (None is NaN there), for `retreat`.

    >>> _, records = treat(pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0, 5.0, 90.0]}))
    >>> from dataclasses import asdict
    >>> read_treatments([asdict(records[0])])[0].high
    5.0
    """
    figures = ("skew", "kurtosis", "skew_after", "kurtosis_after")
    records = []
    for entry in entries:
        fields = {key: entry[key] for key in ("indicator", "action", "passes", "n_winsorised", "reason", "low", "high")}
        fields |= {key: math.nan if entry[key] is None else entry[key] for key in figures}
        given = entry.get("transform")
        records.append(Treatment(**fields, transform=Transform(**given) if given else None))
    return records


def treated_cells(values: pd.DataFrame, treated: pd.DataFrame, treatments: Iterable[Treatment]) -> pd.DataFrame:
    """List every cell that treatment changed.

    values, treated : before and after, labelled alike.

    Returns one row per changed cell: the unit's labels (uCode, or uCode and Time), indicator, original,
    treated, action. The cells of a transformed indicator all count.

    >>> values = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0, 5.0, 90.0]}, index=pd.Index(list("UVWXYZ"), name="uCode"))
    >>> treated_cells(values, *treat(values)).to_dict("records")
    [{'uCode': 'Z', 'indicator': 'a', 'original': 90.0, 'treated': 5.0, 'action': 'winsorised'}]
    """
    old, new = values.to_numpy(dtype=np.float64), treated.to_numpy(dtype=np.float64)
    columns, rows = np.nonzero(((old != new) & ~np.isnan(old)).T)
    actions = {record.indicator: record.action for record in treatments}
    action = pd.Index([actions.get(str(code), "") for code in values.columns]).take(columns)
    return cells_table(values, rows, columns, original=old[rows, columns], treated=new[rows, columns], action=action)


def _rows_and_moments(values: pd.DataFrame) -> tuple[FloatArray, tuple[FloatArray, FloatArray]]:
    """One row per indicator, and G1 and G2 of each; refuses what is infinite."""
    rows = np.array(values.to_numpy(dtype=np.float64).T, order="C")  # a copy: rows are changed in place
    infinite = np.isinf(rows)
    if infinite.any():
        column, unit = np.argwhere(infinite)[0]
        raise DataError(
            f"unit {unit_name(values.index[unit])} has an infinite value; give a finite one or leave the cell empty.",
            column=str(values.columns[column]),
            unit=values.index[unit],
        )
    return rows, moments(rows)


def _decide(
    values: FloatArray,
    *,
    limits: dict[str, float],
    winsorise_max: int,
    transform: str,
    combine: bool,
    power: float,
    mode: str,
    force: bool,
) -> _Decision:
    """Decide on one column that fails the test, or is forced."""
    ends = winsorising_limits(values, winsorise_max=winsorise_max, force=force, **limits)
    if ends is None:
        return _Decision("left", reason="winsorising would leave one distinct value")
    cut = _Decision("winsorised", ends.low, ends.high, moved=ends.moved)
    if mode == "standard" and ends.moved and (ends.passes or transform == "none"):
        return cut
    candidates = [cut] if ends.moved else []
    if transform != "none":
        together = combine and ends.moved > 0
        fit = fitted(cut.apply(values) if together else values, transform, power=power, by_skew=mode == "improved")
        if fit is not None and together:
            candidates.append(replace(cut, action=f"winsorised+{transform}", transform=fit))
        elif fit is not None:
            candidates.append(_Decision(transform, transform=fit, moved=ends.moved))
        elif mode == "standard":
            return _Decision("left", reason="log_gii needs a largest value above 0")
    if mode == "improved":
        return _best(values, candidates, limits)
    return candidates[-1] if candidates else _Decision("left", reason="no winsorising and no transform allowed")


def _best(values: FloatArray, candidates: list[_Decision], limits: dict[str, float]) -> _Decision:
    """What passes, then what leaves the least skew, then what changes least; never more skew than before."""
    start, _ = skew_and_kurtosis(values)
    best, standing = _Decision("left", reason="no treatment lowers the skew"), (True, abs(start))
    for candidate in candidates:
        g1, g2 = skew_and_kurtosis(candidate.apply(values))
        reached = (not (abs(g1) < limits["skew"] or g2 < limits["kurtosis"]), abs(g1))
        if abs(g1) < abs(start) and reached < standing:
            best, standing = candidate, reached
    return best


def _carried_out(
    values: pd.DataFrame,
    rows: FloatArray,
    before: tuple[FloatArray, FloatArray],
    decisions: list[_Decision],
    limits: dict[str, float],
    *,
    again: bool = False,
) -> tuple[pd.DataFrame, list[Treatment]]:
    """Change the rows as decided, and write the records. With `again` the decisions are those of other data."""
    changed = [place for place, decision in enumerate(decisions) if decision.changes]
    after = before[0].copy(), before[1].copy()
    original = rows[changed]
    for place in changed:
        rows[place] = decisions[place].apply(rows[place])
    after[0][changed], after[1][changed] = moments(rows[changed])
    fine = within(*after, skew=limits["skew"], kurtosis=limits["kurtosis"])
    kept: dict[int, tuple[tuple[Any, float, float], ...]] = {
        place: _points(original[order], decisions[place], values.index) for order, place in enumerate(changed)
    }
    records = []
    for place, (indicator, decision) in enumerate(zip(values.columns, decisions, strict=True)):
        points = kept.get(place, ())
        passed = bool(fine[place])
        reason = decision.reason if decision.action == "left" else STILL_FAILS * (place in kept and not passed)
        records.append(
            Treatment(
                str(indicator),
                decision.action,
                skew=float(before[0][place]),
                kurtosis=float(before[1][place]),
                skew_after=float(after[0][place]),
                kurtosis_after=float(after[1][place]),
                passes=passed,
                n_winsorised=len(points) if again else decision.moved,
                reason=reason,
                points=points,
                low=decision.low if math.isfinite(decision.low) else None,
                high=decision.high if math.isfinite(decision.high) else None,
                transform=decision.transform,
            )
        )
    return pd.DataFrame(rows.T, index=values.index, columns=values.columns, copy=False), records


def _points(row: FloatArray, decision: _Decision, units: "pd.Index[Any]") -> tuple[tuple[Any, float, float], ...]:
    """The cells moved to an end: by the cut, or where the transform begins (only in data it was not fitted to)."""
    low, high = decision.low, decision.high
    if decision.transform is not None and decision.transform.name != "unchanged":
        if decision.transform.mirrored:
            high = min(high, decision.transform.high)
        else:
            low = max(low, decision.transform.low)
    moved = np.flatnonzero((row < low) | (row > high))
    values = row[moved]
    return tuple(zip(units.take(moved).tolist(), values.tolist(), np.clip(values, low, high).tolist(), strict=True))
