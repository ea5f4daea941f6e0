"""Until when a return can be changed, by the database's clock, and in which words a locked one says why.

A draft is saved and handed in first until the collection of its cluster ends: the round's closing day, or a later
day that was granted. What came back to be mended has until the end of editing. Review goes on until the round closes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from django.db import connection
from django.db.models import Max
from django.db.models.functions import Now, TruncDate

from core.base import DomainError
from facts.models import Collector, Extension, FrameEntry, Return, Round, Schedule

from .bulk import chunks


def today_there(round_id: int) -> date:
    """Today by the database's clock: one clock for every door and worker."""
    return Round.objects.filter(pk=round_id).annotate(today=TruncDate(Now())).values_list("today", flat=True).get()


def day(when: date) -> str:
    """A day as messages write it."""
    return f"{when:%-d %B %Y}"


@dataclass(frozen=True)
class Window:
    """When the returns of one cluster are taken in a round. `extended`: the latest day granted beyond the closing."""

    round: Round
    today: date
    extended: date | None = None

    @property
    def ends(self) -> date:
        """Last day on which a draft is taken."""
        return max(self.round.closes_on, self.extended or self.round.closes_on)

    @property
    def mends(self) -> date | None:
        """Last day for what was sent back or reopened; None: as long as the round is open."""
        return max(self.ends, self.round.editing_until) if self.round.editing_until else None

    @property
    def is_over(self) -> bool:
        return self.today > self.ends

    @property
    def days_left(self) -> int:
        return (self.ends - self.today).days


def windows(round_: Round, clusters: Iterable[int | None]) -> dict[int | None, Window]:
    """The window of each cluster of a round; None stands for returns of no cluster. Two queries."""
    clusters = list(set(clusters))
    today = today_there(round_.pk)
    granted: dict[int, date] = {}
    for part in chunks(one for one in clusters if one):
        rows = Extension.objects.filter(round=round_, cluster__in=part).order_by().values("cluster")
        granted.update(rows.annotate(last=Max("until")).values_list("cluster", "last"))
    return {cluster: Window(round_, today, granted.get(cluster)) for cluster in clusters}


def granted(round_: Round) -> dict[int, date]:
    """The latest day granted in a round beyond its closing, by cluster. One query."""
    rows = Extension.objects.filter(round=round_).order_by().values("cluster").annotate(last=Max("until"))
    return {cluster: max(last, round_.closes_on) for cluster, last in rows.values_list("cluster", "last")}


def last_days(round_: Round, clusters: Iterable[int | None]) -> str:
    """Until when collection goes on in some clusters, in words: one day, or two where some were given more time.

    `clusters` may be a queryset; it is asked only where more time was given to anybody.
    """
    more = granted(round_)
    ends: set[date] = {more.get(one) or round_.closes_on for one in clusters} if more else set()
    if not ends:
        return day(round_.closes_on)
    return day(min(ends)) if len(ends) == 1 else f"{day(min(ends))}, with more time {day(max(ends))}"


def last_day_of(ret: Return) -> date:
    """The last day on which a return can be handed in, or mended after it came back."""
    window = windows(ret.round, [ret.cluster_id])[ret.cluster_id]
    return window.ends if ret.state == Return.State.DRAFT and not ret.version else window.mends or window.ends


def locks_on(ret: Return) -> date:
    """The day after which an accepted return is locked: every page and paper says this one."""
    if ret.round.locks_on:
        return ret.round.locks_on
    window = windows(ret.round, [ret.cluster_id])[ret.cluster_id]
    return window.mends or window.ends


def lock_reason(ret: Return) -> str:
    """Say why a return cannot be changed now, and what can be done; empty where it can."""
    return state_reason(ret) or lock_reasons([ret]).get(ret.subject, "")


def state_reason(ret: Return) -> str:
    """Why the state of a return keeps it from being changed, and whom to ask."""
    if ret.is_editable:
        return ""
    if ret.state in (Return.State.SUBMITTED, Return.State.IN_REVIEW):
        since = f" on {day(ret.submitted_at)}" if ret.submitted_at else ""
        return (
            f"This return was handed in{since} and waits for a decision; it can no longer be changed here. "
            "Ask the reviewer to send it back if something is wrong."
        )
    if ret.state == Return.State.ACCEPTED:
        return (
            "This return is accepted; it can no longer be changed here. "
            "If something is wrong, ask the agency to reopen it: one person asks, a second one decides."
        )
    return (
        f"This return is {ret.get_state_display().lower()} with round {ret.round.year}; it can no longer be changed "
        "here. Tell the cluster cell of an error: it is corrected in a later edition, with its reason."
    )


