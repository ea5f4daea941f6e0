"""What the methods of normalisation share: directions, extents, refusals."""

from typing import Any

import numpy as np
import pandas as pd

from cci.engine.errors import DataError, GoalpostsError
from cci.engine.tables import FloatArray, numbers, texts


def aligned(directions: "pd.Series[float]", columns: "pd.Index[Any]") -> FloatArray:
    """The directions in the order of the columns; refuses a gap by name."""
    if directions.index.equals(columns):
        return np.asarray(directions, dtype=np.float64)
    absent = [str(code) for code in columns if code not in directions.index]
    if absent:
        raise ValueError(f"No direction for {', '.join(absent)}.")
    return np.asarray(directions[list(columns)], dtype=np.float64)


def oriented(values: pd.DataFrame, directions: "pd.Series[float]") -> FloatArray:
    """The values times their directions: more is better everywhere (method note, section 5)."""
    signed: FloatArray = values.to_numpy(dtype=np.float64) * aligned(directions, values.columns)
    return signed


def extent(cells: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The least and the largest value of each column; inf and -inf where it has none."""
    # fmin and fmax pass over gaps, and stay quiet where a column has nothing else.
    return np.fmin.reduce(cells, axis=0, initial=np.inf), np.fmax.reduce(cells, axis=0, initial=-np.inf)


def width(low: FloatArray, high: FloatArray, columns: "pd.Index[Any]") -> FloatArray:
    """The range of each column, NaN where it has one distinct value or none; refuses one too large to compute with."""
    with np.errstate(over="ignore", invalid="ignore"):
        spread = np.where(high > low, high - low, np.nan)
    if np.isinf(spread).any():
        code = str(columns[np.flatnonzero(np.isinf(spread))[0]])
        raise DataError(
            "the range from smallest to largest value is infinite; use a larger unit of measure.",
            column=code,
        )
    return spread


def labelled(scores: FloatArray, values: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(scores, index=values.index, columns=values.columns, copy=False)


def constant_indicators(values: pd.DataFrame) -> list[str]:
    """Name the indicators that have values, but only one distinct value (one unit is enough for that)."""
    low, high = extent(values.to_numpy(dtype=np.float64))
    return [str(code) for code, same in zip(values.columns, low == high, strict=True) if same]


def read_figures(
    table: pd.DataFrame, names: tuple[str, ...], indicators: "pd.Index[Any]", *, file: str
) -> pd.DataFrame:
    """Read columns of figures by indicator; refuses a code given twice, and an indicator without a figure.

    table : columns iCode and `names`; text or numbers. Rows of other elements are left aside.
    """
    for column in ("iCode", *names):
        if column not in table.columns:
            raise GoalpostsError(
                f"the column is missing; the table needs iCode, {', '.join(names)}.", file=file, row=1, column=column
            )
    codes = texts(table["iCode"])
    figures = {name: numbers(table[name], name=name, file=file, error=GoalpostsError) for name in names}
    rows: dict[str, int] = {}
    for position, code in enumerate(codes):
        if code in rows:
            raise GoalpostsError(f"{code} stands twice; keep one row.", file=file, row=position + 2, column="iCode")
        rows[code] = position
    absent = [str(code) for code in indicators if code not in rows]
    if absent:
        raise GoalpostsError(f"no row for {', '.join(absent)}; every indicator needs one.", file=file, column="iCode")
    for code in indicators:
        for name in names:
            if np.isnan(figures[name][rows[code]]):
                raise GoalpostsError(
                    f"{code} has no figure; every indicator needs one.", file=file, row=rows[code] + 2, column=name
                )
    places = [rows[str(code)] for code in indicators]
    return pd.DataFrame({name: figures[name][places] for name in names}, index=indicators)
