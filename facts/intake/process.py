"""The parent's side: start a child for one file, hand it the bytes, take its rows as they come."""

import contextlib
import json
import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from .child import TOO_MUCH_MEMORY
from .findings import Finding, Refused
from .limits import MAX_BYTES, MAX_ROWS, WAIT_SECONDS

ROOT = Path(__file__).resolve().parents[2]
LINE_MAX = 8_000_000  # bytes of one line of the child
AGAIN = "Save it again from the spreadsheet program, or send CSV."
logger = logging.getLogger(__name__)


@dataclass
class Table:
    """A file's heading and its rows `(number, {title: text})`; each row can be taken once.

    meta : round, schedule and cluster for which one of our templates was made; empty for other files.
    unread : names of further sheets, which are not read.
    """

    header: list[str]
    rows: Iterator[tuple[int, dict[str, str]]]
    number: int = 1
    meta: dict[str, str] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)


@contextlib.contextmanager
def open_table(source: bytes | BinaryIO, *, max_bytes: int = MAX_BYTES, max_rows: int = MAX_ROWS) -> Iterator[Table]:
    """Read a file in a child process. Raises Refused, at once or when the last row was taken, with all findings.

    source : the bytes, or an open file with a descriptor, from which the child reads by itself.
    """
    process = _start(source, max_bytes, max_rows)
    try:
        lines = _lines(process)
        kind, *rest = next(lines)
        bad = []
        while kind == "bad":
            bad.append(Finding(**rest[0]))
            kind, *rest = next(lines)
        if bad or kind != "head":
            raise Refused(*(bad or [Finding("file-damaged", "The file is damaged and cannot be read.", AGAIN)]))
        number, titles, meta, unread = rest
        yield Table(titles, _rows(lines, titles), number, meta, unread)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]


def _start(source: bytes | BinaryIO, max_bytes: int, max_rows: int) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-E", "-s", "-m", "facts.intake.child", str(max_bytes), str(max_rows)],
        cwd=ROOT,
        env={},
        stdin=subprocess.PIPE if isinstance(source, bytes) else source,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        close_fds=True,
    )
    if isinstance(source, bytes):
        # A thread, because the child may speak before it has read everything.
        threading.Thread(target=_feed, args=(process.stdin, source), daemon=True).start()
    return process


def _feed(pipe, content: bytes) -> None:
    with contextlib.suppress(OSError, ValueError):
        pipe.write(content)
    with contextlib.suppress(OSError, ValueError):
        pipe.close()


def _rows(lines: Iterator[list], titles: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    bad = []
    for kind, *rest in lines:
        if kind == "row":
            yield rest[0], dict(zip(titles, rest[1], strict=True))
        elif kind == "bad":
            bad.append(Finding(**rest[0]))
    if bad:
        raise Refused(*bad)


def _lines(process: subprocess.Popen) -> Iterator[list]:
    """The child's words, to `["end"]` and with it; raises Refused where the child dies or falls silent."""
    pipe = process.stdout.fileno()  # type: ignore[union-attr]
    patience = float(WAIT_SECONDS)
    rest = b""
    while True:
        asked = time.monotonic()
        ready, _, _ = select.select([pipe], [], [], max(patience, 0))
        patience -= time.monotonic() - asked
        part = os.read(pipe, 1 << 16) if ready else b""
        if not part:
            raise _died(process, silent=not ready)
        *whole, rest = (rest + part).split(b"\n")
        for line in whole:
            said = json.loads(line)
            yield said
            if said[0] == "end":
                return
        if len(rest) > LINE_MAX:
            raise Refused(Finding("file-damaged", "The file is damaged.", AGAIN))


def _died(process: subprocess.Popen, *, silent: bool) -> Refused:
    process.kill() if silent else None
    code = process.wait()
    logger.warning("intake: the child ended with %s", "silence" if silent else code)
    if silent or code == -signal.SIGXCPU:
        words = "Reading the file takes far longer than a file of returns should."
    elif code in (TOO_MUCH_MEMORY, -signal.SIGKILL, -signal.SIGSEGV, -signal.SIGABRT):
        words = "Reading the file takes far more memory than a file of returns should."
    else:
        return Refused(Finding("file-damaged", "The file is damaged and cannot be read.", AGAIN))
    return Refused(Finding("file-swollen", words, "Copy the values into a fresh template and send that."))
