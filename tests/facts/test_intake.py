"""Files in: judged before any parser, read in a child that can reach nothing, refused with place, value and mend."""

import io
import os
import resource
import socket
import struct
import subprocess
import sys
import threading
import time
import zipfile
import zlib
from datetime import date, datetime

import openpyxl
import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from facts.intake import archive, limits, table
from facts.intake.findings import Refused
from facts.intake.process import open_table


def read(content: bytes, **options):
    with open_table(content, **options) as found:
        return found, list(found.rows)


def findings(content: bytes, **options) -> list:
    with pytest.raises(Refused) as caught:
        read(content, **options)
    assert caught.value.findings
    for one in caught.value.findings:
        assert one.rule.startswith("file-")
        assert one.message.endswith(".") and one.mend.endswith(".")
    return caught.value.findings


def rules(content: bytes, **options) -> set[str]:
    return {one.rule for one in findings(content, **options)}


def workbook(*rows, change=lambda sheet: None) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(list(row))
    change(book.active)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def repacked(content: bytes, change) -> bytes:
    """The workbook with its parts changed: `change(name, data)` gives the new data, or None to leave the part out."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            data = change(name, old.read(name))
            if data is not None:
                new.writestr(name, data)
    return out.getvalue()


def shared_strings() -> bytes:
    """A workbook as spreadsheet programs write it: its words in a part of their own."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["unit", "UB01"])
        sheet.write_row(1, 0, ["x", 1])
    return out.getvalue()


GOOD = shared_strings()


# --- what comes out ---------------------------------------------------------------------------


def test_cells_come_out_as_text_in_their_rows():
    content = workbook(
        ["unit", "code", "money", "share", "day", "much", "flag"],
        ["0012", "0111", "1,00,000", 0.12, date(2025, 3, 31), 12345678, True],
        ["# a remark", "nobody", "reads"],
        [],
        ["y", None, 12.5, None, datetime(2025, 3, 31, 9, 30), 1e15, False],
        change=lambda sheet: setattr(sheet["D2"], "number_format", "0%"),
    )

    found, rows = read(content)

    assert found.header == ["unit", "code", "money", "share", "day", "much", "flag"]
    assert rows[0] == (
        2,
        dict(zip(found.header, ["0012", "0111", "1,00,000", "12", "2025-03-31", "12345678", "1"], strict=True)),
    )
    assert rows[1][0] == 5
    assert list(rows[1][1].values()) == ["y", "", "12.5", "", "2025-03-31T09:30:00", "1000000000000000", "0"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_is_understood_as_programs_write_it(encoding, delimiter):
    text = f'unit{delimiter}UB01\r\n"क{delimiter}é"{delimiter}1\r\n"two\nlines"{delimiter}2\r\n'

    _, rows = read(text.encode(encoding))

    assert rows == [(2, {"unit": f"क{delimiter}é", "UB01": "1"}), (3, {"unit": "two\nlines", "UB01": "2"})]


def test_excels_own_line_about_the_delimiter_is_understood():
    assert read(b"sep=;\nunit;UB01\nx;1\n")[1] == [(3, {"unit": "x", "UB01": "1"})]


def test_a_dimension_that_lies_hides_no_row():
    def lie(name, data):
        return data.replace(b'ref="A1:B2"', b'ref="A1:A1"') if name.endswith("sheet1.xml") else data

    content = repacked(GOOD, lie)
    assert content != GOOD
    assert read(content)[1] == [(2, {"unit": "x", "UB01": "1"})]


def test_other_sheets_are_named_and_not_read():
    book = openpyxl.load_workbook(io.BytesIO(GOOD))
    book.create_sheet("my sums").append(["unit", "=1+1"])
    out = io.BytesIO()
    book.save(out)

    found, rows = read(out.getvalue())

    assert found.unread == ["my sums"]
    assert len(rows) == 1


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8), min_size=2, max_size=2),
        max_size=6,
    )
)
def test_csv_reads_back_what_was_written(rows):
    import csv

    kept = [row for row in rows if any(map(str.strip, row)) and not row[0].lstrip().startswith("#")]
    lines = [(number, row) for number, row in enumerate([["a", "b"], *kept], start=1)]
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows(row for _, row in lines)

    _, found = read(out.getvalue().encode())

    assert [list(cells.values()) for _, cells in found] == [[cell.strip() for cell in row] for row in kept]


