"""`uncertainty`: how sure the ranks are, and which choice moves them."""

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cci.engine.commands.files import Inputs, add_file, add_inputs, files_of, read_inputs, write
from cci.engine.config import read_config
from cci.engine.errors import ConfigError, DataError, EngineError, MetaError
from cci.engine.pipeline import run_index
from cci.engine.stages import Run
from cci.engine.tables import numbers, texts
from cci.engine.uncertainty import Choices, read_choices, read_sensitivity, sensitivity, uncertainty
from cci.engine.units import read_index

# Large tables, one row per replicate: packed.
PACKED = ("replicate_weights", "replicate_ranks", "replicate_scores", "sensitivity_evaluations")


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("uncertainty", help="rank intervals by Monte Carlo, and sensitivity indices")
    add_inputs(parser)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="threads; they change no result")
    parser.add_argument("--keep-ranks", action="store_true", help="write the ranks of every replicate")
    parser.set_defaults(do=run)


def run(options: argparse.Namespace) -> None:
    """Compute the index, vary what [uncertainty] says, and write the statistics of the ranks to the folder."""
    if options.workers < 1:
        raise EngineError("--workers is a whole number of 1 or more.")
    inputs = read_inputs(options.data, options.meta, options.config)
    try:
        tables, report = analysed(inputs, options.config.parent, workers=options.workers, keep_ranks=options.keep_ranks)
    except ConfigError as exc:
        exc.file = exc.file if exc.file != "config" else inputs.names["config"]
        raise inputs.placed(exc) from None
    write(files_of(tables, report, packed=PACKED), options.out, inputs=inputs.paths)


def analysed(
    inputs: Inputs, folder: Path, *, workers: int, keep_ranks: bool
) -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:
    """The tables and the report of an uncertainty analysis, and of the sensitivity analysis where one is asked for."""
    name = inputs.names["config"]
    if "uncertainty" not in inputs.config:
        raise ConfigError("the configuration says nothing of what is varied; add [uncertainty].", file=name)
    choices = read_choices(inputs.config, read_config, file=name)
    nominal = run_index(inputs.data, inputs.meta, inputs.config, files=inputs.files, names=inputs.names)
    _check_files(nominal, choices)
    given: dict[str, Any] = {"workers": workers}
    if choices.weights is not None and choices.weights.sets_file:
        add_file(inputs, "weight sets", folder / choices.weights.sets_file, MetaError)
        given["weight_sets"] = _numbers(inputs.files["weight sets"], inputs.names["weight sets"])
    if choices.errors_file:
        add_file(inputs, "standard errors", folder / choices.errors_file)
        given["errors"] = _errors(inputs.files["standard errors"], inputs.names["standard errors"])
    units = nominal.entering.index
    found = uncertainty(nominal, choices, **given)
    tables = {name: nominal.stages[name].reset_index() for name in ("scores", "ranks")}
    tables["rank_stats"] = found.rank_stats.reset_index()
    if len(found.pairs):
        tables["rank_pairs"] = found.pairs
    tables |= {"replicates": found.replicates, "replicate_weights": found.weights}
    if keep_ranks:
        tables["replicate_ranks"] = _by_unit(found.ranks, units, missing=0)
    if found.scores is not None:
        tables["replicate_scores"] = _by_unit(found.scores, units)
    report = nominal.notes.report | {"uncertainty": found.report}
    if "sensitivity" in inputs.config:
        sampling = read_sensitivity(inputs.config, file=name)
        effects = sensitivity(nominal, choices, sampling, **given)
        tables["sensitivity"] = effects.indices
        if len(effects.per_unit):
            tables["sensitivity_units"] = effects.per_unit.reset_index()
        if len(effects.second):
            tables["sensitivity_pairs"] = effects.second
        tables["sensitivity_evaluations"] = effects.evaluations
        report["sensitivity"] = effects.report
    return tables, report | {"command": {"name": "uncertainty"}, "inputs": inputs.digests()}


def _check_files(run: Run, choices: Choices) -> None:
    """An option that names a file would need one of its own."""
    for step, options in choices.steps.items():
        own = getattr(run.settings, step)
        for option in options:
            for key in ("file", "bounds_file", "base_file"):
                if option is not None and getattr(option, key, "") not in ("", getattr(own, key, "")):
                    raise ConfigError(
                        f"an option names another {key} than the run; options share the run's files.",
                        file=run.names["config"],
                        table=f"uncertainty.{step}",
                        key="options",
                    )


def _numbers(table: pd.DataFrame, file: str) -> pd.DataFrame:
    if "iCode" not in table.columns:
        raise MetaError("the column is missing; weight sets need iCode.", file=file, row=1, column="iCode")
    names = [column for column in table.columns if column not in ("iCode", "Level")]
    columns = {column: numbers(table[column], name=column, file=file, error=MetaError) for column in names}
    return pd.DataFrame(columns, index=pd.Index(texts(table["iCode"]), name="iCode"))


def _errors(table: pd.DataFrame, file: str) -> pd.DataFrame:
    index = read_index(table, file=file)
    names = [column for column in table.columns if column not in ("uCode", "uName", "Time")]
    columns = {column: numbers(table[column], name=column, file=file, error=DataError) for column in names}
    return pd.DataFrame(columns, index=index)


def _by_unit(cells: "np.ndarray[Any, Any]", index: "pd.Index[Any]", missing: int | None = None) -> pd.DataFrame:
    """A table of units by replicates."""
    names = [f"r_{number}" for number in range(1, cells.shape[1] + 1)]
    table = pd.DataFrame(cells, index=index, columns=names)
    return (table if missing is None else table.astype("Int64").mask(table == missing)).reset_index()
