"""One block of a return as a form: questions of the instrument as fields, what was typed as raw values.

No rule is restated here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from facts.instrument import Question, Section, plain_text
from facts.models import Return
from facts.services.findings import EXPLANATION_MIN
from facts.services.reading import Opened
from facts.validation import MARKERS, Problem
from facts.validation.reading import shown
from facts.wording import (
    MARKER_WORDS,
    NONE,
    NUMBERS,
    SCALE_WORDS,
    change_words,
    in_words,
    last_year,
    screen_help,
    stored_text,
    typed,
    unit_words,
)

RADIO_MAX = 7  # more options than this stand in a list


def unit_of(question: Question, ret: Return) -> str:
    """What stands inside the field's right edge of a return's question."""
    return unit_words(question, ret.scale, ret.currency)


@dataclass
class Field:
    """One question as `components/field.html` shows it, with what its checks say."""

    question: Question
    id: str
    type: str
    value: str = ""
    values: list[str] = field(default_factory=list)
    options: list[tuple[str, str]] = field(default_factory=list)
    hint: str = ""
    unit: str = ""
    width: str = "s"
    error: str = ""
    previous: str = ""  # last year's answer in words
    before: str = ""  # the same as it would be typed; entry.js compares with it
    change: str = ""
    confirmed: bool = False
    asked: bool = True
    markers: tuple = ()
    marker: str = ""
    was: str = ""
    flags: list[dict] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.question.code

    @property
    def words(self) -> str:
        """The stored answer as it reads; empty where there is none."""
        return in_words(self.question, self.was) if self.was else ""

    @property
    def follows(self) -> str:
        """The questions whose answers decide whether this one is asked."""
        return " ".join(sorted(self.question.ask.names)) if self.question.ask else ""

    @property
    def state(self) -> dict:
        """What the page needs to bring this field up to date after a save, without a reload."""
        return {
            "text": self.was,
            "words": self.words,
            "change": self.change,
            "error": self.error,
            "flags": self.flags,
            "confirmed": self.confirmed,
            "hint": self.hint,
        }


@dataclass
class Typed:
    """What a person sent: raw values that differ from what the page showed, refusals, explanations.

    `was` holds, by question and by rule, what the page showed before.
    """

    raw: dict[str, str]
    was: dict[str, str]
    refused: list[Problem]
    explanations: dict[str, str]
    confirmed: list[str]
    scale: int


class SectionForm:
    """One block of a return: its fields as they stand, or what was typed into them."""

    def __init__(self, opened: Opened, section: Section):
        self.opened, self.section, self.ret = opened, section, opened.ret
        asked = set(opened.findings.asked)
        self.questions = {question.code: question for question in section.questions}
        answers, markers = opened.payload["answers"], opened.payload["markers"]
        # An answer that the routing no longer asks for stays visible as long as it is stored.
        self.codes = [
            code for code in self.questions if code in asked or code in answers or markers.get(code, "NA") != "NA"
        ]

    def stored(self, code: str) -> str:
        return stored_text(self.questions[code], self.opened.payload, self.ret.scale, self.ret.currency)

    def fields(
        self,
        *,
        refused: list[Problem] | None = None,
        post: Mapping | None = None,
        mark_missing: bool = False,
        with_hidden: bool = False,
    ) -> list[Field]:
        """Build the fields. After a save with refusals, the refused texts stand in their inputs beside the error.

        with_hidden : also those that are not asked now, marked so; a page with scripts shows them when they are.
        """
        refusals = {problem.question: problem for problem in refused or []}
        fields = []
        for code in self.questions if with_hidden else self.codes:
            made = self._field(self.questions[code])
            made.asked = code in self.codes
            if code in refusals:
                made.error = f"{refusals[code].message} {refusals[code].mend}".strip()
                if post is not None:
                    _put_back(made, post)
            else:
                self._judge(made, mark_missing)
            fields.append(made)
        return fields

    def _field(self, question: Question) -> Field:
        code, stored = question.code, self.stored(question.code)
        known = self._known(question) if question.prefilled and not stored else ""
        answers, prev = self.opened.payload["answers"], self.opened.context.shown_prev
        options = [
            (str(option.code), option.label)
            for option in question.options
            if not option.staff_only or str(option.code) == stored
        ]
        made = Field(
            question,
            id=f"id_{code}",
            type="number" if question.kind in NUMBERS else "text",
            hint=screen_help(question),
            unit=unit_of(question, self.ret),
            previous=last_year(question, prev.get(code), self.ret.scale, self.ret.currency),
            before=typed(question, prev.get(code), self.ret.scale, self.ret.currency),
            change=change_words(question, answers.get(code), prev.get(code)) if question.kind in NUMBERS else "",
            confirmed=code in self.opened.payload.get("confirmed", []),
            was=stored,
        )
        if question.kind == "money":
            made.width = "m"
        if question.kind == "yesno" or (question.kind == "choice" and len(options) <= RADIO_MAX):
            made.type = "radio"
            made.options = options or [("1", "Yes"), ("0", "No")]
        elif question.kind == "choice":
            made.type, made.options, made.width = "select", options, "l"
        elif question.kind == "multi":
            made.type = "checkboxes"
            made.options = options if question.option_set.has_none else [*options, (NONE, "None of these")]
        elif question.kind == "date":
            made.type = "date"
        elif question.kind == "text":
            made.width = "l"
            made.hint = f"{made.hint} At most {question.max_length} characters.".strip()
        elif question.kind in ("code", "multicode"):
            made.width = "m"
            made.hint = self._code_hint(question, answers.get(code), made.hint)
        if known:
            made.hint = f"{made.hint} Filled in from what is known; correct it, or save to confirm it.".strip()
        if made.type in ("radio", "select"):
            made.options += [*MARKER_WORDS] if question.takes_marker else []
            if not question.required:
                made.options.append(("", "No answer")) if made.type == "radio" else None
            made.value = stored or known
        elif stored in MARKERS:
            made.markers, made.marker = MARKER_WORDS, stored
        else:
            made.markers = MARKER_WORDS if question.takes_marker else ()
            made.value = (stored or known) if made.type != "checkboxes" else ""
            made.values = stored.split(";") if made.type == "checkboxes" and stored else []
        return made

    def _known(self, question: Question) -> str:
        """A register item as last round or the register has it; stored only once the person saves it."""
        known = self.opened.context.shown_prev.get(question.code)
        if known is None:
            known = self.opened.register.get(question.code)
        return typed(question, known, self.ret.scale, self.ret.currency)

    def _code_hint(self, question: Question, value: Any, help_text: str) -> str:
        titles = self.opened.context.lookups.titles(question.listing) or {}
        several = value if isinstance(value, list) else [value] if value else []
        known = [
            f"{one} {titles[one][0] if isinstance(titles[one], tuple) else titles[one]}"
            for one in several
            if one in titles
        ]
        shape = {"isic4": "Four digits of ISIC Rev.4", "hs4": "Four digits of the HS"}.get(
            question.listing, "ISO 3166-2 code, such as PK-PB"
        )
        shape += ", parted by semicolons." if question.kind == "multicode" else "."
        now = f"Now: {'; '.join(known)}." if known else ""
        return " ".join(part for part in (help_text, shape, now) if part)

    def _judge(self, made: Field, mark_missing: bool) -> None:
        """Put beside a field what the checks say of it."""
        code, said = made.question.code, self.opened.payload.get("explanations", {})
        for problem in self.opened.findings.problems:
            if problem.question != code:
                continue
            if problem.is_hard:
                if mark_missing or not problem.rule.endswith("-required"):
                    made.error = f"{made.error}\n{problem.message} {problem.mend}".strip()
            else:
                text = said.get(problem.rule, "")
                is_short = bool(text.strip()) and len(text.strip()) < EXPLANATION_MIN
                made.flags.append(
                    {
                        "rule": problem.rule,
                        "message": f"{problem.message} {problem.mend}",
                        "explanation": text,
                        "error": f"Write at least {EXPLANATION_MIN} characters." if is_short else "",
                    }
                )

    @property
    def speaking(self) -> list[Problem]:
        """What the checks have to say in this block, answers that are merely missing apart; hard ones first."""
        points = self.opened.findings.hard + self.opened.findings.unexplained
        return [one for one in points if one.question in self.questions and not one.rule.endswith("-required")]

    def read(self, post) -> Typed:
        """Take from the request what the person changed; what the page showed and was left alone is not sent again."""
        shown_codes = [code for code in post.get("codes", "").split() if code in self.questions]
        scale = _scale(post, self.ret.scale)
        raw, was, refused, confirmed = {}, {}, [], []
        for code in shown_codes:
            question, before = self.questions[code], post.get(f"was:{code}", "")
            if post.get("same") == code and code in self.opened.context.shown_prev:
                raw[code] = typed(question, self.opened.context.shown_prev[code], scale)
                was[code] = before
                confirmed.append(code)
                continue
            value, problem = _value(question, post, before, self.stored(code))
            if problem:
                refused.append(problem)
            elif value != before:
                raw[code], was[code] = value, before
        explanations = {}
        for name in sorted(name for name in post if name.startswith("explain:")):
            rule, text = name.removeprefix("explain:"), post.get(name, "").strip()
            before = post.get(f"was:{name}", "").strip()
            if rule.partition("-")[0] in self.questions and text != before:
                explanations[rule], was[rule] = text, before
        return Typed(raw, was, refused, explanations, confirmed, scale)


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 10 else default


def _scale(post, default: int) -> int:
    scale = _number(post.get("scale"), default)
    return scale if scale in SCALE_WORDS else default


def _value(question: Question, post, before: str, stored: str) -> tuple[str, Problem | None]:
    """The raw value of one question, or why there is none."""
    code = question.code
    if question.kind == "multi":
        chosen = [text.strip()[:400] for text in post.getlist(code) if text.strip()]
        text = ";".join(dict.fromkeys(chosen))
    else:
        text = post.get(code, "").strip()
    marker = post.get(f"marker:{code}", "")
    marker = marker if marker in MARKERS else ""
    if marker and text:
        if marker == before:
            marker = ""  # typed over an earlier “don't know”
        elif text == before:
            text = ""  # the answer is taken back
        else:
            return "", _refusal(
                question, "is an answer, and a reason for none stands beside it", "Keep one of the two.", text
            )
    problem = refused_option(question, text, stored)
    return ("", problem) if problem else (marker or text, None)


def refused_option(question: Question, text: str, stored: str) -> Problem | None:
    """Why an option cannot be chosen here: answers of field staff, and “none” beside others."""
    if question.kind == "multi" and question.option_set is not None and not question.option_set.has_none:
        chosen = {part.strip() for part in text.split(";") if part.strip()}
        if NONE in chosen and len(chosen) > 1:
            return _refusal(question, "cannot stand beside “None of these”", "Choose one or the other.", text)
    offered = {str(option.code): option for option in question.options} | {
        plain_text(option.label): option for option in question.options
    }
    option = offered.get(text) or offered.get(plain_text(text))
    if option is not None and option.staff_only and text != stored:
        codes = ", ".join(str(one.code) for one in question.options if not one.staff_only)
        return _refusal(question, "is not one of the answers offered", f"Choose one of {codes}.", text)
    return None


def drop_refused(questions: Mapping[str, Question], raw: dict[str, str], was: Mapping[str, str]) -> list[Problem]:
    """Take out of `raw` the options that cannot be chosen here, and say why."""
    refused = []
    for code in [code for code in raw if questions[code].option_set is not None]:
        if problem := refused_option(questions[code], raw[code], was.get(code, "")):
            refused.append(problem)
            del raw[code]
    return refused


def _refusal(question: Question, reason: str, mend: str, text: str) -> Problem:
    message = f"{question.code}, {question.short}: “{shown(text)}” {reason}."
    return Problem(question.code, f"{question.code}-type", "hard", message, mend, shown(text))


def _put_back(made: Field, post) -> None:
    """What was typed stays in the input, however wrong."""
    code = made.question.code
    if made.type == "checkboxes":
        made.values = post.getlist(code)
    else:
        made.value = post.get(code, "")
    made.marker = post.get(f"marker:{code}", "")
    if made.type == "date":
        made.type = "text"  # a date input would show nothing
