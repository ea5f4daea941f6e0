"""CSV as lines of cells: UTF-8, or UTF-16 with its mark; comma, semicolon, tab or bar. Standard library only."""

import codecs
import csv
import io
from collections.abc import Iterator
from typing import Protocol

from .findings import refused
from .limits import MAX_CELL

Line = tuple[int, list[str]]
DELIMITERS = ",;\t|"
BOMS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
NOT_TEXT = {
    b"\xd0\xcf\x11\xe0": "an old Excel file, or one locked with a password",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"{\\rtf": "a text document",
    b"<htm": "a web page",
    b"<!DO": "a web page",
    b"<?xm": "an XML file",
    b"Rar!": "a packed file",
    b"7z\xbc\xaf": "a packed file",
    b"\x1f\x8b": "a packed file",
}
AS_UTF8 = "Save it as “CSV UTF-8”, or send the XLSX file."


class Readable(Protocol):
    """Something that hands over bytes."""

    def read(self, size: int, /) -> bytes: ...


def read_lines(stream: Readable, head: bytes) -> Iterator[Line]:
    """Yield (row as the spreadsheet shows it, cells). `head` is what was read of the stream already."""
    for sign, what in NOT_TEXT.items():
        if head[: len(sign)].upper() == sign.upper():
            raise refused("file-type", f"This is {what}.", "Send CSV, or XLSX without a password.")
    encoding = next((name for bom, name in BOMS.items() if head.startswith(bom)), "utf-8-sig")
    text = io.TextIOWrapper(io.BufferedReader(_Rejoined(head, stream)), encoding=encoding, newline="")
    csv.field_size_limit(10 * MAX_CELL)
    number = 0
    try:
        first = text.readline(200_000)
        asked = first.strip().lower()
        if asked.startswith("sep=") and len(asked) == 5:  # Excel's own way of naming the delimiter
            delimiter, start, number = asked[4], [], 1
        else:
            delimiter, start = max(DELIMITERS, key=first.count), [first]
        if delimiter not in DELIMITERS:
            raise refused("file-type", "The delimiter is not one we know.", "Use comma, semicolon or tab.", row=1)
        reader = csv.reader(_chained(start, text), delimiter=delimiter, strict=True)
        before = number
        for cells in reader:
            number, line = before + 1, before + 1
            before = reader.line_num + (0 if start else 1)
            if any("\0" in cell for cell in cells):
                raise refused("file-type", f"Row {line} holds bytes that are no text.", "Send CSV or XLSX.", row=line)
            yield line, cells
    except UnicodeError:
        where = f" near row {number + 1}" if number else ""
        raise refused("file-encoding", f"The file is not UTF-8 text{where}.", AS_UTF8) from None
    except csv.Error as exc:
        if "limit" in str(exc):
            message = f"Row {number + 1}: a cell is far too long."
        else:
            message = f"Row {number + 1}: {exc}."
        mend = "A quotation mark is probably not closed, or stands inside a cell; double it."
        raise refused("file-quotes", message, mend, row=number + 1) from None


def _chained(start: list[str], text: io.TextIOWrapper) -> Iterator[str]:
    yield from start
    while line := text.readline(1_000_000):
        yield line


class _Rejoined(io.RawIOBase):
    """A stream with its first bytes put back."""

    def __init__(self, head: bytes, rest: Readable):
        self.head, self.rest = head, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        part = self.head[: len(buffer)] or self.rest.read(len(buffer))
        self.head = self.head[len(buffer) :] if self.head else b""
        buffer[: len(part)] = part
        return len(part)
