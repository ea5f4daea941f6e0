"""What a person sees of sealed answers: drafts by those who write them, submitted versions with a logged purpose."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.db import transaction
from django.utils import timezone

from clusters.models import Membership
from core.audit.models import Event, record
from core.base import DomainError
from core.policy import Role
from facts.models import Return
from facts.validation import Context, Problem
from facts.vault import store

from .bulk import by_round
from .contexts import contexts_for
from .findings import EMPTY, Findings, findings_of, schedule_of

MINUTES_A_QUESTION = 0.6

ACTS = {
    "return.save": "Answers saved",
    "return.import": "Brought in",
    "return.submit": "Submitted",
    "return.in_review": "Taken into review",
    "return.sent_back": "Sent back",
    "return.accepted": "Accepted",
    "return.locked": "Locked",
    "return.reopen_asked": "Asked to be opened again",
    "return.reopen_declined": "Request to open it again declined",
    "return.reopened": "Opened again",
    "return.stands": "Round closed: the version accepted before stands",
    "query.ask": "Question asked",
    "query.answer": "Question answered",
    "query.close": "Question closed",
    "return.shared": "Reading allowed to who collects in the cluster",
    "return.sealed": "Sealed from everybody in the cluster",
    "return.link_made": "Personal link made",
    "return.link_replaced": "Personal link replaced",
    "return.link_opened": "Personal link opened",
    "return.open": "Opened",
    "unit.identity": "Name of the unit opened",
}
OPENINGS = ("return.open", "unit.identity", "return.link_opened")
TOLD_ONCE = ("return.save", "return.open", "unit.identity")
AGENCY = (Role.STAFF, Role.SUPERVISOR)
UNWRITTEN = (*OPENINGS, "return.link_made", "return.link_replaced")  # no answer changes by these
CHANNELS = {
    "web": "in the form",
    "file": "from a file",
    "api": "over the API",
    "help_desk": "by the help desk",
    "link": "over the personal link",
    "field": "in the field",
}


@dataclass(frozen=True)
class SectionState:
    """How far one block of a return is. Questions that may stay blank are counted apart."""

    section: Any
    asked: list[str]
    answered: int
    needed: int
    needed_given: int
    hard: list[Problem]
    unexplained: list[Problem]
    undecided: int = 0  # questions whose routing waits for an answer

    @property
    def state(self) -> str:
        if not self.asked:
            return "waiting"
        if not self.answered:
            return "not_started"
        return "in_progress" if self.hard or self.unexplained else "done"

    @property
    def minutes(self) -> int:
        left = len(self.asked) - self.answered if self.state != "done" else 0
        return -int(-left * MINUTES_A_QUESTION // 1)

    @property
    def blank(self) -> int:
        """Questions without answer that need none."""
        return len(self.asked) - self.needed - (self.answered - self.needed_given)

    @property
    def short(self) -> str:
        """How far the block is, for a narrow place; empty where nothing is asked."""
        if not self.asked:
            return ""
        return "done" if self.state == "done" else f"{self.needed_given}/{self.needed}"

    @property
    def words(self) -> str:
        """How far the block is, as the pages say it."""
        return _count_words(self.needed_given, self.needed, self.blank, self.answered)


def _count_words(given: int, needed: int, blank: int, answered: int) -> str:
    if not needed and (blank or not answered):
        return "Nothing needed here" + (f", {answered} optional answered" if answered else "")
    if given == needed:
        words = f"All {answered} answered" if answered > 1 else "Answered"
        return f"All {needed} needed answers given, {blank} optional left blank" if blank else words
    return f"{given} of {needed} answered"


@dataclass(frozen=True)
class Opened:
    """A return's payload with what the checks say of it and what they compared it with."""

    ret: Return
    payload: dict
    context: Context
    findings: Findings

    @property
    def register(self) -> dict:
        """What the register knows of the return's subject, by question; register items are shown filled in."""
        unit, cluster = self.ret.unit, self.ret.cluster
        if self.ret.schedule == "UNIT" and unit:
            known = {"UA03": unit.start_year, "UA05": unit.sector_id}
        elif self.ret.schedule == "CLUSTER" and cluster:
            known = {
                "CA01": cluster.name,
                "CA02": cluster.sector_id,
                "CA05": cluster.region_id,
                "CA06": cluster.place,
                "CA07": cluster.latitude,
                "CA08": cluster.longitude,
                "CA11": cluster.type,
                "CA12": cluster.stage,
            }
        else:
            known = {}
        return {code: value for code, value in known.items() if value not in (None, "")}

    @cached_property
    def undecided(self) -> set[str]:
        """Questions of which nobody can say yet whether they are asked: their routing waits for an answer."""
        asked = set(self.findings.asked)
        given = self.payload["answers"].keys() | self.payload["markers"].keys()
        routed = [one for one in schedule_of(self.ret).questions.values() if one.ask and one.code not in asked]
        blank, found = asked - given, set[str]()
        while fresh := {one.code for one in routed if one.ask.names & (blank | found)} - found:
            found |= fresh
        return found

    @property
    def points(self) -> list[Problem]:
        """What keeps the return from being submitted."""
        return self.findings.hard + self.findings.unexplained

    @cached_property
    def sections(self) -> list[SectionState]:
        asked = set(self.findings.asked)
        given = self.payload["answers"].keys() | self.payload["markers"].keys()
        states = []
        for section in schedule_of(self.ret).sections:
            codes = {question.code for question in section.questions}
            needed = {question.code for question in section.questions if question.required} & asked
            states.append(
                SectionState(
                    section=section,
                    asked=[question.code for question in section.questions if question.code in asked],
                    answered=len(codes & asked & given),
                    needed=len(needed),
                    needed_given=len(needed & given),
                    hard=[problem for problem in self.findings.hard if problem.question in codes],
                    unexplained=[problem for problem in self.findings.unexplained if problem.question in codes],
                    undecided=len(codes & self.undecided),
                )
            )
        return states

    @property
    def minutes(self) -> int:
        """Minutes of work left, over all blocks."""
        return sum(part.minutes for part in self.sections)

    @property
    def beginning(self) -> str:
        """How much may come, where nothing is answered and the first answers decide; empty afterwards."""
        if self.findings.answered or not self.undecided:
            return ""
        most = len(self.findings.asked) + len(self.undecided)
        return f"Up to {most} questions, about {round(most * MINUTES_A_QUESTION)} minutes; the first answer decides"

    @property
    def words(self) -> str:
        """How far the return is: answers that are needed, and the optional ones apart."""
        given, needed = sum(part.needed_given for part in self.sections), sum(part.needed for part in self.sections)
        return _count_words(given, needed, sum(part.blank for part in self.sections), self.findings.answered)


