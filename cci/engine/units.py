"""Read the table of units: who they are, when, and their indicators as numbers."""

from typing import Any

import pandas as pd

from cci.engine.errors import DataError, unit_name
from cci.engine.meta import Hierarchy
from cci.engine.tables import numbers, texts


def read_units(
    data: pd.DataFrame, hierarchy: Hierarchy, *, file: str = "data"
) -> tuple[pd.DataFrame, dict[Any, int], bool]:
    """Check the table of units and return its indicators, sorted by unit.

    Returns the values, shape (n_units, n_indicators), labelled by uCode, or by (uCode, Time) where the
    data hold several times; the row of each unit as a spreadsheet shows it; whether there are several
    times. Raises DataError for a missing column or code, a unit given twice, text or an infinite value.
    """
    if "uCode" not in data.columns:
        raise DataError("the column is missing; it names the unit of each row.", file=file, row=1, column="uCode")
    if not len(data):
        raise DataError("there are no rows; give at least one unit.", file=file)
    for code in hierarchy.indicators:
        if code not in data.columns:
            raise DataError(
                f"the meta has the indicator {code} and the data no such column; add the column, "
                "or delete the row of the meta.",
                file=file,
                row=1,
                column=code,
            )
    codes = texts(data["uCode"])
    times = _times(data["Time"], file) if "Time" in data.columns else None
    several = times is not None and len(set(times)) > 1
    units: list[Any] = list(zip(codes, times, strict=True)) if several and times is not None else codes
    rows: dict[Any, int] = {}
    for position, (code, unit) in enumerate(zip(codes, units, strict=True)):
        if not code.strip():
            raise DataError("the unit has no code; give it one.", file=file, row=position + 2, column="uCode")
        if unit in rows:
            raise DataError(
                f"unit {unit_name(unit)} stands twice, first in row {rows[unit]}; keep one row.",
                file=file,
                row=position + 2,
                column="uCode",
            )
        rows[unit] = position + 2
    columns = {code: numbers(data[code], name=code, file=file, error=DataError) for code in hierarchy.indicators}
    index = pd.MultiIndex.from_tuples(units, names=["uCode", "Time"]) if several else pd.Index(units, name="uCode")
    order = sorted(range(len(units)), key=units.__getitem__)
    return pd.DataFrame(columns, index=index).iloc[order], rows, several


def _times(column: "pd.Series[Any]", file: str) -> list[Any] | None:
    """Times as whole numbers where all are, else as text; None for a column that is empty throughout."""
    cells = texts(column)
    if not any(cell.strip() for cell in cells):
        return None
    for position, cell in enumerate(cells):
        if not cell.strip():
            raise DataError("the time is missing; give every row its time.", file=file, row=position + 2, column="Time")
    if all(cell.strip().isascii() and cell.strip().isdigit() and len(cell) < 16 for cell in cells):
        return [int(cell) for cell in cells]
    return list(cells)
