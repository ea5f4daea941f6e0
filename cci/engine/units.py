"""Read the table of units: who they are, when, their indicators as numbers, and the columns that group them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cci.engine.errors import DataError, unit_name
from cci.engine.meta import Hierarchy
from cci.engine.tables import numbers, refuse_blank_twins, refuse_formulas, texts


@dataclass(frozen=True)
class Units:
    """The checked table of units, sorted by unit.

    values : shape (n_units, n_indicators), labelled by uCode, or by (uCode, Time) where the data hold
        several times. places : shape (n_units,), where each unit stands in `data`, the table as given.
    """

    values: pd.DataFrame
    places: NDArray[np.intp]
    data: pd.DataFrame
    file: str

    @property
    def several(self) -> bool:
        """Whether the data hold several times."""
        return self.values.index.nlevels > 1

    @property
    def times(self) -> "pd.Index[Any] | None":
        return self.values.index.get_level_values(1) if self.several else None

    def row_of(self, unit: object) -> int | None:
        """The row of a unit as a spreadsheet shows it."""
        if unit is None or unit not in self.values.index:
            return None
        return int(self.places[self.values.index.get_loc(unit)]) + 2

    def groups(self, column: str) -> "pd.Series[Any]":
        """The groups that a column of the data names, labelled as the units; an empty cell is no group (None)."""
        labels = texts(self._given(column))
        refuse_formulas(labels, name=column, file=self.file, error=DataError)
        cells = np.array(labels, dtype=object)[self.places]
        return pd.Series([cell if cell.strip() else None for cell in cells], index=self.values.index, dtype=object)

    def sizes(self, columns: list[str]) -> pd.DataFrame:
        """Denominators: columns of the data as numbers, labelled as the units."""
        cells = {
            column: numbers(self._given(column), name=column, file=self.file, error=DataError)[self.places]
            for column in columns
        }
        return pd.DataFrame(cells, index=self.values.index)

    def _given(self, column: str) -> "pd.Series[Any]":
        if column not in self.data.columns:
            raise DataError(
                "the configuration names this column and the data have none such; add it, or correct the name.",
                file=self.file,
                row=1,
                column=column,
            )
        return self.data[column]


def read_units(data: pd.DataFrame, hierarchy: Hierarchy, *, file: str = "data") -> Units:
    """Check the table of units.

    Raises DataError for a missing column or code, a unit given twice, text or an infinite value.

    >>> from cci.engine.meta import read_meta
    >>> tree = read_meta(pd.DataFrame({"Level": [1, 2], "iCode": ["a", "T"], "Parent": ["T", ""],
    ...                                "Direction": [1, 1], "Weight": [1, 1]}))
    >>> units = read_units(pd.DataFrame({"uCode": ["Y", "X"], "a": ["2", ""], "Size": ["small", ""]}), tree)
    >>> units.values["a"].tolist(), units.row_of("X"), units.groups("Size").tolist()
    ([nan, 2.0], 3, [None, 'small'])
    """
    index = read_index(data, file=file)
    there = set(data.columns)
    for code in hierarchy.indicators:
        if code not in there:
            raise DataError(
                f"the meta has the indicator {code} and the data no such column; add the column, "
                "or delete the row of the meta.",
                file=file,
                row=1,
                column=code,
            )
    places = _sorted(index)
    # One block of memory, so that no later step goes through it column by column.
    cells = np.empty((len(hierarchy.indicators), len(index)))
    for row, (name, column) in zip(cells, data[list(hierarchy.indicators)].items(), strict=True):
        row[:] = numbers(column, name=str(name), file=file, error=DataError)
    values = pd.DataFrame(cells.T, index=index, columns=pd.Index(hierarchy.indicators), copy=False)
    return Units(values if _in_order(places) else values.iloc[places], places, data, file)


def read_index(table: pd.DataFrame, *, file: str) -> "pd.Index[Any]":
    """The labels of a table's rows, each there once: uCode, or (uCode, Time) where it holds several times."""
    if "uCode" not in table.columns:
        raise DataError("the column is missing; it names the unit of each row.", file=file, row=1, column="uCode")
    if not len(table):
        raise DataError("there are no rows; give at least one unit.", file=file)
    codes = texts(table["uCode"])
    times = _times(table["Time"], file) if "Time" in table.columns else None
    for position, code in enumerate(codes):
        if not code.strip():
            raise DataError("the unit has no code; give it one.", file=file, row=position + 2, column="uCode")
    refuse_formulas(codes, name="uCode", file=file, error=DataError)
    refuse_blank_twins(codes, name="uCode", file=file, error=DataError)
    index: pd.Index[Any] = pd.Index(codes, name="uCode")
    if times is not None and len(set(times)) > 1:
        index = pd.MultiIndex.from_arrays([index, times], names=["uCode", "Time"])
    if not index.is_unique:
        position = int(np.flatnonzero(index.duplicated())[0])
        unit = index[position]
        first = list(index).index(unit) + 2
        raise DataError(
            f"unit {unit_name(unit)} stands twice, first in row {first}; keep one row.",
            file=file,
            row=position + 2,
            column="uCode",
        )
    return index


def _sorted(index: "pd.Index[Any]") -> NDArray[np.intp]:
    levels = [index.get_level_values(level) for level in range(index.nlevels)]
    # Python compares codes by character, whatever the language of the machine.
    return np.lexsort([pd.factorize(level, sort=True)[0] for level in reversed(levels)])


def _in_order(places: NDArray[np.intp]) -> bool:
    return bool((places == np.arange(len(places))).all())


def _times(column: "pd.Series[Any]", file: str) -> list[Any] | None:
    """Times as whole numbers where all are, else as text; None for a column that is empty throughout."""
    if pd.api.types.is_integer_dtype(column.dtype) and isinstance(column.dtype, np.dtype):
        return list(column.tolist())
    cells = texts(column)
    if not any(cell.strip() for cell in cells):
        return None
    for position, cell in enumerate(cells):
        if not cell.strip():
            raise DataError("the time is missing; give every row its time.", file=file, row=position + 2, column="Time")
    if all(cell.strip().isascii() and cell.strip().isdigit() and len(cell) < 16 for cell in cells):
        return [int(cell) for cell in cells]
    return list(cells)
