"""Run the steps of a configuration over a table of units and keep every stage."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from cci.engine.aggregation import LevelRule
from cci.engine.config import Config, read_config
from cci.engine.errors import ConfigError, EngineError, MetaError
from cci.engine.meta import Hierarchy, read_meta
from cci.engine.report import VERSION, opening
from cci.engine.stages import Run, run_steps
from cci.engine.tables import texts
from cci.engine.units import read_units

__all__ = ["NAMES", "VERSION", "Result", "compute", "run_index"]

NAMES = {"data": "data", "meta": "meta", "config": "config", "goalposts": "goalposts"}
NO_FILES: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Result:
    """What a run gives.

    tables : by name, in the order of the steps, for the steps run: `denominated`, `denominated_cells`,
        `screened`, `imputed`, `imputed_cells`, `treated`, `treated_cells`, `normalised`, `bounds`,
        `weights`, `scores`, `unit_weights`, `coverage`, `ranks`, `ranks_within_<column>`, `strengths`, `profiles`,
        `peers`, `nearest_peers`, `against_peers`, `trends`. A stage has the
        columns uCode (and Time, where the data hold several), then codes; rows sorted by uCode, then
        Time; NaN is missing. The tables of cells list every cell that a step changed.
    report : every parameter used, the defaults among them, versions, counts, warnings. Holds only
        what JSON can hold, and nothing that differs between two runs of the same input.
    """

    tables: dict[str, pd.DataFrame]
    report: dict[str, Any]


def compute(
    data: pd.DataFrame,
    meta: pd.DataFrame,
    config: Mapping[str, Any],
    *,
    goalposts: pd.DataFrame | None = None,
    files: Mapping[str, Any] = NO_FILES,
    names: Mapping[str, str] = NAMES,
) -> Result:
    """Compute the index: the steps of `config`, over the units of `data`, by the hierarchy of `meta`.

    data : one row per unit, columns uCode, optionally Time, one column per indicator (numbers, or text
        as read from CSV), and the groups and denominators that `config` names; further columns are not
        used. A unit is a uCode, or uCode x Time where the data hold several times; ranks are then made
        within each Time.
    meta : see `read_meta`. config : see `read_config`; a step that is absent is not run.
    goalposts : see `read_goalposts`; needed by, and only by, the normalisation `goalposts`.
    files : the content of the other files that `config` names, by `step.key`: tables, or for
        `treat.base_file` the report of another run.
    names : what to call the inputs in errors, by the keys data, meta, config, goalposts and those of `files`.

    The inputs are not changed. Raises an EngineError (DataError, MetaError, ConfigError,
    GoalpostsError, NonPositiveError), naming file, row and column, for input that does not fit.

    >>> data = pd.DataFrame({"uCode": ["X", "Y", "Z"], "a": [1.0, 2.0, 3.0], "b": [30.0, 10.0, None]})
    >>> meta = pd.DataFrame({"Level": [1, 1, 2], "iCode": ["a", "b", "T"], "Parent": ["T", "T", ""],
    ...                      "Direction": [1, -1, 1], "Weight": [1, 1, 1]})
    >>> result = compute(data, meta, {"normalise": {}, "aggregate": {"min_available": 0.5}, "rank": {}})
    >>> result.tables["scores"].to_dict("list")
    {'uCode': ['X', 'Y', 'Z'], 'T': [0.0, 75.0, 100.0]}
    >>> result.tables["ranks"]["T"].tolist()
    [3, 2, 1]
    """
    run = run_index(data, meta, config, goalposts=goalposts, files=files, names=names)
    tables = {name: table.reset_index() if name in run.stages else table for name, table in run.tables.items()}
    run.notes.report["tables"] = {
        name: {"rows": len(table), "columns": len(table.columns)} for name, table in tables.items()
    }
    return Result(tables, run.notes.report)


def run_index(
    data: pd.DataFrame,
    meta: pd.DataFrame,
    config: Mapping[str, Any],
    *,
    goalposts: pd.DataFrame | None = None,
    files: Mapping[str, Any] = NO_FILES,
    names: Mapping[str, str] = NAMES,
) -> Run:
    """As `compute`, and give the run itself: settings, hierarchy, units, and the stages labelled by unit."""
    names = {**NAMES, **names}
    if goalposts is not None:
        files, names = {**files, "normalise.file": goalposts}, {**names, "normalise.file": names["goalposts"]}
    settings = read_config(config, file=names["config"])
    hierarchy = read_meta(meta, file=names["meta"])
    settings, of_meta = _completed(settings, hierarchy, meta, names)
    units = read_units(data, hierarchy, file=names["data"])
    rules, own_rules = _rules(settings, hierarchy, names)
    notes = opening(settings, hierarchy, units, rules, of_meta)
    run = Run(settings, hierarchy, units, rules, own_rules, files, names, meta, notes)
    try:
        # What overflows is refused with its place; numpy's own warnings have none.
        with np.errstate(all="ignore"):
            run_steps(run)
    except EngineError as exc:
        raise _placed(exc, run) from None
    return run


def _completed(
    settings: Config, hierarchy: Hierarchy, meta: pd.DataFrame, names: Mapping[str, str]
) -> tuple[Config, list[str]]:
    """Fill in the settings that columns of the meta give, and name those columns."""
    used = []
    if settings.denominate and not settings.denominate.by:
        if "Denominator" not in meta.columns:
            raise ConfigError(
                "name the denominators of indicators, or give the meta a column Denominator.",
                file=names["config"],
                table="denominate",
                key="by",
            )
        given = dict(zip(texts(meta["iCode"]), texts(meta["Denominator"]), strict=True))
        by = {code: given[code] for code in hierarchy.indicators if given[code].strip()}
        settings = replace(settings, denominate=replace(settings.denominate, by=by))
        used.append("Denominator")
    if settings.normalise and settings.normalise.method == "distance_to_target" and not settings.normalise.file:
        used.append("Target")
    return settings, used


def _rules(
    settings: Config, hierarchy: Hierarchy, names: Mapping[str, str]
) -> tuple[tuple[LevelRule, ...], dict[str, LevelRule]]:
    """The rule of each step of aggregation, and those of single aggregates."""
    if settings.aggregate is None:
        return (), {}
    if not hierarchy.aggregates:
        raise MetaError("no row above Level 1; [aggregate] needs aggregates.", file=names["meta"], column="Level")
    rules = settings.aggregate.rules(hierarchy.top_level - 1, file=names["config"])
    own = {}
    for code, given in settings.aggregate.groups.items():
        if code not in hierarchy.aggregates:
            raise ConfigError(
                f"the meta has no aggregate {code}; it has {', '.join(hierarchy.aggregates)}.",
                file=names["config"],
                table="aggregate",
                key="groups",
            )
        own[code] = replace(rules[hierarchy.levels[code] - 2], **given)
    return rules, own


def _placed(exc: EngineError, run: Run) -> EngineError:
    """Add the file, and the row of the unit that a step complained of."""
    if not exc.file or exc.file == "config":
        role = "config" if isinstance(exc, ConfigError) else "meta" if isinstance(exc, MetaError) else "data"
        exc.file = run.names[role]
    if exc.row is None:
        exc.row = run.units.row_of(exc.unit)
    return exc
