"""The cycle board: how far each cluster of a round is, in a fixed number of queries for any number of clusters."""

from collections import Counter
from dataclasses import dataclass, field

from django.db.models import Count

from clusters.models import Cluster, Organisation
from facts.models import Query, Return, Round, Schedule

from .collectors import collectors_of
from .deadlines import Window, windows
from .frames import drawn_counts
from .invitations import messages_of

BEGUN = (Return.State.DRAFT,)
WAITING = (Return.State.SUBMITTED, Return.State.IN_REVIEW)
BACK = (Return.State.SENT_BACK, Return.State.REOPENED)


@dataclass
class Line:
    """One cluster on the board, or all of them together (`cluster` None)."""

    cluster: Cluster | None
    asked: int
    states: Counter = field(default_factory=Counter)
    in_query: int = 0
    collector: Organisation | None = None
    window: Window | None = None
    messages: list[dict] = field(default_factory=list)

    @property
    def begun(self) -> int:
        """Drafts that were never handed in."""
        return sum(self.states[state] for state in BEGUN)

    @property
    def waiting(self) -> int:
        return sum(self.states[state] for state in WAITING)

    @property
    def back(self) -> int:
        return sum(self.states[state] for state in BACK)

    @property
    def accepted(self) -> int:
        return sum(self.states[state] for state in Return.COUNTED)

    @property
    def handed_in(self) -> int:
        return self.waiting + self.back + self.accepted

    @property
    def missing(self) -> int:
        return max(0, self.asked - self.handed_in)

    @property
    def response(self) -> float | None:
        """Accepted returns as a share of the units asked (RRu, framework §11.4)."""
        return self.accepted / self.asked if self.asked else None

    @property
    def is_invited(self) -> bool:
        return any(one["kind"] == "invited" for one in self.messages)

    @property
    def is_late(self) -> bool:
        return bool(self.window and self.window.is_over and self.missing)

    @property
    def stage(self) -> str:
        """The word that finds a cluster on the board."""
        if self.is_late:
            return "late"
        if not self.states:
            return "silent"
        if self.in_query:
            return "query"
        if self.waiting:
            return "review"
        return "done" if self.missing == 0 and not self.back else "under_way"


STAGES = {
    "late": "Late",
    "silent": "Nothing begun",
    "under_way": "Under way",
    "review": "Waits for review",
    "query": "Questions open",
    "done": "All handed in",
}


def board(round_: Round, clusters) -> list[Line]:
    """A line for each of some clusters (a queryset) that the round asks, by name. Eight queries."""
    asked = drawn_counts(round_)
    found = [one for one in clusters.select_related("country", "region") if one.pk in asked]
    found.sort(key=lambda one: (one.name, one.pk))
    keys = [one.pk for one in found]
    collecting, ends, messages = collectors_of(round_), windows(round_, keys), messages_of(round_)
    states: dict[int, Counter] = {}
    rows = Return.objects.filter(round=round_, schedule=Schedule.UNIT).order_by()
    for cluster, state, n in rows.values_list("cluster_id", "state").annotate(n=Count("pk")):
        states.setdefault(cluster, Counter())[state] = n
    queries = Query.objects.filter(ret__round=round_, ret__schedule=Schedule.UNIT, state=Query.State.OPEN).order_by()
    queried = dict(queries.values_list("ret__cluster_id").annotate(n=Count("ret", distinct=True)))
    return [
        Line(
            cluster=one,
            asked=asked[one.pk],
            states=states.get(one.pk, Counter()),
            in_query=queried.get(one.pk, 0),
            collector=collecting.get(one.pk),
            window=ends[one.pk],
            messages=messages.get(one.pk, []),
        )
        for one in found
    ]


def together(lines: list[Line]) -> Line:
    """The sum of some lines."""
    states: Counter = Counter()
    for line in lines:
        states.update(line.states)
    return Line(None, sum(line.asked for line in lines), states, sum(line.in_query for line in lines))
