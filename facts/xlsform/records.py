"""What ODK Central and KoboToolbox hand out, as flat records of text: CSV, JSON (also OData), one submission as XML.

Bounded before it is parsed; XML without entities or outside references. A workbook is opened by `facts.intake` and
comes here as a table.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

MAX_BYTES = 10_000_000
MAX_RECORDS = 20_000
MAX_FIELDS = 800
MAX_DEPTH = 8


class RecordProblem(ValueError):
    """An export that cannot be read: says what is wrong and what to send instead."""


@dataclass(frozen=True)
class Records:
    """Records of an export. `fields` are all columns of a table; None where blanks are left out (JSON, XML)."""

    rows: list[tuple[str, Mapping[str, str]]]
    fields: list[str] | None


def read_records(content: bytes, name: str) -> Records:
    """Read an export by what it begins with: brace or bracket, angle, else CSV."""
    if len(content) > MAX_BYTES:
        raise RecordProblem(f"{name} is larger than 10 MB. Export fewer submissions at a time.")
    if content[:2] == b"PK":
        raise RecordProblem(f"{name} is a packed file. Send the CSV, XLSX, JSON or XML inside it.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RecordProblem(f"{name} is not UTF-8 text. Export it again as CSV or JSON.") from None
    start = text.lstrip()[:1]
    if not start:
        raise RecordProblem(f"{name} is empty.")
    if start in "{[":
        return _json(text, name)
    if start == "<":
        return _xml(content, name)
    return _csv(text, name)


def of_table(header: list[str], rows: list[tuple[int, Mapping[str, str]]]) -> Records:
    """Records of a table that was opened elsewhere."""
    return Records([(f"row {number}", cells) for number, cells in rows], header)


def _csv(text: str, name: str) -> Records:
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    rows: list[tuple[str, Mapping[str, str]]] = []
    header: list[str] = []
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        for cells in reader:
            if not any(cells):
                continue
            if not header:
                header = _headed([cell.strip() for cell in cells], name)
                continue
            if len(rows) >= MAX_RECORDS:
                raise _too_many(name)
            if any(cells[len(header) :]):
                raise RecordProblem(f"{name}, row {reader.line_num}: there are more cells than headings.")
            rows.append((f"row {reader.line_num}", dict(zip(header, cells, strict=False))))
    except csv.Error as error:
        raise RecordProblem(f"{name}: {error}. A quotation mark is probably not closed.") from None
    return Records(rows, header)


def _headed(header: list[str], name: str) -> list[str]:
    if len(header) > MAX_FIELDS:
        raise RecordProblem(f"{name} has {len(header)} columns, more than a form can have.")
    twice = next((title for title in header if title and header.count(title) > 1), None)
    if twice:
        raise RecordProblem(f"{name}: the column {twice[:60]} stands there twice. Export again, with group names.")
    return header


def _json(text: str, name: str) -> Records:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise RecordProblem(f"{name} is not sound JSON. Download it again.") from None
    if isinstance(found, dict):
        # KoboToolbox puts its submissions under "results", OData under "value".
        found = next((found[key] for key in ("results", "value") if isinstance(found.get(key), list)), [found])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise RecordProblem(f"{name} is no list of submissions.")
    if len(found) > MAX_RECORDS:
        raise _too_many(name)
    return Records([(f"submission {n}", dict(_flat(one, "", 0))) for n, one in enumerate(found, start=1)], None)


def _flat(group: dict[str, Any], path: str, depth: int) -> Iterator[tuple[str, str]]:
    for key, value in group.items():
        if isinstance(value, dict):
            if depth < MAX_DEPTH:
                yield from _flat(value, f"{path}{key}/", depth + 1)
        elif isinstance(value, bool):
            yield path + key, "1" if value else "0"
        elif isinstance(value, str | int | float):
            yield path + key, _text(value)


def _text(value: str | int | float) -> str:
    try:
        return value if isinstance(value, str) else repr(value)
    except ValueError:  # Python refuses to write out numbers of thousands of digits
        return "a number of thousands of digits"


def _xml(content: bytes, name: str) -> Records:
    try:
        root = fromstring(content, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        raise RecordProblem(f"{name} is not a sound submission. Send it as the phone or the server gave it.") from None
    fields: dict[str, str] = {}
    for element in root.iter():
        if len(element) == 0 and isinstance(element.tag, str):
            fields[element.tag.rpartition("}")[2]] = element.text or ""
        if len(fields) > MAX_FIELDS:
            raise RecordProblem(f"{name} has more fields than a form can have.")
    return Records([("submission 1", fields)], None)


def _too_many(name: str) -> RecordProblem:
    return RecordProblem(f"{name} has more than {MAX_RECORDS:,} submissions. Export fewer at a time.")
