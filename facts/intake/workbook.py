"""XLSX as lines of cells. First the sheet's shape (formulas, merged and hidden cells), then its values."""

import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time
from xml.parsers import expat

# openpyxl takes what it finds; these would cost the child a third of its memory and open files of their own.
for _heavy in ("numpy", "PIL", "lxml"):
    sys.modules.setdefault(_heavy, None)  # type: ignore[arg-type]

import openpyxl  # noqa: E402
from openpyxl.utils import get_column_letter  # noqa: E402
from openpyxl.utils.cell import column_index_from_string  # noqa: E402

from .findings import Finding, Refused, quoted, refused  # noqa: E402
from .limits import MAX_COLUMNS, MAX_FINDINGS, MAX_ROWS  # noqa: E402

Line = tuple[int, list[str]]
OUR_HIDDEN = ("lists", "meta")  # sheets of our own templates
META = "meta"
TRUE = ("1", "true")
META_KEYS = ("round", "schedule", "cluster")
SIDE_SHEETS = ("read me", "what is asked", "codes")
SHEET_ROWS = 1_048_576  # as many as any spreadsheet program has
PASTE = "Paste the values (Paste special → Values)."
AGAIN = "Open it in the spreadsheet program, save it again as XLSX, or send CSV."


@dataclass
class Shape:
    """What the raw XML says of a sheet before its values are read. Rows and columns count from 1."""

    formulas: list[tuple[int, int, str]] = field(default_factory=list)
    errors: list[tuple[int, int, str]] = field(default_factory=list)
    merged: list[str] = field(default_factory=list)
    hidden_rows: set[int] = field(default_factory=set)
    hidden_columns: list[tuple[int, int]] = field(default_factory=list)
    rows_start_hidden: bool = False
    last_row: int = 0
    last_column: int = 0


@dataclass
class Book:
    """The one sheet that is read, what our template says of itself, and the sheets left unread."""

    lines: Iterator[Line]
    shape: Shape
    meta: dict[str, str]
    unread: list[str]


def read_book(archive: zipfile.ZipFile) -> Book:
    """Open a judged archive. Raises Refused for whatever is damaged or not to be read."""
    try:
        book = openpyxl.load_workbook(archive.fp, read_only=True, keep_links=False)
        sheets = list(book.worksheets)
        if not sheets:
            raise refused("file-type", "The workbook has no sheet.", "Send the template as it was given.")
        strange = [one.title for one in sheets if one.sheet_state != "visible" and one.title not in OUR_HIDDEN]
        if strange:
            message = f"The sheet “{quoted(strange[0])}” is hidden."
            raise refused("file-hidden-sheet", message, "Show it, or delete it.")
        shown = [one for one in sheets if one.sheet_state == "visible"]
        if not shown:
            raise refused("file-hidden-sheet", "No sheet of the workbook is shown.", "Show the sheet with the returns.")
        sheet = next((one for one in shown if one.title.lower() not in SIDE_SHEETS), shown[0])
        meta = _meta(next((one for one in sheets if one.title == META), None))
        shape = _shape(archive, sheet._worksheet_path)
        unread = [quoted(one.title) for one in shown if one is not sheet and one.title.lower() not in SIDE_SHEETS]
        return Book(_lines(sheet, shape), shape, meta, unread)
    except (Refused, MemoryError):
        raise
    except Exception:  # openpyxl raises almost anything on a damaged workbook
        raise refused("file-damaged", "The workbook is damaged.", AGAIN) from None


def findings_of(shape: Shape, headings: list[str]) -> list[Finding]:
    """What in the sheet's shape keeps it from being read, in words; `headings` name its columns."""

    def column(place: int) -> str:
        return headings[place - 1] if place <= len(headings) and headings[place - 1] else get_column_letter(place)

    def cell(row: int, place: int) -> str:
        return f"{get_column_letter(place)}{row}"

    width = len(headings)
    found = []
    for row, place, text in shape.formulas:
        words = f"Cell {cell(row, place)} holds a formula (={quoted(text.lstrip('='), 40)})."
        found.append(Finding("file-formula", words, PASTE, row, column(place), quoted(f"={text.lstrip('=')}")))
    for row, place, text in shape.errors:
        words = f"Cell {cell(row, place)} shows the error {quoted(text, 20)}."
        found.append(
            Finding("file-error-value", words, "Type the value, or clear it.", row, column(place), quoted(text))
        )
    for area in shape.merged:
        words = f"The cells {quoted(area, 20)} are merged."
        found.append(Finding("file-merged", words, "Part them again; each cell takes one answer.", _row_of(area)))
    for row in sorted(shape.hidden_rows):
        mend = "Show it (perhaps a filter is set), or delete it."
        found.append(Finding("file-hidden-row", f"Row {row} is hidden.", mend, row))
    for first, last in shape.hidden_columns:
        for place in range(first, min(last, width) + 1):
            words = f"Column {get_column_letter(place)} is hidden."
            found.append(Finding("file-hidden-column", words, "Show it, or delete it.", None, column(place)))
    return found[:MAX_FINDINGS]


def _row_of(area: str) -> int | None:
    digits = "".join(one for one in area.partition(":")[0] if one.isdigit())[:7]
    return int(digits) if digits else None


