"""A schedule as an XLSForm: the same questions, words, routing and checks as on the page, for a phone without a line.

One group a block, each on one screen. Required questions let nobody pass, but a switch at the end of the screen opens
a "no answer because" (DK, REF) under each question that is blank. A hard check is a constraint on the last question
that it reads, where it can be judged for the first time. A soft check is a question of its own, shown only while the
check speaks, that takes the explanation. What only the observatory can compare is listed in `Form.placements`.

Classifications are choices inside the form, to be searched by typing: some 2,000 entries at most, and one file to
load, where a list beside the form is the second file that people forget.
"""

import hashlib
import io
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import xlsxwriter

from facts.instrument import CODE_KINDS, Check, Instrument, Question, Schedule, Section
from facts.xlsform import names
from facts.xlsform.expressions import Condition, Untranslatable, condition

LANGUAGE = "English (en)"
SUBJECTS = {
    "UNIT": ("Code of the unit in the list of units", "As on the list you were given, such as PK-SUR-SKT-00017."),
    "CLUSTER": ("Code of the cluster", "Country, product and place, such as PK-SUR-SKT."),
    "ASSOCIATION": ("Cluster and association", "As on the list you were given: code of the cluster, a stroke, a name."),
    "REGION": ("Code of the region", "ISO 3166-2, such as PK-PB."),
}
SHAPES = {
    "UNIT": "^[A-Za-z0-9][A-Za-z0-9-]{2,29}$",
    "CLUSTER": "^[A-Z]{2}-[A-Z0-9-]{1,17}$",
    "ASSOCIATION": "^[A-Z]{2}-[A-Z0-9-]{1,17}/[A-Za-z0-9_-]{1,80}$",
    "REGION": "^[A-Z]{2}-[A-Z0-9]{1,3}$",
}
CODE_SHAPES = {"isic4": "^[0-9]{4}$", "hs4": "^[0-9]{4}$", "iso3166_2": "^[A-Z]{2}-[A-Z0-9]{1,3}$"}
CODE_LISTS_SHAPE = {"isic4": "^[0-9]{4}( [0-9]{4})*$", "hs4": "^[0-9]{4}( [0-9]{4})*$"}
LONG_LIST = 8  # more options than this are shown folded
MIN_EXPLANATION = 10
BOOK_DATE = datetime(2000, 1, 1, tzinfo=UTC)  # equal forms are equal bytes

SURVEY: tuple[str, ...] = (
    *("type", "name", "label", "hint", "guidance_hint", "required", "required_message", "relevant", "constraint"),
    *("constraint_message", "appearance", "calculation", "default"),
)
SPOKEN = frozenset({"label", "hint", "guidance_hint", "required_message", "constraint_message"})


@dataclass(frozen=True)
class Placement:
    """Where a check is judged: constraint, warning (explained), list (nothing else is offered) or server."""

    check: Check
    where: str
    on: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Form:
    """An XLSForm as rows. `placements` says of every check of the schedule where it is judged."""

    id: str
    version: str
    title: str
    survey: list[dict[str, str]]
    choices: list[dict[str, str]]
    settings: dict[str, str]
    placements: list[Placement]


def build(
    instrument: Instrument,
    schedule: Schedule,
    *,
    year: int,
    listings: Mapping[str, Mapping[str, str]] | None = None,
    subjects: Sequence[str] = (),
    scope: str = "",
    scope_name: str = "",
    is_synthetic: bool = False,
) -> Form:
    """Make the form of a schedule for a round.

    listings : titles by code for isic4, hs4 and iso3166_2; a classification without entries is typed in instead.
    subjects : who may be chosen as respondent (`scope`, `scope_name`: of which cluster); empty: the code is typed.
    """
    writer = _Writer(schedule, year, listings or {}, subjects)
    survey = [*writer.opening(instrument.promise, is_synthetic), *writer.blocks(), *writer.closing()]
    choices = list(writer.choices())
    title = f"FACTS {year}: {schedule.title}" + (f", {scope_name}" if scope_name else "")
    if is_synthetic:
        title += " (demonstration)"
    content = json.dumps([title, survey, choices], sort_keys=True, ensure_ascii=False).encode()
    version = f"{instrument.version}-{year}-{hashlib.sha256(content).hexdigest()[:6]}"
    identifier = names.form_id(schedule.code, year, scope)
    settings = {
        "form_title": title,
        "form_id": identifier,
        "version": version,
        "default_language": LANGUAGE,
        "instance_name": f"concat('{year} ', ${{{names.KEYS[schedule.code]}}})",
        "style": "pages",
    }
    return Form(identifier, version, title, survey, choices, settings, writer.placements)


