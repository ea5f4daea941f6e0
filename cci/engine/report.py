"""What a run says of itself: parameters, defaults, counts and warnings, fit for JSON."""

import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import PurePath
from typing import Any

import numpy as np
import pandas as pd

from cci.engine.aggregation import LevelRule
from cci.engine.config import Config
from cci.engine.meta import Hierarchy, effective_weights
from cci.engine.units import Units

VERSION = "1.0.0"


@dataclass
class Notes:
    """The report while it grows: steps add entries by name, and warnings."""

    report: dict[str, Any] = field(default_factory=dict)

    def warn(self, kind: str, message: str, names: Sequence[object]) -> None:
        """Warn of the named things, each once; of none, not at all."""
        if names:
            listed = list(dict.fromkeys(str(name) for name in names))
            self.report["warnings"].append({"kind": kind, "message": message, "names": listed})


def opening(
    settings: Config, hierarchy: Hierarchy, units: Units, rules: Sequence[LevelRule], meta_columns: Sequence[str]
) -> Notes:
    """Everything that is known before the first step runs.

    meta_columns : columns of the meta that the settings use beside those of every hierarchy.
    """
    used = {"uCode", "Time", *hierarchy.indicators, *columns_used(settings, hierarchy)}
    times = sorted(set(units.times)) if units.times is not None else []
    notes = Notes(
        {
            "engine": {"name": "cci.engine", "version": VERSION},
            "libraries": {"numpy": np.__version__, "pandas": pd.__version__, "python": platform.python_version()},
            "compat": settings.compat,
            "steps": settings.steps,
            "parameters": parameters(settings, rules),
            "defaults": list(settings.defaults),
            "units": {"read": len(units.values), "times": [plain(time) for time in times]},
            "hierarchy": {
                "indicators": len(hierarchy.indicators),
                "aggregates": len(hierarchy.aggregates),
                "levels": hierarchy.top_level,
                "tops": [code for code in hierarchy.at_level(hierarchy.top_level) if code in hierarchy.aggregates],
                "effective_weights": effective_weights(hierarchy).to_dict(),
            },
            "unused": {
                "data_columns": [str(column) for column in units.data.columns if column not in used],
                "meta_columns": [column for column in hierarchy.unused_columns if column not in meta_columns],
                "meta_rows": [row for row in hierarchy.unused_rows if row not in used],
            },
            "warnings": [],
        }
    )
    notes.warn(
        "direction_ignored",
        "Aggregates with direction -1; only the directions of indicators count.",
        hierarchy.reversed_aggregates,
    )
    if settings.aggregate and not settings.normalise:
        notes.warn(
            "directions_not_applied",
            "There is no [normalise]: the data are taken as normalised, also where less is better.",
            [code for code, sign in hierarchy.directions.items() if sign == -1],
        )
    return notes


def columns_used(settings: Config, hierarchy: Hierarchy) -> list[str]:
    """The columns of the data that settings name beside the indicators: groups and denominators."""
    found = list(settings.rank.groups) if settings.rank else []
    found += [*settings.peers.groups, *settings.peers.by] if settings.peers else []
    found += [step.group for step in (settings.impute, settings.profiles) if step and step.group]
    if settings.denominate and not settings.denominate.file:
        found += list(settings.denominate.by.values())
    return found


def parameters(settings: Config, rules: Sequence[LevelRule]) -> dict[str, Any]:
    """Every parameter of every step, as used; of a file the name, as its folder is the machine's business."""
    found: dict[str, Any] = {}
    for step in settings.steps:
        chosen = getattr(settings, step)
        found[step] = plain(chosen.used() if hasattr(chosen, "used") else asdict(chosen))
        for key in ("file", "bounds_file", "base_file"):
            if found[step].get(key):
                found[step][key] = PurePath(found[step][key]).name
            else:
                found[step].pop(key, None)
    if settings.aggregate:
        found["aggregate"] = {"levels": [plain(rule.used()) for rule in rules]}
        if settings.aggregate.groups:
            found["aggregate"]["groups"] = plain(settings.aggregate.groups)
    return found


def of_scores(notes: Notes, scores: pd.DataFrame, coverage: pd.DataFrame) -> None:
    """Count what was scored and on how much data; warn of aggregates without any score."""
    scored = dict(zip(scores.columns, scores.notna().to_numpy().sum(axis=0).tolist(), strict=True))
    low, mean = (dict(zip(coverage.columns, part.tolist(), strict=True)) for part in (coverage.min(), coverage.mean()))
    notes.report["coverage"] = {
        str(code): {
            "units_scored": n,
            "units": len(scores),
            "min_share_observed": plain(low[code]),
            "mean_share_observed": plain(mean[code]),
        }
        for code, n in scored.items()
    }
    unscored = [code for code, n in scored.items() if len(scores) and not n]
    notes.warn("no_scores", "Aggregates without a score for any unit.", unscored)


def plain(value: Any) -> Any:
    """Make a value fit for JSON: NaN becomes None, numpy's numbers become Python's, names of any kind text."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and math.isnan(value) else value
