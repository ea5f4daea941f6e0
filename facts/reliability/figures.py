"""What the score rests on: a few counts and shares of each cluster in a round, from the tables of a snapshot."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from facts.checks.rounds import cluster_figures
from facts.checks.table import check_table
from facts.indicators.coverage import coverage_of
from facts.indicators.tables import IN_SCOPE, OPERATING, Tables

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


def figures_of(tables: Tables, rules: Rules, round_year: int) -> dict[str, Figures]:
    """The figures of every cluster that has a frame in the round."""
    coverage = coverage_of(tables, round_year)
    coverage = coverage[coverage["in_scope"] > 0]
    units = tables.units[tables.units["round"] == round_year]
    if "UA01" not in units:
        units = units.assign(UA01=np.nan)
    units = units[
        pd.to_numeric(units["UA01"], errors="coerce").isin(IN_SCOPE)
        & units["frame_id"].isin(_asked(tables, round_year))
    ]
    core = _core(units, rules)
    warned = _warned(tables, units, rules, round_year)
    sources = _sources(units)
    found = cluster_figures(check_table(tables, round_year, rules.checks))
    out = {}
    for code, row in coverage.iterrows():
        checked = found.loc[code] if code in found.index else {}
        answered, with_gaps = core.get(code, (None, 0))
        out[code] = Figures(
            round_year,
            in_scope=int(row["in_scope"]),
            accepted=int(row["accepted"]),
            operating=int(row["operating"]),
            response=_share(row["response_share"]) or 0.0,
            employment=_share(row["employment_share"]) or 0.0,
            answered=answered,
            with_gaps=with_gaps,
            warned=warned.get(code, 0),
            sources=sources.get(code, ()),
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


def _asked(tables: Tables, round_year: int) -> set[str]:
    """Frame ids of the units in scope that were asked: who answers without being drawn earns no points."""
    frame = tables.frame[(tables.frame["round"] == round_year) & tables.frame["in_scope"]]
    if "drawn" in frame:
        frame = frame[frame["drawn"].fillna(True).astype(bool)]
    return set(frame["frame_id"])


def _share(value) -> float | None:
    return None if value is None or pd.isna(value) else float(value)


def _core(units: pd.DataFrame, rules: Rules) -> dict[str, tuple[float, int]]:
    """By cluster: mean share of asked core items answered, and returns that lack one."""
    part = rules.parts["D2"]
    works = pd.to_numeric(units["UA01"], errors="coerce").isin(OPERATING)
    always = units.reindex(columns=part["always"]).notna()
    asked_if_works = units.reindex(columns=part["operating"]).notna()
    answered = always.sum(axis=1) + asked_if_works.sum(axis=1).where(works, 0)
    asked = len(part["always"]) + len(part["operating"]) * works.astype(int)
    by = units["cluster"].to_numpy()
    means, gaps = (answered / asked).groupby(by).mean(), (answered < asked).groupby(by).sum()
    return {code: (float(means[code]), int(gaps[code])) for code in means.index}


def _warned(tables: Tables, units: pd.DataFrame, rules: Rules, round_year: int) -> dict[str, int]:
    """By cluster: accepted returns with at least one warning, told to the respondent, that is open or rejected."""
    part, flags = rules.parts["D3"], tables.flags
    untold = [rule for rule in flags["rule"].unique() if rules.checks.for_data_team(rule)]
    speaks = (
        (flags["round"] == round_year)
        & flags["severity"].isin(part["severities"])
        & flags["resolution"].isin(part["resolutions"])
        & ~flags["rule"].isin(untold)
    )
    loud = units["frame_id"].isin(set(flags.loc[speaks, "frame_id"]))
    return loud.groupby(units["cluster"].to_numpy()).sum().astype(int).to_dict()


def _sources(units: pd.DataFrame) -> dict[str, tuple[tuple[int, float, float], ...]]:
    """By cluster: (UJ02, returns, share of persons engaged) of the operating returns."""
    works = units[pd.to_numeric(units["UA01"], errors="coerce").isin(OPERATING)].reindex(
        columns=["cluster", "UJ02", "UB01"]
    )
    source = pd.to_numeric(works["UJ02"], errors="coerce")
    works = works.assign(
        source=source.where(source.isin(SOURCES), 0).astype(int),
        persons=pd.to_numeric(works["UB01"], errors="coerce").fillna(0.0),
    )
    grouped = works.groupby(["cluster", "source"])["persons"].agg(["size", "sum"])
    totals = works.groupby("cluster")["persons"].agg(["size", "sum"])
    out: dict[str, list[tuple[int, float, float]]] = {}
    for (code, kind), n, persons in grouped.itertuples():
        everybody, total = totals.at[code, "size"], totals.at[code, "sum"]
        share = persons / total if total else n / everybody
        out.setdefault(code, []).append((int(kind), int(n), float(share)))
    return {code: tuple(found) for code, found in out.items()}
