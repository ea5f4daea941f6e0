"""The child process: a file's bytes in, its cells out as lines of JSON.

Line by line: `["head", row, titles, meta, unread]`, `["row", row, cells]`, `["bad", finding]`, and `["end"]` last.
Before the first byte of the file is parsed the process gives up what it does not need: memory beyond a limit, processor
time, writing files, and every new file or socket (no descriptor is left to open one), with that the network. Where
the system lets it, it also leaves the network's name space. Ends with 0 whenever it could say what it found.
"""

import codecs
import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import Iterator

from . import archive, table, text
from .findings import Finding, Refused, refused
from .limits import CPU_SECONDS, MAX_BYTES, MAX_COLUMNS, MAX_FINDINGS, MAX_ROWS, MEMORY

TOO_MUCH_MEMORY = 4
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000


def main(max_bytes: int = MAX_BYTES, max_rows: int = MAX_ROWS) -> int:
    stream, out = sys.stdin.buffer, sys.stdout.buffer

    def say(*line) -> None:
        out.write(json.dumps(line, ensure_ascii=True).encode() + b"\n")

    head = stream.read(8)
    is_zip = head[:2] == b"PK"
    if is_zip:
        from . import workbook  # noqa: F401  (loaded while files can still be opened)
    _confine()
    try:
        bad = 0
        for item in _read(head, stream, is_zip, max_bytes, max_rows):
            if isinstance(item, Finding):
                bad += 1
                if bad <= MAX_FINDINGS:
                    say("bad", vars(item))
            else:
                say(*item)
    except Refused as refusal:
        for finding in refusal.findings[:MAX_FINDINGS]:
            say("bad", vars(finding))
    except (MemoryError, RecursionError):
        return TOO_MUCH_MEMORY
    say("end")
    out.flush()
    return 0


def _read(head: bytes, stream, is_zip: bool, max_bytes: int, max_rows: int) -> Iterator[list | Finding]:
    if not head:
        raise refused("file-empty", "The file is empty.", "Fill in the template and send it.")
    if not is_zip:
        yield from _rows(text.read_lines(_Bounded(stream, max_bytes - len(head)), head), {}, [], max_rows)
        return
    content = head + stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise _too_large(MAX_BYTES)
    opened = archive.opened(content)
    from . import workbook

    book = workbook.read_book(opened)
    if book.shape.last_column > MAX_COLUMNS:
        message = f"There are {book.shape.last_column:,} columns; a return has no more than {MAX_COLUMNS}."
        raise refused("file-columns", message, "Delete the columns that are no questions.")
    # What the shape of the sheet forbids is said beside the headings, and no row is handed on.
    first = True
    for item in _rows(book.lines, book.meta, book.unread, max_rows):
        if first:
            first = False
            found = workbook.findings_of(book.shape, item[2] if isinstance(item, list) else [])
            if found:
                raise Refused(*found)
        yield item


def _rows(lines, meta: dict, unread: list[str], max_rows: int) -> Iterator[list | Finding]:
    for item in table.headed(lines, max_rows):
        if isinstance(item, table.Heading):
            yield ["head", item.number, item.titles, item.meta | meta, unread]
        elif isinstance(item, Finding):
            yield item
        else:
            yield ["row", *item]


class _Bounded:
    """A stream that may have no more than so many bytes."""

    def __init__(self, stream, limit: int):
        self.stream, self.limit, self.left = stream, limit, limit

    def read(self, size: int) -> bytes:
        part = self.stream.read(size)
        self.left -= len(part)
        if self.left < 0:
            raise _too_large(self.limit)
        return part


def _too_large(limit: int) -> Refused:
    return refused("file-size", f"The file is larger than {(limit + 8) // 1_000_000} MB.", "Send it in parts.")


def _confine() -> None:
    """Give up what a parser does not need."""
    for codec in ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "ascii", "latin-1", "cp437", "cp1252"):
        codecs.lookup(codec)  # loaded now: later no file can be opened
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with contextlib.suppress(OSError, AttributeError):
        # Allowed on some systems only; the limit below holds everywhere.
        ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUSER | CLONE_NEWNET)
    os.closerange(3, 4096)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
