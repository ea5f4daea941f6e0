"""Break-glass: an hour in which one person opens what the role keeps shut, asked with a reason and granted by another.

Asked for one cluster in one round. Who asks: an analyst for names or for a file of values, an auditor for submitted
values. Who grants: another analyst or auditor. The heads of the cluster's associations are told by mail and on their
page of openings; everything opened in the hour is an event of its own. The hour ends by the database's clock.
"""

import csv
import io
from datetime import timedelta

from django.conf import settings
from django.core.mail import send_mail
from django.db import IntegrityError, transaction
from django.db.models import DateTimeField, ExpressionWrapper, Q
from django.db.models.functions import Now
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from clusters.models import Cluster, ClusterRole, Membership, Unit
from core import policy
from core.audit.models import record, record_many
from core.base import Conflict, DomainError
from core.jobs import ledger
from core.policy import Role
from facts.models import Collector, FrameEntry, Return, Round
from facts.vault import store
from facts.vault.models import BreakGlass

from .findings import EXPLANATION_MIN, schedule_of
from .opening import FIRMS, plain
from .reading import open_for

JOB = "facts.tell_break_glass"
Kind, State = BreakGlass.Kind, BreakGlass.State
LASTS = timedelta(minutes=60)
WAITS = timedelta(hours=24)  # a wish older than this is asked anew
REASON_MAX = 2000
KINDS = {Role.ANALYST: (Kind.NAMES, Kind.EXPORT), Role.AUDITOR: (Kind.VALUES,)}
ACTION = {Kind.NAMES: "unit_identity.read", Kind.VALUES: "return.read_submitted", Kind.EXPORT: "values.export"}


def kinds_for(by) -> list[str]:
    """What a person may ask for."""
    roles = {grant.role for grant in policy.grants_of(by)}
    return [kind for role, kinds in KINDS.items() if role in roles for kind in kinds]


def _place(glass: BreakGlass) -> str:
    return f"break-glass:{glass.pk}"


def reasons_of(glasses) -> dict[int, str]:
    """Why each was asked for, by id."""
    glasses = list(glasses)
    texts = store.texts_of(_place(glass) for glass in glasses)
    return {glass.pk: texts[_place(glass)][0]["text"] for glass in glasses if _place(glass) in texts}


@transaction.atomic
def ask(*, kind: str, round_: Round, cluster: Cluster, by, reason: str) -> BreakGlass:
    """Ask for an hour. Raises DomainError where the role does not ask for this kind, or without a reason."""
    policy.require(by, "break_glass.ask")
    if kind not in kinds_for(by):
        raise DomainError("Your role does not ask for this: analysts ask for names or a file, auditors for values.")
    if len(reason.strip()) < EXPLANATION_MIN:
        raise DomainError(f"Say why it is needed (at least {EXPLANATION_MIN} characters).")
    try:
        with transaction.atomic():
            glass = BreakGlass.objects.create(kind=kind, round=round_, cluster=cluster, asked_by=by, asked_at=Now())
    except IntegrityError:
        raise Conflict("You asked for this already; it waits for a second person.") from None
    store.put_texts([(_place(glass), reason.strip()[:REASON_MAX])], by=by)
    record("break_glass.asked", cluster, by=by, break_glass=glass.pk, kind=kind, round=round_.year)
    return glass


