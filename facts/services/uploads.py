"""A file on its way in: sealed in quarantine, read, shown, confirmed by its digest, imported whole; then wiped.

Two jobs of the ledger do the work: `facts.read_upload` says what the file would do, `facts.import_upload` does it in
one transaction with the job's own end. A worker that dies leaves the file in quarantine and the job to the next one.
"""

import contextlib
import json
import os
import zlib
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from core import policy
from core.audit.models import record
from core.base import DomainError
from core.jobs import ledger
from facts.intake.findings import Refused
from facts.intake.limits import MAX_BYTES
from facts.models import Return, Round, Upload
from facts.validation import Problem
from facts.vault import store

from .files import import_file, opened, refusal_of, totals_of, tried
from .imports import Outcome, Row, RowProblem

READ, IMPORT = "facts.read_upload", "facts.import_upload"
SMALL = 200_000  # bytes of a file that is read while its sender waits; by the same job
KEPT_FOR = timedelta(hours=24)
State = Upload.State
OPEN = (State.QUARANTINED, State.READY)
NEW, CHANGED, SAME = "new", "changed", "same"
GONE = "The file is no longer at hand: it is kept for 24 hours. Send it again."


@dataclass
class Report:
    """What a file would do, or did: for its sender's eyes only, and sealed until then."""

    rows: list[list] = field(default_factory=list)  # place, subject, answers given, answered, asked, act
    totals: dict[str, list] = field(default_factory=dict)  # question -> [rows that answer, sum]
    refused: list[list] = field(default_factory=list)  # place, subject, question, value, message, mend, rule
    open_points: list[list] = field(default_factory=list)  # the same
    unread: list[str] = field(default_factory=list)


# --- in --------------------------------------------------------------------------------------


def receive(content: bytes, name: str, *, round_: Round, scale: int, by) -> Upload:
    """Seal a file into quarantine and queue its reading. The same file again is read again, under the same record."""
    if len(content) > MAX_BYTES:
        raise DomainError(f"{name} is larger than {MAX_BYTES // 1_000_000} MB. Send it in parts.")
    digest = store.keyed_digest(content)
    with transaction.atomic():
        upload = _entered(round_, by, digest, len(content))
        if _is_importing(upload):
            return upload
        upload.name, upload.scale, upload.state = name[:120], scale, State.QUARANTINED
        _put_file(upload, content)
        upload.job = ledger.enqueue(READ, key=f"upload:{upload.pk}:{scale}", by=by, upload_id=upload.pk)
        upload.save(update_fields=["name", "scale", "state", "job"])
        record("upload.receive", upload, by=by, round=round_.year, size=upload.size, digest=digest)
    _at_once_if_small(upload)
    return upload


def _entered(round_: Round, by, digest: str, size: int) -> Upload:
    """The open record of this person's file: a new one, or the one that the same bytes have already.

    Apart from `receive`, since the trace of a database error keeps alive what the function that caught it holds.
    """
    try:
        with transaction.atomic():
            return Upload.objects.create(
                round=round_, by=by, organisation_id=_organisation_of(by), size=size, digest=digest
            )
    except IntegrityError:
        held = Upload.objects.select_for_update(of=("self",)).select_related("job")
        return held.get(round=round_, by=by, digest=digest, state__in=OPEN)


def confirm(upload: Upload, digest: str, *, by) -> None:
    """Queue the import of a file that was read. The digest says that it is the one that was shown. Twice is once."""
    with transaction.atomic():
        held = Upload.objects.select_for_update(of=("self",)).select_related("job").get(pk=upload.pk)
        if held.digest != digest:
            raise DomainError("This is not the file that was shown. Look at it again before it is kept.")
        if held.state == State.IMPORTED or _is_importing(held):
            return
        if held.state != State.READY:
            raise DomainError(GONE if held.state == State.EXPIRED else "This file cannot be kept; see what is wrong.")
        held.job = ledger.enqueue(IMPORT, key=f"upload:{held.pk}", by=by, upload_id=held.pk)
        held.save(update_fields=["job"])
        record("upload.confirm", held, by=by, digest=digest)
    _at_once_if_small(held)


