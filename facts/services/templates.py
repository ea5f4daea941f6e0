"""Files to fill in: one row a respondent, one column a question, for the page and the command alike."""

import csv
import io

import xlsxwriter

from clusters.models import Cluster, ClusterRole
from core.base import DomainError
from facts.instrument import Question
from facts.instrument import Schedule as Part
from facts.models import FrameEntry, Return, Round

from .imports import KEYS
from .instruments import schedule

ENDINGS = {
    ".csv": "text/csv; charset=utf-8",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
LIST_MAX = 255  # characters that a drop-down's list may have
ROWS_AHEAD = 2000  # rows below the header that get drop-downs


def template_file(schedule_code: str, *, round_: Round, cluster: Cluster, ending: str) -> bytes:
    """Write the template of a schedule for a cluster: codes, a remark with the questions, one row a respondent.

    In an open round, respondents who handed in already, or have a draft with answers, stand as remarks: the file can
    be sent as it is, and overwrites nobody's work unless somebody takes the mark away.
    """
    if ending not in ENDINGS:
        raise DomainError(f"A template is written as .xlsx or .csv, not {ending or 'without an ending'!r}.")
    if schedule_code not in KEYS:
        raise DomainError(f"There is no schedule {schedule_code.lower()!r}; there are {', '.join(KEYS).lower()}.")
    part = schedule(round_.instrument.version, schedule_code)
    rows = [_with_state(subject, ret) for subject, ret in _subjects(schedule_code, round_, cluster)]
    write = _xlsx if ending == ".xlsx" else _csv
    return write(part, KEYS[schedule_code], rows)


def _subjects(schedule_code: str, round_: Round, cluster: Cluster) -> list[tuple[str, Return | None]]:
    """Who answers the schedule in a cluster, with the return there is already; none is told of a closed round."""
    if schedule_code == "UNIT":
        frame = FrameEntry.objects.filter(round=round_, cluster=cluster, in_scope=True).order_by("unit__frame_id")
        subjects = list(frame.values_list("unit__frame_id", flat=True))
    elif schedule_code == "ASSOCIATION":
        roles = ClusterRole.objects.filter(cluster=cluster, role="association").order_by("organisation__slug")
        subjects = [f"{cluster.code}/{slug}" for slug in roles.values_list("organisation__slug", flat=True)]
    elif schedule_code == "REGION":
        subjects = [cluster.region_id] if cluster.region_id else []
    else:
        subjects = [cluster.code]
    if round_.state != Round.State.OPEN:
        return [(subject, None) for subject in subjects]
    of_cluster = {"region": cluster.region_id} if schedule_code == "REGION" else {"cluster": cluster}
    there = Return.objects.filter(round=round_, schedule=schedule_code, **of_cluster)
    found = {ret.subject: ret for ret in there}
    return [(subject, found.get(subject)) for subject in subjects]


def _with_state(subject: str, ret: Return | None) -> list[str]:
    if ret is None or (ret.is_editable and not ret.answered):
        return [subject]
    if ret.is_editable:
        return [f"# {subject}", "has answers already; to replace them all, delete the mark # and this remark"]
    return [f"# {subject}", "was handed in already"]


def _remarks(part: Part, key: str) -> list[str]:
    return [f"# {key}", *(_label(question) for question in part.questions.values())]


def _label(question: Question) -> str:
    unit = f" ({question.unit})" if question.unit not in ("–", "year", "date") else ""
    return f"{question.label}{unit}"


def _options(question: Question) -> str:
    if question.kind == "yesno":
        return "yes; no"
    offered = [f"{option.code} = {option.label}" for option in question.options if not option.staff_only]
    if question.kind == "multi" and not question.option_set.has_none:
        offered.append("none = none of these")
    return "; ".join(offered)


def _guarded(text: str) -> str:
    """A cell that a spreadsheet program cannot take for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") else text


def _csv(part: Part, key: str, rows: list[list[str]]) -> bytes:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    for row in ([key, *part.questions], _remarks(part, key), *rows):
        writer.writerow([_guarded(cell) for cell in row])
    return b"\xef\xbb\xbf" + stream.getvalue().encode()


def _xlsx(part: Part, key: str, rows: list[list[str]]) -> bytes:
    stream = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(stream, options) as book:
        head = book.add_format({"bold": True, "bottom": 2})
        words = book.add_format({"text_wrap": True, "valign": "top", "italic": True, "font_color": "#4b5661"})
        plain, text = book.add_format(), book.add_format({"num_format": "@"})
        sheet = book.add_worksheet(part.code.lower())
        sheet.set_column(0, 0, 30, text)
        sheet.write_row(0, 0, [key, *part.questions], head)
        sheet.write_row(1, 0, _remarks(part, key), words)
        sheet.set_row(1, 90)
        sheet.freeze_panes(2, 1)
        for number, row in enumerate(rows, start=2):
            sheet.write_row(number, 0, row)
        for column, question in enumerate(part.questions.values(), start=1):
            # Codes and dates are text, so that leading zeros and the order of year, month, day stay.
            kept = question.kind in ("code", "multicode", "date", "text", "multi", "choice")
            sheet.set_column(column, column, 18, text if kept else plain)
            listed = _drop_down(question)
            if listed:
                sheet.data_validation(
                    2,
                    column,
                    max(ROWS_AHEAD, len(rows) + 2),
                    column,
                    {
                        "validate": "list",
                        "source": listed,
                        "input_title": question.code,
                        "input_message": _options(question)[:250],
                        "error_title": question.code,
                        "error_message": "Choose one of the codes listed, or DK, or REF."[:255],
                        "error_type": "warning",
                    },
                )
        _code_sheet(book, part, head, words)
    return stream.getvalue()


def _drop_down(question: Question) -> list[str]:
    codes = [str(option.code) for option in question.options if not option.staff_only]
    if question.kind == "yesno":
        codes = ["yes", "no"]
    elif question.kind != "choice":
        return []
    listed = [*codes, "DK", "REF"] if question.takes_marker else codes
    return listed if len(",".join(listed)) <= LIST_MAX else []


def _code_sheet(book, part: Part, head, words) -> None:
    """A second sheet that says what each column asks and which codes it takes."""
    sheet = book.add_worksheet("what is asked")
    sheet.write_row(0, 0, ["Code", "Question", "Unit", "Needed", "Asked of", "Help", "Codes"], head)
    for width, columns in ((10, (0, 2, 3)), (50, (1, 5, 6)), (30, (4,))):
        for column in columns:
            sheet.set_column(column, column, width, words)
    for number, question in enumerate(part.questions.values(), start=1):
        needed = "yes" if question.required else "no"
        cells = [question.code, question.label, question.unit, needed, question.asked_of, question.help]
        sheet.write_row(number, 0, [*cells, _options(question)])
    sheet.freeze_panes(1, 1)
