"""`audit`: what an auditor of the index reads, as tables."""

import argparse

import pandas as pd

from cci.engine import analysis
from cci.engine.commands.files import add_inputs, files_of, read_inputs, write
from cci.engine.errors import ConfigError
from cci.engine.pipeline import run_index
from cci.engine.stages import Run

METHODS = ("pearson", "spearman", "kendall")


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("audit", help="statistics, correlations, dimensions, reliability, removal of elements")
    add_inputs(parser)
    parser.add_argument("--method", choices=METHODS, default="pearson", help="of the correlations")
    parser.set_defaults(do=run)


def run(options: argparse.Namespace) -> None:
    """Compute the index and write its statistical audit to the folder; the flags in words come first."""
    inputs = read_inputs(options.data, options.meta, options.config)
    try:
        found = run_index(inputs.data, inputs.meta, inputs.config, files=inputs.files, names=inputs.names)
        tables = audited(found, options.method)
    except ConfigError as exc:
        raise inputs.placed(exc) from None
    report = found.notes.report | {
        "command": {"name": "audit", "method": options.method},
        "inputs": inputs.digests(),
        "flags": tables["flags"].to_dict("records"),
    }
    write(files_of(tables, report), options.out, inputs=inputs.paths)


def audited(run: Run, method: str) -> dict[str, pd.DataFrame]:
    """The tables of the audit of a run."""
    for step in ("normalise", "aggregate"):
        if step not in run.settings.steps:
            raise run.config_error("", step, f"an audit is of scores; add [{step}].")
    values, sizes = run.entering, None
    divided = run.settings.denominate
    if divided is not None and divided.by and not divided.file:
        sizes = run.units.sizes(sorted(set(divided.by.values()))).loc[values.index]
    return analysis.audit(
        run.stages["normalised"],
        run.stages["scores"],
        run.hierarchy,
        observed=values,
        treated=run.stages.get("treated"),
        denominators=sizes,
        rules=run.rules,
        exact_counts=not run.settings.coinr,
        method=method,
    )
