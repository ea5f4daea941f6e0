"""Personal links: one unit, one round, no account. Whoever holds the link answers for its unit and sees nothing else.

The token is shown once and never kept: the database holds a keyed digest. A link ends with the time in which its
return can be changed, when it is revoked, and when a new one is made for the same unit. Whoever hands links out could
open a new one to read what is sealed: so a link that was opened is made anew by the agency only, with a reason, and
every making and opening stands in the history of the return.
"""

import csv
import io
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from clusters.models import Cluster, Membership, Organisation, Unit
from core import policy
from core.audit.models import record, record_many
from core.base import DomainError
from core.policy import Role
from facts.models import FrameEntry, Return, Round, Schedule, UnitLink
from facts.vault import store

from .bulk import chunks
from .collectors import collectors_of, is_link_holder
from .deadlines import Window, day, lock_reasons, windows
from .findings import EXPLANATION_MIN
from .imports import Row, save_drafts

TOKEN_BYTES = 24  # 192 bits, 32 letters
LIFE_DAYS = 60  # where no later day is known
SESSION_SECONDS = 3 * 3600


def digest_of(token: str) -> str:
    """What is stored of a token."""
    return store.keyed_digest(f"link:{token}".encode())


@transaction.atomic
def make_link(unit: Unit, round_: Round, *, by) -> str:
    """Make the link of a unit for a round and return its token, this once. An earlier link of the unit is revoked."""
    return make_links([unit], round_, by=by)[unit.pk]


@transaction.atomic
def make_links(units: Iterable[Unit], round_: Round, *, by) -> dict[int, str]:
    """Make a link for each unit of one round; returns the tokens by unit id. Earlier links of them are revoked.

    Raises DomainError for a unit that opened a link in this round: only `replace_link` makes it a new one.
    """
    units = list(units)
    if kept := kept_units(round_, units):
        number = next(unit.frame_id for unit in units if unit.pk in kept)
        raise DomainError(
            f"{number} has opened its link, so what it answers is its own. Only the agency of its cluster can make a "
            "new one: ask its supervisor, and say why."
        )
    return _make(units, round_, by=by, act="return.link_made")


def kept_units(round_: Round, units: Iterable[Unit]) -> set[int]:
    """The units that opened a link of theirs in a round, or handed in over one: their links are no longer remade."""
    found: set[int] = set()
    for part in chunks(unit.pk for unit in units):
        links = UnitLink.objects.filter(round=round_, unit__in=part, used_at__isnull=False)
        sealed = Return.objects.filter(round=round_, unit__in=part, collector=None).exclude(version=0)
        found |= {*links.values_list("unit_id", flat=True), *sealed.values_list("unit_id", flat=True)}
    return found


@transaction.atomic
def replace_link(unit: Unit, round_: Round, *, by, reason: str) -> str:
    """Make a new link for a unit that lost an opened one; returns its token. The unit reads in its history who did so.

    The reason is sealed, beside the new link.
    """
    policy.require(by, "unit_link.replace", unit.cluster)
    if len(reason.strip()) < EXPLANATION_MIN:
        raise DomainError(f"Say why the link is replaced (at least {EXPLANATION_MIN} characters).")
    token = _make([unit], round_, by=by, act="return.link_replaced")[unit.pk]
    link = UnitLink.objects.get(token_digest=digest_of(token))
    store.put_texts([(f"link:{link.pk}", reason.strip()[:300])], by=by)
    return token


