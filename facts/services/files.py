"""A file of returns, from bytes to drafts; the same for the upload page, the command and tests."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import BinaryIO

from core import policy
from facts.instrument import Schedule as Part
from facts.intake.findings import Finding, Refused
from facts.intake.limits import MAX_BYTES, MAX_ROWS
from facts.intake.process import Table, open_table
from facts.models import Return, Round
from facts.validation import Problem, read_answers

from .imports import KEYS, Outcome, Row, RowProblem, save_drafts
from .instruments import definition, lookups
from .templates import own_clusters

EXPLAIN = "explain:"
TRIED = 500  # rows of one short transaction, while a file is only tried


@dataclass
class Sheet:
    """A file whose heading was understood. `unread` names sheets of the workbook that are not looked at."""

    part: Part
    rows: Iterable[Row]
    unread: list[str] = field(default_factory=list)


def import_file(
    source: bytes | BinaryIO,
    name: str,
    *,
    round_: Round,
    by,
    dry_run: bool = False,
    scale: int = 1,
    keep_failing: bool = False,
    max_bytes: int = MAX_BYTES,
    max_rows: int = MAX_ROWS,
    progress: Callable[[int], None] = lambda done: None,
) -> Outcome:
    """Make drafts from a CSV or XLSX file: all of them or none.

    The header names the respondent's column (unit, cluster, association or region) and question codes;
    `explain:UB01-S1` columns carry explanations of soft checks. The schedule follows from the codes. A file that cannot
    be read is an outcome too: its findings stand under `refused`.
    """
    try:
        with opened(source, round_=round_, by=by, max_bytes=max_bytes, max_rows=max_rows) as sheet:
            options = {"round_": round_, "by": by, "scale": scale, "keep_failing": keep_failing}
            if dry_run:
                return tried(sheet, progress=progress, **options)
            return save_drafts(
                schedule_code=sheet.part.code,
                rows=sheet.rows,
                channel=Return.Channel.FILE,
                is_synthetic=round_.is_synthetic,
                keep_returns=max_rows <= MAX_ROWS,
                progress=progress,
                **options,
            )
    except Refused as refusal:
        return refusal_of(refusal, name)


@contextmanager
def opened(
    source: bytes | BinaryIO, *, round_: Round, by, max_bytes: int = MAX_BYTES, max_rows: int = MAX_ROWS
) -> Iterator[Sheet]:
    """Open a file in a child process and understand its heading. Raises intake's Refused, also while rows are taken."""
    with open_table(source, max_bytes=max_bytes, max_rows=max_rows) as table:
        part, key = _schedule_of(table, round_)
        _require_made_for(table.meta, part, round_, by)
        yield Sheet(part, _rows_of(table, key), table.unread)


def tried(
    sheet: Sheet,
    *,
    round_: Round,
    by,
    scale: int,
    keep_failing: bool = False,
    progress: Callable[[int], None] = lambda done: None,
    each: Callable[[list[Row], Outcome, dict[str, int]], None] = lambda rows, outcome, before: None,
) -> Outcome:
    """Say what a file would do, and keep nothing. Many short transactions, so that nobody waits behind a long file.

    each : is handed every part of the rows, its outcome, and the revisions of the returns that were there before.
    """
    whole, seen, done = Outcome(), {}, 0
    rows = iter(sheet.rows)
    while part := list(islice(rows, TRIED)):
        fresh = []
        for row in part:
            if row.subject in seen:
                whole.refuse(_twice(row, seen[row.subject]))
            else:
                fresh.append(row)
        seen |= {row.subject: row.place for row in fresh}
        there = Return.objects.filter(
            round=round_, schedule=sheet.part.code, subject__in=[row.subject for row in fresh]
        )
        before = dict(there.values_list("subject", "revision"))
        outcome = save_drafts(
            round_=round_,
            schedule_code=sheet.part.code,
            rows=fresh,
            by=by,
            channel=Return.Channel.FILE,
            scale=scale,
            keep_failing=keep_failing,
            dry_run=True,
        )
        each(fresh, outcome, before)
        _add(whole, outcome)
        progress(done := done + len(part))
        if outcome.refused and outcome.refused[0].problem.rule == "round-open":
            break
    if whole.n_refused:
        whole.created = whole.updated = whole.unchanged = 0
    return whole


def refusal_of(refusal: Refused, name: str) -> Outcome:
    """What a file that cannot be read is told, in the form of every other refusal."""
    outcome = Outcome()
    for finding in refusal.findings:
        outcome.refuse(_told(finding, name))
    return outcome


