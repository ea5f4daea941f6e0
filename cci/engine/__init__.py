"""A pure engine for composite indices: a table of units, a hierarchy and settings in; every stage out.

    from cci.engine import compute, parse_csv
    data = parse_csv(Path("iData.csv").read_bytes(), name="iData.csv")
    meta = parse_csv(Path("iMeta.csv").read_bytes(), name="iMeta.csv")
    result = compute(data, meta, {"normalise": {"method": "min_max"}, "aggregate": {}, "rank": {}})
    result.tables["ranks"]     # uCode, then one column per aggregate
    result.report["defaults"]  # what was not set: "normalise.lower", "aggregate.min_available", …

No Django, no clock, no unseeded chance, no files: only `python -m cci.engine` reads and writes. README.md
beside this file shows how, with every setting.
"""

from cci.engine.config import Config, read_config
from cci.engine.errors import (
    ConfigError,
    DataError,
    EngineError,
    GoalpostsError,
    MetaError,
    NonPositiveError,
)
from cci.engine.meta import Hierarchy, effective_weights, read_meta
from cci.engine.pipeline import VERSION, Result, compute, run_index
from cci.engine.stages import Run
from cci.engine.tables import parse_csv, to_csv

__all__ = [
    "VERSION",
    "Config",
    "ConfigError",
    "DataError",
    "EngineError",
    "GoalpostsError",
    "Hierarchy",
    "MetaError",
    "NonPositiveError",
    "Result",
    "Run",
    "compute",
    "effective_weights",
    "parse_csv",
    "read_config",
    "read_meta",
    "run_index",
    "to_csv",
]