# --- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "file-empty"),
        (b"\n\n  \n,,\n", "file-empty"),
        (b"unit,UB01,UB01\nx,1,2\n", "file-heading-once"),
        (b"unit,,UB01\nx,1,2\n", "file-heading"),
        (b"unit,UB01\nx,1,2\n", "file-cells"),
        (b'unit,UB01\nx,"1\n', "file-quotes"),
        (b'unit,UB01\nx,"1"2\n', "file-quotes"),
        (b"unit,UB01\nx,\xe9\n", "file-encoding"),
        (b"\xff\xfeu", "file-encoding"),
        (b"unit,UB01\nx,1\0\n", "file-type"),
        (b"unit,UB01\nx," + b"9" * 5000 + b"\n", "file-cell-long"),
        (b"unit,UB01\nx," + b"9" * 500_000 + b"\n", "file-quotes"),
        (b"PK\x03\x04 this is no workbook", "file-damaged"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"x" * 600, "file-type"),
        (b"%PDF-1.7\n", "file-type"),
        (b"<html><table>", "file-type"),
        (b",".join(b"c%d" % n for n in range(60_000)) + b"\n1", "file-columns"),
        (b"unit\n" + b"\n" * 9_000_000, "file-rows"),
        (b"unit,UB01\n" + b"x,1\n" * 20_001, "file-rows"),
        (b"# a remark,\n" * 900_000, "file-size"),
    ],
)
def test_what_is_no_table_is_refused_with_its_reason(content, rule):
    assert rule in rules(content)


def test_a_heading_without_rows_is_a_table():
    assert read(b"unit,UB01\n")[1] == []


def test_every_fault_is_told_at_once_with_row_column_value_and_mend():
    def spoil(sheet):
        sheet["B2"] = "=1+1"
        sheet["C3"] = "#DIV/0!"
        sheet["C3"].data_type = "e"
        sheet.merge_cells("A4:B4")
        sheet.row_dimensions[5].hidden = True
        sheet.column_dimensions["D"].hidden = True

    content = workbook(["unit", "UB01", "UC01", "UD01"], *[["x", 1, 2, 3]] * 4, change=spoil)

    found = {one.rule: one for one in findings(content)}

    assert set(found) == {
        "file-formula",
        "file-error-value",
        "file-merged",
        "file-hidden-row",
        "file-hidden-column",
    }
    formula = found["file-formula"]
    assert (formula.row, formula.column, formula.value) == (2, "UB01", "=1+1")
    assert "B2" in formula.message and "Paste" in formula.mend
    assert (found["file-error-value"].row, found["file-error-value"].value) == (3, "#DIV/0!")
    assert (found["file-merged"].row, found["file-hidden-row"].row) == (4, 5)
    assert found["file-hidden-column"].column == "UD01"


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        (b'<row r="2"', b'<row ht="0" customHeight="1" r="2"', "file-hidden-row"),
        (b"<sheetFormatPr ", b'<sheetFormatPr zeroHeight="1" ', "file-hidden-row"),
        (
            b"<sheetData>",
            b'<cols><col min="2" max="16384" width="0" customWidth="1"/></cols><sheetData>',
            "file-hidden-column",
        ),
    ],
)
def test_what_has_no_height_or_width_is_hidden_too(old, new, rule):
    content = repacked(GOOD, lambda name, data: data.replace(old, new, 1) if name.endswith("sheet1.xml") else data)
    assert content != GOOD

    assert rules(content) == {rule}


def test_a_hidden_sheet_is_refused_unless_it_is_ours():
    book = openpyxl.load_workbook(io.BytesIO(GOOD))
    for title in ("lists", "meta"):
        book.create_sheet(title).sheet_state = "hidden"
    out = io.BytesIO()
    book.save(out)
    assert len(read(out.getvalue())[1]) == 1

    book.create_sheet("secrets").sheet_state = "veryHidden"
    out = io.BytesIO()
    book.save(out)
    assert [one.message for one in findings(out.getvalue())] == ["The sheet “secrets” is hidden."]


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("xl/vbaProject.bin", "file-macros"),
        ("xl/externalLinks/externalLink1.xml", "file-links"),
        ("xl/connections.xml", "file-links"),
        ("xl/embeddings/oleObject1.bin", "file-links"),
        ("xl/more.zip", "file-nested"),
        ("word/document.xml", "file-type"),
        ("../outside.xml", "file-damaged"),
        ("xl/WORKBOOK.xml", "file-damaged"),
    ],
)
def test_parts_that_no_return_needs_are_refused(name, rule):
    out = io.BytesIO(GOOD)
    with zipfile.ZipFile(out, "a") as added:
        added.writestr(name, b"x")

    assert rules(out.getvalue()) == {rule}