@transaction.atomic
def decide(glass: BreakGlass, *, by, grant: bool) -> None:
    """Grant or decline, as a second person. Granted, the hour begins now and the heads of the associations are told."""
    policy.require(by, "break_glass.ask")
    if by.pk == glass.asked_by_id:
        raise DomainError("You asked for this yourself; a second person decides.")
    now_, ends = Now(), ExpressionWrapper(Now() + LASTS, output_field=DateTimeField())
    waiting = BreakGlass.objects.filter(pk=glass.pk, state=State.ASKED)
    if grant:
        waiting = waiting.filter(asked_at__gt=ExpressionWrapper(Now() - WAITS, output_field=DateTimeField()))
    state = State.GRANTED if grant else State.DECLINED
    changes = {"state": state, "granted_by": by, "granted_at": now_, "ends_at": ends if grant else None}
    if not waiting.update(**changes):
        raise Conflict("This was decided on in the meantime, or was asked more than a day ago; ask anew.")
    glass.refresh_from_db()
    told = {"break_glass": glass.pk, "kind": glass.kind, "round": glass.round.year}
    record(f"break_glass.{state.value}", glass.cluster, by=by, **told)
    if grant:
        ledger.enqueue(JOB, key=f"break-glass:{glass.pk}", by=by, glass=glass.pk)


def shown_to(by):
    """Every wish, for those who ask and grant; newest first (a queryset)."""
    related = ("round", "cluster", "asked_by", "granted_by")
    return policy.scope(by, "break_glass.ask", BreakGlass.objects.select_related(*related)).order_by("-pk")


def live():
    """The hours that run now, by the database's clock."""
    return BreakGlass.objects.filter(state=State.GRANTED, ends_at__gt=Now())


def live_of(pk: int, by) -> BreakGlass | None:
    """A person's own running hour, or None."""
    return live().filter(pk=pk, asked_by=by).select_related("round__instrument", "cluster").first()


def live_on_own(by):
    """Running hours on the clusters whose openings a person may see, for the head's page."""
    own = [grant.organisation_id for grant in policy.grants_of(by) if grant.role == Role.HEAD]
    clusters = ClusterRole.objects.filter(organisation__in=own, role=ClusterRole.Role.ASSOCIATION).values("cluster")
    return live().filter(cluster__in=clusters).select_related("cluster", "round").order_by("ends_at")


# --- What is opened in the hour ---------------------------------------------------------------------


def _require_live(glass: BreakGlass, by, *kinds: str) -> None:
    if glass.kind not in kinds or not live().filter(pk=glass.pk, asked_by=by).exists():
        raise DomainError("This hour is over, or is not yours. Ask anew, with the reason.")


def returns_of(glass: BreakGlass, *, by):
    """The submitted returns of firms that the hour opens (a queryset)."""
    _require_live(glass, by, Kind.VALUES, Kind.EXPORT)
    found = Return.objects.filter(round=glass.round, cluster=glass.cluster, schedule__in=FIRMS, version__gt=0)
    return policy.scope(by, ACTION[Kind(glass.kind)], found).order_by("schedule", "subject", "pk")


def purpose_of(glass: BreakGlass) -> str:
    """How the audit chain names what is opened in this hour."""
    return f"break-glass {glass.pk}"


@transaction.atomic
def open_values(glass: BreakGlass, ret: Return, *, by) -> dict:
    """Open one return's last submitted version; each opening is an event. Raises DomainError when the hour is over."""
    if not returns_of(glass, by=by).filter(pk=ret.pk).exists():
        raise DomainError("This return is not in the cluster and round that were granted.")
    return open_for(ret, by=by, purpose=purpose_of(glass))


@transaction.atomic
def open_names(glass: BreakGlass, *, by, start: int = 0, count: int = 50) -> tuple[list[dict], int]:
    """Names and numbers of a part of the cluster's units in the round's frame; each part is one event.

    Returns rows (frame_id, name, address, telephone, registration_number; empty where not known) and how many units
    there are in all.
    """
    _require_live(glass, by, Kind.NAMES)
    framed = FrameEntry.objects.filter(round=glass.round, cluster=glass.cluster)
    units = Unit.objects.filter(pk__in=framed.values("unit")).order_by("frame_id")
    part = list(units[start : start + count])
    opened = store.open_identities([unit.pk for unit in part])
    record("unit.identity", glass.cluster, by=by, purpose=purpose_of(glass), count=len(opened))
    parts = ("name", "address", "telephone", "registration_number")
    rows = [
        {"frame_id": unit.frame_id} | {name: opened.get(unit.pk, {}).get(name, "") for name in parts} for unit in part
    ]
    return rows, units.count()


