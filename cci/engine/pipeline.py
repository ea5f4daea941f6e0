"""Run the steps of a configuration over a table of units and keep every stage."""

import math
import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import PurePath
from typing import Any

import numpy as np
import pandas as pd

from cci.engine import aggregation, normalisation, screening, treatment
from cci.engine.config import Config, Normalise, Screen, Treat, read_config
from cci.engine.errors import ConfigError, DataError, EngineError, MetaError, NonPositiveError, unit_name
from cci.engine.meta import Hierarchy, effective_weights, read_meta
from cci.engine.normalisation import constant_indicators, read_goalposts
from cci.engine.ranking import rank_within
from cci.engine.units import read_units

VERSION = "0.1.0"
NAMES = {"data": "data", "meta": "meta", "config": "config", "goalposts": "goalposts"}


@dataclass(frozen=True)
class Result:
    """What a run gives.

    tables : by name, in the order of the steps: `screened`, `imputed`, `treated`, `normalised`,
        `scores`, `coverage`, `ranks`, for the steps run. Each has the columns uCode (and Time, where
        the data hold several), then codes; rows sorted by uCode, then Time; NaN is missing.
    report : every parameter used, the defaults among them, versions, counts, warnings. Holds only
        what JSON can hold, and nothing that differs between two runs of the same input.
    """

    tables: dict[str, pd.DataFrame]
    report: dict[str, Any]


@dataclass
class _Run:
    """What the steps share: the units' places in the file, and the notes for the report."""

    names: Mapping[str, str]
    rows: Mapping[Any, int]
    times: "pd.Index[Any] | None"
    report: dict[str, Any] = field(default_factory=dict)

    def warn(self, kind: str, message: str, names: list[str]) -> None:
        if names:
            self.report["warnings"].append({"kind": kind, "message": message, "names": names})


def compute(
    data: pd.DataFrame,
    meta: pd.DataFrame,
    config: Mapping[str, Any],
    *,
    goalposts: pd.DataFrame | None = None,
    names: Mapping[str, str] = NAMES,
) -> Result:
    """Compute the index: the steps of `config`, over the units of `data`, by the hierarchy of `meta`.

    data : one row per unit, columns uCode, optionally Time, one column per indicator (numbers, or text
        as read from CSV), further columns not used. A unit is a uCode, or uCode x Time where the
        data hold several times; ranks are then made within each Time.
    meta : see `read_meta`. config : see `read_config`; a step that is absent is not run.
    goalposts : see `read_goalposts`; needed by, and only by, the normalisation `goalposts`.
    names : what to call the four inputs in errors, by the keys data, meta, config, goalposts.

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
    names = {**NAMES, **names}
    settings = read_config(config, file=names["config"])
    hierarchy = read_meta(meta, file=names["meta"])
    values, rows, several = read_units(data, hierarchy, file=names["data"])
    if settings.aggregate and not hierarchy.aggregates:
        raise MetaError("no row above Level 1; [aggregate] needs aggregates.", file=names["meta"], column="Level")
    rules = settings.aggregate.rules(hierarchy.top_level - 1, file=names["config"]) if settings.aggregate else ()
    posts = _posts(settings, goalposts, hierarchy, names)

    run = _Run(names, rows, values.index.get_level_values(1) if several else None)
    run.report = _report(settings, hierarchy, data, values, rules, several)
    _general_warnings(run, settings, hierarchy)
    try:
        # What overflows is refused below, with its place; numpy's own warnings have none.
        with np.errstate(all="ignore"):
            stages = _stages(run, settings, hierarchy, values, rules, posts)
    except (DataError, NonPositiveError) as exc:
        raise _placed(exc, run) from None
    for name, stage in stages.items():
        if name != "ranks":
            _refuse_infinite(stage, name, names["data"], rows)
    tables = {name: stage.reset_index() for name, stage in stages.items()}
    run.report["tables"] = {name: {"rows": len(table), "columns": len(table.columns)} for name, table in tables.items()}
    return Result(tables, run.report)


def _stages(
    run: _Run,
    settings: Config,
    hierarchy: Hierarchy,
    values: pd.DataFrame,
    rules: tuple[aggregation.LevelRule, ...],
    posts: pd.DataFrame | None,
) -> dict[str, pd.DataFrame]:
    """Run the steps in order and give each one's table, labelled by unit."""
    stages: dict[str, pd.DataFrame] = {}
    if settings.screen:
        values = stages["screened"] = _screened(run, settings.screen, values, exact=not settings.coinr)
    observed = values.notna()
    if settings.impute:
        stages["imputed"] = values  # method "none": the gaps stay, and the table says so
    if settings.treat:
        values = stages["treated"] = _treated(run, settings.treat, values)
    if settings.normalise:
        values = stages["normalised"] = _normalised(run, settings.normalise, values, hierarchy, posts)
    if settings.aggregate:
        scores = aggregation.aggregate(values, hierarchy, rules, exact_counts=not settings.coinr)
        stages["scores"] = scores
        stages["coverage"] = aggregation.coverage(observed & values.notna(), hierarchy)
        _score_report(run, stages)
        if settings.rank:
            groups = pd.Index([0] * len(scores)) if run.times is None else scores.index.get_level_values(1)
            stages["ranks"] = rank_within(scores, groups, ties=settings.rank.ties, tolerance=settings.rank.tolerance)
    return stages