def test_an_encrypted_part_is_refused():
    content = bytearray(GOOD)
    place = content.rfind(b"PK\x01\x02")
    content[place + 8] |= 1

    assert rules(bytes(content)) == {"file-encrypted"}


@pytest.mark.parametrize("missing", ["xl/sharedStrings.xml", "xl/workbook.xml", "xl/worksheets/sheet1.xml"])
def test_a_workbook_with_a_missing_part_is_damaged(missing):
    content = repacked(GOOD, lambda name, data: None if name == missing else data)

    assert rules(content) <= {"file-damaged", "file-type"}


# --- what would cost too much -----------------------------------------------------------------


def zipped(*parts: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in parts:
            packed.writestr(name, data)
    return out.getvalue()


def test_a_bomb_is_refused_before_any_parser_sees_it():
    bomb = zipped(("[Content_Types].xml", b"<a/>"), ("xl/worksheets/sheet1.xml", b"0" * 80_000_000))
    started = time.monotonic()

    with pytest.raises(Refused, match="unpacks to far more"):
        archive.opened(bomb)

    assert rules(bomb) == {"file-swollen"}
    assert time.monotonic() - started < 20


def test_a_directory_of_many_entries_is_refused_by_its_end_alone():
    many = zipped(*((f"xl/{n}.xml", b"") for n in range(201)))
    assert rules(many) == {"file-swollen"}

    lying = bytearray(many)
    place = lying.rfind(b"PK\x05\x06")
    struct.pack_into("<HH", lying, place + 8, 1, 1)
    assert rules(bytes(lying)) <= {"file-swollen", "file-damaged"}


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b'r="2"', b'r="17000000"', 1),
        lambda data: data.replace(b'r="2"', b'r="999999999999999999"', 1),
        lambda data: data.replace(b"<sheetData>", b'<sheetData><row r="1048576"><c r="A1048576"/></row>', 1),
        lambda data: b'<!DOCTYPE a [<!ENTITY b "bbbb">]>' + data,
        lambda data: data.replace(b"</row>", b"", 1),
        lambda data: data[: len(data) // 2],
        lambda data: data.replace(b'r="B2"', b'r="ZZZZZZ2"', 1),
    ],
)
def test_xml_that_lies_or_bites_is_refused_or_read_quickly(change):
    def spoil(name, data):
        return change(data) if name.endswith("sheet1.xml") else data

    content = repacked(GOOD, spoil)
    assert content != GOOD
    try:
        read(content)
    except Refused as refusal:
        assert {one.rule for one in refusal.findings} <= {"file-damaged", "file-columns", "file-rows"}


def test_entities_that_multiply_are_refused_wherever_they_stand():
    laughs = b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "haha">' + b"".join(
        b'<!ENTITY a%d "%s">' % (n, b"&a%s;" % (str(n - 1).encode() if n > 1 else b"") * 10) for n in range(1, 10)
    )

    for part in ("xl/sharedStrings.xml", "xl/workbook.xml", "xl/styles.xml"):
        content = repacked(GOOD, lambda name, data, part=part: laughs + b"]><sst>&a9;</sst>" if name == part else data)
        assert rules(content) == {"file-damaged"}


def test_a_file_that_needs_more_memory_than_there_is_ends_in_a_sentence(monkeypatch):
    """A deflated stream that claims little and unpacks to much is cut at what it claims; strings may still be many."""
    cells = b"".join(b"<si><t>%d%s</t></si>" % (n, b"x" * 3000) for n in range(12_000))
    content = repacked(
        GOOD,
        lambda name, data: (
            b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">' + cells + b"</sst>"
            if name == "xl/sharedStrings.xml"
            else data
        ),
    )

    try:
        read(content)
    except Refused as refusal:
        assert {one.rule for one in refusal.findings} <= {"file-swollen", "file-damaged"}


