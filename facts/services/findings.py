"""What the checks say of a return, and how far it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from facts.models import Return
from facts.validation import Problem, examine
from facts.wording import as_shown

from .instruments import schedule

EXPLANATION_MIN = 10  # characters


EMPTY: Mapping = {"answers": {}, "markers": {}, "explanations": {}, "confirmed": []}


@dataclass
class Findings:
    """What the checks say of one return, and how far it is."""

    problems: list[Problem]
    asked: list[str]
    answered: int
    core_share: float | None
    unexplained: list[Problem] = field(default_factory=list)

    @property
    def hard(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.severity == "hard"]

    @property
    def soft(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.severity == "soft"]


def schedule_of(ret: Return):
    """The instrument's schedule that a return answers."""
    return schedule(ret.round.instrument.version, ret.schedule)


def findings_of(ret: Return, payload: Mapping, context) -> Findings:
    """Run every check of the schedule over a payload."""
    part = schedule_of(ret)
    answers, markers = payload["answers"], payload["markers"]
    found = examine(part, answers, markers, context)
    problems = [as_shown(problem, part, ret.scale, ret.currency) for problem in found.problems]
    given = sum(code in answers or code in markers for code in found.asked)
    explanations = payload.get("explanations", {})
    unexplained = [
        problem
        for problem in problems
        if problem.severity == "soft" and len(explanations.get(problem.rule, "").strip()) < EXPLANATION_MIN
    ]
    return Findings(problems, found.asked, given, found.core_share, unexplained)


def measure(ret: Return, findings: Findings) -> None:
    ret.answered, ret.asked, ret.core_share = findings.answered, len(findings.asked), findings.core_share
