"""The return form: questions of the instrument as fields, what was typed as raw values. No rule is restated here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django import forms

from facts.instrument import Question, Section, plain_text
from facts.models import Return, Round
from facts.services.drafts import Saved
from facts.services.findings import EXPLANATION_MIN
from facts.services.reading import Opened
from facts.validation import MARKERS, Problem
from facts.validation.checking import show_answer
from facts.validation.numbers import Refused, number
from facts.validation.reading import shown

MARKER_WORDS = (("DK", "Don’t know"), ("REF", "Prefer not to say"))
SCALES = ((1, "single units"), (1_000, "thousands"), (100_000, "lakhs"), (1_000_000, "millions"))
SCALE_WORDS = {1: "", 1_000: "thousand", 100_000: "lakh", 1_000_000: "million"}
NUMBERS = ("integer", "decimal", "percent", "money")
RADIO_MAX = 7  # more options than this stand in a list
GROUP_FROM = 10_000
NONE = "none"


def typed(question: Question, value: Any, scale: int) -> str:
    """Write a stored answer as a person would type it again: money at the return's scale, several answers with ;"""
    if value is None:
        return ""
    if question.kind in NUMBERS:
        exact = Decimal(str(value))
        if question.takes_scale:
            exact /= scale
        text = f"{exact:f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
        is_long = abs(exact) >= GROUP_FROM and question.unit != "year"
        return f"{Decimal(text):,f}" if is_long else text
    if question.kind == "multi":
        chosen = [str(option.code) for option in question.options if option.code in value]
        return ";".join(chosen) or NONE
    if isinstance(value, list):
        return "; ".join(map(str, value))
    return str(value)


def in_words(question: Question, text: str) -> str:
    """Say a typed text as a reader expects it: labels for options."""
    if not text:
        return "no answer"
    marker = dict(MARKER_WORDS).get(text)
    if marker:
        return marker
    if question.kind == "yesno":
        return {"1": "Yes", "0": "No"}.get(text, text)
    if question.option_set is not None:
        labels = {str(option.code): option.label for option in question.options}
        return "; ".join(labels.get(part, "None of these" if part == NONE else part) for part in text.split(";"))
    return text


def last_year(question: Question, value: Any, scale: int) -> str:
    """Last round's accepted answer in words, at the scale of this return."""
    if value is None:
        return ""
    if question.kind in NUMBERS:
        return typed(question, value, scale)
    return show_answer(question, value).capitalize() if question.kind == "yesno" else show_answer(question, value)


def change_words(question: Question, value: Any, before: Any) -> str:
    """The change on last round: in percent where it is an amount; empty where there is nothing to compare."""
    if value is None or before is None or question.unit == "year":
        return ""
    if question.kind not in NUMBERS:
        return "same" if value == before else "changed"
    if value == before:
        return "same"
    if not before:
        return ""
    change = (value - before) / abs(before) * 100
    text = f"{change:+,.0f}" if abs(change) >= 9.95 else f"{change:+.1f}"
    return text.replace("-", "−") + " %"


def unit_of(question: Question, ret: Return) -> str:
    """What stands inside the field's right edge: the return's currency and scale where money is asked."""
    if question.kind not in NUMBERS or question.unit in ("–", "year"):
        return ""
    if question.kind != "money":
        return question.unit
    unit = question.unit.replace("LCU", ret.currency or "local currency")
    return f"{SCALE_WORDS[ret.scale]} {unit}".strip() if question.takes_scale else unit


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
    previous: str = ""
    change: str = ""
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


@dataclass
class Typed:
    """What a person sent: raw values that differ from what the page showed, refusals, explanations."""

    raw: dict[str, str]
    was: dict[str, str]
    refused: list[Problem]
    explanations: dict[str, str]
    scale: int
    revision: int


