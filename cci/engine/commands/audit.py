"""`audit`: what an auditor of the index reads, as tables."""

import argparse
from dataclasses import replace
from typing import Any

import pandas as pd

from cci.engine import analysis
from cci.engine.commands.files import Inputs, add_inputs, files_of, read_inputs, write
from cci.engine.config import read_audit
from cci.engine.config.comparing import CORRELATIONS
from cci.engine.config.keys import Keys
from cci.engine.errors import ConfigError, EngineError
from cci.engine.pipeline import run_index
from cci.engine.report import plain
from cci.engine.robustness import alternatives, movers
from cci.engine.stages import Run

RUN = "run"  # what the index itself is called among its variants


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "audit", help="statistics, correlations, dimensions, reliability, removal of elements, variants"
    )
    add_inputs(parser)
    parser.add_argument("--method", choices=CORRELATIONS, help="of the correlations, before that of [audit]")
    parser.set_defaults(do=run)


def run(options: argparse.Namespace) -> None:
    """Compute the index and write its statistical audit to the folder; the flags in words come first."""
    inputs = read_inputs(options.data, options.meta, options.config)
    try:
        found = run_index(inputs.data, inputs.meta, inputs.config, files=inputs.files, names=inputs.names)
        settings = found.settings.audit or read_audit(Keys({}, "audit", inputs.names["config"], []))
        if options.method:
            settings = replace(settings, method=options.method)
        target = _target(found, settings.target)
        tables = audited(found, target, settings.limits())
        tables |= varied(found, inputs, target)
    except ConfigError as exc:
        raise inputs.placed(exc) from None
    report = found.notes.report | {
        "command": {"name": "audit", "target": target, **settings.limits()},
        "variants": {name: plain(inputs.config["variants"][name]) for name in found.settings.variants},
        "inputs": inputs.digests(),
        "flags": tables["flags"].to_dict("records"),
    }
    write(files_of(tables, report), options.out, inputs=inputs.paths)


def audited(run: Run, target: str, limits: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """The tables of the audit of a run."""
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
        groups=run.own_rules,
        target=target,
        exact_counts=not run.settings.coinr,
        **_ranking(run),
        **limits,
    )


def varied(run: Run, inputs: Inputs, target: str) -> dict[str, pd.DataFrame]:
    """The index beside its variants: how far they agree, every rank, and who moves. Empty without variants."""
    if not run.settings.variants:
        return {}
    scores = {RUN: run.stages["scores"][target]}
    for name, (config, settings) in run.settings.variants.items():
        files, names = dict(inputs.files), dict(inputs.names)
        for key in settings.files():
            if (other := f"variants.{name}.{key}") in inputs.files:
                files[key], names[key] = inputs.files[other], inputs.names[other]
        try:
            found = run_index(inputs.data, inputs.meta, config, files=files, names=names)
        except EngineError as exc:
            exc.message = f"in the variant {name}: {exc.message}"
            raise
        scores[name] = found.stages["scores"][target]
    compared = alternatives(scores, **_ranking(run))
    return {
        "variants": compared.agreement,
        "variant_ranks": compared.ranks.reset_index(),
        "movers": movers(compared),
    }


def _ranking(run: Run) -> dict[str, Any]:
    how = run.settings.rank
    return {} if how is None else {"ties": how.ties, "tolerance": how.tolerance}


def _target(run: Run, target: str) -> str:
    """The aggregate that ranks are studied of: the one named, or the single top."""
    for step in ("normalise", "aggregate"):
        if step not in run.settings.steps:
            raise run.config_error("", step, f"an audit is of scores; add [{step}].")
    if RUN in run.settings.variants:
        raise run.config_error("variants", RUN, "is the name of the index itself; choose another.")
    tops = run.hierarchy.at_level(run.hierarchy.top_level)
    if target and target not in run.hierarchy.aggregates:
        raise run.config_error("audit", "target", f"the meta has no aggregate {target}; correct the name.")
    if not target and len(tops) > 1:
        raise run.config_error("audit", "target", f"there are several tops ({', '.join(tops)}); name one.")
    return target or tops[0]
