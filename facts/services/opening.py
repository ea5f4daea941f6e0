"""Who opened sealed answers and identities, and why: written when a request or a job ends, and told to whose they are.

A service that shows a person what it opened writes the event itself, with its purpose (`reading.open_for`). Whatever
else a request opened on its way, for a check, for a comparison with peers, is found here: the vault notes every
opening, and what the request's own events do not tell is written before the answer leaves. So nothing is opened
unlogged because somebody forgot. One insert a request at most, and the same thing once an hour a person.
"""

import csv
import io
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from clusters.models import Cluster, Membership
from core import policy
from core.audit.models import Event, record, record_many
from core.jobs.models import Job
from core.policy import Role
from facts.models import Return, Round, Schedule
from facts.vault import store

from .bulk import chunks

ONCE_IN = timedelta(hours=1)
FIRMS = (Schedule.UNIT.value, Schedule.ASSOCIATION.value)  # the agency fills the other schedules about itself
NAMED = ("unit.identity", "link.file")  # events that tell that names were opened
ACTS = {
    "return.open": "Opened",
    "return.link_opened": "Personal link opened",
    "unit.identity": "Names opened",
    "link.file": "Names opened, for a file of personal links",
    "cluster.compared": "Compared; no single answer was shown",
    "values.export": "Values as a file, without names",
    "break_glass.asked": "Break-glass asked for",
    "break_glass.granted": "Break-glass granted for 60 minutes",
    "break_glass.declined": "Break-glass declined",
    "job.opened": "Computed by the system",
}
PURPOSES = {
    "facts:return": "the page of the return",
    "facts:section": "filling in",
    "facts:answers": "filling in",
    "facts:grid": "the grid of units",
    "facts:check": "looking over before submitting",
    "facts:submit": "submitting",
    "facts:certify": "submitting",
    "facts:review": "the review queue",
    "facts:review-several": "deciding on several",
    "facts:review-return": "review",
    "facts:benchmark": "benchmark sheet",
    "facts:benchmark-paper": "benchmark sheet",
    "facts:import": "import of a file",
    "facts:upload": "import of a file",
    "facts:template": "a template",
    "facts:paper": "a printed form",
    "facts:query": "question on a value",
    "facts:reopen": "opening the return again",
}
KINDS = {"names": "names and numbers of units", "values": "submitted values", "export": "a file of values"}
PAGE = 50
FILE_MAX = 20_000  # lines of the file


# --- Written -------------------------------------------------------------------------------------


@contextmanager
def noted() -> Iterator[store.Opened]:
    """Note what is opened from here on; `log` writes it down."""
    with store.openings_noted() as opened:
        yield opened


def purpose_of(route: str) -> str:
    """Why a page opens answers, in words; a page without words of its own is named by its route.

    >>> purpose_of("facts:grid"), purpose_of("api:return-detail")
    ('the grid of units', 'api:return-detail')
    """
    return PURPOSES.get(route, route)


def log(opened: store.Opened, *, by, began: datetime, route: str) -> int:
    """Write what a request opened and its own events do not tell. Returns how many events were written.

    began : when the request began. Drafts are written by return, unless the person is among those who typed in them:
    what they hold they know. Submitted versions that no event names were compared with others, not shown: they are
    counted by cluster. Schedules that the agency fills are left out. Two queries where all is told.
    """
    if not opened:
        return 0
    actor = by if by is not None and by.is_authenticated else None
    since, purpose = began - ONCE_IN, purpose_of(route)
    told = _told(opened.drafts | opened.versions, actor, began, since)
    entries: list[tuple] = [
        ("return.open", Return(pk=pk), {"purpose": purpose, "draft": True})
        for pk in _not_their_own(opened.drafts - told, actor)
    ]
    entries += [
        ("cluster.compared", Cluster(pk=pk), {"purpose": purpose, "returns": n})
        for pk, n in _by_cluster(opened.versions - told, actor, purpose, since).items()
    ]
    if opened.units and not Event.objects.filter(actor=actor, action__in=NAMED, at__gte=since).exists():
        names = _units_by_cluster(opened.units)
        entries += [("unit.identity", Cluster(pk=pk), {"purpose": purpose, "count": n}) for pk, n in names.items()]
    if entries:
        with transaction.atomic():
            record_many(entries, by=actor)
    return len(entries)