def _posts(
    settings: Config, goalposts: pd.DataFrame | None, hierarchy: Hierarchy, names: Mapping[str, str]
) -> pd.DataFrame | None:
    if settings.normalise is None or settings.normalise.method != "goalposts":
        return None
    if goalposts is None:
        raise ConfigError(
            "the goalposts are not given; pass their table.",
            file=names["config"],
            table="normalise",
            key="file",
        )
    return read_goalposts(goalposts, directions=hierarchy.directions, file=names["goalposts"])


def _screened(run: _Run, step: Screen, values: pd.DataFrame, *, exact: bool) -> pd.DataFrame:
    known = set(values.index.get_level_values(0))
    for key, listed in (("include", step.include), ("exclude", step.exclude)):
        unknown = [code for code in listed if code not in known]
        if unknown:
            raise ConfigError(
                f"the data hold no unit {', '.join(unknown)}; correct the list.",
                file=run.names["config"],
                table="screen",
                key=key,
            )
    table = screening.screen(values, **asdict(step), exact_counts=exact)
    removed = table[~table["kept"]]
    run.report["screening"] = {
        "kept": int(table["kept"].sum()),
        "screened_out": [
            {
                "unit": unit_name(unit),
                "row": run.rows[unit],
                "available": int(removed["available"].iloc[position]),
                "indicators": values.shape[1],
                "nonzero": int(removed["available"].iloc[position] - removed["zeros"].iloc[position]),
            }
            for position, unit in enumerate(removed.index)
        ],
    }
    run.warn("screened_out", "Units left out by [screen].", [unit_name(unit) for unit in removed.index])
    if len(removed) == len(table):
        run.warn("no_units", "No unit passes [screen]; the tables are empty.", ["screen"])
    return values[table["kept"].to_numpy()]


def _treated(run: _Run, step: Treat, values: pd.DataFrame) -> pd.DataFrame:
    entries: list[dict[str, Any]] = []
    options = {key: value for key, value in asdict(step).items() if key != "scope"}

    def treat(part: pd.DataFrame) -> pd.DataFrame:
        treated, records = treatment.treat(part, **options)
        for record in records:
            if record.action != "none":
                entry = {key: _plain(value) for key, value in asdict(record).items()}
                entry["points"] = [
                    {"unit": unit_name(unit), "original": old, "treated": new} for unit, old, new in record.points
                ]
                if step.scope == "time" and run.times is not None:
                    entry["time"] = _plain(part.index.get_level_values(1)[0])
                entries.append(entry)
        return treated

    treated = _by_scope(treat, values, step.scope, run.times is not None)
    run.report["treatment"] = entries
    failing = [e["indicator"] for e in entries if not e["passes"] and e["reason"] != "one distinct value"]
    run.warn("still_failing", "Indicators that fail the test for outliers after treatment.", _unique(failing))
    return treated


def _normalised(
    run: _Run, step: Normalise, values: pd.DataFrame, hierarchy: Hierarchy, posts: pd.DataFrame | None
) -> pd.DataFrame:
    if posts is not None:
        return normalisation.goalposts(values, posts=posts, directions=hierarchy.directions, clip=step.clip)
    constant: list[str] = []

    def scale(part: pd.DataFrame) -> pd.DataFrame:
        constant.extend(constant_indicators(part))
        return normalisation.min_max(part, directions=hierarchy.directions, lower=step.lower, upper=step.upper)

    scaled = _by_scope(scale, values, step.scope, run.times is not None)
    run.warn(
        "constant_indicator",
        "Indicators with one distinct value; they are missing for all units.",
        _unique(constant),
    )
    return scaled


