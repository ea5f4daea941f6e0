"""Who did what around an edition: the audit chain's events of it, and what changed after collection ended."""

import csv
import datetime as dt
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Model, Q
from django.utils import timezone

from cci.desk.running import TABLES
from cci.models import Edition, Erratum, PreRelease, Release
from core.audit.models import Event
from facts.models import Return
from facts.services.deadlines import granted

HEADER = ("seq", "at_utc", "who", "action", "object", "detail", "digest")
ACTIONS = {
    "edition.recompute": "Asked for its computation",
    "edition.trial": "Asked for it as a trial",
    "edition.cancel": "Cancelled its computation",
    "edition.computed": "Computed",
    "edition.verify": "Asked to compute it again and compare",
    "edition.propose": "Proposed it",
    "edition.decline": "Took the proposal back",
    "edition.approve": "Approved it for a set time",
    "edition.withdraw_approval": "Withdrew the approval",
    "edition.publish": "Published",
    "edition.superseded": "Superseded",
    "snapshot.take": "Froze the returns",
    "release.announce": "Announced the release",
    "release.fix": "Fixed the hour of the release",
    "release.move": "Moved the release",
    "release.cancel": "Cancelled the release",
    "release.out": "The release came out",
    "pre_release.grant": "Let a person see it before",
    "pre_release.withdraw": "Took a person off the list",
    "pre_release.open": "Opened it before its release",
    "erratum.write": "Wrote an erratum",
    "erratum.corrected": "Named the edition that corrects an erratum",
}
DETAILS = {
    "revision_kind": "kind of revision",
    "planned_at": "for",
    "release_at": "comes out",
    "exact": "hour fixed",
    "corrected_in": "corrected in",
}


def events_of(edition: Edition) -> list[Event]:
    """Every event of the chain about an edition, its snapshot, its place in the calendar, who sees it before and its
    errata, the oldest first. Four queries."""
    wanted: dict[type[Model], Iterable[int]] = {
        Edition: [edition.pk],
        Release: Release.objects.filter(round=edition.round_id).values_list("pk", flat=True),
        PreRelease: PreRelease.objects.filter(edition=edition).values_list("pk", flat=True),
        Erratum: Erratum.objects.filter(edition=edition).values_list("pk", flat=True),
    }
    found = Q(object_type="facts.snapshot", object_id=str(edition.snapshot_id or ""))
    for model, keys in wanted.items():
        found |= Q(object_type=model._meta.label_lower, object_id__in=[str(key) for key in keys])
    return list(Event.objects.filter(found).select_related("actor").order_by("seq"))


def words_of(event: Event) -> str:
    return ACTIONS.get(event.action, event.action)


def details_of(event: Event, label: str) -> list[tuple[str, str]]:
    """What an event notes, as a reader's words; without what is empty, the number of an
    account (the office stands beside it), and the edition that the page is of.

    >>> details_of(Event(detail={"label": "2025", "counts": {"units": 4714, "flags": 3}, "exact": True}), "2025")
    [('returns', '4,714 unit returns, 3 flags'), ('hour fixed', 'yes')]
    """
    found = []
    for name, value in event.detail.items():
        if value in (None, "", [], {}) or name == "user" or (name == "label" and value == label):
            continue
        if name == "counts" and isinstance(value, dict):
            found.append(("returns", ", ".join(f"{n:,} {TABLES.get(table, table)}" for table, n in value.items())))
        else:
            found.append((DETAILS.get(name, name.replace("_", " ")), _said(value)))
    return found


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)
    try:
        return f"{dt.datetime.fromisoformat(value).astimezone(dt.UTC):%-d %b %Y, %H:%M} UTC" if "T" in value else value
    except (TypeError, ValueError):
        return str(value)


@dataclass(frozen=True)
class Late:
    """Returns of one cluster (or region: cluster None) that changed after their collection ended, on `ended`."""

    cluster: str | None
    ended: dt.date
    handed_in: int
    decided: int


def changed_late(edition: Edition) -> list[Late]:
    """Where returns were handed in, or decided on, after the last day of collection, by cluster. Three queries.

    The day is the round's, or the one granted to the cluster; UTC.
    """
    round_, more = edition.round, granted(edition.round)

    def after(day: dt.date) -> dt.datetime:
        return timezone.make_aware(dt.datetime.combine(day + dt.timedelta(days=1), dt.time()), dt.UTC)

    rows: list[Late] = []
    default = Return.objects.filter(round=round_).exclude(cluster__in=more)
    groups: list[tuple[Any, dt.date]] = [(default, round_.closes_on)]
    groups += [(Return.objects.filter(round=round_, cluster__in=keys), day) for day, keys in _by_day(more).items()]
    for returns, day in groups:
        late = after(day)
        counts = returns.order_by().values_list("cluster__name")
        counts = counts.annotate(
            handed_in=Count("pk", filter=Q(submitted_at__gte=late)), decided=Count("pk", filter=Q(decided_at__gte=late))
        ).filter(Q(handed_in__gt=0) | Q(decided__gt=0))
        rows += [Late(name, day, handed_in, decided) for name, handed_in, decided in counts]
    return sorted(rows, key=lambda row: (-row.handed_in, -row.decided, row.cluster or ""))


def _by_day(more: dict[int, dt.date]) -> dict[dt.date, list[int]]:
    days: dict[dt.date, list[int]] = {}
    for cluster, day in more.items():
        days.setdefault(day, []).append(cluster)
    return days


def as_csv(events: Iterable[Event]) -> str:
    """The events as a file for an outside auditor, each with its seal; no cell is a formula."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(HEADER)
    for event in events:
        who = event.actor.get_username() if event.actor else "the system"
        detail = json.dumps(event.detail, sort_keys=True, ensure_ascii=False)
        row = [event.seq, event.at.isoformat(), who, event.action, f"{event.object_type} {event.object_id}", detail]
        writer.writerow(_plain([*row, event.digest]))
    return out.getvalue()


def _plain(row: Sequence[Any]) -> list[Any]:
    return [f"'{cell}" if isinstance(cell, str) and cell[:1] in "=+-@\t\r" else cell for cell in row]