def test_a_wrong_length_in_the_directory_is_damage():
    content = bytearray(GOOD)
    place = content.find(b"xl/worksheets/sheet1.xml", content.find(b"PK\x01\x02")) - 46
    struct.pack_into("<I", content, place + 24, 5)

    assert rules(bytes(content)) == {"file-damaged"}


# --- the child --------------------------------------------------------------------------------

PROBE = """
import os, socket, sys
from facts.intake import child
child._confine()
for attempt in (
    lambda: socket.socket(),
    lambda: open("/etc/passwd"),
    lambda: os.pipe(),
    lambda: bytearray(700_000_000),
):
    try:
        attempt()
    except (OSError, MemoryError) as exc:
        os.write(1, type(exc).__name__.encode() + b" ")
    else:
        os.write(1, b"OPEN ")
os.write(1, repr(sorted(os.environ)).encode())
"""


def test_the_child_reaches_no_file_no_socket_and_little_memory():
    from facts.intake.process import ROOT

    said = subprocess.run(
        [sys.executable, "-E", "-s", "-c", "import sys; sys.path.insert(0, '.')\n" + PROBE],
        cwd=ROOT,
        env={},
        stdout=subprocess.PIPE,
        check=True,
    ).stdout.decode()

    assert said.startswith("OSError OSError OSError MemoryError ")
    assert "SECRET" not in said and "VAULT" not in said


def test_the_child_loads_no_django_and_no_numpy():
    code = (
        "import sys; sys.path.insert(0, '.'); from facts.intake import child, workbook; "
        "print([name for name in ('django', 'facts.models', 'numpy') if sys.modules.get(name)])"
    )

    said = subprocess.run([sys.executable, "-E", "-s", "-c", code], stdout=subprocess.PIPE, check=True).stdout

    assert said.strip() == b"[]"


def test_a_child_that_dies_or_falls_silent_is_a_sentence(monkeypatch):
    from facts.intake import process

    def dead(command):
        def start(source, max_bytes, max_rows):
            return subprocess.Popen([sys.executable, "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

        return start

    monkeypatch.setattr(process, "WAIT_SECONDS", 1)
    for command, rule in (
        ("import os; os._exit(4)", "file-swollen"),
        ("import os; os._exit(1)", "file-damaged"),
        ("import os; os.kill(os.getpid(), 9)", "file-swollen"),
        ("import time; time.sleep(60)", "file-swollen"),
        ('print(\'["head", 1, ["a"], {}, []]\', flush=True)', "file-damaged"),
    ):
        monkeypatch.setattr(process, "_start", dead(command))
        assert rules(b"x") == {rule}, command


def test_no_child_and_no_thread_is_left_behind():
    before = threading.active_count()
    for content in (GOOD, b"", b"unit\n1", b"PK", b"#\n" * 5_100_000):
        with pytest.raises(Refused) if content not in (GOOD, b"unit\n1") else open_table(content):
            read(content)
    with open_table(b"unit,UB01\n" + b"x,1\n" * 19_000) as found:
        next(found.rows)  # the rest is never taken

    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        pass
    assert threading.active_count() <= before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_long_file_passes_through_without_being_held(tmp_path):
    path = tmp_path / "long.csv"
    with path.open("wb") as stream:
        stream.write(b"unit,UB01\n")
        for n in range(300_000):
            stream.write(b"PK-SUR-SKT-%07d,%d" % (n, n) + b"\n")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with path.open("rb") as stream, open_table(stream, max_bytes=10**9, max_rows=10**7) as found:
        count = sum(1 for _ in found.rows)

    assert count == 300_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # kilobytes


def test_limits_stand_as_the_design_says():
    assert (limits.MAX_BYTES, limits.MAX_ENTRIES, limits.MAX_UNPACKED, limits.MAX_RATIO) == (
        10_000_000,
        200,
        60_000_000,
        100,
    )
    assert (limits.MEMORY, limits.CPU_SECONDS) == (512_000_000, 30)
    assert zlib.ZLIB_VERSION and socket  # both are really there for the probes above


def test_remarks_may_stand_above_the_heading_and_carry_what_a_template_says():
    lines = [(1, ["# made for round=2025", "schedule=UNIT", "cluster=PK-SUR-SKT"]), (2, ["unit", "UB01"]), (3, ["x"])]

    heading, row = table.headed(lines, 10)

    assert heading.meta == {"round": "2025", "schedule": "UNIT", "cluster": "PK-SUR-SKT"}
    assert row == (3, ["x", ""])
