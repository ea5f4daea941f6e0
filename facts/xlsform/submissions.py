"""Submissions of our forms, as their servers export them, read back into answers as they were typed.

Columns are found by the names of the form, with or without groups (`UB-UB01`, `UB/UB01`, `UB01`), or by its labels.
Answers with several codes come in one cell or as one column an option. A reason for a blank becomes the marker,
money becomes scale 1. Nothing is judged here: what cannot be understood is handed on as it stands, for the one
validator to say so.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from facts.instrument import CODE_KINDS, NUMBER_KINDS, Question, Schedule, plain_text
from facts.validation.numbers import Refused, number
from facts.xlsform import names
from facts.xlsform.records import RecordProblem, Records, read_records

REJECTED = frozenset({"rejected", "validation_status_not_approved", "not approved"})
REVIEW = frozenset({"ReviewState", "reviewState", "_validation_status", "uid"})
INSTANCE = ("instanceID", "KEY", "__id", "_uuid")  # the best first
SERVER_COLUMNS = frozenset({"instanceID", "KEY", "__id", "_uuid", "_submission_time", "SubmissionDate", names.FORM})
TICKED = frozenset({"1", "true", "yes"})

_GROUP = re.compile(r"^(?:about|meta|__system|[A-Z]{2})-(?=.)")
_SCIENTIFIC = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]{1,2}")
_CODES_IN_LABELS = re.compile(r"(\S+) · ")


@dataclass(frozen=True)
class Submission:
    """One filled form. `instance` is its id on the server; `raw` and `explanations` as a row of a file has them."""

    place: str
    instance: str
    subject: str
    raw: Mapping[str, str]
    explanations: Mapping[str, str]
    stamp: str = ""
    is_synthetic: bool = False
    is_rejected: bool = False


@dataclass(frozen=True)
class Table:
    """Submissions as a file of returns: respondent, question codes, explanations; all cells as text."""

    header: list[str]
    rows: list[tuple[int, dict[str, str]]]


def looks_like_submissions(header: Iterable[str]) -> bool:
    """Whether a table was exported by a server of forms and was not made from our template."""
    found = {_last(title) for title in header}
    return len(found & SERVER_COLUMNS) >= 2 or names.FORM in found


def schedule_of(records: Records, schedules: Mapping[str, Schedule]) -> Schedule:
    """The schedule that an export answers: as its forms say, else by the codes of its columns."""
    for _, row in records.rows:
        for title, text in row.items():
            if _last(title) == names.FORM and text:
                code = text.partition("/")[0]
                if code in schedules:
                    return schedules[code]
    titles = {_last(title) for _, row in records.rows[:1] for title in (records.fields or row)}
    best = max(schedules.values(), key=lambda one: len(titles & one.questions.keys()))
    if not titles & best.questions.keys():
        raise RecordProblem(
            "No column is a question of FACTS. Export with “XML values and headers”, and only forms made here."
        )
    return best


def read_submissions(content: bytes, name: str, schedule: Schedule) -> Table:
    """Read an export of one schedule into the table that a file of returns gives. Raises RecordProblem."""
    found = [one for one in submissions_of(read_records(content, name), schedule) if not one.is_rejected]
    rules = sorted({rule for one in found for rule in one.explanations})
    header = [names.KEYS[schedule.code], *schedule.questions, *(f"{names.EXPLAIN}{rule}" for rule in rules)]
    rows = []
    for row, one in enumerate(found, start=2):
        cells = {names.KEYS[schedule.code]: one.subject, **dict.fromkeys(schedule.questions, ""), **one.raw}
        cells |= {f"{names.EXPLAIN}{rule}": one.explanations.get(rule, "") for rule in rules}
        rows.append((row, cells))
    return Table(header, rows)


def submissions_of(records: Records, schedule: Schedule) -> list[Submission]:
    """Understand every record; blanks of questions that the export carries are blanks of the answer."""
    columns = _Columns(schedule)
    return [columns.submission(place, row, records.fields) for place, row in records.rows]


class _Columns:
    """What each column of an export is, found once a title."""

    def __init__(self, schedule: Schedule):
        self.schedule = schedule
        self.key = names.KEYS[schedule.code]
        self.fields = {self.key, names.SCALE, names.FORM, names.SYNTHETIC, *schedule.questions}
        self.labels: dict[str, str] = {}
        for code, question in schedule.questions.items():
            self.fields.add(names.reason_name(code))
            self.labels[names.question_label(question)] = code
            self.labels[names.reason_label(question)] = names.reason_name(code)
            for check in question.soft:
                self.fields.add(names.explanation_name(check.code))
                self.labels[names.warning_label(check.code, check.message)] = names.explanation_name(check.code)
        self.known: dict[str, tuple[str, str]] = {}

    def submission(self, place: str, row: Mapping[str, str], carried: Sequence[str] | None) -> Submission:
        cells: dict[str, str] = {}
        ticked: dict[str, list[str]] = {}
        instances: dict[str, str] = {}
        rejected = False
        for title, text in row.items():
            text = text.strip()
            name, option = self.meaning(title)
            if name and option:
                if text.casefold() in TICKED:
                    ticked.setdefault(name, []).append(option)
            elif name:
                cells[name] = cells.get(name) or text
            elif (last := _last(title)) in INSTANCE:
                instances[last] = text.removeprefix("uuid:")
            elif last in REVIEW and text.casefold() in REJECTED:
                rejected = True
        scale = self.scale(cells.get(names.SCALE, ""), place)
        asked = self.schedule.questions if carried is None else self.carried(carried)
        raw = dict.fromkeys(asked, "")
        for code, question in self.schedule.questions.items():
            answer = self.answer(question, cells.get(code, ""), ticked.get(code, []), scale)
            if answer or code in raw:
                raw[code] = answer or self.marker(cells.get(names.reason_name(code), ""))
        explanations = {names.rule_of_explanation(name): text for name, text in cells.items() if text}
        explanations.pop("", None)
        instance = next((instances[name] for name in INSTANCE if instances.get(name)), "")
        subject = cells.get(self.key, "").partition(" · ")[0]
        return Submission(
            place=f"{place} (submission {instance[:8]})" if instance else place,
            instance=instance[:80],
            subject=subject,
            raw=raw,
            explanations=explanations,
            stamp=cells.get(names.FORM, ""),
            is_synthetic=bool(cells.get(names.SYNTHETIC)),
            is_rejected=rejected,
        )

    def carried(self, titles: Sequence[str]) -> list[str]:
        """The questions that a table has a column for."""
        found = {self.meaning(title)[0] for title in titles}
        return [code for code in self.schedule.questions if code in found]

    def meaning(self, title: str) -> tuple[str, str]:
        """The field of a column, and the option where the column is one option of it; empty for others' columns."""
        if title not in self.known:
            self.known[title] = self.by_name(title) or self.by_label(title) or ("", "")
        return self.known[title]

    def by_name(self, title: str) -> tuple[str, str] | None:
        parts = title.strip().split("/")
        for place, part in enumerate(parts):
            name = part if part in self.fields else _GROUP.sub("", part)
            if name in self.fields:
                rest = "/".join(parts[place + 1 :])
                return name, self.option(name, rest) if rest else ""
        return None

    def by_label(self, title: str) -> tuple[str, str] | None:
        title = title.strip()
        for label, name in self.labels.items():
            if title == label or title.endswith(f"/{label}"):
                return name, ""
            before, found, rest = title.partition(f"{label}/")
            if found and rest and (not before or before.endswith("/")):
                return name, self.option(name, rest)
        return None

    def option(self, name: str, text: str) -> str:
        """The code of an option column, which is named by code or by label."""
        question = self.schedule.questions.get(name)
        if question is None or question.option_set is None:
            return text.partition(" · ")[0]
        found = question.option_set.by_text.get(plain_text(text))
        return (
            "none"
            if found is None and plain_text(text) == "none of these"
            else str(found if found is not None else text)
        )

    def scale(self, text: str, place: str) -> int:
        """In what money was written; a scale that no form offers is refused, or every amount would be wrong."""
        for scale, words in names.SCALES.items():
            if text in (str(scale), words):
                return scale
        if text:
            raise RecordProblem(f"{place}: {text[:40]} is none of the units that the form offers for money.")
        return 1

    def marker(self, text: str) -> str:
        if text in names.MARKER_LABELS:
            return text
        return next((marker for marker, words in names.MARKER_LABELS.items() if words == text), "")

    def answer(self, question: Question, text: str, ticked: list[str], scale: int) -> str:
        if question.kind == "multi":
            return ";".join(self.several(question, text) or ticked) if text or ticked else ""
        if question.kind == "multicode":
            codes = _CODES_IN_LABELS.findall(text) or text.split() or ticked
            return ";".join(codes)
        if question.kind in CODE_KINDS:
            return text.partition(" · ")[0]
        if question.kind in NUMBER_KINDS and text:
            return _number(text, scale if question.takes_scale else 1)
        return text

    def several(self, question: Question, text: str) -> list[str]:
        """Codes, or labels one after another, with spaces between; what is neither stays one piece."""
        assert question.option_set is not None
        codes = {str(code) for code in question.option_set.by_code} | {"none"}
        parts = text.split()
        if all(part in codes for part in parts):
            return parts
        labels = {option.label: str(option.code) for option in question.options} | {"None of these": "none"}
        found, rest = [], text
        while rest:
            label = max((one for one in labels if rest == one or rest.startswith(f"{one} ")), key=len, default="")
            if not label:
                return [text]
            found.append(labels[label])
            rest = rest[len(label) :].strip()
        return found


def _last(title: str) -> str:
    return _GROUP.sub("", title.strip().rpartition("/")[2])


def _number(text: str, scale: int) -> str:
    """Digits as people write them: phones write large amounts as 1.2E7; money comes at scale 1."""
    if scale == 1 and not _SCIENTIFIC.fullmatch(text):
        return text
    try:
        value = Decimal(text) if _SCIENTIFIC.fullmatch(text) else number(text)
    except Refused:
        return text  # the validator refuses it in the same words as everywhere
    plain = format(value * scale, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain
