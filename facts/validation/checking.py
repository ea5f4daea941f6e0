"""Routing, required, hard and soft checks over answers that have been read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from facts.expressions import MISSING
from facts.instrument import Check, Question, Schedule
from facts.validation.problems import Context, Problem
from facts.validation.reading import Reading, read_answers

MIN_EXPLANATION = 10  # characters of an explanation to a soft problem


@dataclass(frozen=True)
class Examined:
    """What one look at a return finds: its problems, the codes the routing asks, the share of core answered."""

    problems: list[Problem]
    asked: list[str]
    core_share: float | None


def examine(schedule: Schedule, answers: Mapping[str, Any], markers: Mapping[str, str], context: Context) -> Examined:
    """Check a return, and say what it is asked and how much of the core it answers, following the routing once."""
    context = _of_others(schedule, context)
    codes, seen = _routed(schedule, answers, context)
    problems = _problems(schedule, answers, markers, context, codes, seen)
    return Examined(problems, codes, _core_share(schedule, codes, seen, markers))


def check(
    schedule: Schedule, answers: Mapping[str, Any], markers: Mapping[str, str], context: Context
) -> list[Problem]:
    """Every problem of a return, in the order of the questions.

    A hard check without value passes, a soft check without value is silent.
    """
    context = _of_others(schedule, context)
    return _problems(schedule, answers, markers, context, *_routed(schedule, answers, context))


def _problems(
    schedule: Schedule,
    answers: Mapping[str, Any],
    markers: Mapping[str, str],
    context: Context,
    codes: list[str],
    seen: Mapping[str, Any],
) -> list[Problem]:
    asked_codes = set(codes)
    problems: list[Problem] = []
    for code, question in schedule.questions.items():
        if code not in asked_codes:
            if (code in answers or markers.get(code, "NA") != "NA") and not _routing_is_open(
                question, asked_codes, seen, markers
            ):
                problems.append(_not_asked(schedule, question, answers, markers))
            continue
        if code not in seen and (problem := _without_answer(question, markers.get(code))) is not None:
            problems.append(problem)
        for rule in question.checks:
            value = rule.expression.value(seen, context)
            if value is not MISSING and bool(value) is (rule.kind == "soft"):
                problems.append(_failed(schedule, question, rule, seen, context))
    return problems


def asked(schedule: Schedule, answers: Mapping[str, Any], context: Context) -> list[str]:
    """The codes the routing asks, in order; a routing rule without value hides its question."""
    return _routed(schedule, answers, _of_others(schedule, context))[0]


def answered_core_share(
    schedule: Schedule, answers: Mapping[str, Any], markers: Mapping[str, str], context: Context
) -> float | None:
    """The share of asked core questions that have a value, in [0, 1]; None where no core question is asked.

    Markers are no values: a question marked DK or REF counts as asked and not as answered.
    """
    return _core_share(schedule, *_routed(schedule, answers, _of_others(schedule, context)), markers)


def _core_share(
    schedule: Schedule, codes: Iterable[str], seen: Mapping[str, Any], markers: Mapping[str, str]
) -> float | None:
    core = [code for code in codes if schedule.questions[code].core]
    answered = sum(code in seen and code not in markers for code in core)
    return answered / len(core) if core else None


def unexplained(problems: Iterable[Problem], explanations: Mapping[str, str]) -> list[Problem]:
    """The soft problems that still lack an explanation of at least ten characters."""
    return [
        problem
        for problem in problems
        if not problem.is_hard and len(explanations.get(problem.rule, "").strip()) < MIN_EXPLANATION
    ]


def validate(schedule: Schedule, raw: Mapping[str, Any], *, scale: int = 1, context: Context) -> Reading:
    """Read and check in one call: the whole door.

    A question whose value could not be read is not also called unanswered.
    """
    reading = read_answers(schedule, raw, scale=scale, lookups=context.lookups)
    unreadable = {f"{problem.question}-required" for problem in reading.problems}
    found = check(schedule, reading.answers, reading.markers, context)
    problems = reading.problems + [problem for problem in found if problem.rule not in unreadable]
    order = {code: place for place, code in enumerate(schedule.questions)}
    problems.sort(key=lambda problem: order.get(problem.question, len(order)))
    return Reading(reading.answers, reading.markers, problems)


def _of_others(schedule: Schedule, context: Context) -> Context:
    """The context without codes of this schedule, which would otherwise stand in for blank answers."""
    if schedule.questions.keys().isdisjoint(context.values):
        return context
    values = {name: value for name, value in context.values.items() if name not in schedule.questions}
    return replace(context, values=values)


def _routed(schedule: Schedule, answers: Mapping[str, Any], context: Context) -> tuple[list[str], dict[str, Any]]:
    """The codes asked, and the answers to them: what the routing skips no check sees."""
    codes: list[str] = []
    seen: dict[str, Any] = {}
    # Many questions share a rule; it reads only questions above its first use, so it is settled once.
    settled: dict[str, bool] = {}
    for code, question in schedule.questions.items():
        if question.ask is not None:
            text = question.ask.text
            if text not in settled:
                settled[text] = bool(question.ask.value(seen, context))
            if not settled[text]:
                continue
        codes.append(code)
        value = answers.get(code)
        if value is not None:
            seen[code] = value
    return codes, seen


def _routing_is_open(
    question: Question, asked_codes: set[str], seen: Mapping[str, Any], markers: Mapping[str, str]
) -> bool:
    """Whether a question that decides the routing is itself still to be answered."""
    names = question.ask.names if question.ask else frozenset()
    return any(name in asked_codes and name not in seen and name not in markers for name in names)


def _without_answer(question: Question, marker: str | None) -> Problem | None:
    """The problem of a question that is asked and has no value, if it is one."""
    place = f"{question.code}, {question.short}"
    if marker is None:
        if not question.required:
            return None
        give = f"Give an answer in {question.code}"
        mend = f"{give}, or write DK if it is not known, REF if it is not to be told."
        return Problem(
            question=question.code,
            rule=f"{question.code}-required",
            severity="hard",
            message=f"{place}: an answer is needed.",
            mend=mend if question.takes_marker else f"{give}.",
        )
    if marker in ("DK", "REF") and question.takes_marker:
        return None
    if marker == "NA":
        reason = "NA is for questions that are not asked, and this one is."
    else:
        reason = f"{marker} cannot stand for an answer here."
    mend = f"Give an answer in {question.code}" + (", or leave it blank." if not question.required else ".")
    return Problem(question.code, f"{question.code}-marker", "hard", f"{place}: {reason}", mend, marker)


def _not_asked(
    schedule: Schedule, question: Question, answers: Mapping[str, Any], markers: Mapping[str, str]
) -> Problem:
    names = sorted(question.ask.names) if question.ask else []
    value = show_answer(question, answers[question.code]) if question.code in answers else markers[question.code]
    return Problem(
        question=question.code,
        rule=f"{question.code}-route",
        severity="soft",
        message=f"{question.code}, {question.short}: “{value}” is not used. {question.asked_of}",
        mend=f"Clear {question.code}, or correct {' or '.join(names)}.",
        value=value,
    )


def _failed(schedule: Schedule, question: Question, rule: Check, seen: Mapping[str, Any], context: Context) -> Problem:
    """The problem of a check that spoke, with the respondent's own figures beside the rule."""
    # Only answers of this schedule are quoted, last round's only to who may read them. Shares of other people's
    # answers (uh01_share) are not.
    names = [code for code in schedule.questions if code in rule.expression.names and code in seen]
    figures = [f"{code} = {show_answer(schedule.questions[code], seen[code])}" for code in names]
    figures += [
        f"{code} last round = {show_answer(schedule.questions[code], context.shown_prev[code])}"
        for code in sorted(rule.expression.prev_names & context.shown_prev.keys())
    ]
    own = seen.get(question.code)
    return Problem(
        question=question.code,
        rule=rule.code,
        severity=rule.kind,
        message=f"{question.code}: {rule.message} ({', '.join(figures)})",
        mend=rule.mend,
        value="" if own is None else show_answer(question, own),
    )


def show_answer(question: Question, value: Any) -> str:
    """An answer in words: labels for options, yes and no, figures as they are stored."""
    if question.kind == "yesno":
        return "yes" if value else "no"
    if question.option_set is not None:
        labels = question.option_set.by_code
        several = value if isinstance(value, list) else [value]
        return "; ".join(labels[one].label if one in labels else str(one) for one in several) or "none"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)
