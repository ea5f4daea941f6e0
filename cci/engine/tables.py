"""Read and write tables of text and numbers, strictly: bytes in, frames out, and back."""

import csv
import gzip
import io
import math
import re
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv as arrow_csv

from cci.engine.errors import EngineError

type_of_error = type[EngineError]
FloatArray = NDArray[np.float64]
Places = NDArray[np.intp]

NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)
AWKWARD = (b'"', b"\r", b"\0")  # what only the strict reader judges
# What a spreadsheet runs; a sign that begins a number, or stands alone, is none.
FORMULA = re.compile(r"(?![+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?$)(?:[=@\t\r]|[+-].)", re.DOTALL)
SOME_DIGIT = re.compile(r"[+-]?[0.]*[1-9]")
QUOTED = re.compile('[,"\\r\\n]')


def parse_csv(content: bytes, *, name: str, error: type_of_error = EngineError) -> pd.DataFrame:
    """Turn the bytes of a CSV file (UTF-8, comma, header; gzip if the name ends in .gz) into text.

    Returns a frame of strings, one column per header, index 0 … n-1 (row r of the frame is row r + 2
    of the spreadsheet). Nothing is guessed: no cell becomes a number or missing here.
    Raises `error` for an undecodable or empty file, a missing, unnamed or duplicated header and a
    ragged row; empty lines are allowed at the end only.

    >>> parse_csv(b"uCode,LPI\\nAUS,1.5\\nAUT,\\n", name="iData.csv").to_dict("list")
    {'uCode': ['AUS', 'AUT'], 'LPI': ['1.5', '']}
    """
    content = _unpacked(content, name, error)
    quick = _quick(content)
    if quick is not None:
        return quick
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
    return pd.DataFrame(dict(zip(header, map(list, columns), strict=True)), dtype="str")


def _unpacked(content: bytes, name: str, error: type_of_error) -> bytes:
    if not name.endswith(".gz"):
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        raise error("the file is not whole gzip data; pack it again.", file=name) from None


def _quick(content: bytes) -> pd.DataFrame | None:
    """The same frame ten times as fast, for a plain table without quotes; None leaves it to the strict reader.

    Nothing is refused here, as only the strict reader can say what is amiss and where.
    """
    if any(mark in content for mark in AWKWARD):
        return None
    content = content.removeprefix(b"\xef\xbb\xbf").rstrip(b"\n")
    first = content.find(b"\n")
    try:
        header = content[:first].decode().split(",")
        last_row = content[content.rfind(b"\n") :].decode()
        if first < 1 or b"\n\n" in content or not last_row.replace(",", "").strip():
            return None
        if len(set(header)) < len(header) or not all(column.strip() for column in header):
            return None
        table = arrow_csv.read_csv(
            pa.BufferReader(content[first + 1 :]),
            arrow_csv.ReadOptions(column_names=header, use_threads=False, block_size=len(content)),
            arrow_csv.ParseOptions(quote_char=False, ignore_empty_lines=False),
            arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()), null_values=[], strings_can_be_null=False
            ),
        )
    except (UnicodeDecodeError, pa.ArrowInvalid):
        return None
    frame: pd.DataFrame = table.to_pandas()
    return frame


def _text(content: bytes, name: str, error: type_of_error) -> str:
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
    numeric = True
    if column.dtype == np.float64:
        values = column.to_numpy(dtype=np.float64, copy=True)
    elif pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        values, numeric = _parsed(column, name, file, error), False
    infinite = np.flatnonzero(np.isinf(values))
    if infinite.size:
        raise error(
            "the value is infinite or too large; give a finite number, or leave the cell empty if missing.",
            file=file,
            row=int(infinite[0]) + 2,
            column=name,
        )
    # A number below what a float can hold would pass as 0, or with a few of its digits.
    lost = (values != 0) & (np.abs(values) < np.finfo(np.float64).tiny)
    if not numeric and (zero := np.flatnonzero(values == 0)).size:
        written = column.iloc[zero]
        odd = [cell for cell in written.unique() if isinstance(cell, str) and SOME_DIGIT.match(cell.strip())]
        lost[zero] = written.isin(odd).to_numpy(dtype=bool) if odd else False
    if lost.any():
        place = int(np.flatnonzero(lost)[0])
        raise error(
            f"{_shown(column.iloc[place])} is too small to compute with; use a smaller unit of measure, or write 0.",
            file=file,
            row=place + 2,
            column=name,
        )
    return values


def _parsed(column: "pd.Series[Any]", name: str, file: str, error: type_of_error) -> FloatArray:
    quick = _quickly_parsed(column)
    if quick is not None:
        return quick
    cells = column.tolist()
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


