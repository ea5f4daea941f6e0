"""What the pages of a return share: the return itself, its name, its open points, where it stands."""

from django.urls import reverse

from core import policy
from core.policy.views import PolicyMixin
from facts.models import Return, Schedule
from facts.services import reading
from facts.services.collectors import is_link_holder
from facts.services.deadlines import lock_reason


def place_label(ret: Return) -> str:
    """What a return is about, in words; a unit keeps its number."""
    if ret.schedule == Schedule.ASSOCIATION and ret.organisation:
        return ret.organisation.name
    if ret.schedule == Schedule.REGION and ret.region:
        return ret.region.name
    return ret.cluster.name if ret.schedule == Schedule.CLUSTER and ret.cluster else ret.subject


def field_link(ret: Return, code: str) -> str:
    """The address of a question's field."""
    return reverse("facts:section", args=[ret.pk, code[:2]]) + f"?check=1#id_{code}"


def steps_of(ret: Return) -> list[dict]:
    """Where a return stands on its way, for components/steps.html."""
    way = [("draft", "Draft"), ("submitted", "Submitted"), ("in_review", "In review"), ("accepted", "Accepted")]
    at = {"sent_back": 0, "reopened": 0, "locked": 4}.get(ret.state)
    at = next((place for place, (state, _) in enumerate(way) if state == ret.state), 0) if at is None else at
    way.append(("locked", "Locked"))
    notes = {
        0: {"sent_back": "sent back", "reopened": "reopened"}.get(ret.state, ""),
        1: f"version {ret.version}" if ret.version else "",
    }
    return [
        {
            "label": label,
            "state": "done" if place < at else "current" if place == at else "todo",
            "note": notes.get(place, ""),
        }
        for place, (_, label) in enumerate(way)
    ]


def points_of(ret: Return, opened: reading.Opened, *, gather_missing: bool) -> list[dict]:
    """Open points as links to their fields; blanks of a block may stand in one line."""
    points = []
    for part in opened.sections:
        missing = [problem for problem in part.hard if problem.rule.endswith("-required")]
        if gather_missing and len(missing) > 1:
            points.append(
                {
                    "href": field_link(ret, missing[0].question),
                    "message": f"{part.section.title}: {len(missing)} answers are needed.",
                    "severity": "hard",
                }
            )
        else:
            points += [point_of(ret, problem) for problem in missing]
        points += [point_of(ret, problem) for problem in part.hard if problem not in missing]
        points += [point_of(ret, problem) for problem in part.unexplained]
    return points


def point_of(ret: Return, problem) -> dict:
    return {
        "href": field_link(ret, problem.question),
        "message": f"{problem.message} {problem.mend}".strip(),
        "severity": problem.severity,
    }


def channel_of(user) -> str:
    """How what this person types reaches a return: in the form, or over a personal link."""
    return str(Return.Channel.LINK if is_link_holder(user) else Return.Channel.WEB)


class OneReturn(PolicyMixin):
    """A page about one return in scope."""

    def get_context_data(self, **kwargs):
        return super().get_context_data(**kwargs) | {"by_link": is_link_holder(self.request.user)}

    def get_return(self) -> Return:
        returns = Return.objects.with_subjects().select_related("round__instrument", "cluster__country")
        return self.fetch(returns, pk=self.kwargs["pk"])

    def may_write(self, ret: Return) -> bool:
        """Whether this person can change the return now."""
        return not lock_reason(ret) and policy.allowed(self.request.user, "return.write", ret)