def discard(upload: Upload, *, by) -> None:
    """Take back a file that was not imported."""
    with transaction.atomic():
        held = Upload.objects.select_for_update(of=("self",)).select_related("job").get(pk=upload.pk)
        if held.state not in OPEN or _is_importing(held):
            return
        Upload.objects.filter(pk=held.pk).update(state=State.EXPIRED, finished_at=timezone.now())
        store.drop_texts([_place(held)])
        record("upload.discard", held, by=by)
    _wipe(held.pk)


def _is_importing(upload: Upload) -> bool:
    return bool(upload.job and upload.job.kind == IMPORT and upload.job.is_open)


def _organisation_of(by) -> int | None:
    row = policy.matrix()["return.create"]
    return next((grant.organisation_id for grant in policy.grants_of(by) if grant.role in row), None)


def _at_once_if_small(upload: Upload) -> None:
    if upload.size <= SMALL and upload.job_id:
        ledger.run(upload.job_id)
        upload.refresh_from_db()


# --- the two jobs ----------------------------------------------------------------------------


def read_upload(run: ledger.Run, upload_id: int) -> None:
    """Say what a file would do; keep nothing but the report."""
    upload = Upload.objects.select_related("round__instrument", "by").get(pk=upload_id)
    if upload.state != State.QUARANTINED:
        return
    content = _file_of(upload)
    lines = max(content.count(b"\n") - 1, 0) if content[:2] != b"PK" else 0
    report = Report()
    schedule = ""
    run.progress("Reading the file")
    try:
        with opened(content, round_=upload.round, by=upload.by) as sheet:
            schedule, report.unread = sheet.part.code, sheet.unread

            def note(rows: list[Row], outcome: Outcome, before: dict[str, int]) -> None:
                totals_of(sheet.part, rows, upload.scale, report.totals)
                report.rows += _told_rows(rows, outcome, before)

            outcome = tried(
                sheet,
                round_=upload.round,
                by=upload.by,
                scale=upload.scale,
                progress=lambda done: run.progress(f"Checked {done:,} rows", min(done, lines), lines),
                each=note,
            )
        if not outcome.n_refused and not report.rows:
            outcome.refuse(_nothing_filled_in(upload.name))
    except Refused as refusal:
        outcome = refusal_of(refusal, upload.name)
    state = State.REFUSED if outcome.n_refused else State.READY
    with run.finishing({"state": state}):
        held = Upload.objects.select_for_update(of=("self",)).get(pk=upload.pk)
        if (held.state, held.scale) != (upload.state, upload.scale):
            return  # sent again at another scale, or taken back, while this was read: what was read no longer holds
        _tell(upload, outcome, report, state=state, schedule=schedule)
    if state == State.REFUSED:
        _wipe(upload.pk)


def import_upload(run: ledger.Run, upload_id: int) -> None:
    """Keep a confirmed file's drafts: all of them, its record and the job's end in one transaction, or nothing."""
    upload = Upload.objects.select_related("round__instrument", "by").get(pk=upload_id)
    if upload.state != State.READY:
        return
    content = _file_of(upload)
    run.progress("Keeping the drafts")
    result: dict = {}
    with run.finishing(result):
        outcome = import_file(content, upload.name, round_=upload.round, by=upload.by, scale=upload.scale)
        # Something changed between preview and confirmation where it is refused now: say what, and keep nothing.
        state = State.REFUSED if outcome.n_refused else State.IMPORTED
        report = report_of(upload) if state == State.IMPORTED else Report()
        _tell(upload, outcome, report or Report(), state=state, schedule=upload.schedule)
        result["state"] = state
    _wipe(upload.pk)


def _tell(upload: Upload, outcome: Outcome, report: Report, *, state: str, schedule: str) -> None:
    """Enter what a file would do or did: counts in its record, the rest sealed beside it."""
    report.refused = [_plain(problem) for problem in sorted(outcome.refused, key=_row_of)]
    if outcome.open_points:
        report.open_points = [_plain(problem) for problem in outcome.open_points]
    counts = {
        "created": outcome.created,
        "updated": outcome.updated,
        "unchanged": outcome.unchanged,
        "refused": outcome.n_refused,
        "open_points": outcome.n_open_points,
        "rows": len(report.rows),
    }
    store.drop_texts([_place(upload)])
    store.put_texts([(_place(upload), json.dumps(vars(report), ensure_ascii=False))], by=upload.by)
    Upload.objects.filter(pk=upload.pk).update(
        state=state, counts=counts, schedule=schedule, finished_at=timezone.now()
    )
    record(f"upload.{state}", upload, by=upload.by, **counts)