class _Writer:
    """The rows of one form."""

    def __init__(
        self, schedule: Schedule, year: int, listings: Mapping[str, Mapping[str, str]], subjects: Sequence[str]
    ):
        self.schedule, self.year, self.listings, self.subjects = schedule, year, listings, subjects
        self.key = names.KEYS[schedule.code]
        self.scaled = names.has_scale(schedule)
        self.listed = frozenset(code for code, one in schedule.questions.items() if listings.get(one.listing))
        self.placements: list[Placement] = []
        self.constraints: dict[str, list[tuple[str, Check]]] = {}
        self.warnings: dict[str, list[tuple[str, Check]]] = {}
        for check in schedule.checks.values():
            self.placements.append(self._placed(check))

    # --- checks ------------------------------------------------------------------------------

    def _placed(self, check: Check) -> Placement:
        """Put a check where it is judged first: on the last question that it reads."""
        read = [code for code in self.schedule.questions if code in check.expression.names]
        if not read:
            return Placement(check, "server", reason="compares with last round")
        last = read[-1]
        try:
            if check.kind == "soft":
                found = self.condition(check.expression)
                self.warnings.setdefault(last, []).append((found.when_true, check))
                return Placement(check, "warning", last)
            found = self.condition(check.expression, own=last)
        except Untranslatable as reason:
            return Placement(check, "server", reason=str(reason))
        if found.text == "true()":
            return Placement(check, "list", last)
        self.constraints.setdefault(last, []).append((found.unless_false, check))
        return Placement(check, "constraint", last)

    def condition(self, expression, own: str = "") -> Condition:
        return condition(
            expression, self.schedule, ref_year=self.year - 1, scaled=self.scaled, own=own, listed=self.listed
        )

    # --- rows --------------------------------------------------------------------------------

    def opening(self, promise: str, is_synthetic: bool) -> Iterator[dict[str, str]]:
        """Times, the promise, who answers, the scale. No telephone number and no device: the firm was promised so."""
        yield {"type": "start", "name": "start"}
        yield {"type": "end", "name": "end"}
        yield {
            "type": "calculate",
            "name": names.FORM,
            "calculation": f"'{names.stamp(self.schedule.code, self.year)}'",
        }
        if is_synthetic:
            yield {"type": "calculate", "name": names.SYNTHETIC, "calculation": "'yes'"}
        yield {"type": "begin group", "name": "about", "label": "Before you begin", "appearance": "field-list"}
        yield {"type": "note", "name": "promise", "label": f"Our promise. {promise}"}
        if is_synthetic:
            yield {"type": "note", "name": "invented", "label": "Demonstration: enter invented figures only."}
        label, hint = SUBJECTS[self.schedule.code]
        subject = {"name": self.key, "label": label, "required": "yes"}
        if self.subjects:
            yield subject | {"type": "select_one subject", "appearance": "minimal autocomplete"}
        elif self.key == "region" and self.listings.get("iso3166_2"):
            yield subject | {"type": "select_one iso3166_2", "appearance": "minimal autocomplete"}
        else:
            yield subject | {
                "type": "text",
                "hint": hint,
                "constraint": f"regex(., '{SHAPES[self.schedule.code]}')",
                "constraint_message": "This is not the form of such a code. Copy it from your list, with its hyphens.",
            }
        if self.scaled:
            yield {
                "type": f"select_one {names.SCALE}",
                "name": names.SCALE,
                "label": "In what unit will you write money?",
                "hint": "Once for the whole form; every amount says it again. Prices and wages are always in full.",
                "required": "yes",
                "default": "1",
            }
            words = f"jr:choice-name(${{{names.SCALE}}}, '${{{names.SCALE}}}')"
            yield {"type": "calculate", "name": "money_words", "calculation": words}
        yield {"type": "end group"}

    def blocks(self) -> Iterator[dict[str, str]]:
        for section in self.schedule.sections:
            yield {
                "type": "begin group",
                "name": section.code,
                "label": section.title,
                "appearance": "field-list",
                "relevant": self.block_relevant(section),
            }
            yield {
                "type": "note",
                "name": f"{section.code}_why",
                "label": f"{section.why} Who sees it: {section.seen_by}",
            }
            for question in section.questions:
                yield from self.question(section, question)
            if any(question.takes_marker for question in section.questions):
                yield {
                    "type": "select_one yes_no",
                    "name": blank_name(section),
                    "label": "Does anything on this screen stay without an answer?",
                    "hint": "Yes opens a field under each blank question, where you say why.",
                    "default": "0",
                }
            yield {"type": "end group"}

    def block_relevant(self, section: Section) -> str:
        """A block is shown where one of its questions is asked.

        A rule that reads the block itself is left out, or a phone would see a circle; the question it reads opens the
        block anyway.
        """
        if any(question.ask is None for question in section.questions):
            return ""
        own = {question.code for question in section.questions}
        rules = [question.ask for question in section.questions if question.ask and not question.ask.names & own]
        asks = dict.fromkeys(self.condition(rule).when_true for rule in rules)
        return next(iter(asks)) if len(asks) == 1 else " or ".join(f"({ask})" for ask in asks)

    def question(self, section: Section, question: Question) -> Iterator[dict[str, str]]:
        code = question.code
        relevant = self.condition(question.ask).when_true if question.ask else ""
        row = self.typed(question) | {
            "name": code,
            "label": names.question_label(question),
            "hint": " ".join(self.hints(question)),
            "guidance_hint": f"Why: {question.why}",
            "relevant": relevant,
        }
        if question.required and not question.takes_marker:
            row |= {"required": "yes", "required_message": f"An answer is needed in {code}."}
        elif question.required:
            row["required"] = f"${{{blank_name(section)}}} != '1'"
            row["required_message"] = (
                f"An answer is needed in {code}. If there is none, choose Yes at the end of this screen and say why."
            )
        yield row | self.constraint(question)
        if question.takes_marker:
            opened = f"${{{blank_name(section)}}} = '1' and ${{{code}}} = ''"
            yield {
                "type": "select_one no_answer",
                "name": names.reason_name(code),
                "label": names.reason_label(question),
                "relevant": f"{relevant} and {opened}" if relevant else opened,
                "required": "yes" if question.required else "",
                "required_message": f"Say why {code} has no answer, or answer it." if question.required else "",
                "appearance": "minimal",
            }
        for speaks, check in self.warnings.get(code, []):
            yield {
                "type": "text",
                "name": names.explanation_name(check.code),
                "label": names.warning_label(check.code, check.message),
                "hint": f"{check.mend} If the figures are right, explain here.",
                "relevant": speaks,
                "required": "yes",
                "required_message": "Correct the figures, or explain them.",
                "constraint": f"string-length(.) >= {MIN_EXPLANATION}",
                "constraint_message": f"Explain in at least {MIN_EXPLANATION} characters.",
            }

    def typed(self, question: Question) -> dict[str, str]:
        """The type of a question, and how a phone shows it."""
        kind, code = question.kind, question.code
        if kind in CODE_KINDS and code in self.listed:
            select = "select_multiple" if kind == "multicode" else "select_one"
            return {"type": f"{select} {question.listing}", "appearance": "minimal autocomplete"}
        if question.option_set is not None:
            select = "select_multiple" if kind == "multi" else "select_one"
            folded = {"appearance": "minimal"} if len(question.options) > LONG_LIST and kind == "choice" else {}
            return {"type": f"{select} {question.option_set.code}"} | folded
        if kind == "yesno":
            return {"type": "select_one yes_no"}
        if kind in ("integer", "decimal", "money", "percent"):
            grouped = {"appearance": "thousands-sep"} if kind == "money" or question.unit in ("persons", "kWh") else {}
            return {"type": "integer" if kind == "integer" else "decimal"} | grouped
        return {"type": "date" if kind == "date" else "text"}

    def hints(self, question: Question) -> Iterator[str]:
        if question.takes_scale:
            currency = "US dollars" if question.unit == "USD" else "local currency"
            yield f"{currency[0].upper()}{currency[1:]}, in ${{money_words}}."
        elif question.unit not in ("–", "year", "date") and question.option_set is None:
            yield f"{question.unit.replace('LCU', 'local currency')}."
        if question.kind in CODE_KINDS and question.code in self.listed:
            yield "Type a part of the code or of the name to search."
        elif question.kind == "multicode":
            yield "Codes, with a space between them."
        if question.help:
            yield question.help

    def constraint(self, question: Question) -> dict[str, str]:
        """All constraints of a question in one, as forms have it; several messages are numbered."""
        rules = [*self.limits(question)]
        rules += [(text, f"{check.message} {check.mend}") for text, check in self.constraints.get(question.code, [])]
        if not rules:
            return {}
        if len(rules) == 1:
            return {"constraint": rules[0][0], "constraint_message": rules[0][1]}
        messages = " ".join(f"({number}) {message}" for number, (_, message) in enumerate(rules, start=1))
        return {
            "constraint": " and ".join(f"({text})" for text, _ in rules),
            "constraint_message": f"One of these does not hold. {messages}",
        }

    def limits(self, question: Question) -> Iterator[tuple[str, str]]:
        """What reading refuses before any check: lengths, shapes, "none" beside something."""
        if question.max_length:
            yield f"string-length(.) <= {question.max_length}", f"Shorten to {question.max_length} characters."
        if question.kind == "multi" and question.option_set is not None and not question.option_set.has_none:
            yield "not(selected(., 'none') and count-selected(.) > 1)", '"None of these" cannot stand beside another.'
        if question.kind in CODE_KINDS and question.code not in self.listed:
            shapes = CODE_LISTS_SHAPE if question.kind == "multicode" else CODE_SHAPES
            yield f"regex(., '{shapes[question.listing]}')", f"Write {question.unit}, as in the list of codes."
        elif question.max_entries:
            yield f"count-selected(.) <= {question.max_entries}", f"Choose at most {question.max_entries}."

    def closing(self) -> Iterator[dict[str, str]]:
        waiting = [placed.check.code for placed in self.placements if placed.where == "server"]
        words = "Thank you. The observatory reads the form once more when it arrives"
        if waiting:
            words += f", and compares with last year and with other sources ({', '.join(waiting)})"
        yield {
            "type": "note",
            "name": "thanks",
            "label": f"{words}. Nothing is handed in before it is certified there.",
        }

    # --- choices -----------------------------------------------------------------------------

    def choices(self) -> Iterator[dict[str, str]]:
        """Every list that the survey names, once."""
        for code in self.subjects:
            yield _choice("subject", code, code)
        if self.scaled:
            for scale, words in names.SCALES.items():
                yield _choice(names.SCALE, str(scale), words)
        yield from (_choice("yes_no", code, words) for code, words in (("1", "Yes"), ("0", "No")))
        yield from (_choice("no_answer", code, words) for code, words in names.MARKER_LABELS.items())
        questions = self.schedule.questions.values()
        for option_set in {one.option_set.code: one.option_set for one in questions if one.option_set}.values():
            for option in option_set.options:
                yield _choice(option_set.code, str(option.code), option.label)
            if not option_set.has_none and any(
                one.kind == "multi" for one in questions if one.option_set == option_set
            ):
                yield _choice(option_set.code, "none", "None of these")
        wanted: Collection[str] = {self.schedule.questions[code].listing for code in self.listed}
        if self.key == "region" and not self.subjects and self.listings.get("iso3166_2"):
            wanted = {*wanted, "iso3166_2"}
        for listing in sorted(wanted):
            for code, title in sorted(self.listings[listing].items()):
                yield _choice(listing, code, names.choice_label(code, title))


