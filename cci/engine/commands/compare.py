"""`compare`: two editions of an index, unit by unit, and why ranks and scores moved."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cci.engine.commands.files import Inputs, digest, files_of, read, read_inputs, read_json, write
from cci.engine.comparison import Edition, attribute_score_change, compare, decompose_rank_change
from cci.engine.errors import ConfigError, DataError, EngineError
from cci.engine.pipeline import run_index
from cci.engine.report import VERSION, plain
from cci.engine.stages import Run
from cci.engine.tables import numbers, parse_csv
from cci.engine.units import read_index

WHAT = "a folder written by run or uncertainty, or the three files DATA META CONFIG"

# What is no part of the scores.
BESIDE = ("profiles", "peers", "trends", "audit", "variants", "uncertainty", "sensitivity")


@dataclass
class Side:
    """One edition: its scores and, where the uncertainty analysis gave them, intervals of ranks; for editions given
    as files, also the inputs and the run, so that either framework can score either data."""

    scores: "pd.Series[float]"
    target: str
    intervals: pd.DataFrame | None
    digests: dict[str, Any]
    paths: list[Path]
    inputs: Inputs | None = None
    run: Run | None = None


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("compare", help="two editions: movements, and why ranks and scores moved")
    parser.add_argument("--before", type=Path, nargs="+", required=True, help=f"the first edition: {WHAT}")
    parser.add_argument("--after", type=Path, nargs="+", required=True, help="the second edition, likewise")
    parser.add_argument("--target", default="", help="the aggregate to compare; the top, if there is one")
    parser.add_argument("--order", choices=("shapley", "chain"), default="shapley", help="of the decomposition")
    parser.add_argument("--out", type=Path, required=True, help="folder for tables and report.json")
    parser.set_defaults(do=run)


def run(options: argparse.Namespace) -> None:
    """Compare two editions and write the movements to the folder; with the files of both, also their causes."""
    before, after = _side(options.before, "--before", options.target), _side(options.after, "--after", options.target)
    intervals = {name: side.intervals for name, side in (("before", before), ("after", after))}
    tables = {
        "comparison": compare(
            {"before": before.scores, "after": after.scores},
            intervals={name: table for name, table in intervals.items() if table is not None},
        )
    }
    report: dict[str, Any] = {
        "engine": {"name": "cci.engine", "version": VERSION},
        "command": {"name": "compare", "order": options.order, "before": before.target, "after": after.target},
        "inputs": {"before": before.digests, "after": after.digests},
        "warnings": [],
    }
    counts = tables["comparison"]["movement"].value_counts()
    report["movements"] = {str(kind) or "without two ranks": int(counts[kind]) for kind in sorted(counts.index)}
    if before.run is not None and after.run is not None:
        tables["decomposition"] = _decomposed(before, after, options.order)
        _attributed(before, after, tables, report)
    else:
        message = "Give both editions as DATA META CONFIG to learn why ranks and scores moved."
        report["warnings"].append({"kind": "no_decomposition", "message": message, "names": ["folders"]})
    write(files_of(tables, report), options.out, inputs=[*before.paths, *after.paths])


def _side(paths: list[Path], option: str, target: str) -> Side:
    if len(paths) == 1:
        return _from_folder(paths[0], target)
    if len(paths) == 3:
        return _from_files(paths, target)
    raise EngineError(f"{option} takes {WHAT}.")


def _from_folder(folder: Path, target: str) -> Side:
    content = read(folder / "report.json", EngineError)
    report = read_json(content, "report.json")
    tops = report.get("hierarchy", {}).get("tops", []) if isinstance(report.get("hierarchy"), dict) else []
    target = _target(target, tops, f"{folder.name}/report.json")
    paths = [folder / "report.json", folder / "scores.csv"]
    scores = _labelled(folder / "scores.csv", [target])[target]
    intervals = None
    if (folder / "rank_stats.csv").exists() and report.get("uncertainty", {}).get("target") == target:
        paths.append(folder / "rank_stats.csv")
        quantiles = report["uncertainty"]["settings"]["quantiles"]
        low, high = (f"q{100 * level:g}" for level in (quantiles[0], quantiles[-1]))
        table = _labelled(folder / "rank_stats.csv", [low, high])
        intervals = table.set_axis(["low", "high"], axis=1)
    digests = {path.name: digest(read(path, DataError)) for path in paths}
    return Side(scores, target, intervals, digests, paths)


def _labelled(path: Path, columns: list[str]) -> pd.DataFrame:
    name = f"{path.parent.name}/{path.name}"
    table = parse_csv(read(path, DataError), name=name, error=DataError)
    index = read_index(table, file=name)
    if index.nlevels > 1:
        raise DataError("the table holds several times; compare editions of one time each.", file=name, column="Time")
    for column in columns:
        if column not in table.columns:
            raise DataError(
                "the column is missing; give the folder of a run with [aggregate].", file=name, column=column
            )
    cells = {column: numbers(table[column], name=column, file=name, error=DataError) for column in columns}
    return pd.DataFrame(cells, index=index)


def _from_files(paths: list[Path], target: str) -> Side:
    inputs = read_inputs(*paths)
    # Two editions have files of the same names.
    inputs.names = {
        role: f"{path.parent.name}/{path.name}" for role, path in zip(inputs.names, inputs.paths, strict=True)
    }
    found = _run(inputs, inputs)
    if "scores" not in found.stages:
        raise ConfigError("editions are compared by their scores; add [aggregate].", file=inputs.names["config"])
    if found.units.several:
        raise DataError("the data hold several times; give each edition its own file.", file=inputs.names["data"])
    tops = found.hierarchy.at_level(found.hierarchy.top_level)
    target = _target(target, [*tops, *found.hierarchy.aggregates] if target else tops, inputs.names["meta"])
    return Side(found.stages["scores"][target], target, None, inputs.digests(), inputs.paths, inputs, found)


def _target(target: str, known: list[str], file: str) -> str:
    if target:
        return target
    if len(known) != 1:
        raise EngineError(f"the index has {len(known)} tops; name one by --target.", file=file)
    return known[0]


def _run(framework: Inputs, of: Inputs, units: "pd.Index[Any] | None" = None) -> Run:
    """The index by one edition's framework over the data of another, or of these units of it."""
    data, config = of.data, {key: value for key, value in framework.config.items() if key not in BESIDE}
    if units is not None:
        data = data[data["uCode"].astype(str).isin(units)].reset_index(drop=True)
        screen = dict(config.get("screen", {}))
        for key in ("include", "exclude"):
            if key in screen:
                screen[key] = [code for code in screen[key] if code in units]
                config["screen"] = screen
    names = framework.names | {"data": of.names["data"]}
    try:
        return run_index(data, framework.meta, config, files=framework.files, names=names)
    except ConfigError as exc:
        raise framework.placed(exc) from None


