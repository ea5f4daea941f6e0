"""What the fields of a form are called: written by the export, understood again by the reader."""

import re

from facts.instrument import Question, Schedule

KEYS = {"UNIT": "unit", "CLUSTER": "cluster", "ASSOCIATION": "association", "REGION": "region"}
SCALE = "money_scale"
FORM = "facts_form"
SYNTHETIC = "facts_synthetic"
EXPLAIN = "explain:"  # as columns of a file of returns are called
SCALES = {1: "single units", 1_000: "thousands", 100_000: "lakh", 1_000_000: "millions"}
MARKER_LABELS = {"DK": "Not known", "REF": "Will not say"}

_EXPLANATION = re.compile(r"([A-Z]{2}[0-9]{2})_S([0-9]{1,2})")
_REASON = re.compile(r"([A-Z]{2}[0-9]{2})_no")


def form_id(schedule_code: str, year: int, scope: str = "") -> str:
    """The id of a form on its server: it names schedule and round, and the cluster where it is made for one.

    >>> form_id("UNIT", 2026), form_id("UNIT", 2026, "PK-SUR-SKT")
    ('facts_unit_2026', 'facts_unit_2026_pk_sur_skt')
    """
    parts = ["facts", schedule_code.lower(), str(year), re.sub(r"[^a-z0-9]+", "_", scope.lower()).strip("_")]
    return "_".join(part for part in parts if part)


def stamp(schedule_code: str, year: int) -> str:
    """What every submission says of itself, so that it cannot be brought into another round or schedule."""
    return f"{schedule_code}/{year}"


def reason_name(code: str) -> str:
    """The field that says why a question has no answer."""
    return f"{code}_no"


def explanation_name(rule: str) -> str:
    return rule.replace("-", "_")


def question_of_reason(name: str) -> str:
    found = _REASON.fullmatch(name)
    return found[1] if found else ""


def rule_of_explanation(name: str) -> str:
    found = _EXPLANATION.fullmatch(name)
    return f"{found[1]}-S{found[2]}" if found else ""


def question_label(question: Question) -> str:
    return f"{question.code} {question.label}"


def reason_label(question: Question) -> str:
    return f"{question.code}: no answer because"


def warning_label(rule: str, message: str) -> str:
    return f"{rule} Please check: {message}"


def choice_label(code: str, title: str) -> str:
    """An entry of a classification as a list shows it, and as a file may give it back."""
    return f"{code} · {title}"


def has_scale(schedule: Schedule) -> bool:
    return any(question.takes_scale for question in schedule.questions.values())