def _told(finding: Finding, name: str) -> RowProblem:
    place = f"row {finding.row}" if finding.row else name
    problem = Problem(finding.column, finding.rule, "hard", finding.message, finding.mend, finding.value)
    return RowProblem(place, "", problem)


def _twice(row: Row, earlier: str) -> RowProblem:
    message = f"{row.subject} stands here and in {earlier}."
    return RowProblem(row.place, row.subject, Problem("", "respondent-once", "hard", message, "Keep one of the two."))


def _add(whole: Outcome, part: Outcome) -> None:
    whole.created += part.created
    whole.updated += part.updated
    whole.unchanged += part.unchanged
    for problem in part.refused:
        whole.refuse(problem)
    for problem in part.open_points:
        whole.note(problem)
    whole.n_refused += part.n_refused - len(part.refused)
    whole.n_open_points += part.n_open_points - len(part.open_points)


def _rows_of(table: Table, key: str) -> Iterator[Row]:
    for number, cells in table.rows:
        if not any(text for title, text in cells.items() if title != key):
            continue  # a line of the template that nobody filled in
        explanations = {
            title.removeprefix(EXPLAIN): text for title, text in cells.items() if title.startswith(EXPLAIN) and text
        }
        raw = {title: text for title, text in cells.items() if text and title != key and not title.startswith(EXPLAIN)}
        yield Row(cells.get(key, ""), raw, f"row {number}", explanations)


def _schedule_of(table: Table, round_: Round) -> tuple[Part, str]:
    """The schedule whose questions the headings name, and the heading that says whose return a row is."""
    schedules = definition(round_.instrument.version).schedules
    codes = [title for title in table.header if title not in KEYS.values() and not title.startswith(EXPLAIN)]
    best = max(schedules.values(), key=lambda part: sum(code in part.questions for code in codes))
    row = table.number
    if not any(code in best.questions for code in codes):
        raise Refused(
            Finding(
                "file-heading",
                "No column is a question of the instrument.",
                f"The first row must hold codes such as {next(iter(best.questions))}; take the template.",
                row,
            )
        )
    key = KEYS[best.code]
    if key not in table.header:
        message = f"The column “{key}” is missing. It says whose return each row is."
        raise Refused(Finding("file-key", message, f"Add a column with the heading {key}.", row))
    foreign = [code for code in codes if code not in best.questions]
    if foreign:
        raise Refused(
            *(
                Finding(
                    "unknown-question",
                    f"{code[:60]} is not asked in the {best.code.lower()} schedule.",
                    "Correct or delete the column.",
                    row,
                    code[:60],
                )
                for code in foreign
            )
        )
    return best, key


def _require_made_for(meta: dict[str, str], part: Part, round_: Round, by) -> None:
    """Refuse a template that was made for another round, another schedule, or a cluster of others."""
    found = []
    if meta.get("round", str(round_.year)) != str(round_.year):
        made = meta["round"][:20]
        message = f"This file was made for round {made}; you are sending it for round {round_.year}."
        mend = f"Send it for round {made} if that is open, or fill in the template of round {round_.year}."
        found.append(Finding("file-round", message, mend))
    if meta.get("schedule", part.code).upper() != part.code:
        message = (
            f"This file was made for the {meta['schedule'][:20].lower()} schedule, but its columns are of another."
        )
        found.append(Finding("file-schedule", message, "Take the template again and leave its first row as it is."))
    cluster = meta.get("cluster")
    if cluster and not _is_own(cluster, round_, by):
        message = f"This file was made for the cluster {cluster[:40]}, which is not among yours."
        found.append(Finding("file-cluster", message, "Fill in the template of your own cluster."))
    if found:
        raise Refused(*found)


def _is_own(code: str, round_: Round, by) -> bool:
    if any(grant.role == policy.Role.ANALYST for grant in policy.grants_of(by)):
        return True  # the cell fills the schedules of every cluster and region
    return own_clusters(by, round_).filter(code=code).exists()


def totals_of(part: Part, rows: Iterable[Row], scale: int, totals: dict[str, list]) -> None:
    """Add up the amounts of rows by question: `totals[code] = [rows that answer, sum]`. The unreadable is left out."""
    codes = [
        code
        for code, question in part.questions.items()
        if question.kind in ("integer", "money") and question.unit != "year" and (question.core or question.takes_scale)
    ]
    for row in rows:
        raw = {code: row.raw[code] for code in codes if code in row.raw}
        for code, value in read_answers(part, raw, scale=scale, lookups=lookups()).answers.items():
            counted = totals.setdefault(code, [0, 0])
            counted[0] += 1
            counted[1] += value