def _decomposed(before: Side, after: Side, order: str) -> pd.DataFrame:
    sides = {"old": before, "new": after}

    def score(framework: str, data: str, units: "pd.Index[Any]") -> "pd.Series[float]":
        of, by = sides[data].inputs, sides[framework].inputs
        assert of is not None and by is not None
        if not len(units):
            return pd.Series(dtype=float)
        scores = _run(by, of, units).stages["scores"][sides[framework].target]
        # Who was screened out has no score.
        return scores.reindex(units)

    return decompose_rank_change(score, old_units=before.scores.index, new_units=after.scores.index, order=order)


def _attributed(before: Side, after: Side, tables: dict[str, pd.DataFrame], report: dict[str, Any]) -> None:
    editions = []
    for side in (before, after):
        assert side.run is not None
        run, stages = side.run, side.run.stages
        normalised = stages.get("normalised", run.units.values)
        editions.append(Edition(normalised, stages["scores"], run.hierarchy, run.rules, run.own_rules))
    try:
        found = attribute_score_change(
            editions[0], editions[1], target=before.target if before.target == after.target else None
        )
    except EngineError:
        raise
    except ValueError as exc:
        report["warnings"].append({"kind": "no_attribution", "message": str(exc), "names": [before.target]})
        return
    parts = pd.concat([found.values, found.weights.add_prefix("weight of ")], axis=1)
    parts.insert(0, "change", found.change)
    tables["attribution"] = parts.rename_axis("uCode").reset_index()
    report["attribution"] = {"mean_change": plain(float(found.change.mean()))}
