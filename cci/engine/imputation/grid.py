"""A table with gaps as an array, and what a method makes of it."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cci.engine.errors import DataError, unit_name
from cci.engine.tables import FloatArray

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
# Sums of more than a million such numbers still fit a double.
LARGEST = 1e300


@dataclass
class Fill:
    """What a method gives for an array of cells, shape (n, k).

    values : the cells, gaps filled where the method has a value, else NaN.
    fallback : the gaps filled by a cruder statistic than the method's own.
    reasons : why gaps stay, as (mask that broadcasts to (n, k), reason); the first that holds counts.
    source, source_to : the rows a panel's value was taken from, -1 for none; `source_to` is the later
        end of an interpolation.
    report : further facts, such as the convergence of an iteration.
    """

    values: FloatArray
    fallback: BoolArray
    reasons: list[tuple[BoolArray, str]] = field(default_factory=list)
    source: IntArray | None = None
    source_to: IntArray | None = None
    report: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Grid:
    """The cells of a frame, rows sorted by unit (and time), columns by code.

    Every sum is taken in this order, so that the order of rows and columns given moves no digit.
    """

    frame: pd.DataFrame
    cells: FloatArray
    rows: IntArray
    columns: IntArray

    @property
    def codes(self) -> list[str]:
        return [str(self.frame.columns[position]) for position in self.columns]

    @property
    def units(self) -> "pd.Index[Any]":
        return self.frame.index[self.rows]

    def back(self, cells: "NDArray[Any]") -> "NDArray[Any]":
        """Bring an array of the grid's shape into the order of the frame."""
        result = np.empty_like(cells)
        result[np.ix_(self.rows, self.columns)] = cells
        return result


def grid_of(values: pd.DataFrame) -> Grid:
    """Read a frame as a grid; refuse a unit or an indicator given twice, and numbers beyond 1e300.

    >>> grid_of(pd.DataFrame({"b": [1.0, 2.0], "a": [3.0, None]}, index=["Y", "X"])).cells.tolist()
    [[nan, 2.0], [3.0, 1.0]]
    """
    if values.index.has_duplicates:
        unit = values.index[values.index.duplicated()][0]
        raise DataError(f"unit {unit_name(unit)} stands twice; keep one row.", unit=unit)
    if values.columns.has_duplicates:
        column = str(values.columns[values.columns.duplicated()][0])
        raise DataError("the indicator stands twice; keep one column.", column=column)
    rows = np.asarray(values.index.argsort(), dtype=np.int64)
    columns = np.asarray(np.argsort([str(code) for code in values.columns], kind="stable"), dtype=np.int64)
    cells = np.ascontiguousarray(values.to_numpy(dtype=np.float64)[np.ix_(rows, columns)])
    grid = Grid(values, cells, rows, columns)
    refuse_too_large(cells, grid, "the value is infinite or too large to impute from; use a larger unit of measure")
    return grid


def refuse_too_large(cells: FloatArray, grid: Grid, message: str) -> None:
    place = np.argwhere(np.abs(cells) > LARGEST)
    if place.size:
        unit = grid.units[place[0][0]]
        raise DataError(f"unit {unit_name(unit)}: {message}.", unit=unit, column=grid.codes[place[0][1]])


def ranges(cells: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The lowest and highest value of each column, shape (k,) each; NaN for a column without any.

    >>> [bound.tolist() for bound in ranges(np.array([[1.0, np.nan], [3.0, np.nan]]))]
    [[1.0, nan], [3.0, nan]]
    """
    gaps = np.isnan(cells)
    empty = gaps.all(axis=0) if len(cells) else np.ones(cells.shape[1], dtype=bool)
    low = np.where(gaps, np.inf, cells).min(axis=0, initial=np.inf)
    high = np.where(gaps, -np.inf, cells).max(axis=0, initial=-np.inf)
    return np.where(empty, np.nan, low), np.where(empty, np.nan, high)
