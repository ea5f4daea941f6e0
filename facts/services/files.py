"""A file of returns, from bytes to drafts; the same for the command, the upload page and tests."""

from facts.models import Return, Round
from facts.readers import FileProblem, Table, read_table
from facts.validation import Problem

from .imports import KEYS, Outcome, Row, RowProblem, save_drafts
from .instruments import definition

EXPLAIN = "explain:"


def import_file(content: bytes, name: str, *, round_: Round, by, dry_run=False, scale=1, keep_failing=False) -> Outcome:
    """Make drafts from a CSV or XLSX file: all of them or none.

    The header names the respondent's column (unit, cluster, association or region) and question codes;
    `explain:UB01-S1` columns carry explanations of soft checks. The schedule follows from the codes.
    """
    try:
        table = read_table(content, name)
        schedule_code, key = _schedule_of(table, name, round_)
    except FileProblem as problem:
        return Outcome(refused=[RowProblem(name, "", Problem("", "file", "hard", str(problem), ""))])
    rows = []
    for number, cells in table.rows:
        if not any(text for title, text in cells.items() if title != key):
            continue  # a line of the template that nobody filled in
        explanations = {
            title.removeprefix(EXPLAIN): text for title, text in cells.items() if title.startswith(EXPLAIN) and text
        }
        raw = {title: text for title, text in cells.items() if title != key and not title.startswith(EXPLAIN)}
        rows.append(Row(cells.get(key, ""), {c: t for c, t in raw.items() if t != ""}, f"row {number}", explanations))
    return save_drafts(
        round_=round_,
        schedule_code=schedule_code,
        rows=rows,
        by=by,
        channel=Return.Channel.FILE,
        scale=scale,
        dry_run=dry_run,
        keep_failing=keep_failing,
    )


def _schedule_of(table: Table, name: str, round_: Round) -> tuple[str, str]:
    schedules = definition(round_.instrument.version).schedules
    codes = [title for title in table.header if title not in KEYS.values() and not title.startswith(EXPLAIN)]
    best = max(schedules.values(), key=lambda part: sum(code in part.questions for code in codes))
    if not any(code in best.questions for code in codes):
        raise FileProblem(
            f"{name}: no column is a question of the instrument. The first row must hold codes such as UB01."
        )
    key = KEYS[best.code]
    if key not in table.header:
        raise FileProblem(f"{name}: the column “{key}” is missing. It says whose return each row is.")
    foreign = [code for code in codes if code not in best.questions]
    if foreign:
        raise FileProblem(
            f"{name}, row 1: {', '.join(foreign[:5])} {'is' if len(foreign) == 1 else 'are'} not asked in the "
            f"{best.code.lower()} schedule. Correct or delete the column."
        )
    return best.code, key
