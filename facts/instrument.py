"""The instrument: what FACTS asks, read from reviewed TOML files and checked while it is read.

Nothing here knows an answer. `load_instrument` refuses a folder whose routing, checks, options or
names do not hold together, so whoever holds an Instrument need not doubt it.
"""

import ast
import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from facts.expressions import CONTEXT_NAMES, Expression, ExpressionError, calls, parse

NUMBER_KINDS = frozenset({"integer", "decimal", "money", "percent"})
OPTION_KINDS = frozenset({"choice", "multi"})
CODE_KINDS = frozenset({"code", "multicode"})
KINDS = NUMBER_KINDS | OPTION_KINDS | CODE_KINDS | {"yesno", "text", "date"}
LISTINGS = frozenset({"isic4", "hs4", "iso3166_2"})


class InstrumentError(ValueError):
    """The files of an instrument contradict themselves; the message says where."""


@dataclass(frozen=True)
class Option:
    """One answer of a set. `code` is stored; staff-only options are not offered to respondents."""

    code: int | str
    label: str
    staff_only: bool = False


@dataclass(frozen=True)
class OptionSet:
    """Options by name. `by_text` finds what people write: the code, the label, or both together."""

    code: str
    options: tuple[Option, ...]

    @cached_property
    def by_code(self) -> Mapping[int | str, Option]:
        return {option.code: option for option in self.options}

    @cached_property
    def by_text(self) -> Mapping[str, int | str]:
        """Labels and codes in plain form (`plain_text`) to the code stored."""
        found: dict[str, int | str] = {}
        for option in self.options:
            both = [f"{option.code}{between}{option.label}" for between in (" ", " – ", " - ", " · ", ": ")]
            for text in (str(option.code), option.label, *both):
                if found.setdefault(plain_text(text), option.code) != option.code:
                    raise InstrumentError(f"{self.code}: {text!r} names two options.")
        return found

    @property
    def has_none(self) -> bool:
        """Whether "none" is an option; where it is not, an empty list says so."""
        return "none" in self.by_code


def plain_text(text: str) -> str:
    """A text as it is compared: one space between words, no capitals."""
    return " ".join(text.casefold().split())


@dataclass(frozen=True)
class Check:
    """A rule of one question. Hard: must not be false. Soft: warns when true."""

    code: str
    kind: str
    expression: Expression
    message: str
    mend: str


@dataclass(frozen=True)
class Question:
    """One field of a schedule, with its words, its routing and its checks."""

    code: str
    label: str
    short: str
    section: str
    facts: str
    type: str
    unit: str
    ref: str
    required: bool
    why: str
    seen_by: str
    core: bool
    prefilled: bool
    used_in: tuple[str, ...]
    help: str = ""
    ask: Expression | None = None
    asked_of: str = ""
    option_set: OptionSet | None = None
    checks: tuple[Check, ...] = ()
    takes_marker: bool = True
    shown_at_unit_level: bool = True
    max_length: int | None = None
    max_entries: int | None = None

    @cached_property
    def kind(self) -> str:
        """The type without its classification: `code` for `code:isic4`."""
        return self.type.partition(":")[0]

    @cached_property
    def listing(self) -> str:
        """The classification of a code field: isic4, hs4 or iso3166_2; else empty."""
        return self.type.partition(":")[2]

    @property
    def options(self) -> tuple[Option, ...]:
        return self.option_set.options if self.option_set else ()

    @property
    def hard(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.kind == "hard")

    @property
    def soft(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.kind == "soft")

    @cached_property
    def takes_scale(self) -> bool:
        """Whether the scale of the return (thousand, lakh, million) applies.

        A price per kWh or a wage per month is money too, but nobody writes it in lakh: rates are
        always entered at scale 1.
        """
        return self.kind == "money" and "/" not in self.unit

    @cached_property
    def existence_is_checked(self) -> bool:
        """Whether one of the hard checks looks the code up, so that reading need not."""
        return any(any(calls(check.expression.tree, "exists_in")) for check in self.hard)