def judged(ret: Return, payload: dict, *, by, in_review: bool = False) -> Opened:
    """Run the checks over a payload as `submit` will run them, for a person or (in_review) for its reviewer."""
    with_shares = ret.schedule == "ASSOCIATION"
    context = contexts_for(ret.round, [ret], for_user=by, in_review=in_review, with_unit_shares=with_shares)[ret.pk]
    return Opened(ret, payload, context, findings_of(ret, payload, context))


def judged_many(returns: list[Return], *, by) -> list[Opened]:
    """Run the checks over the drafts of many returns for a person; a fixed number of queries a round and schedule."""
    drafts = store.open_answers((ret.pk, 0) for ret in returns)
    found: dict[int, Opened] = {}
    for _, group in by_round(returns):
        with_shares = group[0].schedule == "ASSOCIATION"
        contexts = contexts_for(group[0].round, group, for_user=by, with_unit_shares=with_shares)
        for ret in group:
            payload, context = drafts.get(ret.pk, EMPTY), contexts[ret.pk]
            found[ret.pk] = Opened(ret, payload, context, findings_of(ret, payload, context))
    return [found[ret.pk] for ret in returns]


def draft_of(ret: Return) -> dict:
    """Return the working draft, for those who may write it."""
    return store.open_answers([(ret.pk, 0)]).get(ret.pk, EMPTY)


@transaction.atomic
def open_for(ret: Return, *, by, purpose: str) -> dict:
    """Open the last submitted version for a person; the opening and its purpose enter the audit chain."""
    payload = store.open_answers([(ret.pk, ret.version)]).get(ret.pk) if ret.version else None
    if payload is None:
        raise DomainError("This return was never submitted; there is no version to open.")
    record("return.open", ret, by=by, purpose=purpose, version=ret.version)
    return payload


def unit_name(ret: Return, *, by) -> str:
    """Name a unit to those who collect its return; logged once an hour a person, so that paging adds no noise."""
    return unit_names([ret.unit_id], about=ret, by=by, purpose="collecting the return").get(ret.unit_id, "")


@transaction.atomic
def unit_names(unit_ids: Iterable[int | None], *, about, by, purpose: str) -> dict[int, str]:
    """Name units to those who collect their returns: a return's, or those on a list of a round.

    The opening is logged on `about` (a return or a round) with its purpose and count, once an hour a person.
    """
    opened = store.open_identities([pk for pk in unit_ids if pk])
    found = {pk: identity.get("name", "") for pk, identity in opened.items()}
    since = timezone.now() - timedelta(hours=1)
    events = Event.objects.filter(object_type=about._meta.label_lower, object_id=str(about.pk), action="unit.identity")
    if found and not events.filter(actor=by, at__gte=since).exists():
        record("unit.identity", about, by=by, purpose=purpose, count=len(found))
    return found


def units_named(units, words: str, *, about, by) -> set[int]:
    """Those of some units (a queryset) whose name holds the words; for people who may read the names."""
    names: dict[int, str] = {}
    ids = list(units.values_list("pk", flat=True))
    for start in range(0, len(ids), 900):
        names |= unit_names(ids[start : start + 900], about=about, by=by, purpose="looking for a unit")
    wanted = " ".join(words.casefold().split())
    return {pk for pk, name in names.items() if wanted in " ".join(name.casefold().split())}


def notes_of(ret: Return) -> list[dict]:
    """Reviewers' words on a return, oldest first."""
    return store.notes_of(ret.pk)


