"""Peers: what others of a firm's group report, for the sheet that it gets back and for who reviews its return."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

from django.utils import timezone

from core.base import DomainError
from facts.benchmarks import Line, group_size, is_operating, largest_gaps, lines_of, quartiles
from facts.models import FrameEntry, Return, Round, Schedule
from facts.release import band
from facts.vault import store

from .findings import schedule_of
from .reading import open_for

GROUP_MAX = 2000  # firms of a country's group that are opened: more sharpen nothing
ENOUGH = 2 / 3  # of the figures must have ten peers, or a wider group is looked for
NUMBERS = ("integer", "decimal", "percent", "money")
SIZES = {1: "1–9 persons", 2: "10–49 persons", 3: "50–249 persons", 4: "250 persons and more"}


@dataclass(frozen=True)
class Group:
    """The peers of a firm. name : who they are, in words. since : when the newest of them was accepted."""

    name: str
    round: Round
    answers: list[Mapping] = field(repr=False)
    since: date | None = None

    @property
    def band(self) -> str:
        """How many, as a band: exact counts are not told."""
        return band(len(self.answers))


@dataclass(frozen=True)
class Sheet:
    """What a firm gets back: lines beside those of its group, and where it lies furthest behind."""

    ret: Return
    group: Group | None
    lines: list[Line]
    gaps: list[Line]

    @property
    def compared(self) -> int:
        """How many figures stand beside those of peers."""
        return sum(not line.withheld for line in self.lines)

    @property
    def is_final(self) -> bool:
        """Whether the round is closed, so that no further return is accepted."""
        return self.ret.round.state == Round.State.CLOSED


def sheet_of(ret: Return, *, by) -> Sheet:
    """The private benchmark sheet of an accepted unit return; its opening enters the audit chain.

    The group is the first that has ten peers for most figures: cluster × size class, cluster, country × division × size
    class. Size and membership are those of the frozen frame, so that nobody chooses a group by what is answered.
    """
    if ret.schedule != Schedule.UNIT or ret.state not in Return.COUNTED:
        raise DomainError("A sheet is made for every accepted return of a firm; this one is not accepted yet.")
    own = open_for(ret, by=by, purpose="benchmark sheet")["answers"]
    best = Sheet(ret, None, lines_of(own, []), [])
    for name, found in _groups(ret.round, ret, _size_of(ret)):
        group = _group(name, ret.round, found)
        if group is None:
            continue
        lines = lines_of(own, group.answers)
        sheet = Sheet(ret, group, lines, largest_gaps(lines))
        if sheet.compared >= ENOUGH * len(lines):
            return sheet
        best = max(best, sheet, key=lambda one: one.compared)
    return best


def _size_of(ret: Return) -> int | None:
    return FrameEntry.objects.filter(round=ret.round_id, unit=ret.unit_id).values_list("size", flat=True).first()


def _groups(round_: Round, ret: Return, size: int | None):
    """Candidates for a firm's group, the closest first: (words, accepted returns)."""
    accepted = Return.objects.counted().filter(round=round_, schedule=Schedule.UNIT)
    here = accepted.filter(cluster=ret.cluster_id)
    same_size = FrameEntry.objects.filter(round=round_, size=size).values("unit")
    words = SIZES.get(size, "")
    if size:
        yield f"{ret.cluster.name}, firms of {words} when the round began", here.filter(unit__in=same_size)
    yield ret.cluster.name, here
    sector = ret.unit.sector_id if ret.unit else None
    if size and sector:
        country = ret.cluster.country
        everywhere = accepted.filter(cluster__country=country, unit__sector__code__startswith=sector[:2])
        name = f"{country.name}, the same trade (ISIC division {sector[:2]}), firms of {words}"
        yield name, everywhere.filter(unit__in=same_size)


def _group(name: str, round_: Round, returns) -> Group | None:
    """Open a group: the firms accepted first, in steps, so that one arrival changes nothing; None if too few."""
    heads = list(returns.order_by("decided_at", "pk").values_list("pk", "version", "decided_at")[:GROUP_MAX])
    if not group_size(len(heads)):
        return None
    opened = store.open_answers((pk, version) for pk, version, _ in heads)
    working = [(opened[pk]["answers"], at) for pk, _, at in heads if is_operating(opened[pk]["answers"])]
    kept = working[: group_size(len(working))]
    if not kept:
        return None
    days = [at for _, at in kept if at]
    since = timezone.localdate(max(days)) if days else None
    return Group(name, round_, [answers for answers, _ in kept], since)


def has_sheet(ret: Return) -> bool:
    """Whether a sheet may be asked for."""
    return ret.schedule == Schedule.UNIT and ret.state in Return.COUNTED


# --- For review ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Peers:
    """First quartile, median, third quartile of each number of the schedule, by question; never a name."""

    words: str
    quartiles: Mapping[str, tuple[float, float, float]]


def peers_of(ret: Return) -> Peers | None:
    """What peers of the same cluster and size class report: this round's accepted, else last round's; None if too few.

    The same figures as on the sheet: no firm's own value, never the smallest or largest.
    """
    if ret.schedule != Schedule.UNIT or ret.unit_id is None:
        return None
    size = _size_of(ret)
    codes = [code for code, question in schedule_of(ret).questions.items() if _compared(question)]
    rounds = Round.objects.filter(year__in=(ret.round.year, ret.round.year - 1)).order_by("-year")
    for round_ in rounds:
        for name, found in _close(_groups(round_, ret, size)):
            group = _group(name, round_, found)
            if group:
                words = f"{group.band} accepted returns of round {round_.year}: {name}"
                return Peers(words, _quartiles(codes, group.answers))
    return None


def _close(groups: Iterable) -> Iterable:
    """The candidates of the own cluster only."""
    for position, candidate in enumerate(groups):
        if position < 2:
            yield candidate


def _compared(question) -> bool:
    return question.kind in NUMBERS and question.unit != "year" and question.shown_at_unit_level


def _quartiles(codes: list[str], answers: list[Mapping]) -> dict[str, tuple[float, float, float]]:
    found = {}
    for code in codes:
        values = [one[code] for one in answers if isinstance(one.get(code), int | float)]
        if (three := quartiles(values)) is not None:
            found[code] = three
    return found