def _row_of(found: RowProblem) -> int:
    """The row that a problem stands in, so that a person goes through the file from top to bottom."""
    digits = found.place.removeprefix("row ")
    return int(digits) if digits.isdecimal() else 0


def _plain(found: RowProblem) -> list:
    problem = found.problem
    return [found.place, found.subject, problem.question, problem.value, problem.message, problem.mend, problem.rule]


def _told_rows(rows: list[Row], outcome: Outcome, before: dict[str, int]) -> list[list]:
    made = {ret.subject: ret for ret in outcome.returns}
    told = []
    for row in rows:
        ret: Return | None = made.get(row.subject)
        if ret is not None:
            act = NEW if row.subject not in before else CHANGED if ret.revision != before[row.subject] else SAME
            told.append([row.place, row.subject, len(row.raw), ret.answered, ret.asked, act])
        elif outcome.n_refused:
            told.append([row.place, row.subject, len(row.raw), None, None, ""])
    return told


def _nothing_filled_in(name: str) -> RowProblem:
    message = "No row has an answer."
    return RowProblem(name, "", Problem("", "file-empty", "hard", message, "Fill in the template and send it."))


# --- out -------------------------------------------------------------------------------------


def report_of(upload: Upload) -> Report | None:
    """Open the report of a file; None once it was wiped. For the sender only: doors see to that."""
    texts = store.texts_of([_place(upload)]).get(_place(upload))
    return Report(**json.loads(texts[-1]["text"])) if texts else None


def wipe_expired() -> int:
    """Take away files and reports older than a day, and what a dead process left behind. Returns how many records."""
    old = timezone.now() - KEPT_FOR
    late = list(Upload.objects.filter(created_at__lt=old).exclude(counts__has_key="wiped").select_related("job"))
    late = [upload for upload in late if not _is_importing(upload)]
    for upload in late:
        with transaction.atomic():
            state = State.EXPIRED if upload.state in OPEN else upload.state
            store.drop_texts([_place(upload)])
            Upload.objects.filter(pk=upload.pk).update(state=state, counts={**upload.counts, "wiped": True})
            record("upload.wipe", upload, by=None)
        _wipe(upload.pk)
    for path in _folder().iterdir():
        wanted = path.stem.isdecimal() and Upload.objects.filter(pk=int(path.stem), state__in=OPEN).exists()
        aged = timezone.now().timestamp() - path.stat().st_mtime > KEPT_FOR.total_seconds()
        if not wanted and aged:
            path.unlink(missing_ok=True)
    return len(late)


# --- the sealed files ------------------------------------------------------------------------


def _place(upload: Upload) -> str:
    return f"upload:{upload.pk}"


def _folder() -> Path:
    settings.QUARANTINE_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
    return settings.QUARANTINE_DIR


def _path(pk: int) -> Path:
    return _folder() / f"{pk}.sealed"


def _put_file(upload: Upload, content: bytes) -> None:
    """Write the sealed file; it is whole or not there."""
    key_id, sealed = store.seal(zlib.compress(content, 1), _place(upload))
    path = _path(upload.pk)
    part = path.with_suffix(f".{os.getpid()}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(key_id.encode() + b"\n")
        stream.write(sealed)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)


def _file_of(upload: Upload) -> bytes:
    """Open a file's seal; a changed or missing one is refused."""
    try:
        key_id, _, sealed = _path(upload.pk).read_bytes().partition(b"\n")
    except OSError:
        raise DomainError(GONE) from None
    content = zlib.decompress(store.unseal(key_id.decode(), sealed, _place(upload)))
    if store.keyed_digest(content) != upload.digest:
        raise DomainError("The file in quarantine is not the one that was sent. Send it again.")
    return content


def _wipe(pk: int) -> None:
    with contextlib.suppress(OSError):
        _path(pk).unlink(missing_ok=True)
