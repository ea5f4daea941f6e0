"""How long answering took: derived from the saves of a return, never counted up, and told back to those who answer."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import Count

from core.audit.models import Event
from facts.models import Return, Round

from .bulk import chunks

PAUSE = timedelta(minutes=5)  # a longer silence between two saves is a pause, not work
LEAST = 10  # returns; a median of fewer may tell of one


def worked(moments: Iterable[datetime]) -> int | None:
    """Minutes of work in a row of saves: the gaps of at most five minutes, rounded; None for fewer than two saves."""
    row = sorted(moments)
    if len(row) < 2:
        return None
    gaps = (later - earlier for earlier, later in zip(row, row[1:], strict=False))
    work = sum((gap for gap in gaps if gap <= PAUSE), timedelta())
    return max(1, round(work.total_seconds() / 60))


def measure_minutes(returns: Iterable[Return]) -> None:
    """Set `minutes` of returns about to be handed in, from their saves in the form; unsaved. One query per 500.

    A return that came whole from a file or a partner's system has no saves, and no minutes.
    """
    returns = list(returns)
    for part in chunks(returns):
        saves: dict[str, list[datetime]] = {}
        events = Event.objects.filter(
            object_type="facts.return", object_id__in=[str(ret.pk) for ret in part], action="return.save"
        )
        for object_id, at in events.values_list("object_id", "at"):
            saves.setdefault(object_id, []).append(at)
        for ret in part:
            ret.minutes = worked(saves.get(str(ret.pk), []))


def medians(round_: Round) -> dict[str, int]:
    """Median minutes of a round's returns by schedule, where at least ten tell them. One query, small at any size."""
    found: dict[str, list[tuple[int, int]]] = {}
    rows = Return.objects.filter(round=round_, minutes__isnull=False, version__gt=0).order_by("minutes")
    for schedule, minutes, n in rows.values_list("schedule", "minutes").annotate(n=Count("pk")):
        found.setdefault(schedule, []).append((minutes, n))
    return {schedule: _median(counted) for schedule, counted in found.items() if sum(n for _, n in counted) >= LEAST}


def _median(counted: list[tuple[int, int]]) -> int:
    """The middle of (minutes, how many) pairs in rising order; the lower one of two."""
    half, seen = (sum(n for _, n in counted) + 1) // 2, 0
    return next(minutes for minutes, n in counted if (seen := seen + n) >= half)


def last_known(year: int) -> dict[str, dict]:
    """By schedule the minutes of the newest round before `year` that tells them: `{"minutes", "year"}`. Few queries."""
    known: dict[str, dict] = {}
    for round_ in Round.objects.filter(year__lt=year).order_by("-year")[:3]:
        for schedule, minutes in medians(round_).items():
            known.setdefault(schedule, {"minutes": minutes, "year": round_.year})
    return known