def _make(units: list[Unit], round_: Round, *, by, act: str) -> dict[int, str]:
    ends = windows(round_, (unit.cluster_id for unit in units))
    probes = [_probe(unit, round_) for unit in units]
    if reasons := lock_reasons(probes):
        raise DomainError(next(iter(reasons.values())))
    framed = FrameEntry.objects.filter(round=round_, unit__in=units, in_scope=True)
    if framed.count() != len(units):
        raise DomainError(f"A unit is not in the frame of round {round_.year}; a link would open nothing.")
    _revoke(UnitLink.objects.filter(round=round_, unit__in=units, revoked_at=None), by=by)
    user_model = get_user_model()
    people = [
        user_model(username=f"link-{secrets.token_hex(8)}", display_name=f"Unit {unit.frame_id}") for unit in units
    ]
    for person in people:
        person.set_unusable_password()
    user_model.objects.bulk_create(people)
    Membership.objects.bulk_create(
        [Membership(user=person, unit=unit, role=Role.LINK) for person, unit in zip(people, units, strict=True)]
    )
    tokens = {unit.pk: secrets.token_urlsafe(TOKEN_BYTES) for unit in units}
    links = UnitLink.objects.bulk_create(
        [
            UnitLink(
                round=round_,
                unit=unit,
                user=person,
                token_digest=digest_of(tokens[unit.pk]),
                made_by=by,
                expires_at=_end_of(last_day(ends[unit.cluster_id])),
            )
            for person, unit in zip(people, units, strict=True)
        ]
    )
    record_many([("link.make", link, {"unit": link.unit.frame_id, "round": round_.year}) for link in links], by=by)
    for part in chunks(tokens):
        record_many([(act, ret, {}) for ret in Return.objects.filter(round=round_, unit__in=part)], by=by)
    return tokens


def last_day(window: Window) -> date:
    """Until when a link lives: the last day on which its return may be changed; at least the end of collection."""
    return window.mends or window.ends


def _end_of(last: date) -> datetime:
    return datetime.combine(last + timedelta(days=1), time(), tzinfo=ZoneInfo(settings.TIME_ZONE))


def _probe(unit: Unit, round_: Round) -> Return:
    """The return that a unit would begin, unsaved."""
    return Return(round=round_, schedule=Schedule.UNIT, subject=unit.frame_id, unit=unit, cluster=unit.cluster)


def prolong(round_: Round, cluster: Cluster) -> int:
    """Let the links of a cluster live as long as its new end of collection; called when more time is given."""
    until = _end_of(last_day(windows(round_, [cluster.pk])[cluster.pk]))
    links = UnitLink.objects.filter(round=round_, unit__cluster=cluster, revoked_at=None, expires_at__lt=until)
    return links.update(expires_at=until)


@transaction.atomic
def revoke_link(link: UnitLink, *, by) -> None:
    """End a link at once: its address opens nothing and whoever is signed in by it is signed out."""
    _revoke(UnitLink.objects.filter(pk=link.pk, revoked_at=None), by=by)


def _revoke(links, *, by) -> None:
    ending = list(links.select_for_update(of=("self",)).select_related("unit"))
    UnitLink.objects.filter(pk__in=[link.pk for link in ending]).update(revoked_at=Now())
    get_user_model().objects.filter(pk__in=[link.user_id for link in ending]).update(is_active=False)
    record_many([("link.revoke", link, {"unit": link.unit.frame_id}) for link in ending], by=by)


def find_link(token: str) -> UnitLink | None:
    """The living link of a token; wrong, expired and revoked ones are alike None. One query, whatever the token."""
    found = UnitLink.objects.filter(token_digest=digest_of(token[:200]), revoked_at=None, expires_at__gt=Now())
    return found.select_related("round__instrument", "unit__cluster", "user").filter(user__is_active=True).first()


def own_return(user) -> Return | None:
    """The one return of who came in by a personal link; None for everybody else."""
    if not is_link_holder(user):
        return None
    link = UnitLink.objects.filter(user=user).first()
    return Return.objects.filter(round=link.round_id, unit=link.unit_id).first() if link else None


@dataclass(frozen=True)
class Landing:
    """What the page behind a link says before anything is opened."""

    link: UnitLink
    ret: Return | None
    begun_by: Organisation | None  # who typed in the draft that the link takes over
    association: Organisation | None


def landing(link: UnitLink) -> Landing:
    """What a link opens, and whether somebody else began the return. Two queries."""
    ret = Return.objects.filter(round=link.round, schedule=Schedule.UNIT, unit=link.unit)
    ret = ret.select_related("collector", "round", "cluster").first()
    begun_by = ret.collector if ret and ret.collector_id and ret.is_editable else None
    return Landing(link, ret, begun_by, collectors_of(link.round, [link.unit.cluster_id]).get(link.unit.cluster_id))


