"""Files of returns: CSV or XLSX bytes in, rows of text out. Pure; refuses what it cannot trust before parsing it."""

import csv
import io
import zipfile
from dataclasses import dataclass

import openpyxl

MAX_BYTES = 10_000_000
MAX_ENTRIES = 200
MAX_UNPACKED = 60_000_000
MAX_RATIO = 100
MAX_SHEET = 10_000_000  # bytes of XML: some 3,000 units; more costs the parser memory without bound
MAX_ROWS = 20_000
MAX_COLUMNS = 200


class FileProblem(ValueError):
    """A file that cannot be read: says what is wrong and what to send instead."""


@dataclass(frozen=True)
class Table:
    """A header and its rows, all cells as text; `number` is the row as the spreadsheet shows it."""

    header: list[str]
    rows: list[tuple[int, dict[str, str]]]


def read_table(content: bytes, name: str) -> Table:
    """Read a table from a file's bytes. Rows whose first cell begins with '#' are remarks."""
    if len(content) > MAX_BYTES:
        raise FileProblem(f"{name} is larger than 10 MB. Send it in parts.")
    if not content:
        raise FileProblem(f"{name} is empty.")
    lines = _xlsx(content, name) if content[:2] == b"PK" else _csv(content, name)
    lines = [(number, cells) for number, cells in lines if any(cells)]
    if not lines:
        raise FileProblem(f"{name} has no row.")
    number, header = lines[0]
    header = [cell.strip() for cell in header]
    while header and not header[-1]:
        header.pop()
    if len(header) > MAX_COLUMNS:
        raise FileProblem(f"{name} has {len(header)} columns; a return has no more than {MAX_COLUMNS}.")
    for place, title in enumerate(header, start=1):
        if not title:
            raise FileProblem(f"{name}, row {number}: column {place} has no heading. Name it or delete it.")
        if header.count(title) > 1:
            raise FileProblem(f"{name}, row {number}: the column {title} stands there twice. Keep one.")
    rows = []
    for number, cells in lines[1:]:
        if cells[0].startswith("#"):
            continue
        if any(cell for cell in cells[len(header) :]):
            raise FileProblem(f"{name}, row {number}: there are more cells than headings.")
        rows.append((number, {title: cell.strip() for title, cell in zip(header, cells, strict=False)}))
    if len(rows) > MAX_ROWS:
        raise FileProblem(f"{name} has {len(rows):,} rows; send at most {MAX_ROWS:,} at a time.")
    return Table(header, rows)


def _csv(content: bytes, name: str) -> list[tuple[int, list[str]]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise FileProblem(
            f"{name} is not UTF-8 text (byte {exc.start}). Save it as “CSV UTF-8”, or send the XLSX file."
        ) from None
    if "\0" in text:
        raise FileProblem(f"{name} is not a text file. Send CSV or XLSX.")
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        lines = []
        for row in reader:
            if reader.line_num > MAX_ROWS + 1000:
                raise FileProblem(f"{name} has more than {MAX_ROWS:,} rows; send it in parts.")
            if len(row) > MAX_COLUMNS + 1:
                raise FileProblem(
                    f"{name}, row {reader.line_num}: {len(row)} columns; a return has no more than {MAX_COLUMNS}."
                )
            lines.append((reader.line_num, row))
        return lines
    except csv.Error as exc:
        raise FileProblem(f"{name}: {exc}. A quotation mark is probably not closed.") from None


def _xlsx(content: bytes, name: str) -> list[tuple[int, list[str]]]:
    """Read the first sheet. The zip directory is judged before any parser sees the content."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
    except zipfile.BadZipFile:
        raise FileProblem(f"{name} is not a readable XLSX file. Save it again, or send CSV.") from None
    unpacked = sum(entry.file_size for entry in entries)
    names = {entry.filename.lower() for entry in entries}
    swollen = any(
        entry.file_size > MAX_SHEET or entry.file_size > MAX_RATIO * max(entry.compress_size, 1000) for entry in entries
    )
    if swollen or len(entries) > MAX_ENTRIES or unpacked > MAX_UNPACKED:
        raise FileProblem(f"{name} unpacks to far more than it should. Copy the rows into a fresh template.")
    if any("vbaproject" in entry or "externallink" in entry for entry in names):
        raise FileProblem(f"{name} holds macros or links to other files. Save it as a plain XLSX workbook.")
    try:
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True)
        sheet = book.worksheets[0]
        lines = []
        for number, row in enumerate(sheet.iter_rows(max_col=MAX_COLUMNS + 1), start=1):
            if number > MAX_ROWS + 50:
                raise FileProblem(f"{name} has more than {MAX_ROWS:,} rows; send it in parts.")
            cells = []
            for cell in row:
                if cell.data_type == "f":
                    raise FileProblem(
                        f"{name}, row {number}, column {cell.column_letter}: formulas are not accepted. "
                        "Paste the values (Paste special → Values)."
                    )
                value = cell.value
                if isinstance(value, int | float) and "%" in str(cell.number_format):
                    value = round(value * 100, 10)  # a cell that shows 12 % holds 0.12
                cells.append(_text(value))
            while cells and not cells[-1]:
                cells.pop()
            lines.append((number, cells))
    except FileProblem:
        raise
    except Exception:  # openpyxl raises almost anything on a damaged workbook
        raise FileProblem(f"{name} is damaged. Save it again from the spreadsheet program, or send CSV.") from None
    return lines


def _text(value) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if hasattr(value, "date") and hasattr(value, "hour"):
        return value.date().isoformat() if not (value.hour or value.minute or value.second) else value.isoformat()
    return str(value)