@dataclass(frozen=True)
class Section:
    """A block of questions under one heading."""

    code: str
    title: str
    facts: str
    why: str
    seen_by: str
    questions: tuple[Question, ...]


@dataclass(frozen=True)
class Schedule:
    """One of the four forms: UNIT, CLUSTER, ASSOCIATION, REGION."""

    code: str
    prefix: str
    title: str
    respondent: str
    sections: tuple[Section, ...]

    @cached_property
    def questions(self) -> Mapping[str, Question]:
        """All questions by code, in the order in which they are asked."""
        return {question.code: question for section in self.sections for question in section.questions}

    @cached_property
    def checks(self) -> Mapping[str, Check]:
        return {check.code: check for question in self.questions.values() for check in question.checks}

    @cached_property
    def core(self) -> tuple[str, ...]:
        """Codes of the core questions, which completeness counts."""
        return tuple(code for code, question in self.questions.items() if question.core)


@dataclass(frozen=True)
class Instrument:
    """A version of FACTS. Equal `digest` means equal content, however the files are laid out."""

    name: str
    version: str
    title: str
    source: str
    promise: str
    schedules: Mapping[str, Schedule]
    option_sets: Mapping[str, OptionSet] = field(repr=False)
    digest: str

    def schedule(self, code: str) -> Schedule:
        """The schedule of this code; KeyError names the codes there are."""
        if code not in self.schedules:
            raise KeyError(f"No schedule {code!r}; there are {', '.join(self.schedules)}.")
        return self.schedules[code]


