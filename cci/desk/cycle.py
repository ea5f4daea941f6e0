"""How far the rounds are: coverage, what is to come of eligibility, when the index is computed next."""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db.models import Count, Exists, F, OuterRef, Q, Sum
from django.utils import timezone

from cci.models import Edition
from cci.services.runs import RESTING
from core.jobs.models import Job
from facts.models import FrameEntry, Reliability, Return, Round, Schedule
from facts.services.board import WAITING


@dataclass
class Coverage:
    """Counts of a round. states : of its returns, by (schedule, state). employment : share of the employment in the
    frame that accepted returns stand for, as the frame knew it; of open rounds only, elsewhere None."""

    frame: int = 0
    states: Counter = field(default_factory=Counter)
    employment: float | None = None

    def of(self, schedule: Any, *states: Any) -> int:
        return sum(self.states[schedule, state] for state in states)

    @property
    def accepted(self) -> int:
        return self.of(Schedule.UNIT, *Return.COUNTED)

    @property
    def waiting(self) -> int:
        return self.of(Schedule.UNIT, *WAITING)

    @property
    def drafts(self) -> int:
        return self.of(Schedule.UNIT, Return.State.DRAFT, Return.State.SENT_BACK)

    @property
    def share(self) -> float | None:
        return self.accepted / self.frame if self.frame else None

    @property
    def schedules(self) -> list[dict]:
        """The other schedules: accepted of those begun."""
        found = []
        for code, label in Schedule.choices:
            total = sum(n for (schedule, _), n in self.states.items() if schedule == code)
            if code != Schedule.UNIT and total:
                found.append({"label": label, "accepted": self.of(code, *Return.COUNTED), "total": total})
        return found


def coverage_of_rounds() -> dict[int, Coverage]:
    """The coverage of every round. Three queries."""
    found: dict[int, Coverage] = defaultdict(Coverage)
    frame = FrameEntry.objects.filter(in_scope=True).order_by()
    for pk, n in frame.values_list("round").annotate(n=Count("pk")):
        found[pk].frame = n
    returns = Return.objects.order_by().values_list("round", "schedule", "state").annotate(n=Count("pk"))
    for pk, schedule, state, n in returns:
        found[pk].states[schedule, state] = n
    answered = Return.objects.counted().filter(
        round=OuterRef("round"), cluster=OuterRef("cluster"), schedule=Schedule.UNIT, unit=OuterRef("unit")
    )
    open_rounds = frame.filter(round__in=Round.objects.open()).annotate(is_answered=Exists(answered))
    held = Sum("prior_employment", filter=Q(is_answered=True))
    sums = open_rounds.values_list("round").annotate(whole=Sum("prior_employment"), held=held)
    for pk, whole, part in sums:
        found[pk].employment = (part or 0) / whole if whole else None
    return found


# --- Who will be eligible -----------------------------------------------------------------


@dataclass
class Forecast:
    """What the last provisional computation of an open round found, and what returns in hand may change.

    as_of : when the returns it rests on were gathered. counts : clusters by status. in_hand : unit returns that
    wait for review or were accepted since. nearly : clusters for whom those are enough.
    """

    as_of: dt.datetime
    counts: Counter = field(default_factory=Counter)
    in_hand: int = 0
    nearly: list[str] = field(default_factory=list)

    @property
    def eligible(self) -> int:
        return self.counts[Reliability.Status.ELIGIBLE]

    @property
    def provisional(self) -> int:
        return self.counts[Reliability.Status.PROVISIONAL]

    @property
    def not_eligible(self) -> int:
        return self.counts[Reliability.Status.NOT_ELIGIBLE]


def forecasts(editions: Sequence[Edition]) -> dict[int, Forecast]:
    """The forecast of the round of each provisional edition that is computed. Two queries for all.

    A cluster counts as nearly eligible where its shortest way to eligibility, stored with its score, asks for nothing
    but returns, and as many as it asks for are in hand: unit returns, its cluster's and its region's schedule. The way
    takes the firms to be of average size and their returns to be whole and without open warnings. Where the way holds
    anything else (an association's gate, warnings, evidence) nothing is promised.
    """
    found = {one.round_id: Forecast(one.snapshot.taken_at) for one in editions if one.snapshot is not None}
    if not found:
        return {}
    in_hand: dict[int, Counter] = {pk: Counter() for pk in found}
    newer = Q(state__in=WAITING)
    for pk, forecast in found.items():
        newer |= Q(state__in=Return.COUNTED, decided_at__gt=forecast.as_of, round=pk)
    returns = Return.objects.filter(newer, round__in=found).order_by()
    for pk, schedule, cluster, region, n in returns.values_list("round", "schedule", "cluster", "region").annotate(
        n=Count("pk")
    ):
        place = region if schedule == Schedule.REGION else cluster
        in_hand[pk][schedule, place] += n
        found[pk].in_hand += n if schedule == Schedule.UNIT else 0
    rows = Reliability.objects.filter(snapshot__in=[one.snapshot_id for one in editions]).order_by("cluster__name")
    names = ("snapshot__round", "status", "steps", "cluster", "cluster__name", "cluster__region")
    for pk, status, steps, cluster, name, region in rows.values_list(*names):
        found[pk].counts[status] += 1
        if status != Reliability.Status.ELIGIBLE and _is_enough(steps, in_hand[pk], cluster, region):
            found[pk].nearly.append(name)
    return found


def _is_enough(steps: Sequence[dict], in_hand: Counter, cluster: int, region: str) -> bool:
    places = {
        "returns": (Schedule.UNIT, cluster),
        Schedule.CLUSTER: (Schedule.CLUSTER, cluster),
        Schedule.REGION: (Schedule.REGION, region),
    }
    return bool(steps) and all(
        step["key"] in places and in_hand[places[step["key"]]] >= step.get("n", 1) for step in steps
    )


# --- When it is computed next -------------------------------------------------------------


def next_night(now: dt.datetime | None = None) -> dt.datetime:
    """When open rounds are computed by themselves next."""
    now = now or timezone.now()
    tonight = now.replace(hour=settings.NIGHTLY_RECOMPUTE_HOUR, minute=0, second=0, microsecond=0)
    return tonight if tonight > now else tonight + dt.timedelta(days=1)


def resting() -> dict[int, dt.datetime]:
    """Rounds whose recompute rests after an acceptance, and until when at least. One query."""
    jobs = Job.objects.filter(kind=RESTING, state=Job.State.QUEUED, not_before__isnull=False)
    return {args["round_id"]: until for args, until in jobs.values_list("args", "not_before")}


def editions_by_round(editions) -> dict[int, list[Edition]]:
    """The newest revision first, the provisional one last. One query."""
    found: dict[int, list[Edition]] = defaultdict(list)
    editions = editions.select_related("job", "methodology", "proposed_by", "snapshot")
    for edition in editions.order_by(F("revision").desc(nulls_last=True), "pk"):
        found[edition.round_id].append(edition)
    return found
