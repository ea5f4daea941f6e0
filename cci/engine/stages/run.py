"""One run while it goes on: what its steps share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from cci.engine.aggregation import LevelRule
from cci.engine.config import Config
from cci.engine.errors import ConfigError, DataError, unit_name
from cci.engine.meta import Hierarchy
from cci.engine.report import Notes
from cci.engine.units import Units


@dataclass
class Run:
    """One run while it goes on.

    rules : of the steps of aggregation; `own_rules` of single aggregates. files : what the configuration
    names, by `step.key`; `names` what to call each input. tables : what is to be written, in order;
    `stages` holds those of them that are labelled by unit.
    """

    settings: Config
    hierarchy: Hierarchy
    units: Units
    rules: tuple[LevelRule, ...]
    own_rules: Mapping[str, LevelRule]
    files: Mapping[str, Any]
    names: Mapping[str, str]
    meta: pd.DataFrame
    notes: Notes
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    stages: dict[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def entering(self) -> pd.DataFrame:
        """The values as they enter the imputation: denominated and screened, where that was asked for."""
        return self.stages.get("screened", self.stages.get("denominated", self.units.values))

    def keep(self, name: str, table: pd.DataFrame, *, ranks: bool = False) -> pd.DataFrame:
        """Keep a table labelled by unit; refuse what is too large to compute with."""
        if not self.settings.coinr and not ranks:
            self._refuse_infinite(name, table)
        self.tables[name] = self.stages[name] = table
        return table

    def _refuse_infinite(self, name: str, table: pd.DataFrame) -> None:
        infinite = np.isinf(table.to_numpy(dtype=np.float64))
        if infinite.any():
            place = np.argwhere(infinite)[0]
            unit, column = table.index[place[0]], str(table.columns[place[1]])
            raise DataError(
                f"unit {unit_name(unit)} becomes infinite in the table {name}; its numbers are too large to "
                "compute with, use a larger unit of measure.",
                column=column,
                unit=unit,
            )

    def rule(self, aggregate: str) -> LevelRule:
        """How an aggregate is scored."""
        return self.own_rules.get(aggregate, self.rules[self.hierarchy.levels[aggregate] - 2])

    def file(self, key: str) -> Any:
        """What is in a file that the configuration names."""
        if key not in self.files:
            step, name = key.split(".")
            what = "the goalposts are" if key == "normalise.file" else "the content of this file is"
            raise self.config_error(step, name, f"{what} not given; pass their table.")
        return self.files[key]

    def name(self, key: str) -> str:
        return self.names.get(key, key)

    def config_error(self, table: str, key: str, message: str) -> ConfigError:
        return ConfigError(message, file=self.names["config"], table=table, key=key)


def by_scope(
    function: Callable[[pd.DataFrame], pd.DataFrame], values: pd.DataFrame, scope: str, several: bool
) -> pd.DataFrame:
    """Apply a step to all units together, or to each time by itself; the order of units stays."""
    if scope == "all" or not several or values.empty:
        return function(values)
    times = values.index.get_level_values(1)
    parts = [function(values[times == time]) for time in times.unique().sort_values()]
    return pd.concat(parts).loc[values.index]