def load_instrument(folder: Path | str) -> Instrument:
    """Read `instrument.toml`, `options.toml` and one file for each schedule, or raise InstrumentError."""
    folder = Path(folder)
    head = _read(folder / "instrument.toml")
    options = _read(folder / "options.toml")
    bodies = [_read(folder / f"{code.lower()}.toml") for code in head["schedules"]]
    content = json.dumps([head, options, bodies], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    try:
        option_sets = {entry["code"]: _option_set(entry) for entry in options["set"]}
        routes = {entry["ask"]: entry["sentence"] for entry in head["route"]}
        instrument = Instrument(
            name=head["name"],
            version=head["version"],
            title=head["title"],
            source=head["source"],
            promise=head["promise"].strip(),
            schedules={body["code"]: _schedule(body, option_sets, routes) for body in bodies},
            option_sets=option_sets,
            digest=hashlib.sha256(content.encode()).hexdigest(),
        )
    except KeyError as missing:
        raise InstrumentError(f"{folder.name}: {missing} is missing or unknown.") from None
    problems = list(_contradictions(instrument))
    if problems:
        raise InstrumentError("\n".join(problems))
    return instrument


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InstrumentError(f"{path.name}: {error}") from None


def _option_set(entry: dict[str, Any]) -> OptionSet:
    # A set made of digits is stored as numbers, so that checks may compare and count with it.
    digits = all(option["code"].isdecimal() for option in entry["options"])
    options = tuple(
        Option(
            code=int(option["code"]) if digits else option["code"],
            label=option["label"],
            staff_only=option.get("staff_only", False),
        )
        for option in entry["options"]
    )
    return OptionSet(code=entry["code"], options=options)


def _schedule(body: dict[str, Any], option_sets: Mapping[str, OptionSet], routes: Mapping[str, str]) -> Schedule:
    sections = tuple(
        Section(
            code=entry["code"],
            title=entry["title"],
            facts=entry["facts"],
            why=entry["why"],
            seen_by=entry["seen_by"],
            questions=tuple(_question(one, entry, option_sets, routes) for one in entry["question"]),
        )
        for entry in body["section"]
    )
    return Schedule(
        code=body["code"],
        prefix=body["prefix"],
        title=body["title"],
        respondent=body["respondent"],
        sections=sections,
    )


def _question(
    entry: dict[str, Any],
    section: dict[str, Any],
    option_sets: Mapping[str, OptionSet],
    routes: Mapping[str, str],
) -> Question:
    """A question; what it does not say about `why` and `seen_by` its section says."""
    entry = dict(entry)
    code = entry["code"]
    ask = entry.pop("ask", "")
    options = entry.pop("options", None)
    checks = tuple(
        Check(
            code=check["code"],
            kind=check["kind"],
            expression=_parsed(check["expression"], check["code"]),
            message=check["message"],
            mend=check["mend"],
        )
        for check in entry.pop("check", [])
    )
    try:
        return Question(
            section=section["code"],
            why=entry.pop("why", section["why"]),
            seen_by=entry.pop("seen_by", section["seen_by"]),
            used_in=tuple(entry.pop("used_in")),
            ask=_parsed(ask, code) if ask else None,
            asked_of=routes[ask] if ask else "",
            option_set=option_sets[options] if options else None,
            checks=checks,
            takes_marker=entry.pop("marker", True),
            **entry,
        )
    except TypeError as error:
        raise InstrumentError(f"{code}: {error}") from None


def _parsed(text: str, where: str) -> Expression:
    try:
        return parse(text)
    except ExpressionError as error:
        raise InstrumentError(f"{where}: {error}") from None


def _contradictions(instrument: Instrument) -> Iterator[str]:
    """One sentence for each thing that does not hold together."""
    everywhere = [
        question
        for schedule in instrument.schedules.values()
        for section in schedule.sections
        for question in section.questions
    ]
    codes = [question.code for question in everywhere]
    for code in sorted({code for code in codes if codes.count(code) > 1}):
        yield f"{code}: the code is used twice."
    known = set(codes) | set(CONTEXT_NAMES)
    for schedule in instrument.schedules.values():
        earlier: set[str] = set()
        for question in schedule.questions.values():
            yield from _question_contradictions(question, schedule, earlier, known)
            earlier.add(question.code)


def _question_contradictions(
    question: Question, schedule: Schedule, earlier: set[str], known: set[str]
) -> Iterator[str]:
    code = question.code
    if not code.startswith(question.section) or not code.startswith(schedule.prefix):
        yield f"{code}: does not belong under {schedule.code} {question.section}."
    if question.kind not in KINDS or (question.kind in CODE_KINDS) != (question.listing in LISTINGS):
        yield f"{code}: unknown type {question.type!r}."
    if (question.kind in OPTION_KINDS) != (question.option_set is not None):
        yield f"{code}: options and type {question.type!r} do not fit."
    if question.option_set:
        _ = question.option_set.by_text  # raises where two options are written alike
    if question.ask and not question.ask.names <= earlier:
        # Routing is followed from top to bottom: an answer below may not decide a question above.
        yield f"{code}: routing reads {sorted(question.ask.names - earlier)}, asked later or not at all."
    for letter, checks in (("H", question.hard), ("S", question.soft)):
        expected = [f"{code}-{letter}{number}" for number in range(1, len(checks) + 1)]
        if [check.code for check in checks] != expected:
            yield f"{code}: check codes must be {expected}."
    if len(question.hard) + len(question.soft) != len(question.checks):
        yield f"{code}: a check is either hard or soft."
    for check in question.checks:
        unknown = (check.expression.names - known) | (check.expression.prev_names - set(schedule.questions))
        if unknown:
            yield f"{check.code}: reads {sorted(unknown)}, which nothing answers."
        yield from _unknown_options(check, schedule)


def _unknown_options(check: Check, schedule: Schedule) -> Iterator[str]:
    for call in calls(check.expression.tree, "has"):
        subject, option = call.args
        name = next((node.id for node in ast.walk(subject) if isinstance(node, ast.Name) and node.id != "prev"), "")
        asked = schedule.questions.get(name)
        known = {one.code for one in asked.options} if asked else set()
        if not isinstance(option, ast.Constant) or option.value not in known:
            yield f"{check.code}: {name} has no option {ast.unparse(option)}."