def receipts_of(ret: Return) -> list[dict]:
    """Number, instant and digest of every submitted version, oldest first."""
    if not ret.version:
        return []
    events = Event.objects.filter(object_type="facts.return", object_id=str(ret.pk), action="return.submit")
    at = {event.detail.get("version"): event.at for event in events}
    return [
        {"number": version.number, "digest": version.digest, "at": at.get(version.number)}
        for version in store.versions_of(ret.pk)
    ]


def history_of(ret: Return, *, for_user, with_openings: bool, with_fields: bool = False, limit: int = 40) -> list[dict]:
    """What happened to a return, newest first: who by role and organisation, never a value.

    with_fields : also which questions each save touched, for who may read the answers: of a sealed return that a
        question was answered at all is the unit's own.
    Saves, and openings, of one person that follow one another within the hour are told as one.
    """
    events = Event.objects.filter(object_type="facts.return", object_id=str(ret.pk)).order_by("-seq")
    if not with_openings:
        events = events.exclude(action__in=OPENINGS)
    events = list(events[: limit * 10])
    names = offices({event.actor_id for event in events if event.actor_id}, ret)
    return [
        {
            "when": group[0].at,
            "title": _act(group[0]),
            "text": _fields(group) if with_fields else "",
            "by": _actor(group[0], for_user, names),
        }
        for group in _told_together(events)[:limit]
    ]


def _actor(event: Event, for_user, names: dict[int, str]) -> str:
    """Who did it. Of a link only that it was opened is known, not whose hand held it."""
    if event.action == "return.link_opened":
        return "whoever held the link"
    return "you" if event.actor_id == for_user.pk else names.get(event.actor_id, "the system")


def _told_together(events: list[Event]) -> list[list[Event]]:
    """Runs of saves by one person over one channel, or of openings for one purpose, each within an hour of the next.

    Other events stand alone.
    """
    groups: list[list[Event]] = []
    for event in events:
        last = groups[-1][-1] if groups else None
        if (
            last is not None
            and event.action == last.action
            and event.action in TOLD_ONCE
            and all(event.detail.get(name) == last.detail.get(name) for name in ("channel", "purpose"))
            and event.actor_id == last.actor_id
            and last.at - event.at < timedelta(hours=1)
        ):
            groups[-1].append(event)
        else:
            groups.append([event])
    return groups


def last_writer(ret: Return, codes: Iterable[str] = ()) -> str:
    """Who saved a return last, by role and organisation; with `codes`, who saved one of these questions last."""
    events = Event.objects.filter(object_type="facts.return", object_id=str(ret.pk)).exclude(action__in=UNWRITTEN)
    wanted = set(codes)
    recent = list(events.order_by("-seq").values_list("actor_id", "detail")[:100])
    actors = [actor for actor, detail in recent if actor and wanted & set(detail.get("fields", []))]
    actor = actors[0] if actors else recent[0][0] if recent else None
    return offices({actor}, ret).get(actor, "somebody else") if actor else "somebody else"


@dataclass(frozen=True)
class LeftOff:
    """Where a person stopped: the block, and when."""

    section: Any
    at: datetime


def left_off(ret: Return, *, by) -> LeftOff | None:
    """The block in which a person saved last, on whatever device."""
    events = Event.objects.filter(object_type="facts.return", object_id=str(ret.pk), action="return.save", actor=by)
    event = events.order_by("-seq").first()
    fields = [code for code in event.detail.get("fields", []) if code != "scale"] if event else []
    sections = {section.code: section for section in schedule_of(ret).sections}
    section = sections.get(fields[-1][:2]) if fields else None
    return LeftOff(section, event.at) if section else None


def offices(people: set[int], ret: Return) -> dict[int, str]:
    """Role and organisation by person: the one that has to do with the return, where a person holds several."""
    near = {ret.organisation_id, ret.collector_id, ret.shared_with_id}
    held = Membership.objects.filter(user__in=people).select_related("organisation").order_by("pk")
    found: dict[int, str] = {}
    files = AGENCY if ret.schedule in ("CLUSTER", "REGION") else ()  # theirs to file; an association head is not meant
    for one in sorted(held, key=lambda one: (one.organisation_id not in near, bool(files) and one.role not in files)):
        where = one.organisation.name if one.organisation_id else "the cluster cell"
        found.setdefault(one.user_id, "the firm itself" if one.role == Role.LINK else f"{one.role}, {where}")
    return found


def _act(event: Event) -> str:
    act, detail = ACTS.get(event.action, event.action.partition(".")[2].replace("_", " ")), event.detail
    if event.action in ("return.save", "return.import"):
        act = "Begun" if event.action == "return.import" and not detail.get("fields") else act
        act = f"{act} {CHANNELS.get(detail.get('channel'), '')}".strip()
    if event.action == "return.open":
        act = f"{act} for {detail.get('purpose', 'reading')}"
    return f"{act}, version {detail['version']}" if detail.get("version") else act


def _fields(events: list[Event]) -> str:
    fields = sorted({code for event in events for code in event.detail.get("fields") or []})
    if len(fields) > 12:
        return f"{len(fields)} fields: {', '.join(fields[:10])} …"
    return ", ".join(fields)