def _meta(sheet) -> dict[str, str]:
    if sheet is None:
        return {}
    sheet.reset_dimensions()
    found = {}
    for row in sheet.iter_rows(max_row=20, max_col=2, values_only=True):
        key, value = (*row, None, None)[:2]
        if key in META_KEYS and value is not None:
            found[key] = quoted(value)
    return found


def _lines(sheet, shape: Shape) -> Iterator[Line]:
    # The dimension that a file names is often wrong: too small it would hide rows, too large it would invent some.
    sheet.reset_dimensions()
    percents: dict[int, bool] = {}
    last = min(shape.last_row, MAX_ROWS * 3)
    try:
        for number, row in enumerate(sheet.iter_rows(max_col=MAX_COLUMNS + 1, max_row=max(last, 1)), start=1):
            cells = []
            for cell in row:
                value = cell.value
                if value.__class__ in (int, float):
                    style = cell._style_id
                    if style not in percents:
                        percents[style] = "%" in str(cell.number_format)
                    if percents[style]:
                        value = round(value * 100, 10)  # a cell that shows 12 % holds 0.12
                cells.append(_text(value))
            while cells and not cells[-1]:
                cells.pop()
            yield number, cells
    except (Refused, MemoryError):
        raise
    except Exception:
        raise refused("file-damaged", "The workbook is damaged.", AGAIN) from None


def _text(value) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time(0) else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def _shape(archive: zipfile.ZipFile, path: str) -> Shape:
    """Walk the sheet's XML once. No tree is built, no entity is known, and a document type is refused."""
    shape, walk = Shape(), _Walk()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True

    def start(name: str, attributes: dict[str, str]) -> None:
        tag = name.rpartition(" ")[2]
        if tag == "c":
            walk.cell(attributes)
        elif tag == "row":
            walk.next_row(attributes)
            if shape.rows_start_hidden or _is_hidden(attributes, "ht"):
                walk.hidden = walk.row
        elif tag in ("f", "v", "t"):
            walk.inside, walk.text = tag, ""
            if tag == "f":
                walk.has_formula = True
        elif tag == "sheetFormatPr":
            shape.rows_start_hidden = attributes.get("zeroHeight") in TRUE
        elif tag == "col" and _is_hidden(attributes, "width"):
            shape.hidden_columns.append((int(attributes["min"]), int(attributes["max"])))
        elif tag == "mergeCell":
            shape.merged.append(attributes.get("ref", ""))
        if len(shape.merged) + len(shape.hidden_columns) > MAX_FINDINGS * 10:
            raise refused("file-merged", "Many cells are merged or hidden.", "Copy the values into a fresh template.")

    def end(name: str) -> None:
        tag = name.rpartition(" ")[2]
        if tag in ("f", "v", "t"):
            walk.close(tag)
        elif tag == "c":
            walk.note(shape)

    def words(text: str) -> None:
        if walk.inside and len(walk.text) < 200:
            walk.text += text

    def no_document_type(*_) -> None:
        raise refused("file-damaged", "The workbook holds XML that no spreadsheet program writes.", AGAIN)

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = words
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = no_document_type
    with archive.open(path.lstrip("/")) as stream:
        while part := stream.read(1 << 16):
            parser.Parse(part)
        parser.Parse(b"", True)
    return shape


def _is_hidden(attributes: dict[str, str], size: str) -> bool:
    """Whether a row or column is not shown: marked so, or of no height or width."""
    return attributes.get("hidden") in TRUE or attributes.get(size) in ("0", "0.0")


class _Walk:
    """Where the walk through a sheet stands."""

    def __init__(self) -> None:
        self.row = self.column = self.hidden = 0
        self.kind = self.inside = self.text = self.formula = self.value = ""
        self.has_formula = False

    def next_row(self, attributes: dict[str, str]) -> None:
        before, self.row, self.column = self.row, int(attributes.get("r", self.row + 1)), 0
        # A row out of its order would be passed over by the reader, and so be lost without a word.
        if not before < self.row <= SHEET_ROWS:
            raise refused("file-damaged", "The rows of the workbook are not in their order.", AGAIN)

    def cell(self, attributes: dict[str, str]) -> None:
        name = attributes.get("r", "")
        letters = "".join(one for one in name if one.isalpha())
        self.column = column_index_from_string(letters) if letters else self.column + 1
        self.kind = attributes.get("t", "n")
        self.formula = self.value = ""
        self.has_formula = False

    def close(self, tag: str) -> None:
        if tag == "f":
            self.formula = self.text
        else:
            self.value += self.text
        self.inside = ""

    def note(self, shape: Shape) -> None:
        if not (self.value or self.has_formula):
            return
        shape.last_row = max(shape.last_row, self.row)
        shape.last_column = max(shape.last_column, self.column)
        if self.has_formula and len(shape.formulas) < MAX_FINDINGS:
            shape.formulas.append((self.row, self.column, self.formula))
        elif self.kind == "e" and len(shape.errors) < MAX_FINDINGS:
            shape.errors.append((self.row, self.column, self.value))
        if self.hidden == self.row and len(shape.hidden_rows) < MAX_FINDINGS:
            shape.hidden_rows.add(self.row)