@transaction.atomic
def values_file(glass: BreakGlass, *, by) -> bytes:
    """The submitted unit values of a cluster and round as CSV, by number and without names; every return is an event.

    A line a return, a column a question; opinions that nobody sees of one firm are left out. Empty: not answered.
    """
    _require_live(glass, by, Kind.EXPORT)
    returns = list(returns_of(glass, by=by).filter(schedule="UNIT").select_related("round__instrument"))
    opened = store.open_answers((ret.pk, ret.version) for ret in returns)
    codes: list[str] = []
    if returns:
        codes = [code for code, one in schedule_of(returns[0]).questions.items() if one.shown_at_unit_level]
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["unit", "state", "version", *codes])
    for ret in returns:
        answers, markers = opened[ret.pk]["answers"], opened[ret.pk]["markers"]
        row = [_cell(answers.get(code, markers.get(code))) for code in codes]
        writer.writerow([ret.subject, ret.state, ret.version, *row])
    purpose = f"{purpose_of(glass)}: file"
    entries: list[tuple] = [("return.open", ret, {"purpose": purpose, "version": ret.version}) for ret in returns]
    entries.append(("values.export", glass.cluster, {"purpose": purpose, "returns": len(returns)}))
    record_many(entries, by=by)
    return out.getvalue().encode("utf-8-sig")


def _cell(value: object) -> object:
    if isinstance(value, list):
        return plain(";".join(map(str, value)))
    return plain(value) if isinstance(value, str) else value


# --- Told to the heads -------------------------------------------------------------------------------


def heads_of(glass: BreakGlass) -> list:
    """The heads, with an address, of the organisations whose data the hour opens."""
    roles = ClusterRole.objects.filter(cluster=glass.cluster, role=ClusterRole.Role.ASSOCIATION)
    appointed = Collector.objects.filter(cluster=glass.cluster, round=glass.round)
    held = Membership.objects.filter(
        Q(ends_on=None) | Q(ends_on__gte=timezone.localdate()),
        Q(organisation__in=roles.values("organisation")) | Q(organisation__in=appointed.values("organisation")),
        role=Role.HEAD,
        user__is_active=True,
    ).exclude(user__email="")
    found = {one.user_id: one.user for one in held.select_related("user").order_by("pk")}
    return list(found.values())


def tell(run: ledger.Run, *, glass: int) -> None:
    """The job of one granted hour: tell every head, then mark it as told. Delivered again, it may tell again."""
    row = BreakGlass.objects.select_related("round", "cluster").filter(pk=glass, state=State.GRANTED).first()
    if row is None or row.told_at is not None:
        return
    people = heads_of(row)
    if people and settings.EMAIL_BACKEND.endswith("dummy.EmailBackend"):
        raise DomainError("No mail server is set: give EMAIL_URL. The message goes out with the next run.")
    for place, person in enumerate(people):
        run.progress("Telling the heads of the associations", place, len(people))
        subject, body = message_of(row, person)
        send_mail(subject, body, settings.DEFAULT_FROM_EMAIL, [person.email])
    with run.finishing():
        BreakGlass.objects.filter(pk=row.pk, told_at=None).update(told_at=Now())


def message_of(glass: BreakGlass, person) -> tuple[str, str]:
    """Subject and text: what kind of data, of which cluster and round, until when. No reason, no name, no figure."""
    context = {
        "person": person,
        "glass": glass,
        "kind": glass.get_kind_display(),
        "page": settings.SITE_URL + reverse("facts:openings"),
        "contact": settings.CONTACT_EMAIL,
    }
    subject, _, body = render_to_string("mail/break_glass.txt", context).strip().partition("\n")
    return subject.strip(), body.strip() + "\n"