def _told(ids: Collection[int], actor, began: datetime, since: datetime) -> set[int]:
    """Returns of which this person's events tell already: an act of this request, or an opening within the hour.

    That a name was opened, or a link, tells nothing of the answers.
    """
    told: set[int] = set()
    fresh = Q(at__gte=began) | Q(action="return.open", at__gte=since)
    for part in chunks(ids):
        events = Event.objects.filter(object_type="facts.return", object_id__in=[str(pk) for pk in part], actor=actor)
        events = events.exclude(action__in=("unit.identity", "return.link_opened"))
        told |= {int(pk) for pk in events.filter(fresh).order_by().values_list("object_id", flat=True)}
    return told


def _not_their_own(ids: Collection[int], actor) -> list[int]:
    """Drafts of firms that the person did not type in."""
    found: list[int] = []
    for part in chunks(sorted(ids)):
        rows = Return.objects.filter(pk__in=part, schedule__in=FIRMS).order_by("pk")
        found += [pk for pk, typed in rows.values_list("pk", "typed_by") if actor is None or actor.pk not in typed]
    return found


def _by_cluster(ids: Collection[int], actor, purpose: str, since: datetime) -> dict[int, int]:
    """How many returns of firms, by cluster; without what was written for the same purpose within the hour."""
    counts: dict[int, int] = {}
    for part in chunks(ids):
        rows = Return.objects.filter(pk__in=part, schedule__in=FIRMS, cluster__isnull=False).order_by()
        for pk in rows.values_list("cluster_id", flat=True):
            counts[pk] = counts.get(pk, 0) + 1
    if counts:
        events = Event.objects.filter(object_type="clusters.cluster", object_id__in=[str(pk) for pk in counts])
        recent = events.filter(action="cluster.compared", actor=actor, at__gte=since).order_by()
        for pk, detail in recent.values_list("object_id", "detail"):
            if detail.get("purpose") == purpose:
                counts.pop(int(pk), None)
    return dict(sorted(counts.items()))


