"""How answers read on a screen: figures grouped as the currency's country writes them, labels for codes, changes in
words. Pure; every page, file and message that shows an answer writes it with these.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from facts.instrument import Question, Schedule
from facts.validation import MARKERS, Problem
from facts.validation.checking import show_answer
from facts.validation.numbers import Refused, number

MARKER_WORDS = (("DK", "Don’t know"), ("REF", "Prefer not to say"))
SCALES = ((1, "single units"), (1_000, "thousands"), (100_000, "lakhs"), (1_000_000, "millions"))
SCALE_WORDS = {1: "", 1_000: "thousand", 100_000: "lakh", 1_000_000: "million"}
NUMBERS = ("integer", "decimal", "percent", "money")
INDIAN = frozenset({"INR", "PKR", "LKR", "BDT", "NPR"})  # currencies whose countries write 12,34,567
GROUP_FROM = 10_000
TIMES_FROM = 10  # a figure this many times last year's is told as a multiple: it is a wrong scale more often than not
NONE = "none"

# Instructions of the printed form that a screen carries out by itself, and what it says in their place.
ON_PAPER = {
    "If 3–6, only UJ03 follows. 7 and 8 can be set only by field staff, end the return and count as non-response.": "",
    "If 0, go to AB01.": "",
    "Upload required.": "Answer yes only if there is a written copy to show.",
    "Upload of a copy is optional; uploaded copies raise evidence.": "",
    "Minutes required.": "Give it only if there are minutes of the election.",
    "Prefilled; correct it if wrong.": "",
    "Prefilled from the frame.": "",
    "Prefilled; change only if the main product has changed.": "Change it only if the main product has changed.",
}

_FIGURE = re.compile(r"\b([A-Z]{2}[0-9]{2})( last round)? = (-?[0-9]+(?:\.[0-9]+)?)(?=[,)])")


def grouped(value: int | float | Decimal, currency: str = "") -> str:
    """Write a number with thousands grouped as the currency's country does; decimals as they are.

    >>> grouped(1234567, "PKR"), grouped(1234567, "KHR"), grouped(-1234567.5, "INR")
    ('12,34,567', '1,234,567', '−12,34,567.5')
    """
    text = f"{Decimal(str(value)):f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    sign, text = ("−", text[1:]) if text.startswith("-") else ("", text)
    whole, point, decimals = text.partition(".")
    if currency in INDIAN and len(whole) > 3:
        head, tail = whole[:-3], whole[-3:]
        pairs = [head[max(0, end - 2) : end] for end in range(len(head), 0, -2)]
        whole = ",".join([*reversed(pairs), tail])
    else:
        whole = f"{int(whole):,}"
    return f"{sign}{whole}{point}{decimals}"


def typed(question: Question, value: Any, scale: int, currency: str = "") -> str:
    """Write a stored answer as a person would type it again: money at the return's scale, several answers with ;"""
    if value is None:
        return ""
    if question.kind in NUMBERS:
        exact = Decimal(str(value))
        if question.takes_scale:
            exact /= scale
        if abs(exact) >= GROUP_FROM and question.unit != "year":
            return grouped(exact, currency).replace("−", "-")  # as it is typed
        text = f"{exact:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if question.kind == "multi":
        chosen = [str(option.code) for option in question.options if option.code in value]
        return ";".join(chosen) or NONE
    if isinstance(value, list):
        return "; ".join(map(str, value))
    return str(value)


def stored_text(question: Question, payload: Mapping, scale: int, currency: str = "") -> str:
    """What a field shows of a payload: the answer as it would be typed, or its marker; empty where there is neither."""
    marker = payload["markers"].get(question.code)
    return marker or typed(question, payload["answers"].get(question.code), scale, currency)


def plain(question: Question, text: str) -> str:
    """A typed text in the form in which two of them are compared: figures without their grouping."""
    text = " ".join(text.split())
    return text.replace(",", "").replace(" ", "") if question.kind in NUMBERS else text