class SectionForm:
    """One block of a return: its fields as they stand, or what was typed into them."""

    def __init__(self, opened: Opened, section: Section):
        self.opened, self.section, self.ret = opened, section, opened.ret
        asked = set(opened.findings.asked)
        self.questions = {question.code: question for question in section.questions}
        self.codes = [code for code in self.questions if code in asked]
        answers, markers = opened.payload["answers"], opened.payload["markers"]
        # An answer that the routing no longer asks for stays visible as long as it is stored.
        self.codes += [
            code
            for code in self.questions
            if code not in asked and (code in answers or markers.get(code, "NA") != "NA")
        ]
        self.codes.sort(key=list(self.questions).index)

    def stored(self, code: str) -> str:
        payload = self.opened.payload
        if code in payload["markers"]:
            return payload["markers"][code]
        return typed(self.questions[code], payload["answers"].get(code), self.ret.scale)

    def fields(self, *, saved: Saved | None = None, post: Mapping | None = None, mark_missing=False) -> list[Field]:
        """Build the fields. After a save with refusals, the refused texts stand in their inputs beside the error."""
        refused = {problem.question: problem for problem in saved.refused} if saved else {}
        fields = []
        for code in self.codes:
            made = self._field(self.questions[code])
            if code in refused:
                made.error = f"{refused[code].message} {refused[code].mend}".strip()
                if post is not None:
                    _put_back(made, post)
            else:
                self._judge(made, mark_missing)
            fields.append(made)
        return fields

    def _field(self, question: Question) -> Field:
        code, stored = question.code, self.stored(question.code)
        known = self._known(question) if question.prefilled and not stored else ""
        answers, prev = self.opened.payload["answers"], self.opened.context.prev
        options = [
            (str(option.code), option.label)
            for option in question.options
            if not option.staff_only or str(option.code) == stored
        ]
        made = Field(
            question,
            id=f"id_{code}",
            type="number" if question.kind in NUMBERS else "text",
            hint=question.help,
            unit=unit_of(question, self.ret),
            previous=last_year(question, prev.get(code), self.ret.scale),
            change=change_words(question, answers.get(code), prev.get(code)) if question.kind in NUMBERS else "",
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
            made.hint = f"{question.help} At most {question.max_length} characters.".strip()
        elif question.kind in ("code", "multicode"):
            made.width = "m"
            made.hint = self._code_hint(question, answers.get(code))
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
        known = self.opened.context.prev.get(question.code)
        if known is None:
            known = self.opened.register.get(question.code)
        return typed(question, known, self.ret.scale)

    def _code_hint(self, question: Question, value: Any) -> str:
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
        return " ".join(part for part in (question.help, shape, now) if part)

    def _judge(self, made: Field, mark_missing: bool) -> None:
        """Put beside a field what the checks say of it."""
        code, said = made.question.code, self.opened.payload.get("explanations", {})
        for problem in self.opened.findings.problems:
            if problem.question != code:
                continue
            if problem.is_hard:
                if mark_missing or not problem.rule.endswith("-required"):
                    made.error = f"{made.error} {problem.message} {problem.mend}".strip()
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
    def speaks(self) -> bool:
        """Whether a check has something to say in this block, answers that are merely missing apart."""
        points = self.opened.findings.hard + self.opened.findings.unexplained
        return any(problem.question in self.questions and not problem.rule.endswith("-required") for problem in points)

    def read(self, post) -> Typed:
        """Take from the request what the person changed; what the page showed and was left alone is not sent again."""
        shown_codes = [code for code in post.get("codes", "").split() if code in self.questions]
        raw, was, refused = {}, {}, []
        for code in shown_codes:
            question, before = self.questions[code], post.get(f"was:{code}", "")
            value, problem = _value(question, post, before, self.stored(code))
            if problem:
                refused.append(problem)
            elif value != before:
                raw[code], was[code] = value, before
        rules = {name.removeprefix("explain:") for name in post if name.startswith("explain:")}
        explanations = {
            rule: post.get(f"explain:{rule}", "").strip()
            for rule in sorted(rules)
            if rule.partition("-")[0] in self.questions
            and post.get(f"explain:{rule}", "").strip() != post.get(f"was:explain:{rule}", "").strip()
        }
        return Typed(raw, was, refused, explanations, _scale(post, self.ret.scale), _number(post.get("revision"), -1))


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 10 else default


def _scale(post, default: int) -> int:
    scale = _number(post.get("scale"), default)
    return scale if scale in SCALE_WORDS else default


def _value(question: Question, post, before: str, stored: str) -> tuple[str, Problem | None]:
    """The raw value of one question, or why there is none."""
    code = question.code
    if question.kind == "multi":
        chosen = [text.strip()[:80] for text in post.getlist(code) if text.strip()]
        text = ";".join(dict.fromkeys(chosen))
        if NONE in chosen and len(set(chosen)) > 1 and not question.option_set.has_none:
            return "", _refusal(question, "cannot stand beside “None of these”", "Choose one or the other.", text)
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
    offered = {str(option.code): option for option in question.options} | {
        plain_text(option.label): option for option in question.options
    }
    option = offered.get(text) or offered.get(plain_text(text))
    if option is not None and option.staff_only and text != stored:
        codes = ", ".join(str(one.code) for one in question.options if not one.staff_only)
        return "", _refusal(question, "is not one of the answers offered", f"Choose one of {codes}.", text)
    return marker or text, None


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


def rescaled(question: Question, text: str, was: int, now: int) -> str:
    """Money that was typed at one scale, written at another; what cannot be read stays as it is."""
    if was == now or not question.takes_scale or text in MARKERS or not text:
        return text
    try:
        return f"{(number(text) * was / now).normalize():f}"
    except Refused:
        return text


# --- Small forms ----------------------------------------------------------------------------


class ScaleForm(forms.Form):
    """In what unit money is typed."""

    scale = forms.TypedChoiceField(label="Money is typed in", choices=SCALES, coerce=int)


class CertifyForm(forms.Form):
    """Who certifies; the password once more when the sign-in is old."""

    revision = forms.IntegerField(widget=forms.HiddenInput)
    certified_name = forms.CharField(
        label="Your name and office",
        max_length=120,
        help_text="As it will stand on the receipt.",
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    statement = forms.BooleanField(
        label="I certify that these answers are complete and correct to the best of my knowledge, and agree to their "
        "use for statistics only."
    )
    password = forms.CharField(
        label="Your password",
        strip=False,
        help_text="You signed in more than 15 minutes ago; certifying asks for it again.",
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def __init__(self, *args, user, needs_password: bool, **kwargs):
        super().__init__(*args, **kwargs)
        self.user = user
        if not needs_password:
            del self.fields["password"]

    def clean_password(self):
        password = self.cleaned_data["password"]
        if not self.user.check_password(password):
            raise forms.ValidationError("This is not your password. Nothing was submitted.")
        return password


class SendBackForm(forms.Form):
    """What the respondent is to mend."""

    reason = forms.CharField(
        label="What is to be mended",
        min_length=EXPLANATION_MIN,
        max_length=2000,
        help_text=f"The respondent reads these words. At least {EXPLANATION_MIN} characters.",
        widget=forms.Textarea(attrs={"rows": 4}),
    )


class UploadForm(forms.Form):
    """A file of returns."""

    round = forms.ModelChoiceField(Round.objects.none(), label="Round", empty_label=None)
    scale = forms.TypedChoiceField(label="Money in the file is in", choices=SCALES, coerce=int, initial=1)
    file = forms.FileField(label="CSV or XLSX file", allow_empty_file=True)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["round"].queryset = Round.objects.open().select_related("instrument")