def blank_name(section: Section) -> str:
    """The switch of a block that opens the reasons for blanks."""
    return f"{section.code}_blank"


def _choice(listing: str, name: str, label: str) -> dict[str, str]:
    return {"list_name": listing, "name": name, "label": label}


def workbook(form: Form) -> bytes:
    """The form as an XLSX file. Equal forms give equal bytes; a last sheet says where each check is judged."""
    stream = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(stream, options) as book:
        book.set_properties({"title": form.title, "created": BOOK_DATE.replace(tzinfo=None)})
        head = book.add_format({"bold": True, "bottom": 2})
        _sheet(book, "survey", SURVEY, form.survey, head)
        _sheet(book, "choices", ("list_name", "name", "label"), form.choices, head)
        _sheet(book, "settings", tuple(form.settings), [form.settings], head)
        notes = [
            {
                "check": placed.check.code,
                "judged": {
                    "constraint": f"in the form, on {placed.on}",
                    "warning": f"in the form, with an explanation after {placed.on}",
                    "list": f"in the form, by the list of {placed.on}",
                    "server": f"in the observatory: it {placed.reason}",
                }[placed.where],
                "message": placed.check.message,
            }
            for placed in form.placements
        ]
        _sheet(book, "_where_checked", ("check", "judged", "message"), notes, head)
    return stream.getvalue()


def _sheet(book, title: str, columns: Sequence[str], rows: Sequence[Mapping[str, str]], head) -> None:
    sheet = book.add_worksheet(title)
    spoken = SPOKEN if title in ("survey", "choices") else frozenset()
    sheet.write_row(0, 0, [f"{name}::{LANGUAGE}" if name in spoken else name for name in columns], head)
    sheet.freeze_panes(1, 0)
    for number, row in enumerate(rows, start=1):
        for place, name in enumerate(columns):
            if row.get(name):
                sheet.write_string(number, place, row[name])
    for place, name in enumerate(columns):
        sheet.set_column(place, place, 46 if name in SPOKEN or name == "message" else 20)