def _quickly_parsed(column: "pd.Series[Any]") -> FloatArray | None:
    """The same numbers, for a column of plain numbers and gaps; None where a cell wants judging."""
    if not isinstance(column.dtype, pd.StringDtype):
        return None
    cells = pa.array(column, pa.string())
    filled = pc.if_else(pc.equal(cells, ""), None, cells)
    try:
        # Arrow reads the nearest double, as Python does; of what is no plain decimal it reads "nan" and "inf" only.
        values: FloatArray = pc.cast(filled, pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return None
    return values if np.count_nonzero(np.isnan(values)) == filled.null_count else None


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
    if isinstance(column.dtype, pd.StringDtype):
        return column.fillna("").tolist()
    cells = []
    for cell in column.tolist():
        if cell is None or cell is pd.NA or (isinstance(cell, float) and math.isnan(cell)):
            cells.append("")
        elif isinstance(cell, float) and cell.is_integer():
            cells.append(str(int(cell)))
        else:
            cells.append(str(cell))
    return cells


def refuse_formulas(cells: Sequence[str], *, name: str, file: str, error: type_of_error = EngineError) -> None:
    """Raise `error`, naming the row, for a text that a spreadsheet would run as a formula.

    Codes and labels go into every table that is written, and those are opened in spreadsheets.

    >>> refuse_formulas(["AVT", "-1", "-"], name="uCode", file="iData.csv")
    >>> refuse_formulas(["AVT", "=1+1"], name="uCode", file="iData.csv")
    Traceback (most recent call last):
        ...
    cci.engine.errors.EngineError: iData.csv, row 3, column uCode: '=1+1' begins as a formula of a spreadsheet does; \
begin it with a letter or a digit.
    """
    for position, cell in enumerate(cells):
        if cell and cell[0] in "=+-@\t\r" and FORMULA.match(cell):
            raise error(
                f"{_shown(cell)} begins as a formula of a spreadsheet does; begin it with a letter or a digit.",
                file=file,
                row=position + 2,
                column=name,
            )


def refuse_blank_twins(cells: Sequence[str], *, name: str, file: str, error: type_of_error = EngineError) -> None:
    """Raise `error`, naming both rows, for codes that only blanks around them tell apart.

    >>> refuse_blank_twins(["U02", "U02 "], name="uCode", file="iData.csv")
    Traceback (most recent call last):
        ...
    cci.engine.errors.EngineError: iData.csv, row 3, column uCode: 'U02 ' and 'U02' (row 2) differ by blanks only; \
write one code alike, or choose another.
    """
    if not any(cell != cell.strip() for cell in cells):
        return
    seen: dict[str, int] = {}
    for position, cell in enumerate(cells):
        first = seen.setdefault(cell.strip(), position)
        if cells[first] != cell:
            raise error(
                f"{_shown(cell)} and {_shown(cells[first])} (row {first + 2}) differ by blanks only; write one code "
                "alike, or choose another.",
                file=file,
                row=position + 2,
                column=name,
            )


def cells_table(table: pd.DataFrame, rows: Places, columns: Places, **figures: Any) -> pd.DataFrame:
    """Some cells of a table as rows of their own: the labels of the unit, indicator, and figures, one of each per cell.

    >>> table = pd.DataFrame({"a": [1.0, 2.0]}, index=pd.Index(["X", "Y"], name="uCode"))
    >>> cells_table(table, np.array([1]), np.array([0]), value=[2.0]).to_dict("records")
    [{'uCode': 'Y', 'indicator': 'a', 'value': 2.0}]
    """
    names = [0] if table.index.names == [None] else list(table.index.names)  # as pandas calls a nameless index
    labels: dict[Any, Any] = {name: table.index.get_level_values(level).take(rows) for level, name in enumerate(names)}
    return pd.DataFrame({**labels, "indicator": table.columns.take(columns), **figures}, copy=False)


def to_csv(table: pd.DataFrame) -> bytes:
    """Write a table as CSV: UTF-8, comma, line feed; missing is empty; the index is left out.

    Numbers are the shortest text that reads back to the same double. The same table gives the same bytes.

    >>> to_csv(pd.DataFrame({"uCode": ["A", "B"], "Index": [0.1 + 0.2, None]}))
    b'uCode,Index\\nA,0.30000000000000004\\nB,\\n'
    """
    if not len(table.columns):
        return b"\n"
    header = ",".join(_quoted(str(name)) for name in table.columns)
    columns = [_cells(column) for _, column in table.items()]
    if len(columns) == 1:  # an empty line would be no row
        columns = [pc.if_else(pc.equal(columns[0], ""), '""', columns[0])]
    lines = pc.binary_join_element_wise(*columns, ",").to_pylist()
    return "\n".join([header, *lines, ""]).encode("utf-8")


def _cells(column: "pd.Series[Any]") -> pa.Array:
    """The cells of a column as text, missing as the empty text."""
    if column.dtype == np.float64:
        return _float_cells(column.to_numpy(dtype=np.float64))
    if pd.api.types.is_integer_dtype(column):
        return pc.fill_null(pc.cast(pa.array(column, from_pandas=True), pa.string()), "")
    if isinstance(column.dtype, pd.StringDtype):
        cells = pc.fill_null(pa.array(column, pa.string()), "")
        if not pc.any(pc.match_substring_regex(cells, QUOTED.pattern)).as_py():
            return cells
    return pa.array(["" if pd.isna(value) else _quoted(str(value)) for value in column.tolist()], pa.string())


def _float_cells(values: FloatArray) -> pa.Array:
    """As `repr` writes them: Arrow finds the same shortest digits and differs in the point and the exponent only."""
    missing = np.isnan(values)
    size = np.abs(values)
    whole = np.zeros(len(values), dtype=bool)
    with np.errstate(invalid="ignore"):
        plain = missing | (size == 0) | ((size >= 1e-4) & (size < 1e9))
        np.equal(values, np.trunc(values), where=plain & ~missing, out=whole)
    cells = pc.cast(pa.array(values), pa.string())
    if whole.any():
        cells = pc.binary_join_element_wise(cells, np.where(whole, ".0", ""), "")
    if not plain.all():
        odd = pa.array([repr(value) for value in values[~plain].tolist()], pa.string())
        cells = pc.replace_with_mask(cells, pa.array(~plain), odd)
    return pc.if_else(pa.array(missing), "", cells)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if QUOTED.search(text) else text
