"""How a template looks as CSV and as XLSX. No database: the caller hands over everything that stands in it."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

import xlsxwriter

from facts.instrument import Question
from facts.instrument import Schedule as Part
from facts.validation import Lookups

DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
INLINE_MAX = 255  # characters that a drop-down's own list may have; longer ones stand on the sheet "lists"
MESSAGE_MAX = 255
ROWS_AHEAD = 2000  # rows below the heading that get drop-downs
TEXT_KINDS = ("code", "multicode", "date", "text", "multi", "choice")
LISTED = {"isic4": "ISIC Rev.4 classes", "hs4": "HS headings"}
SYNTHETIC = "Demonstration round: whatever is sent here counts among invented figures."


class Line(Protocol):
    """One respondent: see `templates.Line`."""

    @property
    def subject(self) -> str: ...
    @property
    def remark(self) -> str: ...
    @property
    def last(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Template:
    """Everything that stands in a template."""

    part: Part
    key: str
    lines: Sequence[Line]
    round_year: int
    ref_year: int
    cluster_code: str
    cluster_name: str
    currency: str
    due: date
    promise: str
    is_synthetic: bool
    listings: Lookups

    @property
    def questions(self) -> list[Question]:
        return list(self.part.questions.values())

    @property
    def codes(self) -> list[str]:
        return [self.key, *self.part.questions]

    def label(self, question: Question) -> str:
        """The question as the remark row asks it, with unit, currency and scale."""
        unit = question.unit
        if question.kind == "money":
            unit = unit.replace("LCU", self.currency or "local currency")
            unit += ", at the scale of the file" if question.takes_scale else ""
        return question.label if unit in ("–", "year", "date") else f"{question.label} ({unit})"

    @property
    def read_me(self) -> list[tuple[str, str]]:
        """(heading or "", paragraph) of the sheet "read me"."""
        keep = (
            "Leave the first row as it is: its codes say which question a column answers. Rows that begin with # are "
        )
        said = [
            ("", f"{self.part.title}: {self.cluster_name}, round {self.round_year} (the year {self.ref_year})"),
            ("Until when", f"{self.due:%-d %B %Y}."),
            ("Our promise", self.promise),
            ("How to fill it in", f"One row for each {self.key}. {keep}remarks; nobody reads them."),
            (
                "",
                "0 is an answer. A blank is none. Write DK where it is not known, REF where it is not to be told. "
                "“What is asked” lists every question with its codes; several codes in one cell are parted by ;",
            ),
            (
                "",
                "Amounts: all in single units, or all in thousands, lakhs or millions. You say which when you send the "
                "file. 1,00,000 and 100,000 are both understood; decimals have a point. Dates: year-month-day.",
            ),
            ("", "No formulas, no merged and no hidden cells: paste values only."),
            (
                "Last year",
                "The grey line under a respondent holds the answers accepted last year, in single units. It cannot be "
                "typed in and is not read.",
            ),
            (
                "How to send it",
                "Sign in, open Workspace → Returns → Import a file, and send this file. You see what it would do "
                "before anything is kept. Then all of it is kept as drafts, or nothing. A head of the organisation "
                "certifies and submits them.",
            ),
        ]
        return [("Note", SYNTHETIC), *said] if self.is_synthetic else said


def written(question: Question, value: Any) -> str | int | float:
    """An accepted answer as a person would type it into the template; amounts in single units."""
    if value is None:
        return ""
    if question.kind == "yesno":
        return "yes" if value else "no"
    if question.option_set is not None:
        chosen = value if isinstance(value, list) else [value]
        if question.kind == "choice":
            labels = question.option_set.by_code
            return "; ".join(f"{one} {labels[one].label}" if one in labels else str(one) for one in chosen)
        return "; ".join(str(one) for one in chosen) or "none"
    if isinstance(value, list):
        return "; ".join(str(one) for one in value)
    return value if isinstance(value, int | float) else str(value)


def options_of(question: Question) -> str:
    """The codes of a question in words."""
    if question.kind == "yesno":
        return "yes; no"
    offered = [f"{option.code} = {option.label}" for option in question.options if not option.staff_only]
    if question.kind == "multi" and question.option_set is not None and not question.option_set.has_none:
        offered.append("none = none of these")
    return "; ".join(offered)


def guarded(value: Any) -> Any:
    """A cell that a spreadsheet program cannot take for a formula; numbers stay numbers."""
    return f"'{value}" if isinstance(value, str) and value.startswith(DANGEROUS) else value


def csv_file(made: Template) -> bytes:
    """The template as CSV with its mark of UTF-8, which spreadsheet programs look for."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    rows: list[list] = [
        made.codes,
        [f"# made for round={made.round_year}", f"schedule={made.part.code}", f"cluster={made.cluster_code}"],
        [f"# {made.key}", *(made.label(question) for question in made.questions)],
    ]
    if made.is_synthetic:
        rows.append([f"# {SYNTHETIC}"])
    for line in made.lines:
        rows.append([f"# {line.subject}", line.remark] if line.remark else [line.subject])
        if line.last:
            values = [written(question, line.last.get(question.code)) for question in made.questions]
            rows.append(["# last year", *values])
    writer.writerows([guarded(cell) for cell in row] for row in rows)
    return b"\xef\xbb\xbf" + stream.getvalue().encode()