@transaction.atomic
def open_link(link: UnitLink) -> Return:
    """Find or begin the return of a link; the opening is in its history. Raises DomainError where nothing can begin."""
    UnitLink.objects.filter(pk=link.pk, used_at=None).update(used_at=Now())
    returns = Return.objects.filter(round=link.round, schedule=Schedule.UNIT, unit=link.unit)
    ret = returns.select_related("round", "cluster").first()
    if ret is None:
        if reasons := lock_reasons([_probe(link.unit, link.round)]):
            raise DomainError(next(iter(reasons.values())))
        outcome = save_drafts(
            round_=link.round,
            schedule_code=Schedule.UNIT,
            rows=[Row(link.unit.frame_id, {}, "the link")],
            by=link.user,
            channel=Return.Channel.LINK,
        )
        if outcome.refused:
            raise DomainError(str(outcome.refused[0].problem.message))
        ret = outcome.returns[0]
    record("link.open", link, by=link.user, unit=link.unit.frame_id, round=link.round.year)
    record("return.link_opened", ret, by=link.user)
    return ret


# --- Sealed from the association, or shared --------------------------------------------------------


@transaction.atomic
def share(ret: Return, *, by, shared: bool) -> None:
    """Let who collects in the cluster read what the unit hands in, or take that back; the unit alone decides.

    Reading only: from here on nobody but the unit writes, certifies or takes away the answers.
    """
    held = Return.objects.select_for_update(of=("self",)).select_related("round").get(pk=ret.pk)
    organisation = collectors_of(held.round, [held.cluster_id]).get(held.cluster_id) if shared else None
    if shared and organisation is None:
        raise DomainError("No association collects in your cluster this year; there is nobody to share with.")
    Return.objects.filter(pk=ret.pk).update(collector=None, shared_with=organisation)
    record("return.shared" if shared else "return.sealed", held, by=by)
    ret.collector, ret.shared_with = None, organisation


def sharing_of(ret: Return, *, by) -> dict:
    """What the hub tells the holder of a return's link: who may see it, and why.

    state : "sealed"; "shared" by the unit; "begun" by that organisation and not yet saved by the unit.
    """
    if not policy.allowed(by, "return.share", ret):
        return {}
    organisation = ret.shared_with or ret.collector or collectors_of(ret.round, [ret.cluster_id]).get(ret.cluster_id)
    state = "shared" if ret.shared_with_id else "begun" if ret.collector_id else "sealed"
    return {"link_sharing": {"organisation": organisation, "state": state}}


# --- Many at once ------------------------------------------------------------------------------------


def units_without_return(round_: Round, cluster: Cluster):
    """Units of a cluster's sample whose return nobody has begun and whose link nobody has opened."""
    asked = FrameEntry.objects.filter(round=round_, cluster=cluster, in_scope=True, drawn=True, unit=OuterRef("pk"))
    begun = Return.objects.filter(round=round_, schedule=Schedule.UNIT, unit=OuterRef("pk"))
    opened = UnitLink.objects.filter(round=round_, unit=OuterRef("pk"), used_at__isnull=False)
    units = Unit.objects.filter(Exists(asked)).exclude(Exists(begun)).exclude(Exists(opened))
    return units.select_related("cluster").order_by("-member", "frame_id")


@transaction.atomic
def links_file(round_: Round, cluster: Cluster, *, by, address) -> tuple[bytes, int]:
    """Make links for all units of a cluster that have not begun, as a CSV to print or send: number, name, link, until.

    address : a function from a token to the full address of its page. Returns the file and how many links it holds.
    The file shows the tokens this once; the names are opened from the vault, and that is recorded.
    """
    units = list(units_without_return(round_, cluster))
    if not units:
        raise DomainError(f"Every unit of {cluster.name} has begun its return; no link is left to make.")
    tokens = make_links(units, round_, by=by)
    names: dict[int, dict] = {}
    for start in range(0, len(units), 500):
        names |= store.open_identities([unit.pk for unit in units[start : start + 500]])
    until = last_day(windows(round_, [cluster.pk])[cluster.pk])
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["unit", "name", "link", "until"])
    for unit in units:
        name = names.get(unit.pk, {}).get("name", "")
        writer.writerow([unit.frame_id, _plain(name), address(tokens[unit.pk]), day(until)])
    record("link.file", cluster, by=by, round=round_.year, links=len(units), names=len(names))
    return out.getvalue().encode("utf-8-sig"), len(units)


def _plain(text: str) -> str:
    """A name that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in "=+-@\t\r" else text
