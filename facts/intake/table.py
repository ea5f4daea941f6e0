"""From lines of cells to a heading and its rows. Pure; rows whose first cell begins with # are remarks."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from .findings import Finding, Refused, quoted, refused
from .limits import MAX_CELL, MAX_COLUMNS

Line = tuple[int, list[str]]
REMARK = "#"
_MADE_FOR = re.compile(r"# made for (.+)")
_PAIR = re.compile(r"(round|schedule|cluster)=([^,;\s]+)")


@dataclass
class Heading:
    """The row of headings, and what a template's remark says of itself."""

    number: int
    titles: list[str]
    meta: dict[str, str] = field(default_factory=dict)


def headed(lines: Iterable[Line], max_rows: int) -> Iterator[Heading | Line | Finding]:
    """Yield the heading first, then rows and findings as they come. Raises Refused where reading on makes no sense."""
    heading: Heading | None = None
    meta: dict[str, str] = {}
    told = False
    count = 0
    for number, cells in lines:
        if not any(cell.strip() for cell in cells):
            if number > max_rows * 3:
                raise _too_many(max_rows)
            continue
        if cells[0].lstrip().startswith(REMARK):
            meta |= _said(cells) if count == 0 else {}
            continue
        if heading is None:
            heading = Heading(number, _titles(number, cells), meta)
            continue
        if not told:
            told = True
            yield heading
        count += 1
        if count > max_rows:
            raise _too_many(max_rows)
        width = len(heading.titles)
        if any(cell for cell in cells[width:]):
            value = quoted(next(cell for cell in cells[width:] if cell))
            message = f"Row {number} has more cells than there are headings: “{value}” stands under none."
            mend = "Name the column or clear the cell; in CSV put quotation marks around text with commas."
            yield Finding("file-cells", message, mend, number, "", value)
            continue
        row = [cell.strip() for cell in cells[:width]]
        row += [""] * (width - len(row))
        for title, cell in zip(heading.titles, row, strict=True):
            if len(cell) > MAX_CELL:
                message = f"{title}: the cell holds {len(cell):,} characters; an answer has at most 2,000."
                yield Finding("file-cell-long", message, "Shorten the text.", number, title, quoted(cell))
        yield number, row
    if heading is None:
        raise refused("file-empty", "The file has no row.", "Fill in the template and send it.")
    if not told:
        yield heading


def _said(cells: list[str]) -> dict[str, str]:
    said = _MADE_FOR.match(", ".join(cells))
    return {key: value[:60] for key, value in _PAIR.findall(said[1])} if said else {}


def _titles(number: int, cells: list[str]) -> list[str]:
    titles = [cell.strip() for cell in cells]
    while titles and not titles[-1]:
        titles.pop()
    if len(titles) > MAX_COLUMNS:
        message = f"There are {len(titles):,} columns; a return has no more than {MAX_COLUMNS}."
        raise refused("file-columns", message, "Delete the columns that are no questions.", row=number)
    found = []
    seen: dict[str, int] = {}
    for place, title in enumerate(titles, start=1):
        if not title:
            words = f"Column {place} has no heading."
            found.append(Finding("file-heading", words, "Name it, or delete the column.", number))
        elif title in seen:
            words = f"The column {quoted(title)} stands there twice, as column {seen[title]} and {place}."
            found.append(Finding("file-heading-once", words, "Keep one of the two.", number, quoted(title)))
        seen.setdefault(title, place)
    if found:
        raise Refused(*found)
    return titles


def _too_many(max_rows: int) -> Refused:
    return refused("file-rows", f"The file has more than {max_rows:,} rows.", "Send it in parts.")