def xlsx_file(made: Template) -> bytes:
    """The template as a workbook: the sheet to fill in, a sheet to read, the questions, and two hidden ones of ours."""
    stream = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(stream, options) as book:
        look = _Look(book)
        sheet = book.add_worksheet(made.part.code.lower())
        _read_me(book, made, look)
        _what_is_asked(book, made, look)
        lists = _Lists(book)
        _fill_in(sheet, made, look, lists)
        _codes(book, made, look)
        lists.write()
        meta = book.add_worksheet("meta")
        for row, (name, value) in enumerate(
            (("round", made.round_year), ("schedule", made.part.code), ("cluster", made.cluster_code))
        ):
            meta.write_row(row, 0, [name, str(value)])
        meta.hide()
    return stream.getvalue()


class _Look:
    """The formats of a template. Only cells to be typed in are unlocked."""

    def __init__(self, book):
        grey, ink = "#eceae4", "#4b5661"
        words = {"text_wrap": True, "valign": "top", "font_color": ink}
        self.head = book.add_format({"bold": True, "bottom": 2, "bg_color": "#d7e6e6"})
        self.words = book.add_format({**words, "italic": True})
        self.plain_words = book.add_format({"text_wrap": True, "valign": "top"})
        self.title = book.add_format({"bold": True, "font_size": 14, "text_wrap": True})
        self.note = book.add_format({"bold": True, "font_color": "#8a3b12"})
        self.key = book.add_format({"bold": True, "num_format": "@"})
        self.remark = book.add_format({"italic": True, "font_color": ink})
        self.last = book.add_format({"bg_color": grey, "font_color": ink, "num_format": "#,##0.##"})
        self.last_text = book.add_format({"bg_color": grey, "font_color": ink, "num_format": "@"})
        # Codes and dates are text, so that leading zeros and the order of year, month, day stay.
        cell = {"locked": False, "border": 1, "border_color": "#d9d6cf"}
        self.text = book.add_format({**cell, "num_format": "@"})
        self.number = book.add_format(cell)


def _fill_in(sheet, made: Template, look: _Look, lists: "_Lists") -> None:
    sheet.set_column(0, 0, 30, look.text)
    for column, question in enumerate(made.questions, start=1):
        sheet.set_column(column, column, 20, look.text if question.kind in TEXT_KINDS else look.number)
    sheet.write_row(0, 0, made.codes, look.head)
    sheet.write_row(1, 0, [f"# {made.key}", *(made.label(question) for question in made.questions)], look.words)
    sheet.set_row(1, 90)
    number = 2
    if made.is_synthetic:
        sheet.write_string(number, 0, f"# {SYNTHETIC}", look.note)
        number += 1
    first = number
    for line in made.lines:
        if line.remark:
            sheet.write_row(number, 0, [f"# {line.subject}", line.remark], look.remark)
        else:
            sheet.write_string(number, 0, line.subject, look.key)
            for column, question in enumerate(made.questions, start=1):
                sheet.write_blank(number, column, None, look.text if question.kind in TEXT_KINDS else look.number)
        number += 1
        if line.last:
            sheet.write_string(number, 0, "# last year", look.last_text)
            for column, question in enumerate(made.questions, start=1):
                value = guarded(written(question, line.last.get(question.code)))
                if isinstance(value, str):
                    sheet.write(number, column, value, look.last_text)
                else:
                    sheet.write_number(number, column, value, look.last)
            number += 1
    for column, question in enumerate(made.questions, start=1):
        if source := _drop_down(question, made, lists):
            end = max(ROWS_AHEAD, number)
            sheet.data_validation(first, column, end, column, _rule(question, source))
    sheet.freeze_panes(2, 1)
    # Without a password: it keeps hands from slipping, not people from working.
    sheet.protect("", {"format_cells": True, "format_columns": True, "format_rows": True, "insert_rows": True})
    sheet.activate()