def _units_by_cluster(ids: Collection[int]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for part in chunks(ids):
        for pk in Cluster.objects.filter(units__in=part).order_by().values_list("pk", flat=True):
            counts[pk] = counts.get(pk, 0) + 1
    return dict(sorted(counts.items()))


@contextmanager
def of_job(job: Job) -> Iterator[None]:
    """Around the work of one job: what it opened is one event with counts, whether or not it ended well."""
    with store.openings_noted() as opened:
        try:
            yield
        finally:
            if opened:
                with transaction.atomic():
                    counts = {"returns": len(opened.drafts | opened.versions), "units": len(opened.units)}
                    record("job.opened", job, by=job.requested_by, purpose="compute", kind=job.kind, **counts)


# --- Told ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Opening:
    """One line of "who opened our data". who : role and organisation; for an auditor the account too."""

    seq: int
    at: datetime
    who: str
    act: str
    what: str
    why: str


def openings(by):
    """The openings that a person may see, newest first: of the own organisation's data, or all (events, a queryset)."""
    return policy.scope(by, "opening.read", Event.objects.filter(action__in=ACTS)).order_by("-seq")


def openings_page(by, *, before: int | None = None, count: int = PAGE) -> tuple[list[Opening], int | None]:
    """One page of openings, and the number before which the next page begins (None: there is none).

    before : the number of the last line seen. Numbers, not pages: nothing is counted, and nothing shifts when events
    are added meanwhile. A fixed number of queries.
    """
    found = openings(by)
    if before is not None:
        found = found.filter(seq__lt=before)
    events = list(found[: count + 1])
    return in_words(events[:count], by=by), events[count - 1].seq if len(events) > count else None


def in_words(events: Iterable[Event], *, by) -> list[Opening]:
    """Say events as a person may read them. Four queries at most, for any number of events."""
    events = list(events)
    named = any(grant.role == Role.AUDITOR for grant in policy.grants_of(by))
    offices = offices_of({event.actor_id for event in events if event.actor_id}, named=named)
    places = _places(events)
    return [
        Opening(
            event.seq,
            event.at,
            _who(event, offices),
            ACTS[event.action],
            " · ".join(part for part in (places.get((event.object_type, event.object_id), ""), _extent(event)) if part),
            _why(event),
        )
        for event in events
    ]


def _why(event: Event) -> str:
    kind = str(event.detail.get("kind") or "")
    return str(event.detail.get("purpose") or KINDS.get(kind, kind))


def _who(event: Event, offices: dict[int, str]) -> str:
    if event.action == "return.link_opened":
        return "whoever held the link"
    if event.action == "job.opened":
        return "the system"
    return offices.get(event.actor_id, "the system") if event.actor_id else "the system"


def offices_of(people: Collection[int], *, named: bool = False) -> dict[int, str]:
    """Role and organisation of each person, of the first role held; the account's name too where `named`."""
    found: dict[int, str] = {}
    held = Membership.objects.filter(user__in=people).select_related("organisation", "user").order_by("pk")
    for one in held:
        where = one.organisation.name if one.organisation_id else "the cluster cell"
        office = "the firm itself" if one.role == Role.LINK else f"{one.role}, {where}"
        found.setdefault(one.user_id, f"{office} ({one.user.username})" if named else office)
    return found


def _places(events: list[Event]) -> dict[tuple[str, str], str]:
    """What each event is about, by type and id."""
    ids: dict[str, set[int]] = {}
    for event in events:
        if event.object_id.isdecimal():
            ids.setdefault(event.object_type, set()).add(int(event.object_id))
    found: dict[tuple[str, str], str] = {}
    for ret in Return.objects.filter(pk__in=ids.get("facts.return", ())).select_related("round"):
        found["facts.return", str(ret.pk)] = f"{ret.kind_words} {ret.subject}, {ret.round}"
    for pk, name in Cluster.objects.filter(pk__in=ids.get("clusters.cluster", ())).values_list("pk", "name"):
        found["clusters.cluster", str(pk)] = name
    for round_ in Round.objects.filter(pk__in=ids.get("facts.round", ())):
        found["facts.round", str(round_.pk)] = str(round_)
    return found


def _extent(event: Event) -> str:
    """How much, where the event is about more than one return."""
    detail = event.detail
    parts = []
    if detail.get("draft"):
        parts.append("draft")
    if detail.get("version"):
        parts.append(f"version {detail['version']}")
    if n := detail.get("returns"):
        parts.append(f"{n} return{'' if n == 1 else 's'}")
    names = detail.get("count") or detail.get("names") or detail.get("units")
    if names:
        parts.append(f"{names} unit{'' if names == 1 else 's'}")
    if event.action.startswith("break_glass."):
        parts.append(f"round {detail.get('round')}")
    return ", ".join(parts)


def openings_file(by) -> bytes:
    """The newest openings as CSV (UTF-8 with mark): when, who, act, what, why. At most `FILE_MAX` lines."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["when", "who", "act", "what", "why"])
    before: int | None = None
    left = FILE_MAX
    while left > 0:
        lines, before = openings_page(by, before=before, count=min(left, 1000))
        for one in lines:
            row = [timezone.localtime(one.at).isoformat(timespec="seconds"), one.who, one.act, one.what, one.why]
            writer.writerow([plain(cell) for cell in row])
        left -= len(lines)
        if before is None:
            break
    return out.getvalue().encode("utf-8-sig")


def plain(text: str) -> str:
    """A cell that no spreadsheet takes for a formula.

    >>> plain("=1+1"), plain("head, Association")
    ("'=1+1", 'head, Association')
    """
    return f"'{text}" if text[:1] in "=+-@\t\r\n" and text else text