def round_reason(round_: Round) -> str:
    """Why a round takes nothing; empty where it is open."""
    if round_.state == Round.State.PLANNED:
        return (
            f"Round {round_.year} is planned and opens on {day(round_.opens_on)}. Only an open round takes returns; "
            "until then, look at the questions and get the papers ready."
        )
    if round_.state == Round.State.CLOSED:
        return (
            f"Round {round_.year} is closed. Its collection ended on {day(round_.closes_on)}. Only an open round "
            "takes returns; ask the cluster cell about later corrections."
        )
    return ""


def lock_reasons(returns: Iterable[Return]) -> dict[str, str]:
    """Why round, sample, collector or day keep returns of one round from being changed, by subject; not their state.

    Returns may be unsaved ones, about to be begun. Four queries for any number.
    """
    returns = list(returns)
    if not returns:
        return {}
    round_ = returns[0].round
    if reason := round_reason(round_):
        return {ret.subject: reason for ret in returns}
    open_times = windows(round_, (ret.cluster_id for ret in returns))
    units = [ret.unit_id for ret in returns if ret.schedule == Schedule.UNIT]
    left_out = _left_out(round_, units)
    others = _appointed(round_, {ret.cluster_id for ret in returns if ret.schedule == Schedule.UNIT})
    found = {}
    for ret in returns:
        reason = _late(ret, open_times[ret.cluster_id])
        if ret.schedule == Schedule.UNIT:
            collector = others.get(ret.cluster_id)
            if ret.unit_id in left_out:
                reason = (
                    f"{ret.subject} is not in the sample of round {round_.year}; nothing is asked of it this year. "
                    "It may be drawn again in a later round."
                )
            elif collector and not ret.version and ret.collector_id not in (None, collector.organisation_id):
                reason = (
                    f"{collector.organisation.name} collects the unit returns of {collector.cluster.name} in round "
                    f"{round_.year}. What was typed before can be read; to change it, ask them."
                )
        if reason:
            found[ret.subject] = reason
    return found


def _left_out(round_: Round, units: list[int | None]) -> set[int]:
    found: set[int] = set()
    for part in chunks(units):
        rows = FrameEntry.objects.filter(round=round_, unit__in=part, drawn=False)
        found.update(rows.values_list("unit_id", flat=True))
    return found


def _appointed(round_: Round, clusters: set[int | None]) -> dict[int, Collector]:
    found = {}
    for part in chunks(clusters):
        rows = Collector.objects.filter(round=round_, cluster__in=part).select_related("organisation", "cluster")
        found.update({row.cluster_id: row for row in rows})
    return found


def _late(ret: Return, window: Window) -> str:
    """Why the day is past; empty while there is time."""
    where = ret.cluster.name if ret.cluster_id and ret.cluster else "this schedule"
    if ret.state == Return.State.DRAFT and not ret.version:
        if not window.is_over:
            return ""
        granted = f", the day to which it was extended from {day(window.round.closes_on)}" if window.extended else ""
        if window.extended and window.extended <= window.round.closes_on:
            granted = ""
        return (
            f"Collection for {where} ended on {day(window.ends)}{granted}. What is typed stays as it is. "
            "Ask the supervisor of the agency, or the cluster cell, for more time."
        )
    if window.mends is None or window.today <= window.mends:
        return ""
    return (
        f"Returns that came back could be mended until {day(window.mends)}. "
        "Ask the reviewer; the version handed in before stands."
    )


def require_open(returns: Iterable[Return]) -> None:
    """Hold the rounds of returns until the transaction ends, so that none is closed meanwhile; refuse what is late.

    Returns that were handed in already pass here: their state speaks for itself.
    """
    returns = list(returns)
    for pk in sorted({ret.round_id for ret in returns}):
        require_round_open(pk)
        mine = [ret for ret in returns if ret.round_id == pk and ret.is_editable]
        for reason in lock_reasons(mine).values():
            raise DomainError(reason)


def require_round_open(round_id: int) -> None:
    """Hold one round until the transaction ends; refuse a closed one. Review goes on until the round is closed."""
    if reason := round_reason(hold_round(round_id)):
        raise DomainError(reason)


def hold_round(round_id: int) -> Round:
    """Keep a round from being closed or changed until the transaction ends; any number may hold it together.

    An exclusive lock would let the saves of a whole country queue behind one another. SQLite's writers queue anyway.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM facts_round WHERE id = %s FOR SHARE", [round_id])
    return Round.objects.select_related("instrument").get(pk=round_id)