def in_words(question: Question, text: str) -> str:
    """Say a typed text as a reader expects it: labels for options."""
    if not text:
        return "no answer"
    marker = dict(MARKER_WORDS).get(text)
    if marker:
        return marker
    if question.kind == "yesno":
        return {"1": "Yes", "0": "No"}.get(text, text)
    if question.kind in NUMBERS:
        return text.replace("-", "−")
    if question.kind == "date":
        return date_words(text)
    if question.option_set is not None:
        labels = {str(option.code): option.label for option in question.options}
        return "; ".join(labels.get(part, "None of these" if part == NONE else part) for part in text.split(";"))
    return text


def last_year(question: Question, value: Any, scale: int, currency: str = "") -> str:
    """Last round's accepted answer in words, at the scale of this return."""
    if value is None:
        return ""
    if question.kind in NUMBERS:
        return typed(question, value, scale, currency).replace("-", "−")
    if question.kind == "date":
        return date_words(str(value))
    return show_answer(question, value).capitalize() if question.kind == "yesno" else show_answer(question, value)


def date_words(text: str) -> str:
    """A stored day in words; what is none stays as it is.

    >>> date_words("2022-11-05"), date_words("2022")
    ('5 November 2022', '2022')
    """
    try:
        return f"{date.fromisoformat(text):%-d %B %Y}" if len(text) == 10 else text
    except ValueError:
        return text


def change_words(question: Question, value: Any, before: Any) -> str:
    """The change on last round: per cent of an amount, points of a percentage, a multiple where it is tenfold.

    Empty where a comparison would say nothing: a year, a start from zero, a change of sign. entry.js says the same.
    """
    if value is None or before is None or question.unit == "year":
        return ""
    if question.kind not in NUMBERS:
        return "same" if value == before else "changed"
    if value == before:
        return "same"
    if question.kind == "percent":
        return _signed(value - before, f"{abs(value - before):,.1f}".removesuffix(".0")) + " points"
    if not before or (value > 0) is not (before > 0) and value:
        return ""
    if value / before >= TIMES_FROM:
        return f"{value / before:,.0f} times"
    change = (value - before) / abs(before) * 100
    if abs(change) < 0.05:
        return "nearly the same"
    return _signed(change, f"{abs(change):,.0f}" if abs(change) >= 9.95 else f"{abs(change):.1f}") + " %"


def _signed(change: float, text: str) -> str:
    return ("−" if change < 0 else "+") + text


def unit_words(question: Question, scale: int, currency: str) -> str:
    """What stands inside a field's right edge: the return's currency and scale where money is asked."""
    if question.kind not in NUMBERS or question.unit in ("–", "year"):
        return ""
    if question.kind != "money":
        return question.unit
    unit = question.unit.replace("LCU", currency or "local currency")
    return f"{SCALE_WORDS[scale]} {unit}".strip() if question.takes_scale else unit


def screen_help(question: Question) -> str:
    """The help of a question without the instructions of the printed form."""
    return ON_PAPER.get(question.help, question.help)


def rescaled(question: Question, text: str, was: int, now: int) -> str:
    """Money that was typed at one scale, written at another; what cannot be read stays as it is."""
    if was == now or not question.takes_scale or text in MARKERS or not text:
        return text
    try:
        return f"{(number(text) * was / now).normalize():f}"
    except Refused:
        return text


def as_shown(problem: Problem, schedule: Schedule, scale: int, currency: str) -> Problem:
    """The same problem with the figures that it quotes grouped, money at the return's scale, as the fields show it."""

    def figure(found: re.Match) -> str:
        question = schedule.questions.get(found[1])
        if question is None or question.kind not in NUMBERS or question.unit == "year":
            return found[0]
        text = typed(question, Decimal(found[3]), scale, currency)
        words = f" {SCALE_WORDS[scale]}" if question.takes_scale and SCALE_WORDS[scale] else ""
        return f"{found[1]}{found[2] or ''} = {text}{words}"

    message = _FIGURE.sub(figure, problem.message)
    return problem if message == problem.message else replace(problem, message=message)
