"""Run the steps that prepare the data: denominate, screen, impute, treat."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pandas as pd

from cci.engine import denomination, imputation, screening, treatment
from cci.engine.config import Denominate, Impute, Screen, Treat
from cci.engine.errors import DataError, unit_name
from cci.engine.report import plain
from cci.engine.stages.run import Run, by_scope
from cci.engine.tables import numbers
from cci.engine.units import read_index


def denominated(run: Run, step: Denominate, values: pd.DataFrame) -> pd.DataFrame:
    unknown = [code for code in step.by if code not in run.hierarchy.indicators]
    if unknown:
        raise run.config_error("denominate", "by", f"the meta has no indicator {', '.join(unknown)}; correct the name.")
    used = list(dict.fromkeys(step.by.values()))
    unused = [code for code in step.scale if code not in used]
    if unused:
        raise run.config_error("denominate", "scale", f"nothing is divided by {', '.join(unused)}; correct the name.")
    if step.file:
        sizes = sizes_of(run.file("denominate.file"), used, file=run.name("denominate.file"))
    else:
        sizes = run.units.sizes(used)
    divided, records = denomination.denominate(
        values, denominators=sizes, by=step.by, scale=step.scale, undefined=step.undefined
    )
    run.keep("denominated", divided)
    run.tables["denominated_cells"] = records
    run.notes.report["denomination"] = {
        "by": dict(step.by),
        "cells": {str(reason): int(n) for reason, n in records["reason"].value_counts().sort_index().items()},
    }
    run.notes.warn("not_denominated", "Units with values that a denominator made missing or odd.", _unit_names(records))
    still = denomination.size_correlations(divided, sizes) if len(used) else pd.DataFrame(columns=["indicator"])
    run.notes.warn(
        "still_size",
        "Indicators that go with a denominator (|correlation| above 0.6): they may still measure size.",
        list(still["indicator"]),
    )
    return divided


def screened(run: Run, step: Screen, values: pd.DataFrame) -> pd.DataFrame:
    known = set(values.index.get_level_values(0))
    for key, listed in (("include", step.include), ("exclude", step.exclude)):
        unknown = [code for code in listed if code not in known]
        if unknown:
            raise run.config_error("screen", key, f"the data hold no unit {', '.join(unknown)}; correct the list.")
    options = asdict(step)
    of_indicators = options.pop("min_indicator_available")
    exact = not run.settings.coinr
    table = screening.screen(values, **options, exact_counts=exact, hierarchy=run.hierarchy)
    removed = table[~table["kept"]]
    run.notes.report["screening"] = {
        "kept": int(table["kept"].sum()),
        "screened_out": [
            {
                "unit": unit_name(unit),
                "row": run.units.row_of(unit),
                "available": int(removed["available"].iloc[position]),
                "indicators": values.shape[1],
                "nonzero": int(removed["available"].iloc[position] - removed["zeros"].iloc[position]),
                "reason": str(removed["reason"].iloc[position]),
            }
            for position, unit in enumerate(removed.index)
        ],
    }
    run.notes.warn("screened_out", "Units left out by [screen].", [unit_name(unit) for unit in removed.index])
    if len(removed) == len(table):
        run.notes.warn("no_units", "No unit passes [screen]; the tables are empty.", ["screen"])
    kept = values if not len(removed) else values[table["kept"].to_numpy()]
    by_indicator = screening.screen_indicators(kept, min_available=of_indicators, exact_counts=exact)
    run.notes.warn(
        "sparse_indicator",
        f"Indicators with values for less than {of_indicators:g} of the units; leave them out of the meta, or impute.",
        list(by_indicator.index[~by_indicator["kept"]]),
    )
    return run.keep("screened", kept)


def impute(run: Run, step: Impute, values: pd.DataFrame) -> imputation.Imputation:
    groups = run.units.groups(step.group).loc[values.index] if step.group else None
    return imputation.impute(values, groups=groups, hierarchy=run.hierarchy, **step.options())


def imputed(run: Run, step: Impute, values: pd.DataFrame) -> pd.DataFrame:
    if step.method == "none":
        return run.keep("imputed", values)  # the gaps stay, and the table says so
    found = impute(run, step, values)
    run.keep("imputed", found.values)
    run.tables["imputed_cells"] = found.cells
    run.notes.report["imputation"] = {
        **plain(found.report),
        "by_indicator": {str(code): int(n) for code, n in found.cells["indicator"].value_counts().sort_index().items()},
        "left_cells": [
            {"unit": unit_name(tuple(unit) if len(unit) > 1 else unit[0]), "indicator": code, "reason": reason}
            for *unit, code, reason in found.left.itertuples(index=False)
        ],
    }
    fallen = found.cells.loc[found.cells["fallback"].astype(bool), "indicator"]
    message = "Indicators with cells filled by a cruder value than the method's own."
    run.notes.warn("imputed_by_fallback", message, sorted(fallen))
    run.notes.warn("not_imputed", "Indicators with cells that stay missing.", sorted(found.left["indicator"]))
    return found.values


def treat(
    run: Run, step: Treat, values: pd.DataFrame
) -> tuple[pd.DataFrame, list[tuple[pd.DataFrame, list[treatment.Treatment]]]]:
    """The treated values, and the records of each part that was treated by itself."""
    base = _base_treatments(run, run.file("treat.base_file")) if step.base_file else None
    parts = []

    def treated_part(part: pd.DataFrame) -> pd.DataFrame:
        if base is not None:
            found, records = treatment.retreat(part, base, skew=step.skew, kurtosis=step.kurtosis)
        else:
            found, records = treatment.treat(part, **step.options())
        parts.append((part, records))
        return found

    return by_scope(treated_part, values, step.scope, run.units.several), parts


def treated(run: Run, step: Treat, values: pd.DataFrame) -> pd.DataFrame:
    unknown = [code for code in step.force if code not in values.columns]
    if unknown:
        raise run.config_error("treat", "force", f"the meta has no indicator {', '.join(unknown)}; correct the list.")
    found, parts = treat(run, step, values)
    run.keep("treated", found)
    entries: list[dict[str, Any]] = []
    cells = []
    for part, records in parts:
        changed = [record for record in records if record.action != "none"]
        cells.append(treatment.treated_cells(part, found if len(parts) == 1 else found.loc[part.index], changed))
        time = plain(part.index.get_level_values(1)[0]) if step.scope == "time" and run.units.several else None
        entries += [_treatment_entry(record, time) for record in changed]
    run.tables["treated_cells"] = pd.concat(cells, ignore_index=True) if len(cells) > 1 else cells[0]
    run.notes.report["treatment"] = entries
    failing = [
        entry["indicator"] for entry in entries if not entry["passes"] and entry["reason"] != "one distinct value"
    ]
    run.notes.warn("still_failing", "Indicators that fail the test for outliers after treatment.", failing)
    return found


def _treatment_entry(record: treatment.Treatment, time: object) -> dict[str, Any]:
    entry = {key: plain(value) for key, value in vars(record).items() if key not in ("points", "transform")}
    entry["transform"] = None if record.transform is None else plain(asdict(record.transform))
    entry["points"] = [{"unit": unit_name(unit), "original": old, "treated": new} for unit, old, new in record.points]
    return entry if time is None else entry | {"time": time}


def _base_treatments(run: Run, report: Mapping[str, Any]) -> list[treatment.Treatment]:
    entries = report.get("treatment")
    if not isinstance(entries, list):
        raise run.config_error("treat", "base_file", "this report has no treatments; give that of a run with [treat].")
    if any("time" in entry for entry in entries):
        raise run.config_error(
            "treat", "base_file", 'the base run treated each time by itself; run it with scope = "all".'
        )
    return treatment.read_treatments(entries)


def sizes_of(table: pd.DataFrame, columns: list[str], *, file: str) -> pd.DataFrame:
    """Denominators from a table of their own, labelled by uCode or (uCode, Time)."""
    index = read_index(table, file=file)
    absent = [column for column in columns if column not in table.columns]
    if absent:
        raise DataError("the denominator is missing; add its column.", file=file, row=1, column=absent[0])
    cells = {column: numbers(table[column], name=column, file=file, error=DataError) for column in columns}
    return pd.DataFrame(cells, index=index)


def _unit_names(records: pd.DataFrame) -> list[str]:
    return [str(code) for code in records["uCode"]] if len(records) else []
