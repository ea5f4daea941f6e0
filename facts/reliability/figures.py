"""What the score rests on: a few counts and shares of each cluster in a round, from the tables of a snapshot."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd

from facts.checks.rounds import cluster_figures
from facts.checks.table import check_table
from facts.indicators.coverage import coverage_of
from facts.indicators.tables import IN_SCOPE, OPERATING, Tables

from .lined import lined_up
from .rules import Rules

SOURCES = (1, 2, 3, 4)


@dataclass(frozen=True)
class Figures:
    """One cluster in one round. Shares lie in [0, 1]; None = nothing to take the share of.

    in_scope, accepted, operating : units in scope (drawn, where a sample was), of them accepted, of those operating.
    response, employment : RRu and COVe of framework §11.4.
    answered : answered core items in core items asked. with_gaps : accepted returns that lack one.
    warned : accepted returns with a warning that is open or whose answer was rejected; signals for the data team alone
    (X05) are left out, for the cluster reads this count.
    sources : operating returns by UJ02, with the share of persons engaged that they hold; 0 stands for no answer.
    copied, matched : X20 and the number of returns it rests on. round_figures : X22.
    doubtful, compared : X05 and the number of returns it rests on. electricity, exports : ratios of X25 and X26.
    """

    round_year: int
    in_scope: int = 0
    accepted: int = 0
    operating: int = 0
    response: float = 0.0
    employment: float = 0.0
    answered: float | None = None
    with_gaps: float = 0
    warned: float = 0
    sources: tuple[tuple[int, float, float], ...] = ()
    copied: float | None = None
    matched: int = 0
    round_figures: float | None = None
    doubtful: float | None = None
    compared: int = 0
    electricity: float | None = None
    exports: float | None = None
    has_cluster_return: bool = False
    has_region_return: bool = False

    @property
    def missing(self) -> int:
        """Units in scope without an accepted return."""
        return self.in_scope - self.accepted


def figures_of(
    tables: Tables, rules: Rules, round_year: int, codes: Collection[str] | None = None
) -> dict[str, Figures]:
    """The figures of every cluster that has a frame in the round. codes : of these alone; None = of all."""
    coverage = coverage_of(tables, round_year)
    wanted = coverage["in_scope"].to_numpy() > 0
    if codes is not None:
        wanted &= coverage.index.isin(codes)
    arrays = tables.arrays
    rows = arrays.rows(round_year, IN_SCOPE)
    at = arrays.unit["cluster"][rows]
    if (at < 0).any():
        # Returns of clusters without any frame: no part of a score, but part of a cluster's earlier years.
        table = check_table(tables, round_year, rules.checks)
    else:
        table = lined_up(tables, round_year, rules.checks, wanted)
    found = cluster_figures(table).to_dict("index")
    rows = rows[(at >= 0) & wanted[at] & _asked(tables, round_year)[arrays.unit["key"][rows]]]
    units = _Answered(tables, rows, arrays.unit["cluster"][rows])
    core, warned, sources = _core(units, rules), _warned(units, rules, round_year), _sources(units)
    out, shares = {}, coverage.to_dict("records")
    for place in np.flatnonzero(wanted).tolist():
        code, row = tables.codes[place], shares[place]
        checked = found.get(code, {})
        answered, with_gaps = core.get(place, (None, 0))
        out[code] = Figures(
            round_year,
            in_scope=int(row["in_scope"]),
            accepted=int(row["accepted"]),
            operating=int(row["operating"]),
            response=_share(row["response_share"]) or 0.0,
            employment=_share(row["employment_share"]) or 0.0,
            answered=answered,
            with_gaps=with_gaps,
            warned=warned.get(place, 0),
            sources=sources.get(place, ()),
            copied=_share(checked.get("copied_share")),
            matched=int(_share(checked.get("matched")) or 0),
            round_figures=_share(checked.get("heaping")),
            doubtful=_share(checked.get("under_reporting")),
            compared=int(_share(checked.get("checked")) or 0),
            electricity=_share(checked.get("electricity_ratio")),
            exports=_share(checked.get("export_ratio")),
            has_cluster_return=bool(row["cluster"]),
            has_region_return=bool(row["region"]),
        )
    return out


@dataclass(frozen=True)
class _Answered:
    """Accepted returns of units that were asked: rows of the unit table, and the place of each one's cluster."""

    tables: Tables
    rows: np.ndarray
    cluster_of: np.ndarray

    def has(self, names: list[str]) -> np.ndarray:
        """(n_names, n) whether each question has an answer."""
        units = self.tables.units
        there = [units[name].notna().to_numpy()[self.rows] if name in units else self.rows < 0 for name in names]
        return np.array(there).reshape(len(names), len(self.rows))

    def number(self, name: str) -> np.ndarray:
        return self.tables.arrays.number(name)[self.rows]

    @property
    def works(self) -> np.ndarray:
        return np.isin(self.tables.arrays.unit["status"][self.rows], OPERATING)