def _rule(question: Question, source: list[str] | str) -> dict:
    several = "Several codes are parted by ;\n" if question.kind in ("multi", "multicode") else ""
    return {
        "validate": "list",
        "source": source,
        "input_title": question.code,
        "input_message": (several + (options_of(question) or question.help or question.short))[:MESSAGE_MAX],
        "error_title": question.code,
        "error_message": "Choose one of the list, or write DK or REF.",
        "error_type": "warning",
    }


def _drop_down(question: Question, made: Template, lists: "_Lists") -> list[str] | str:
    """What a cell offers: code and label together, which are read back as the code."""
    if question.kind == "yesno":
        offered = ["yes", "no"]
    elif question.kind == "choice":
        offered = [f"{option.code} {option.label}" for option in question.options if not option.staff_only]
    elif question.kind == "code":
        offered = _entries(question, made)
    else:
        return []
    offered += ["DK", "REF"] if question.takes_marker else []
    has_commas = any("," in one for one in offered)
    return lists.range_of(offered) if has_commas or len(",".join(offered)) > INLINE_MAX else offered


def _entries(question: Question, made: Template) -> list[str]:
    titles = made.listings.titles(question.listing) or {}
    if question.listing in LISTED:
        return [f"{code} {title}" for code, title in sorted(titles.items())]
    return sorted(code for code in titles if code.startswith(made.cluster_code[:2]))


class _Lists:
    """The hidden sheet with the lists that are too long for a cell; one column each."""

    def __init__(self, book):
        self.book = book
        self.columns: list[list[str]] = []

    def range_of(self, offered: list[str]) -> str:
        if offered not in self.columns:
            self.columns.append(offered)
        place = xlsxwriter.utility.xl_col_to_name(self.columns.index(offered))
        return f"=lists!${place}$1:${place}${len(offered)}"

    def write(self) -> None:
        sheet = self.book.add_worksheet("lists")
        for column, offered in enumerate(self.columns):
            for row, text in enumerate(offered):
                sheet.write_string(row, column, text)
        sheet.hide()


def _read_me(book, made: Template, look: _Look) -> None:
    sheet = book.add_worksheet("read me")
    sheet.set_column(0, 0, 22, look.key)
    sheet.set_column(1, 1, 90, look.plain_words)
    for row, (heading, text) in enumerate(made.read_me):
        sheet.write_string(row, 0, heading, look.key)
        is_title = text.startswith(made.part.title)
        sheet.write_string(
            row, 1, text, look.title if is_title else look.note if text == SYNTHETIC else look.plain_words
        )
    sheet.protect("")


def _what_is_asked(book, made: Template, look: _Look) -> None:
    """Every column with its question, whom it is asked of and which codes it takes."""
    sheet = book.add_worksheet("what is asked")
    sheet.write_row(0, 0, ["Code", "Question", "Unit", "Needed", "Asked of", "Why", "Help", "Codes"], look.head)
    for width, columns in ((10, (0, 2, 3)), (50, (1, 5, 6, 7)), (30, (4,))):
        for column in columns:
            sheet.set_column(column, column, width, look.words)
    for number, question in enumerate(made.questions, start=1):
        needed = "yes" if question.required else "no"
        cells = [question.code, question.label, question.unit, needed, question.asked_of, question.why, question.help]
        if question.listing in LISTED:
            cells.append(f"see the sheet “codes”: {LISTED[question.listing]}")
        else:
            cells.append(options_of(question))
        sheet.write_row(number, 0, cells)
    sheet.freeze_panes(1, 1)


def _codes(book, made: Template, look: _Look) -> None:
    """The classifications, where a question takes several of their codes."""
    listings = [name for name in LISTED if any(question.listing == name for question in made.questions)]
    if not listings:
        return
    sheet = book.add_worksheet("codes")
    for at, name in enumerate(listings):
        sheet.set_column(2 * at, 2 * at, 10, look.key)
        sheet.set_column(2 * at + 1, 2 * at + 1, 70)
        sheet.write_row(0, 2 * at, [name, LISTED[name]], look.head)
        for row, (code, title) in enumerate(sorted((made.listings.titles(name) or {}).items()), start=1):
            sheet.write_string(row, 2 * at, code)
            sheet.write_string(row, 2 * at + 1, str(title))
    sheet.freeze_panes(1, 0)
