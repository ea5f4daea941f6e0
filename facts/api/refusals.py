"""How the door for returns says no: one entry for each problem, with its place in the body."""

from urllib.parse import quote

from rest_framework import exceptions

from facts.services.imports import RowProblem

# Rules that say "not now" rather than "not so".
STATE_RULES = ("round-open", "return-editable")


class Refused(exceptions.APIException):
    """Returns that were not taken; `errors` names each place and rule."""

    default_code = "refused"

    def __init__(self, status: int, detail: str, errors: list[dict], headers: dict | None = None):
        super().__init__(detail)
        self.status_code, self.errors, self.headers = status, errors, headers or {}


def entry(pointer: str, code: str, detail: str, mend: str, question: str = "") -> dict:
    """One problem, as `errors`, `refused` and `open_points` hold it."""
    found = {"pointer": pointer, "code": code, "detail": detail, "mend": mend}
    return {**found, "question": question} if question else found


def told(found: RowProblem) -> dict:
    """A problem of an import in the words of every other door."""
    problem = found.problem
    question = "" if problem.rule == "unknown-question" else problem.question
    return entry(pointer_of(found), problem.rule, problem.message, problem.mend, question)


def pointer_of(found: RowProblem) -> str:
    """The place of a problem in the body that was sent."""
    rule, question = found.problem.rule, found.problem.question
    if rule == "round-open":
        return "#/round"
    if question:
        return f"#{found.place}/answers/{escaped(question)}"
    return f"#{found.place}/{'answers' if rule == 'unknown-question' else 'subject'}"


def escaped(key: str) -> str:
    """A key inside a JSON pointer that is a URI fragment."""
    return quote(key.replace("~", "~0").replace("/", "~1"), safe="~")


def status_of(problems: list[RowProblem]) -> int:
    """409 where nothing but the state of things stands in the way."""
    return 409 if all(one.problem.rule in STATE_RULES for one in problems) else 400


def refusal(problems: list[RowProblem], count: int = 0) -> Refused:
    """All of it is refused. `count` where more is wrong than is told one by one."""
    return refused(status_of(problems), [told(one) for one in problems], count)


def refused(status: int, errors: list[dict], count: int = 0) -> Refused:
    count = max(count, len(errors))
    return Refused(status, f"Nothing was kept: {count} problem{'s' if count != 1 else ''}; see errors.", errors)