def _asked(tables: Tables, round_year: int) -> np.ndarray:
    """(n_ids,) by key: units in scope that were asked; who answers without being drawn earns no points."""
    frame = tables.arrays.frame
    asked = np.zeros(len(tables.arrays.ids), dtype=bool)
    asked[frame["key"][(frame["round"] == round_year) & frame["in_scope"] & frame["drawn"]]] = True
    return asked


def _share(value) -> float | None:
    return None if value is None or pd.isna(value) else float(value)


def _core(units: _Answered, rules: Rules) -> dict[int, tuple[float, int]]:
    """By cluster: mean share of asked core items answered, and returns that lack one."""
    part = rules.parts["D2"]
    works = units.works
    answered = units.has(part["always"]).sum(axis=0) + units.has(part["operating"]).sum(axis=0) * works
    asked = len(part["always"]) + len(part["operating"]) * works.astype(int)
    table = pd.DataFrame({"share": answered / asked, "lacks": answered < asked}).groupby(units.cluster_of)
    means, gaps = table["share"].mean(), table["lacks"].sum()
    return {int(one): (float(mean), int(n)) for one, mean, n in zip(means.index, means, gaps, strict=True)}


def _warned(units: _Answered, rules: Rules, round_year: int) -> dict[int, int]:
    """By cluster: accepted returns with at least one warning, told to the respondent, that is open or rejected."""
    part, flags, arrays = rules.parts["D3"], units.tables.flags, units.tables.arrays
    untold = [rule for rule in flags["rule"].unique() if rules.checks.for_data_team(rule)]
    speaks = (
        (flags["round"] == round_year)
        & flags["severity"].isin(part["severities"])
        & flags["resolution"].isin(part["resolutions"])
        & ~flags["rule"].isin(untold)
    )
    loud = np.asarray(arrays.ids.isin(flags.loc[speaks, "frame_id"].unique()))
    count = np.bincount(units.cluster_of[loud[arrays.unit["key"][units.rows]]])
    return {place: int(n) for place, n in enumerate(count)}


def _sources(units: _Answered) -> dict[int, tuple[tuple[int, float, float], ...]]:
    """By cluster: (UJ02, returns, share of persons engaged) of the operating returns."""
    works = units.works
    at, source = units.cluster_of[works], units.number("UJ02")[works]
    source = np.where(np.isin(source, SOURCES), source, 0).astype(int)
    table = pd.DataFrame({"cluster": at, "source": source, "persons": np.nan_to_num(units.number("UB01")[works])})
    grouped = table.groupby(["cluster", "source"])["persons"].agg(["size", "sum"])
    totals = table.groupby("cluster")["persons"].agg(["size", "sum"])
    everybody, total = dict(totals["size"]), dict(totals["sum"])
    out: dict[int, list[tuple[int, float, float]]] = {}
    for (place, kind), n, persons in grouped.itertuples():
        share = persons / total[place] if total[place] else n / everybody[place]
        out.setdefault(place, []).append((int(kind), int(n), float(share)))
    return {place: tuple(found) for place, found in out.items()}
