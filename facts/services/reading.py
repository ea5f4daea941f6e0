"""What a person sees of sealed answers: drafts by those who write them, submitted versions with a logged purpose."""

import base64
import json
import zlib
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from django.db import transaction
from django.utils import timezone

from clusters.models import Membership
from core.audit.models import Event, record
from core.base import DomainError
from facts.models import Return
from facts.validation import Context, Problem
from facts.vault import store

from .contexts import contexts_for
from .findings import EMPTY, Findings, findings_of, schedule_of

MINUTES_A_QUESTION = 0.6
HELD_FOR = timedelta(hours=2)
HELD_MAX = 6_000_000  # bytes of a held file, below the limit of a form

ACTS = {
    "return.save": "Answers saved",
    "return.import": "Brought in",
    "return.submit": "Submitted",
    "return.in_review": "Taken into review",
    "return.sent_back": "Sent back",
    "return.accepted": "Accepted",
    "return.locked": "Locked",
    "return.open": "Opened",
    "unit.identity": "Name of the unit opened",
}
OPENINGS = ("return.open", "unit.identity")
CHANNELS = {"web": "in the form", "file": "from a file", "api": "over the API", "help_desk": "by the help desk"}


@dataclass(frozen=True)
class SectionState:
    """How far one block of a return is."""

    section: Any
    asked: list[str]
    answered: int
    hard: list[Problem]
    unexplained: list[Problem]

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
            states.append(
                SectionState(
                    section=section,
                    asked=[question.code for question in section.questions if question.code in asked],
                    answered=len(codes & asked & given),
                    hard=[problem for problem in self.findings.hard if problem.question in codes],
                    unexplained=[problem for problem in self.findings.unexplained if problem.question in codes],
                )
            )
        return states


def judged(ret: Return, payload: dict) -> Opened:
    """Run the checks over a payload as `submit` will run them."""
    context = contexts_for(ret.round, [ret], with_unit_shares=ret.schedule == "ASSOCIATION")[ret.pk]
    return Opened(ret, payload, context, findings_of(ret, payload, context))


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


@transaction.atomic
def unit_name(ret: Return, *, by) -> str:
    """Name a unit to those who collect its return; logged once an hour a person, so that paging adds no noise."""
    identity = store.open_identities([ret.unit_id]).get(ret.unit_id, {}) if ret.unit_id else {}
    since = timezone.now() - timedelta(hours=1)
    events = Event.objects.filter(object_type="facts.return", object_id=str(ret.pk), action="unit.identity")
    if identity and not events.filter(actor=by, at__gte=since).exists():
        record("unit.identity", ret, by=by, purpose="collecting the return")
    return identity.get("name", "")


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


def history_of(ret: Return, *, for_user, with_openings: bool, limit: int = 40) -> list[dict]:
    """What happened to a return, newest first: who by role and organisation, which fields, never a value."""
    events = Event.objects.filter(object_type="facts.return", object_id=str(ret.pk)).order_by("-seq")
    if not with_openings:
        events = events.exclude(action__in=OPENINGS)
    events = list(events[:limit])
    names = _offices({event.actor_id for event in events if event.actor_id}, ret)
    return [
        {
            "when": event.at,
            "title": _act(event),
            "text": _fields(event),
            "by": "you" if event.actor_id == for_user.pk else names.get(event.actor_id, "the system"),
        }
        for event in events
    ]


def last_writer(ret: Return) -> str:
    """Who saved a return last, by role and organisation."""
    events = Event.objects.filter(object_type="facts.return", object_id=str(ret.pk)).exclude(action__in=OPENINGS)
    actor = events.order_by("-seq").values_list("actor_id", flat=True).first()
    return _offices({actor}, ret).get(actor, "somebody else") if actor else "somebody else"


def _offices(people: set[int], ret: Return) -> dict[int, str]:
    """Role and organisation by person: the one that has to do with the return, where a person holds several."""
    near = {ret.organisation_id, ret.collector_id}
    held = Membership.objects.filter(user__in=people).select_related("organisation").order_by("pk")
    found: dict[int, str] = {}
    for one in sorted(held, key=lambda one: one.organisation_id not in near):
        where = one.organisation.name if one.organisation_id else "the cluster cell"
        found.setdefault(one.user_id, f"{one.role}, {where}")
    return found


def _act(event: Event) -> str:
    act, detail = ACTS.get(event.action, event.action.partition(".")[2].replace("_", " ")), event.detail
    if event.action in ("return.save", "return.import"):
        act = "Begun" if event.action == "return.import" and not detail.get("fields") else act
        act = f"{act} {CHANNELS.get(detail.get('channel'), '')}".strip()
    if event.action == "return.open":
        act = f"{act} for {detail.get('purpose', 'reading')}"
    return f"{act}, version {detail['version']}" if detail.get("version") else act


def _fields(event: Event) -> str:
    fields = event.detail.get("fields") or []
    if len(fields) > 12:
        return f"{len(fields)} fields: {', '.join(fields[:10])} …"
    return ", ".join(fields)


# --- A file between preview and confirmation ------------------------------------------------


def hold_file(content: bytes, name: str, *, round_id: int, scale: int, by) -> str:
    """Seal an uploaded file for its sender, so that nothing of it lies on a disk while the preview is read."""
    if len(content) > HELD_MAX:
        raise DomainError("The file is larger than 6 MB. Send it in parts.")
    head = {"name": name, "round": round_id, "scale": scale, "at": timezone.now().timestamp()}
    body = json.dumps(head).encode() + b"\n" + zlib.compress(content)
    key_id, sealed = store.seal(body, f"upload:{by.pk}")
    return f"{key_id}.{base64.urlsafe_b64encode(sealed).decode()}"


def held_file(token: str, *, by) -> tuple[dict, bytes]:
    """Open what `hold_file` sealed: its name, round and scale, and the content."""
    key_id, _, text = token.partition(".")
    try:
        body = store.unseal(key_id, base64.urlsafe_b64decode(text), f"upload:{by.pk}")
    except (ValueError, DomainError):
        raise DomainError("The file is no longer at hand. Send it again.") from None
    head, _, packed = body.partition(b"\n")
    found = json.loads(head)
    if timezone.now().timestamp() - found["at"] > HELD_FOR.total_seconds():
        raise DomainError("The preview is older than two hours. Send the file again.")
    return found, zlib.decompress(packed)