def _by_scope(
    function: Callable[[pd.DataFrame], pd.DataFrame], values: pd.DataFrame, scope: str, several: bool
) -> pd.DataFrame:
    """Apply a step to all units together, or to each time by itself; the order of units stays."""
    if scope == "all" or not several or values.empty:
        return function(values)
    times = values.index.get_level_values(1)
    parts = [function(values[times == time]) for time in times.unique().sort_values()]
    return pd.concat(parts).loc[values.index]


def _placed(exc: EngineError, run: _Run) -> EngineError:
    """Add the file and the row of the unit that a step complained of."""
    exc.file, exc.row = run.names["data"], run.rows.get(exc.unit)
    return exc


def _refuse_infinite(table: pd.DataFrame, name: str, file: str, rows: Mapping[Any, int]) -> None:
    place = np.argwhere(np.isinf(table.to_numpy(dtype=np.float64)))
    if place.size:
        unit, column = table.index[place[0][0]], str(table.columns[place[0][1]])
        raise DataError(
            f"unit {unit_name(unit)} becomes infinite in the table {name}; its numbers are too large to "
            "compute with, use a larger unit of measure.",
            file=file,
            row=rows.get(unit),
            column=column,
        )


def _report(
    settings: Config,
    hierarchy: Hierarchy,
    data: pd.DataFrame,
    values: pd.DataFrame,
    rules: tuple[aggregation.LevelRule, ...],
    several: bool,
) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    for step in ("screen", "impute", "treat", "normalise", "rank"):
        if (chosen := getattr(settings, step)) is not None:
            parameters[step] = _plain(asdict(chosen))
    if settings.normalise and settings.normalise.method == "goalposts":
        # The folder is the machine's business; the name and the digest say which file it was.
        parameters["normalise"] = {
            "method": "goalposts",
            "file": PurePath(settings.normalise.file).name,
            "clip": settings.normalise.clip,
        }
    elif settings.normalise:
        del parameters["normalise"]["file"], parameters["normalise"]["clip"]
    if settings.aggregate:
        parameters["aggregate"] = {"levels": [_plain(asdict(rule)) for rule in rules]}
    used = {"uCode", "Time", *hierarchy.indicators}
    times = sorted(set(values.index.get_level_values(1))) if several else []
    return {
        "engine": {"name": "cci.engine", "version": VERSION},
        "libraries": {
            "numpy": np.__version__,
            "pandas": pd.__version__,
            "python": platform.python_version(),
        },
        "compat": settings.compat,
        "steps": [
            step for step in ("screen", "impute", "treat", "normalise", "aggregate", "rank") if getattr(settings, step)
        ],
        "parameters": parameters,
        "defaults": list(settings.defaults),
        "units": {"read": len(values), "times": [_plain(time) for time in times]},
        "hierarchy": {
            "indicators": len(hierarchy.indicators),
            "aggregates": len(hierarchy.aggregates),
            "levels": hierarchy.top_level,
            "effective_weights": effective_weights(hierarchy).to_dict(),
        },
        "unused": {
            "data_columns": [str(column) for column in data.columns if column not in used],
            "meta_columns": list(hierarchy.unused_columns),
            "meta_rows": list(hierarchy.unused_rows),
        },
        "warnings": [],
    }


def _general_warnings(run: _Run, settings: Config, hierarchy: Hierarchy) -> None:
    run.warn(
        "direction_ignored",
        "Aggregates with direction -1; only the directions of indicators count.",
        list(hierarchy.reversed_aggregates),
    )
    if settings.aggregate and not settings.normalise:
        reversed_ = [str(code) for code, sign in hierarchy.directions.items() if sign == -1]
        run.warn(
            "directions_not_applied",
            "There is no [normalise]: the data are taken as normalised, also where less is better.",
            reversed_,
        )


def _score_report(run: _Run, stages: Mapping[str, pd.DataFrame]) -> None:
    scores, coverage = stages["scores"], stages["coverage"]
    run.report["coverage"] = {
        str(code): {
            "units_scored": int(scores[code].notna().sum()),
            "units": len(scores),
            "min_share_observed": _plain(coverage[code].min()),
            "mean_share_observed": _plain(coverage[code].mean()),
        }
        for code in scores.columns
    }
    unscored = [str(code) for code in scores.columns if len(scores) and scores[code].isna().all()]
    run.warn("no_scores", "Aggregates without a score for any unit.", unscored)


def _unique(names: list[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _plain(value: Any) -> Any:
    """Make a value fit for JSON: NaN becomes None, numpy's numbers become Python's."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and math.isnan(value) else value
