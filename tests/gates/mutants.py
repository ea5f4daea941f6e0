"""Makes spoilt files from good ones: `python -m tests.gates.mutants FOLDER COUNT`. Each number is always the same file.

In a process of its own, so that the memory it takes is not the server's.
"""

import gzip
import io
import random
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

SHEET = "xl/worksheets/sheet1.xml"
STRINGS = "xl/sharedStrings.xml"
Mutant = tuple[bytes, str]


def repacked(
    content: bytes, change: Callable[[str, bytes], bytes | None], extra: dict[str, bytes] | None = None
) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            data = change(name, old.read(name))
            if data is not None:
                new.writestr(name, data)
        for name, data in (extra or {}).items():
            new.writestr(name, data)
    return out.getvalue()


def in_sheet(content: bytes, change: Callable[[bytes], bytes], part: str = SHEET) -> bytes:
    return repacked(content, lambda name, data: change(data) if name == part else data)


class Spoiler:
    """One good workbook and one good CSV, and the ways to spoil them."""

    def __init__(self, folder: Path, number: int):
        self.xlsx, self.csv = (folder / "good.xlsx").read_bytes(), (folder / "good.csv").read_bytes()
        self.dice = random.Random(number)
        self.way = WAYS[number % len(WAYS)]

    def spoil(self) -> tuple[str, bytes, str]:
        content, ending = self.way(self)
        return self.way.__name__, content, ending

    def either(self) -> Mutant:
        return (self.xlsx, "xlsx") if self.dice.random() < 0.6 else (self.csv, "csv")

    def lines(self) -> list[list[str]]:
        return [line.split(",") for line in self.csv.decode("utf-8-sig").splitlines()]

    def written(self, lines: list[list[str]], encoding: str = "utf-8", delimiter: str = ",") -> Mutant:
        return "\n".join(delimiter.join(line) for line in lines).encode(encoding, "replace"), "csv"

    def in_a_cell(self, text: str) -> Mutant:
        """The CSV with one value put into some cells of answers."""
        lines = self.lines()
        for _ in range(self.dice.randint(1, 5)):
            row = self.dice.randrange(1, len(lines))
            lines[row][self.dice.randrange(1, len(lines[row]))] = text
        return self.written(lines)

    def cells(self, change: Callable[[re.Match], bytes], how_many: int = 1) -> Mutant:
        """The workbook with some cells that hold values changed in the raw XML."""

        def spoil(data: bytes) -> bytes:
            found = list(re.finditer(rb'<c r="([A-Z]+)([0-9]+)"([^>]*)>(.*?)</c>', data))
            for cell in sorted(self.dice.sample(found, min(how_many, len(found))), key=lambda one: -one.start()):
                data = data[: cell.start()] + change(cell) + data[cell.end() :]
            return data

        return in_sheet(self.xlsx, spoil), "xlsx"

    # --- bytes

    def truncated(self) -> Mutant:
        content, ending = self.either()
        return content[: self.dice.randrange(len(content))], ending

    def bytes_flipped(self) -> Mutant:
        content, ending = self.either()
        spoilt = bytearray(content)
        for _ in range(self.dice.randint(1, 60)):
            spoilt[self.dice.randrange(len(spoilt))] = self.dice.randrange(256)
        return bytes(spoilt), ending

    def bytes_cut_or_put_in(self) -> Mutant:
        content, ending = self.either()
        at = self.dice.randrange(len(content))
        if self.dice.random() < 0.5:
            return content[:at] + content[at + self.dice.randint(1, 500) :], ending
        return content[:at] + self.dice.randbytes(self.dice.randint(1, 500)) + content[at:], ending

    def another_kind(self) -> Mutant:
        kinds = [
            b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj<</Type/Catalog>>endobj",
            b"\x89PNG\r\n\x1a\n" + self.dice.randbytes(3000),
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + self.dice.randbytes(3000),
            b"<html><body><table><tr><td>unit</td></tr></table></body></html>",
            b"<?xml version='1.0'?><Workbook/>",
            gzip.compress(self.csv),
            b"",
            b" \n\n\t\n",
            self.dice.randbytes(5000),
            b"\0" * 4000,
            b'{"unit": "x", "UB01": 1}',
            b"PK\x05\x06" + b"\0" * 18,
            b"PK",
        ]
        return self.dice.choice(kinds), self.dice.choice(("csv", "xlsx", "pdf", "xls", ""))

    # --- encodings

    def wrong_encoding(self) -> Mutant:
        lines = self.lines()
        lines[-1][-1] = self.dice.choice(["é", "ü – ß", "تجربة", "परीक्षण", "試験"])
        encoding = self.dice.choice(
            ["latin-1", "cp1252", "utf-16-le", "utf-16-be", "shift_jis", "cp1256", "utf-7", "utf-32"]
        )
        return self.written(lines, encoding)

    def odd_characters(self) -> Mutant:
        odd = [
            "a\0b",
            "\u202e123",
            "\x1b[31m1",
            "\ufeff5",
            "\u2066x",
            "\x7f",
            "\ud7ff",
            "१२३,४५",
            "１２",
            "½",
            "5\u00a0",
        ]
        return self.in_a_cell(self.dice.choice(odd))

    # --- tables

    def headings(self) -> Mutant:
        lines = self.lines()
        head = lines[0]
        act = self.dice.randrange(6)
        if act == 0:
            head[self.dice.randrange(1, len(head))] = head[self.dice.randrange(1, len(head))]
        elif act == 1:
            head[self.dice.randrange(len(head))] = ""
        elif act == 2:
            head[self.dice.randrange(len(head))] = self.dice.choice(
                ["XX99", "UNIT", "ub01", "CA01", "explain:ZZ", "=1"]
            )
        elif act == 3:
            del head[self.dice.randrange(len(head))]
        elif act == 4:
            lines.insert(1, list(head))
        else:
            lines = [["a", "b"], ["1", "2"]]
        return self.written(lines)

    def rows(self) -> Mutant:
        lines = self.lines()
        act = self.dice.randrange(6)
        if act == 0:
            lines.append(lines[-1])
        elif act == 1:
            lines[-1] = ["PK-NO-0001", *lines[-1][1:]]
        elif act == 2:
            lines[-1] = [""] + lines[-1][1:]
        elif act == 3:
            lines[-1] = lines[-1] + ["1"] * self.dice.randint(1, 40)
        elif act == 4:
            lines[-1] = lines[-1][: self.dice.randrange(1, len(lines[-1]))]
        else:
            self.dice.shuffle(lines)
        return self.written(lines)

    def delimiters_and_quotes(self) -> Mutant:
        act = self.dice.randrange(4)
        if act == 0:
            return self.written(self.lines(), delimiter=self.dice.choice([";", "\t", "|", ":", " ", ",,"]))
        content = bytearray(self.csv)
        for _ in range(self.dice.randint(1, 6)):
            content.insert(self.dice.randrange(len(content)), ord('"'))
        return bytes(content), "csv"

    def wrong_types(self) -> Mutant:
        words = [
            "many",
            "N/A",
            "see below",
            "yes",
            "12%",
            "1.2.3",
            "1e5",
            "--",
            "31/12/2025",
            "TRUE",
            "0x10",
            "∞",
            "12 lakh",
        ]
        return self.in_a_cell(self.dice.choice(words))

    def huge_cells(self) -> Mutant:
        return self.in_a_cell(
            self.dice.choice(["9", "x", "=", "9,"[0]]) * self.dice.choice([61, 2_001, 4_001, 33_000, 600_000])
        )

    def too_much(self) -> Mutant:
        act = self.dice.randrange(5)
        if act == 0:
            return self.csv + b"x,1\n" * 40_000, "csv"
        if act == 1:
            return b",".join(b"c%d" % n for n in range(5_000)) + b"\nx", "csv"
        if act == 2:
            return self.csv + b"\n" * 3_000_000, "csv"
        if act == 3:
            return self.csv + b"x" * 9_000_000, "csv"
        return b"a" * 10_250_000, "csv"

    def made_for_another(self) -> Mutant:
        said = self.dice.choice(
            ["round=2025", "round=1900", "round=x", "cluster=PK-NO-ONE", "schedule=REGION", "round="]
        )
        if self.dice.random() < 0.5:
            return f"# made for {said}\n".encode() + self.csv.removeprefix(b"\xef\xbb\xbf"), "csv"
        key, _, value = said.partition("=")
        old = {b"round": b"2026", b"schedule": b"UNIT", b"cluster": b"PK-TST-"}.get(key.encode(), b"2026")
        return in_sheet(
            self.xlsx, lambda data: data.replace(b"<t>" + old, b"<t>" + value.encode() + b"X", 1), STRINGS
        ), "xlsx"

    # --- workbooks

    def formulas(self) -> Mutant:
        formula = self.dice.choice([b"1+1", b"HYPERLINK(&quot;http://x&quot;)", b"B2", b"SUM(A1:XFD1048576)", b""])
        return self.cells(lambda cell: b'<c r="%s%s"><f>%s</f><v>5</v></c>' % (cell[1], cell[2], formula), 3)

    def error_values(self) -> Mutant:
        error = self.dice.choice([b"#DIV/0!", b"#REF!", b"#N/A", b"#NAME?"])
        return self.cells(lambda cell: b'<c r="%s%s" t="e"><v>%s</v></c>' % (cell[1], cell[2], error), 2)

    def odd_values(self) -> Mutant:
        value = self.dice.choice(
            [b"1E400", b"NaN", b"-1", b"1e-400", b"", b"abc", b"9" * 400, b"0.1", b"45000.5", b"&#0;"]
        )
        kind = self.dice.choice(
            [b"", b' t="n"', b' t="b"', b' t="s"', b' t="d"', b' t="str"', b' t="zz"', b' s="99999"']
        )
        return self.cells(lambda cell: b'<c r="%s%s"%s><v>%s</v></c>' % (cell[1], cell[2], kind, value), 2)

    def odd_places(self) -> Mutant:
        place = self.dice.choice([b"XFD9", b"ZZZZ1", b"A0", b"A99999999", b"9A", b"", b"A1:B2", b"a1"])
        return self.cells(lambda cell: b'<c r="%s"><v>7</v></c>' % place, 1)

    def merged_or_hidden(self) -> Mutant:
        act = self.dice.randrange(5)
        if act == 0:
            merge = b'</sheetData><mergeCells count="1"><mergeCell ref="A4:C4"/></mergeCells>'
            return in_sheet(self.xlsx, lambda data: data.replace(b"</sheetData>", merge, 1)), "xlsx"
        if act == 1:
            return in_sheet(self.xlsx, lambda data: data.replace(b'<row r="4"', b'<row hidden="1" r="4"', 1)), "xlsx"
        if act == 2:
            return in_sheet(self.xlsx, lambda data: data.replace(b"<col ", b'<col hidden="1" ', 1)), "xlsx"
        if act == 3:
            many = b"".join(b'<mergeCell ref="A%d:B%d"/>' % (n, n) for n in range(1, 60_000))
            tail = b"</sheetData><mergeCells>" + many + b"</mergeCells>"
            return in_sheet(self.xlsx, lambda data: data.replace(b"</sheetData>", tail, 1)), "xlsx"
        shown = lambda data: data.replace(b'name="unit" ', b'name="unit" state="hidden" ', 1)  # noqa: E731
        return in_sheet(self.xlsx, shown, "xl/workbook.xml"), "xlsx"

    def missing_part(self) -> Mutant:
        with zipfile.ZipFile(io.BytesIO(self.xlsx)) as archive:
            gone = self.dice.choice(archive.namelist())
        return repacked(self.xlsx, lambda name, data: None if name == gone else data), "xlsx"

    def broken_xml(self) -> Mutant:
        with zipfile.ZipFile(io.BytesIO(self.xlsx)) as archive:
            part = self.dice.choice([name for name in archive.namelist() if name.endswith(("xml", "rels"))])

        def spoil(data: bytes) -> bytes:
            tags = list(re.finditer(rb"</?[A-Za-z][^>]*>", data))
            act = self.dice.randrange(4)
            if act == 0 or not tags:
                return data[: self.dice.randrange(len(data) + 1)]
            tag = self.dice.choice(tags)
            if act == 1:
                return data[: tag.start()] + data[tag.end() :]
            if act == 2:
                return data[: tag.end()] + tag[0] * self.dice.randint(1, 3_000) + data[tag.end() :]
            return data[: tag.start()] + self.dice.randbytes(8) + data[tag.start() :]

        return in_sheet(self.xlsx, spoil, part), "xlsx"

    def entities(self) -> Mutant:
        part = self.dice.choice([SHEET, STRINGS, "xl/workbook.xml", "xl/styles.xml", "[Content_Types].xml"])
        kinds = [
            b'<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "' + b"&a;" * 50 + b'"><!ENTITY c "' + b"&b;" * 50 + b'">]>',
            b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
            b'<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1:1/x.dtd">%x;]>',
            b'<!DOCTYPE a [<!ENTITY a "' + b"x" * 100_000 + b'">]>',
        ]
        start = self.dice.choice(kinds)

        def spoil(data: bytes) -> bytes:
            declaration = data[: data.find(b"?>") + 2] if data.startswith(b"<?xml") else b""
            return declaration + start + data[len(declaration) :].replace(b"<t>", b"<t>&a;", 5)

        return in_sheet(self.xlsx, spoil, part), "xlsx"

    def bombs(self) -> Mutant:
        act = self.dice.randrange(7)
        if act == 0:
            return repacked(self.xlsx, lambda name, data: data, {"xl/media/a.bin": b"0" * 70_000_000}), "xlsx"
        if act == 1:
            return repacked(self.xlsx, lambda name, data: data, {f"xl/{n}.xml": b"" for n in range(300)}), "xlsx"
        if act == 2:
            rows = b'</row><row r="17000000"><c r="A17000000"><v>1</v></c></row></sheetData>'
            return in_sheet(self.xlsx, lambda data: data.replace(b"</row></sheetData>", rows, 1)), "xlsx"
        if act == 3:
            wide = b'<dimension ref="A1:XFD17000000"/>'
            return in_sheet(self.xlsx, lambda data: re.sub(rb"<dimension[^>]*>", wide, data)), "xlsx"
        if act == 4:
            many = b"".join(b'<row r="%d"/>' % n for n in range(1_000, 400_000))
            return in_sheet(self.xlsx, lambda data: data.replace(b"</sheetData>", many + b"</sheetData>", 1)), "xlsx"
        if act == 5:
            rows = b"".join(b'<row r="%d"><c r="A%d"><v>%d</v></c></row>' % (n, n, n) for n in range(1_000, 80_000))
            return in_sheet(self.xlsx, lambda data: data.replace(b"</sheetData>", rows + b"</sheetData>", 1)), "xlsx"
        deep = b"<a>" * 300_000
        return in_sheet(self.xlsx, lambda data: data.replace(b"<sheetData>", b"<sheetData>" + deep, 1)), "xlsx"

    def lying_directory(self) -> Mutant:
        content = bytearray(self.xlsx)
        entries = [found.start() for found in re.finditer(rb"PK\x01\x02", self.xlsx)]
        place = self.dice.choice(entries)
        act = self.dice.randrange(6)
        if act == 0:
            content[place + 8] |= 1  # encrypted
        elif act == 1:
            struct.pack_into("<I", content, place + 24, self.dice.choice([0, 1, 5_000_000_000 % 2**32, 2**32 - 1]))
        elif act == 2:
            struct.pack_into("<I", content, place + 42, self.dice.randrange(len(content)))
        elif act == 3:
            struct.pack_into("<H", content, place + 10, self.dice.choice([1, 9, 12, 14, 99]))
        elif act == 4:
            end = self.xlsx.rfind(b"PK\x05\x06")
            struct.pack_into("<HH", content, end + 8, 65535, 65535)
        else:
            struct.pack_into("<I", content, place + 16, zlib.crc32(b"other"))
        return bytes(content), "xlsx"

    def strange_parts(self) -> Mutant:
        parts = [
            "xl/vbaProject.bin",
            "xl/externalLinks/externalLink1.xml",
            "xl/more.xlsx",
            "../up.xml",
            "xl/connections.xml",
        ]
        parts += [
            "xl/embeddings/o.bin",
            "word/document.xml",
            "xl/WORKBOOK.XML",
            "xl/activeX/a.xml",
            "a/" * 200 + "b.xml",
        ]
        return repacked(self.xlsx, lambda name, data: data, {self.dice.choice(parts): b"<a/>"}), "xlsx"

    def strings_gone_wrong(self) -> Mutant:
        act = self.dice.randrange(3)
        if act == 0:
            return repacked(self.xlsx, lambda name, data: None if name == STRINGS else data), "xlsx"
        if act == 1:
            return in_sheet(self.xlsx, lambda data: data.replace(b"<si>", b"<si><si>", 3), STRINGS), "xlsx"
        return self.cells(lambda cell: b'<c r="%s%s" t="s"><v>99999</v></c>' % (cell[1], cell[2]), 3)


WAYS = [
    way for name, way in vars(Spoiler).items() if callable(way) and not name.startswith("_")
    and name not in ("spoil", "either", "lines", "written", "in_a_cell", "cells")
]  # fmt: skip


def main(folder: str, count: str) -> None:
    for number in range(int(count)):
        name, content, ending = Spoiler(Path(folder), number).spoil()
        (Path(folder) / f"{number:04d}-{name}.{ending or 'none'}").write_bytes(content)


if __name__ == "__main__":
    main(*sys.argv[1:])
