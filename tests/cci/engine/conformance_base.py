"""The files of the ASEM conformance table, and how a case is put together from one of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from cci.engine import compute
from cci.engine.meta import read_meta

MODES = {"default": {}, "coinr": {"compat": "coinr"}}
OPEN = {"min_available": 0}


@dataclass
class Case:
    """One file: the engine's table beside COINr's, same labels; `mode` is empty where no mode matters."""

    file: str
    mode: str
    actual: Any
    expected: Any


class Asem:
    """The files of the conformance table, and what the engine reads of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def table(self, name: str) -> pd.DataFrame:
        return pd.read_csv(self.folder / f"{name}.csv", dtype={"uCode": str, "iCode": str})

    def by_unit(self, name: str) -> pd.DataFrame:
        table = self.table(name)
        return table.set_index(["uCode", "Time"] if "Time" in table else "uCode").sort_index()

    @cached_property
    def data(self) -> pd.DataFrame:
        return self.table("inputs/iData")

    @cached_property
    def meta(self) -> pd.DataFrame:
        return self.table("inputs/iMeta")

    @cached_property
    def tree(self) -> Any:
        return read_meta(self.meta)

    def with_groups(self, name: str) -> pd.DataFrame:
        """A stage of the example with the groups of its units, as data to start from."""
        columns = ["uCode", "GDP_group", "GDPpc_group", "Pop_group", "EurAsia_group"]
        table = self.table(name)
        return table[["uCode", *[c for c in table.columns if c not in columns]]].merge(self.data[columns], on="uCode")

    def stage(self, data: pd.DataFrame, config: dict[str, Any], name: str, **given: Any) -> pd.DataFrame:
        found = compute(data, given.pop("meta", self.meta), config, **given).tables[name]
        return found.set_index(["uCode", "Time"] if "Time" in found else "uCode")


def like(actual: pd.DataFrame, expected: pd.DataFrame) -> pd.DataFrame:
    """The rows and columns that COINr's file has; one that the engine lacks fails by name."""
    assert list(actual.index) == list(expected.index), "other units"
    return actual[list(expected.columns)]


def stage_cases(
    asem: Asem, file: str, data: pd.DataFrame, config: dict[str, Any], table: str, modes: str = "both", **given: Any
) -> Iterator[Case]:
    expected = asem.by_unit(file)
    for mode, switch in MODES.items():
        if modes in ("both", mode):
            actual = asem.stage(data, switch | config, table, **given)
            if table == "scores":  # the file may hold the indicators too
                expected = expected[[column for column in expected.columns if column in actual.columns]]
            yield Case(file, mode, like(actual, expected), expected)
