"""Read and write tables of text and numbers, strictly: bytes in, frames out, and back."""

import csv
import gzip
import io
import math
import re
import zlib
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cci.engine.errors import EngineError

type_of_error = type[EngineError]
FloatArray = NDArray[np.float64]

NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)
PLAIN = frozenset("0123456789+-.eE")


def parse_csv(content: bytes, *, name: str, error: type_of_error = EngineError) -> pd.DataFrame:
    """Turn the bytes of a CSV file (UTF-8, comma, header; gzip if the name ends in .gz) into text.

    Returns a frame of strings, one column per header, index 0 … n-1 (row r of the frame is row r + 2
    of the spreadsheet). Nothing is guessed: no cell becomes a number or missing here.
    Raises `error` for an undecodable or empty file, a missing, unnamed or duplicated header and a
    ragged row; empty lines are allowed at the end only.

    >>> parse_csv(b"uCode,LPI\\nAUS,1.5\\nAUT,\\n", name="iData.csv").to_dict("list")
    {'uCode': ['AUS', 'AUT'], 'LPI': ['1.5', '']}
    """
    rows = _rows(_text(content, name, error), name, error)
    if not rows:
        raise error("the file is empty; it needs a header and at least one row.", file=name)
    header = rows[0]
    seen: set[str] = set()
    for position, column in enumerate(header, start=1):
        if not column.strip():
            raise error(f"column number {position} has no name; name it or delete it.", file=name, row=1)
        if column in seen:
            raise error("the column stands twice; keep one of them.", file=name, row=1, column=column)
        seen.add(column)
    if len(rows) == 1:
        raise error("there is a header and no row below it; add the rows.", file=name, row=1)
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            last = header[min(len(row), len(header)) - 1] if row else header[0]
            raise error(
                f"the row has {len(row)} cells and the header {len(header)}; every row needs a cell, "
                "perhaps empty, under each header, and a comma inside a cell needs quotes.",
                file=name,
                row=number,
                column=last,
            )
    columns = zip(*rows[1:], strict=True)
    return pd.DataFrame(dict(zip(header, map(list, columns), strict=True)), dtype=object)


def _text(content: bytes, name: str, error: type_of_error) -> str:
    if name.endswith(".gz"):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error):
            raise error("the file is not whole gzip data; pack it again.", file=name) from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        row = content.count(b"\n", 0, exc.start) + 1
        raise error("the text is not UTF-8; save the file as CSV UTF-8.", file=name, row=row) from None
    if "\0" in text:
        row = text.count("\n", 0, text.index("\0")) + 1
        raise error("the file holds a zero byte, so it is no text; save it as CSV.", file=name, row=row)
    return text


def _rows(text: str, name: str, error: type_of_error) -> list[list[str]]:
    rows: list[list[str]] = []
    try:
        # Universal line ends stay the reader's business, as a quoted cell may hold line breaks.
        rows.extend(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as exc:
        raise error(f"the row is not CSV ({exc}); mend its quotes.", file=name, row=len(rows) + 1) from None
    while rows and not any(cell.strip() for cell in rows[-1]):
        rows.pop()
    return rows


def numbers(column: pd.Series, *, name: str, file: str, error: type_of_error = EngineError) -> FloatArray:
    """Read a column as numbers; an empty cell, None or NaN is missing (NaN).

    column : shape (n,), numbers or text. Text must be plain decimal ("12", "-0.5", "1e-3").
    Returns shape (n,), float64. Raises `error`, naming the row, for other text (also "NA": leave the
    cell empty), a truth value, and an infinite value.

    >>> numbers(pd.Series(["1.5", "", "-2e3"]), name="LPI", file="iData.csv").tolist()
    [1.5, nan, -2000.0]
    """
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        values = _parsed(column.tolist(), name, file, error)
    infinite = np.flatnonzero(np.isinf(values))
    if infinite.size:
        raise error(
            "the value is infinite or too large; give a finite number, or leave the cell empty if missing.",
            file=file,
            row=int(infinite[0]) + 2,
            column=name,
        )
    return values


def _parsed(cells: list[Any], name: str, file: str, error: type_of_error) -> FloatArray:
    try:
        # The fast way, for columns of plain numbers and gaps; `float` alone would let "1_0" and "nan" by.
        if PLAIN.issuperset("".join(cells)):
            return np.array([float(cell) if cell else np.nan for cell in cells], dtype=np.float64)
    except (TypeError, ValueError):
        pass
    values = np.empty(len(cells), dtype=np.float64)
    for position, cell in enumerate(cells):
        value = _parsed_cell(cell)
        if value is None:
            raise error(
                f"{_shown(cell)} is not a number; write it with digits and a point, or leave the cell "
                "empty if missing.",
                file=file,
                row=position + 2,
                column=name,
            )
        values[position] = value
    return values


def _parsed_cell(cell: Any) -> float | None:
    """Give the number in a cell, NaN for an empty one, None where there is no number."""
    if cell is None or cell is pd.NA:
        return math.nan
    if isinstance(cell, bool | np.bool_):
        return None
    if isinstance(cell, int | float | np.number):
        return float(cell)
    text = str(cell).strip()
    if not text:
        return math.nan
    return float(text) if NUMBER.fullmatch(text) or INFINITE.fullmatch(text) else None


def _shown(cell: Any) -> str:
    text = repr(cell)
    return text if len(text) <= 60 else text[:57] + "…'"


def texts(column: pd.Series) -> list[str]:
    """Read a column as text; a missing cell is the empty string, 7.0 is "7" (a code read as a number)."""
    cells = []
    for cell in column.tolist():
        if cell is None or cell is pd.NA or (isinstance(cell, float) and math.isnan(cell)):
            cells.append("")
        elif isinstance(cell, float) and cell.is_integer():
            cells.append(str(int(cell)))
        else:
            cells.append(str(cell))
    return cells


def to_csv(table: pd.DataFrame) -> bytes:
    """Write a table as CSV: UTF-8, comma, line feed; missing is empty; the index is left out.

    Numbers are the shortest text that reads back to the same double. The same table gives the same bytes.

    >>> to_csv(pd.DataFrame({"uCode": ["A", "B"], "Index": [0.1 + 0.2, None]}))
    b'uCode,Index\\nA,0.30000000000000004\\nB,\\n'
    """
    columns = [_cells(table[name]) for name in table.columns]
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(zip(*columns, strict=True))
    return out.getvalue().encode("utf-8")


def _cells(column: "pd.Series[Any]") -> list[str]:
    values = column.tolist()
    if column.dtype == np.float64:
        return [repr(value) if value == value else "" for value in values]  # NaN differs from itself
    return ["" if pd.isna(value) else str(value) for value in values]
